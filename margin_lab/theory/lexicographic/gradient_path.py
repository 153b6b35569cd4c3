"""Gradient descent's own path through parameter space, for a batch of starts: to compare with the constrained path."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from margin_lab.checks import DivergedError, as_tensor, finite, integer, positive, restore_like, signed_labels
from margin_lab.models import flat_parameters
from margin_lab.models.private import PureModel
from margin_lab.runs.networks.problem import network_data
from margin_lab.theory.lexicographic.network_path import NetworkPath, _Sphere


def gradient_path(
    model: nn.Module,
    X: Any,
    y: Any,
    theta0: Any,
    until: float,
    *,
    max_turn: float = 1e-2,
    max_fall: float = 0.3,
    max_steps: int = 20_000,
) -> list[NetworkPath]:
    """Follow gradient flow on the summed exponential loss from each start until ``||theta|| >= until``.

    Steps along ``-grad L`` of length ``min(max_turn ||theta||, max_fall / ||grad log L||)``. With short steps plain gradient
    descent, normalised descent and the flow trace the same curve; only their clocks differ. The first cap keeps turns small,
    the second the step below the edge of stability (the Hessian of log L is about ``||grad log L||^2``). Normalised by the
    loss, the radius grows geometrically in the number of steps where ordinary gradient descent needs exponentially many.

    Args:
        model: any small ``nn.Module`` with outputs ``[n]``. X: ``[n, ...]``. y: ``[n]``, -1 or +1.
        theta0: ``[S, P]`` starts. until: the norm to reach, > 0.
        max_turn, max_fall: caps of a step, relative to the norm, and in log L to first order. max_steps: at most.

    Returns:
        One :class:`NetworkPath` a start, recorded at some sixty norms between the smallest and ``until``; its ``rho`` is the
        norm there (``agreeing`` is 1: nothing is searched).

    Raises:
        ValueError: bad data, starts of another shape, caps or ``until`` that are not > 0.
        DivergedError: the norm was not reached.
    """
    for value, name in ((until, "until"), (max_turn, "max_turn"), (max_fall, "max_fall")):
        positive(value, name)
    own = flat_parameters(model).double()
    pure = PureModel(model, torch.float64)
    inputs, labels = network_data(X, y, pure.module, own.device)
    problem = _Sphere(pure, inputs[0], signed_labels(labels[0]))
    theta = finite(as_tensor(theta0, "theta0").to(own), "theta0")
    if theta.ndim != 2 or theta.shape[1] != len(own):
        raise ValueError(f"theta0 must have shape [S, {len(own)}], got {tuple(theta.shape)}")
    rows = torch.arange(len(theta))
    ratio = until ** (1 / 60)
    records: list[list[torch.Tensor]] = [[row.clone()] for row in theta]
    marks = torch.linalg.vector_norm(theta, dim=-1) * ratio
    for _ in range(integer(max_steps, "max_steps", least=1)):
        g = problem.gradient(theta[rows], 1.0)
        size = torch.linalg.vector_norm(g, dim=-1, keepdim=True).clamp_min(1e-300)
        norm = torch.linalg.vector_norm(theta[rows], dim=-1, keepdim=True)
        theta[rows] = theta[rows] - g / size * torch.minimum(max_turn * norm, max_fall / size)
        norm = torch.linalg.vector_norm(theta, dim=-1)
        for k in rows[norm[rows] >= marks[rows]].tolist():
            records[k].append(theta[k].clone())
            marks[k] = norm[k] * ratio
        rows = rows[norm[rows] < until]
        if len(rows) == 0:
            break
    if len(rows):
        raise DivergedError(
            f"{len(rows)} of {len(theta)} starts did not reach norm {until:g} in {max_steps} steps; raise max_steps, or "
            "start elsewhere"
        )
    restore = restore_like(X)
    return [
        _recorded(problem, torch.stack([*row, theta[k]]), model, restore) for k, row in enumerate(records)
    ]


def _recorded(problem: _Sphere, theta: torch.Tensor, model: nn.Module, restore: Any) -> NetworkPath:
    q = problem.margins(theta)
    return NetworkPath(
        rho=restore(torch.linalg.vector_norm(theta, dim=-1)),
        theta=restore(theta),
        margins=restore(q),
        log_loss=restore(torch.logsumexp(-q, -1)),
        stationarity=restore(problem.stationarity(theta, 1.0)),
        agreeing=restore(torch.ones(len(theta), dtype=torch.int64)),
        model=model,
    )
