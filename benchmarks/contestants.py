"""The contestants of ``compare_solvers.py``: four kinds of data, and every way to an l2 margin, judged by two products."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

import margin_lab as ml
from margin_lab.datasets import Dataset

TARGETS = (1e-4, 1e-8, 1e-12)
# Pairs of products are stopped at this many, and at what the time budget allows.
MOST_PRODUCTS = 20_000
# LIBSVM's iterations on small and on large data: one costs a column of the kernel matrix.
SMO_STEPS = (200_000, 10_000)
# Clarabel needs 15 to 30 iterations where it succeeds.
INTERIOR_STEPS = 100
TIMED = 20  # iterations that tell what one costs
WARMUP = 1000  # PRGD's, counted


def spanning(n: int, d: int, seed: int) -> Dataset:
    """Ten support vectors that span all samples, a space of ten dimensions somewhere in R^d."""
    data = ml.datasets.prescribed_support(10, n, 10, seed=seed)
    if d == 10:
        return data
    basis, _ = np.linalg.qr(np.random.default_rng(seed).standard_normal((d, 10)))
    return Dataset(data.X @ basis.T, data.y, "rank 10")


def generic(n: int, d: int, seed: int) -> Dataset:
    return ml.datasets.gaussian(n, d, seed)


def badly_scaled(n: int, d: int, seed: int) -> Dataset:
    data = generic(n, d, seed)
    X = data.X * 10 ** np.random.default_rng(seed).uniform(-2, 2, d)
    return Dataset(X / np.linalg.norm(X, axis=1).max(), data.y, "columns scaled by up to 100 either way")


def near_duplicates(n: int, d: int, seed: int) -> Dataset:
    base = generic(n // 5, d, seed)
    noise = 1e-4 * np.random.default_rng(seed).standard_normal((5 * (n // 5), d)) / np.sqrt(d)
    Z = np.repeat(base.Z, 5, 0) + noise
    return Dataset(Z / np.linalg.norm(Z, axis=1).max(), np.ones(len(Z)), "every sample five times, nearly")


KINDS = {
    "spanning": spanning,
    "Gaussian": generic,
    "badly scaled": badly_scaled,
    "near-duplicates": near_duplicates,
}


def bounds(Z: np.ndarray, w: np.ndarray, p: np.ndarray | None) -> tuple[float, float]:
    """``min Zw / ||w||`` and ``||Z'p||``: all that a solver is believed."""
    lower = float((Z @ w).min() / np.linalg.norm(w)) if w.any() else 0.0
    return lower, float(np.linalg.norm(p @ Z) / p.sum()) if p is not None and p.sum() > 0 else float("inf")


def certify(Z: np.ndarray, run: ml.Run) -> np.ndarray:
    """Best upper bounds so far of a run's own softmax weights, and for dual acceleration ``(q_min + log n) / ||w||``."""
    q = run.w @ Z.T
    p = np.exp(q.min(1, keepdims=True) - q)
    upper = np.linalg.norm(p @ Z, axis=1) / p.sum(1)
    if run.method == "dual":
        upper = np.minimum(upper, (q.min(1) + np.log(len(Z))) / np.maximum(run.norm, 1e-300))
    return np.minimum.accumulate(upper)


def iterative(method: str, **options: Any) -> Callable[..., list[dict[str, Any]]]:
    """Run once, read off when the certified gap passed each target; seconds in proportion to the iterations."""

    def solve(data: Dataset, budget: float) -> list[dict[str, Any]]:
        warms_up = method == "prgd"
        start = time.process_time()
        ml.run_linear(data.X, data.y, method, TIMED, **({"warmup": TIMED} if warms_up else {}), **options)
        each = (time.process_time() - start) / (2 * TIMED if warms_up else TIMED)
        warmup = WARMUP if warms_up else 0
        steps = int(max(50, min(MOST_PRODUCTS, budget / each) - warmup))
        start = time.process_time()
        run = ml.run_linear(data.X, data.y, method, steps, **options)
        seconds = time.process_time() - start
        upper = run.upper_bound if method == "certified" else certify(data.Z, run)
        lower = np.maximum.accumulate(run.margin)
        gap = np.where(lower > 0, (upper - lower) / np.where(lower > 0, lower, 1), np.inf)
        work = run.steps + warmup
        rows = []
        for target in TARGETS:
            hit = np.flatnonzero(gap <= target)
            k = hit[0] if len(hit) else -1
            rows.append(
                {
                    "reached": bool(len(hit)),
                    "gap": float(gap[k]),
                    "products": int(work[k]),
                    "seconds": seconds * work[k] / work[-1],
                    "status": run.status,
                }
            )
        return rows

    return solve


