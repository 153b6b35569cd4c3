"""Few of many rows matter to a margin: solve for growing samples of the rows, each from those that mattered before."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

# Samples grow by a factor of GROWTH from START rows, or 8 d.
GROWTH, START = 16, 1000
# At most MORE d violated rows join the working set in a round, and the KEEP d nearest to their bound stay. Found on Gaussian data
# from 2,000 x 100 to 200,000 x 50 in l2; twice or half of either costs some 30 %. What needs more rounds goes to another solver.
MORE, KEEP, ROUNDS = 5, 3, 50


class Pair(NamedTuple):
    """w ``[d]`` and multipliers ``[n]`` of the rows, each to a factor of its own."""

    w: np.ndarray
    lam: np.ndarray


class Answer(NamedTuple):
    """A pair for some rows, and the height g of which ``Uw >= g c`` was asked."""

    w: np.ndarray
    lam: np.ndarray
    height: float


Solve = Callable[[np.ndarray, np.ndarray, np.ndarray], "Answer | None"]


def working_rows(U: np.ndarray, c: np.ndarray, solve: Solve, tol: float) -> tuple[np.ndarray, Answer] | None:
    """Return rows whose solution is that of all rows, to tol, and that solution; None where ``solve`` gave up.

    Rows that allow no w by themselves end the search: more rows will not change that.

    Args:
        U: ``[n, d]`` rows of one size. c: ``[n]``. solve: from some rows of both and the indices, among these, of those that were
            active last. tol: rows below ``g c`` by less are not violated.

    Source: Clarkson, Las Vegas algorithms for linear and integer programming when the dimension is small, J. ACM 42 (1995), for
    why a sample leaves few rows violated.
    """
    n, d = U.shape
    order = np.random.default_rng(0).permutation(
        n
    )  # deterministic, and independent of how the data is sorted
    sizes = [n]
    while sizes[-1] > max(START, 8 * d):
        sizes.append(sizes[-1] // GROWTH)
    more, keep = MORE * max(50, d), KEEP * d
    rows, active = np.sort(order[: sizes[-1]]), np.zeros(0, dtype=np.int64)
    found: Answer | None = None
    for size in reversed(sizes):
        sample = order[:size] if size < n else np.arange(n)
        inside, bound = (U, c) if size == n else (U[sample], c[sample])
        for _ in range(ROUNDS):
            found = solve(U[rows], c[rows], active)
            if found is None:
                return None
            slack = U[rows] @ found.w - found.height * c[rows]
            if (slack + found.height * c[rows] <= 0).any():
                return rows, found
            excess = inside @ found.w - found.height * bound
            new = np.flatnonzero(excess < -tol)
            if len(new) > more:
                new = new[np.argpartition(excess[new], more)[:more]]
            new = np.setdiff1d(sample[new], rows)
            if len(new) == 0:
                break
            near = slack <= (np.partition(slack, keep)[keep] if len(slack) > keep else np.inf)
            kept = near | (found.lam > 0)
            weights = dict(zip(rows[kept].tolist(), found.lam[kept].tolist(), strict=True))
            rows = np.union1d(rows[kept], new)
            active = np.array(
                [k for k, i in enumerate(rows.tolist()) if weights.get(i, 0.0) > 0], dtype=np.int64
            )
    return None if found is None else (rows, found)
