"""The API reference: every public module and name has its place, a summary and, in the built book, its source."""

from __future__ import annotations

import re
import types
from importlib import import_module
from pathlib import Path

import margin_api
import pytest
import yaml

import margin_lab as ml

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "book/appendix/api"
WINGS = ("ground", "rulers", "engines", "theory", "book")
BUILT = ROOT / "_build/html/book/appendix/api"


def listed() -> list[tuple[str, str]]:
    """(module, name) of all that the pages document, in their order; (module, "") for the module itself."""
    found = []
    for wing in WINGS:
        text = (FOLDER / f"{wing}.md").read_text(encoding="utf-8")
        for module, names in re.findall(r"(?m)^\.\. api:: (\S+)(?:\n   :names: (.*))?$", text):
            found.append((module, ""))
            offered = names.split() or margin_api.public_names(module)
            found += [(module, name) for name in offered if margin_api.home(module, name) == module]
    return found


def test_reference_lists_every_public_name() -> None:
    names = set(listed())
    documented = {id(getattr(import_module(module), name)) for module, name in names if name}
    for name in dir(ml):
        value = getattr(ml, name)
        if not isinstance(value, types.ModuleType):
            assert ("margin_lab", name) in names, f"name {name} in book/appendix/api"
        elif name not in ("theory", "book"):  # wings, with a page each
            offered = margin_api.public_names(value.__name__)
            missing = [n for n in offered if id(getattr(value, n)) not in documented]
            assert missing == [], f"{value.__name__} is to be in book/appendix/api"
            text = "".join((FOLDER / f"{wing}.md").read_text(encoding="utf-8") for wing in WINGS)
            assert (value.__name__, "") in names or f"`ml.{name}`" in text


def test_every_page_is_in_the_contents() -> None:
    toc = (ROOT / "_toc.yml").read_text(encoding="utf-8")
    assert yaml.safe_load(toc)
    pages = sorted(path.stem for path in FOLDER.glob("*.md"))
    assert pages == sorted((*WINGS, "index"))
    assert all(f"book/appendix/api/{page}\n" in toc for page in pages)


@pytest.mark.skipif(not BUILT.is_dir(), reason="the book is not built: make book")
def test_built_pages_have_every_entry_and_its_source() -> None:
    text = {wing: (BUILT / f"{wing}.html").read_text(encoding="utf-8") for wing in WINGS}
    whole = "".join(text.values())
    entries = [f"{module}.{name}" for module, name in listed() if name]
    lost = [entry for entry in entries if f'id="{entry}"' not in whole]
    assert lost == []
    for wing, page in text.items():
        assert page.count("[source]") > 10 and 'class="api-summary' in page, wing
