"""Write book/README.md, the list of chapters with which JupyterLab opens, from _toc.yml and the chapters' titles."""

from __future__ import annotations

import json
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_OPENING = """# Margin Lab: the chapters

Open one, and run its cells with Shift+Enter; every slider then takes any value. New here? Start with chapter 1."""


def title(path: Path) -> str:
    """The heading that opens a chapter."""
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        heading = re.search(r"(?m)^# (.+)$", "".join(cell["source"]))
        if cell["cell_type"] == "markdown" and heading:
            return heading[1]
    raise ValueError(f"{path.name} has no title; its first cell needs a heading '# ...'")


def chapter_list(root: Path = ROOT) -> str:
    """The page: parts as headings, chapters as links, in the order of the book."""
    lines, caption = [_OPENING], ""
    # read line by line: `make lab` runs this with any Python, before there is a YAML reader
    for line in (root / "_toc.yml").read_text(encoding="utf-8").splitlines():
        if part := re.match(r"\s*- caption: (.+)", line):
            caption = part[1]
        elif (chapter := re.match(r"\s*- file: book/(\w[\w-]*)$", line)) and (
            path := root / f"book/{chapter[1]}.ipynb"
        ).is_file():
            if caption:
                lines.append(f"\n## {caption}\n")
                caption = ""
            lines.append(f"* [{title(path)}]({path.name})")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    (ROOT / "book/README.md").write_text(chapter_list(), encoding="utf-8")
