"""Do a chapter's assertions bite? Change one constant of one claimed law at a time and see whether the chapter still runs.

``python tools/mutate_claims.py 02 03`` runs chapters 2 and 3 once each. ``tools/claims/NAME.toml`` lists the changes: a text
of a code cell and what stands in its place, as a rule the constant of a law doubled or halved, or its exponent moved by 0.3. At
the cell with that text the run forks; the child goes on with the change until something raises. A change that nothing objects
to is a *survivor*: the assertions of that law would pass with a wrong constant. Exit status: the number of survivors.

Not part of the tests: a chapter takes a minute or two, and each survivor as long again. Needs ``os.fork`` (Linux, macOS).
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import sys
import tomllib
import traceback
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
BOOK = ROOT / "book"
CLAIMS = Path(__file__).resolve().parent / "claims"
_SURVIVED, _CAUGHT = 0, 1


def code_cells(path: Path) -> list[str]:
    """Sources of a chapter's code cells; the install cell and other magics are dropped."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    sources = ("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    return [source for source in sources if "%pip" not in source]


def claims_of(path: Path, cells: list[str]) -> dict[int, list[dict[str, str]]]:
    """The chapter's changes by cell; a ValueError where a text is not in exactly one cell, exactly once."""
    file = CLAIMS / f"{path.stem}.toml"
    if not file.exists():
        raise ValueError(f"{file} does not exist: list the chapter's laws there first")
    found: dict[int, list[dict[str, str]]] = {}
    for claim in tomllib.loads(file.read_text(encoding="utf-8"))["claim"]:
        places = [(i, cell.count(claim["old"])) for i, cell in enumerate(cells) if claim["old"] in cell]
        if len(places) != 1 or places[0][1] != 1:
            raise ValueError(
                f"{file.name}: {claim['old']!r} is in cells {places}, must be in one, once: quote more of its line"
            )
        found.setdefault(places[0][0], []).append(claim)
    return found


def run(source: str, number: int, names: dict[str, Any]) -> None:
    """Run one cell, quietly."""
    with contextlib.redirect_stdout(io.StringIO()):
        exec(compile(source, f"cell {number}", "exec"), names)


def survives(cells: list[str], start: int, claim: dict[str, str], names: dict[str, Any]) -> bool:
    """Go on from cell ``start`` with the change, in a child; True where nothing raises."""
    child = os.fork()
    if child == 0:
        status = _CAUGHT
        try:
            run(cells[start].replace(claim["old"], claim["new"]), start, names)
            for number in range(start + 1, len(cells)):
                run(cells[number], number, names)
            status = _SURVIVED
        except AssertionError:
            pass
        except Exception:  # a change that breaks the code proves nothing about the assertions
            traceback.print_exc(limit=-1)
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == _SURVIVED


def mutate(path: Path) -> list[str]:
    """Run a chapter and all its changes; the laws whose changes nobody noticed."""
    cells = code_cells(path)
    claims = claims_of(path, cells)
    names: dict[str, Any] = {"__name__": "__main__"}
    survivors = []
    for number, source in enumerate(cells):
        for claim in claims.get(number, []):
            passed = survives(cells, number, claim, names)
            survivors += [claim["law"]] * passed
            print(f"{path.stem}: {'SURVIVES' if passed else 'caught  '}  {claim['law']}", flush=True)
        run(source, number, names)
    return survivors


def main() -> int:
    """Mutate the chapters named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("chapters", nargs="+", help="beginnings of chapter names, for example 02 03")
    paths = [
        path
        for prefix in parser.parse_args().chapters
        for path in sorted(BOOK.glob(f"{prefix}*.ipynb"))
        if (CLAIMS / f"{path.stem}.toml").exists()
    ]
    if not paths:
        parser.error("no such chapter has a list in tools/claims/")
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ["MPLBACKEND"] = "agg"
    sys.path.insert(0, str(ROOT))
    os.chdir(BOOK)
    survivors = [f"{path.stem}: {law}" for path in paths for law in mutate(path)]
    print(f"{len(survivors)} survivors", *survivors, sep="\n  ")
    return min(len(survivors), 100)


if __name__ == "__main__":
    sys.exit(main())
