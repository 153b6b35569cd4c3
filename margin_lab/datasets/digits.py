"""scikit-learn's 8x8 handwritten digits: shipped with the package, no download."""

from __future__ import annotations

import numpy as np

from margin_lab.checks import integer, needs
from margin_lab.datasets.dataset import Dataset

# Of the 1,797 images, those that no subset trains on.
_HELD_OUT = 500


def digits_pair(negative: int = 0, positive: int = 1) -> Dataset:
    """Two classes of scikit-learn's digits, labelled -1 and +1: shipped with the package, no download.

    Pixels are divided by 16 and by the largest row norm (so ``||x_i|| <= 1``); pixels that are 0 in both classes are
    dropped. No bias column.

    Raises:
        ValueError: digits outside 0..9, or twice the same.
    """
    classes = two_classes(negative, positive, "digits_pair")
    X, digit = _load()
    rows = np.isin(digit, classes)
    X, y = X[rows], np.where(digit[rows] == classes[1], 1.0, -1.0)
    X = X[:, X.any(axis=0)]
    return Dataset(X / np.linalg.norm(X, axis=1).max(), y, f"digits {classes[0]} and {classes[1]}")


def digits(n: int | None = None, seed: int = 0) -> Dataset:
    """scikit-learn's digits, ten classes: ``X [n, 64]`` with pixels in [0, 1], ``y`` in 0..9, and 500 held-out images.

    Args:
        n: training images, drawn at random; at most 1,297, the default. The held-out images are always the same.
        seed: of the draw.
    """
    X, y = _load()
    order = np.random.default_rng(0).permutation(len(X))
    held_out, pool = order[:_HELD_OUT], order[_HELD_OUT:]
    rows = pool[subset(len(pool), n, seed)]
    text = f"{len(rows):,} images of scikit-learn's digits, 8x8"
    return Dataset(X[rows], y[rows], "digits", None, None, X[held_out], y[held_out], text)


def subset(available: int, n: int | None, seed: int) -> np.ndarray:
    """``n`` of ``available`` indices in random order; all where ``n`` is None or larger."""
    count = available if n is None else min(available, integer(n, "n", least=1))
    return np.random.default_rng(integer(seed, "seed")).permutation(available)[:count]


def two_classes(negative: int, positive: int, caller: str) -> tuple[int, int]:
    """Two different digits, or a ValueError that names the function they were given to."""
    classes = (integer(negative, "negative"), integer(positive, "positive"))
    if max(classes) > 9 or classes[0] == classes[1]:
        raise ValueError(f"{caller} needs two different digits from 0 to 9, got {classes}")
    return classes


def _load() -> tuple[np.ndarray, np.ndarray]:
    X, y = needs("sklearn.datasets", "scikit-learn", "the digits dataset").load_digits(return_X_y=True)
    return X / 16, y.astype(np.int64)
