"""Sweeps: every row equals its single run, over rates, options, starts and whole datasets."""

from __future__ import annotations

from typing import Any

import numpy as np
import optimizers
import pytest
import torch
from linear_runs import STEPS, data, every_row
from optimizers import start

import margin_lab as ml


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
