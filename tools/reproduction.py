"""Write the page that holds the papers against the book, from the chapters' verdicts::

    python tools/reproduction.py           # writes book/appendix/reproduction.md
    python tools/reproduction.py --check   # says whether it is up to date

``book/papers.json`` lists what each paper numbers: its theorems, figures and tables. ``book/reproduction.json`` has, for each of
them, a verdict, the place in the book, and a few words. Whoever changes a verdict in a chapter changes it there as well.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))

from works import labels, works  # noqa: E402

PAGE = "book/appendix/reproduction.md"
VERDICTS = ("reproduced", "partly", "not", "not run")
HEAD = """# The papers against us, on one page

Every figure and table and every main theorem of the four papers that this book re-tells, and what became of it here.
*Reproduced*: the statement was measured or proved again, at our sizes. *Partly*: something in it did not come out, or was done on
a smaller scale that does not settle it. *Not*: we looked, and did not find it. *Not run*: nobody looked. The chapters give the
numbers.

The book follows the papers' versions on arXiv. Their formulas were rebuilt from text in which some were missing, so a difference
may be ours.
"""


def verdicts(root: Path = ROOT) -> dict[str, dict[str, list[str]]]:
    """``{paper: {item: [verdict, place, words]}}``."""
    found: dict[str, dict[str, list[str]]] = json.loads(
        (root / "book/reproduction.json").read_text(encoding="utf-8")
    )
    return found


def page(root: Path = ROOT) -> str:
    """The page's Markdown."""
    found = verdicts(root)
    count = Counter(row[0] for rows in found.values() for row in rows.values())
    total = ", ".join(f"{count[v]} {v}" for v in VERDICTS)
    parts = [HEAD, f"Of {sum(count.values())} items: {total}.\n"]
    for key, rows in found.items():
        who, year = labels(root)[key]
        title = str(works(root).entries[key].fields["title"])
        parts.append(f"## {title}\n\n[{who} ({year})](bibliography.md#{key})\n")
        lines = ["| in the paper | verdict | here |", "| --- | --- | --- |"]
        for item, (verdict, place, words) in rows.items():
            chapter = place.split("_")[0].lstrip("0")
            lines.append(f"| {item} | **{verdict}** | [chapter {chapter}](../{place}): {words} |")
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def main() -> int:
    """Write the page, or say that it is not up to date."""
    file, text = ROOT / PAGE, page()
    if file.is_file() and file.read_text(encoding="utf-8") == text:
        return 0
    if "--check" in sys.argv[1:]:
        print(f"{PAGE}: run tools/reproduction.py")
        return 1
    file.write_text(text, encoding="utf-8")
    print(f"{PAGE}: written")
    return 0


if __name__ == "__main__":
    sys.exit(main())
