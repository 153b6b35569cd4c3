"""Which theorem-like boxes do not state their status?

``python tools/box_status.py`` reads all chapters. The last sentence of every theorem, lemma, proposition, corollary and
conjecture is one of ``*Status: proved here.*``, ``*Status: proved in [..].*``, ``*Status: measured here.*`` and
``*Status: conjecture.*``, in italics. Boxes may be directives (``:::{prf:theorem} Title``) or, in plain Markdown, a quoted
paragraph that begins with the kind in bold (``> **Theorem (title).**``).

Exit status: the number of boxes without one (at most 100).
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

BOOK = Path(__file__).resolve().parent.parent / "book"
KINDS = "theorem|lemma|proposition|corollary|conjecture"
_DIRECTIVE = re.compile(
    rf"(?ms)^(?P<fence>:{{3,}}|`{{3,}})\{{prf:(?:{KINDS})\}}(?P<title>[^\n]*)\n(?P<body>.*?)^(?P=fence)\s*$"
)
_QUOTED = re.compile(rf"(?m)(?i:^> \*\*(?:{KINDS}))\b(?P<title>[^\n]*)(?P<body>(?:\n>[^\n]*)*)")
_STATUS = re.compile(r"\*Status: (?:proved here|proved in [^*]+|measured here|conjecture)\.\*\s*\Z")


def boxes(markdown: str) -> Iterator[tuple[str, str]]:
    """Title and text of every theorem-like box."""
    for pattern in (_DIRECTIVE, _QUOTED):
        for match in pattern.finditer(markdown):
            title, body = match["title"].strip(), match["body"]
            if pattern is _QUOTED:
                body = f"{title}{re.sub(r'(?m)^> ?', '', body)}"
            yield title, body.strip()


def without_status(markdown: str) -> list[str]:
    """Titles of the boxes that do not end with their status."""
    return [title for title, body in boxes(markdown) if not _STATUS.search(body)]


def prose(path: Path) -> str:
    """All Markdown of a page or chapter."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".ipynb":
        return text
    cells = json.loads(text)["cells"]
    return "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")


def main() -> int:
    """Print the counts, chapter by chapter."""
    missing = 0
    for path in sorted([*BOOK.glob("*.ipynb"), *BOOK.glob("*.md")]):
        text = prose(path)
        found, total = without_status(text), sum(1 for _ in boxes(text))
        missing += len(found)
        if total:
            print(f"{path.name}: {total - len(found)} of {total} boxes state their status")
        for title in found:
            print(f"    without: {title}")
    return min(missing, 100)


if __name__ == "__main__":
    sys.exit(main())
