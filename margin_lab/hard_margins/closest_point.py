"""The l2 hard margin in rational arithmetic: a dual active-set method that ends with the optimum or the proof of none."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from margin_lab.hard_margins.exact_arithmetic import (
    EPS,
    TINY,
    Row,
    dot,
    integers,
    powers_of_two,
    quotient,
    solve,
)


@dataclass(frozen=True)
class Optimum:
    """The exact solution of ``min ||w||, Zw >= 1``, or the exact weights that rule it out.

    ``separable``: whether w exists. ``active``: rows with a weight; ``weights``: theirs, integers to a common factor and the
    rows' powers of two already divided out. ``w``: integers to a common factor (empty without a w). ``lower``, ``upper``:
    floats that enclose ``1/||w||``, rounded outwards; 0 and 0 without a w. ``tight``: all rows on the margin.
    """

    separable: bool
    active: list[int]
    weights: list[Fraction]
    w: Row
    lower: float
    upper: float
    tight: list[int]

    def shares(self) -> np.ndarray:
        """The weights as floats with sum 1, each right to rounding."""
        total = sum(self.weights)
        return np.array([quotient(*(x / total).as_integer_ratio()) for x in self.weights])

    def direction(self) -> np.ndarray:
        """W with largest entry near 1, each entry right to rounding."""
        top = max(map(abs, self.w)).bit_length()
        return np.array([quotient(x, 1, -top) for x in self.w])


class ClosestPoint:
    """``min ||w||^2 / 2  subject to  z_i . w >= 1``, by Goldfarb and Idnani's dual method without a rounding error.

    Every row that is added makes the dual grow, and no set of active rows comes back: it ends after finitely many. Floats choose
    which row to add; whether it is violated, and every step, is decided in integers.

    Args:
        Z: ``[n, d]`` float64, no zero row.

    Source: Goldfarb and Idnani, A numerically stable dual method for solving strictly convex quadratic programs, Math. Prog. 27
    (1983).
    """

    def __init__(self, Z: np.ndarray):
        self.Z = Z
        self.V, self.r, self.c = powers_of_two(Z)
        self.size = np.abs(self.V).sum(1)
        self._rows: dict[int, tuple[Row, int]] = {}
        self._dots: dict[tuple[int, int], int] = {}
        # Rows are integers times 2**e_i: with w = w' 2**-E the constraints are I_i . w' >= 2**(E - e_i), in whole numbers.
        least = np.where(Z != 0, np.frexp(Z)[1], 10**6).min(1)
        self.E = int(least.max())

    def row(self, i: int) -> Row:
        """The integers of row i."""
        if i not in self._rows:
            self._rows[i] = integers(self.Z[i])
        return self._rows[i][0]

    def bound(self, i: int) -> int:
        """What ``I_i . w'`` has to reach."""
        self.row(i)
        return 1 << (self.E - self._rows[i][1])

    def dot(self, i: int, j: int) -> int:
        """``I_i . I_j``."""
        key = (i, j) if i < j else (j, i)
        if key not in self._dots:
            self._dots[key] = dot(self.row(i), self.row(j))
        return self._dots[key]

    def equations(self, active: list[int], new: int | None = None) -> tuple[list[int], list[int], int] | None:
        """Multipliers u that make the active rows tight, and r, ``I_new`` projected on them: ``G u = bound, G r = I_A I_new``.

        Integers over the third value returned, which is positive; None where the active rows are dependent.
        """
        if not active:
            return [], [], 1
        gram = [[self.dot(i, j) for j in active] for i in active]
        right = [[self.bound(i)] + ([] if new is None else [self.dot(i, new)]) for i in active]
        out = solve(gram, right)
        if out is None:
            return None
        X, denominator = out
        return [x[0] for x in X], [x[-1] for x in X], denominator

    def start(self, guess: Iterable[int]) -> list[int]:
        """Independent rows of ``guess`` with multipliers >= 0: where the method may begin."""
        active = list(dict.fromkeys(guess))
        while active:
            found = self.equations(active)
            if found is None:
                active = self.independent(active)
                continue
            if min(found[0]) >= 0:
                return active
            active = [i for i, u in zip(active, found[0], strict=True) if u > 0]
        return active

    def independent(self, active: list[int]) -> list[int]:
        """The longest prefix by prefix of ``active`` without a row that depends on those before, by floats; at worst one less."""
        from scipy.linalg import qr

        rows = self.V[active].T
        R, order = qr(rows, mode="r", pivoting=True, check_finite=False)[-2:]
        diagonal = np.abs(np.diag(R))
        rank = int((diagonal > 1e-12 * diagonal[0]).sum())
        kept = sorted(order[: min(rank, len(active) - 1)].tolist())
        return [active[k] for k in kept]

    def point(self, active: list[int], u: list[int]) -> Row:
        """``w'``, over the denominator of u."""
        w = [0] * self.Z.shape[1]
        for i, weight in zip(active, u, strict=True):
            if weight:
                w = [a + weight * b for a, b in zip(w, self.row(i), strict=True)]
        return w

    def violated(self, w: Row, denominator: int, active: list[int]) -> tuple[int | None, list[int]]:
        """The row that is violated most, as far as floats can tell; if there is none, the inactive rows that are tight."""
        v = np.array([quotient(a, denominator, -self.E - c) for a, c in zip(w, self.c.tolist(), strict=True)])
        goal = np.ldexp(1.0, self.r)
        excess = self.V @ v - goal
        error = (len(v) + 4) * EPS * (np.abs(self.V) @ np.abs(v) + goal) + len(v) * TINY
        excess[active], error[active] = 0.0, -1.0
        known = excess < -error
        known[active] = False
        if known.any():
            return int(np.argmin(np.where(known, excess / self.size, np.inf))), []
        tight = []
        for i in np.flatnonzero(~(excess > error)).tolist():
            if i in active:
                continue
            rest = dot(self.row(i), w) - self.bound(i) * denominator
            if rest < 0:
                return i, []
            if rest == 0:
                tight.append(i)
        return None, tight

    def solve(self, guess: Iterable[int] = (), work: float = math.inf) -> Optimum | None:
        """Start from ``guess``, rows that are active in a good approximation; None once ``work`` bit operations are spent."""
        active = self.start(guess)
        while True:
            found = self.equations(active)
            if found is None:
                raise ArithmeticError("dependent active rows: a bug in the active-set method")
            u, _, denominator = found
            work -= len(active) ** 3 * float(denominator.bit_length() + 64)
            w = self.point(active, u)
            new, tight = self.violated(w, denominator, active)
            if new is None:
                return self._optimum(active, u, w, denominator, tight)
            step = self._add(active, new)
            if isinstance(step, Optimum):
                return step
            active = step
            if work < 0:
                return None

    def _add(self, active: list[int], new: int) -> list[int] | Optimum:
        """The dual step that makes row ``new`` tight, with the rows it drops on its way; or the proof that nothing does."""
        active = list(active)
        while True:
            found = self.equations(active, new)
            if found is None:
                raise ArithmeticError("dependent active rows: a bug in the active-set method")
            u, r, denominator = found
            h = [self.dot(i, new) for i in active]
            # u - t r are the multipliers when the new one is t; the new row is tight at t = short / length.
            length = self.dot(new, new) * denominator - dot(h, r)
            short = self.bound(new) * denominator - dot(h, u)
            blocking = [k for k in range(len(active)) if r[k] > 0]
            first = min(blocking, key=lambda k: Fraction(u[k], r[k]), default=None)
            if length > 0 and (first is None or short * r[first] <= u[first] * length):
                return [*active, new]
            if first is None:  # I_new = sum r_i I_i with r <= 0
                weights = [Fraction(-x, denominator) for x in r] + [Fraction(1)]
                return Optimum(
                    False, [*active, new], self._on_rows([*active, new], weights), [], 0.0, 0.0, []
                )
            del active[first]

    def _on_rows(self, active: list[int], weights: list[Fraction]) -> list[Fraction]:
        """Weights on the integers of the rows as weights on the rows."""
        exponents = [self._rows[i][1] for i in active]
        top = max(exponents)
        return [x * (1 << (top - e)) for x, e in zip(weights, exponents, strict=True)]

    def _optimum(
        self, active: list[int], u: list[int], w: Row, denominator: int, tight: list[int]
    ) -> Optimum:
        weights = self._on_rows(active, [Fraction(x) for x in u])
        # 1/||w|| with w = w' / denominator * 2**-E, to 64 bits and then outwards
        square = dot(w, w)
        shift = max(0, 128 - 2 * denominator.bit_length() + square.bit_length())
        shift += shift % 2
        root = math.isqrt((denominator * denominator << shift) // square)
        exponent = self.E - shift // 2
        lower, upper = quotient(root, 1, exponent), quotient(root + 1, 1, exponent)
        return Optimum(
            True,
            active,
            weights,
            w,
            math.nextafter(lower, 0),
            math.nextafter(upper, math.inf),
            sorted([*active, *tight]),
        )
