"""How a result shows itself: at most 15 lines of text, or a small table in a notebook."""

from __future__ import annotations

import html
import textwrap
from collections.abc import Mapping
from typing import Any

import numpy as np

LINES, WIDTH = 15, 160
# Of a table: rows at its beginning and at its end, and columns.
_ENDS, _COLUMNS = 3, 8


def brief(value: Any, length: int = 40) -> str:
    """A value in few characters: numbers with six digits, arrays by their shape, functions by their name."""
    if isinstance(value, (float, np.floating)):
        return f"{value:.6g}"
    if hasattr(value, "shape") and len(value.shape):
        return f"array {tuple(value.shape)}"
    text = value if isinstance(value, str) else getattr(value, "__qualname__", None) or repr(value)
    text = " ".join(text.split())
    return text if len(text) <= length else f"{text[: length - 3]}..."


def pairs(values: Mapping[str, Any]) -> str:
    """``name=value`` with commas."""
    return ", ".join(f"{name}={brief(value)}" for name, value in values.items())


def bounded(text: str) -> str:
    """At most 15 lines of 160 characters; most results need one."""
    return "\n".join(
        textwrap.wrap(text, WIDTH, subsequent_indent="    ", max_lines=LINES, placeholder=" ...")
    )


def as_html(title: str, table: Mapping[str, np.ndarray]) -> str:
    """The title, and the table's first and last rows."""
    names = list(table)[:_COLUMNS]
    more = f" and {len(table) - len(names)} more columns" if len(table) > len(names) else ""
    count = len(next(iter(table.values()))) if table else 0
    rows = list(range(count))
    if count > 2 * _ENDS:
        rows = [*rows[:_ENDS], None, *rows[-_ENDS:]]  # type: ignore[list-item]
    head = "".join(f"<th>{html.escape(name)}</th>" for name in names)
    body = "".join(
        "<tr>"
        + "".join(f"<td>{'…' if i is None else html.escape(brief(table[name][i]))}</td>" for name in names)
        + "</tr>"
        for i in rows
    )
    return (
        f"<div><code>{html.escape(title)}</code><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        f"<small>{count} rows{more}</small></div>"
    )
