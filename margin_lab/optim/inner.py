"""The inner problems of the certified methods: smooth, solved by products with Z and Z^T alone, stopped by computed numbers.

Both minimise ``F(w) = log sum_i p_i exp(-<z_i, w>)`` for prior weights ``p`` in the simplex, on the ball ``||w|| <= R`` or with
``||w||_2^2 / (2 sigma)`` added. At ``w`` the softmax weights are ``q_i = p_i exp(-<z_i, w> - F)``, and ``-grad F = g = Z^T q``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from margin_lab.optim.search import Search

# The accelerated method looks at its stopping rule this often: each look costs half a pair of products.
_LOOK_EVERY = 8
# Newton's systems are solved to this relative residual, and more exactly near the solution.
_FORCING = 0.1


@dataclass
class Point:
    """``w [d]``, ``m = Z w [n]``, ``log q [n]`` and ``g = Z^T q [d]`` of one point, with ``KL(q || p)``."""

    w: Tensor
    m: Tensor
    log_q: Tensor
    g: Tensor
    divergence: float


def softmax(log_p: Tensor, m: Tensor) -> tuple[Tensor, Tensor]:
    """``F(w)`` and ``log(q/p) [n]`` from the margins ``m = Z w``."""
    F = torch.logsumexp(log_p - m, 0)
    return F, -m - F


def divergence(q: Tensor, log_ratio: Tensor) -> float:
    """``KL(q || p) = sum_i p_i h(x_i)``, ``x = log(q/p)``, ``h(x) = x e^x - e^x + 1``: a sum of positive terms.

    ``sum_i q_i x_i`` itself is the difference of large numbers where q is near p, and never below the rounding of 1.
    """
    x = log_ratio
    series = x * x / 2 - x**3 / 6
    # where e^-x would overflow, q is 0 for all purposes
    direct = x + torch.expm1(-x.clamp_min(-500))
    return float((q * torch.where(x.abs() < 1e-3, series, direct)).sum())


def look(search: Search, log_p: Tensor, w: Tensor, m: Tensor) -> Point:
    """Weights and gradient at ``w``, half a pair of products; a dual candidate."""
    _, log_ratio = softmax(log_p, m)
    log_q = log_p + log_ratio
    q = log_q.exp()
    g = search.transposed(q)
    return Point(w, m, log_q, g, divergence(q, log_ratio))


def accelerated(
    search: Search, log_p: Tensor, w: Tensor, radius: float, step: float, solved: Callable[[Point], bool]
) -> tuple[Point, float]:
    """Minimise F on ``||w|| <= radius`` by projected accelerated gradients with backtracking, until ``solved(point)``.

    Restarted where the step and the gradient disagree (O'Donoghue & Candes 2015). Returns the last point and the step size.
    """
    ball = search.norm.project
    w = ball(w, radius)
    m = search.product(w)
    v, mv, momentum, iteration = w, m, 1.0, 0
    while True:
        F, log_ratio = softmax(log_p, mv)
        g = search.transposed((log_p + log_ratio).exp())
        while True:  # backtracking on the quadratic upper bound
            new = ball(v + step * g, radius)
            m_new = search.product(new)
            move = new - v
            bound = F - g @ move + move @ move / (2 * step)
            if bool(softmax(log_p, m_new)[0] <= bound + 1e-15 * (1 + F.abs())) or search.done:
                break
            step /= 2
        iteration += 1
        if iteration % _LOOK_EVERY == 0 or iteration == 1 or search.done:
            point = look(search, log_p, new, m_new)
            if solved(point) or search.done:
                return point, step
        if bool(g @ (new - w) < 0):
            momentum = 1.0
        following = (1 + math.sqrt(1 + 4 * momentum**2)) / 2
        c = (momentum - 1) / following
        # margins are linear, so those of the extrapolated point cost nothing
        v, mv = new + c * (new - w), m_new + c * (m_new - m)
        w, m, momentum = new, m_new, following
        step *= 1.1


def newton(search: Search, log_p: Tensor, w: Tensor, sigma: float) -> Point:
    """Minimise ``F(w) + ||w||^2 / (2 sigma)`` by Newton's method, its systems solved by conjugate gradients.

    Stops when the duality gap ``sigma ||w / sigma - g||^2 / 2`` is at most half of ``KL(q || p)``: an error smaller than the
    step. The Hessian ``I / sigma + Z^T (diag q - q q^T) Z`` is applied, never formed: one pair of products.
    """
    m = search.product(w)
    point = look(search, log_p, w, m)
    while not search.done:
        r = point.w / sigma - point.g
        if float(r @ r) * sigma <= point.divergence:
            break
        size = float(r.norm())
        rtol = min(_FORCING, math.sqrt(size / max(float(point.g.norm()), 1e-300)))
        q = point.log_q.exp()
        x, Zx = _conjugate_gradients(search, q, r, sigma, rtol)
        t = _line_search(point, x, Zx, sigma)
        w, m = point.w + t * x, point.m + t * Zx
        point = look(search, log_p, w, m)
        if t * float(x.norm()) <= 4e-16 * float(w.norm()):
            break
    # m has gathered the rounding of its updates; only fresh margins certify
    m = search.product(point.w)
    _, log_ratio = softmax(log_p, m)
    return Point(point.w, m, log_p + log_ratio, point.g, point.divergence)


def _conjugate_gradients(
    search: Search, q: Tensor, r: Tensor, sigma: float, rtol: float
) -> tuple[Tensor, Tensor]:
    """Solve ``H x = -r`` to a relative residual ``rtol``; also ``Z x``, which the products on the way give for nothing."""
    x, Zx = torch.zeros_like(r), torch.zeros_like(q)
    residual = -r
    p, rho = residual, float(r @ r)
    goal, steps = rtol**2 * rho, 0
    while rho > goal and steps < 10 * len(r) and not search.done:
        Zp = search.Z @ p
        weighted = q * (Zp - q @ Zp)
        Hp = p / sigma + weighted @ search.Z
        search.spend(1.0)
        a = rho / float(p @ Hp)
        x, Zx, residual = x + a * p, Zx + a * Zp, residual - a * Hp
        old, rho = rho, float(residual @ residual)
        p = residual + (rho / old) * p
        steps += 1
    return x, Zx


def _line_search(point: Point, x: Tensor, Zx: Tensor, sigma: float) -> float:
    """Zero of the derivative along ``x``: safeguarded Newton steps on vectors of length n, no products."""
    a, b = float(point.w @ x) / sigma, float(x @ x) / sigma
    low, high, t = 0.0, math.inf, 1.0
    for _ in range(40):
        q = torch.softmax(point.log_q - t * Zx, 0)
        mean = q @ Zx
        slope, curvature = a + b * t - float(mean), b + float(q @ (Zx - mean) ** 2)
        low, high = (t, high) if slope < 0 else (low, t)
        new = t - slope / curvature if curvature > 0 else math.inf
        if not low <= new <= high:
            new = 2 * low if high == math.inf else (low + high) / 2
        if abs(new - t) <= 1e-3 * t:
            return new
        t = new
    return t
