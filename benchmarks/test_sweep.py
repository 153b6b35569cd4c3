"""Runs of normalised descent: one sweep against NumPy by hand, and against 64 loops with autograd and torch.optim.SGD.

``python benchmarks/test_sweep.py`` prints the table: microseconds of processor time a step and a run, one thread.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import margin_lab as ml

RUNS, STEPS = 64, 1000
DATA = ml.datasets.gaussian(100, 50)
RATES = np.geomspace(0.1, 1.0, RUNS).tolist()
# runs: steps, so that each takes about a second
SIZES = {1: 20_000, 64: 5000, 1024: 400, 16_384: 60}


def batched(rates: list[float] = RATES, steps: int = STEPS) -> np.ndarray:
    return ml.sweep_linear(DATA.X, DATA.y, "ngd", steps, lr=rates, record=[], keep="last").w[:, -1]


def by_hand(rates: list[float] = RATES, steps: int = STEPS) -> np.ndarray:
    """What one would write in NumPy, all runs at once and in place where that helps."""
    lr, w = np.array(rates)[:, None], np.zeros((len(rates), DATA.X.shape[1]))
    Zt = np.ascontiguousarray(DATA.Z.T)
    for _ in range(steps):
        p = w @ Zt
        p *= -1
        p -= p.max(-1, keepdims=True)
        np.exp(p, out=p)
        p /= p.sum(-1, keepdims=True)
        w += lr * (p @ DATA.Z)
    return w


def looped() -> np.ndarray:
    X, y = torch.from_numpy(DATA.X), torch.from_numpy(DATA.y)
    ends = []
    for lr in RATES:
        w = torch.zeros(X.shape[1], dtype=torch.float64, requires_grad=True)
        optimizer = torch.optim.SGD([w], lr=lr)
        for _ in range(STEPS):
            optimizer.zero_grad()
            torch.logsumexp(-y * (X @ w), 0).backward()
            optimizer.step()
        ends.append(w.detach().numpy())
    return np.stack(ends)


@pytest.mark.parametrize("how", [batched, by_hand, looped])
def test_64_runs(benchmark: Any, how: Any) -> None:
    torch.set_num_threads(1)
    ends = benchmark.pedantic(how, rounds=1)
    np.testing.assert_allclose(ends, batched(), rtol=1e-9)


@pytest.mark.parametrize("runs", SIZES)
@pytest.mark.parametrize("how", [batched, by_hand])
def test_many_runs(benchmark: Any, how: Any, runs: int) -> None:
    torch.set_num_threads(1)
    benchmark.pedantic(how, (np.geomspace(0.1, 1.0, runs).tolist(), SIZES[runs]), rounds=1)


def _microseconds(how: Callable[..., Any], runs: int) -> float:
    """Processor time of a step, the least of three."""
    rates, seconds = np.geomspace(0.1, 1.0, runs).tolist(), []
    for _ in range(3):
        before = time.process_time()
        how(rates, SIZES[runs])
        seconds.append(time.process_time() - before)
    return 1e6 * min(seconds) / SIZES[runs]


if __name__ == "__main__":
    torch.set_num_threads(1)
    print("| runs | sweep_linear | NumPy by hand | ratio | a run and step |\n|---|---|---|---|---|")
    for runs in SIZES:
        ours, theirs = _microseconds(batched, runs), _microseconds(by_hand, runs)
        print(
            f"| {runs:,} | {ours:,.1f} | {theirs:,.1f} | {ours / theirs:.2f} | {ours / runs:.2f} |",
            flush=True,
        )
