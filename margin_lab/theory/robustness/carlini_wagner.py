"""Carlini and Wagner's l2 attack: Adam on a penalised distance, the box by tanh, the penalty by binary search."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from margin_lab.theory.robustness.attack import Problem, slope

# Of the half-width: pixels on the edge of the box start this far inside of it, where tanh has a slope (Carlini and Wagner).
_INSIDE = 1 - 1e-6
_BETA1, _BETA2, _EPS = 0.9, 0.999, 1e-8


def carlini_wagner(
    problem: Problem, steps: int, searches: int, lr: float, constant: float, normalize: bool
) -> tuple[Tensor, Tensor]:
    """The nearest misclassified point that the attack passes through, ``[n, d]``, and ``[n]`` whether there is one.

    Minimises ``||x - x_0||^2 + c max(q(x), 0)`` over ``x = (tanh(v) + 1) / 2`` (on [0, 1]), for ``searches`` values of c:
    ten times larger while no misclassified point is found, then halving the interval.

    Args:
        constant: the first c. normalize: divide q by its slope at the sample, so that c does not depend on the outputs' scale.
    """
    origin, n = problem.x, len(problem.x)
    rows = torch.arange(n, device=origin.device)
    middle, half = (problem.low + problem.high) / 2, (problem.high - problem.low) / 2
    unit = torch.ones(n, dtype=origin.dtype, device=origin.device)
    if normalize:
        x = origin.clone().requires_grad_()
        unit = slope(problem.margin(x, rows), x).norm(dim=1)
        unit = torch.where(unit > 0, unit, torch.ones_like(unit))
    c, low, high = torch.full_like(unit, constant), torch.zeros_like(unit), torch.full_like(unit, math.inf)
    best, best_radius = origin.clone(), torch.full_like(unit, math.inf)
    start = torch.atanh((origin - middle) / half * _INSIDE)
    for _ in range(searches):
        v = start.clone()
        moment, square, reached = torch.zeros_like(v), torch.zeros_like(v), torch.zeros(n, dtype=torch.bool)
        reached = reached.to(v.device)
        for t in range(1, steps + 1):
            v.requires_grad_()
            x = middle + half * torch.tanh(v)
            q = problem.margin(x, rows)
            cost = ((x - origin) ** 2).sum(1) + c * torch.relu(q) / unit
            g = slope(cost, v)
            with torch.no_grad():
                radius = (x - origin).norm(dim=1)
                changed = q <= 0
                better = changed & (radius < best_radius)
                best = torch.where(better[:, None], x, best)
                best_radius = torch.where(better, radius, best_radius)
                reached |= changed
                moment = _BETA1 * moment + (1 - _BETA1) * g
                square = _BETA2 * square + (1 - _BETA2) * g * g
                size = moment / (1 - _BETA1**t) / ((square / (1 - _BETA2**t)).sqrt() + _EPS)
                v = v.detach() - lr * size
        high = torch.where(reached, torch.minimum(high, c), high)
        low = torch.where(reached, low, torch.maximum(low, c))
        c = torch.where(torch.isfinite(high), (low + high) / 2, 10 * c)
    return best, torch.isfinite(best_radius)