def direct(
    solver: Callable[..., tuple[np.ndarray, np.ndarray | None, float | None, str]],
) -> Callable[..., Any]:
    """Call a solver once for each target.

    One that took longer than the budget is called once more, with the last target, unless its first answer missed the first
    target or met the last.
    """

    def ask(data: Dataset, target: float) -> dict[str, Any]:
        start = time.process_time()
        w, p, products, status = solver(data, target)
        seconds = time.process_time() - start
        lower, upper = bounds(data.Z, w, p)
        # no relative gap below the rounding of the products that prove it
        gap = max((upper - lower) / lower, np.finfo(float).eps / lower) if lower > 0 else float("inf")
        return {"gap": gap, "products": products, "seconds": seconds, "status": status, "lower": lower}

    def solve(data: Dataset, budget: float) -> list[dict[str, Any]]:
        answers = [ask(data, TARGETS[0])]
        slow = answers[0]["seconds"] > budget
        settled = not TARGETS[-1] < answers[0]["gap"] <= TARGETS[0]
        for target in TARGETS[1:]:
            if slow and (settled or len(answers) > 1):
                answers.append(answers[-1])
            else:
                answers.append(ask(data, TARGETS[-1] if slow else target))
        return [{"reached": bool(a["gap"] <= t), **a} for a, t in zip(answers, TARGETS, strict=True)]

    return solve


def ruler(method: str) -> Callable[..., Any]:
    def solve(data: Dataset, tol: float) -> tuple[Any, Any, Any, str]:
        sol = ml.hard_margin(data.X, data.y, tol=tol, method=method)
        return sol.w, sol.dual, sol.products, sol.status

    return solve


def libsvm(data: Dataset, tol: float) -> tuple[Any, Any, Any, str]:
    from sklearn.svm import SVC

    n = len(data.Z)
    model = SVC(kernel="linear", C=1e10, tol=max(tol, 1e-10), max_iter=SMO_STEPS[len(data.Z) > 2000])
    status = fit(model, data.Z)
    return (
        model.coef_.ravel(),
        np.bincount(model.support_ % n, np.abs(model.dual_coef_.ravel()), n),
        None,
        status,
    )


def liblinear(data: Dataset, tol: float) -> tuple[Any, Any, Any, str]:
    from sklearn.svm import LinearSVC

    model = LinearSVC(
        C=1e10, loss="hinge", tol=max(tol, 1e-10), max_iter=2000, fit_intercept=False, random_state=0
    )
    status = fit(model, data.Z)
    return model.coef_.ravel(), None, None, status


def fit(model: Any, Z: np.ndarray) -> str:
    """Fit on (z, +1) and (-z, -1), which forces the bias to zero."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(np.vstack([Z, -Z]), np.repeat([1, -1], len(Z)))
    return "warned" if caught else "silent"


def interior_point(data: Dataset, tol: float) -> tuple[Any, Any, Any, str]:
    import clarabel
    from scipy import sparse

    n, d = data.Z.shape
    settings = clarabel.DefaultSettings()
    settings.verbose = False
    settings.max_iter = INTERIOR_STEPS
    settings.tol_gap_abs = settings.tol_gap_rel = settings.tol_feas = max(tol / 10, 1e-12)
    A, cones = sparse.csc_matrix(-data.Z), [clarabel.NonnegativeConeT(n)]
    out = clarabel.DefaultSolver(
        sparse.csc_matrix(sparse.eye_array(d)), np.zeros(d), A, -np.ones(n), cones, settings
    ).solve()
    return np.array(out.x), np.maximum(np.array(out.z), 0), None, str(out.status)


METHODS = {
    "NGD": iterative("ngd"),
    "PRGD": iterative("prgd"),
    "dual acceleration": iterative("dual"),
    "certified, radius": iterative("certified", form="radius"),
    "certified, KL-proximal": iterative("certified", form="kl"),
    "certified (default)": iterative("certified"),
    "hard_margin, DAQP": direct(ruler("daqp")),
    "hard_margin, proximal": direct(ruler("proximal")),
    "LIBSVM (SVC)": direct(libsvm),
    "LIBLINEAR (LinearSVC)": direct(liblinear),
    "Clarabel": direct(interior_point),
}
