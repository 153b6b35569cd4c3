"""Exact hard margins: ours against SciPy's NNLS and Clarabel, seconds and the gap that each answer certifies.

    OMP_NUM_THREADS=1 python -m pytest benchmarks/test_hard_margin.py --benchmark-timer=time.process_time

Nothing is asserted about time. The gap is evaluated by the same two products for everybody, from the solver's
own primal and dual variables, outside the timing.
"""

import math

import numpy as np
import pytest
import torch

from margin_lab.hard_margins import hard_margin
from margin_lab.hard_margins.solution import Bounds, unit_rows

sparse = pytest.importorskip("scipy.sparse")


def gaussian(n, d):
    rng = np.random.default_rng(0)
    X, w = rng.standard_normal((n, d)), rng.standard_normal(d)
    return X * np.where(X @ w >= 0, 1.0, -1.0)[:, None]


def digits(a, b):
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True)
    keep = (y == a) | (y == b)
    return X[keep] / 16 * np.where(y[keep] == a, 1.0, -1.0)[:, None]


DATA = {
    "gaussian 50x10": lambda: gaussian(50, 10),
    "digits 8/9, 354x64": lambda: digits(8, 9),
    "gaussian 200x50": lambda: gaussian(200, 50),
    "gaussian 1000x100": lambda: gaussian(1000, 100),
    "gaussian 2000x100": lambda: gaussian(2000, 100),
    "gaussian 200x5000": lambda: gaussian(200, 5000),
    "gaussian 20000x100": lambda: gaussian(20_000, 100),
    "gaussian 100000x100": lambda: gaussian(100_000, 100),
}


def ours(method):
    def solve(Z, norm):
        sol = hard_margin(Z, np.ones(len(Z)), norm=norm, method=method)
        return sol.w, sol.dual

    return solve


def scipy_nnls(Z, norm):
    from scipy.optimize import nnls

    U, c = (t.numpy() for t in unit_rows(torch.tensor(Z), 2.0))
    a = nnls(np.vstack([U.T, c]), np.append(np.zeros(U.shape[1]), 1.0))[0]
    return a @ U, a * c


def clarabel(Z, norm):
    """l2 as min ||w||^2/2, Zw >= 1; l1 and linf as max g, Zw >= g, ||w|| <= 1. Tolerances 1e-12."""
    clarabel = pytest.importorskip("clarabel")
    n, d = Z.shape
    settings = clarabel.DefaultSettings()
    settings.verbose = False
    settings.tol_gap_abs = settings.tol_gap_rel = settings.tol_feas = 1e-12
    eye = sparse.eye_array(d)
    if norm == "l2":
        P, q, A, b = eye, np.zeros(d), sparse.csc_array(-Z), -np.ones(n)
    else:
        rows = [[-Z] + ([Z] if norm == "l1" else []) + [np.ones((n, 1))]]
        if norm == "l1":  # w = w+ - w-
            box = sparse.eye_array(2 * d)
            rows += [[np.ones((1, 2 * d)), np.zeros((1, 1))], [-box, sparse.csr_array((2 * d, 1))]]
            b = np.concatenate([np.zeros(n), [1.0], np.zeros(2 * d)])
        else:
            rows += [[eye, sparse.csr_array((d, 1))], [-eye, sparse.csr_array((d, 1))]]
            b = np.append(np.zeros(n), np.ones(2 * d))
        A = sparse.vstack([sparse.hstack([sparse.csr_array(part) for part in row]) for row in rows])
        P, q = sparse.csc_array((A.shape[1],) * 2), np.append(np.zeros(A.shape[1] - 1), -1.0)
    cones = [clarabel.NonnegativeConeT(len(b))]
    out = clarabel.DefaultSolver(sparse.csc_matrix(P), q, sparse.csc_matrix(A), b, cones, settings).solve()
    x = np.array(out.x)
    return (x[:d] - x[d : 2 * d] if norm == "l1" else x[:d]), np.array(out.z)[:n]


SOLVERS = {
    "margin_lab": ours("auto"),
    "margin_lab, DAQP": ours("daqp"),
    "margin_lab, proximal": ours("proximal"),
    "SciPy nnls": scipy_nnls,
    "Clarabel": clarabel,
}
CASES = [("l2", name, solver) for name in DATA for solver in SOLVERS] + [
    (norm, name, solver)
    for norm in ("l1", "linf")
    for name in ("gaussian 50x10", "digits 8/9, 354x64", "gaussian 2000x100", "gaussian 200x5000")
    for solver in ("margin_lab", "Clarabel")
]


@pytest.mark.parametrize(("norm", "name", "solver"), CASES, ids=[", ".join(c) for c in CASES])
def test_hard_margin(norm, name, solver, benchmark, table):
    Z = DATA[name]()
    slow = Z.size >= 1_000_000 or (norm != "l2" and Z.size >= 100_000)
    SOLVERS[solver](Z[:20], norm)  # imports
    w, p = benchmark.pedantic(SOLVERS[solver], (Z, norm), rounds=1 if slow and solver != "margin_lab" else 3)
    bounds = Bounds(torch.tensor(Z), norm)
    bounds.offer(torch.tensor(w), torch.tensor(p))
    benchmark.extra_info["gap"] = bounds.gap
    if not table:
        table.append(("norm", "data", "solver", "seconds", "certified gap"))
    seconds = benchmark.stats.stats.min if benchmark.stats else math.nan
    table.append((norm, name, solver, f"{seconds:.4f}", f"{bounds.gap:.0e}"))
