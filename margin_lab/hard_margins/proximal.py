"""l2 hard margin by the proximal-point method with semismooth Newton inside; torch tensors, any device.

The problem is ``min ||w||^2/2  subject to  Uw >= c`` with unit rows ``u_i = z_i/||z_i||`` and ``c_i``
proportional to ``1/||z_i||``; its solution points along the max-margin direction. One proximal step on the
dual (equivalently: one augmented-Lagrangian step) of length sigma, from multipliers ``lam``, minimises over w

    phi(w) = ||w||^2/2 + ||(lam + sigma (c - Uw))_+||^2 / (2 sigma),   then   lam <- (lam + sigma (c - Uw))_+.

phi is 1-strongly convex and piecewise quadratic: Newton's method on its gradient with an exact line search
ends after finitely many systems ``(I + sigma U_J'U_J) x = -grad`` (J: rows with a positive multiplier). The
outer iteration converges linearly, faster with larger sigma, with no assumption on the support vectors. Each
evaluation gives a feasible pair, hence bounds on gamma*, and sigma grows only where the measured gap falls
too slowly.

Sources: Rockafellar, Augmented Lagrangians and applications of the proximal point algorithm, Math. Oper. Res.
1 (1976), criterion (B) for the inner tolerance; Luque, Asymptotic convergence analysis of the proximal point
algorithm, SIAM J. Control Optim. 22 (1984), for the rate on polyhedral problems.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from margin_lab.hard_margins.solution import EPS, ZERO

# Beyond this many rows and columns a Newton system is solved by conjugate gradients, not by a factorisation.
DIRECT = 4000
# The start and the growth of sigma, found on twelve data sets; 0.1-10 times the start, or growth by 3-100,
# cost < 2x.
START, GROWTH = 10.0, 10.0
# Outer steps without 10 % progress before the method calls what is left rounding.
PATIENCE = 12


@dataclass
class Progress:
    """Best direction and multipliers so far, their bounds where the smallest row has norm 1, and the work."""

    lower: float = -math.inf
    upper: float = math.inf
    lower_error: float = 0.0
    upper_error: float = 0.0
    w: Tensor | None = None
    lam: Tensor | None = None
    products: float = 0.0  # pairs of products Uw and U'lam: 4 n d flops
    systems: int = 0
    status: str = "running"

    @property
    def gap(self) -> float:
        """Relative gap with the rounding errors of both bounds added."""
        if self.lower <= 0:
            return math.inf
        return (max(self.upper - self.lower, 0.0) + self.lower_error + self.upper_error) / self.lower


def proximal_point(
    U: Tensor, c: Tensor, tol: float, *, max_systems: int = 1000, direct: int = DIRECT
) -> Progress:
    """Solve ``min ||w||, Uw >= c`` to a relative gap of ``tol`` between its bounds.

    Args:
        U: ``[n, d]`` float64, unit rows.
        c: ``[n]`` right-hand sides, in (0, 1].
        tol: relative gap at which to stop.
        max_systems: Newton systems allowed.
        direct: largest Newton system that is factorised.

    Returns:
        ``Progress`` whose status is ``"certified"``, ``"not separable"``, ``"rounding floor"`` or
        ``"limit"``.
    """
    n, d = U.shape
    out = Progress()
    columns = U.abs().amax(0)  # a cheap bound on the rounding error of products with U
    K = U @ U.T if n <= min(d, direct) else None
    out.products += n / 4 if K is not None else 0

    # Start from equal multipliers, at the multiple that is best for the dual.
    w = U.sum(0)
    scale = float(c.sum() / (w @ w).clamp_min((EPS * n) ** 2))
    lam, w, m = torch.full_like(c, scale), w * scale, (U @ w) * scale
    sigma, last, idle, outer = START * scale * n, math.inf, 0, 1
    drift = 0.0  # largest ||w|| since m was computed afresh: its updates keep the rounding of that size
    out.products += 1

    while True:
        # Evaluate multipliers, gradient and bounds. The few active rows, gathered once, serve g and the Newton system.
        u = lam + sigma * (c - m)
        new = u.clamp_min(0)
        J = new.nonzero().squeeze(1)
        UJ = U[J]
        g = new[J] @ UJ
        r = w - g
        norm_w, norm_g, total_new = torch.linalg.vector_norm(w), torch.linalg.vector_norm(g), new.sum()
        error = EPS * (torch.minimum(norm_w, columns @ w.abs()) + drift)
        high = torch.minimum(
            norm_g + EPS * total_new, torch.linalg.vector_norm(g.abs() + EPS * total_new * columns)
        )
        nw, ng, nr, moved, low, safe, weight, total, high_g = torch.stack(
            [
                norm_w,
                norm_g,
                torch.linalg.vector_norm(r),
                torch.linalg.vector_norm(new - lam),
                (m / c).min(),
                ((m - error) / c).min(),
                new @ c,
                total_new,
                high,
            ]
        ).tolist()
        out.products += len(J) / (2 * n)
        if nw > 0 and low / nw > out.lower:
            out.w, out.lower, out.lower_error = w, low / nw, (low - safe) / nw
        if weight > 0 and ng / weight < out.upper:
            out.lam, out.upper, out.upper_error = new, ng / weight, (high_g - ng) / weight
        if not math.isfinite(nw + ng + total):
            out.status = "rounding floor"
        elif out.gap <= tol:
            out.status = "certified"
        elif out.upper <= ZERO * out.upper_error and out.gap >= 1:
            out.status = "not separable"
            out.lam = null_weights(UJ, new, J)
        elif idle >= PATIENCE:
            out.status = "rounding floor"
        elif out.systems >= max_systems:
            out.status = "limit"
        if out.status != "running":
            return out

        # Inner step, unless phi is minimised well enough (a summable tolerance) or to rounding.
        solved = nr <= moved / (2 * outer**2 * math.sqrt(sigma)) or nr <= 4 * EPS * nw
        if not solved:
            rtol = min(0.1, math.sqrt(nr / nw)) if nw > 0 else 0.1
            x, pairs = newton_direction(UJ, None if K is None else K[J][:, J], r, sigma, rtol, direct)
            Ux = U @ x
            t = line_search(w @ x, x @ x, u, Ux, sigma)
            w, m, drift = w + t * x, m + t * Ux, max(drift, nw)
            out.products += pairs * len(J) / n + 0.5
            out.systems += 1
            solved = bool(t * torch.linalg.vector_norm(x) <= 4 * EPS * nw)
            if not solved:
                continue

        # Outer step: accept the multipliers; lengthen the step if the gap did not fall tenfold by itself.
        gap = out.gap
        idle = idle + 1 if math.isfinite(last) and gap > 0.9 * last else 0
        if last == math.inf or gap > last / 10:
            cap = 0.01 * total / max(1, len(J)) / (EPS * nw)  # keeps sigma (c - Uw) above its own rounding
            sigma = max(sigma, min(GROWTH * sigma, cap))
        lam, last, outer = new, gap, outer + 1
        m, drift = U @ w, 0.0
        out.products += 0.5


def newton_direction(
    UJ: Tensor, K: Tensor | None, r: Tensor, sigma: float, rtol: float, direct: int
) -> tuple[Tensor, float]:
    """Solve ``(I + sigma U_J'U_J) x = -r`` on its smaller side; return x and the work, in products with U_J.

    ``K = U_J U_J'`` where it is known already; ``rtol``: relative residual for conjugate gradients. The work is in
    pairs of products.
    """
    k, d = UJ.shape
    if min(k, d) > direct:
        return conjugate_gradients(UJ, r, sigma, rtol, 10 * d)
    if k < d:  # Woodbury: x = -r + U_J' (I/sigma + U_J U_J')^-1 U_J r
        A = UJ @ UJ.T if K is None else K
        A.diagonal().add_(max(1 / sigma, 4 * EPS * k))  # the trace of U_J U_J' is k
        return solve(A, UJ @ r) @ UJ - r, (k / 4 if K is None else 0.0)
    A = sigma * (UJ.T @ UJ)
    A.diagonal().add_(1)
    return -solve(A, r), d / 4


def null_weights(UJ: Tensor, lam: Tensor, J: Tensor) -> Tensor:
    """Project the active multipliers on ``U_J'lam = 0``: what they nearly solve where the data is not separable."""
    G = UJ.T @ UJ
    G.diagonal().add_(EPS * len(J))  # U may not have full rank
    out, part = torch.zeros_like(lam), lam[J]
    for _ in range(2):
        part = part - UJ @ solve(G, part @ UJ)
    out[J] = part.clamp_min(0)
    return out


def solve(A: Tensor, b: Tensor) -> Tensor:
    """Solve a positive definite system by Cholesky; by LU where rounding has made it indefinite."""
    L, info = torch.linalg.cholesky_ex(A)
    if bool(info == 0):
        return torch.cholesky_solve(b[:, None], L)[:, 0]
    x: Tensor = torch.linalg.solve_ex(A, b)[0]
    return x


def conjugate_gradients(
    UJ: Tensor, r: Tensor, sigma: float, rtol: float, max_steps: int
) -> tuple[Tensor, int]:
    """Solve the Newton system to a relative residual of ``rtol``: two products with U_J a step.

    Preconditioned by the diagonal, without which columns of different scale do not get solved. Not where U_J has few rows: the
    system is then the identity plus a matrix of low rank, CG ends by itself after ``k + 1`` steps, and a diagonal spoils that.
    """
    k, d = UJ.shape
    diagonal = 1 + sigma * (UJ * UJ).sum(0) if 2 * k >= d else torch.ones_like(r)
    x, res = torch.zeros_like(r), -r
    p = res / diagonal
    rho, steps = res @ p, 0
    goal = rtol * torch.linalg.vector_norm(r)
    while steps < max_steps and bool(torch.linalg.vector_norm(res) > goal):
        hp = p + sigma * ((UJ @ p) @ UJ)
        a = rho / (p @ hp)
        x, res, old = x + a * p, res - a * hp, rho
        z = res / diagonal
        rho = res @ z
        p = z + (rho / old) * p
        steps += 1
    return x, steps


def line_search(a: Tensor, b: Tensor, u: Tensor, v: Tensor, sigma: float) -> float:
    """Return the root t > 0 of phi' along x, the piecewise-linear ``a + b t - <v, (u - sigma t v)_+>``.

    Newton steps, safeguarded by bisection: exact as soon as the piece is the right one, mostly after two.
    """
    lo, hi, t = 0.0, math.inf, 1.0
    vv = v * v
    for _ in range(60):
        rest = (u - (sigma * t) * v).clamp_min(0)
        h, slope = torch.stack([a + b * t - v @ rest, b + sigma * (vv @ (rest > 0).to(v.dtype))]).tolist()
        lo, hi = (t, hi) if h < 0 else (lo, t)
        new = t - h / slope if slope > 0 else math.inf
        if not lo <= new <= hi:
            new = 2 * lo if hi == math.inf else (lo + hi) / 2
        if abs(new - t) <= 1e-14 * t:
            return new
        t = new
    return t
