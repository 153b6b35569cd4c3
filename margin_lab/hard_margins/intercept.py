"""Hard margins with an intercept that costs nothing: by solvers for none, on data whose origin is moved onto the hyperplane."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from margin_lab.hard_margins.solution import (
    DUAL_ORDER,
    EPS,
    ON_MARGIN,
    ORDER,
    SUPPORT,
    Bounds,
    HardMargin,
    NotSeparableError,
    length,
)

# The constant column, in units of the largest sample. l2: each move of the origin makes the error some K^2 times smaller; a
# larger K costs digits. l1: the error is 1/K, until the equations of the basis are solved without it. linf: 2 is enough.
COLUMNS = {"l2": (16.0,) * 6, "linf": (4.0,), "l1": (2.0**20, 2.0**32)}
# Entries of w and weights below this, relative to the largest, are not part of a basis.
DUST = 1e-11

Solver = Callable[..., HardMargin]


def with_intercept(solve: Solver, Z: Tensor, y: Tensor, norm: str, tol: float, method: str) -> HardMargin:
    """Return ``max_{||w|| <= 1, b} min_i y_i (<x_i, w> + b)``, with bounds that prove it.

    A solver without an intercept sees ``[x_i - m, K]``: its b = K beta has a price, beta's part in the norm. linf: the price is 0
    wherever ``|beta| <= ||w||``, which a large K ensures. l2: it is 0 where the hyperplane passes through m, so m is moved onto
    the last one found, ``m <- m - b w/||w||^2``; each move makes what is wrong some K^2 times smaller. l1: the price falls like
    1/K and does not change the basis, whose equations are solved without it. However w and p were found, what counts is

        ``margin = min_i y_i (<x_i, w> + b)  <=  gamma*  <=  ||sum_i p_i y_i x_i||_dual``,   p >= 0, each class's p sums to 1/2.

    Args:
        solve: ``hard_margin``. Z: ``[n, d]`` signed rows in float64. y: ``[n]``. norm, tol, method: as of ``hard_margin``.

    Returns:
        ``HardMargin`` of tensors, with b.

    Raises:
        NotSeparableError: no hyperplane separates; weights with ``Z'p = 0`` and ``<y, p> = 0`` prove it.
        ValueError: one class only.

    Source: the dual is the distance of the classes' convex hulls, halved (Bennett and Bredensteiner 2000); for other norms
    Mangasarian (1999).
    """
    if bool((y == y[0]).all()):
        raise ValueError(
            f"bias=True needs samples of both labels, got {y[0].item():+.0f} only: the intercept alone separates them, "
            "by any margin"
        )
    bounds = InterceptBounds(Z, y, norm)
    found: list[HardMargin] = []
    shift = torch.zeros_like(Z[0])
    for K in COLUMNS[norm]:
        column = _power_of_two(K * bounds.radius)
        A = torch.cat([bounds.Z - y[:, None] * shift, column * y[:, None]], 1)
        try:
            sol = solve(A, torch.ones_like(y), norm, tol / 4, method)
        except NotSeparableError:
            sol = _verdict(solve, bounds, norm)
        found.append(sol)
        w, p = sol.w[:-1], sol.dual
        bounds.offer(w, p)
        if norm != "l2" and not bounds.settled(tol):
            bounds.offer(*basis(bounds.Z, y, bounds.w, bounds.p, norm))
        if bounds.settled(tol) or not w.any():
            break
        if norm == "l2":
            shift = shift - column * sol.w[-1] * (w / length(w, 2.0) ** 2)
    certified = bounds.gap <= tol
    counted = [sol.products for sol in found if sol.products is not None]
    return HardMargin(
        w=bounds.w,
        margin=bounds.lower,
        upper_bound=max(bounds.upper, bounds.lower),
        gap=bounds.gap,
        dual=bounds.p,
        support=(bounds.p > SUPPORT * bounds.p.max()).nonzero().squeeze(1),
        status="certified" if certified else bounds.doubt,
        norm=norm,
        method="+".join(sol.method for sol in found),
        products=sum(counted) if counted else None,
        on_margin=bounds.on_margin(),
        b=bounds.b,
    )


def _verdict(solve: Solver, bounds: InterceptBounds, norm: str) -> HardMargin:
    """Ask the data itself, not moved: moving it has rounded it, so that a proof would be of other data."""
    X = bounds.X
    column = _power_of_two(X.abs().max().item())
    Z = torch.cat([X, torch.full_like(X[:, :1], column)], 1) * bounds.y[:, None]
    try:
        return solve(Z, torch.ones_like(bounds.y), norm)
    except NotSeparableError as error:
        p = error.certificate
        residual = length(p @ Z, DUAL_ORDER[norm]).item()
        raise NotSeparableError(p, residual, norm, f"y_i (x_i, {column:g})", bias=True) from None


def _power_of_two(value: float) -> float:
    return 2.0 ** math.frexp(value)[1] if value > 0 else 1.0


class InterceptBounds(Bounds):
    """:class:`Bounds` for hyperplanes with an intercept; Z holds the rows ``y_i (x_i - m)``, m between the classes' means."""

    def __init__(self, Z: Tensor, y: Tensor, norm: str):
        self.X, self.y, self.norm = Z * y[:, None], y, norm
        self.plus, self.minus = y > 0, y < 0
        self.centre = self.X[self.plus].mean(0) / 2 + self.X[self.minus].mean(0) / 2
        centred = self.X - self.centre
        self.Z = centred * y[:, None]
        self.radius = length(centred, DUAL_ORDER[norm]).max().item()
        self.lower, self.lower_error = -math.inf, 0.0
        self.upper, self.upper_error = math.inf, 0.0
        self.w, self.b, self.p = torch.zeros_like(Z[0]), 0.0, torch.full_like(y, 1 / len(y))

    def offer(self, w: Tensor | None = None, p: Tensor | None = None) -> None:
        """Keep ``w``, with its best intercept, and the weights ``p``, each class's scaled to 1/2, where they improve a bound."""
        if w is not None and bool(torch.isfinite(w).all()) and bool(w.any()):
            w = w / length(w, ORDER[self.norm])
            w = w / length(w, ORDER[self.norm])
            scores = (self.Z @ w) * self.y
            b = -(scores[self.plus].min() + scores[self.minus].max()).item() / 2 - (self.centre @ w).item()
            m = self.y * (self.X @ w + b)
            lower, safe = torch.stack([m.min(), (m - self._rounding(w, b)).min()]).tolist()
            if lower > self.lower:
                self.w, self.b, self.lower, self.lower_error = w, b, lower, lower - safe
        if p is not None and bool(torch.isfinite(p).all()):
            p = p.clamp_min(0)
            tops = [p[side].max() for side in (self.plus, self.minus)]
            if min(tops) > 0:
                for side, top in zip((self.plus, self.minus), tops, strict=True):
                    part = p[side] / top
                    p[side] = part / (2 * part.sum())
                g = p @ self.Z
                high = g.abs() + 2 * EPS * (p @ self.Z.abs())  # moving the origin has rounded Z once
                upper, safe = length(torch.stack([g, high]), DUAL_ORDER[self.norm]).tolist()
                if upper < self.upper:
                    # b would weigh what the two halves differ by
                    uneven = abs(math.fsum((p * self.y).tolist())) * self.radius
                    self.p, self.upper, self.upper_error = p, upper, safe - upper + uneven

    def _rounding(self, w: Tensor, b: float) -> Tensor:
        return EPS * (self.X.abs() @ w.abs() + abs(b))

    @property
    def doubt(self) -> str:
        """The status of an answer that is not certified."""
        if not self.lower > self.lower_error:
            return "undecided"
        return "rounding floor" if self.at_floor else "limit"

    def on_margin(self) -> Tensor:
        """Indices of the samples on the margin, with or without weight."""
        m = self.y * (self.X @ self.w + self.b)
        near = m <= self.lower + ON_MARGIN * abs(self.lower) + 4 * self._rounding(self.w, self.b)
        return (near | (self.p > SUPPORT * self.p.max())).nonzero().squeeze(1)


