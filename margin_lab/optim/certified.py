"""Max margin by first-order steps alone, with nothing to tune: a KL-proximal form of normalised descent.

With prior weights ``p`` in the simplex, each outer step solves ``min_{||w|| <= R} log sum_i p_i exp(-<z_i, w>)`` and makes its
softmax weights the next prior. Then ``W <- W + w`` is normalised gradient descent with the gradient taken at the **new**
point (implicit), and, unlike PRGD's, its radius need not grow without bound.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

# The radius doubles from 1/max||z|| up to this many of them: beyond it, the log-sum-exp has no curvature left that an
# accelerated gradient method could use (measured in chapter 5, which also tries to do without).
_CAP = 1000.0


@dataclass
class Bounds:
    """The best certified pair so far: ``lower = min_i <z_i, w>`` at unit ``w``, ``upper = ||Z^T q||`` at ``q`` in the simplex.

    ``products`` counts pairs of products (``Z w`` and ``Z^T q``).
    """

    w: Tensor
    lower: float = -math.inf
    upper: float = math.inf
    products: float = 0.0

    @property
    def gap(self) -> float:
        """Relative certified gap; infinite until some ``w`` separates the data."""
        return (self.upper - self.lower) / self.lower if self.lower > 0 else math.inf

    def see(self, w: Tensor, Zw: Tensor, g: Tensor) -> None:
        """Take note of a primal candidate with its margins and of a dual one with ``g = Z^T q``."""
        length = float(w.norm())
        if length > 0 and float(Zw.min()) / length > self.lower:
            self.lower, self.w = float(Zw.min()) / length, w / length
        self.upper = min(self.upper, float(g.norm()))


def certified_path(Z: Tensor, products: int, cap: float = _CAP) -> Iterator[Bounds]:
    """Yield the best bounds after every pair of products, up to ``products`` of them.

    Inner problems: FISTA on the ball with backtracking and gradient restart, stopped when the Frank-Wolfe gap
    ``R ||g|| - <g, w>`` is at most half the KL divergence of the new weights from the prior; both are computed, nothing is
    tuned. The margin is certified throughout: ``lower <= gamma* <= upper``.

    Args:
        Z: ``[n, d]`` signed rows. products: budget. cap: largest radius, in units of ``1 / max_i ||z_i||``.
    """
    unit = float(Z.norm(dim=1).max())
    Z = Z / unit
    n = len(Z)
    log_p = Z.new_full((n,), -math.log(n))
    bounds, total, radius = Bounds(Z.new_zeros(Z.shape[1])), Z.new_zeros(Z.shape[1]), 1.0
    w, step = total.clone(), 1.0
    while bounds.products < products:
        for w, log_q, step in _inner(Z, log_p, radius, w, step, bounds):  # noqa: B007  (the last one is kept)
            yield Bounds(bounds.w, bounds.lower * unit, bounds.upper * unit, bounds.products)
            if bounds.products >= products:
                return
        total = total + w
        bounds.see(total, Z @ total, log_q.exp() @ Z)
        bounds.products += 1
        log_p, radius = log_q, min(2 * radius, cap)
        w = w * (radius / max(float(w.norm()), 1e-300))


def _inner(
    Z: Tensor, log_p: Tensor, radius: float, w: Tensor, step: float, bounds: Bounds
) -> Iterator[tuple[Tensor, Tensor, float]]:
    """FISTA for ``F(w) = log sum_i p_i exp(-<z_i, w>)`` on ``||w|| <= radius``; yields ``(w, log q, step)`` per product."""

    def evaluate(v: Tensor) -> tuple[float, Tensor, Tensor, Tensor]:
        m = Z @ v
        F = torch.logsumexp(log_p - m, 0)
        log_q = log_p - m - F
        g = log_q.exp() @ Z
        bounds.products += 1
        bounds.see(v, m, g)
        return float(F), log_q, g, m

    def ball(v: Tensor) -> Tensor:
        return v * min(1.0, radius / max(float(v.norm()), 1e-300))

    w = ball(w)
    v, momentum = w, 1.0
    while True:
        F_v, log_q, g, _ = evaluate(v)
        divergence = float((log_q.exp() * (log_q - log_p)).sum())
        if radius * float(g.norm()) - float(g @ v) <= divergence / 2:
            yield v, log_q, step
            return
        yield w, log_q, step
        while True:  # backtracking on the quadratic upper bound
            new = ball(v + step * g)
            move = new - v
            F_new, log_new, g_new, _ = evaluate(new)
            if F_new <= F_v - float(g @ move) + float(move @ move) / (2 * step) + 1e-15 * (1 + abs(F_v)):
                break
            step /= 2
            yield w, log_q, step
        yield new, log_new, step
        divergence = float((log_new.exp() * (log_new - log_p)).sum())
        if radius * float(g_new.norm()) - float(g_new @ new) <= divergence / 2:
            yield new, log_new, step
            return
        if float(g @ (new - w)) < 0:  # gradient restart
            momentum = 1.0
        nxt = (1 + math.sqrt(1 + 4 * momentum**2)) / 2
        v, w, momentum = new + (momentum - 1) / nxt * (new - w), new, nxt
        step *= 1.1
