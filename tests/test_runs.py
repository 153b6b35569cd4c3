"""Linear runs and sweeps: equal to the optimizers and the reference, batched in every axis, clear in every error."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import optimizers
import pytest
import reference
import torch
from optimizers import RUNNABLE, ids, problem, start

import margin_lab as ml
from margin_lab.runs import METHODS

STEPS = 40
every_row = pytest.mark.parametrize("row", RUNNABLE, ids=ids(RUNNABLE))
# Methods of networks' matrices: test_matrix_optimizers.py.
OF_MATRICES = ("spectral", "shampoo", "muon")
# Methods of run_linear that are no torch optimizer of ours: (options, reference, lr)
OTHERS: dict[str, tuple[dict[str, Any], Callable[..., np.ndarray], float]] = {
    "momentum": ({"momentum": 0.7}, partial(reference.momentum, beta=0.7), 0.5),
    "nacson": ({}, reference.nacson, 0.5),
    "loss_based": ({}, reference.loss_based, 8.0),
}


def data(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """``X`` and ``y`` with mixed labels whose signed rows are ``problem(seed)``."""
    y = np.random.default_rng(seed).choice([-1.0, 1.0], 12)
    return problem(seed) * y[:, None], y


def run_of(row: optimizers.Row, seed: int, **kwargs: Any) -> ml.Run:
    assert row.run
    method, options = row.run
    X, y = data(seed)
    w0 = start(row, seed)
    return ml.run_linear(X, y, method, kwargs.pop("steps", STEPS), lr=row.lr, w0=w0, **options, **kwargs)


def assert_close(a: np.ndarray, b: np.ndarray, rtol: float = 1e-12) -> None:
    assert a.shape == b.shape
    assert (np.abs(a - b).max(-1) / (1 + np.abs(b).max(-1))).max() <= rtol


# ---- equal to the reference and to the optimizers


@every_row
@pytest.mark.parametrize("seed", range(3))
def test_equals_the_reference(row: optimizers.Row, seed: int) -> None:
    run = run_of(row, seed, record="all")
    assert run.steps.tolist() == list(range(STEPS + 1))
    assert_close(run.w, row.path(problem(seed), row.lr, STEPS, start(row, seed)))
    assert run.status == "finished"


@every_row
def test_equals_the_reference_on_the_logistic_loss(row: optimizers.Row) -> None:
    run = run_of(row, 3, record="all", loss="logistic")
    assert_close(run.w, row.path(problem(3), row.lr, STEPS, start(row, 3), loss="logistic"))


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("loss", ["exponential", "logistic"])
def test_methods_without_an_optimizer_of_ours_equal_the_reference(name: str, loss: str) -> None:
    options, path, lr = OTHERS[name]
    X, y = data(4)
    run = ml.run_linear(X, y, name, STEPS, lr=lr, record="all", loss=loss, **options)
    assert_close(run.w, path(problem(4), lr, STEPS, np.zeros(4), loss))


@every_row
def test_equals_the_optimizers_loop(row: optimizers.Row) -> None:
    X, y = (torch.tensor(a) for a in data(5))
    w = torch.nn.Parameter(torch.tensor(start(row, 5)))
    optimizer = row.make([w], lr=row.lr)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        value = ml.log_loss(X @ w, y, reduction="mean")
        value.backward()
        return value

    path = [w.detach().numpy().copy()]
    for _ in range(STEPS):
        optimizer.step(closure)
        path.append(w.detach().numpy().copy())
    assert_close(run_of(row, 5, record="all").w, np.array(path))


def test_sgd_on_the_whole_batch_is_gradient_descent() -> None:
    X, y = data(6)
    sgd = partial(ml.run_linear, X, y, "sgd", STEPS, lr=0.5, record="all", batch_size=12)
    for seed in (0, 1):
        assert_close(sgd(seed=seed).w, ml.run_linear(X, y, "gd", STEPS, lr=0.5, record="all").w)
        assert_close(
            sgd(seed=seed, momentum=0.6).w, reference.momentum(problem(6), 0.5, STEPS, np.zeros(4), beta=0.6)
        )
        assert_close(
            sgd(seed=seed, normalized=True).w, ml.run_linear(X, y, "ngd", STEPS, lr=0.5, record="all").w
        )
    assert_close(sgd(batch_size=100).w, sgd().w)


def test_sgd_draws_by_seed_each_sample_once_an_epoch() -> None:
    X, y = np.eye(10), np.ones(10)
    run = partial(ml.run_linear, X, y, "sgd", 4, lr=1.0, record="all", batch_size=3)
    first = run(seed=1).w
    # orthogonal samples: an epoch of 3 + 3 + 3 + 1 moves each coordinate once, by lr / (size of its batch)
    moved = (np.diff(first, axis=0) > 0).sum(1)
    assert moved.tolist() == [3, 3, 3, 1]
    assert sorted(first[-1].tolist()) == pytest.approx([1 / 3] * 9 + [1.0])
    np.testing.assert_array_equal(run(seed=1).w, first)
    assert not np.array_equal(run(seed=2).w, first)


# ---- sweeps


@every_row
def test_a_sweeps_rows_equal_single_runs(row: optimizers.Row) -> None:
    assert row.run
    method, options = row.run
    X, y = data(7)
    w0 = start(row, 7)
    rates = [row.lr / 4, row.lr, 1.3 * row.lr]
    sweep = ml.sweep_linear(X, y, method, STEPS, lr=rates, w0=w0, **options)
    assert len(sweep) == 3
    assert sweep.w.shape == (3, len(sweep.steps), 4)
    for lr, one in zip(rates, sweep, strict=True):
        single = ml.run_linear(X, y, method, STEPS, lr=lr, w0=w0, **options)
        assert one.settings == single.settings
        assert one.settings["lr"] == lr
        for name in ("w", "margin", "log_loss", "norm"):
            a, b = getattr(one, name), getattr(single, name)
            np.testing.assert_allclose(a, b, rtol=4e-14, atol=4e-14 * np.abs(b).max(), err_msg=name)


def test_order_of_combinations() -> None:
    X, y = data(0)
    sweep = ml.sweep_linear(X, y, "prgd", 3, period=[2, 5, 6], lr=(0.1, 0.2), warmup=2)
    assert [(s["period"], s["lr"]) for s in sweep.settings] == [
        (2, 0.1), (2, 0.2), (5, 0.1), (5, 0.2), (6, 0.1), (6, 0.2),
    ]  # fmt: skip
    sweep = ml.sweep_linear(X, y, "ngd", 3, lr=np.array([0.1, 0.2]), form=["gradient", "loss"])
    assert [(s["lr"], s["form"]) for s in sweep.settings] == [
        (0.1, "gradient"), (0.1, "loss"), (0.2, "gradient"), (0.2, "loss"),
    ]  # fmt: skip
    assert len(ml.sweep_linear(X, y, "gd", 3, lr=torch.tensor([0.1, 0.2, 0.3]), seed=range(4))) == 12
    assert len(ml.sweep_linear(X, y, "gd", 3, lr=np.array(0.5))) == len(ml.sweep_linear(X, y, "gd", 3)) == 1


def test_every_hyperparameter_sweeps_row_by_row() -> None:
    X, y = data(1)
    schedules = [ml.optim.exponential_radii(1.2), ml.optim.polynomial_radii(1.1)]
    periods = [3, ml.optim.polynomial_periods(2, 0.5)]
    sweep = ml.sweep_linear(X, y, "prgd", 30, radii=schedules, period=periods, lr=[0.5, 1.0], warmup=7)
    for one in sweep:
        single = ml.run_linear(
            X, y, "prgd", 30, warmup=7, **{k: one.settings[k] for k in ("radii", "period", "lr")}
        )
        np.testing.assert_allclose(one.w, single.w, rtol=1e-13, atol=1e-13)
    mixed = ml.sweep_linear(X, y, "ngd", 30, form=["loss", "gradient"])
    for one in mixed:
        single = ml.run_linear(X, y, "ngd", 30, form=one.settings["form"])
        np.testing.assert_allclose(one.w, single.w, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("method", ["ngd", "prgd", "sign", "dual", "sgd"])
def test_batched_datasets_are_the_outermost_axis(method: str) -> None:
    sets = [data(seed) for seed in range(3)]
    X, y = np.stack([X for X, _ in sets]), np.stack([y for _, y in sets])
    X[1] *= 3  # a longest row beyond 1, which "dual" sees
    kwargs: dict[str, Any] = (
        {"warmup": 20} if method == "prgd" else {"batch_size": 5} if method == "sgd" else {}
    )
    sweep = ml.sweep_linear(X, y, method, 25, lr=[0.2, 0.9], **kwargs)
    assert [s["lr"] for s in sweep.settings] == [0.2, 0.9] * 3
    for b, one in enumerate(sweep):
        single = ml.run_linear(X[b // 2], y[b // 2], method, 25, lr=[0.2, 0.9][b % 2], **kwargs)
        np.testing.assert_allclose(one.w, single.w, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(one.margin, single.margin, rtol=1e-11, atol=1e-13)
        np.testing.assert_allclose(one.log_loss, single.log_loss, rtol=1e-11, atol=1e-13)


def test_starts() -> None:
    X, y = data(2)
    starts = np.random.default_rng(0).standard_normal((3, 4))
    sweep = ml.sweep_linear(X, y, "gd", 10, lr=[0.1, 0.2, 0.3], w0=starts)
    np.testing.assert_array_equal(sweep.w[:, 0], starts)
    shared = ml.sweep_linear(X, y, "gd", 10, lr=[0.1, 0.2, 0.3], w0=starts[1])
    np.testing.assert_array_equal(shared.w[:, 0], [starts[1]] * 3)
    np.testing.assert_allclose(shared.w[1], sweep.w[1], rtol=1e-14)
    before = starts.copy()
    assert np.array_equal(starts, before)


def test_one_row_diverges_and_the_others_go_on() -> None:
    d1 = ml.datasets.dataset_1()
    sweep = ml.sweep_linear(d1.X, d1.y, "gd", 50, lr=[0.5, 1e6, 1.0], record="all")
    assert sweep.status == ["finished", "diverged", "finished"]
    assert sweep.diverged_at[0] is sweep.diverged_at[2] is None
    t = sweep.diverged_at[1]
    assert t == 2
    assert (sweep.w[1, t:] == sweep.w[1, t - 1]).all()
    assert all(np.isfinite(getattr(sweep, name)).all() for name in ("w", "margin", "log_loss", "norm"))
    for b, lr in ((0, 0.5), (2, 1.0)):
        single = ml.run_linear(d1.X, d1.y, "gd", 50, lr=lr, record="all")
        np.testing.assert_allclose(sweep.w[b], single.w, rtol=1e-13, atol=1e-13)
    assert "diverged at step 50" in repr(sweep[1])


def test_a_diverged_row_with_a_schedule_stays_where_it_was() -> None:
    """After a radius of infinity the projected steps are finite again; the run must not come back to life."""
    d1 = ml.datasets.dataset_1()
    growths = [ml.optim.exponential_radii(1.2), ml.optim.exponential_radii(1e100)]
    sweep = ml.sweep_linear(d1.X, d1.y, "prgd", 40, radii=growths, warmup=50, record="all")
    assert sweep.status == ["finished", "diverged"]
    t = sweep.diverged_at[1]
    assert t == 5 * 4 + 1  # R_0 * 1e400
    assert (sweep.w[1, t:] == sweep.w[1, t - 1]).all()


def test_a_warm_up_that_diverges_is_a_run_that_diverged_at_its_start() -> None:
    d1 = ml.datasets.dataset_1()
    sweep = ml.sweep_linear(d1.X, d1.y, "prgd", 20, lr=[1.0, 1e6], warmup=50, record="all")
    assert sweep.diverged_at == [None, 0]
    assert (sweep.w[1] == sweep.w[1, 0]).all()


def test_run_linear_raises_where_it_diverges() -> None:
    d1 = ml.datasets.dataset_1()
    with pytest.raises(
        ml.DivergedError, match=r"gd with lr=1000000.0 diverged at step 2 \(log loss .* lower lr"
    ):
        ml.run_linear(d1.X, d1.y, "gd", 50, lr=1e6)
    with pytest.raises(
        ml.DivergedError, match="prgd with lr=1.0 diverged at step 21 .*grow the radius more slowly"
    ):
        ml.run_linear(d1.X, d1.y, "prgd", 40, radii=ml.optim.exponential_radii(1e100), warmup=50)


def test_only_a_method_with_a_radius_is_told_to_grow_it_slowly() -> None:
    d1 = ml.datasets.dataset_1()
    with pytest.raises(ml.DivergedError) as info:
        ml.run_linear(d1.X, d1.y, "gd", 50, lr=1e6)
    assert "radius" not in str(info.value)


@pytest.mark.parametrize("method", ["gd", "ngd", "dual", "prgd", "momentum"])
def test_data_at_which_outputs_overflow(method: str) -> None:
    d1 = ml.datasets.dataset_1()
    with pytest.raises(
        ValueError, match=rf"X has entries up to 9.9e\+199, .*'{method}' overflow .* divide X by its"
    ):
        ml.run_linear(1e200 * d1.X, d1.y, method, 50)
    assert ml.run_linear(1e200 * d1.X, d1.y, "certified", 500).status == "certified"


# ---- what is recorded


def test_records() -> None:
    X, y = data(0)
    run = partial(ml.run_linear, X, y, "ngd")
    every = run(500, record="all")
    assert every.steps.tolist() == list(range(501))
    log = run(500)
    assert (log.steps[0], log.steps[-1]) == (0, 500)
    assert (np.diff(log.steps) > 0).all()
    assert 100 < len(log.steps) <= 202
    assert len(run(10**4).steps) <= 202
    some = run(500, record=[300, 7, 0, 7])
    assert some.steps.tolist() == [0, 7, 300, 500]
    assert run(500, record=[]).steps.tolist() == [500]
    assert run(500, record=np.array([3])).steps.tolist() == [3, 500]
    for other in (log, some):
        for name in ("w", "margin", "log_loss", "norm"):
            # the iterates are the same; what is computed of them may round differently in another batch shape
            np.testing.assert_allclose(
                getattr(other, name), getattr(every, name)[other.steps], rtol=1e-14, atol=1e-16
            )
    np.testing.assert_array_equal(some.w, every.w[some.steps])
    for record in ("log", "all", [0]):
        assert run(0, record=record).steps.tolist() == [0]


def test_margin_loss_and_norm_are_those_of_the_recorded_w() -> None:
    X, y = data(1)
    Z = problem(1)
    for method, own in (("ngd", 2), ("sign", np.inf), ("coordinate", 1), ("dual", 2)):
        run = ml.run_linear(X, y, method, 30, lr=0.3, record="all")
        assert run.norm_name == {2: "l2", np.inf: "linf", 1: "l1"}[own]
        np.testing.assert_allclose(run.norm, np.linalg.norm(run.w, own, axis=1), rtol=1e-14)
        np.testing.assert_allclose(run.log_loss, np.log(np.exp(-run.w @ Z.T).mean(1)), rtol=1e-12, atol=1e-15)
        margins = (run.w[1:] @ Z.T).min(1) / np.linalg.norm(run.w[1:], own, axis=1)
        np.testing.assert_allclose(run.margin[1:], margins, rtol=1e-12)
        assert run.margin[0] == run.norm[0] == 0
    other = ml.run_linear(X, y, "ngd", 30, norm="l1")
    assert other.norm_name == "l1"
    np.testing.assert_allclose(other.norm, np.abs(other.w).sum(1), rtol=1e-14)
    logistic = ml.run_linear(X, y, "ngd", 30, loss="logistic")
    expected = np.log(np.log1p(np.exp(-logistic.w @ Z.T)).mean(1))
    np.testing.assert_allclose(logistic.log_loss, expected, rtol=1e-12)


def test_margin_is_zero_at_zero_and_never_nan() -> None:
    # the gradient vanishes at 0: every method stays there
    X, y = np.array([[1.0, 0.0], [-1.0, 0.0]]), np.array([1.0, 1.0])
    for method in ("gd", "ngd", "sign", "coordinate", "dual", "nacson", "momentum", "sgd"):
        run = ml.run_linear(X, y, method, 5)
        assert (run.w == 0).all()
        assert (run.margin == 0).all()
        assert (run.log_loss == 0).all()
    gradient = ml.run_linear(X, y, "ngd", 5, form="gradient")
    assert (gradient.margin == 0).all()


def test_warm_up_is_gradient_descent_for_prgd_alone_and_not_counted() -> None:
    X, y = data(2)
    gd = ml.run_linear(X, y, "gd", 1000, lr=0.4)
    prgd = ml.run_linear(X, y, "prgd", 12, lr=0.4, record="all")
    assert prgd.steps.tolist() == list(range(13))
    np.testing.assert_allclose(prgd.w[0], gd.w[-1], rtol=1e-14)
    R0 = np.linalg.norm(gd.w[-1])
    # the rescaling is an iteration of its period: after steps 1, 6, 11 the norm is R_0, 1.2 R_0, 1.44 R_0
    np.testing.assert_allclose(prgd.norm[[1, 6, 11]], R0 * 1.2 ** np.arange(3), rtol=1e-13)
    short = ml.run_linear(X, y, "prgd", 12, lr=0.4, warmup=30)
    np.testing.assert_allclose(short.w[0], ml.run_linear(X, y, "gd", 30, lr=0.4).w[-1], rtol=1e-14)
    from_w0 = ml.run_linear(X, y, "prgd", 12, lr=0.4, warmup=3, w0=np.ones(4))
    np.testing.assert_allclose(
        from_w0.w[0], ml.run_linear(X, y, "gd", 3, lr=0.4, w0=np.ones(4)).w[-1], rtol=1e-14
    )
    assert (ml.run_linear(X, y, "ngd", 3, warmup=0).w[0] == 0).all()


# ---- types


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_what_goes_in_comes_out(dtype: torch.dtype) -> None:
    X, y = data(3)
    for method in ("ngd", "prgd", "sign", "dual"):
        kwargs: dict[str, Any] = {"warmup": 20} if method == "prgd" else {}
        from_numpy = ml.run_linear(X.astype(str(dtype).split(".")[1]), y, method, 20, **kwargs)
        from_torch = ml.run_linear(torch.tensor(X, dtype=dtype), torch.tensor(y), method, 20, **kwargs)
        for name in ("w", "margin", "log_loss", "norm"):
            a, b = getattr(from_numpy, name), getattr(from_torch, name)
            assert isinstance(a, np.ndarray)
            assert isinstance(b, torch.Tensor)
            assert str(a.dtype) == str(b.dtype).split(".")[1] == str(dtype).split(".")[1]
            np.testing.assert_array_equal(a, b.numpy())
        assert isinstance(from_numpy.steps, np.ndarray)
        assert isinstance(from_torch.steps, torch.Tensor)
        assert not from_torch.steps.is_floating_point()


def test_lists_integers_and_read_only_arrays() -> None:
    X, y = np.array([[1, 2], [2, -1], [-1, -1]]), np.array([1, 1, -1])
    expected = ml.run_linear(X.astype(float), y.astype(float), "ngd", 9).w
    np.testing.assert_array_equal(ml.run_linear(X, y, "ngd", 9).w, expected)
    np.testing.assert_array_equal(ml.run_linear(X.tolist(), y.tolist(), "ngd", 9).w, expected)
    X.flags.writeable = y.flags.writeable = False
    np.testing.assert_array_equal(ml.run_linear(X, y, "ngd", 9).w, expected)
    tracked = torch.tensor(X.astype(float), requires_grad=True)
    w = ml.run_linear(tracked, y, "ngd", 9).w
    assert not w.requires_grad
    np.testing.assert_array_equal(w.numpy(), expected)


def test_results_print_as_what_they_are() -> None:
    X, y = data(0)
    sweep = ml.sweep_linear(X, y, "ngd", 9, lr=[0.1, 0.2])
    assert repr(sweep) == "Sweep(ngd: 2 runs of 9 steps)"
    assert repr(sweep[1]).startswith("Run(ngd, lr=0.2, seed=0, form=loss: finished at step 9, l2 margin ")
    assert [run.settings["lr"] for run in sweep] == [0.1, 0.2]
    with pytest.raises(IndexError):
        sweep[2]


# ---- errors

X1, Y1 = data(0)
NAN = X1.copy()
NAN[3, 1] = np.nan

BAD: list[tuple[dict[str, Any], str]] = [
    ({"y": (Y1 + 1) / 2}, r"labels y must be -1 or \+1, got \[0.0, 1.0\]; for 0/1 labels pass 2 \* y - 1"),
    ({"y": np.where(Y1 > 0, 2, -2)}, r"labels y must be -1 or \+1, got \[-2.0, 2.0\]"),
    ({"y": ["a"] * 12}, "y must be an array or tensor of numbers"),
    ({"X": NAN}, r"X contains NaN or infinite values, the first at index \(3, 1\); clean the data first"),
    ({"X": NAN.tolist()}, r"X contains NaN or infinite values, the first at index \(3, 1\)"),
    ({"X": X1 + 1j}, "X must be real"),
    (
        {"X": np.ones((0, 4)), "y": np.ones(0)},
        r"X is empty: shape \(0, 4\); at least one sample and one feature",
    ),
    ({"X": np.ones((12, 0))}, r"X is empty: shape \(12, 0\)"),
    ({"X": X1[:, 0]}, r"X must have shape \[n, d\], got \(12,\); one sample a row"),
    ({"X": X1[:11]}, r"X \(11, 4\) and y \(12,\) do not match; y needs shape \(11,\)"),
    ({"y": Y1[:, None]}, r"X \(12, 4\) and y \(12, 1\) do not match; y needs shape \(12,\)"),
    ({"method": "newton"}, "method must be one of 'gd', .*'prgd'.*, got 'newton'"),
    ({"loss": "hinge"}, "loss must be one of 'exponential', 'logistic', got 'hinge'"),
    ({"loss": "cross_entropy"}, "loss must be one of 'exponential', 'logistic', got 'cross_entropy'"),
    ({"lr": 0.0}, "lr must be > 0 and finite, got 0.0"),
    ({"lr": -1.0}, "lr must be > 0 and finite, got -1.0"),
    ({"lr": math.nan}, "lr must be > 0 and finite, got nan"),
    ({"lr": "fast"}, "lr must be > 0 and finite, got 'fast'"),
    ({"lr": True}, "lr must be > 0 and finite, got True"),
    ({"steps": -1}, "steps must be a whole number >= 0, got -1"),
    ({"steps": 2.5}, "steps must be a whole number >= 0, got 2.5"),
    ({"seed": -1}, "seed must be a whole number >= 0, got -1"),
    ({"period": 5}, "'ngd' has no option 'period'; it takes lr, seed, form"),
    ({"form": "l2"}, "form must be one of 'loss', 'gradient', got 'l2'"),
    ({"method": "prgd", "radii": 1.2}, r"radii must be callable as radii\(k, R0, w\), got 1.2"),
    ({"method": "prgd", "period": 0}, "period must be a whole number >= 1, got 0"),
    ({"method": "prgd", "warmup": -1}, "warmup must be a whole number >= 0, got -1"),
    (
        {"method": "prgd", "warmup": 0},
        "PRGD rescales its start, which must not be 0: warm up first, or start from",
    ),
    (
        {"method": "prgd", "warmup": 5, "radii": lambda k, R0, w: -1.0},
        r"radius must be > 0, got -1.0 from radii\(k=0, R0=.*, w\)",
    ),
    ({"method": "momentum", "momentum": 1.0}, "momentum must be below 1, got 1.0"),
    ({"method": "momentum", "momentum": -0.1}, "momentum must be >= 0 and finite, got -0.1"),
    ({"method": "sgd", "batch_size": 0}, "batch_size must be a whole number >= 1, got 0"),
    ({"method": "sgd", "normalized": 1}, "normalized must be True or False, got 1"),
    ({"warmup": 10}, r"'ngd' takes no warm-up \(only 'prgd' does\); start from w0 instead"),
    ({"w0": np.ones(3)}, r"w0 must have shape \[4\] or \[1, 4\] \(one start per run\), got \(3,\)"),
    ({"w0": np.ones((2, 4))}, r"w0 must have shape \[4\] or \[1, 4\] \(one start per run\), got \(2, 4\)"),
    ({"w0": np.full(4, np.inf)}, "w0 contains NaN or infinite values"),
    ({"record": "some"}, "record must be one of 'log', 'all', got 'some'"),
    ({"record": [3, 99]}, "record asks for step 99, but the run has 9"),
    ({"record": [1.5]}, "record: a step must be a whole number >= 0, got 1.5"),
    ({"norm": "l7"}, "unknown norm 'l7'"),
    (
        {"norm": "spectral"},
        "w is a vector, which has no spectral norm; use 'l1', 'l2', 'linf' or a number p >= 1",
    ),
]


@pytest.mark.parametrize(("kwargs", "words"), BAD, ids=[f"{i}-{'-'.join(k)}" for i, (k, _) in enumerate(BAD)])
@pytest.mark.parametrize("function", [ml.run_linear, ml.sweep_linear])
def test_errors(function: Callable[..., Any], kwargs: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        function(**{"X": X1, "y": Y1, "method": "ngd", "steps": 9, **kwargs})


def test_errors_of_one_function_only() -> None:
    with pytest.raises(ValueError, match="lr is an empty list; give at least one value to sweep over"):
        ml.sweep_linear(X1, Y1, "ngd", 9, lr=[])
    with pytest.raises(ValueError, match="lr must be > 0 and finite, got -0.1"):
        ml.sweep_linear(X1, Y1, "ngd", 9, lr=[0.1, -0.1])
    with pytest.raises(ValueError, match=r"run_linear takes one lr, got \[0.1, 0.2\]; use sweep_linear"):
        ml.run_linear(X1, Y1, "ngd", 9, lr=[0.1, 0.2])
    with pytest.raises(
        ValueError, match=r"run_linear takes one lr, got array\(\[0.1, 0.2\]\); use sweep_linear"
    ):
        ml.run_linear(X1, Y1, "ngd", 9, lr=np.array([0.1, 0.2]))
    with pytest.raises(ValueError, match=r"run_linear takes one seed, got \[1, 2\]; use sweep_linear"):
        ml.run_linear(X1, Y1, "ngd", 9, seed=[1, 2])
    with pytest.raises(
        ValueError, match="run_linear makes one run, but X or w0 asks for 2; use sweep_linear"
    ):
        ml.run_linear(np.stack([X1, X1]), np.stack([Y1, Y1]), "ngd", 9)
    with pytest.raises(
        ValueError, match=r"X \(2, 12, 4\) and y \(12,\) do not match; y needs shape \(2, 12\)"
    ):
        ml.sweep_linear(np.stack([X1, X1]), Y1, "ngd", 9)


def test_every_method_of_the_table_is_tested() -> None:
    tested = {row.run[0] for row in RUNNABLE if row.run} | set(OTHERS) | {"sgd", "certified", *OF_MATRICES}
    assert set(METHODS) <= tested, f"add {sorted(set(METHODS) - tested)} to tests/optimizers.py or to OTHERS"


# ---- what the theory says


def first_below(run: ml.Run, gamma: float, gap: float) -> float:
    below = np.flatnonzero(gamma - run.margin <= gap)
    return float(run.steps[below[0]]) if len(below) else math.inf


@pytest.mark.parametrize("lr", [0.3, 1.0])
def test_ngd_on_dataset_1_has_its_attractor(lr: float) -> None:
    """``w_1 = lr gamma t`` exactly, and ``w_2 -> log 2 / (2 sqrt(1 - gamma^2))``: the direction error is of order 1/t."""
    gamma = 0.1
    d1 = ml.datasets.dataset_1(gamma)
    run = ml.run_linear(d1.X, d1.y, "ngd", 2000, lr=lr)
    np.testing.assert_allclose(run.w[:, 0], lr * gamma * run.steps, rtol=1e-12)
    limit = math.log(2) / (2 * math.sqrt(1 - gamma**2))
    np.testing.assert_allclose(run.w[run.steps > 300, 1], limit, rtol=1e-12)
    late = run.steps > 500
    slope = np.polyfit(np.log(run.steps[late]), np.log(gamma - run.margin[late]), 1)[0]
    assert slope == pytest.approx(-1, abs=0.02)


def test_gd_on_dataset_1_is_logarithmic() -> None:
    """At NGD's attractor ``L = (2 sqrt(2) / 3) exp(-gamma w_1)``, so ``w_1 = log(1 + gamma^2 (2 sqrt(2) / 3) t) / gamma``."""
    d1 = ml.datasets.dataset_1()
    run = ml.run_linear(d1.X, d1.y, "gd", 4000, lr=1.0, record=[1000, 4000])
    np.testing.assert_allclose(run.w[:, 0], np.log1p(0.01 * math.sqrt(8) / 3 * run.steps) / 0.1, rtol=1e-3)
    np.testing.assert_allclose(run.w[:, 1], math.log(2) / (2 * math.sqrt(0.99)), rtol=1e-9)


