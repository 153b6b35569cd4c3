"""What the hard-margin solvers share: the solution and the bounds that prove it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from margin_lab.checks import Restore
from margin_lab.hard_margins.labels import predicted
from margin_lab.hard_margins.not_separable import DUAL_NAME, NotSeparableError
from margin_lab.results import Result
from margin_lab.results.base import as_numpy

EPS = torch.finfo(torch.float64).eps
# The margin (w-side) is measured in a norm, the bound (||Z'p||) in its dual.
ORDER = {"l1": 1.0, "l2": 2.0, "linf": math.inf}
DUAL_ORDER = {name: ORDER[DUAL_NAME[name]] for name in ORDER}
# A bound below this many rounding errors of Z'p looks like zero, and a solver may stop: Z'p's true error is some sqrt(d) to d
# times what is counted as one. No verdict rests on it.
ZERO = 500
# Bounds within this many rounding errors of each other are called as close as they come: one product's error, and the solver's.
FLOOR = 100
# A weight above this, relative to the largest, makes a support vector: solvers leave 1e-16, and answers need none below 1e-8.
SUPPORT = 1e-10
# Right-hand sides are kept above the smallest normal float by as much as solvers square or divide away.
SMALLEST = 1e-300
# A sample is on the margin if its margin exceeds the smallest by at most this, relatively, or by its rounding error.
ON_MARGIN = 1e-7

STATUSES = {
    "certified": "the gap is at most tol",
    "rounding floor": "the bounds are as close as float64 brings them: exact=True goes on in rational arithmetic",
    "limit": "the solver ran out of iterations: another method, or exact=True, may go further",
    "undecided": "neither a separating w nor a proof that there is none was found within the limits: exact=True has no limit",
}


@dataclass(frozen=True, eq=False, repr=False)
class HardMargin(Result):
    """A hard-margin solution and the two numbers that enclose the largest margin.

    ``margin = min_i y_i <x_i, w> <= gamma* <= ||sum_i dual_i y_i x_i||_dual = upper_bound``: the first
    inequality holds for every unit w, the second for every ``dual`` in the simplex, so neither asks you to
    trust the solver.

    Attributes:
        w: ``[d]``, unit in ``norm``; type, dtype and device of the data.
        margin: the margin of w (in float64, before w is rounded to the data's dtype).
        upper_bound: no direction has a larger margin than this.
        gap: ``(upper_bound - margin + rounding) / margin``, with the rounding error of the two products behind the
            bounds, so that it is never 0; inf where w does not separate the data.
        dual: ``[n]`` weights in the simplex that prove ``upper_bound``; like w in type.
        support: indices of the support vectors, ``dual > 1e-10 max(dual)``.
        status: ``"certified"`` (gap <= tol), ``"rounding floor"`` (float64 allows no more), ``"limit"`` (out of iterations) or
            ``"undecided"`` (neither a separator nor a proof that there is none was found: the margin is then not positive).
            ``STATUSES`` in this file says what to do about each.
        norm: ``"l1"``, ``"l2"``, ``"linf"``; of matrices also ``"spectral"`` or ``"nuclear"``.
        method: the solvers that were run, in order.
        products: work in pairs of products Zw and Z'p, where the solver counts it, else None.
        on_margin: indices of all samples on the margin of w, with weight or without: ``z_i . w`` is at most ``1e-7`` (relative)
            or its rounding error above the smallest, or it is in the support. With an ``interval``: exactly those.
        interval: with ``exact=True`` (or where nothing else would do) two floats that enclose gamma*, computed without rounding
            and then rounded outwards; ``margin`` and ``upper_bound`` are these two, and w and dual are the exact ones rounded,
            which may cost them digits on badly scaled data. Else None.
        b: the intercept, where ``bias=True`` asked for one; else 0.
        classes: ``[k]`` labels of the rows of w, of multiclass data; else None.
    """

    w: Any
    margin: float
    upper_bound: float
    gap: float
    dual: Any
    support: Any
    status: str
    norm: str
    method: str
    products: float | None
    on_margin: Any = None
    interval: tuple[float, float] | None = None
    b: float = 0.0
    classes: Any = None

    def predict(self, X: Any) -> Any:
        """Return the labels of samples X ``[m, ...]`` (one sample a row, as in the data that was solved).

        Binary: +1 where ``<x, w> + b >= 0``, else -1; type of X. Multiclass: ``classes[argmax_k <w_k, x>]``, an array.

        Raises:
            ValueError: samples of another shape.
        """
        return predicted(self.w, self.b, self.classes, X)

    _x, _y, _points = "sample", "dual", True

    def table(self) -> dict[str, np.ndarray]:
        """One row a sample: sample, dual (its weight; of several classes their sum)."""
        dual = as_numpy(self.dual)
        return {"sample": np.arange(len(dual)), "dual": dual.reshape(len(dual), -1).sum(1)}

    def _title(self) -> str:
        return (
            f"HardMargin(norm={self.norm!r}, margin={self.margin:.12g}, gap={self.gap:.1e}, "
            f"support={len(self.support)} of {len(self.dual)}, status={self.status!r}, "
            f"method={self.method!r})"
        )


def restored(solve: Callable[[], HardMargin], dtype: torch.dtype, restore: Restore) -> HardMargin:
    """Run ``solve`` and give its tensors (or its error's certificate) the type of the user's data."""
    try:
        sol = solve()
    except NotSeparableError as error:
        raise NotSeparableError(
            restore(error.certificate), error.residual, error.norm, error.rows, error.bias
        ) from None
    return replace(
        sol,
        w=restore(sol.w.to(dtype)),
        dual=restore(sol.dual.to(dtype)),
        support=restore(sol.support),
        on_margin=None if sol.on_margin is None else restore(sol.on_margin),
        b=torch.tensor(sol.b, dtype=torch.float64).to(dtype).item(),
    )


def length(t: Tensor, order: float, dim: int = -1) -> Tensor:
    """Return the norm of ``t`` along ``dim`` without squaring anything that would over- or underflow."""
    plain = torch.linalg.vector_norm(t, order, dim=dim)
    low, high = (x.item() for x in torch.aminmax(plain))
    if low > 1e-140 and high < 1e140:
        return plain
    top = t.abs().amax(dim, keepdim=True)
    unit = t / torch.where(top > 0, top, 1.0)
    return torch.linalg.vector_norm(unit, order, dim=dim) * top.squeeze(dim)


def unit_rows(Z: Tensor, order: float) -> tuple[Tensor, Tensor]:
    """Return ``U, c``: rows ``u_i = z_i/||z_i||`` and ``c_i = min_k ||z_k|| / ||z_i||``.

    ``Zw >= min_k ||z_k||`` is ``Uw >= c``, so solvers see rows of one size whatever the data's scale. Multipliers
    lam of ``Uw >= c`` are weights ``p = lam c`` (to a factor) on Z.
    """
    rows = length(Z, order)
    least = rows.min()
    U = Z / rows[:, None]
    if least < 1e-290:  # where the norm is subnormal the division is inexact
        U = U / length(U, order)[:, None]
    return U, (least / rows).clamp_min(SMALLEST)


class Bounds:
    """The best enclosure of gamma* so far and the pair (w, p) that proves it.

    ``min(Zw)/||w|| <= gamma* <= ||Z'p||_dual``. Every bound is evaluated here from explicit w and p by a
    fresh product, whatever the solver that offers them believes, and carries its rounding error: that of a
    sum is taken as eps times the sum of its terms' absolute values.

    Attributes:
        separated: whether w is proved to separate the data, with the rounding errors of the products bounded.
        exact, tight: the enclosure that rational arithmetic gave, if it was asked, and the rows on the margin.
    """

    separated = False
    exact: tuple[float, float] | None = None
    tight: Tensor | None = None

    def __init__(self, Z: Tensor, norm: str):
        self.Z, self.norm = Z, norm
        self.lower, self.lower_error = -math.inf, 0.0
        self.upper, self.upper_error = math.inf, 0.0
        self.w, self.p = torch.zeros_like(Z[0]), Z.new_full((len(Z),), 1 / len(Z))
        lengths = torch.linalg.vector_norm(Z, dim=1)
        shortest, self.longest = (x.item() for x in torch.aminmax(lengths))
        # a norm may underflow
        self.has_zero_row = shortest == 0 and not bool(Z.any(1).all())
        self.m = Z[:, 0]  # the margins of w

    def offer(self, w: Tensor | None = None, p: Tensor | None = None) -> None:
        """Keep ``w`` and the weights ``p`` (any positive multiples) where they improve a bound."""
        if self.exact is not None:
            return
        if w is not None:
            self._offer_direction(w)
        if p is not None:
            self._offer_weights(p)

    def _offer_direction(self, w: Tensor) -> None:
        size = float(length(w, ORDER[self.norm]))
        if not 0 < size < math.inf:
            return
        w = w / size
        if size < 1e-290:
            w = w / length(w, ORDER[self.norm])  # the first division of a subnormal w is inexact
        m = self.Z @ w
        lower = m.min().item()
        if not lower > self.lower:
            return
        self.m = m
        # Only rows within the largest rounding error of the smallest can be the one with the least safe margin.
        terms = len(w) + 2
        most = EPS * self.longest * float(torch.linalg.vector_norm(w))
        near = (m <= lower + terms * most).nonzero().squeeze(1)
        error = EPS * (self.Z[near].abs() @ w.abs())
        close = m[near]
        safe, sure = torch.stack([(close - error).min(), (close - terms * error).min()]).tolist()
        self.w, self.lower, self.lower_error = w, lower, lower - safe
        self.separated = sure > SMALLEST  # and then nothing that underflowed matters

    def _offer_weights(self, p: Tensor) -> None:
        low, top = (x.item() for x in torch.aminmax(p))
        if not 0 < top < math.inf or not low > -math.inf:  # both are NaN where one entry is
            return
        p = (p if low >= 0 else p.clamp_min(0)) / top
        p = p / p.sum()
        used = p.nonzero().squeeze(1)
        weights, rows = (p, self.Z) if 4 * len(used) > len(p) else (p[used], self.Z[used])
        g = weights @ rows
        high = g.abs() + EPS * (weights @ rows.abs())
        upper, safe = length(torch.stack([g, high]), DUAL_ORDER[self.norm]).tolist()
        if upper < self.upper:
            self.p, self.upper, self.upper_error = p, upper, safe - upper

    def offer_mean(self) -> None:
        """Offer equal weights of unit rows, and the direction they give: where a solver has left a side without a bound."""
        p = unit_rows(self.Z, DUAL_ORDER[self.norm])[1]
        self.offer(p @ self.Z, p)

    def enclose(self, w: Tensor, p: Tensor, lower: float, upper: float, tight: list[int]) -> None:
        """Take the answer of rational arithmetic: the enclosure is proved, w and p are the exact ones rounded."""
        self.tight = torch.tensor(tight, device=w.device)
        self.w, self.p = w / length(w, ORDER[self.norm]), p / p.sum()
        self.lower, self.upper, self.exact = lower, upper, (lower, upper)
        self.lower_error = self.upper_error = 0.0
        self.separated = lower > 0

    @property
    def gap(self) -> float:
        """Relative gap with the rounding errors of both products added: never 0, never NaN; inf until a w separates."""
        if not self.lower > 0 or not math.isfinite(self.upper):
            return math.inf
        return (max(self.upper - self.lower, 0.0) + self.lower_error + self.upper_error) / self.lower

    @property
    def at_floor(self) -> bool:
        """Whether the distance of the bounds is a modest multiple of their rounding error."""
        near = self.upper - self.lower <= FLOOR * (self.lower_error + self.upper_error)
        return near or self.exact is not None  # neighbouring floats

    @property
    def zero(self) -> bool:
        """Whether gamma* looks like zero: Z'p does, and no w separates beyond doubt. Reason to stop, not a verdict."""
        return self.upper <= ZERO * self.upper_error and not self.gap < 1

    def settled(self, tol: float) -> bool:
        """Whether more work adds nothing: the gap is small enough, or all rounding, or gamma* looks like zero."""
        return self.gap <= tol or self.zero or self.upper - self.lower <= self.lower_error + self.upper_error

    def status(self, tol: float, stopped_at_floor: bool = False) -> str:
        """What there is to say about the answer: one of ``STATUSES``. stopped_at_floor: a solver's word."""
        if not self.separated:
            return "undecided"
        if self.gap <= tol:
            return "certified"
        return "rounding floor" if self.at_floor or stopped_at_floor else "limit"

    def support(self) -> Tensor:
        """Indices of the samples with weight."""
        return (self.p > SUPPORT * self.p.max()).nonzero().squeeze(1)

    def on_margin(self) -> Tensor:
        """Indices of the samples on the margin of w, with or without weight, to ``ON_MARGIN`` and rounding."""
        if self.tight is not None:
            return self.tight
        near = self.lower + ON_MARGIN * abs(self.lower)
        most = 4 * EPS * self.longest * float(torch.linalg.vector_norm(self.w))
        rows = (self.m <= near + most).nonzero().squeeze(1)
        if (
            most > ON_MARGIN * abs(self.lower) / 100
        ):  # on badly scaled data every row has its own rounding error
            rows = rows[self.m[rows] <= near + 4 * EPS * (self.Z[rows].abs() @ self.w.abs())]
        return torch.cat([rows, self.support()]).unique()
