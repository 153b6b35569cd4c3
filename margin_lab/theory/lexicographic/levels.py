"""The levels in float64: linear programs by HiGHS, their solutions polished on the equations that they show."""

from __future__ import annotations

from typing import Any

import numpy as np

from margin_lab.hard_margins.linear_program import highs

# Multipliers, and distances from a bound, below this (relative to the largest) are zero.
DUST = 1e-9


class LevelSearch:
    """The sequence of linear programs, and what is known of all solutions so far.

    Args:
        Z: ``[n, d]``. norm: "l1" or "linf". first: the hard margin of Z, which is level one.

    Raises:
        ArithmeticError: (while searching) HiGHS finds no optimum, or one without multipliers.
    """

    def __init__(self, Z: np.ndarray, norm: str, first: Any):
        self.Z, self.norm = Z, norm
        self.size = np.abs(Z).max(1)
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

    def run(self) -> None:
        """Solve level after level, until all samples are in one or a single w is left."""
        while self.open.any() and not self.unique():
            self._next_level()

    def _next_level(self) -> None:
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
            raise ArithmeticError("HiGHS found no optimum of a level")
        x, multipliers = out.x, np.maximum(-out.ineqlin.marginals[: len(rows)], 0)
        self.w = x[:d] - x[d : 2 * d] if self.norm == "l1" else x[:d]
        p = np.zeros(len(Z))
        p[F], p[R] = multipliers[: F.sum()], multipliers[F.sum() :]
        self._close(float(x[-1]), p)

    def _close(self, t: float, p: np.ndarray) -> None:
        p = self._polished_weights(p)
        weight = p * self.size
        tight = self.open & (weight > DUST * weight.max())
        if not tight.any():
            raise ArithmeticError("the multipliers of a level show no tight sample")
        g, terms = p @ self.Z, p @ np.abs(self.Z)
        top = np.abs(g).max()
        if self.norm == "l1":
            # equality in <g, w> <= max|g_j| ||w||_1: only columns with the largest |g_j|, with its sign
            self.moving &= np.abs(g) > top - DUST * terms.max()
            self.signs = np.where(self.moving, np.sign(g), 0.0)
        else:
            # equality in <g, w> <= sum |g_j|: w_j = sign(g_j) wherever g_j is not 0
            fixed = np.abs(g) > DUST * terms
            self.signs = np.where(self.moving & fixed, np.sign(g), self.signs)
            self.moving &= ~fixed
        self.sets.append(np.flatnonzero(tight))
        self.weights.append(p)
        self.values[tight] = t
        self.open = self.open & ~tight

    def _polished_weights(self, p: np.ndarray) -> np.ndarray:
        """The multipliers of one level, corrected so that Hoelder's inequality is an equality on the moving columns."""
        closed = ~self.open
        weight = p * self.size
        if not np.isfinite(p).all() or p[self.open].max() <= 0:
            raise ArithmeticError("the multipliers of a level show no tight sample")
        p = p / p[self.open].sum()
        S = weight > DUST * weight.max()
        g, terms = p @ self.Z, p @ np.abs(self.Z)
        if self.norm == "l1":
            top = np.abs(g).max()
            J = np.abs(g) > top - DUST * terms.max()
            s = np.sign(g[J])
        else:
            J, top = np.abs(g) < DUST * terms, 0.0
            s = np.zeros(J.sum())
        M = np.vstack(
            [np.hstack([self.Z[S][:, J].T, -s[:, None]]), np.append((S & ~closed)[S].astype(float), 0.0)]
        )
        right = np.append(np.zeros(J.sum()), 1.0)
        x = np.append(p[S], top)
        for _ in range(2):
            x += np.linalg.lstsq(M, right - M @ x, rcond=None)[0]
        out = np.zeros_like(p)
        out[S] = np.maximum(x[:-1], 0)
        total = out[~closed].sum()
        if not total > 0:
            raise ArithmeticError("the multipliers of a level show no tight sample")
        polished: np.ndarray = out / total
        return polished

    def unique(self) -> bool:
        """Whether one w is left: its moving columns are determined by the closed samples and, in l1, the face."""
        count = int(self.moving.sum())
        M = self.Z[~self.open][:, self.moving]
        if self.norm == "l1":
            M = np.vstack([M, self.signs[self.moving]])
        return count == 0 or bool(np.linalg.matrix_rank(M) == count)

    def solution(self) -> np.ndarray:
        """Solve the equations of all levels to the last digits: w, unit in the norm."""
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
        length = np.abs(w).sum() if self.norm == "l1" else np.abs(w).max(initial=0.0)
        if not (np.isfinite(length) and length > 0):
            raise ArithmeticError("the equations of the levels have no solution in float64")
        unit: np.ndarray = w / length
        return unit