def test_dual_acceleration_has_its_certificate_and_rate() -> None:
    """``q_min >= gamma* ||w|| - log n`` and gap ``<= 4 log n / (gamma* t (t + 3))`` at every step."""
    data_ = ml.datasets.prescribed_support(4, n=30, gamma=0.15, seed=1)
    assert data_.margin
    run = ml.run_linear(data_.X, data_.y, "dual", 2000, record="all")
    t = run.steps[1:]
    q_min, norm = (run.w[1:] @ data_.Z.T).min(1), run.norm[1:]
    assert (q_min >= data_.margin * norm - math.log(30) - 1e-9).all()
    assert (data_.margin - run.margin[1:] <= 4 * math.log(30) / (data_.margin * t * (t + 3))).all()


@pytest.mark.parametrize(
    ("radii", "measured"), [(ml.optim.exponential_radii(1.2), 112), (ml.optim.polynomial_radii(1.2), 142)]
)
def test_prgd_on_dataset_i_over_20_seeds(radii: Any, measured: int) -> None:
    """The paper reports 106 (exp) and 142 (poly) iterations to a gap of 1e-6."""
    sets = [ml.datasets.dataset_i(seed) for seed in range(20)]
    X, y = np.stack([s.X for s in sets]), np.stack([s.y for s in sets])
    gamma = sets[0].margin
    assert gamma
    runs = ml.sweep_linear(X, y, "prgd", 400, radii=radii, record="all")
    median = float(np.median([first_below(run, gamma, 1e-6) for run in runs]))
    assert 60 <= median <= 200
    assert median == pytest.approx(measured, abs=15)


def test_prgd_on_dataset_1_converges_at_the_rate_of_its_radius() -> None:
    """Gap ``~ 1 / R``: with radii growing by 1.2 every 5 iterations the log of the gap falls by log(1.2)/5 an iteration."""
    d1 = ml.datasets.dataset_1()
    run = ml.run_linear(d1.X, d1.y, "prgd", 400, record="all")
    gap = 0.1 - run.margin[4::5]  # one phase of the cycles
    steps = run.steps[4::5]
    seen = (gap > 1e-13) & (gap < 1e-3)
    assert seen.sum() > 20
    slope = np.polyfit(steps[seen], np.log(gap[seen]), 1)[0]
    assert -slope == pytest.approx(math.log(1.2) / 5, rel=0.05)
