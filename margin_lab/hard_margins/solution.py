"""What the hard-margin solvers share: the solution, the bounds that prove it, the error where there is none."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from margin_lab.checks import Restore, as_tensor, restore_like
from margin_lab.hard_margins.labels import predicted

EPS = torch.finfo(torch.float64).eps
# The margin (w-side) is measured in a norm, the bound (||Z'p||) in its dual.
ORDER = {"l1": 1.0, "l2": 2.0, "linf": math.inf}
DUAL_ORDER = {"l1": math.inf, "l2": 2.0, "linf": 1.0}
# A bound below this many rounding errors of Z'p is zero for all that float64 can tell.
ZERO = 500


@dataclass(frozen=True, repr=False)
class HardMargin:
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
        status: ``"certified"`` (gap <= tol), ``"rounding floor"`` (float64 allows no more) or ``"limit"``
            (out of iterations).
        norm: ``"l1"``, ``"l2"``, ``"linf"``; of matrices also ``"spectral"`` or ``"nuclear"``.
        method: the solvers that were run, in order.
        products: work in pairs of products Zw and Z'p, where the solver counts it, else None.
        on_margin: indices of the samples on the margin, with weight or without.
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
    b: float = 0.0
    classes: Any = None

    def predict(self, X: Any) -> Any:
        """Return the labels of samples X ``[m, ...]`` (one sample a row, as in the data that was solved).

        Binary: +1 where ``<x, w> + b >= 0``, else -1; type of X. Multiclass: ``classes[argmax_k <w_k, x>]``, an array.

        Raises:
            ValueError: samples of another shape.
        """
        return predicted(self.w, self.b, self.classes, X)

    def __repr__(self) -> str:
        return (
            f"HardMargin(norm={self.norm!r}, margin={self.margin:.12g}, gap={self.gap:.1e}, "
            f"support={len(self.support)} of {len(self.dual)}, status={self.status!r}, "
            f"method={self.method!r})"
        )


class NotSeparableError(ValueError):
    """No direction (with ``bias``: no hyperplane) classifies every sample correctly, and ``certificate`` proves it.

    If some w had ``y_i <x_i, w> > 0`` for all i, then ``<Z'p, w> > 0`` for all weights p in the simplex (rows
    of Z: ``y_i x_i``). Weights with ``Z'p = 0`` rule that out (Gordan 1873). With an intercept the rows are ``y_i (x_i, c)``.

    Attributes:
        certificate: ``[n]`` weights p in the simplex; type and device of the data, float64.
        residual: ``||Z'p||`` in the dual norm, zero to rounding: an upper bound on every margin.
        conflicting: indices of the samples with weight, the largest first: together they contradict each other, and without
            them, or with other labels, this proof is gone. Of multiclass data a sample's weight is its largest.
    """

    def __init__(
        self, certificate: Any, residual: float, norm: str, rows: str = "z_i = y_i x_i", bias: bool = False
    ):
        self.certificate, self.residual, self.norm, self.rows, self.bias = (
            certificate,
            residual,
            norm,
            rows,
            bias,
        )
        dual = {"l1": "linf", "l2": "l2", "linf": "l1", "spectral": "nuclear", "nuclear": "spectral"}[norm]
        kind = "separable" if bias else "separable through the origin"
        intercept = "" if bias or rows[0] == "(" else "an intercept (bias=True of hard_margin), "
        super().__init__(
            f"the data is not linearly {kind}, so it has no hard margin. Certificate: the "
            f"weights p in the simplex (this error's .certificate) give ||Z'p|| = {residual:.1e} in the {dual} "
            f"norm, zero to rounding, with rows {rows}; a separating w would need <Z'p, w> > 0. What to "
            f"do: {intercept}more features, soft_margin, or a look at the labels of the samples that contradict each other "
            "(.conflicting: their indices, largest weight first)"
        )

    @property
    def conflicting(self) -> Any:
        return conflicting(self.certificate)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.certificate, self.residual, self.norm, self.rows, self.bias)


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


def conflicting(certificate: Any) -> Any:
    """Indices of the weights above 1e-10 of the largest, in falling order; the same type as ``certificate``."""
    p = as_tensor(certificate, "certificate")
    p = p.amax(1) if p.ndim == 2 else p
    order = torch.argsort(p, descending=True, stable=True)
    return restore_like(certificate)(order[p[order] > 1e-10 * p.max()])


def length(t: Tensor, order: float, dim: int = -1) -> Tensor:
    """Return the norm of ``t`` along ``dim`` without squaring anything that would over- or underflow."""
    top = t.abs().amax(dim, keepdim=True)
    unit = t / torch.where(top > 0, top, 1.0)
    return torch.linalg.vector_norm(unit, order, dim=dim) * top.squeeze(dim)


def unit_rows(Z: Tensor, order: float) -> tuple[Tensor, Tensor]:
    """Return ``U, c``: rows ``u_i = z_i/||z_i||`` and ``c_i = min_k ||z_k|| / ||z_i||``.

    ``Zw >= min_k ||z_k||`` is ``Uw >= c``, so solvers see rows of one size whatever the data's scale. Multipliers
    lam of ``Uw >= c`` are weights ``p = lam c`` (to a factor) on Z.
    """
    rows = length(Z, order)
    U = Z / rows[:, None]
    U = U / length(U, order)[:, None]  # where the norm is subnormal the first division is inexact
    return U, (rows.min() / rows).clamp_min(1e-300)


class Bounds:
    """The best enclosure of gamma* so far and the pair (w, p) that proves it.

    ``min(Zw)/||w|| <= gamma* <= ||Z'p||_dual``. Every bound is evaluated here from explicit w and p by a
    fresh product, whatever the solver that offers them believes, and carries its rounding error: that of a
    sum is taken as eps times the sum of its terms' absolute values.
    """

    def __init__(self, Z: Tensor, norm: str):
        self.Z, self.norm = Z, norm
        self.lower, self.lower_error = -math.inf, 0.0
        self.upper, self.upper_error = math.inf, 0.0
        self.w, self.p = torch.zeros_like(Z[0]), Z.new_full((len(Z),), 1 / len(Z))
        p = unit_rows(Z, DUAL_ORDER[norm])[1]
        self.offer(p @ Z, p)

    def offer(self, w: Tensor | None = None, p: Tensor | None = None) -> None:
        """Keep ``w`` and the weights ``p`` (any positive multiples) where they improve a bound."""
        if w is not None and bool(torch.isfinite(w).all()) and bool(w.any()):
            w = w / length(w, ORDER[self.norm])
            w = w / length(w, ORDER[self.norm])  # the first division of a subnormal w is inexact
            m = self.Z @ w
            lower, safe = torch.stack([m.min(), (m - EPS * (self.Z.abs() @ w.abs())).min()]).tolist()
            if lower > self.lower:
                self.w, self.lower, self.lower_error = w, lower, lower - safe
        if p is not None and bool(torch.isfinite(p).all()) and bool((p > 0).any()):
            p = p.clamp_min(0) / p.amax()
            p = p / p.sum()
            g = p @ self.Z
            high = g.abs() + EPS * (p @ self.Z.abs())
            upper, safe = length(torch.stack([g, high]), DUAL_ORDER[self.norm]).tolist()
            if upper < self.upper:
                self.p, self.upper, self.upper_error = p, upper, safe - upper

    @property
    def gap(self) -> float:
        """Relative gap with the rounding errors of both products added: never 0; inf until a w separates."""
        if self.lower <= 0:
            return math.inf
        return (max(self.upper - self.lower, 0.0) + self.lower_error + self.upper_error) / self.lower

    @property
    def separates(self) -> bool:
        """Whether w separates the data beyond doubt: its margin is right to a factor of two."""
        return self.gap < 1

    @property
    def at_floor(self) -> bool:
        """Whether the distance of the bounds is a modest multiple of their rounding error."""
        return self.upper - self.lower <= 100 * (self.lower_error + self.upper_error)

    @property
    def zero(self) -> bool:
        """Whether gamma* is zero to rounding: Z'p is, and no w separates beyond rounding."""
        return self.upper <= ZERO * self.upper_error and not self.separates

    def settled(self, tol: float) -> bool:
        """Whether more work adds nothing: the gap is small enough, or all rounding, or gamma* is zero."""
        return self.gap <= tol or self.zero or self.upper - self.lower <= self.lower_error + self.upper_error
