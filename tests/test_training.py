"""Mini-batch training: the loss-based schedule, records, snapshots, divergence, and resuming to the last bit."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mpmath as mp
import numpy as np
import pytest
import torch

import margin_lab as ml
from margin_lab.optim import LossBasedLR
from margin_lab.runs.objective import Objective
from margin_lab.runs.training_result import COLUMNS, Training

DATA = ml.datasets.digits(n=80)
X, Y = DATA.X - DATA.X.mean(0), DATA.y
X_TEST = DATA.X_test - DATA.X.mean(0)

OPTIMIZERS: dict[str, Callable[[Any], torch.optim.Optimizer]] = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.1),
    "momentum": lambda p: torch.optim.SGD(p, lr=0.02, momentum=0.9),
    "adam": lambda p: torch.optim.Adam(p, lr=1e-3),
    "ngd": lambda p: ml.optim.NormalizedGD(p, lr=0.1),
    "gd": lambda p: ml.optim.GD(p, lr=0.1),
    "sign": lambda p: ml.optim.SteepestDescent(p, lr=1e-3, norm="linf", normalized=True),
}


def net(**options: Any) -> ml.models.MLP:
    return ml.models.MLP([64, 16, 16, 10], **options)


def train(epochs: int = 40, model: Any = None, **options: Any) -> Training:
    options = {"batch_size": 20, "schedule": "loss_based", **options}
    return ml.train_network(model or net(), X, Y, epochs, **options)


FITTED = train(60)


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


def test_the_schedule_keeps_what_lowers_the_loss_and_takes_back_what_does_not() -> None:
    w = torch.nn.Parameter(torch.tensor([1.0, 2.0], dtype=torch.float64))
    optimizer = torch.optim.SGD([{"params": [w]}], lr=0.5, momentum=0.9)
    schedule = LossBasedLR(optimizer, up=2.0, down=3.0)
    schedule.start(-1.0)

    def step() -> None:
        optimizer.zero_grad()
        (w**2).sum().backward()
        optimizer.step()

    step()
    first, momentum = w.detach().clone(), optimizer.state[w]["momentum_buffer"].clone()
    assert schedule.step(-2.0)
    assert optimizer.param_groups[0]["lr"] == schedule.alpha == 1.0 and schedule.log_frame == -2.0
    for bad in (-1.9, math.nan, math.inf):
        step()
        assert not torch.equal(w, first)
        assert not schedule.step(bad)
        assert torch.equal(w, first) and torch.equal(optimizer.state[w]["momentum_buffer"], momentum)
    assert schedule.rejected == 3 and math.isclose(schedule.alpha, 1.0 / 27)
    assert schedule.step(-2.0)  # an equal loss is kept


def test_the_relative_loss_is_the_loss_over_its_frame() -> None:
    schedule = LossBasedLR(torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=0.1))
    with pytest.raises(ValueError, match="call start"):
        schedule.step(-1.0)
    schedule.start(-2000.0)
    each = torch.tensor([-2000.0, -2001.0], dtype=torch.float64)
    assert math.isclose(float(schedule.relative_loss(each)), (1 + math.exp(-1)) / 2)


def test_the_schedules_errors() -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=0.1)
    for bad in (1.0, 0.5, math.inf, math.nan):
        with pytest.raises(ValueError, match="down must be a factor > 1"):
            LossBasedLR(optimizer, down=bad)
    with pytest.raises(ml.DivergedError, match="start is not finite"):
        LossBasedLR(optimizer).start(math.inf)
    with pytest.raises(ValueError, match="no state of a LossBasedLR"):
        LossBasedLR(optimizer).load_state_dict({"factor": 1.0})


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_loss_never_rises_under_the_schedule(name: str) -> None:
    run = train(40, optimizer=OPTIMIZERS[name])
    assert (np.diff(run.log_loss) <= 0).all()
    assert run.log_loss[-1] < run.log_loss[0] - 0.3 and 0 < run.rejected[-1] < 40


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


def test_records_and_snapshots() -> None:
    run = train(150, snapshots=(-1, -2, -3, -5000), X_test=X_TEST, y_test=DATA.y_test, up=2**0.1)
    assert run.epochs[0] == 0 and run.epochs[-1] == 150 and (np.diff(run.epochs) > 0).all()
    assert list(run.snapshots) == [-1, -2, -3] and run.epoch_below(-5000) is None
    for power, snapshot in run.snapshots.items():
        at = run.epochs.tolist().index(snapshot.epoch)
        assert (
            run.log10_loss[at] < power <= run.log10_loss[at - 1] and run.epoch_below(power) == snapshot.epoch
        )
        model = run.model(power)
        assert math.isclose(
            ml.log_loss(model(torch.tensor(X)), Y, "cross_entropy", "mean").item(), snapshot.log_loss
        )
    model = run.model()
    assert math.isclose(ml.normalized_margin(model, X, Y), run.margin[-1], rel_tol=1e-12)
    assert math.isclose(
        ml.smoothed_margin(model, X, Y, loss="cross_entropy"), run.smoothed_margin[-1], rel_tol=1e-9
    )
    norms = [float(layer.weight.detach().norm()) for layer in model.layers]
    assert math.isclose(run.layer_margin[-1], run.q_min[-1] / math.prod(norms), rel_tol=1e-12)
    hits = model(torch.tensor(X_TEST)).argmax(1).numpy() == DATA.y_test
    assert run.test_accuracy[-1] == hits.mean() and run.accuracy[-1] == 1
    with pytest.raises(ValueError, match="no snapshot below 1e-4"):
        run.model(-4)
    again = Training.from_dict(run.to_dict())
    np.testing.assert_allclose(again.margin, run.margin, rtol=1e-5)
    assert again.epoch_below(-3) == run.epoch_below(-3)
    with pytest.raises(ValueError, match="holds no parameters"):
        again.model()


def test_stops_below_the_loss_asked_for() -> None:
    run = train(200, until_log10=-1)
    assert run.status == "reached" and run.log10_loss[-1] < -1 <= run.log10_loss[-2]


def at_loss(log10: float, dtype: torch.dtype = torch.float64) -> ml.models.MLP:
    """A network that fits the data, its last layer scaled so that the loss is near ``10^log10``."""
    model = ml.models.model_with(net(), FITTED.theta)
    with torch.no_grad():
        # the loss is near exp(-q_min) / n
        model.layers[-1].weight *= -(log10 * math.log(10) + math.log(len(X))) / FITTED.q_min[-1]
    return model.to(dtype)


def test_training_at_1e_800_against_mpmath() -> None:
    """The network's loss, recomputed from its outputs with 60 digits, and training on from there."""
    model = at_loss(-800)
    run = train(12, model=model, lr=1e-5)
    with mp.workdps(60):
        f = model(torch.tensor(X)).detach().tolist()
        each = [
            mp.log1p(mp.fsum(mp.exp(mp.mpf(v) - mp.mpf(row[k])) for j, v in enumerate(row) if j != k))
            for row, k in zip(f, Y, strict=True)
        ]
        exact = mp.log(mp.fsum(each) / len(each))
        assert abs(exact - mp.mpf(float(run.log_loss[0]))) < 1e-14 * abs(exact)
    assert (np.diff(run.log_loss) <= 0).all() and run.log10_loss[-1] < run.log10_loss[0] < -800


