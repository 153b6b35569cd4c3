"""The margin in rational arithmetic, in any of the three norms: from float64's answer to an enclosure of relative width 1e-15."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from margin_lab.hard_margins.closest_point import ClosestPoint
from margin_lab.hard_margins.exact_arithmetic import dot, integers, quotient
from margin_lab.hard_margins.exact_program import Program
from margin_lab.hard_margins.solution import Bounds

# Entries of w and p below this, relative to the largest, are zeros for the guess of a basis.
DUST = 1e-12
Basis = tuple[list[int], list[int], dict[int, int]]


class Enclosure(NamedTuple):
    """The exact w ``[d]`` and weights p ``[n]``, rounded, two floats that enclose gamma*, and the rows on the margin of w."""

    w: np.ndarray
    p: np.ndarray
    lower: float
    upper: float
    tight: list[int]


def affordable(bounds: Bounds, work: float) -> bool:
    """Whether a handful of the systems behind :func:`exact_margin` are within ``work`` bit operations.

    Their size is the number of support vectors or of columns, the smaller one; their numbers have some hundred digits a row.
    """
    size = min(bounds.Z.shape[1] + 1, len(bounds.support()))
    return 16 * 256.0 * size**4 + 1e4 * bounds.Z.numel() <= work


def exact_margin(bounds: Bounds, work: float = math.inf) -> Enclosure | None:
    """Enclose gamma* of separable rows, from the pair behind ``bounds``; None where that takes more than ``work``."""
    if not affordable(bounds, work):
        return None
    Z, w, p = (t.cpu().numpy() for t in (bounds.Z, bounds.w, bounds.p))
    if bounds.norm == "l2":
        return in_l2(Z, p, work)
    return by_program(Z, w, p, bounds.norm, work)


def in_l2(Z: np.ndarray, p: np.ndarray, work: float) -> Enclosure | None:
    """By the point of the rows' hull that is closest to the origin."""
    S = np.flatnonzero(p > DUST * p.max())
    S = S[np.argsort(-p[S], kind="stable")][: Z.shape[1]]
    found = ClosestPoint(Z).solve(S.tolist(), work)
    if found is None:
        return None
    weights = np.zeros(len(Z))
    weights[found.active] = found.shares()
    return Enclosure(found.direction(), weights, found.lower, found.upper, found.tight)


def by_program(Z: np.ndarray, w: np.ndarray, p: np.ndarray, norm: str, work: float) -> Enclosure | None:
    """By the linear program ``max g, Zw >= g, ||w|| <= 1``; l1 splits ``w = w+ - w-``."""
    n, d = Z.shape
    scaled = [integers(z) for z in Z]
    # With rows I_i = z_i 2**-e_i and g = g' 2**E all numbers are whole: I_i w >= 2**(E - e_i) g'.
    E = max(e for _, e in scaled)
    heights = [1 << (E - e) for _, e in scaled]
    if norm == "linf":
        rows = [[*row, -h] for (row, _), h in zip(scaled, heights, strict=True)]
        program = Program(rows, [0] * n, [0] * d + [-1], [-1] * d + [None], [1] * d + [None])
    else:
        rows = [[*row, *(-x for x in row), -h] for (row, _), h in zip(scaled, heights, strict=True)]
        rows.append([-1] * (2 * d) + [0])
        low: list[int | None] = [0] * (2 * d) + [None]
        program = Program(rows, [0] * n + [-1], [0] * (2 * d) + [-1], low, [None] * (2 * d + 1))
    basis = next(b for b in _bases(Z, w, p, norm) if program.settle(*b))
    found = program.minimise(*basis, work)
    if found is None:
        return None
    R, F, x, denominator = found
    dual = program.combination(R, F, program.cost)
    assert dual is not None
    y = {i: v for i, v in zip(R, dual[0], strict=True) if i < n}
    mass = {i: v << (E - scaled[i][1]) for i, v in y.items()}
    total = sum(mass.values())
    weights = np.zeros(n)
    for i, v in mass.items():
        weights[i] = quotient(v, total)
    whole = x[:d] if norm == "linf" else [a - b for a, b in zip(x[:d], x[d : 2 * d], strict=True)]
    direction = np.array([quotient(v, denominator) for v in whole])
    gamma = quotient(x[-1], denominator, E)
    tight = [i for i in range(n) if dot(program.rows[i], x) == 0]
    return Enclosure(direction, weights, math.nextafter(gamma, 0), math.nextafter(gamma, math.inf), tight)


def _bases(Z: np.ndarray, w: np.ndarray, p: np.ndarray, norm: str) -> Iterator[Basis]:
    """Guesses of the optimal basis: what (w, p) shows, then one that is always dual feasible."""
    n, d = Z.shape
    weight = p * np.abs(Z).max(1)
    S = np.flatnonzero(weight > DUST * weight.max()).tolist()
    i = int(weight.argmax())
    # in l1 what an entry adds to a margin tells whether it is zero; in linf, whether it is at the bound
    size = np.abs(w) * (np.abs(Z).max(0) if norm == "l1" else 1.0)
    if norm == "linf":
        F = [*np.flatnonzero(size < (1 - DUST) * size.max()).tolist(), d]
        yield S, F, {j: int(np.sign(w[j])) for j in range(d) if j not in F}
        yield [i], [d], dict.fromkeys(range(d), -1)
        return
    T = [j if w[j] > 0 else d + j for j in np.flatnonzero(size > DUST * size.max()).tolist()]
    largest = int(np.abs(Z[i]).argmax())
    first = largest if Z[i, largest] > 0 else d + largest
    for R, F in (([*S, n], [*T, 2 * d]), ([i, n], [first, 2 * d])):
        yield R, F, {j: -1 for j in range(2 * d) if j not in F}
