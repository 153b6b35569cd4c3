"""Teacher-student data and experiment: the data's law, starts, one algorithm each, and the recording at its quick scale."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import margin_lab as ml
from margin_lab.book.recordings.recorder import record
from margin_lab.book.recordings.teacher_student import ALGORITHMS, TeacherStudent


def test_teacher_data() -> None:
    data = ml.datasets.teacher(seed=3, n=400, d=12, neurons=2, active=2, n_test=100)
    assert data.X.shape == (400, 12)
    assert data.X_test is not None and data.X_test.shape == (100, 12)
    assert set(np.unique(data.y)) == {-1.0, 1.0}
    again = ml.datasets.teacher(seed=3, n=400, d=12, neurons=2, active=2, n_test=100)
    np.testing.assert_array_equal(data.X, again.X)
    assert not np.array_equal(data.X, ml.datasets.teacher(seed=4, n=400, d=12).X)
    # one hidden layer explains every label; at most four inputs matter
    W = ml.datasets.teacher_weights(3, d=12, neurons=2, active=2)
    assert ((W != 0).sum(1) == 2).all()
    hidden = np.maximum(data.X @ W.T, 0)
    sign = np.where(hidden[:, 0] > hidden[:, 1], 1.0, -1.0)
    assert (data.y == sign).all() or (data.y == -sign).all()
    both = ml.datasets.teacher(seed=0, n=200, d=8, neurons=4)
    assert 0.2 < (both.y > 0).mean() < 0.8


@pytest.mark.parametrize(
    ("kwargs", "words"),
    [
        ({"n": 0}, "n must be a whole number >= 1"),
        ({"d": 2, "active": 3}, "active must be at most d = 2, got 3"),
        ({"neurons": 0}, "neurons must be a whole number >= 1"),
    ],
)
def test_bad_teachers(kwargs: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        ml.datasets.teacher(**kwargs)


def test_starts() -> None:
    problem = TeacherStudent(range(3), n=10, d=5, width=200, n_test=10)
    gd, cd = problem.start(0.5), problem.start(0.5, "coordinate")
    assert gd.shape == (3, 200 * 6)
    assert float(gd[:, :1000].std()) == pytest.approx(0.5 / np.sqrt(5), rel=0.05)
    assert float(gd[:, 1000:].std()) == pytest.approx(0.5 / np.sqrt(200), rel=0.1)
    torch.testing.assert_close(cd[:, :1000], gd[:, :1000])
    assert float(cd[:, 1000:].std()) == pytest.approx(0.5 / np.sqrt(5), rel=0.1)


@pytest.mark.parametrize("name", ALGORITHMS)
def test_each_algorithm_steps_in_its_norm(name: str) -> None:
    problem = TeacherStudent(range(2), n=20, d=6, width=10, n_test=30)
    run = problem.run(name, 0.3, 40, record="all", keep="all")
    lengths = ml.norms.get_norm(ALGORITHMS[name].norm)(torch.tensor(np.diff(run.history, axis=1)))
    assert float(lengths.max()) == pytest.approx(ALGORITHMS[name].options["max_length"], rel=1e-9)
    assert run.test_accuracy.shape == run.accuracy.shape == (2, 41)
    onward = problem.run("sign", theta0=torch.tensor(run.theta), steps=5)
    assert onward.log_loss.shape[0] == 2
    with pytest.raises(ValueError, match="give the start either by scale or by theta0"):
        problem.run(name)


def test_recording(tmp_path: Path) -> None:
    file = record("teacher_student", "quick", "cpu", tmp_path, tmp_path / "checkpoints")
    content = ml.recordings.load("teacher_student", ("quick",), tmp_path)
    assert content is not None and file.exists()
    assert len(content.content["results"]) == 6
    assert {row["algorithm"] for row in content.content["results"]} == set(ALGORITHMS)
    assert all(len(row["margins"]["l1"]) == 3 for row in content.content["results"])
    before = sorted((tmp_path / "checkpoints" / "teacher_student_quick").iterdir())
    assert len(before) == 6  # what a killed run continues from
