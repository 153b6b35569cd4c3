"""Arithmetic without rounding on float64 arrays: a float is an integer times a power of two, so nothing here is approximate.

python-flint, where it is installed (extra ``exact``), solves the linear systems faster; the answers are the same.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from operator import mul
from typing import Any

import numpy as np

EPS = np.finfo(np.float64).eps
TINY = np.finfo(np.float64).tiny
Row = list[int]


def integers(a: np.ndarray) -> tuple[Row, int]:
    """Return integers and one exponent: ``a = integers * 2**exponent``, exactly. a: ``[d]`` finite floats."""
    mantissa, exponent = np.frexp(a)
    whole = (mantissa * 2.0**53).astype(np.int64)
    shift = exponent - 53
    least = int(shift[whole != 0].min()) if whole.any() else 0
    pairs = zip(whole.tolist(), shift.tolist(), strict=True)
    row = [m << (e - least) if m else 0 for m, e in pairs]
    common = math.gcd(*row)  # no larger integers than need be
    twos = (common & -common).bit_length() - 1 if common else 0
    return [m >> twos for m in row], least + twos


def dot(a: Sequence[int], b: Sequence[int]) -> int:
    """Return the inner product of two rows of integers."""
    return sum(map(mul, a, b))


def quotient(numerator: int, denominator: int, exponent: int = 0) -> float:
    """Return ``numerator / denominator * 2**exponent`` as a float, to nearest; only the result may over- or underflow."""
    if numerator == 0:
        return 0.0
    shift = 64 - (abs(numerator).bit_length() - denominator.bit_length())
    if shift >= 0:
        value = (numerator << shift) / denominator
    else:
        value = numerator / (denominator << -shift)
    try:
        return math.ldexp(value, exponent - shift)
    except OverflowError:
        return math.copysign(math.inf, numerator)


def powers_of_two(Z: np.ndarray, rounds: int = 4) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Equilibrate exactly: return V and integers r, c with ``V_ij = 2**r_i Z_ij 2**c_j``, largest entries near 1.

    Rows and columns in turn get the square root of their largest entry (Ruiz 2001), rounded to a power of two. Where Z spans so
    many orders that an entry of V would underflow, it is 0 there: whoever proves something from V asks :func:`is_scaled` first.
    """
    log = np.log2(np.abs(Z), out=np.full(Z.shape, -np.inf), where=Z != 0)
    r, c = np.zeros(len(Z)), np.zeros(Z.shape[1])
    for k in range(rounds):
        # the last round leaves the rows at largest entry 1
        scaled = log + r[:, None] + c
        for axis in (0, 1):
            top = scaled.max(axis)
            step = np.where(np.isfinite(top), np.rint(top / (2 if k + 1 < rounds else 1)), 0.0)
            if axis == 0:
                c = c - step
                scaled = scaled - step
            else:
                r = r - step
    whole_r, whole_c = r.astype(np.int64), c.astype(np.int64)
    V = np.ldexp(Z, whole_r[:, None] + whole_c)
    return V, whole_r, whole_c


def is_scaled(V: np.ndarray, Z: np.ndarray, r: np.ndarray, c: np.ndarray) -> bool:
    """Whether V is Z scaled by ``2**r`` and ``2**c`` without a rounding."""
    return bool((np.ldexp(V, -(r[:, None] + c)) == Z).all())


def least_sign(Z: np.ndarray, w: np.ndarray) -> int:
    """Return the sign of ``min_i z_i . w``, exactly: 1 is a proof that w separates the rows.

    Floats decide where their error bound allows; the other rows are summed in integers.
    """
    V, r, c = powers_of_two(np.append(Z, w[None], 0))
    # the products are those of the scaled arrays: 2**c on the columns of Z, 2**-c on w
    with np.errstate(over="ignore"):
        v = np.ldexp(w, -c)
    top = np.abs(v).max()
    if top == 0:
        return 0
    m = np.zeros(len(Z))
    error = np.full(len(Z), np.inf)
    if np.isfinite(top):
        v, e = v / 2.0 ** np.frexp(top)[1], (Z.shape[1] + 3) * EPS
        m = V[:-1] @ v
        error = e * (np.abs(V[:-1]) @ np.abs(v)) + Z.shape[1] * TINY
    del r
    if (m < -error).any():
        return -1
    least = 1
    whole, _ = integers(w)
    for i in np.flatnonzero(m <= error):
        product = dot(integers(Z[i])[0], whole)
        if product < 0:
            return -1
        least = min(least, (product > 0) - (product < 0))
    return least


def solve(matrix: list[Row], right: list[Row]) -> tuple[list[Row], int] | None:
    """Solve ``matrix X = right`` in rationals: X is the returned integers over the returned positive one; None if singular.

    matrix: k rows of k integers. right: k rows of m.
    """
    try:
        import flint
    except ImportError:
        reduced, denominator, pivots = reduce(
            [a + b for a, b in zip(matrix, right, strict=True)], len(matrix)
        )
        if len(pivots) < len(matrix):
            return None
        columns = [row[len(matrix) :] for row in reduced]
        common = math.gcd(denominator, *(x for row in columns for x in row))
        columns, denominator = [[x // common for x in row] for row in columns], denominator // common
    else:
        try:
            quotients: Any = flint.fmpz_mat(matrix).solve(flint.fmpz_mat(right))
            X, whole = quotients.numer_denom()
        except ZeroDivisionError:
            return None
        columns, denominator = [[int(x) for x in row] for row in X.tolist()], int(whole)
    if denominator < 0:
        columns, denominator = [[-x for x in row] for row in columns], -denominator
    return columns, denominator


def reduce(matrix: list[Row], columns: int) -> tuple[list[Row], int, list[int]]:
    """Bring to reduced echelon form, times one integer: Gauss and Jordan, with the divisions that come out whole (Bareiss 1968).

    Pivots are looked for in the first ``columns`` columns, leftmost first.

    Returns:
        The rows that are not zero, the value of every pivot, and the pivots' columns.
    """
    rows = [list(row) for row in matrix]
    pivots: list[int] = []
    last = 1
    for j in range(columns):
        k = len(pivots)
        best = next((i for i in range(k, len(rows)) if rows[i][j]), None)
        if best is None:
            continue
        rows[k], rows[best] = rows[best], rows[k]
        head = rows[k]
        p = head[j]
        for i, row in enumerate(rows):
            if i != k:
                f = row[j]
                rows[i] = [(p * a - f * b) // last for a, b in zip(row, head, strict=True)]
        last = p
        pivots.append(j)
        if len(pivots) == len(rows):
            break
    return rows[: len(pivots)], last, pivots
