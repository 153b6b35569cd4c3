"""What the certified methods share: counted products, the best bounds so far, and when to stop."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from margin_lab.hard_margins.solution import EPS, ZERO
from margin_lab.norms import Norm

# Outer steps without 10 % progress before what is left is called rounding, if it is at most this many rounding errors of the
# two products: weights that have passed through many exponentials are less accurate than one evaluation.
_PATIENCE, _NEAR = 12, 1e4


@dataclass
class Search:
    """The state of one certified run: the work so far, and the best bounds on ``gamma*`` with the pair that proves them.

    ``products`` counts pairs of products: half for ``Z w``, half for ``Z^T q``. Nothing found beyond ``budget`` of them counts.
    ``history`` holds :attr:`best` as it stood when the count passed each of ``record``.
    """

    Z: Tensor
    norm: Norm
    budget: float
    tol: float
    record: Sequence[int] = ()
    products: float = 0.0
    lower: float = -math.inf
    upper: float = math.inf
    lower_error: float = EPS
    upper_error: float = EPS
    status: str = "running"
    history: list[tuple[Tensor, float]] = field(default_factory=list)
    last_width: float = math.inf
    idle: int = 0

    def __post_init__(self) -> None:
        self.scale = float(self.norm.dual(self.Z).max())
        self.Z = self.Z / self.scale if self.scale > 0 else self.Z
        self.columns = self.Z.abs().amax(0)  # a cheap bound on the rounding error of products with Z
        self.w, self.q = torch.zeros_like(self.Z[0]), torch.full_like(self.Z[:, 0], 1 / len(self.Z))

    @property
    def width(self) -> float:
        """Distance of the bounds, never below the rounding error of the two products behind them."""
        return max(self.upper - self.lower, self.lower_error + self.upper_error)

    @property
    def gap(self) -> float:
        """Relative certified gap; infinite until some ``w`` separates."""
        return self.width / self.lower if self.lower > 0 else math.inf

    @property
    def best(self) -> tuple[Tensor, float]:
        """The best unit ``w [d]`` so far, and the upper bound in the data's units."""
        return self.w, self.upper * self.scale

    @property
    def done(self) -> bool:
        """Whether there is nothing left to do; ``status`` then says why."""
        if self.status == "running":
            if self.gap <= self.tol:
                self.status = "certified"
            elif self.lower > 0 and self.upper - self.lower <= self.lower_error + self.upper_error:
                self.status = "rounding floor"
            elif self.upper <= ZERO * self.upper_error and self.lower <= 10 * self.lower_error:
                self.status = "not separable"
            elif self.products >= self.budget:
                self.status = "limit"
        return self.status != "running"

    def stalled(self) -> bool:
        """Call once an outer step: whether the run is over, or many in a row have brought nothing near the rounding error."""
        width = self.width
        self.idle = self.idle + 1 if width > 0.9 * self.last_width else 0
        self.last_width = width
        near = width <= _NEAR * (self.lower_error + self.upper_error)
        if not self.done and near and self.idle >= _PATIENCE:
            self.status = "rounding floor"
        return self.done

    def spend(self, pairs: float) -> None:
        """Count work, recording the bounds that were known before it."""
        self.products += pairs
        while len(self.history) < len(self.record) and self.record[len(self.history)] < self.products:
            self.history.append(self.best)

    def product(self, w: Tensor) -> Tensor:
        """``Z w``; a primal candidate."""
        m = self.Z @ w
        self.spend(0.5)
        length = float(self.norm(w))
        if length > 0 and float(m.min()) / length > self.lower and self.products <= self.budget:
            self.lower, self.w = float(m.min()) / length, w / length
            self.lower_error = EPS * min(1.0, float(self.columns @ self.w.abs()))
        return m

    def transposed(self, q: Tensor) -> Tensor:
        """``Z^T q``; a dual candidate. The sum of ``q`` is 1 up to rounding, and divided out of the bound."""
        g = q @ self.Z
        self.spend(0.5)
        bound = float(self.norm.dual(g) / q.sum())
        if bound < self.upper and self.products <= self.budget:
            self.upper, self.q = bound, q
            high = float(self.norm.dual(g.abs() + EPS * self.columns))
            self.upper_error = max(EPS * bound, min(EPS, high - bound))
        return g

    def refute(self, weights: Tensor) -> None:
        """Take weights that were proved to refute every ``w``."""
        self.q, self.upper = weights, float(self.norm.dual(weights @ self.Z) / weights.sum())

    def close(self) -> Search:
        """Fill the history up with the last bounds, after evaluating them once more from ``w`` and ``q``, the claims' proof."""
        if bool(self.w.any()):
            self.lower = _least(
                self.lower, float((self.Z @ self.w).min() / self.norm(self.w)), self.lower_error
            )
        if math.isfinite(self.upper):
            self.upper = -_least(
                -self.upper, -float(self.norm.dual(self.q @ self.Z) / self.q.sum()), self.upper_error
            )
        if self.status == "certified" and not self.gap <= 1.01 * self.tol:
            self.status = "rounding floor"
        while len(self.history) < len(self.record):
            self.history.append(self.best)
        return self


def _least(claimed: float, found: float, error: float) -> float:
    """The bound as claimed, or as found where it is worse by more than rounding; no bound where nothing was found (NaN)."""
    if math.isnan(found):
        return -math.inf
    return claimed if found >= claimed - 10 * error else found
