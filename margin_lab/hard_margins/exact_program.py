"""Linear programs with bounds in rational arithmetic: the dual simplex method, from a guess of the basis."""

from __future__ import annotations

from dataclasses import dataclass
from operator import mul

from margin_lab.hard_margins.exact_arithmetic import Row, quotient, solve

# Pivots by the largest violation before the rule that cannot cycle takes over (Bland's).
GREEDY = 1000


@dataclass
class Program:
    """``min cost . x  subject to  rows x >= right, low <= x <= high``, all integers; None: no bound.

    A basis is a set of tight rows R and as many free variables F, every other variable fixed at one of its bounds:
    ``basis = (R, F)`` and ``at`` maps the fixed ones to -1 (low) or 1 (high).
    """

    rows: list[Row]
    right: Row
    cost: Row
    low: list[int | None]
    high: list[int | None]

    def bound(self, j: int, side: int) -> int:
        """The bound at which variable j is fixed."""
        value = self.low[j] if side < 0 else self.high[j]
        if value is None:
            raise ArithmeticError(f"variable {j} has no bound on this side: a bug in the simplex method")
        return value

    def primal(self, R: list[int], F: list[int], at: dict[int, int]) -> tuple[Row, int] | None:
        """x, integers over a positive one; None where the basis is singular."""
        fixed = {j: self.bound(j, side) for j, side in at.items()}
        rest = [[self.right[i] - sum(self.rows[i][j] * v for j, v in fixed.items() if v)] for i in R]
        found = solve([[self.rows[i][j] for j in F] for i in R], rest) if R else ([], 1)
        if found is None:
            return None
        X, denominator = found
        x = [fixed.get(j, 0) * denominator for j in range(len(self.cost))]
        for j, value in zip(F, X, strict=True):
            x[j] = value[0]
        return x, denominator

    def combination(self, R: list[int], F: list[int], target: Row) -> tuple[Row, Row, int] | None:
        """Multipliers y of the rows R that make ``target - y rows`` vanish on F; with that rest, all over a positive integer."""
        found = solve([[self.rows[i][j] for i in R] for j in F], [[target[j]] for j in F]) if R else ([], 1)
        if found is None:
            return None
        Y, denominator = found
        y = [value[0] for value in Y]
        rest = [denominator * t for t in target]
        for i, weight in zip(R, y, strict=True):
            if weight:
                rest = [a - weight * b for a, b in zip(rest, self.rows[i], strict=True)]
        return y, rest, denominator

    def settle(self, R: list[int], F: list[int], at: dict[int, int]) -> bool:
        """Turn fixed variables to the side that their reduced cost asks for; whether the basis is dual feasible then."""
        found = self.combination(R, F, self.cost) if len(R) == len(F) else None
        if found is None or min(found[0], default=0) < 0:
            return False
        for j in at:
            want = (found[1][j] < 0) - (found[1][j] > 0)
            if want and want != at[j]:
                if (self.low if want < 0 else self.high)[j] is None:
                    return False
                at[j] = want
        return True

    def minimise(
        self, R: list[int], F: list[int], at: dict[int, int], work: float
    ) -> tuple[list[int], list[int], Row, int] | None:
        """Pivot from a dual feasible basis to the optimum: R, F, x and its denominator; None once ``work`` is spent."""
        R, F, at = list(R), list(F), dict(at)
        pivots = 0
        while True:
            found = self.primal(R, F, at)
            dual = self.combination(R, F, self.cost)
            if found is None or dual is None:
                raise ArithmeticError("singular basis: a bug in the simplex method")
            x, denominator = found
            work -= len(R) ** 3 * float(denominator.bit_length() + 64)
            entering = self._violated(x, denominator, R, F, pivots >= GREEDY)
            if entering is None:
                return R, F, x, denominator
            if work < 0:
                return None
            self._pivot(R, F, at, entering, dual)
            pivots += 1

    def _violated(
        self, x: Row, denominator: int, R: list[int], F: list[int], first: bool
    ) -> tuple[str, int, int] | None:
        """The constraint that is violated most (relative to its terms), or the first one: kind, index and side."""
        tight = set(R)
        worst, where = 0.0, None
        for j in F:
            for side, bound in ((-1, self.low[j]), (1, self.high[j])):
                if bound is not None and side * (x[j] - bound * denominator) > 0:
                    size = quotient(abs(x[j] - bound * denominator), denominator * (abs(bound) or 1))
                    if first:
                        return "bound", j, side
                    if size > worst or where is None:
                        worst, where = size, ("bound", j, side)
        for i, row in enumerate(self.rows):
            if i in tight:
                continue
            terms = list(map(mul, row, x))
            short = self.right[i] * denominator - sum(terms)
            if short > 0:
                if first:
                    return "row", i, 0
                size = quotient(short, sum(map(abs, terms)) or denominator)
                if size > worst or where is None:
                    worst, where = size, ("row", i, 0)
        return where

    def _pivot(
        self,
        R: list[int],
        F: list[int],
        at: dict[int, int],
        entering: tuple[str, int, int],
        dual: tuple[Row, Row, int],
    ) -> None:
        """Make the violated constraint tight, and release the one whose multiplier is first to vanish."""
        kind, index, side = entering
        target = self.rows[index] if kind == "row" else [-side * (j == index) for j in range(len(self.cost))]
        found = self.combination(R, F, target)
        if found is None:
            raise ArithmeticError("singular basis: a bug in the simplex method")
        (r, rest, _), (y, reduced, _) = found, dual
        # multiplier and its change, of rows and of fixed variables (a variable at its upper bound counts downwards)
        leaving = [(y[k], r[k], True, R[k]) for k in range(len(R)) if r[k] > 0]
        leaving += [(-s * reduced[j], -s * rest[j], False, j) for j, s in at.items() if -s * rest[j] > 0]
        if not leaving:
            raise ArithmeticError("the program has no feasible point")
        least = leaving[0]
        for other in leaving[1:]:  # compare the quotients of the first two; ties by kind and index
            left, right = other[0] * least[1], least[0] * other[1]
            if left < right or (left == right and other[2:] < least[2:]):
                least = other
        _, _, is_row, out = least
        if kind == "row":
            R.append(index)
        else:
            F.remove(index)
            at[index] = side
        if is_row:
            R.remove(out)
        else:
            del at[out]
            F.append(out)
