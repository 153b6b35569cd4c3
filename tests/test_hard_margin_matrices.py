"""Hard margins of matrices: certificates re-evaluated by NumPy, closed forms, everything degenerate."""

import pickle
import sys

import numpy as np
import pytest
import torch

import margin_lab as ml
from margin_lab.hard_margins import matrices, semidefinite
from margin_lab.hard_margins.semidefinite import Sign

ENTRIES, SINGULAR = ("l1", "frobenius", "max"), ("spectral", "nuclear")
NORMS = (*ENTRIES, *SINGULAR)
VALUE = {
    "l1": lambda W: np.abs(W).sum(),
    "frobenius": np.linalg.norm,
    "max": lambda W: np.abs(W).max(),
    "spectral": lambda W: np.linalg.norm(W, 2),
    "nuclear": lambda W: np.linalg.norm(W, "nuc"),
}
DUAL = {"l1": "max", "max": "l1", "frobenius": "frobenius", "spectral": "nuclear", "nuclear": "spectral"}


@pytest.fixture(autouse=True)
def _solver(request: pytest.FixtureRequest) -> None:
    if "spectral" in request.node.name or "nuclear" in request.node.name:
        pytest.importorskip(
            "clarabel", reason="spectral and nuclear margins need clarabel: pip install '.[matrix]'"
        )


