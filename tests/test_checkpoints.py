"""A training resumed from its checkpoint ends as the uninterrupted one, to the last bit; one of another run is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from training_runs import DATA, OPTIMIZERS, X_TEST, net, train

import margin_lab as ml
from margin_lab.runs.training.result import COLUMNS, Training


def same(a: Training, b: Training) -> None:
    """To the last bit, but for the seconds."""
    assert a.status == b.status
    for name in COLUMNS:
        np.testing.assert_array_equal(a.columns[name], b.columns[name], err_msg=name)
    for name in a.layer_norms:
        np.testing.assert_array_equal(a.layer_norms[name], b.layer_norms[name])
    assert torch.equal(a.theta, b.theta)
    assert a.buffers.keys() == b.buffers.keys()
    assert all(torch.equal(v, b.buffers[k]) for k, v in a.buffers.items())
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


def norm_net(dtype: torch.dtype = torch.float64) -> torch.nn.Module:
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Linear(64, 16), torch.nn.BatchNorm1d(16), torch.nn.ReLU(), torch.nn.Linear(16, 10)
    ).to(dtype)


def test_buffers_are_part_of_the_state(tmp_path: Path) -> None:
    options: dict[str, Any] = dict(lr=0.05, snapshots=(0,))
    for schedule in ("constant", "loss_based"):
        path = tmp_path / f"{schedule}.pt"
        whole = train(9, norm_net(), schedule=schedule, **options)
        train(4, norm_net(), schedule=schedule, checkpoint=path, **options)
        same(train(9, norm_net(), schedule=schedule, checkpoint=path, **options), whole)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_has_checkpoints_too(dtype: torch.dtype, tmp_path: Path) -> None:
    model = net(dtype=dtype)
    train(2, model, schedule="constant", lr=0.01, checkpoint=tmp_path / "run.pt")
    whole = train(4, model, schedule="constant", lr=0.01)
    same(train(4, model, schedule="constant", lr=0.01, checkpoint=tmp_path / "run.pt"), whole)


class Doubled(torch.nn.Module):
    """Two classes of one name, whose code alone differs."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 2 * x


class Halved(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x / 2


Halved.__qualname__ = Doubled.__qualname__


def layers(*between: torch.nn.Module, frozen: bool = False) -> torch.nn.Module:
    torch.manual_seed(0)
    first = torch.nn.Linear(64, 16, bias=False)
    first.weight.requires_grad_(not frozen)
    return torch.nn.Sequential(first, *between, torch.nn.Linear(16, 10, bias=False)).double()


RELU, TANH, SGD = torch.nn.ReLU(), torch.nn.Tanh(), torch.optim.SGD


def groups(second: float) -> Any:
    return lambda p: SGD([{"params": p[:1]}, {"params": p[1:], "lr": second}], lr=0.1)


@pytest.mark.parametrize(
    ("before", "now", "message"),
    [
        (dict(seed=0), dict(seed=1), "seed was 0 and is 1"),
        (dict(lr=0.1), dict(lr=0.2), "lr was 0.1 and is 0.2"),
        (dict(), dict(model=net(seed=1)), "the start was"),
        (dict(), dict(snapshots=[-1]), r"snapshots was \[\] and is \[-1.0\]"),
        (dict(loss="cross_entropy"), dict(loss="logistic"), "loss was cross_entropy and is logistic"),
        (dict(), dict(reduction="sum"), "reduction was mean and is sum"),
        (dict(), dict(up=1.1), "up was .* and is 1.1"),
        (dict(), dict(loss_dtype=torch.float32), "loss_dtype was torch.float64 and is torch.float32"),
        (
            dict(),
            dict(X_test=X_TEST, y_test=DATA.y_test),
            "X_test was None and is 'float64|X_test was None and is float64",
        ),
        (dict(model=layers(RELU)), dict(model=layers(TANH)), "module 1 was ReLU.* and is Tanh"),
        (dict(model=net()), dict(model=net(activation="relu2")), "module model was MLP.*'relu'.*'relu2'"),
        (dict(model=layers(Doubled())), dict(model=layers(Halved())), "the network's code differs"),
        (dict(model=layers()), dict(model=layers(frozen=True)), "parameters was 1184 and is 160"),
        (
            dict(model=layers(torch.nn.Dropout(0.1))),
            dict(model=layers(torch.nn.Dropout(0.2))),
            r"p=0.1.* and is Dropout\(p=0.2",
        ),
        (
            dict(optimizer=lambda p: ml.optim.Adam(p, lr=0.1, beta1=0.9)),
            dict(optimizer=lambda p: ml.optim.Adam(p, lr=0.1, beta1=0.0)),
            "beta.* of .* was .*0.9.* and is .*0.0",
        ),
        (
            dict(optimizer=lambda p: ml.optim.PRGD(p, norm="l2", radii=ml.optim.exponential_radii(1.2))),
            dict(optimizer=lambda p: ml.optim.PRGD(p, norm="linf", radii=ml.optim.exponential_radii(1.2))),
            "norm of .* was .* and is",
        ),
        (
            dict(optimizer=lambda p: ml.optim.SteepestDescent(p, lr=0.1, norm="l1")),
            dict(optimizer=lambda p: ml.optim.SteepestDescent(p, lr=0.1, norm="linf")),
            "norm of .* was .* and is",
        ),
        (dict(optimizer=groups(0.1)), dict(optimizer=groups(0.2)), "lr of group 1 was 0.1 and is 0.2"),
        (
            dict(optimizer=lambda p: SGD(p, lr=0.1, momentum=0.9)),
            dict(optimizer=lambda p: SGD(p, lr=0.1, momentum=0.8)),
            "momentum of group 0 was 0.9 and is 0.8",
        ),
    ],
)
def test_a_checkpoint_of_another_run_is_refused_by_what_differs(
    before: dict[str, Any], now: dict[str, Any], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "run.pt"
    train(1, checkpoint=path, **before)
    train(1, checkpoint=path, **before)
    with pytest.raises(ValueError, match=f"checkpoint of another run: .*({message})"):
        train(1, checkpoint=path, **{**before, **now})


def test_a_file_that_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.pt"
    path.write_bytes(b"nothing")
    with pytest.raises(ValueError, match="is no checkpoint"):
        train(2, checkpoint=path)
    torch.save({"version": 1, "fingerprint": ""}, path)
    with pytest.raises(ValueError, match="is a checkpoint of format 1, .* delete it"):
        train(2, checkpoint=path)
