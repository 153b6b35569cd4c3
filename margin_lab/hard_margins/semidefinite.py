"""Spectral and nuclear hard margins: a semidefinite program by Clarabel, then Newton's method to the last digits."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

# Singular values and multipliers below this, relative to the largest, are taken for zeros. Clarabel stops at gaps between 1e-13
# and 1e-6, so which zeros it leaves how large is a guess: the caller tries one after the other.
DUST = (1e-4, 1e-3, 1e-5, 1e-6, 1e-2)
# Clarabel takes 10 to 30; one that needs more is lost.
ITERATIONS = 200


def semidefinite_program(A: np.ndarray, c: np.ndarray, norm: str) -> tuple[np.ndarray, np.ndarray]:
    """Return W and multipliers for ``max g  subject to  <A_c, W> >= g c_c, ||W|| <= 1`` by an interior-point method.

    Spectral: ``[[I, W], [W^T, I]] >= 0``. Nuclear: ``[[P, W], [W^T, Q]] >= 0`` and ``tr P + tr Q <= 2``.

    Args:
        A: ``[m, a, b]``. c: ``[m]`` right-hand sides, in (0, 1]. norm: "spectral" or "nuclear".

    Raises:
        ImportError: clarabel is not installed.

    Source: Goulart and Chen, Clarabel (2024).
    """
    try:
        import clarabel
    except ImportError:
        raise ImportError(
            f"the hard margin in the {norm} norm is a semidefinite program and needs the package clarabel: "
            "pip install 'margin-lab[matrix]'"
        ) from None
    from scipy import sparse

    m, a, b = A.shape
    size = a + b
    # Clarabel takes the upper triangle column by column, with what is off the diagonal times sqrt(2).
    j = np.repeat(np.arange(size), np.arange(1, size + 1))
    i = np.concatenate([np.arange(column + 1) for column in range(size)])
    scale, in_w = np.where(i == j, 1.0, np.sqrt(2)), (i < a) & (j >= a)
    rows, columns = np.flatnonzero(in_w), i[in_w] * b + (j[in_w] - a)
    if norm == "spectral":  # variables W, g
        free, trace, constant = 0, np.empty((0, a * b + 1)), (i == j).astype(float)
    else:  # variables W, the triangles of P and Q, g
        free, constant = int((~in_w).sum()), np.zeros(len(i))
        trace = np.concatenate([np.zeros(a * b), (i == j)[~in_w] / 2, [0.0]])[None]
        rows = np.append(rows, np.flatnonzero(~in_w))
        columns = np.append(columns, a * b + np.arange(free))
    variables = a * b + free + 1
    cone = sparse.csc_matrix((-scale[rows], (rows, columns)), shape=(len(i), variables))
    margins = np.hstack([-A.reshape(m, -1), np.zeros((m, free)), c[:, None]])
    settings = clarabel.DefaultSettings()
    settings.verbose = False
    # More than it can reach: it stops where it makes no more progress.
    settings.tol_gap_abs = settings.tol_gap_rel = settings.tol_feas = 1e-13
    settings.max_iter = ITERATIONS
    out = clarabel.DefaultSolver(
        sparse.csc_matrix((variables, variables)),
        np.append(np.zeros(variables - 1), -1.0),
        sparse.vstack([sparse.csc_matrix(np.vstack([margins, trace])), cone]).tocsc(),
        np.concatenate([np.zeros(m), np.ones(len(trace)), constant]),
        [clarabel.NonnegativeConeT(m + len(trace)), clarabel.PSDTriangleConeT(size)],
        settings,
    ).solve()
    return np.asarray(out.x)[: a * b].reshape(a, b), np.maximum(np.asarray(out.z)[:m], 0)


def newton(
    A: np.ndarray, W: np.ndarray, p: np.ndarray, norm: str, dust: float, steps: int = 5
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield better pairs (W, p): Newton's method on the conditions of optimality, on the support and the rank that p and W show.

    With ``G = sum_c p_c A_c``: spectral ``W = sign(G)``, nuclear ``G = g sign(W)``, where the sign of a matrix ``U S V^T`` of
    rank r is ``U V^T + U_ R V_^T`` with any contraction R on the rest (columns U_, V_); ``<A_c, W> = g`` on the support,
    ``sum p = 1``, and the rank stays r. Unknowns and equations are equal in number; convergence is quadratic.
    """
    a, b = W.shape
    S = np.flatnonzero(p > dust * p.max())
    A, weights = A[S], p[S] / p[S].sum()
    W = W / np.linalg.norm(W, 2 if norm == "spectral" else "nuc")
    for _ in range(steps):
        G = np.tensordot(weights, A, 1)
        sign = Sign(G if norm == "spectral" else W, dust)
        r, rest = sign.rank, (a - sign.rank) * (b - sign.rank)
        B, w, g = sign.coordinates(A), sign.coordinates(W), float(np.tensordot(A, W, 2).mean())
        flat, corner = B.reshape(len(S), -1), B[:, r:, r:].reshape(len(S), -1)
        none = np.zeros((len(S), rest))
        if norm == "spectral":
            # unknown: changes of the weights and of R; g itself. Where they are not unique, the smallest changes.
            R = w[r:, r:]
            value, change = sign.value(R), sign.derivative(B, R).reshape(len(S), -1)
            matrix = np.vstack(
                [
                    np.hstack([flat @ change.T, corner, -np.ones((len(S), 1))]),
                    np.append(np.ones(len(S)), np.zeros(rest + 1))[None],
                    np.hstack([corner.T, np.zeros((rest, rest + 1))]),
                ]
            )
            right = np.concatenate([-flat @ value.ravel(), [1 - weights.sum()], -weights @ corner])
            x = np.linalg.lstsq(matrix, right, rcond=1e-13)[0]
            step, R = x[: len(S)], R + x[len(S) : -1].reshape(R.shape)
            w = sign.value(R) + (step @ change).reshape(a, b)
        else:
            # unknown: changes of W, of R, of the weights and of g
            R = sign.coordinates(G)[r:, r:] / g
            every = np.eye(a * b).reshape(-1, a, b)
            picked = every[:, r:, r:].reshape(a * b, -1)  # the entries of the corner
            value, slope = sign.value(R).ravel(), sign.value(0 * R).ravel()
            change = sign.derivative(every, R).reshape(a * b, -1)
            matrix = np.vstack(
                [
                    np.hstack([flat, none, np.zeros((len(S), len(S))), -np.ones((len(S), 1))]),
                    np.concatenate([slope, np.zeros(rest + len(S) + 1)])[None],
                    np.hstack([picked.T, np.zeros((rest, rest + len(S) + 1))]),
                    np.hstack([-g * change.T, -g * picked, flat.T, -value[:, None]]),
                ]
            )
            right = np.concatenate(
                [
                    g - flat @ w.ravel(),
                    [1 - slope @ w.ravel()],
                    -w[r:, r:].ravel(),
                    g * value - weights @ flat,
                ]
            )
            x = np.linalg.lstsq(matrix, right, rcond=1e-13)[0]
            w, step = w + x[: a * b].reshape(a, b), x[a * b + rest : -1]
        W, weights = sign.u @ w @ sign.v.T, weights + step
        if not np.isfinite(W).all():
            return
        full = np.zeros_like(p)
        full[S] = np.maximum(weights, 0)
        yield W, full


