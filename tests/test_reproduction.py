"""The papers against the book: every numbered item has a verdict, every link leads somewhere, the page is up to date."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
pytest.importorskip("pybtex")


@pytest.fixture(scope="module")
def tool() -> Any:
    spec = importlib.util.spec_from_file_location("reproduction", ROOT / "tools/reproduction.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(ROOT / "tools"))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(ROOT / "tools"))
    return module


def test_every_figure_table_and_theorem_has_a_verdict(tool: Any) -> None:
    items = json.loads((ROOT / "book/papers.json").read_text(encoding="utf-8"))
    assert {paper: list(rows) for paper, rows in tool.verdicts().items()} == items
    for rows in tool.verdicts().values():
        assert all(verdict in tool.VERDICTS and words for verdict, _, words in rows.values())


def test_every_place_exists(tool: Any) -> None:
    for rows in tool.verdicts().values():
        for item, (_, place, _) in rows.items():
            name, _, anchor = place.partition("#")
            cells = json.loads((ROOT / "book" / name).read_text(encoding="utf-8"))["cells"]
            text = "\n".join("".join(cell["source"]) for cell in cells)
            assert not anchor or f'<a id="{anchor}"></a>' in text, item


def test_the_page_is_up_to_date_and_in_the_book(tool: Any) -> None:
    assert (ROOT / tool.PAGE).read_text(encoding="utf-8") == tool.page(), "run tools/reproduction.py"
    assert "book/appendix/reproduction" in (ROOT / "_toc.yml").read_text(encoding="utf-8")
