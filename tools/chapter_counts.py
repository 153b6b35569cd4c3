"""Count what a reader of each chapter meets: words, figures, tables and visible code of the main path::

    python tools/chapter_counts.py            # a table of all chapters, limits beside it
    python tools/chapter_counts.py --check    # 1 where a chapter is over a limit and not excused

The main path is everything but the folded evidence, exercises, quiz, references and ``<details>``.
"""

from __future__ import annotations

import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
WORDS, FIGURES, LINES, COLUMNS = 2500, 5, 12, 80
ASIDE = ("evidence", "exercise", "quiz", "reference", "related work")
HIDDEN = {"hide-input", "hide-cell", "remove-input", "remove-cell"}
WORDS_A_MINUTE, MINUTES_A_FIGURE = 200, 1.0


@dataclass
class Counts:
    """What one chapter's main path holds; ``long`` and ``wide`` count visible cells over the limits."""

    words: int = 0
    figures: int = 0
    tables: int = 0
    visible: int = 0
    long: int = 0
    wide: int = 0

    @property
    def minutes(self) -> float:
        """An honest reading time."""
        return self.words / WORDS_A_MINUTE + MINUTES_A_FIGURE * self.figures

    def over(self) -> list[str]:
        """The limits that it breaks."""
        found = []
        if self.words > WORDS:
            found.append(f"{self.words} words, at most {WORDS}")
        if self.figures > FIGURES:
            found.append(f"{self.figures} numbered figures, at most {FIGURES}")
        if self.long:
            found.append(f"{self.long} visible cells longer than {LINES} lines")
        if self.wide:
            found.append(f"{self.wide} visible cells wider than {COLUMNS} columns")
        return found


def is_aside(heading: str) -> bool:
    """Whether a heading opens a part beside the main path."""
    return heading.lower().lstrip("#0123456789. ·").startswith(ASIDE)


def count(notebook: dict[str, Any]) -> Counts:
    """Count one chapter."""
    found, aside = Counts(), 0  # aside: the level of the heading that opened it, 0 on the main path
    for cell in notebook["cells"]:
        source, tags = "".join(cell["source"]), set(cell["metadata"].get("tags", []))
        if cell["cell_type"] == "markdown":
            text = re.sub(r"(?s)<details.*?</details>", "", source)
            for line in text.splitlines():
                if heading := re.match(r"(#+) +(.*)", line):
                    level = len(heading[1])
                    if not aside or level <= aside:
                        aside = level if is_aside(heading[2]) else 0
                if not aside and "works" not in tags:
                    found.words += len(re.findall(r"\$[^$]*\$|[^\s|>#*-][^\s|]*", line))
            found.tables += 0 if aside else len(re.findall(r"(?m)^\|[\s:|-]+\|$", text))
            continue
        if not aside:
            found.figures += len(re.findall(r"\bnumber=", source))
        if not tags & HIDDEN:
            lines = source.rstrip().splitlines()
            found.visible += len(lines)
            found.long += len(lines) > LINES
            found.wide += any(len(line) > COLUMNS for line in lines)
    return found


def chapters() -> dict[str, Counts]:
    """Every chapter's counts by name."""
    return {
        path.stem: count(json.loads(path.read_text(encoding="utf-8")))
        for path in sorted((ROOT / "book").glob("*.ipynb"))
    }


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    check = "--check" in (sys.argv[1:] if arguments is None else arguments)
    print(
        f"{'chapter':28}{'words':>7}{'min':>5}{'figures':>9}{'tables':>8}{'visible':>9}{'long':>6}{'wide':>6}"
    )
    late = False
    for name, c in chapters().items():
        print(
            f"{name:28}{c.words:7}{c.minutes:5.0f}{c.figures:9}{c.tables:8}{c.visible:9}{c.long:6}{c.wide:6}"
        )
        late = late or bool(c.over())
    return int(check and late)


if __name__ == "__main__":
    sys.exit(main())