class Sign:
    """``U V^T + U_ R V_^T`` for ``Y = U S V^T`` of rank r, in the coordinates in which Y is diagonal.

    Args:
        Y: ``[a, b]``. dust: singular values below this, relative to the largest, are zeros.
    """

    def __init__(self, Y: np.ndarray, dust: float):
        self.u, s, vh = np.linalg.svd(Y)
        self.v = vh.T
        self.s = s[s > dust * s[0]]
        self.rank = len(self.s)

    def coordinates(self, E: np.ndarray) -> np.ndarray:
        """``[U U_]^T E [V V_]``."""
        turned: np.ndarray = self.u.T @ E @ self.v
        return turned

    def value(self, R: np.ndarray) -> np.ndarray:
        """The sign itself."""
        r = self.rank
        out = np.zeros((len(self.u), len(self.v)))
        out[:r, :r], out[r:, r:] = np.eye(r), R
        return out

    def derivative(self, B: np.ndarray, R: np.ndarray) -> np.ndarray:
        """Its derivative in directions ``B [q, a, b]`` that keep the rank; R turns with the singular vectors."""
        r, s = self.rank, self.s
        B11, B12, B21 = B[:, :r, :r], B[:, :r, r:], B[:, r:, :r]
        out = np.zeros_like(B)
        out[:, :r, :r] = (B11 - B11.transpose(0, 2, 1)) / (s[:, None] + s)
        out[:, :r, r:] = (B12 - B21.transpose(0, 2, 1) @ R) / s[:, None]
        out[:, r:, :r] = (B21 - R @ B12.transpose(0, 2, 1)) / s
        return out
