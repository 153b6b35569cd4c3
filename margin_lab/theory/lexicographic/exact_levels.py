"""The levels in exact arithmetic: a simplex method on whole numbers, where floats cannot settle a level."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

# Work of about rows^3 columns: 5 seconds at 2e7 (300 samples of 20 features in l1). More, and more pivots, would take minutes.
LARGEST, PIVOTS = 5e7, 2_000


@dataclass
class ExactLevels:
    """What an exact search found, in the order of the levels.

    Attributes:
        w: ``[d]``, a lexicographic solution, rounded once from its exact value.
        values: the levels. sets: their samples. weights: their multipliers ``[n]``, those of the samples beyond the earlier
            levels sum to 1.
        unique: whether w is the only solution.
    """

    w: np.ndarray
    values: list[Fraction] = field(default_factory=list)
    sets: list[np.ndarray] = field(default_factory=list)
    weights: list[np.ndarray] = field(default_factory=list)
    unique: bool = False


def too_large(n: int, d: int, norm: str) -> bool:
    """Whether the exact search would take too long for data ``[n, d]``."""
    return _rows(d, norm) ** 3 * (n + 2 * d + 2) > LARGEST


def exact_levels(Z: np.ndarray, norm: str) -> ExactLevels:
    """Find the levels of ``Z [n, d]`` in l1 or linf without rounding; floats are dyadic rationals.

    The dual program of each level is solved: with F the closed samples and b their values,

        ``min_p ||Z'p||_dual - sum_{i in F} b_i p_i``,  p >= 0, sum_{i not in F} p_i = 1.

    It has a feasible basis from the start (one sample), and w is its multipliers. Where the first level is 0 no direction
    separates, and its weights are Gordan's.

    Raises:
        ValueError: more than 2,000 pivots.

    Source: Edmonds (1967), Bareiss (1968) for pivots on whole numbers without fractions; Bland (1977) against cycling.
    """
    ratios = [[Fraction(float(z)) for z in row] for row in Z]
    unit = max((z.denominator for row in ratios for z in row), default=1)  # powers of two
    whole = [[int(z * unit) for z in row] for row in ratios]
    n, d = Z.shape
    is_open = [True] * n
    b = [Fraction(0)] * n
    moving, signs = [True] * d, [0] * d
    found = ExactLevels(np.zeros(d))
    while any(is_open):
        t, p, w = _level(whole, b, is_open, norm)
        found.w = np.array([float(x) for x in w])
        found.values.append(t / unit)
        found.weights.append(np.array([float(x) for x in p]))
        tight = [i for i in range(n) if is_open[i] and p[i] > 0]
        found.sets.append(np.array(tight))
        if t <= 0:
            return found
        for i in tight:
            is_open[i], b[i] = False, t
        g = [sum((p[i] * whole[i][j] for i in range(n) if p[i]), Fraction(0)) for j in range(d)]
        top = max(abs(x) for x in g)
        for j in range(d):
            if moving[j] and norm == "l1":
                moving[j], signs[j] = abs(g[j]) == top, (g[j] > 0) - (g[j] < 0)
            elif moving[j] and g[j] != 0:
                moving[j] = False
        columns = [j for j in range(d) if moving[j]]
        equations = [[whole[i][j] for j in columns] for i in range(n) if not is_open[i]]
        if norm == "l1":
            equations.append([signs[j] for j in columns])
        found.unique = not columns or _rank(equations) == len(columns)
        if found.unique:
            break
    return found


def _rows(d: int, norm: str) -> int:
    return d + 1 if norm == "linf" else 2 * d + 1


def _level(
    Z: list[list[int]], b: Sequence[Fraction], is_open: Sequence[bool], norm: str
) -> tuple[Fraction, list[Fraction], list[Fraction]]:
    """Solve one level: its value, weights ``p [n]`` (open ones sum to 1) and w ``[d]``."""
    n, d = len(Z), len(Z[0])
    m, first = _rows(d, norm), is_open.index(True)
    common = math.lcm(*(x.denominator for x in b))
    cost = [0 if is_open[i] else -int(common * b[i]) for i in range(n)]
    if norm == "linf":  # columns p, u, v: Z'p - u + v = 0, cost u + v
        table = [
            [Z[i][j] for i in range(n)] + [-(j == k) for k in range(d)] + [int(j == k) for k in range(d)]
            for j in range(d)
        ]
        last, cost = [*map(int, is_open), *[0] * (2 * d)], cost + [common] * (2 * d)
        basis = [n + j if Z[first][j] >= 0 else n + d + j for j in range(d)]
    else:  # columns p, slacks, s: s - (+-Z'p) - slack = 0, cost s
        table = [
            [-sign * Z[i][j] for i in range(n)] + [-(row == k) for k in range(2 * d)] + [1]
            for row, (sign, j) in enumerate((sign, j) for sign in (1, -1) for j in range(d))
        ]
        last, cost = [*map(int, is_open), *[0] * (2 * d + 1)], [*cost, *[0] * (2 * d), common]
        largest = max(range(2 * d), key=lambda row: -table[row][first])
        basis = [n + row for row in range(2 * d)]
        basis[largest] = n + 2 * d
    tableau = _Tableau([[*row, 0] for row in table] + [[*last, 1], [*cost, 0]])
    tableau.pivot(m - 1, first)
    if norm == "l1":  # s before the slacks that it turns positive
        tableau.pivot(largest, basis[largest])
    for row, column in enumerate(basis):
        if norm == "linf" or row != largest:
            tableau.pivot(row, column)
    tableau.basis = [*basis, first]
    tableau.minimise()
    D, reduced = tableau.D, tableau.rows[-1]
    p = [Fraction(0)] * n
    for row, column in enumerate(tableau.basis):
        if column < n:
            p[column] = Fraction(tableau.rows[row][-1], D)
    scale = D * common
    if norm == "linf":
        w = [1 - Fraction(reduced[n + j], scale) for j in range(d)]
    else:
        w = [Fraction(reduced[n + j] - reduced[n + d + j], scale) for j in range(d)]
    return Fraction(-reduced[-1], scale), p, w


class _Tableau:
    """A simplex tableau of whole numbers over one denominator D; the last row is the cost, the last column the right side."""

    def __init__(self, rows: list[list[int]]):
        self.rows, self.D = rows, 1
        self.basis: list[int] = []

    def pivot(self, r: int, c: int) -> None:
        """Make column c a unit column; every division is exact (the entries are minors of the first tableau)."""
        row = self.rows[r]
        if row[c] < 0:
            row = self.rows[r] = [-x for x in row]
        lead, D = row[c], self.D
        for i, other in enumerate(self.rows):
            if i != r:
                factor = other[c]
                self.rows[i] = (
                    [(lead * x - factor * y) // D for x, y in zip(other, row, strict=True)]
                    if factor
                    else [lead * x // D for x in other]
                )
        self.D = lead

    def minimise(self) -> None:
        """Pivot on the most negative reduced cost, after a degenerate step on the first (Bland), until none is left."""
        careful = False
        for _ in range(PIVOTS):
            cost = self.rows[-1][:-1]
            c = (
                next((j for j, x in enumerate(cost) if x < 0), 0)
                if careful
                else min(range(len(cost)), key=cost.__getitem__)
            )
            if cost[c] >= 0:
                return
            ratios = [
                (Fraction(row[-1], row[c]), self.basis[i], i)
                for i, row in enumerate(self.rows[:-1])
                if row[c] > 0
            ]
            step, _, r = min(ratios)  # bounded: some w meets every level so far
            careful = step == 0
            self.pivot(r, c)
            self.basis[r] = c
        raise ValueError(
            f"a level needs more than {PIVOTS} exact pivots; scale rows and columns to similar sizes"
        )


def _rank(rows: list[list[int]]) -> int:
    """The rank of a matrix of whole numbers, by elimination without fractions."""
    rank, D = 0, 1
    rows = [row[:] for row in rows]
    for c in range(len(rows[0])):
        r = next((i for i in range(rank, len(rows)) if rows[i][c]), None)
        if r is None:
            continue
        rows[rank], rows[r] = rows[r], rows[rank]
        lead = rows[rank]
        for i in range(rank + 1, len(rows)):
            row = rows[i]
            rows[i] = [(lead[c] * x - row[c] * y) // D for x, y in zip(row, lead, strict=True)]
        rank, D = rank + 1, lead[c]
    return rank
