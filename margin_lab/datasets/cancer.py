"""scikit-learn's breast cancer data (Wisconsin, diagnostic): real data that a plane through the origin may not separate."""

from __future__ import annotations

import numpy as np

from margin_lab.checks import choice, needs
from margin_lab.datasets.dataset import Dataset

SCALINGS = ("standard", "max")


def cancer(scaling: str = "standard", bias: bool = False) -> Dataset:
    """569 tumours with 30 measurements each, malignant -1 and benign +1: shipped with scikit-learn, no download.

    Whether it is separable is a matter of preprocessing: standardised and without a bias it is **not** (the default);
    with a bias, or with each feature only divided by its largest value, it is.

    Args:
        scaling: "standard" (each feature to mean 0 and variance 1, over all samples) or "max" (divided by its largest
            absolute value).
        bias: append a column of ones to the scaled features.

    Returns:
        A dataset whose longest row has norm 1: everything is divided by the largest row norm, the ones included.

    Raises:
        ValueError: an unknown scaling.

    Example:
        >>> import margin_lab as ml
        >>> ml.datasets.cancer().X.shape, ml.datasets.cancer(bias=True).X.shape
        ((569, 30), (569, 31))

    Source: Wolberg, Street and Mangasarian (1995), UCI repository; Figure 5a of the PRGD paper.
    """
    choice(scaling, "scaling", SCALINGS)
    source = needs("sklearn.datasets", "scikit-learn", "the breast cancer dataset")
    X, target = source.load_breast_cancer(return_X_y=True)
    X = (X - X.mean(0)) / X.std(0) if scaling == "standard" else X / np.abs(X).max(0)
    if bias:
        X = np.column_stack([X, np.ones(len(X))])
    name = f"breast cancer, {scaling} scaling{', bias' if bias else ''}"
    return Dataset(X / np.linalg.norm(X, axis=1).max(), np.where(target == 1, 1.0, -1.0), name)