def basis(Z: Tensor, y: Tensor, w: Tensor, p: Tensor, norm: str) -> tuple[Tensor, Tensor]:
    """Solve the equations of the basis that (w, p) shows in l1 or linf, as corrections to (w, p).

    On the rows S with weight and the columns T that may move (l1: ``w_j != 0``, with signs s; linf: ``|w_j| < 1``, s = 0):

        ``Z_S w + b y_S = g``, ``<s, w_T> = 1 (l1)``       and       ``Z_ST'p = v s``, ``<y_S, p> = 0``, ``sum p = 1``.
    """
    S = p > DUST * p.max()
    T = w.abs() > DUST * w.abs().max() if norm == "l1" else w.abs() < (1 - DUST) * w.abs().max()
    rows, ones, count = Z[S], torch.ones_like(p[S]), int(T.sum())
    s = w[T].sign() if norm == "l1" else torch.zeros_like(w[T])
    zero = torch.zeros(2, dtype=w.dtype, device=w.device)
    M = torch.cat([rows[:, T], y[S, None], -ones[:, None]], 1)
    M = torch.cat([M, torch.cat([s, zero])[None]])
    fixed = -rows[:, ~T] @ w[~T]
    right = torch.cat([fixed, s.abs().sum().clamp_max(1)[None]])
    x = torch.cat([w[T], zero])
    dual = torch.cat([p[S], zero[:1]])
    below = torch.cat([torch.zeros(count + 1, dtype=w.dtype, device=w.device), -ones[:1]])
    for _ in range(2):
        x = x + _least_squares(M, right - M @ x)
        dual = dual + _least_squares(M.T, below - M.T @ dual)
    w, p = w.clone(), torch.zeros_like(p)
    if norm == "l1":
        w[~T] = 0
    w[T], p[S] = x[:count], dual[:-1].clamp_min(0)
    return w, p


def _least_squares(M: Tensor, r: Tensor) -> Tensor:
    """The smallest solution; by singular values, for M may lack rank."""
    answer: Any = torch.linalg.lstsq(M.cpu(), r.cpu(), driver="gelsd").solution
    return answer.to(r.device)
