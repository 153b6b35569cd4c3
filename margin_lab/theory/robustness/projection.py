"""The nearest point of a half-space inside a box: exact, and so the answer for linear models."""

from __future__ import annotations

import torch
from torch import Tensor


def project(x: Tensor, a: Tensor, b: Tensor, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
    """The point of ``{z : <a, z> <= b, low <= z <= high}`` that is nearest to ``x``, row by row.

    The solution is ``z(t) = clip(x - t a)`` with the smallest ``t >= 0`` that satisfies the inequality. ``<a, z(t)>`` is
    piecewise linear in t and bends where a coordinate meets the box, so sorting the bends gives t without iterating.

    Args:
        x: ``[m, d]`` in the box. a: ``[m, d]``. b: ``[m]``. low, high: ``[1, d]`` or ``[m, d]``.

    Returns:
        ``z [m, d]``, and ``[m]`` whether the half-space meets the box; where it does not, z is the corner nearest to it.
    """
    excess = (a * x).sum(1) - b
    edge = torch.where(a > 0, low, high)
    moving = a != 0
    bends = torch.where(moving, (x - edge) / torch.where(moving, a, torch.ones_like(a)), torch.zeros_like(x))
    bends, order = bends.sort(dim=1)
    squares = (a * a).gather(1, order)
    # up to bend k the decrease is the sum of all earlier coordinates' whole ways, plus t times the slopes of those still moving
    spent = torch.cumsum(squares * bends, 1) - squares * bends
    rate = squares.flip(1).cumsum(1).flip(1)
    decrease = spent + rate * bends
    meets = decrease[:, -1] >= excess
    k = torch.searchsorted(decrease.contiguous(), excess[:, None].contiguous()).clamp(max=x.shape[1] - 1)
    slope = rate.gather(1, k)
    t = (excess[:, None] - spent.gather(1, k)) / torch.where(slope > 0, slope, torch.ones_like(slope))
    t = torch.where(meets[:, None], t.clamp(min=0.0), bends[:, -1:])
    return torch.where(excess[:, None] > 0, (x - t * a).clamp(low, high), x), meets
