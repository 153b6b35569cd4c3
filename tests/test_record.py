"""Recorded runs: killed at any moment and resumed, the numbers are the same; results say where they come from."""

from __future__ import annotations

import datetime as dt
import json
import multiprocessing
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from margin_lab.book.recordings import recorder
from margin_lab.book.recordings.images import RECORDINGS
from margin_lab.book.recordings.places import DATA


def numbers(path: Path) -> dict[str, Any]:
    """A results file without what depends on when it was made."""
    content = json.loads(path.read_text(encoding="utf-8"))
    del content["provenance"]
    for run in content["runs"].values():
        del run["seconds"]
    return content


def start(folder: Path) -> Any:
    """The recording in a process of its own, forked by a server that imports torch only once."""
    context = multiprocessing.get_context("forkserver")
    # the latter two are imported at the first optimizer step and the first data
    context.set_forkserver_preload(
        ["margin_lab.book.recordings.recorder", "torch._dynamo", "sklearn.datasets"]
    )
    folders = (folder, folder / "checkpoints", 0.0)
    process = context.Process(target=recorder.record, args=("mnist_cnn", "quick", "cpu", *folders))
    process.start()
    return process


def test_killed_and_resumed_gives_the_same_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # as many threads as here, since sums depend on it
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("MARGIN_LAB_STATIC", "1")
    whole = numbers(
        recorder.record("mnist_cnn", "quick", "cpu", tmp_path / "whole", tmp_path / "checkpoints")
    )
    killed = tmp_path / "killed"
    for run, saves in (("constant", 2), ("loss_based", 5), ("biases", 3)):
        process = start(killed)
        file = killed / "checkpoints/mnist_cnn_quick" / f"{run}.pt"
        seen: set[int] = set()
        deadline = time.monotonic() + 120
        while len(seen) < saves and process.is_alive() and time.monotonic() < deadline:
            if file.exists():
                seen.add(file.stat().st_mtime_ns)
            time.sleep(0.002)
        process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL, "it ended before it was killed"
        assert not (killed / "mnist_cnn_quick.json").exists()
    process = start(killed)
    process.join()
    assert process.exitcode == 0
    assert numbers(killed / "mnist_cnn_quick.json") == whole
    assert set(whole["runs"]) == {"constant", "loss_based", "biases"} and "digits" in whole["description"]


def test_where_the_numbers_come_from(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folders = ["--out", str(tmp_path), "--checkpoints", str(tmp_path / "checkpoints")]
    recorder.main(["cifar_vgg16", "--scale", "quick", "--device", "cpu", *folders])
    path = tmp_path / "cifar_vgg16_quick.json"
    assert capsys.readouterr().out.splitlines()[-1] == str(path)
    p = json.loads(path.read_text(encoding="utf-8"))["provenance"]
    assert p["command"] == "python -m margin_lab.record cifar_vgg16 --scale quick --device cpu"
    assert p["date"] == dt.datetime.now(dt.UTC).date().isoformat() and p["seed"] == 0 and p["machine"]
    assert set(p["versions"]) == {"torch", "numpy", "scikit-learn"} and p["seconds"] > 0
    found = recorder.load("cifar_vgg16", ("paper", "quick"), tmp_path)
    assert found is not None and recorder.load("cifar_vgg16", ("paper",), tmp_path) is None
    assert f"Recorded on {p['date']}, the day this page was built, by `{p['command']}`" in found.says()
    run = found.runs["loss_based"]
    assert run.degree == 14 and len(run.layer_norms) == 14 and np.isfinite(run.layer_margin).all()


def test_errors(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="name must be one of 'mnist_cnn'"):
        recorder.record("mnist", out=tmp_path)
    with pytest.raises(ValueError, match="scale must be one of"):
        recorder.record("mnist_cnn", "huge", out=tmp_path)


@pytest.mark.parametrize("path", sorted(DATA.glob("*_*.json")), ids=lambda path: path.stem)
def test_the_books_recorded_files_can_be_made_again(path: Path) -> None:
    """Each says by which command, at which commit."""
    content = json.loads(path.read_text(encoding="utf-8"))
    p = content["provenance"]
    if "scale" not in content or path.stem.startswith("lab_"):
        pytest.skip("made by a benchmark or by a lab's notebook, not by margin_lab.record")
    assert path.stem == f"{content['name']}_{content['scale']}" and content["name"] in RECORDINGS
    assert content["name"] in p["command"] and p["commit"] and p["date"]
