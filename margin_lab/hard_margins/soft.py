"""The soft margin of data that nothing separates: the support vector machine, with the certificate of the hard margin."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from margin_lab.checks import as_tensor, positive, signed_data
from margin_lab.hard_margins.interior_point import interior_point
from margin_lab.hard_margins.labels import predicted
from margin_lab.hard_margins.solution import EPS, FLOOR, SUPPORT


@dataclass(frozen=True, repr=False)
class SoftMargin:
    """A soft-margin solution and the two numbers that enclose the smallest value of its objective.

    ``dual_bound <= min_{w, b} ||w||^2 / 2 + C sum_i max(0, 1 - y_i (<x_i, w> + b)) <= primal``: the first holds for every
    ``dual`` between 0 and C (with an intercept: whose sums over both classes are equal), the second is the value at (w, b).

    Attributes:
        w: ``[d]``; type, dtype and device of the data. b: the intercept; 0 without one.
        primal: the objective at (w, b) (in float64, before w is rounded to the data's dtype).
        dual_bound: ``sum dual - ||sum_i dual_i y_i x_i||^2 / 2``; no (w, b) is better.
        gap: ``(primal - dual_bound + rounding) / primal``, finite and positive.
        dual: ``[n]``, the multipliers alpha, in [0, C].
        slacks: ``[n]``, ``max(0, 1 - y_i (<x_i, w> + b))``.
        margin: ``1/||w||``, the distance from the hyperplane to where a slack begins; inf for w = 0.
        support: indices with ``dual > 1e-10 max(dual)``.
        status: "certified" (gap <= tol), "rounding floor" (float64 allows no more) or "limit" (the solver stopped before).
        C: the price of a unit of slack.
    """

    w: Any
    b: float
    primal: float
    dual_bound: float
    gap: float
    dual: Any
    slacks: Any
    margin: float
    support: Any
    status: str
    C: float

    def predict(self, X: Any) -> Any:
        """Return +1 where ``<x, w> + b >= 0``, else -1, for samples X ``[m, d]``; type of X."""
        return predicted(self.w, self.b, None, X)

    def __repr__(self) -> str:
        return (
            f"SoftMargin(C={self.C:g}, primal={self.primal:.12g}, gap={self.gap:.1e}, margin={self.margin:.6g}, "
            f"support={len(self.support)} of {len(self.dual)}, status={self.status!r})"
        )


def soft_margin(X: Any, y: Any, C: float = 1.0, tol: float = 1e-10, bias: bool = False) -> SoftMargin:
    """Return the soft-margin separator of binary data, separable or not, with bounds that prove it.

    Solves, in l2,

        ``min_{w, b} ||w||^2 / 2 + C sum_i max(0, 1 - y_i (<x_i, w> + b))``,

    the linear support vector machine with the hinge loss, summed: the C of ``sklearn.svm.SVC``. Without ``bias``, b = 0. On
    separable data w tends to ``hard_margin``'s, divided by its margin, as C grows, and is exactly that from some C on.

    Args:
        X: ``[n, d]`` array or tensor, one sample a row. y: ``[n]`` labels, -1 or +1.
        C: the price of slack, > 0. tol: relative gap wanted; below it, ``status`` is "certified".
        bias: whether to look for an intercept b, which is no part of the norm.

    Returns:
        ``SoftMargin``: w, b, both bounds, gap, dual, slacks, margin, support and status.

    Raises:
        ValueError: bad data or labels, ``C <= 0``, ``tol <= 0``; one class only, with ``bias``.

    Example:
        >>> import numpy as np
        >>> sol = soft_margin(np.array([[1.0], [2.0], [-1.0], [0.5]]), np.array([1, 1, -1, -1]), C=1.0)
        >>> sol.w.round(6), round(sol.primal, 6), sol.slacks.round(6), sol.status
        (array([1.]), 2.0, array([0. , 0. , 0. , 1.5]), 'certified')

    Source: Cortes and Vapnik, Machine Learning 20 (1995); the certificate is weak duality.
    """
    Z, restore = signed_data(X, y)
    positive(C, "C")
    positive(tol, "tol")
    dtype, labels = Z.dtype, None
    rows = Z.double().cpu().numpy()
    if bias:
        labels = as_tensor(y, "y").double().cpu().numpy()
        if (labels == labels[0]).all():
            raise ValueError(
                f"bias=True needs samples of both labels, got {labels[0]:+.0f} only: the intercept alone fits them"
            )
    bounds = _Bounds(rows, labels, float(C))
    bounds.search(tol)
    w, alpha = bounds.w, bounds.alpha
    if bounds.gap <= tol:
        status = "certified"
    else:
        status = "rounding floor" if bounds.upper - bounds.lower <= FLOOR * bounds.rounding else "limit"
    length = float(np.linalg.norm(w))
    return SoftMargin(
        w=restore(torch.from_numpy(w).to(dtype)),
        b=torch.tensor(bounds.b, dtype=torch.float64).to(dtype).item(),
        primal=bounds.upper,
        dual_bound=min(bounds.lower, bounds.upper),
        gap=bounds.gap,
        dual=restore(torch.from_numpy(alpha).to(dtype)),
        slacks=restore(torch.from_numpy(bounds.slacks).to(dtype)),
        margin=1 / length if length > 0 else math.inf,
        support=restore(torch.from_numpy(np.flatnonzero(alpha > SUPPORT * alpha.max()))),
        status=status,
        C=float(C),
    )


class _Bounds:
    """The best enclosure of the objective so far, evaluated afresh from whatever (w, alpha) is offered.

    With an intercept the origin is first moved between the classes, which changes b alone.
    """

    def __init__(self, Z: np.ndarray, y: np.ndarray | None, C: float):
        self.Z, self.y, self.C = Z, y, C
        self.centre = np.zeros(Z.shape[1])
        if y is not None:
            X = Z * y[:, None]
            self.centre = X[y > 0].mean(0) / 2 + X[y < 0].mean(0) / 2
            self.Z = (X - self.centre) * y[:, None]
        self.upper, self.lower, self.upper_error, self.lower_error = math.inf, -math.inf, 0.0, 0.0
        self.w, self.b, self.alpha, self.slacks = np.zeros(Z.shape[1]), 0.0, np.zeros(len(Z)), np.ones(len(Z))
        self.offer(np.zeros(Z.shape[1]), np.zeros(len(Z)))

    def search(self, tol: float) -> None:
        """Offer what the interior point finds, on rows of length at most 1, until the gap is below tol or it stops."""
        scale = 2.0 ** math.frexp(float(np.abs(self.Z).max()) * math.sqrt(self.Z.shape[1]))[1]
        if self.gap <= tol or not self.Z.any():
            return
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            try:
                for w, alpha in interior_point(self.Z / scale, self.y, self.C * scale * scale):
                    self.offer(w / scale, alpha / scale / scale)
                    if self.gap <= tol:
                        return
            except np.linalg.LinAlgError:
                return  # its last systems may be singular in float64; what was found before counts

    def offer(self, w: np.ndarray, alpha: np.ndarray) -> None:
        """Keep w, with its best intercept, and the multipliers, clipped and balanced, where they improve a bound."""
        if np.isfinite(w).all():
            worst = self._offer_direction(w)
            if 0 < worst < 1e-6:  # rounding, which a large C multiplies: a w longer by as much has no slack
                self._offer_direction(w * (1 + 2 * worst))
        if np.isfinite(alpha).all():
            alpha = np.clip(alpha, 0, self.C)
            if self.y is not None:
                plus, minus = alpha[self.y > 0].sum(), alpha[self.y < 0].sum()
                most = max(plus, minus)
                if most > 0:
                    alpha = alpha * np.where(self.y > 0, minus / most, plus / most)
            g, total = alpha @ self.Z, float(alpha.sum())
            bound = total - float(g @ g) / 2
            if bound > self.lower:
                self.lower, self.alpha = bound, alpha
                self.lower_error = EPS * total + 2 * EPS * float(np.abs(g) @ (alpha @ np.abs(self.Z)))

    def _offer_direction(self, w: np.ndarray) -> float:
        """Returns the largest slack that there may be, with its rounding."""
        scores = self.Z @ w
        b = 0.0 if self.y is None else best_intercept(scores, self.y)
        short = 1 - scores - (0 if self.y is None else b * self.y)
        slacks = np.maximum(short, 0)
        value = float(w @ w / 2 + self.C * slacks.sum())
        rounding = EPS * (1 + np.abs(self.Z) @ np.abs(w) + abs(b))
        error = EPS * value + self.C * float(rounding[short + rounding > 0].sum())
        if value + error < self.upper + self.upper_error:
            self.upper, self.upper_error = value, error
            self.w, self.b, self.slacks = w, float(b - self.centre @ w), slacks
        return float((short + rounding).max())

    @property
    def rounding(self) -> float:
        return self.upper_error + self.lower_error

    @property
    def gap(self) -> float:
        """Relative, with the rounding errors of both values added: never 0."""
        return (max(self.upper - self.lower, 0.0) + self.rounding) / self.upper


def best_intercept(scores: np.ndarray, y: np.ndarray) -> float:
    """Return b that minimises ``sum_i max(0, 1 - scores_i - y_i b)``: the middle of where the slope of this line changes sign.

    Each term changes its slope at ``b_i = y_i (1 - scores_i)``: left of the first one the slope is minus the number of positive
    labels, and it grows by one at each.
    """
    turns = np.sort(y * (1 - scores))
    k = int((y > 0).sum())
    return float(turns[k - 1] / 2 + turns[k] / 2) if k < len(turns) else float(turns[-1])
