"""Teacher-student data: labels given by a small sparse network (Flavors of Margin, eq. 14)."""

from __future__ import annotations

import numpy as np

from margin_lab.checks import integer
from margin_lab.datasets.dataset import Dataset


def teacher(
    seed: int = 0, n: int = 200, d: int = 20, neurons: int = 3, active: int = 3, n_test: int = 2000
) -> Dataset:
    """``x ~ N(0, I_d)``, ``y = sign sum_j a_j relu(<w_j, x>)`` with ``neurons`` terms, each of ``active`` coordinates.

    Weights: every ``w_j`` has ``active`` normal entries, scaled to length 1, at coordinates drawn for it; ``a_j = +-1``, of both
    signs where there are two neurons or more. Where all neurons are off the sum is 0; such samples are drawn again.

    Args:
        seed: of teacher and samples. n, n_test: training and test samples. d: inputs. neurons, active: the teacher's size.

    Raises:
        ValueError: a count below 1, or more active coordinates than there are.

    The paper uses 20,000 test points; the sizes of its teacher and training set are not in its text and are ours.
    """
    n, n_test = integer(n, "n", least=1), integer(n_test, "n_test")
    rng = np.random.default_rng(integer(seed, "seed"))
    W = _weights(rng, d, neurons, active)
    a = np.where(rng.permutation(neurons) % 2 == 0, 1.0, -1.0)
    parts: list[np.ndarray] = []
    while sum(map(len, parts)) < n + n_test:
        X = rng.standard_normal((n + n_test, d))
        parts.append(X[np.maximum(X @ W.T, 0) @ a != 0])
    X = np.concatenate(parts)[: n + n_test]
    y = np.sign(np.maximum(X @ W.T, 0) @ a)
    return Dataset(
        X[:n],
        y[:n],
        f"teacher of {neurons} neurons (n = {n}, d = {d})",
        X_test=X[n:],
        y_test=y[n:],
        description=f"Teacher of {neurons} ReLU neurons with {active} active inputs each; Gaussian inputs in {d} dimensions.",
    )


def teacher_weights(seed: int = 0, d: int = 20, neurons: int = 3, active: int = 3) -> np.ndarray:
    """The teacher's ``W [neurons, d]`` behind ``teacher(seed, d=d, ...)``: which inputs matter."""
    return _weights(np.random.default_rng(integer(seed, "seed")), d, neurons, active)


def _weights(rng: np.random.Generator, d: int, neurons: int, active: int) -> np.ndarray:
    d, neurons = integer(d, "d", least=1), integer(neurons, "neurons", least=1)
    if integer(active, "active", least=1) > d:
        raise ValueError(f"active must be at most d = {d}, got {active}")
    W = np.zeros((neurons, d))
    for row in W:
        row[rng.choice(d, active, replace=False)] = rng.standard_normal(active)
    return W / np.linalg.norm(W, axis=1, keepdims=True)
