"""The lexicographic ruler for linear models: level after level of margins, each with a certificate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from margin_lab.checks import choice, positive, signed_data
from margin_lab.hard_margins import NotSeparableError, hard_margin
from margin_lab.hard_margins.linear_program import highs
from margin_lab.results import Result
from margin_lab.results.base import as_numpy

ORDER = {"l1": 1.0, "l2": 2.0, "linf": np.inf}
DUAL = {"l1": np.inf, "l2": 2.0, "linf": 1.0}
NORMS = tuple(ORDER)
# Multipliers, and distances from a bound, below this (relative to the largest) are zero.
DUST = 1e-9


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
    """

    w: Any
    margins: Any
    levels: tuple[Level, ...]
    unique: bool
    gap: float
    norm: str

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


def lexicographic_margin(X: Any, y: Any, norm: str = "linf", tol: float = 1e-10) -> LexicographicMargin:
    """Return the lexicographic max-margin direction of a linear model.

    Among the unit ``w`` whose smallest margin is largest, those whose second smallest is largest, and so on. For a linear model
    this is a sequence of linear programs (l1, linf): with the samples F of the levels so far and their values b,

        ``t = max_w min_{i not in F} <z_i, w>   subject to   <z_i, w> >= b_i for i in F,  ||w|| <= 1``.

    Samples with a positive multiplier keep the value t in every solution and join F. Multipliers p prove it: for every
    feasible w

        ``min_{i not in F} <z_i, w>  <=  ||Z'p||_dual - sum_{i in F} p_i b_i``,   p >= 0, sum_{i not in F} p_i = 1.

    Once the equations of F and the face of the ball leave one w, the rest follows. In l2 the first level already does.

    What is below 1e-9 of the largest entry or multiplier counts as 0: a tie that is broken by less is a tie here.

    Args:
        X: ``[n, d]`` array or tensor. y: ``[n]``, -1 or +1. norm: "l1", "l2" or "linf". tol: below this gap a solution counts
            as certified by its levels.

    Returns:
        ``LexicographicMargin``, NumPy arrays in float64.

    Raises:
        NotSeparableError: no direction has a positive margin.
        ValueError: bad data, unknown norm, ``tol <= 0``; a linear program that fails to reach ``tol``.

    Example:
        >>> import numpy as np
        >>> Z = np.array([[1.0, 0.0], [1.5, 1.0], [2.0, -1.0]])
        >>> solution = lexicographic_margin(Z, np.ones(3), "linf")
        >>> solution.w.round(6), solution.sorted_margins.round(6)
        (array([1.  , 0.25]), array([1.  , 1.75, 1.75]))

    Source: the definition is Nacson et al. (2019); lexicographic maximin by linear programs is the classical computation of the
    nucleolus (Kopelowitz 1967). The certificate is weak duality.
    """
    choice(norm, "norm", NORMS)
    positive(tol, "tol")
    Z = signed_data(X, y)[0].double().cpu().numpy()
    scale = float(np.linalg.norm(Z, DUAL[norm], axis=1).max()) or 1.0
    first = hard_margin(Z / scale, np.ones(len(Z)), norm)  # raises where nothing separates
    if norm == "l2":
        return _strictly_convex(Z, first, scale)
    search = _Search(Z / scale, norm, first)
    while search.open.any() and not search.unique():
        search.next_level()
    solution = search.finish(Z, scale)
    if solution.gap > tol:
        raise ValueError(
            f"the levels could be certified to {solution.gap:.1e} only, tol = {tol:.1e}; scale rows and columns to similar sizes"
        )
    return solution


def _strictly_convex(Z: np.ndarray, first: Any, scale: float) -> LexicographicMargin:
    """l2: the ball is strictly convex, so that the first level leaves one point."""
    upper = first.upper_bound * scale
    level = Level(first.margin * scale, first.support, upper, first.dual)
    margins = Z @ first.w
    gap = max(upper - margins.min(), 0.0) / float(margins.min())
    return LexicographicMargin(first.w, margins, (level,), True, gap, "l2")


