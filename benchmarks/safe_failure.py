"""What solvers say of badly scaled and nearly inseparable sets, beside what is true: the l2 margin in rational arithmetic.

    OMP_NUM_THREADS=1 python benchmarks/safe_failure.py

Prints a table in Markdown. An answer's error is ``1 - margin(w) / gamma*``, with the margin of its w summed exactly; "refuses"
where a solver reports no answer. Clarabel and DAQP are skipped where they are not installed.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from fractions import Fraction

import numpy as np

from margin_lab.hard_margins import NotSeparableError, hard_margin


def gaussian(n: int, d: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    X, w = rng.standard_normal((n, d)), rng.standard_normal(d)
    return X * np.where(X @ w >= 0, 1.0, -1.0)[:, None]


def scaled(columns: float, rows: float = 0.0) -> np.ndarray:
    rng = np.random.default_rng(1)
    return (
        gaussian(200, 20)
        * 10 ** rng.uniform(-columns, columns, 20)
        * 10 ** rng.uniform(-rows, rows, (200, 1))
    )


def tiny(gamma: float) -> np.ndarray:
    t, h = 0.3, np.sqrt(1 - gamma * gamma)
    turn = np.array([[np.cos(t), np.sin(t)], [-np.sin(t), np.cos(t)]])
    return np.array([[gamma, h], [gamma, -h]]) @ turn


DATA: dict[str, Callable[[], np.ndarray]] = {
    "Gaussian 200x20": lambda: gaussian(200, 20),
    "columns 10^±2": lambda: scaled(2),
    "columns 10^±6": lambda: scaled(6),
    "columns 10^±12": lambda: scaled(12),
    "rows 10^±6": lambda: scaled(0, 6),
    "margin 1e-9": lambda: tiny(1e-9),
    "margin 1e-16": lambda: np.array([[1.0, 1e-16], [-1.0, 1e-16]]),
    "one contradiction": lambda: np.vstack([gaussian(200, 20), -gaussian(200, 20)[:1]]),
    "the same, columns 10^±6": lambda: np.vstack([scaled(6), -scaled(6)[:1]]),
}


def ours(Z: np.ndarray) -> np.ndarray | None:
    try:
        return np.asarray(hard_margin(Z, np.ones(len(Z))).w)
    except NotSeparableError:
        return None


def daqp(Z: np.ndarray) -> np.ndarray | None:
    import daqp

    n, d = Z.shape
    sense = np.zeros(n, dtype=np.int32)
    w, _, flag, _ = daqp.solve(np.eye(d), np.zeros(d), Z, np.full(n, 1e30), np.ones(n), sense)
    return np.asarray(w) if flag == 1 else None


def nnls(Z: np.ndarray) -> np.ndarray | None:
    from scipy.optimize import nnls

    try:
        a, residual = nnls(np.vstack([Z.T, np.ones(len(Z))]), np.append(np.zeros(Z.shape[1]), 1.0))
    except RuntimeError:  # out of iterations
        return None
    return a @ Z if residual > 1e-12 else None


def clarabel(Z: np.ndarray) -> np.ndarray | None:
    import clarabel
    from scipy import sparse

    n, d = Z.shape
    settings = clarabel.DefaultSettings()
    settings.verbose = False
    cones = [clarabel.NonnegativeConeT(n)]
    P, A = sparse.csc_matrix(sparse.eye_array(d)), sparse.csc_matrix(-Z)
    out = clarabel.DefaultSolver(P, np.zeros(d), A, -np.ones(n), cones, settings).solve()
    return np.asarray(out.x) if str(out.status) == "Solved" else None


def svc(Z: np.ndarray) -> np.ndarray | None:
    from sklearn.svm import LinearSVC

    both, labels = np.vstack([Z, -Z]), np.repeat([1, -1], len(Z))
    model = LinearSVC(C=1e6, loss="hinge", tol=1e-10, fit_intercept=False, max_iter=10_000, random_state=0)
    return np.asarray(model.fit(both, labels).coef_[0])


def verdict(Z: np.ndarray, w: np.ndarray | None, gamma: float | None) -> str:
    """The error of w's margin, or what is wrong with it."""
    if w is None:
        return "refuses" if gamma is None else "**refuses**"
    if not np.isfinite(w).all() or not w.any():
        return "**no direction**"
    v = [Fraction(float(x)) for x in w]
    least = min(sum(Fraction(float(a)) * b for a, b in zip(z, v, strict=True)) for z in Z)
    if gamma is None or least <= 0:
        return "**wrong w**"
    return f"{max(1 - float(least / Fraction(float(np.linalg.norm(w)))) / gamma, 0.0):.0e}"


SOLVERS = {
    "margin_lab": ours,
    "DAQP": daqp,
    "SciPy nnls": nnls,
    "Clarabel": clarabel,
    "LinearSVC, C=1e6": svc,
}


def main() -> None:
    print("| data | gamma* |", " | ".join(SOLVERS), "|")
    print("|---" * (len(SOLVERS) + 2) + "|")
    for name, make in DATA.items():
        Z = make()
        try:
            gamma: float | None = hard_margin(Z, np.ones(len(Z)), exact=True).margin
        except NotSeparableError:
            gamma = None
        cells = []
        for solve in SOLVERS.values():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                try:
                    cells.append(verdict(Z, solve(Z), gamma))
                except ModuleNotFoundError:
                    cells.append("not installed")
        print("|", name, "|", "none" if gamma is None else f"{gamma:.2e}", "|", " | ".join(cells), "|")


if __name__ == "__main__":
    main()
