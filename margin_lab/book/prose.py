"""Sentences and tables made of computed numbers, shown as prose: a chapter's numbers come from its cells."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any


def say(text: str) -> Any:
    """Show a paragraph of Markdown; end a cell with it, the numbers put in by an f-string."""
    from IPython.display import Markdown

    return Markdown(text)


def table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> Any:
    """Show a table; the first column is left-aligned, numbers are right-aligned.

    Raises:
        ValueError: a row whose length is not the header's.
    """
    lines = [header, ["---", *("---:" for _ in header[1:])]]
    for row in rows:
        if len(row) != len(header):
            raise ValueError(f"the table has {len(header)} columns, but a row has {len(row)}: {row}")
        lines.append([str(cell) for cell in row])
    return say("\n".join("| " + " | ".join(cells) + " |" for cells in lines))


def median_range(values: Iterable[float], digits: int = 3) -> str:
    """``median [min, max]`` of values, as text: how the book quotes results over seeds; infinities read "never".

    Raises:
        ValueError: no values.
    """
    import numpy as np

    def text(v: float) -> str:
        return (
            "never" if np.isinf(v) else f"{v:,.0f}" if v >= 1 and float(v).is_integer() else f"{v:.{digits}g}"
        )

    array = np.asarray(list(values), dtype=float)
    if array.size == 0:
        raise ValueError("median_range needs at least one value")
    return f"{text(_median(array))} [{text(array.min())}, {text(array.max())}]"


def _median(array: Any) -> float:
    # the lower median: a number that was observed, defined also where half of the runs never arrive
    return float(sorted(array)[(len(array) - 1) // 2])
