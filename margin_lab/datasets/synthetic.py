"""Synthetic separable data whose max-margin direction is known by construction. All rows have norm at most 1."""

from __future__ import annotations

import math

import numpy as np

from margin_lab.checks import integer
from margin_lab.datasets.dataset import Dataset

# Appendix E.1 of the PRGD paper uses one margin for both of its synthetic sets.
PRGD_MARGIN = math.sin(math.pi / 100)

# Rounds of rejection sampling; the paper's margins need about three.
_MOST_TRIES = 1000


def dataset_1(gamma: float = 0.1) -> Dataset:
    """Dataset 1 of the PRGD paper: three points in the plane, two of them on one side of ``w* = e_1``.

    ``z_1 = z_3 = (gamma, sqrt(1 - gamma^2))``, ``z_2 = (gamma, -sqrt(1 - gamma^2))``; the third is given as ``x = -z``
    with label -1. The imbalance 2:1 is what holds normalised descent away from ``w*``.

    Raises:
        ValueError: gamma outside (0, 1).
    """
    _check_margin(gamma)
    s = math.sqrt(1 - gamma**2)
    X = np.array([[gamma, s], [gamma, -s], [-gamma, -s]])
    return Dataset(X, np.array([1.0, 1.0, -1.0]), f"Dataset 1 (γ* = {gamma:g})", np.array([1.0, 0.0]), gamma)


def dataset_i(seed: int = 0, n: int = 100, d: int = 2, gamma: float = PRGD_MARGIN) -> Dataset:
    """Dataset I of the PRGD paper (Appendix E.1): two symmetric support vectors, all else on the unit sphere.

    ``x_{1,2} = (gamma, ±sqrt(1 - gamma^2), 0, ...)``; the others uniform on the sphere given ``|<x, e_1>| >= gamma``,
    labelled by the sign along ``w* = e_1``. The paper's text does not say how they are sampled: the sphere is our choice.

    Raises:
        ValueError: gamma outside (0, 1), n < 2 or d < 2, or a gamma that next to no point of the sphere reaches.
    """
    _check_margin(gamma)
    n, d = integer(n, "n", least=2), integer(d, "d", least=2)
    rng = np.random.default_rng(integer(seed, "seed"))
    X = np.zeros((n, d))
    X[:2, 0] = gamma
    X[0, 1], X[1, 1] = math.sqrt(1 - gamma**2), -math.sqrt(1 - gamma**2)
    filled, tries = 2, 0
    while filled < n:
        tries += 1
        if tries > _MOST_TRIES:
            raise ValueError(
                f"almost no point of the sphere in R^{d} has |<x, e_1>| >= {gamma}; lower gamma or d"
            )
        candidates = _unit_rows(rng.standard_normal((2 * (n - filled) + 8, d)))
        kept = candidates[np.abs(candidates[:, 0]) >= gamma][: n - filled]
        X[filled : filled + len(kept)] = kept
        filled += len(kept)
    return Dataset(X, np.sign(X[:, 0]), f"Dataset I (n = {n}, d = {d})", np.eye(d)[0], gamma)


def dataset_ii(seed: int = 0, n: int = 1000, d: int = 10, gamma: float = PRGD_MARGIN) -> Dataset:
    """Dataset II of the PRGD paper (Appendix E.1): Dataset I's law with ``d = 10``, ``n = 1000``.

    The sizes are this project's choice, fitted to the paper's table: its own were lost with the formulas.
    """
    data = dataset_i(seed, n, d, gamma)
    return Dataset(data.X, data.y, f"Dataset II (n = {n}, d = {d})", data.w_star, data.margin)


def prescribed_support(
    support: int, n: int = 50, d: int | None = None, gamma: float = 0.1, seed: int = 0, slack: float = 0.2
) -> Dataset:
    """Random data with exactly ``support`` support vectors, affinely independent, so that they span a
    ``support``-dimensional space with ``w*`` in it: Assumption 5.4 of the PRGD paper holds where ``d = support``.

    Support vectors are ``gamma w* + v_i`` with ``v_i`` orthogonal to ``w*`` and ``sum_i alpha_i v_i = 0`` for random
    ``alpha > 0``; all other points have margin at least ``(1 + slack) gamma``.

    Args:
        support: number of support vectors, 1 to d.
        n, d: samples and features (``d = support`` by default).
        gamma: the max margin. seed: of NumPy's generator. slack: relative distance of the others from the margin.

    Raises:
        ValueError: sizes that do not fit together, gamma outside (0, 1), slack <= 0.
    """
    _check_margin(gamma)
    support = integer(support, "support", least=1)
    d = support if d is None else integer(d, "d", least=1)
    n = integer(n, "n", least=1)
    if not support <= min(n, d):
        raise ValueError(f"support must be at most n and d, got support={support}, n={n}, d={d}")
    if not (slack > 0 and (1 + slack) * gamma < 1):
        raise ValueError(f"slack must be > 0 with (1 + slack) * gamma < 1, got slack={slack}, gamma={gamma}")
    rng = np.random.default_rng(integer(seed, "seed"))
    basis = np.linalg.qr(rng.standard_normal((d, d)))[0]
    w_star, inside = basis[:, 0], basis[:, 1:support]
    alpha = rng.uniform(0.5, 1.5, support)
    v = rng.standard_normal((support, support - 1))
    v[-1] = -(alpha[:-1] @ v[:-1]) / alpha[-1]
    if support > 1:
        v *= math.sqrt(1 - gamma**2) / np.linalg.norm(v, axis=1).max()
    Z = np.empty((n, d))
    Z[:support] = gamma * w_star + v @ inside.T
    along = rng.uniform((1 + slack) * gamma, 1.0, n - support)
    across = _unit_rows(rng.standard_normal((n - support, d - 1))) if d > 1 else np.zeros((n - support, 0))
    across *= (np.sqrt(1 - along**2) * rng.uniform(0.2, 1.0, n - support))[:, None]
    Z[support:] = along[:, None] * w_star + across @ basis[:, 1:].T
    y = rng.choice([-1.0, 1.0], n)
    return Dataset(Z * y[:, None], y, f"{support} support vectors in R^{d} (n = {n})", w_star, gamma)


def gaussian(n: int = 50, d: int = 10, seed: int = 0) -> Dataset:
    """Standard Gaussian rows labelled by a random direction, scaled to a largest row norm of 1.

    The generic case: support vectors need not span the space, and only a solver knows ``w*``.
    """
    n, d = integer(n, "n", least=1), integer(d, "d", least=1)
    rng = np.random.default_rng(integer(seed, "seed"))
    X = rng.standard_normal((n, d))
    y = np.where(X @ rng.standard_normal(d) >= 0, 1.0, -1.0)
    return Dataset(X / np.linalg.norm(X, axis=1).max(), y, f"Gaussian (n = {n}, d = {d})")


def _check_margin(gamma: float) -> None:
    if not 0 < gamma < 1:
        raise ValueError(f"gamma must be between 0 and 1, got {gamma}")


def _unit_rows(a: np.ndarray) -> np.ndarray:
    return a / np.linalg.norm(a, axis=1, keepdims=True)
