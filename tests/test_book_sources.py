"""The chapters as they are stored: stripped, installable anywhere, and with no number that comes from nowhere."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import address
import pytest
import yaml
from prose_numbers import literals, unsupported

ROOT = Path(__file__).resolve().parent.parent
CHAPTERS = address.chapters(ROOT)
PAGES = sorted([*(ROOT / "book").glob("*.md"), *(ROOT / "book/appendix").rglob("*.md")])
chapters = pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.name)

# Numbers in prose that are nobody's result: {file name: {number: why it may stand there}}.
ALLOWED: dict[str, dict[str, str]] = {
    name: {"1e-300": "the title of a chapter"} for name in ("README.md", "intro.md")
}


def load(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def sources(notebook: dict[str, Any], kind: str) -> list[str]:
    return ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == kind]


def test_toc_names_files_that_exist():
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    names = [toc["root"], *(chapter["file"] for part in toc["parts"] for chapter in part["chapters"])]
    missing = [
        name for name in names if not any((ROOT / f"{name}{ext}").exists() for ext in (".md", ".ipynb"))
    ]
    assert missing == []
    assert {f"book/{path.stem}" for path in CHAPTERS} <= set(names), "a chapter is not in _toc.yml"


@chapters
def test_chapter_is_stripped(path):
    notebook = load(path)
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert [cell["id"] for cell in code if cell["outputs"]] == [], "cells with outputs: run nbstripout"
    assert [cell["id"] for cell in code if cell["execution_count"] is not None] == []
    assert "widgets" not in notebook["metadata"]
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"


@chapters
def test_chapter_starts_with_the_install_cell(path):
    cell = address.first_code_cell(load(path))
    assert "".join(cell["source"]) == address.install_cell(address.book_url(ROOT)), "run `make address`"
    assert cell["metadata"]["tags"] == address.INSTALL_TAGS


@chapters
def test_chapter_has_one_title_and_no_skipped_level(path):
    text = "\n".join(
        re.sub(r"(?ms)^(`{3,}|~{3,}).*?^\1", "", cell) for cell in sources(load(path), "markdown")
    )
    levels = [len(marks) for marks in re.findall(r"(?m)^(#+) ", text)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


@chapters
def test_chapter_numbers_come_from_its_cells(path):
    notebook = load(path)
    known = literals(sources(notebook, "code"))
    found = [n for cell in sources(notebook, "markdown") for n in unsupported(cell, known)]
    assert sorted(set(found) - ALLOWED.get(path.name, {}).keys()) == [], (
        "numbers in the prose that no cell of the chapter states: assert them in a cell, or name the paper in their line"
    )


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_page_numbers_come_from_nowhere_so_there_are_none(path):
    found = unsupported(path.read_text(encoding="utf-8"), set())
    assert sorted(set(found) - ALLOWED.get(path.name, {}).keys()) == []


@pytest.mark.parametrize("path", [*CHAPTERS, *PAGES], ids=lambda path: path.name)
def test_images_have_alternative_text(path):
    text = (
        "\n".join(sources(load(path), "markdown"))
        if path.suffix == ".ipynb"
        else path.read_text(encoding="utf-8")
    )
    assert re.findall(r"!\[\s*\]\([^)]*\)", text) == []
    assert [tag for tag in re.findall(r"<img\b[^>]*>", text) if not re.search(r"\balt=\"[^\"]+\"", tag)] == []
    figures = re.findall(r"(?ms)^(?::{3,}|`{3,})\{(?:figure|image)\}.*?^(?::{3,}|`{3,})\s*$", text)
    assert [figure for figure in figures if not re.search(r"(?m)^:alt: \S", figure)] == []


@pytest.mark.parametrize(
    ("markdown", "code", "expected"),
    [
        ("The gap is 0.25.", "", ["0.25"]),
        ("The gap is 0.25.", "assert abs(gap - 0.25) < 1e-3", []),
        ("It takes 12,508 steps.", "", ["12,508"]),
        ("It takes 12,508 steps.", "assert steps == 12_508", []),
        ("It takes 12,508 steps in the paper.", "", []),
        ("Down to 1e-12, or 3e−4.", "tol = 1e-12", ["3e−4"]),
        ("In 12.5 % of the runs.", "share = 0.125", []),
        ("Three points, 20 seeds, and two 8 × 8 pictures.", "", []),
        ("`0.25`, $0.25$, [a](b-0.25.html), {math}`0.25`, <i title='0.25'>", "", []),
        ("```python\n0.25\n```\nand $$\n0.25\n$$ then 0.75", "", ["0.75"]),
        ("Theorem 6.2, Appendix E.1, Fig. 3.1 and eq. (7.1) of arXiv:2311.14387", "", []),
        ("| paper | ours |\n|---|---|\n| 1.5 | 2.5 |\n\nthen 3.5", "%pip install x\nx = '2.50 s'", ["3.5"]),
        (":::{figure} a-1.5.png\n:width: 1.5\nThe 4.5 caption\n:::", "", ["4.5"]),
    ],
)
def test_prose_number_finder(markdown, code, expected):
    assert unsupported(markdown, literals([code])) == expected
