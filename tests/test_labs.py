"""Labs: cases kept one by one, resumed without a difference, recorded with where they come from; intervals over seeds."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from margin_lab.book.intervals import interval, paired
from margin_lab.book.labs import VARIABLE, Lab, column
from margin_lab.book.recordings import load, provenance
from margin_lab.book.recordings.places import DATA

BOOK = Path(__file__).resolve().parent.parent / "book"
CALLS: list[int] = []


def declared(scale: str = "full") -> dict[str, dict[str, Any]]:
    """Name and parameters at one scale of every lab in the book, as the notebooks' parameter cells make them."""
    found: dict[str, dict[str, Any]] = {}

    def stand_in(name: str, **scales: Any) -> None:
        found[name] = json.loads(json.dumps(scales[scale]))

    for path in BOOK.glob("13*.ipynb"):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        code = ["\n" + "".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
        (cell,) = [source for source in code if "\nlab = ml.labs.Lab(" in source]
        end = cell.index("\n)", cell.index("\nlab = ml.labs.Lab(")) + 2
        exec(cell[:end], {"np": np, "ml": SimpleNamespace(labs=SimpleNamespace(Lab=stand_in))})
    return found


def square(x: int, shift: float) -> dict[str, Any]:
    CALLS.append(x)
    return {"y": np.float64(x**2 + shift), "path": torch.arange(x), "fits": np.bool_(x > 1)}


def lab(folder: Path, scale: str, **parameters: Any) -> Lab:
    full = {"shift": 0.5, "size": 3, **parameters}
    quick = {"shift": 0.25, "size": 2}
    return Lab(
        "square", quick=quick, full=full, scale=scale, folder=folder, work=folder / "work", device="cpu"
    )


def run(study: Lab) -> dict[str, Any]:
    study.measure(square, study.cases(x=range(1, 1 + study["size"]), shift=[study["shift"]]))
    return study.results()


def test_quick_results_and_the_recorded_full_ones(tmp_path: Path) -> None:
    quick = lab(tmp_path, "quick")
    assert "Not recorded with these parameters yet" in quick.says() and list(run(quick)) == ["quick"]
    full = run(lab(tmp_path, "full"))["full"]
    both = run(quick)
    assert both["full"] == full and column(both["full"]["square"], "y").tolist() == [1.5, 4.5, 9.5]
    assert column(both["quick"]["square"], "y", x=2).tolist() == [4.25]
    assert both["quick"]["square"][1] == {"x": 2, "shift": 0.25, "y": 4.25, "path": [0, 1], "fits": True}
    content = json.loads((tmp_path / "lab_square_full.json").read_text(encoding="utf-8"))
    assert content["parameters"] == {"shift": 0.5, "size": 3} and content["provenance"]["machine"]
    assert content["provenance"]["command"] == "MARGIN_LAB_SCALE=full jupyter execute square.ipynb"
    assert f"{VARIABLE}=full jupyter execute square.ipynb" in quick.says()


def test_a_killed_run_continues_where_it_was(tmp_path: Path) -> None:
    first = lab(tmp_path, "full")
    CALLS.clear()
    first.measure(square, first.cases(x=[1, 2], shift=[0.5]))
    assert not first.file.exists()
    run(lab(tmp_path, "full"))
    assert CALLS == [1, 2, 3]
    assert column(run(lab(tmp_path, "full"))["full"]["square"], "x").tolist() == [1, 2, 3]
    run(lab(tmp_path, "full", shift=0.75))
    assert CALLS == [1, 2, 3, 1, 2, 3], "other parameters are another run"


def test_a_results_file_of_other_parameters_is_not_this_labs(tmp_path: Path) -> None:
    run(lab(tmp_path, "full"))
    assert list(run(lab(tmp_path, "quick", shift=0.75))) == ["quick"]


def test_what_the_book_has_recorded_is_found_from_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    full = declared()["batch_size"]
    study = Lab("batch_size", quick=full, full=full, scale="quick")
    assert study.says().startswith("Recorded on 20") and study.recorded() is not None
    for name in ("mnist_cnn", "robustness", "compare_solvers"):
        assert load(name) is not None


def test_the_scale_comes_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "full")
    assert Lab("x", quick={"n": 1}, full={"n": 2}, folder=tmp_path)["n"] == 2
    monkeypatch.setenv(VARIABLE, "huge")
    with pytest.raises(ValueError, match="scale must be"):
        Lab("x", quick={}, full={})


