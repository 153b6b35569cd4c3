"""64 runs of normalised descent: one batched sweep against 64 loops with autograd and torch.optim.SGD."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import margin_lab as ml

RUNS, STEPS = 64, 1000
DATA = ml.datasets.gaussian(100, 50)
RATES = np.geomspace(0.1, 1.0, RUNS).tolist()


def batched() -> np.ndarray:
    return ml.sweep_linear(DATA.X, DATA.y, "ngd", STEPS, lr=RATES, record=[]).w[:, -1]


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


@pytest.mark.parametrize("how", [batched, looped])
def test_64_runs(benchmark: Any, how: Any) -> None:
    torch.set_num_threads(1)
    ends = benchmark.pedantic(how, rounds=1)
    np.testing.assert_allclose(
        ends, ml.sweep_linear(DATA.X, DATA.y, "ngd", STEPS, lr=RATES, record=[]).w[:, -1], rtol=1e-9
    )
