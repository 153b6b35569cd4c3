"""The plan of the library: five wings, imports that run downward only, no circle, no file of two ideas' length."""

from __future__ import annotations

import ast
import graphlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import margin_lab as ml

PACKAGE = Path(ml.__file__).parent
# From the ground up: a room may import those before it.
ROOMS = (
    "checks",
    "palette",
    "results",
    "losses",
    "datasets",
    "models",
    "norms",
    "hard_margins",
    "margins",
    "optim",
    "runs",
    "theory",
    "book",
)
# Doors: they import from every floor, and no room imports them.
DOORS = ("margin_lab", "margin_lab.record")
FILES = {
    ".".join(("margin_lab", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
}


def imports(module: str) -> Iterator[str]:
    """Modules of the library that the file imports: at the top, in functions and under TYPE_CHECKING alike."""
    for node in ast.walk(ast.parse(FILES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] == "margin_lab")
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: a relative import"
            if (node.module or "").split(".")[0] == "margin_lab":
                for alias in node.names:
                    inner = f"{node.module}.{alias.name}"
                    yield inner if inner in FILES else str(node.module)


def room(module: str) -> str:
    return module.split(".")[1]


def test_every_room_has_its_floor():
    rooms = {room(module) for module in FILES if module not in DOORS}
    assert rooms == set(ROOMS)


@pytest.mark.parametrize("module", [m for m in FILES if m not in DOORS])
def test_imports_run_downward(module):
    for other in imports(module):
        assert other not in DOORS, f"{module} imports the door {other}: name the room instead"
        assert ROOMS.index(room(other)) <= ROOMS.index(room(module)), (
            f"{module} imports {other} from a floor above"
        )


def test_no_circle():
    graph = {m: {i for i in imports(m) if i != m} for m in FILES}
    # a file inside a package is loaded after the package's own file has begun, so that this file may import it
    graphlib.TopologicalSorter(graph).prepare()


@pytest.mark.parametrize("module", FILES)
def test_one_idea_a_file(module):
    assert len(FILES[module].read_text(encoding="utf-8").splitlines()) <= 300


def test_import_loads_neither_theory_nor_book():
    code = (
        "import sys, margin_lab\n"
        "print(*[m for m in sys.modules if m.split('.')[:2] in (['margin_lab', 'theory'], ['margin_lab', 'book'])])"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []


def test_every_public_name_is_there():
    assert set(ml.__all__) == set(dir(ml))
    for name in ml.__all__:
        assert getattr(ml, name) is not None