@pytest.mark.parametrize(("dtype", "alive", "dead"), [(torch.float32, -5, -10), (torch.float64, -13, -18)])
def test_the_naive_loss_dies_where_its_dtype_does(dtype: torch.dtype, alive: float, dead: float) -> None:
    run = train(4, model=at_loss(alive, dtype), loss="naive")
    assert run.status == "finished" and abs(run.log10_loss[0] - alive) < 0.5
    run = train(4, model=at_loss(dead, dtype), loss="cross_entropy", lr=1e-5)
    assert abs(run.log10_loss[0] - dead) < 0.5 and run.log_loss[-1] < run.log_loss[0]
    with pytest.raises(ml.DivergedError, match="loss at the start is not finite"):
        train(4, model=at_loss(dead, dtype), loss="naive")


def test_a_naive_loss_that_becomes_0_ends_the_run() -> None:
    run = train(60, model=at_loss(-15.5), loss="naive", lr=1e-3)
    assert run.status == "underflowed" and run.log_loss[-1] == -math.inf and run.log10_loss[-2] > -18
    assert run.to_dict()["columns"]["log_loss"][-1] is None


def test_divergence_is_one_clear_error_and_the_schedule_survives_it() -> None:
    deep = ml.models.MLP([64, *[32] * 8, 10], scale=2.0)
    options: dict[str, Any] = dict(model=deep, lr=1e6, loss="exponential")
    with pytest.raises(ml.DivergedError, match='diverged in epoch 1: .*lower lr.*"loss_based"'):
        train(5, schedule="constant", **options)
    run = train(60, **options)
    assert run.rejected[-1] > 10 and np.isfinite(run.log_loss).all()
    broken = net()
    with torch.no_grad():
        broken.layers[0].weight[0, 0] = math.nan
    with pytest.raises(ValueError, match="the outputs at the start contains NaN"):
        train(5, model=broken)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(y=np.full(80, 10)), "whole class indices from 0 to 9"),
        (dict(y=np.full(80, -1)), "whole class indices from 0 to 9"),
        (dict(y=Y[:10]), "do not match"),
        (dict(X=X * np.nan), "X contains NaN"),
        (dict(X_test=X_TEST, y_test=DATA.y_test + 5), "whole class indices"),
        (dict(schedule="cosine"), "schedule must be one of"),
        (dict(loss="hinge"), "loss must be one of"),
        (dict(lr=-1.0), "lr must be > 0"),
        (dict(epochs=-1), "epochs must be a whole number"),
        (dict(batch_size=0), "batch_size must be a whole number >= 1"),
        (dict(up=1.0, schedule="loss_based"), "up must be a factor > 1"),
        (dict(device="tpu"), "device must be"),
        (dict(checkpoint_seconds=-1.0), "checkpoint_seconds must be >= 0"),
    ],
)
def test_errors(change: dict[str, Any], message: str) -> None:
    call = {"X": X, "y": Y, "epochs": 1, **change}
    with pytest.raises(ValueError, match=message):
        ml.train_network(net(), **call)


