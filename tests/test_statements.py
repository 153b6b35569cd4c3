"""What the book claims: boxes with a status, a change to every law for mutate_claims.py."""

from __future__ import annotations

from pathlib import Path

import box_status
import mutate_claims
import pytest

ROOT = Path(__file__).resolve().parent.parent
LINEAR = sorted((ROOT / "book").glob("0[1-6]_*.ipynb"))
LISTED = [
    path
    for path in sorted((ROOT / "book").glob("*.ipynb"))
    if (mutate_claims.CLAIMS / f"{path.stem}.toml").exists()
]


@pytest.mark.parametrize("path", LINEAR, ids=lambda path: path.name)
def test_boxes_state_their_status(path):
    assert box_status.without_status(box_status.prose(path)) == []


@pytest.mark.parametrize(
    ("markdown", "missing"),
    [
        (":::{prf:theorem} T\n:label: t\nA. *Status: proved here.*\n:::", []),
        (":::{prf:lemma} T\nA. *Status: proved in {cite:t}`someone2020`.*\n\n:::", []),
        (":::{prf:theorem} T\nA.\n:::", ["T"]),
        (":::{prf:theorem} T\n*Status: proved here.* More.\n:::", ["T"]),
        (":::{prf:theorem} T\n*Status: proved somewhere.*\n:::", ["T"]),
        (":::{prf:definition} D\nA.\n:::", []),
        ("> **Theorem (T).** A.\n> *Status: conjecture.*\n\nText.", []),
    ],
)
def test_status_finder(markdown, missing):
    assert box_status.without_status(markdown) == missing


@pytest.mark.parametrize("path", LISTED, ids=lambda path: path.name)
def test_changes_to_the_laws_fit_the_chapter(path):
    cells = mutate_claims.code_cells(path)
    claims = mutate_claims.claims_of(path, cells)  # raises where a text is not there, or twice
    assert all(claim["old"] != claim["new"] for found in claims.values() for claim in found)
    for number, found in claims.items():
        for claim in found:
            compile(cells[number].replace(claim["old"], claim["new"]), claim["law"], "exec")


def test_every_linear_chapter_lists_its_laws():
    assert LISTED[: len(LINEAR)] == LINEAR
