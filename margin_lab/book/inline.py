"""One line of prose as HTML, for what is shown outside Markdown: captions, questions, answers."""

from __future__ import annotations

import html
import re


def inline_html(text: str) -> str:
    """Return ``text`` as HTML: ``*emphasis*``, ``**strong**``, `` `code` ``, and formulas in delimiters that every host knows.

    An element around it needs the class ``tex2jax_process``: MathJax skips cell outputs in the built page unless it is asked.
    """
    text = html.escape(text, quote=False)
    kept: list[str] = []

    def keep(piece: str) -> str:
        kept.append(piece)
        return f"\0{len(kept) - 1}\0"

    text = re.sub(r"`([^`]+)`", lambda m: keep(f"<code>{m[1]}</code>"), text)
    text = re.sub(r"\$([^$]+)\$", lambda m: keep(f"\\({m[1]}\\)"), text)
    text = re.sub(r"\*\*([^*]+)\*\*", r"<strong>\1</strong>", text)
    text = re.sub(r"\*([^*]+)\*", r"<em>\1</em>", text)
    return re.sub("\0(\\d+)\0", lambda m: kept[int(m[1])], text)
