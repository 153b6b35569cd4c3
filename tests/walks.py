"""Trajectories of torch optimizers on the linear problems of ``optimizers.py``, to compare with ``reference.py``."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from optimizers import ROWS, ids

import margin_lab as ml

STEPS = 40
every_row = pytest.mark.parametrize("row", ROWS, ids=ids(ROWS))


def tensors(
    w0: np.ndarray, splits: tuple[int, ...], dtype: torch.dtype = torch.float64
) -> list[torch.nn.Parameter]:
    """``w0`` cut into parameters of the given sizes; the second one as a row, since shapes must not matter."""
    parts = torch.tensor(w0, dtype=dtype).split(list(splits))
    return [
        torch.nn.Parameter(p.clone().reshape(1, -1) if i == 1 else p.clone()) for i, p in enumerate(parts)
    ]


def closure_of(
    optimizer: torch.optim.Optimizer, params: list[torch.nn.Parameter], Z: np.ndarray
) -> Callable[[], torch.Tensor]:
    Zt = torch.tensor(Z, dtype=params[0].dtype)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        q = Zt @ torch.cat([p.reshape(-1) for p in params])
        value = ml.log_loss(q, torch.ones(len(q)), reduction="mean")
        value.backward()
        return value

    return closure


def walk(
    optimizer: torch.optim.Optimizer,
    params: list[torch.nn.Parameter],
    Z: np.ndarray,
    steps: int,
    needs_loss: bool,
) -> np.ndarray:
    """The trajectory ``[steps + 1, d]``; without a closure where none is needed."""
    closure = closure_of(optimizer, params, Z)

    def flat() -> np.ndarray:
        return torch.cat([p.detach().reshape(-1) for p in params]).numpy().copy()

    path = [flat()]
    for _ in range(steps):
        if needs_loss:
            optimizer.step(closure)
        else:
            closure()
            assert optimizer.step() is None
        path.append(flat())
    return np.array(path)


def assert_path(path: np.ndarray, expected: np.ndarray, rtol: float = 1e-12) -> None:
    """Step by step, relative to the length of each iterate."""
    assert path.shape == expected.shape
    error = np.abs(path - expected).max(1) / (1 + np.abs(expected).max(1))
    assert error.max() <= rtol, f"step {error.argmax()} is off by {error.max():.2e}"
