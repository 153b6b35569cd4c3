"""An interior-point method for the soft margin's dual, and the equations of the support that give the last digits."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

# It takes 10 to 30; one that needs more is lost.
ITERATIONS = 100
# Fraction of the way to the nearest bound.
STEP = 0.995
# Each system is solved, and then once more for what rounding has left.
REFINED = 2
# A multiplier is taken for 0 where it is below this times C times its slack: which of the small ones are zeros is a guess.
WEIGHTS = (1.0, 1e-3, 1e3)


def interior_point(Z: np.ndarray, y: np.ndarray | None, C: float) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield better and better pairs (w, alpha) for ``max_alpha sum alpha - ||Z'alpha||^2 / 2``, ``0 <= alpha <= C``.

    The conditions of optimality are ``w = Z'alpha``, ``Zw + b y - 1 = s - r`` with ``s alpha = 0`` and ``r (C - alpha) = 0``,
    ``s, r >= 0``; with an intercept also ``<y, alpha> = 0``. Each iteration takes a Newton step toward ``s alpha = r (C - alpha)
    = mu`` and corrects it to second order. Its system is ``I + Z' T Z`` of size d, or ``1/T + Z Z'`` of size n, whichever is
    smaller, with the diagonal ``1/T = s/alpha + r/(C - alpha)``.

    Args:
        Z: ``[n, d]`` signed rows, the longest of length 1. y: ``[n]`` labels where there is an intercept, else None. C: > 0.

    Sources: Mehrotra, SIAM J. Optim. 2 (1992); Ferris and Munson, SIAM J. Optim. 13 (2003), for support vector machines.
    """
    n = len(Z)
    alpha = np.full(n, C / 2)
    if y is not None:  # balanced from the start
        alpha *= np.where(y > 0, min(1, (y < 0).sum() / (y > 0).sum()), min(1, (y > 0).sum() / (y < 0).sum()))
    b, w = 0.0, alpha @ Z
    excess = Z @ w - 1
    s, r = np.maximum(excess, 0) + 1, np.maximum(-excess, 0) + 1
    tried: set[bytes] = set()
    for _ in range(ITERATIONS):
        upper = C - alpha
        rho = Z @ w - 1 - s + r + (0 if y is None else b * y)
        wanted = 0.0 if y is None else -float(y @ alpha)
        diagonal = s / alpha + r / upper
        solve = _System(Z, y, diagonal)
        mu = (s @ alpha + r @ upper) / (2 * n)

        def newton(
            goal: float, second_s: np.ndarray | float, second_r: np.ndarray | float
        ) -> tuple[np.ndarray, float, np.ndarray, np.ndarray]:
            at_s = (goal - second_s) / alpha - s  # noqa: B023  used at once
            at_r = (goal - second_r) / upper - r  # noqa: B023
            move, db = solve(at_s - at_r - rho, wanted)  # noqa: B023
            return move, db, at_s - s / alpha * move, at_r + r / upper * move  # noqa: B023

        def reach(move: np.ndarray, ds: np.ndarray, dr: np.ndarray) -> float:
            ratios = [
                -value[step < 0] / step[step < 0]
                for value, step in ((alpha, move), (upper, -move), (s, ds), (r, dr))  # noqa: B023
            ]
            return min(1.0, STEP * min((float(a.min()) for a in ratios if len(a)), default=np.inf))

        move, db, ds, dr = newton(0.0, 0.0, 0.0)
        t = reach(move, ds, dr)
        ahead = ((s + t * ds) @ (alpha + t * move) + (r + t * dr) @ (upper - t * move)) / (2 * n)
        move, db, ds, dr = newton(mu * (ahead / mu) ** 3, ds * move, -dr * move)
        t = reach(move, ds, dr)
        alpha, b, s, r = alpha + t * move, b + t * db, s + t * ds, r + t * dr
        if not (np.isfinite(alpha).all() and np.isfinite(s).all() and np.isfinite(r).all() and t > 1e-10):
            return
        w = alpha @ Z
        yield w, alpha
        for weight in WEIGHTS:
            at_zero, at_c = alpha < weight * C * s, C - alpha < weight * C * r
            guess = at_zero.tobytes() + at_c.tobytes()
            if guess not in tried:
                tried.add(guess)
                yield support_equations(Z, y, C, alpha, at_zero, at_c)


class _System:
    """``(1/T + Z Z') x + y b = v``, ``<y, x> = c``: factored once, solved twice."""

    def __init__(self, Z: np.ndarray, y: np.ndarray | None, diagonal: np.ndarray):
        from scipy.linalg import cho_factor

        self.Z, self.y, self.diagonal = Z, y, diagonal
        self.small = Z.shape[1] <= len(Z)  # the system of size d
        if self.small:
            M = (Z / diagonal[:, None]).T @ Z
            M[np.diag_indices_from(M)] += 1
        else:
            M = Z @ Z.T
            M[np.diag_indices_from(M)] += diagonal
        self.factor = cho_factor(M, check_finite=False)
        self.of_y = None if y is None else self._apply(y)

    def _apply(self, v: np.ndarray) -> np.ndarray:
        from scipy.linalg import cho_solve

        if not self.small:
            solved: np.ndarray = cho_solve(self.factor, v, check_finite=False)
            return solved
        scaled = v / self.diagonal
        out: np.ndarray = (
            v - self.Z @ cho_solve(self.factor, self.Z.T @ scaled, check_finite=False)
        ) / self.diagonal
        return out

    def __call__(self, v: np.ndarray, c: float) -> tuple[np.ndarray, float]:
        x, b = np.zeros_like(v), 0.0
        for _ in range(REFINED):
            residual = v - x * self.diagonal - self.Z @ (x @ self.Z)
            if self.y is None or self.of_y is None:
                x = x + self._apply(residual)
            else:
                step = self._apply(residual - b * self.y)
                db = float((self.y @ (x + step) - c) / (self.y @ self.of_y))
                x, b = x + step - db * self.of_y, b + db
        return x, b


def support_equations(
    Z: np.ndarray, y: np.ndarray | None, C: float, alpha: np.ndarray, at_zero: np.ndarray, at_c: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Set the multipliers ``at_zero`` and ``at_c``, and solve for the others, F.

    ``Z_F w + b y_F = 1`` and ``Z_F'alpha_F = w - C Z_B'1``, B those at C; with an intercept, ``<y, alpha> = 0``.
    The w nearest to ``C Z_B'1`` that meets the first equations is the solution; the second ones are solved by least squares.
    """
    free = np.flatnonzero(~at_zero & ~at_c)
    fixed = np.where(at_c & ~at_zero, C, 0.0)
    g = fixed @ Z
    if len(free) == 0:
        return g, fixed
    rows, right = Z[free], np.ones(len(free))
    if y is not None:  # differences to one of them: its label times the row is x
        signs = y[free]
        rows, right = rows[1:] * signs[1:, None] - rows[0] * signs[0], signs[1:] - signs[0]
    w = g
    for _ in range(2):  # the second time for the digits that a large C, and g with it, has cost
        if len(rows):
            w = w + np.linalg.lstsq(rows, right - rows @ w, rcond=None)[0]
    columns, below = Z[free].T, w - g
    if y is not None:
        columns, below = np.vstack([columns, y[free]]), np.append(below, -fixed @ y)
    x = alpha[free]
    for _ in range(2):
        x = x + np.linalg.lstsq(columns, below - columns @ x, rcond=None)[0]
    fixed[free] = x
    return w, fixed
