"""Chapters in plain Markdown: no markup that only one renderer knows, works and links that exist, code that is folded."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import address
import chapter_counts
import pytest
import works
from markdown_it import MarkdownIt

ROOT = Path(__file__).resolve().parent.parent
CHAPTERS = address.chapters(ROOT)
PAGES = [ROOT / "book/intro.md", *sorted((ROOT / "book/appendix").glob("*.md"))]
chapters = pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.name)
HIDDEN = {"hide-input", "remove-input", "hide-cell", "remove-cell"}
# As Sphinx and MyST write them; no other renderer knows them.
MARKUP = re.compile(r"\{[a-z][\w:-]*\}`|^:::|^`{3,}\{|^\([\w-]+\)=$", re.MULTILINE)


def cells(path: Path, kind: str) -> list[dict]:
    notebook = json.loads(path.read_text(encoding="utf-8"))
    return [cell for cell in notebook["cells"] if cell["cell_type"] == kind]


def text(path: Path) -> str:
    if path.suffix == ".md":
        return path.read_text(encoding="utf-8")
    return "\n\n".join("".join(cell["source"]) for cell in cells(path, "markdown"))


def prose(path: Path) -> str:
    """The text without code blocks."""
    return re.sub(r"(?ms)^(`{3,}|~{3,})[^{\n]*\n.*?^\1\s*$", "", text(path))


@chapters
def test_no_role_and_no_directive(path):
    assert MARKUP.findall(prose(path)) == []
    strings = "\n".join("".join(cell["source"]) for cell in cells(path, "code"))
    assert re.findall(r"\{+(?:cite|doc|prf|ref|math|func)[\w:]*\}+`", strings) == []


@chapters
def test_a_plain_renderer_shows_no_markup(path):
    html = MarkdownIt("gfm-like", {"linkify": False}).render(text(path))
    shown = re.sub(r"(?s)<(pre|code)\b.*?</\1>", "", html)
    assert MARKUP.findall(shown) == []
    assert ":::" not in shown


@pytest.mark.parametrize("path", [*CHAPTERS, *PAGES], ids=lambda path: path.name)
def test_citations_say_author_and_year(path):
    for link in works.LINK.finditer(text(path)):
        assert link["key"] in works.labels(), f"{link[0]} is not in references.bib"
        assert link["text"] in works.citation(link["key"]), link[0]


def test_works_are_up_to_date(capsys):
    assert works.main(["--check"]) == 0, capsys.readouterr().out


def test_letters_tell_works_of_one_year_apart():
    said = [works.citation(key)[0] for key in works.labels()]
    assert len(said) == len(set(said))


@pytest.mark.parametrize("path", [*CHAPTERS, *PAGES], ids=lambda path: path.name)
def test_relative_links_exist(path):
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(path)):
        if re.match(r"[a-z]+:", target) or target.startswith("#"):
            continue
        file, _, anchor = target.partition("#")
        assert (path.parent / file).is_file(), target
        if anchor and file.endswith((".ipynb", ".md")):
            assert f'<a id="{anchor}"></a>' in text(path.parent / file), f"{target}: no such anchor"


@chapters
def test_links_to_boxes_of_the_same_chapter_exist(path):
    whole = text(path)
    for anchor in re.findall(r"\]\(#([\w-]+)\)", whole):
        assert f'<a id="{anchor}"></a>' in whole, anchor


@chapters
def test_display_formulas_in_quotes_stand_on_one_line(path):
    """JupyterLab takes the marks of the quote's next lines for part of the formula."""
    quotes = re.findall(r"(?m)^(?:>.*\n?)+", text(path))
    assert [quote for quote in quotes if any(line.count("$$") % 2 for line in quote.splitlines())] == []


@chapters
def test_hidden_code_is_folded_everywhere(path):
    for cell in cells(path, "code"):
        tags = set(cell["metadata"].get("tags", []))
        if not tags & HIDDEN:
            continue
        assert cell["metadata"].get("jupyter", {}).get("source_hidden") is True, cell[
            "id"
        ]  # JupyterLab, VS Code
        if "install" not in tags:
            assert cell["metadata"].get("cellView") == "form", cell["id"]  # Colab


@chapters
def test_evidence_is_folded_in_jupyterlab(path):
    for cell in cells(path, "markdown"):
        source = "".join(cell["source"])
        if re.match(r"#+ Evidence\b", source):
            # JupyterLab hides the cells after a collapsed heading, not the text below it in its own cell
            assert len(source.strip().splitlines()) == 1, cell["id"]
            assert cell["metadata"].get("jp-MarkdownHeadingCollapsed") is True, cell["id"]
            assert cell["metadata"].get("heading_collapsed") is True, cell["id"]
        else:
            assert not re.search(r"(?m)^#+ Evidence\b", source), (
                f"{cell['id']}: a cell must begin with its heading"
            )


def test_promotion_makes_boxes_numbers_and_targets():
    sys.path.insert(0, str(ROOT / "book/_ext"))
    from margin_markdown import promote

    box = '<a id="thm-a"></a>\n\n> **Theorem (Slow (so [A (2019)](x.md)); Theorem 1).** Let $x$.\n>\n> * one\n\nThen.'
    assert (
        promote(box)
        == ":::{prf:theorem} Slow (so [A (2019)](x.md)); Theorem 1\n:label: thm-a\n\nLet $x$.\n\n* one\n:::\n\nThen."
    )
    assert promote("> **Proof.** Easy.") == ":::{prf:proof}\n\nEasy.\n:::"
    assert (
        promote("By [Theorem: slow](04_prgd.ipynb#thm-slow) and [it](#lem-b).")
        == "By {prf:ref}`thm-slow` and {prf:ref}`lem-b`."
    )
    cited = "[Lyu and Li (2020)](appendix/bibliography.md#lyu2020margin)"
    assert promote(cited) == "[Lyu and Li (2020)](#lyu2020margin)"
    assert promote('<a id="x"></a>\nText.') == "(x)=\nText."
    assert promote("> a quote") == "> a quote"


def test_counts_tell_the_main_path_from_what_is_folded():
    def markdown(source: str) -> dict:
        return {"cell_type": "markdown", "metadata": {}, "source": [source]}

    def code(source: str, *tags: str) -> dict:
        return {"cell_type": "code", "metadata": {"tags": list(tags)}, "source": [source]}

    notebook = {
        "cells": [
            markdown("# Title\n\nOne two $x + y$ three."),
            code("x = 1\ny = 2"),
            code("show(fig, number='1.1')", "hide-input"),
            markdown("#### Evidence: more\n\nMany words here."),
            code("show(fig, number='1.2')", "hide-input"),
            markdown("## Next\n\nFour."),
            markdown("## Exercises\n\nFive."),
        ]
    }
    found = chapter_counts.count(notebook)
    assert (found.words, found.figures, found.visible) == (7, 1, 2)
