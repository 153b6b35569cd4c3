"""The optimal dual of largest entropy: known ones, its proof re-evaluated, gradient flow's limit."""

import numpy as np
import pytest
import torch
from hard_margin_checks import dataset_1

import margin_lab as ml


def lifted(*values: float) -> np.ndarray:
    """Samples (1, a): w* = (1, 0) where 0 is between the values, and every p with mean 0 is an optimal dual."""
    return np.array([[1.0, a] for a in values])


def check(Z: np.ndarray, found: ml.EntropyDual) -> None:
    p, on = np.asarray(found.dual), np.asarray(found.on_margin)
    sol = ml.hard_margin(Z, np.ones(len(Z)))
    assert found.status == "certified"
    assert p.min() >= 0 and p.sum() == pytest.approx(1, abs=1e-14)
    assert set(np.flatnonzero(p)) == set(found.support) <= set(on)
    np.testing.assert_allclose(p @ Z, sol.margin * sol.w, atol=1e-10 * sol.margin)
    assert np.linalg.norm(p @ Z) == pytest.approx(sol.upper_bound, rel=1e-12)
    assert found.entropy == pytest.approx(-sum(x * np.log(x) for x in p[p > 0]), abs=1e-14)
    assert found.entropy <= found.entropy_bound <= found.entropy + 1e-8


def test_dataset_1() -> None:
    """The solver's dual is (1/2, 1/2, 0); the deficit H - H_infinity of the one that gradient flow finds is log(2)/2."""
    Z = dataset_1()
    found = ml.max_entropy_dual(Z, np.ones(3))
    check(Z, found)
    np.testing.assert_allclose(found.dual, [0.5, 0.25, 0.25], atol=1e-12)
    assert found.entropy + np.log(found.dual.max()) == pytest.approx(np.log(2) / 2)


def test_dependent_support_vectors_and_the_flow() -> None:
    """Audit: the flow's weights tend to (.221, .193, .313, .273), not to the solver's (1/3, 0, 0, 2/3)."""
    Z = np.array([[0.3, a] for a in (1, 2, -1.5, -0.5)]) / 3
    found = ml.max_entropy_dual(Z, np.ones(4))
    check(Z, found)
    np.testing.assert_allclose(found.dual, [0.2213, 0.1926, 0.3134, 0.2727], atol=5e-5)
    # along w* + v / log t the softmax of the margins is constant: p is its own softmax for some v
    logs = np.log(found.dual)
    A = np.hstack([Z, np.ones((4, 1))])
    assert np.linalg.norm(logs - A @ np.linalg.lstsq(A, logs, rcond=None)[0]) < 1e-12


@pytest.mark.parametrize(
    ("values", "dual"),
    [((0, 1), [1, 0]), ((0, 1, 2, 3), [1, 0, 0, 0]), ((0, 0), [0.5, 0.5]), ((1, -1, 0), [1 / 3] * 3)],
)
def test_samples_that_can_have_no_weight(values: tuple[float, ...], dual: list[float]) -> None:
    """The margin of (1, 1) is the smallest, too, where w* = (1, 0) comes from (1, 0) alone: its weight is 0 in every dual."""
    Z = lifted(*values)
    found = ml.max_entropy_dual(Z, np.ones(len(Z)))
    check(Z, found)
    assert set(found.on_margin) == set(range(len(Z)))
    np.testing.assert_allclose(found.dual, dual, atol=1e-12)


def test_no_other_optimal_dual_has_more_entropy() -> None:
    rng = np.random.default_rng(0)
    for seed in range(5):
        values = np.append(rng.standard_normal(4), [1.0, -1.0])
        found = ml.max_entropy_dual(Z := lifted(*values), np.ones(6))
        check(Z, found)
        moves = np.linalg.svd(Z.T)[2][2:]  # they keep Z'p and, the first column being 1, the sum
        for _ in range(50):
            p = found.dual + 0.05 * rng.standard_normal(4) @ moves
            if p.min() > 0:
                assert -(p @ np.log(p)) <= found.entropy + 1e-12, seed


def test_independent_support_vectors_have_one_dual() -> None:
    data = ml.datasets.gaussian(50, 10, 1)
    sol = ml.hard_margin(data.X, data.y)
    found = ml.max_entropy_dual(data.X, data.y, sol)
    np.testing.assert_allclose(found.dual, sol.dual, atol=1e-12)
    check(data.Z, found)
    assert "certified" in repr(found) and "\n" not in repr(found)


def test_with_an_intercept() -> None:
    X = np.array([[1.0, 0], [1, 1], [1, 2], [-1, 0], [-1, 5], [-1, 1]]) + 3
    y = np.array([1.0, 1, 1, -1, -1, -1])
    sol = ml.hard_margin(X, y, bias=True)
    found = ml.max_entropy_dual(X, y, sol)
    assert found.status == "certified" and len(found.support) == 6
    assert abs(found.dual @ y) < 1e-14
    np.testing.assert_allclose((found.dual * y) @ X, sol.margin * sol.w, atol=1e-10)


def test_types_and_errors() -> None:
    X, y = torch.tensor(dataset_1()), torch.ones(3)
    assert isinstance(ml.max_entropy_dual(X, y).dual, torch.Tensor)
    with pytest.raises(ValueError, match="must be of the l2 norm, got 'l1'"):
        ml.max_entropy_dual(X, y, ml.hard_margin(X, y, "l1"))
    with pytest.raises(ValueError, match="not of this data"):
        ml.max_entropy_dual(2 * X, y, ml.hard_margin(X, y))
    with pytest.raises(ValueError, match="not of this data"):
        ml.max_entropy_dual(X[:, :1], y, ml.hard_margin(X, y))
    with pytest.raises(ValueError, match="tol must be > 0"):
        ml.max_entropy_dual(X, y, tol=0.0)
    with pytest.raises(ml.NotSeparableError):
        ml.max_entropy_dual([[1.0], [-1.0]], [1, 1])