def multiclass(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    k, d, n = rng.integers(2, 6), rng.integers(3, 12), rng.integers(10, 50)
    X = rng.normal(size=(n, d)) * np.exp(rng.normal(size=(n, 1)) * (seed % 3))
    return X, np.unique((X @ rng.normal(size=(d, k))).argmax(1), return_inverse=True)[1]


def check_multiclass(X: np.ndarray, y: np.ndarray, sol: ml.HardMargin, norm: str) -> None:
    outputs = X @ sol.w.T
    right = outputs[np.arange(len(X)), y]
    outputs[np.arange(len(X)), y] = -np.inf
    assert sol.status == "certified" and 0 < sol.gap <= 1e-10
    assert VALUE[norm](sol.w) == pytest.approx(1, abs=1e-12)
    assert (right - outputs.max(1)).min() == pytest.approx(sol.margin, rel=1e-12)
    assert sol.dual.min() >= 0 and sol.dual.sum() == pytest.approx(1, abs=1e-12)
    assert (sol.dual[np.arange(len(X)), y] == 0).all()
    pull = -sol.dual
    pull[np.arange(len(X)), y] = sol.dual.sum(1)  # sum_ij p_ij (e_yi - e_j) x_i^T
    assert VALUE[DUAL[norm]](pull.T @ X) == pytest.approx(sol.upper_bound, rel=1e-11)
    assert set(sol.support) == set(np.flatnonzero(sol.dual.max(1) > 1e-10 * sol.dual.max()))


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("seed", range(6))
def test_both_bounds_are_what_they_claim(seed: int, norm: str) -> None:
    X, y = multiclass(seed)
    check_multiclass(X, y, ml.hard_margin_multiclass(X, y, norm), norm)


@pytest.mark.parametrize("norm", SINGULAR)
def test_wide_data(norm: str) -> None:
    """More features than samples: W lives on the span of the data."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(20, 150)), np.arange(20) % 3
    check_multiclass(X, y, ml.hard_margin_multiclass(X, y, norm), norm)


@pytest.mark.parametrize(
    ("norm", "margin"), [("spectral", 1.0), ("frobenius", 3**-0.5), ("nuclear", 1 / 3), ("max", 2.0)]
)
def test_one_sample_a_class(norm: str, margin: float) -> None:
    """x_i = e_i, four classes: by symmetry W is a multiple of I - 1 1^T / 4 (of 2 I - 1 1^T for the largest entry)."""
    sol = ml.hard_margin_multiclass(np.eye(4), np.arange(4), norm)
    assert sol.margin == pytest.approx(margin, rel=1e-11)
    if norm != "max":
        expected = np.eye(4) - 1 / 4
        np.testing.assert_allclose(sol.w, expected / VALUE[norm](expected), atol=1e-6)


@pytest.mark.parametrize("norm", ["frobenius", "spectral", "nuclear"])
def test_two_classes_are_the_binary_problem(norm: str) -> None:
    """W = (-w, w) / sqrt(2) has rank one, and its margin is sqrt(2) times that of w."""
    data = ml.datasets.gaussian(30, 5, seed=3)
    binary = ml.hard_margin(data.X, data.y)
    sol = ml.hard_margin_multiclass(data.X, (data.y > 0).astype(int), norm)
    assert sol.margin == pytest.approx(np.sqrt(2) * binary.margin, rel=1e-9)
    np.testing.assert_allclose(sol.w, np.stack([-binary.w, binary.w]) / np.sqrt(2), atol=1e-6)


@pytest.mark.parametrize("norm", NORMS)
def test_binary_matrices(norm: str) -> None:
    rng = np.random.default_rng(1)
    X = rng.normal(size=(40, 4, 6))
    y = np.sign(np.tensordot(X, rng.normal(size=(4, 6)), 2))
    sol = ml.hard_margin_matrix(X, y, norm)
    assert sol.status == "certified" and sol.w.shape == (4, 6)
    assert VALUE[norm](sol.w) == pytest.approx(1, abs=1e-12)
    assert (y * np.tensordot(X, sol.w, 2)).min() == pytest.approx(sol.margin, rel=1e-12)
    assert VALUE[DUAL[norm]](np.tensordot(sol.dual * y, X, 1)) == pytest.approx(sol.upper_bound, rel=1e-11)


@pytest.mark.parametrize("norm", NORMS)
def test_rows_as_matrices_are_the_vector_problem(norm: str) -> None:
    data = ml.datasets.gaussian(20, 4, seed=2)
    vector = ml.hard_margin(data.X, data.y, {"l1": "l1", "max": "linf"}.get(norm, "l2"))
    assert ml.hard_margin_matrix(data.X[:, None], data.y, norm).margin == pytest.approx(
        vector.margin, rel=1e-9
    )


@pytest.mark.parametrize("norm", SINGULAR)
@pytest.mark.parametrize("scale", [1e-100, 1e100])
def test_scale(norm: str, scale: float) -> None:
    X, y = multiclass(1)
    plain, scaled = ml.hard_margin_multiclass(X, y, norm), ml.hard_margin_multiclass(X * scale, y, norm)
    assert scaled.status == "certified"
    assert scaled.margin == pytest.approx(scale * plain.margin, rel=1e-9)


@pytest.mark.parametrize("norm", SINGULAR)
def test_duplicates_and_several_solutions(norm: str) -> None:
    """Twice the same samples, and one class that constrains nothing much: multipliers are not unique."""
    X = np.repeat(np.eye(3), 2, axis=0)
    y = np.repeat(np.arange(3), 2)
    sol = ml.hard_margin_multiclass(np.vstack([X, 5 * X[:1]]), np.append(y, 0), norm)
    assert sol.status == "certified"
    assert sol.margin == pytest.approx({"spectral": 1.0, "nuclear": 0.5}[norm], rel=1e-10)


@pytest.mark.parametrize("norm", NORMS)
def test_not_separable(norm: str) -> None:
    X = np.array([[1.0, 0.0], [2.0, 0.0], [0.0, 1.0]])
    y = np.array([0, 1, 2])
    with pytest.raises(ml.NotSeparableError, match=r"\(e_yi - e_j\) x_i\^T") as caught:
        ml.hard_margin_multiclass(X, y, norm)
    p = caught.value.certificate
    pull = -p
    pull[np.arange(3), y] = p.sum(1)
    assert p.shape == (3, 3) and p.sum() == pytest.approx(1)
    assert np.abs(pull.T @ X).max() < 1e-14
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
    with pytest.raises(ml.NotSeparableError):
        ml.hard_margin_matrix(np.stack([np.eye(2), np.eye(2)]), np.array([1, -1]), norm)


def test_types_come_back_spectral() -> None:
    X, y = multiclass(2)
    sol = ml.hard_margin_multiclass(torch.tensor(X, dtype=torch.float32), torch.tensor(y), "spectral")
    assert sol.w.dtype == sol.dual.dtype == torch.float32
    assert isinstance(sol.support, torch.Tensor)
    rounded = ml.hard_margin_multiclass(X.astype(np.float32).astype(float), y, "spectral")
    assert sol.margin == pytest.approx(rounded.margin, rel=1e-9)


def test_without_clarabel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "clarabel", None)
    X, y = multiclass(1)
    with pytest.raises(ImportError, match=r"pip install 'margin-lab\[matrix\]'"):
        ml.hard_margin_multiclass(X, y, SINGULAR[0])
    assert ml.hard_margin_multiclass(X, y, "frobenius").status == "certified"


@pytest.mark.parametrize(
    ("X", "y", "options", "message"),
    [
        (
            np.eye(3),
            np.arange(3),
            {"norm": "l3"},
            "norm must be one of 'l1', .*'spectral', 'nuclear', got 'l3'",
        ),
        (np.eye(3), np.array([1, np.nan, 2]), {}, "labels y contain NaN or infinite values; drop these"),
        (np.eye(3), np.zeros(3), {}, "holds class 0.0 only"),
        (np.eye(3), np.arange(2), {}, r"y needs shape \[3\]"),
        (np.eye(3)[0], np.arange(3), {}, r"X must have shape \[n, d\]"),
        (np.full((3, 3), np.nan), np.arange(3), {}, "NaN"),
        (np.eye(3), np.arange(3), {"tol": 0.0}, "tol must be > 0"),
    ],
)
def test_bad_multiclass_input(X: np.ndarray, y: np.ndarray, options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ml.hard_margin_multiclass(X, y, **options)


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        (np.eye(3), np.ones(3), r"shape \[n, a, b\].*for vectors use hard_margin"),
        (np.ones((2, 3, 3)), np.ones(3), r"y needs shape \[2\]"),
        (np.ones((2, 3, 3)), np.arange(2), "labels y must be -1 or"),
    ],
)
def test_bad_matrix_input(X: np.ndarray, y: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ml.hard_margin_matrix(X, y)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_derivative_of_the_sign(rank: int) -> None:
    """Against differences along curves of matrices of one rank, with R = 0 (then the sign is a function of the matrix)."""
    rng = np.random.default_rng(rank)
    left, right, dl, dr = (rng.normal(size=(size, rank)) for size in (3, 5, 3, 5))

    def at(t: float) -> Sign:
        return Sign((left + t * dl) @ (right + t * dr).T, 1e-10)

    sign, zero, h = at(0), np.zeros((3 - rank, 5 - rank)), 1e-5
    ahead, behind = (s.u @ s.value(zero) @ s.v.T for s in (at(h), at(-h)))
    slope = sign.derivative(sign.coordinates(dl @ right.T + left @ dr.T)[None], zero)[0]
    np.testing.assert_allclose(slope, sign.coordinates((ahead - behind) / (2 * h)), atol=1e-7)


@pytest.mark.parametrize("failure", ["nan", "zero", "singular"])
@pytest.mark.parametrize("norm", SINGULAR)
def test_a_solver_that_fails_leaves_the_l2_bounds(
    norm: str, failure: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever Clarabel or Newton's method return, the bounds hold, the gap is what it is, and the status says so."""
    X, y = multiclass(1)
    exact = ml.hard_margin_multiclass(X, y, norm)
    program, value = matrices.semidefinite_program, {"nan": np.nan, "zero": 0.0}.get(failure)

    def failing(A: np.ndarray, c: np.ndarray, norm: str) -> tuple[np.ndarray, np.ndarray]:
        W, lam = program(A, c, norm)
        return (W + 0.1, lam + 0.1) if value is None else (value * W, value * lam)

    def singular(*_: object) -> None:
        raise np.linalg.LinAlgError("SVD did not converge")

    monkeypatch.setattr(matrices, "semidefinite_program", failing)
    monkeypatch.setattr(matrices, "newton", singular)
    sol = ml.hard_margin_multiclass(X, y, norm)
    assert sol.status == "limit" and 1e-10 < sol.gap < np.inf
    assert 0 < sol.margin <= exact.upper_bound and sol.upper_bound >= exact.margin


def test_clarabel_has_a_limit_spectral(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(semidefinite, "ITERATIONS", 1)
    X, y = multiclass(1)
    sol = ml.hard_margin_multiclass(X, y, "spectral")
    assert sol.status in ("limit", "certified") and 0 < sol.gap < np.inf
