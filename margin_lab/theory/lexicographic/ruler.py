"""The lexicographic ruler for linear models: level after level of margins, each with a certificate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from margin_lab.checks import choice, norm_name, positive, signed_data
from margin_lab.hard_margins import NotSeparableError, hard_margin
from margin_lab.hard_margins.solution import EPS
from margin_lab.results import Result
from margin_lab.results.base import as_numpy
from margin_lab.theory.lexicographic.exact_levels import exact_levels, too_large
from margin_lab.theory.lexicographic.levels import LevelSearch

ORDER = {"l1": 1.0, "l2": 2.0, "linf": np.inf}
DUAL = {"l1": np.inf, "l2": 2.0, "linf": 1.0}
NORMS = tuple(ORDER)
# Gaps of at most this many rounding errors of their two products are all that float64 can say.
FLOOR = 100


@dataclass(frozen=True, eq=False)
class Level:
    """One level of a lexicographic solution and the proof that it cannot be raised.

    Attributes:
        margin: the value ``t_k``.
        samples: indices that stay at this value wherever the levels before and this one are at their largest.
        upper_bound: no unit ``w`` that keeps the earlier levels gives all remaining samples a larger margin.
        weights: ``[n]``, the multipliers behind the bound: nonnegative, and those of the samples beyond the earlier levels add
            up to 1.
    """

    margin: float
    samples: Any
    upper_bound: float
    weights: Any


@dataclass(frozen=True, eq=False, repr=False)
class LexicographicMargin(Result):
    """A lexicographic max-margin direction.

    Attributes:
        w: ``[d]``, unit in ``norm``.
        margins: ``[n]``, ``y_i <x_i, w>``. They are the same for every lexicographic solution; w itself may not be.
        levels: the levels that had to be maximised, in order. Where w is the only solution left, the remaining margins need
            none.
        unique: whether w was proved to be the only solution.
        gap: the largest ``(upper_bound - margin) / levels[0].margin`` over the levels.
        norm: "l1", "l2" or "linf".
        status: "certified" (gap <= tol) or "rounding floor" (the weights, rounded to float64, prove no more).
        method: "highs", or "exact" where floats could not settle a level.
    """

    w: Any
    margins: Any
    levels: tuple[Level, ...]
    unique: bool
    gap: float
    norm: str
    status: str = "certified"
    method: str = "highs"

    @property
    def sorted_margins(self) -> Any:
        """``margins`` in increasing order ``[n]``: what "lexicographic" compares."""
        return np.sort(self.margins)

    _x, _y, _points, _parts = "sample", "margin", True, (Level,)

    def table(self) -> dict[str, np.ndarray]:
        """One row a sample: sample, margin, and level (0 for the first; -1 where w was unique before its level came)."""
        level = np.full(len(self.margins), -1)
        for k, found in enumerate(self.levels):
            level[as_numpy(found.samples)] = k
        return {"sample": np.arange(len(level)), "margin": as_numpy(self.margins), "level": level}

    def _title(self) -> str:
        values = ", ".join(f"{level.margin:.6g}" for level in self.levels)
        return f"LexicographicMargin(norm={self.norm!r}, levels=[{values}], unique={self.unique}, gap={self.gap:.1e})"


def lexicographic_margin(
    X: Any, y: Any, norm: str | float = "linf", tol: float = 1e-10
) -> LexicographicMargin:
    """Return the lexicographic max-margin direction of a linear model.

    Among the unit ``w`` whose smallest margin is largest, those whose second smallest is largest, and so on. For a linear model
    this is a sequence of linear programs (l1, linf): with the samples F of the levels so far and their values b,

        ``t = max_w min_{i not in F} <z_i, w>   subject to   <z_i, w> >= b_i for i in F,  ||w|| <= 1``.

    Samples with a positive multiplier keep the value t in every solution and join F. Multipliers p prove it: for every
    feasible w

        ``min_{i not in F} <z_i, w>  <=  ||Z'p||_dual - sum_{i in F} p_i b_i``,   p >= 0, sum_{i not in F} p_i = 1.

    Once the equations of F and the face of the ball leave one w, the rest follows. In l2 the first level already does.

    What is below 1e-9 of the largest multiplier, or of the terms whose sum it is, counts as 0: a tie that is broken by less is a
    tie here. What float64 finds is checked against its own arrays: every sample's margin, every gap finite and not negative
    beyond rounding. Where that fails, the levels are computed once more in exact arithmetic, if the data is small enough (300
    samples of 20 features take seconds); there ties are exact.

    Args:
        X: ``[n, d]`` array or tensor. y: ``[n]``, -1 or +1. norm: "l1", "l2" or "linf". tol: below this gap a solution counts
            as certified by its levels.

    Returns:
        ``LexicographicMargin``, NumPy arrays in float64.

    Raises:
        NotSeparableError: no direction has a positive margin.
        ValueError: bad data, unknown norm, ``tol <= 0``; levels that cannot be certified to ``tol``, nor to rounding.

    Example:
        >>> import numpy as np
        >>> Z = np.array([[1.0, 0.0], [1.5, 1.0], [2.0, -1.0]])
        >>> solution = lexicographic_margin(Z, np.ones(3), "linf")
        >>> solution.w.round(6), solution.sorted_margins.round(6)
        (array([1.  , 0.25]), array([1.  , 1.75, 1.75]))

    Source: the definition is Nacson et al. (2019); lexicographic maximin by linear programs is the classical computation of the
    nucleolus (Kopelowitz 1967). The certificate is weak duality.
    """
    norm = str(norm_name(norm))
    choice(norm, "norm", NORMS)
    positive(tol, "tol")
    Z = signed_data(X, y)[0].double().cpu().numpy()
    # a power of two, so that nothing is rounded
    scale = 2.0 ** np.frexp(np.linalg.norm(Z, DUAL[norm], axis=1).max())[1]
    first = hard_margin(Z / scale, np.ones(len(Z)), norm)  # raises where nothing separates
    if norm == "l2":
        return _strictly_convex(Z, first, scale)
    try:
        with np.errstate(all="ignore"):  # what overflows is refused below
            search = LevelSearch(Z / scale, norm, first)
            search.run()
            found = _Found(search.solution(), search.sets, search.weights, search.unique(), "highs")
            return _checked(Z, norm, tol, found)
    except (ArithmeticError, np.linalg.LinAlgError) as error:
        if too_large(len(Z), Z.shape[1], norm):
            raise ValueError(
                f"{error}, and the data {list(Z.shape)} is too large for exact arithmetic; scale rows and columns to similar "
                "sizes, or choose a larger tol"
            ) from None
    exact = exact_levels(Z, norm)
    if exact.values[0] <= 0:
        raise NotSeparableError(exact.weights[0], float(exact.values[0]), norm)
    try:
        return _checked(Z, norm, tol, _Found(exact.w, exact.sets, exact.weights, exact.unique, "exact"))
    except ArithmeticError as error:
        raise ValueError(f"{error} in float64; scale rows and columns to similar sizes") from None


def _strictly_convex(Z: np.ndarray, first: Any, scale: float) -> LexicographicMargin:
    """l2: the ball is strictly convex, so that the first level leaves one point."""
    upper = first.upper_bound * scale
    margins = Z @ first.w
    if not (np.isfinite(first.gap) and margins.min() > 0):
        raise ValueError(
            f"the first level is undecided: its gap is {first.gap:.1e}; scale rows and columns to similar sizes"
        )
    level = Level(first.margin * scale, first.support, upper, first.dual)
    gap = max(upper - margins.min(), 0.0) / float(margins.min())
    return LexicographicMargin(first.w, margins, (level,), True, gap, "l2", first.status, first.method)


class _Found(NamedTuple):
    """What a search claims."""

    w: np.ndarray
    sets: list[np.ndarray]
    weights: list[np.ndarray]
    unique: bool
    method: str


def _checked(Z: np.ndarray, norm: str, tol: float, found: _Found) -> LexicographicMargin:
    """Evaluate every claim from the data itself; ``ArithmeticError`` where one does not hold."""
    w = found.w
    margins, rounding = Z @ w, EPS * (np.abs(Z) @ np.abs(w))
    base = float(margins[found.sets[0]].min())
    if not (
        np.isfinite(margins).all() and base > 0 and np.isclose(np.linalg.norm(w, ORDER[norm]), 1, rtol=1e-12)
    ):
        raise ArithmeticError("no unit w with positive margins was found")
    values, levels, gap, certified = np.zeros(len(Z)), [], 0.0, True
    closed = np.zeros(len(Z), bool)
    for samples, p in zip(found.sets, found.weights, strict=True):
        t = float(margins[samples].min())
        slack = tol * base + FLOOR * rounding
        upper = float(np.linalg.norm(p @ Z, DUAL[norm]) - p[closed] @ values[closed])
        error = EPS * float(np.linalg.norm(p @ np.abs(Z), DUAL[norm]) + p[closed] @ values[closed])
        error += float(rounding[samples].max())
        excess = upper - t
        true = (
            (margins[samples] <= t + slack[samples]).all()
            and (margins[~closed] >= t - slack[~closed]).all()  # the samples in no level, too
            and (margins[closed] >= values[closed] - slack[closed]).all()
        )
        if not true or not -FLOOR * error <= excess <= max(tol * base, FLOOR * error):
            raise ArithmeticError(
                f"the levels could be certified to {excess / base:.1e} only, tol = {tol:.1e}"
            )
        certified &= excess <= tol * base
        values[samples], closed[samples] = t, True
        # rounding may put two samples of one level a unit in the last place apart: the bound is for the smaller value
        levels.append(Level(t, samples, max(upper, t), p))
        gap = max(gap, excess / base)
    status = "certified" if certified else "rounding floor"
    return LexicographicMargin(w, margins, tuple(levels), found.unique, gap, norm, status, found.method)


__all__ = ["Level", "LexicographicMargin", "NotSeparableError", "lexicographic_margin"]
