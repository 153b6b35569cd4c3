"""Gaussian samples labelled by the sign of their first coordinate."""

from __future__ import annotations

import numpy as np


def data(n: int = 12, d: int = 4, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d))
    return X, np.where(X[:, 0] > 0, 1.0, -1.0)
