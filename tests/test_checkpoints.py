"""A training resumed from its checkpoint ends as the uninterrupted one, to the last bit; one of another run is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from training_runs import DATA, OPTIMIZERS, X_TEST, net, train

from margin_lab.runs.training.result import COLUMNS, Training


def same(a: Training, b: Training) -> None:
    """To the last bit, but for the seconds."""
    assert a.status == b.status
    for name in COLUMNS:
        np.testing.assert_array_equal(a.columns[name], b.columns[name], err_msg=name)
    for name in a.layer_norms:
        np.testing.assert_array_equal(a.layer_norms[name], b.layer_norms[name])
    assert torch.equal(a.theta, b.theta)
    assert a.snapshots.keys() == b.snapshots.keys()
    for power, snapshot in a.snapshots.items():
        other = b.snapshots[power]
        assert (snapshot.epoch, snapshot.log_loss) == (other.epoch, other.log_loss)
        assert torch.equal(snapshot.theta, other.theta)


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("schedule", ["constant", "loss_based"])
def test_resuming_continues_to_the_last_bit(name: str, schedule: str, tmp_path: Path) -> None:
    options: dict[str, Any] = dict(
        optimizer=OPTIMIZERS[name], schedule=schedule, snapshots=(-0.5, -1), X_test=X_TEST, y_test=DATA.y_test
    )
    whole = train(12, **options)
    path = tmp_path / "run.pt"
    for epochs in (0, 7, 12, 12):
        part = train(epochs, checkpoint=path, **options)
    same(part, whole)
    assert list(tmp_path.iterdir()) == [path]


def test_dropout_draws_go_on_where_they_were_and_leave_the_callers_alone(tmp_path: Path) -> None:
    model = torch.nn.Sequential(
        torch.nn.Linear(64, 16, dtype=torch.float64),
        torch.nn.Dropout(0.5),
        torch.nn.Linear(16, 10, dtype=torch.float64),
    )
    before = torch.get_rng_state()
    options = dict(model=model, schedule="constant", lr=0.05)
    whole = train(9, **options)
    train(4, checkpoint=tmp_path / "run.pt", **options)
    same(train(9, checkpoint=tmp_path / "run.pt", **options), whole)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_checkpoint_of_another_run_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.pt"
    train(2, checkpoint=path)
    for other in (
        dict(seed=1),
        dict(model=net(seed=1)),
        dict(lr=0.2),
        dict(snapshots=[-1]),
        dict(loss="logistic"),
    ):
        with pytest.raises(ValueError, match="checkpoint of another run"):
            train(2, checkpoint=path, **other)
    path.write_bytes(b"nothing")
    with pytest.raises(ValueError, match="is no checkpoint"):
        train(2, checkpoint=path)
