"""Every optimizer with settings of its own, and a small problem, for the tests of torch's conventions."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch

import margin_lab as ml
from margin_lab import optim

MAKERS: dict[str, Callable[..., optim.LogLossOptimizer]] = {
    "gd": optim.GD,
    "ngd": partial(optim.NormalizedGD, form="gradient"),
    "dual": optim.DualAcceleration,
    "prgd": partial(optim.PRGD, **optim.linear_schedule()),
    "prgd-tensors": partial(optim.PRGD, blocks="tensors", decay=1.0, **optim.linear_schedule(1.1, 3)),
    "sign": partial(optim.SteepestDescent, norm="linf", rule="log"),
    "coordinate": partial(optim.SteepestDescent, norm="l1", normalized=True, average=0.5),
    "modular": partial(optim.SteepestDescent, norm="modular", rule="relative"),
    "l3": partial(optim.SteepestDescent, norm=3.0, weight_decay=0.1),
    "adam": partial(optim.Adam, betas=(0.8, 0.9), weight_decay=0.1),
    "muon": partial(optim.Muon, polar="exact", adjust_lr_fn="original"),
    "shampoo": partial(optim.Shampoo, beta2=0.9, eps=1e-3),
}
every = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)

X = torch.tensor(np.random.default_rng(0).standard_normal((8, 6)))
X = X * torch.sign(X.sum(1, keepdim=True))
Y = torch.ones(8)


def parameters(dtype: torch.dtype = torch.float64) -> list[torch.nn.Parameter]:
    values = torch.tensor(np.random.default_rng(1).standard_normal(6), dtype=dtype)
    return [torch.nn.Parameter(values[:4].reshape(2, 2).clone()), torch.nn.Parameter(values[4:].clone())]


def log_loss(params: list[torch.nn.Parameter]) -> torch.Tensor:
    w = torch.cat([p.reshape(-1) for p in params])
    return ml.log_loss(X.to(w.dtype) @ w, Y, reduction="mean")


def train(optimizer: torch.optim.Optimizer, steps: int = 6) -> torch.Tensor:
    """The parameters after some steps."""
    params = [p for group in optimizer.param_groups for p in group["params"] if p.numel()]
    for _ in range(steps):
        optimizer.zero_grad()
        value = log_loss(params)
        value.backward()
        optimizer.step(loss=value)  # type: ignore[call-arg]
    return torch.cat([p.detach().reshape(-1) for p in params])


def exactly(a: torch.Tensor, b: torch.Tensor) -> None:
    torch.testing.assert_close(a, b, rtol=0, atol=0)
