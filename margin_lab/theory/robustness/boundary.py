"""Descent along the decision boundary to the point nearest to the sample: no constants, any scale of the outputs."""

from __future__ import annotations

import torch
from torch import Tensor

from margin_lab.theory.robustness.attack import Problem, slope
from margin_lab.theory.robustness.projection import project

_REACH_STEPS = 30
_OVERSHOOT = 1.02
# Halvings of the segment from the sample in every step, and at the end, where they are below rounding.
_HALVINGS, _LAST_HALVINGS = 10, 50


def starting_points(problem: Problem, count: int) -> tuple[Tensor, Tensor]:
    """Misclassified points to descend from: ``x [m, d]`` and the sample ``rows [m]`` that each belongs to.

    For every sample and every other class the network is linearised, the nearest point of the box that the linear model puts into
    that class is taken, and so on until the class has changed (DeepFool with a box); the ``count`` nearest ones are kept. As many
    starts are the nearest samples of the data that the network takes for another class.
    """
    n, k = len(problem.x), problem.classes
    every = torch.arange(n, device=problem.x.device)
    if k > 1:
        rows = every.repeat_interleave(k)
        target = torch.arange(k, device=every.device).repeat(n)
        keep = target != problem.y[rows].long()
        rows, target = rows[keep], target[keep]
    else:
        rows, target = every, torch.zeros_like(every)
    origin = problem.x[rows]
    z, done = origin.clone(), torch.zeros_like(rows, dtype=torch.bool)
    for _ in range(_REACH_STEPS):
        x = z.clone().requires_grad_()
        gap = problem.gap(x, rows, target)
        a, gap = slope(gap, x), gap.detach()
        done = done | (problem.margin(z, rows) <= 0)
        if bool(done.all()):
            break
        new, _ = project(z, a, (a * z).sum(1) - _OVERSHOOT * gap, problem.low, problem.high)
        z = torch.where(done[:, None], z, new)
    distance = torch.where(done, (z - origin).norm(dim=1), torch.inf).reshape(n, -1)
    best = distance.topk(min(count, distance.shape[1]), largest=False)
    chosen = (best.indices + torch.arange(n, device=every.device)[:, None] * distance.shape[1]).reshape(-1)
    chosen = chosen[torch.isfinite(best.values.reshape(-1))]
    far, far_rows = _other_samples(problem, count)
    return torch.cat([z[chosen], far]), torch.cat([rows[chosen], far_rows])


def descend(problem: Problem, z: Tensor, rows: Tensor, steps: int) -> tuple[Tensor, Tensor]:
    """From misclassified points ``z [m, d]`` of samples ``rows``, the best one for every sample ``[n, d]``, and ``[n]`` if any.

    Where the boundary is crossed on the way from the sample x to z, it is replaced by its tangent, whose point p nearest to x
    inside the box is known exactly. The next z lies on the way from z to p: as far as the radius falls. Every point kept is
    misclassified, so that the radius is an upper bound at every moment.
    """
    origin = problem.x[rows]
    z = _cross(problem, origin, z, rows, _HALVINGS)
    share = torch.ones(len(z), 1, dtype=z.dtype, device=z.device)
    for _ in range(steps):
        x = z.clone().requires_grad_()
        q = problem.margin(x, rows)
        a, q = slope(q, x), q.detach()
        p, _ = project(origin, a, (a * z).sum(1) - q, problem.low, problem.high)
        toward = z + share * (p - z) - origin
        length = toward.norm(dim=1, keepdim=True)
        radius = (z - origin).norm(dim=1, keepdim=True)
        # as far from the sample as now, in the better direction: misclassified there means nearer after the next crossing
        trial = problem.clamp(origin + toward * (radius / length.clamp(min=torch.finfo(z.dtype).tiny)))
        with torch.no_grad():
            better = (problem.margin(trial, rows) <= 0)[:, None]
        crossed = _cross(problem, origin, torch.where(better, trial, z), rows, _HALVINGS)
        z = torch.where((crossed - origin).norm(dim=1, keepdim=True) <= radius, crossed, z)
        share = torch.where(better, (2 * share).clamp(max=1.0), share / 2)
    z = _cross(problem, origin, z, rows, _LAST_HALVINGS)
    return _best(problem, z, rows)


def _cross(problem: Problem, origin: Tensor, z: Tensor, rows: Tensor, halvings: int) -> Tensor:
    """The misclassified end of a bisection between the sample and ``z``."""
    good = torch.zeros(len(z), 1, dtype=z.dtype, device=z.device)
    bad = torch.ones_like(good)
    way = z - origin
    with torch.no_grad():
        for _ in range(halvings):
            middle = (good + bad) / 2
            changed = (problem.margin(problem.clamp(origin + middle * way), rows) <= 0)[:, None]
            good, bad = torch.where(changed, good, middle), torch.where(changed, middle, bad)
    return torch.where(bad < 1, problem.clamp(origin + bad * way), z)


def _best(problem: Problem, z: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Of all points of each sample, the nearest misclassified one."""
    n = len(problem.x)
    with torch.no_grad():
        changed = problem.margin(z, rows) <= 0
    distance = torch.where(changed, (z - problem.x[rows]).norm(dim=1), torch.inf)
    best, found = problem.x.clone(), torch.zeros(n, dtype=torch.bool, device=z.device)
    # the nearest is written last
    order = distance.argsort(descending=True, stable=True)
    for i in order[torch.isfinite(distance[order])].tolist():
        best[rows[i]], found[rows[i]] = z[i], True
    return best, found


def _other_samples(problem: Problem, count: int) -> tuple[Tensor, Tensor]:
    """For every sample the nearest ones of the data that the network puts into another class than its label."""
    own = problem.y.to(problem.predicted)
    distance = torch.cdist(problem.x, problem.x)
    distance = torch.where(own[:, None] == problem.predicted[None, :], torch.inf, distance)
    nearest = distance.topk(min(count, len(distance)), largest=False)
    rows, k = torch.isfinite(nearest.values).nonzero(as_tuple=True)
    return problem.x[nearest.indices[rows, k]], rows