def test_one_output_with_signs() -> None:
    data = ml.datasets.digits_pair(0, 1)
    model = ml.models.MLP([data.X.shape[1], 16, 1])
    for loss in ("exponential", "logistic"):
        run = ml.train_network(model, data.X, data.y, 30, loss=loss, schedule="loss_based", batch_size=60)
        assert run.accuracy[-1] == 1 and math.isclose(
            ml.normalized_margin(run.model(), data.X, data.y), run.margin[-1]
        )
        full = ml.log_loss(run.model()(torch.tensor(data.X)), data.y, loss, "mean").item()
        assert math.isclose(full, run.log_loss[-1], rel_tol=1e-12)
    with pytest.raises(ValueError, match="cross-entropy takes outputs"):
        ml.train_network(model, data.X, data.y, 1)


def test_a_network_with_biases_everywhere_has_layer_margins_only() -> None:
    run = train(3, model=net(bias="all"))
    assert run.degree is None and run.layer_margin.shape == run.epochs.shape
    with pytest.raises(ValueError, match="not homogeneous"):
        _ = run.margin
    smooth = train(3, model=net(activation="tanh"))
    with pytest.raises(ValueError, match="no degrees"):
        _ = smooth.layer_margin


def test_float32_parameters_train_as_deep() -> None:
    run = train(30, model=at_loss(-100, torch.float32), lr=1e-4)
    assert (
        run.theta.dtype == torch.float32 and run.log10_loss[-1] < -101 and (np.diff(run.log_loss) <= 0).all()
    )


def test_the_closed_gradient_of_the_relative_cross_entropy() -> None:
    objective = Objective("cross_entropy", torch.float64)
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(12) % 4
    for shift, frame in ((0.0, 0.0), (3.0, -2.0), (40.0, -39.0), (2000.0, -1995.0), (-50.0, 60.0)):
        f = torch.randn(12, 4, dtype=torch.float64, generator=generator)
        f = f.scatter_add(1, y[:, None], torch.full((12, 1), shift, dtype=torch.float64)).requires_grad_()
        value = objective.relative(f, y, frame)
        (grad,) = torch.autograd.grad(value, f)
        reference = torch.exp(objective.log_each(f, y) - frame).mean()
        torch.testing.assert_close(value, reference, rtol=1e-11, atol=0)
        torch.testing.assert_close(grad, torch.autograd.grad(reference, f)[0], rtol=1e-10, atol=1e-300)


@pytest.mark.parametrize("name", ["momentum", "adam"])
def test_a_momentum_that_points_uphill_is_given_up(name: str) -> None:
    """From a stale state no rate is small enough; with the state emptied, one is."""
    w = torch.nn.Parameter(torch.tensor([0.0], dtype=torch.float64))
    optimizer = OPTIMIZERS[name]([w])

    def epoch(slope: float) -> None:
        for _ in range(2):
            optimizer.zero_grad()
            (slope * w).sum().backward()
            optimizer.step()

    epoch(1000.0)  # a momentum towards smaller w
    schedule = LossBasedLR(optimizer, patience=3)
    schedule.start(0.0)
    kept = []
    before = w.item()
    for _ in range(4):
        epoch(-1.0)  # now downhill is towards larger w
        kept.append(schedule.step(before - w.item()))
    assert kept == [False, False, False, True] and w.item() > before


def test_adam_gets_on_only_with_patience() -> None:
    stuck, moving = (train(60, optimizer=OPTIMIZERS["adam"], patience=k) for k in (10_000, 5))
    assert moving.log_loss[-1] < 1.5 * stuck.log_loss[-1]