class _Search:
    """The sequence of linear programs, and what is known of all solutions so far."""

    def __init__(self, Z: np.ndarray, norm: str, first: Any):
        self.Z, self.norm = Z, norm
        n, d = Z.shape
        self.open = np.ones(n, bool)  # samples beyond the levels so far
        self.values = np.zeros(n)
        self.sets: list[np.ndarray] = []
        self.weights: list[np.ndarray] = []
        # Columns that may still move on the face of the ball, and the signs that Hoelder's equality gives the others (linf) or
        # these (l1).
        self.moving, self.signs = np.ones(d, bool), np.zeros(d)
        self.w = first.w
        self._close(first.margin, first.dual)

    def next_level(self) -> None:
        """Solve one linear program and close the samples that its multipliers show to be tight."""
        Z, F, R = self.Z, ~self.open, self.open
        d = Z.shape[1]
        rows = np.vstack([Z[F], Z[R]])
        t_column = np.append(np.zeros(F.sum()), np.ones(R.sum()))[:, None]
        right = np.append(-self.values[F], np.zeros(R.sum()))
        if self.norm == "l1":
            A = np.vstack([np.hstack([-rows, rows, t_column]), np.append(np.ones(2 * d), 0.0)])
            right = np.append(right, 1.0)
            low, high = np.append(np.zeros(2 * d), -np.inf), np.full(2 * d + 1, np.inf)
        else:
            A = np.hstack([-rows, t_column])
            low, high = np.append(-np.ones(d), -np.inf), np.append(np.ones(d), np.inf)
        cost = np.append(np.zeros(A.shape[1] - 1), -1.0)
        out = highs(cost, low, high, A_ub=A, b_ub=right)
        if out is None:
            raise ValueError("HiGHS found no optimum of a level; scale rows and columns to similar sizes")
        x, multipliers = out.x, np.maximum(-out.ineqlin.marginals[: len(rows)], 0)
        self.w = x[:d] - x[d : 2 * d] if self.norm == "l1" else x[:d]
        p = np.zeros(len(Z))
        p[F], p[R] = multipliers[: F.sum()], multipliers[F.sum() :]
        self._close(float(x[-1]), p / p[R].sum())

    def _close(self, t: float, p: np.ndarray) -> None:
        tight = self.open & (p > DUST * p[self.open].max())
        self.sets.append(np.flatnonzero(tight))
        self.weights.append(p)
        self.values[tight] = t
        self.open = self.open & ~tight
        g = p @ self.Z
        top = np.abs(g).max()
        if (
            self.norm == "l1"
        ):  # equality in <g, w> <= max|g_j| ||w||_1: only columns with the largest |g_j|, with its sign
            self.moving &= np.abs(g) > (1 - DUST) * top
            self.signs = np.where(self.moving, np.sign(g), 0.0)
        else:  # equality in <g, w> <= sum |g_j|: w_j = sign(g_j) wherever g_j is not 0
            fixed = np.abs(g) > DUST * top
            self.signs = np.where(self.moving & fixed, np.sign(g), self.signs)
            self.moving &= ~fixed

    def _equations(self) -> np.ndarray:
        """What holds for every solution left, on the moving columns: rows of the closed samples, in l1 the face."""
        M = self.Z[~self.open][:, self.moving]
        return np.vstack([M, self.signs[self.moving]]) if self.norm == "l1" else M

    def unique(self) -> bool:
        """Whether one w is left: its moving columns are determined."""
        count = int(self.moving.sum())
        return count == 0 or np.linalg.matrix_rank(self._equations()) == count

    def finish(self, Z: np.ndarray, scale: float) -> LexicographicMargin:
        """Solve the equations of all levels to the last digits; evaluate the bounds from the data itself."""
        unique = self.unique()
        w = self._polished()
        margins = Z @ w
        values, levels, gap = np.zeros(len(Z)), [], 0.0
        closed = np.zeros(len(Z), bool)
        for samples, p in zip(self.sets, self.weights, strict=True):
            p = self._polished_weights(p, closed, samples)
            t = float(margins[samples].min())
            # rounding may put two samples of one level a unit in the last place apart: the bound is for the smaller value
            upper = float(np.linalg.norm(p @ Z, DUAL[self.norm]) - p[closed] @ values[closed])
            values[samples], closed[samples] = t, True
            levels.append(Level(t, samples, max(upper, t), p))
            gap = max(gap, (upper - t) / levels[0].margin)
        return LexicographicMargin(w, margins, tuple(levels), unique, gap, self.norm)

    def _polished(self) -> np.ndarray:
        T = self.moving & (np.abs(self.w) > DUST if self.norm == "l1" else np.abs(self.w) < 1 - DUST)
        w = np.where(T, self.w, 0.0 if self.norm == "l1" else np.sign(self.w))
        S, K = np.concatenate(self.sets), len(self.sets)
        level = np.repeat(np.arange(K), [len(s) for s in self.sets])
        M = np.hstack([self.Z[S][:, T], -np.eye(K)[level]])
        right = -self.Z[S][:, ~T] @ w[~T]
        if self.norm == "l1":
            M = np.vstack([M, np.append(np.sign(w[T]), np.zeros(K))])
            right = np.append(right, 1.0)
        x = np.append(w[T], [self.values[s[0]] for s in self.sets])
        for _ in range(2):
            x += np.linalg.lstsq(M, right - M @ x, rcond=None)[0]
        w[T] = x[: T.sum()]
        norm = float(np.linalg.norm(w, ORDER[self.norm]))
        polished: np.ndarray = w / norm
        return polished

    def _polished_weights(self, p: np.ndarray, closed: np.ndarray, samples: np.ndarray) -> np.ndarray:
        """The multipliers of one level, corrected so that Hoelder's inequality is an equality on the moving columns."""
        S = p > DUST * p.max()
        g = p @ self.Z
        if self.norm == "l1":
            J = np.abs(g) > (1 - DUST) * np.abs(g).max()
            s, top = np.sign(g[J]), np.abs(g).max()
        else:
            J = np.abs(g) < DUST * np.abs(g).max()
            s, top = np.zeros(J.sum()), 0.0
        M = np.vstack(
            [np.hstack([self.Z[S][:, J].T, -s[:, None]]), np.append((S & ~closed)[S].astype(float), 0.0)]
        )
        right = np.append(np.zeros(J.sum()), 1.0)
        x = np.append(p[S], top)
        for _ in range(2):
            x += np.linalg.lstsq(M, right - M @ x, rcond=None)[0]
        out = np.zeros_like(p)
        out[S] = np.maximum(x[:-1], 0)
        out /= out[~closed].sum()
        return out


__all__ = ["Level", "LexicographicMargin", "NotSeparableError", "lexicographic_margin"]
