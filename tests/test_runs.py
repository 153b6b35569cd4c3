"""Linear runs: equal to the optimizers and the reference, what they record, types in and out."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import optimizers
import pytest
import reference
import torch
from linear_runs import STEPS, data, every_row
from optimizers import RUNNABLE, problem, start

import margin_lab as ml
from margin_lab.runs import METHODS

# Methods of networks' matrices: test_matrix_optimizers.py.
OF_MATRICES = ("spectral", "shampoo", "muon")
# Methods of run_linear that are no torch optimizer of ours: (options, reference, lr)
OTHERS: dict[str, tuple[dict[str, Any], Callable[..., np.ndarray], float]] = {
    "momentum": ({"momentum": 0.7}, partial(reference.momentum, beta=0.7), 0.5),
    "nacson": ({}, reference.nacson, 0.5),
    "loss_based": ({}, reference.loss_based, 8.0),
}


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


def test_every_method_of_the_table_is_tested() -> None:
    tested = {row.run[0] for row in RUNNABLE if row.run} | set(OTHERS) | {"sgd", "certified", *OF_MATRICES}
    assert set(METHODS) <= tested, f"add {sorted(set(METHODS) - tested)} to tests/optimizers.py or to OTHERS"
