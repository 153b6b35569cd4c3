"""Sweeps in parts and in blocks: how many rows step together and how often they are looked at changes no number."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import margin_lab as ml
from margin_lab.runs import iterate
from margin_lab.runs.linear.problem import LinearProblem

RNG = np.random.default_rng(0)
X = RNG.standard_normal((3, 10, 4))
Y = np.where(X[..., 0] > 0, 1.0, -1.0)
OPTIONS: dict[str, dict[str, Any]] = {
    "prgd": {"warmup": 30},
    "sgd": {"batch_size": [3, 4]},
    "adam": {"beta2": [0.9, 0.99]},
    "ngd": {"form": ["loss", "gradient"]},
    "steepest": {"max_fall": [0.1, None]},
    "gd": {},
    "momentum": {},
    "nacson": {},
    "dual": {},
    "loss_based": {"up": [1.1, 1.2]},
}


@pytest.mark.parametrize("method", OPTIONS)
@pytest.mark.parametrize("sets", [1, 3])
def test_parts_change_nothing(method: str, sets: int) -> None:
    data = (X[0], Y[0]) if sets == 1 else (X, Y)
    steps = 12 if method == "loss_based" else 30  # which multiplies rounding errors as its rate grows
    options = {"lr": [0.05, 0.1, 0.2], "record": "all", **OPTIONS[method]}
    whole = ml.sweep_linear(*data, method, steps, rows_at_once=10**6, **options)
    for rows in (1, 2, 4, 7):
        parts = ml.sweep_linear(*data, method, steps, rows_at_once=rows, **options)
        assert parts.settings == whole.settings
        for name in ("w", "margin", "log_loss", "norm"):
            a, b = getattr(parts, name), getattr(whole, name)
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12, err_msg=name)


def test_parts_are_of_whole_datasets_or_of_one() -> None:
    problem = LinearProblem(torch.ones(3, 10, 4), 5, "exponential")
    assert [len(r) for r in problem.parts(11)] == [10, 5]
    assert [len(r) for r in problem.parts(2)] == [2, 2, 1] * 3
    for rows in problem.parts(2) + problem.parts(11):
        part = problem.part(rows)
        assert len(part.Z) * part.runs_each == len(rows)
    # 2,000 runs of 200 samples keep 100 float64 margins each in a mebibyte
    assert (
        max(len(r) for r in LinearProblem(torch.ones(1, 200, 50).double(), 2000, "exponential").parts(None))
        == 524
    )


def test_only_the_last_weights_are_kept() -> None:
    every = ml.sweep_linear(X[0], Y[0], "ngd", 300, lr=[0.1, 0.2])
    last = ml.sweep_linear(X[0], Y[0], "ngd", 300, lr=[0.1, 0.2], keep="last")
    assert last.w.shape == (2, 1, 4)
    np.testing.assert_array_equal(last.w[:, -1], every.w[:, -1])
    np.testing.assert_allclose(last.margin, every.margin, rtol=1e-13, atol=1e-15)
    assert ml.run_linear(X[0], Y[0], "ngd", 30, keep="last").w.shape == (1, 4)
    with pytest.raises(ValueError, match="keep must be one of 'all', 'last', got 'none'"):
        ml.sweep_linear(X[0], Y[0], "ngd", 30, keep="none")
    with pytest.raises(ValueError, match="rows_at_once must be a whole number >= 1, got 0"):
        ml.sweep_linear(X[0], Y[0], "ngd", 30, rows_at_once=0)


@pytest.mark.parametrize("method", ["gd", "momentum", "adam", "steepest", "ngd"])
def test_a_block_that_diverges_is_made_again_step_by_step(
    method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same iterations, weights and records as with a look at every step, wherever in a block a row diverges."""
    # a step that squares the weights' size overflows after some ten steps
    lr = {"gd": [0.3, 30.0, 1e5], "momentum": [0.3, 30.0, 1e5]}.get(method, [0.3, 1e307, 1e308])
    options: dict[str, Any] = {"lr": lr, "record": "all", "w0": RNG.standard_normal(4)}
    blocks = ml.sweep_linear(X[0], -Y[0], method, 150, **options)
    monkeypatch.setattr(iterate, "BLOCK", 1)
    steps = ml.sweep_linear(X[0], -Y[0], method, 150, **options)
    assert blocks.diverged_at == steps.diverged_at
    assert blocks.status == steps.status
    np.testing.assert_array_equal(blocks.w, steps.w)
    if method in ("gd", "momentum"):
        assert "diverged" in blocks.status


def test_an_update_that_raises_raises_in_its_own_step() -> None:
    """A blind block that raises is made again, and the error is the caller's."""
    calls = []

    def update(w: Any, grad: Any, log_loss: Any, h: Any, state: Any) -> Any:
        calls.append(1)
        if len(calls) > 100:
            raise RuntimeError("mine")
        return w - h["lr"] * grad

    row = ml.Method(update=update, absorbing=True)
    with pytest.raises(RuntimeError, match="mine"):
        ml.run_linear(X[0], Y[0], row, 500)