def test_every_lab_is_recorded_with_the_parameters_of_its_notebook() -> None:
    labs = declared()
    assert len(labs) == 7
    recorded = {name: DATA / f"lab_{name}_full.json" for name in labs}
    found = {name: json.loads(path.read_text(encoding="utf-8")) for name, path in recorded.items()}
    assert {name: content["parameters"] for name, content in found.items()} == labs
    commits = {name: content["provenance"]["commit"] for name, content in found.items()}
    assert not [name for name, commit in commits.items() if "with changes" in commit]


def test_the_commit_is_marked_where_what_numbers_depend_on_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package, notebook = tmp_path / "margin_lab/module.py", tmp_path / "book/study.ipynb"
    room = tmp_path / "margin_lab/book/recordings"
    for file in (package, notebook, room / "data/old.json"):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("first")
    monkeypatch.setattr(provenance, "__file__", str(room / "provenance.py"))
    assert provenance.commit_here(notebook) is None, "no repository"
    author = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    for command in (["init", "-q"], ["add", "."], [*author, "commit", "-q", "-m", "first"]):
        subprocess.run(["git", "-C", str(tmp_path), *command], check=True)
    clean = provenance.commit_here(notebook)
    assert clean is not None and "with changes" not in clean
    for results in ("old", "new"):
        (room / f"data/{results}.json").write_text("second")
    assert provenance.commit_here() == clean, "no number depends on results files"
    notebook.write_text("second")
    assert provenance.commit_here() == clean
    assert provenance.commit_here(notebook) == f"{clean}, with changes"
    package.write_text("second")
    assert provenance.commit_here() == f"{clean}, with changes"


def test_bad_use_is_said(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"only one of them has \['b'\]"):
        Lab("x", quick={"a": 1}, full={"a": 1, "b": 2})
    study = lab(tmp_path, "quick")
    with pytest.raises(ValueError, match="parameter must be"):
        study["sise"]
    with pytest.raises(ValueError, match="the result of"):
        study.measure(lambda x: {"y": float("nan")}, study.cases(x=[1]))
    with pytest.raises(ValueError, match="which a file can keep"):
        study.measure(lambda x: {"y": object()}, study.cases(x=[1]))
    with pytest.raises(ValueError, match="no row has"):
        column([{"a": 1}], "a", a=2)
    with pytest.raises(ValueError, match="they have a"):
        column([{"a": 1}], "b")


def test_intervals() -> None:
    found = paired([1.0, 2.0, 4.0], [0.0, 2.0, 1.0])
    assert (round(found.mean, 6), found.wins) == (round(4 / 3, 6), 2)
    assert found.half == pytest.approx(4.302653 * np.std([1, 0, 3], ddof=1) / np.sqrt(3), rel=1e-6)
    assert found.verdict == "uncertain" and found.low < 0 < found.high
    assert interval([1.0, 1.1]).verdict == "higher" and interval([-1.0, -1.1]).verdict == "lower"
    assert str(interval([1.0, 1.0])) == "1 [1, 1]"
    with pytest.raises(ValueError, match="Run more seeds"):
        interval([1.0])
    with pytest.raises(ValueError, match="one length"):
        paired([1.0, 2.0], [1.0])


def test_a_claim_is_asserted_with_the_books_parameters_and_reported_with_others(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    quick, full = declared("quick")["start"], declared()["start"]
    book = Lab("start", quick=quick, full=full)
    assert book.own and book.expect(np.bool_(True), "all is well")
    with pytest.raises(AssertionError, match="this does not hold: the sky is green"):
        book.expect(np.bool_(False), "the sky is green")
    for fork in (
        Lab("start", quick={**quick, "seeds": 3}, full=full),
        Lab("start", quick=quick, full={**full, "seeds": 3}),
        Lab("my_start", quick=quick, full=full),
        lab(tmp_path, "quick"),
    ):
        assert not fork.own and fork.expect(1 < 2, "two is more than one")
        assert not fork.expect(False, "the sky is green")
        assert capsys.readouterr().out == "with your parameters this does not hold: the sky is green\n"


def test_the_quick_parameters_that_the_package_knows_are_those_of_the_notebooks() -> None:
    known = json.loads((DATA / "labs.json").read_text(encoding="utf-8"))
    assert known == declared("quick"), "write margin_lab/book/recordings/data/labs.json anew"
