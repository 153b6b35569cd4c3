"""PRGD's schedules: radii ``radii(k, R0, w) -> float`` and periods ``period(k) -> int``, cycle ``k`` from 0.

Small classes rather than closures, so that a schedule prints as what it is and can be pickled.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from margin_lab.checks import as_tensor, integer, nonnegative, positive

Radii = Callable[[int, float, Tensor], float]
Period = int | Callable[[int], int]


@dataclass(frozen=True)
class exponential_radii:
    """``R_k = R_0 * growth^k``: PRGD(exp), growth 1.2 in the paper (section 7.1, recalled). Raises ValueError if <= 0."""

    growth: float = 1.2

    def __post_init__(self) -> None:
        positive(self.growth, "growth")

    def __call__(self, k: int, R0: float, w: Tensor) -> float:
        try:
            return R0 * self.growth**k
        except OverflowError:
            return float("inf")


@dataclass(frozen=True)
class polynomial_radii:
    """``R_k = R_0 * (k + 1)^power``: PRGD(poly) with power 1.2, and eq. (7) with a tuned power (and
    :class:`polynomial_periods`). Raises ValueError for a negative power.
    """

    power: float = 1.2

    def __post_init__(self) -> None:
        nonnegative(self.power, "power")

    def __call__(self, k: int, R0: float, w: Tensor) -> float:
        return R0 * (k + 1) ** self.power


class oracle_radii:
    """``R_k = D * ||w|| / ||P_perp w||``: the radius in the proof of Theorem 6.2, which puts ``w`` on the semi-cylinder
    ``C(D; .)``. It needs the answer: ``w_star [d]``, the max-margin direction.

    Raises:
        ValueError: D <= 0 or w_star = 0.
    """

    def __init__(self, w_star: Any, D: float = 1.0):
        self.D = positive(D, "D")
        w_star = as_tensor(w_star, "w_star", device="cpu").double()
        if w_star.ndim != 1:
            raise ValueError(f"w_star must have shape [d], got {tuple(w_star.shape)}")
        self.w_star = w_star / positive(float(w_star.norm()), "||w_star||")

    def __repr__(self) -> str:
        return f"oracle_radii(D={self.D})"

    def __call__(self, k: int, R0: float, w: Tensor) -> float:
        w = w.detach().cpu().double()
        across = w - (w @ self.w_star) * self.w_star
        # a w that is already on the axis would ask for an infinite radius: stay where it is
        return self.D * float(w.norm() / across.norm()) if float(across.norm()) > 0 else float(w.norm())


@dataclass(frozen=True)
class polynomial_periods:
    """Periods ``round(first * (k + 1)^power)``, eq. (7)'s lengthening cycles. Raises ValueError unless first >= 1, power >= 0."""

    first: float = 5
    power: float = 0.0

    def __post_init__(self) -> None:
        if not positive(self.first, "first") >= 1:
            raise ValueError(f"first must be >= 1, got {self.first}")
        nonnegative(self.power, "power")

    def __call__(self, k: int) -> int:
        return round(self.first * (k + 1) ** self.power)


def linear_schedule(growth: float = 1.2, period: int = 5) -> dict[str, Any]:
    """PRGD's options for a linear model, as in the paper: ``PRGD(params, lr=1.0, **linear_schedule())``.

    Raises:
        ValueError: growth <= 0, period < 1.
    """
    return {"radii": exponential_radii(growth), "period": period_of(period, 0)}


def network_schedule(degree: float, steps: int, sharper: float = 1e3, period: int = 11) -> dict[str, Any]:
    """PRGD's options for a network that fits its data: ``PRGD(params, lr, **network_schedule(degree, steps))``, with lr about
    ``0.3 / ||grad log L||^2`` at the start.

    Over the whole run the radius grows so much that ``R^degree``, and so the outputs of a network of one direction, become
    ``sharper`` times as large; steps shrink like ``R^(2 - 2 degree)``, as the sharpness of log L demands. The growth is a
    matter of the run's length: a network that is stretched further than its steps can follow is frozen.

    Args:
        degree: of homogeneity, L (:func:`margin_lab.homogeneity_degree`). steps: iterations of the run, rescalings included.
        sharper: > 1. period: iterations per cycle.

    Raises:
        ValueError: degree <= 0, sharper <= 1, steps or period < 1.

    Source: lab 13d, where this decay beats the smaller ones at degrees 2 and 3, and this ``sharper`` the others.
    """
    if not positive(sharper, "sharper") > 1:
        raise ValueError(f"sharper must be > 1, got {sharper!r}: radii grow")
    cycles = max(1.0, integer(steps, "steps", least=1) / integer(period, "period", least=1))
    growth = sharper ** (1 / (cycles * positive(degree, "degree")))
    return {
        "radii": exponential_radii(growth),
        "period": period,
        "decay": max(0.0, 2 * float(degree) - 2),
    }


def period_of(period: Period, k: int) -> int:
    """The period of cycle ``k``: ``T_{k+1} - T_k``, checked to be a whole number >= 1."""
    return integer(period(k) if callable(period) else period, "period", least=1)
