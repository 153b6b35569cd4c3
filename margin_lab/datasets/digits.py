"""scikit-learn's 8x8 handwritten digits, one class against another."""

from __future__ import annotations

import numpy as np

from margin_lab.checks import integer
from margin_lab.datasets.dataset import Dataset


def digits_pair(negative: int = 0, positive: int = 1) -> Dataset:
    """Two classes of scikit-learn's digits, labelled -1 and +1: shipped with the package, no download.

    Pixels are divided by 16 and by the largest row norm (so ``||x_i|| <= 1``); pixels that are 0 in both classes are
    dropped. No bias column.

    Raises:
        ValueError: digits outside 0..9, or twice the same.
    """
    from sklearn.datasets import load_digits

    classes = (integer(negative, "negative"), integer(positive, "positive"))
    if max(classes) > 9 or classes[0] == classes[1]:
        raise ValueError(f"digits_pair needs two different digits from 0 to 9, got {classes}")
    X, digit = load_digits(return_X_y=True)
    rows = np.isin(digit, classes)
    X, y = X[rows] / 16, np.where(digit[rows] == classes[1], 1.0, -1.0)
    X = X[:, X.any(axis=0)]
    return Dataset(X / np.linalg.norm(X, axis=1).max(), y, f"digits {classes[0]} and {classes[1]}")
