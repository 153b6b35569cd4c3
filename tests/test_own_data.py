"""What people hand to the rulers: labels of any kind, frames, sparse matrices, norms under their usual names."""

import math

import numpy as np
import pytest
import scipy.sparse
import torch

import margin_lab as ml
from margin_lab.theory.lexicographic import lexicographic_margin

X3 = np.vstack([3 * np.eye(3), 2 * np.eye(3)])
LABELS = {
    "strings": (["cat", "dog", "bird"] * 2, ["bird", "cat", "dog"]),
    "1 2 3": ([1, 2, 3] * 2, [1, 2, 3]),
    "gaps": ([-5, 100, 7] * 2, [-5, 7, 100]),
    "floats": ([0.5, 1.5, 2.5] * 2, [0.5, 1.5, 2.5]),
    "uint8 tensor": (torch.tensor([0, 1, 2] * 2, dtype=torch.uint8), [0, 1, 2]),
    "objects": (np.array(["a", "b", "c"] * 2, dtype=object), ["a", "b", "c"]),
}


@pytest.mark.parametrize("name", LABELS)
def test_labels_of_any_kind(name: str) -> None:
    y, classes = LABELS[name]
    sol = ml.hard_margin_multiclass(X3, y)
    assert sol.classes.tolist() == classes and sol.w.shape == (3, 3) and sol.dual.shape == (6, 3)
    np.testing.assert_array_equal(sol.predict(X3), np.asarray(y))
    assert sol.margin == pytest.approx(ml.hard_margin_multiclass(X3, np.arange(6) % 3).margin, rel=1e-12)


def test_labels_1_and_2_are_two_classes() -> None:
    """Class 0 was taken for a third one that nobody belongs to, and the answer certified."""
    data = ml.datasets.gaussian(30, 5, seed=3)
    plain = ml.hard_margin_multiclass(data.X, (data.y > 0).astype(int))
    moved = ml.hard_margin_multiclass(data.X, (data.y > 0).astype(int) + 1)
    assert moved.margin == pytest.approx(plain.margin, rel=1e-12)
    assert moved.w.shape == (2, 5) and moved.classes.tolist() == [1, 2]


def test_the_order_of_the_classes() -> None:
    y = ["b", "a", "c"] * 2
    sol, turned = (ml.hard_margin_multiclass(X3, y, classes=c) for c in (None, ["c", "b", "a"]))
    np.testing.assert_allclose(sol.w[[2, 1, 0]], turned.w, atol=1e-9)
    assert turned.predict(X3).tolist() == y


@pytest.mark.parametrize(
    ("y", "options", "message"),
    [
        (["a", "b"] * 3, {"classes": ["a", "b", "c"]}, "no sample is of class 'c'.*leave it out of classes"),
        (["a", "b"] * 3, {"classes": ["a"]}, r"y holds 'b', which is not in classes \['a'\]"),
        (["a", "b"] * 3, {"classes": ["a", "b", "a"]}, "distinct labels"),
        (["a"] * 6, {}, "holds class 'a' only; a multiclass margin needs two classes"),
        (np.array(["a", "b", None] * 2, dtype=object), {}, "all numbers or all strings.*without a label"),
        ([1, 2, np.nan] * 2, {}, "NaN or infinite values; drop these samples"),
    ],
)
def test_labels_that_are_refused(y: object, options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ml.hard_margin_multiclass(X3, y, **options)


@pytest.mark.parametrize("solve", [ml.hard_margin, ml.soft_margin, lexicographic_margin])
def test_sparse_and_masked_data_are_refused_with_advice_that_works(solve) -> None:
    X, y = np.array([[3.0, 1], [-2, -2], [1, 4]]), [1, -1, 1]
    for sparse in (scipy.sparse.csc_matrix(X), scipy.sparse.coo_array(X)):
        with pytest.raises(ValueError, match=r"X is sparse; pass X.toarray\(\)"):
            solve(sparse, y)
        solve(sparse.toarray(), y)
    with pytest.raises(ValueError, match=r"X is sparse .*; pass X.to_dense\(\)"):
        solve(torch.tensor(X).to_sparse(), y)
    with pytest.raises(ValueError, match="X is a masked array .*drop their rows"):
        solve(np.ma.masked_greater(X, 3), y)


@pytest.mark.parametrize("dtype", [">f8", ">f4", ">i4", bool, np.uint16, np.float16])
def test_numbers_of_any_kind(dtype) -> None:
    X, y = np.array([[3, 1], [0, 0], [1, 4]]), [1, -1, 1]
    sol = ml.hard_margin(X.astype(dtype), y, bias=True)
    assert sol.status == "certified"


def test_longdouble_is_not_lowered_silently() -> None:
    X = np.eye(2, dtype=np.longdouble)
    if X.dtype.itemsize > 8:
        assert ml.hard_margin(X, [1, 1]).status == "certified"  # float64 holds every digit of these
        with pytest.raises(
            ValueError, match=r"holds digits that float64 does not; pass X.astype\(np.float64\)"
        ):
            ml.hard_margin(X / 3, [1, 1])


def test_frames() -> None:
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(
        {"a": [3.0, -2, 1], "b": [True, False, True], "c": pd.array([1, 2, 3], dtype="Int64")}
    )
    y = pd.Series([1, -1, 1], index=[7, 8, 9])
    sol = ml.hard_margin(frame, y)
    plain = ml.hard_margin([[3.0, 1, 1], [-2, 0, 2], [1, 1, 3]], [1, -1, 1])
    assert sol.margin == plain.margin and isinstance(sol.w, np.ndarray)
    np.testing.assert_array_equal(sol.predict(frame), y)
    named = ml.hard_margin_multiclass(frame, pd.Series(["x", "y", "x"], dtype="category"), "l2")
    assert named.predict(frame).tolist() == ["x", "y", "x"]
    with pytest.raises(ValueError, match="X must be an array or tensor of numbers.*NAType.*drop or fill"):
        ml.hard_margin(frame.assign(c=pd.array([1, None, 3], dtype="Int64")), y)
    with pytest.raises(ValueError, match="holds 'red'.*encode text as numbers"):
        ml.hard_margin(frame.assign(b=["red", "blue", "red"]), y)


@pytest.mark.parametrize(
    ("names", "norm"),
    [
        ((2, 2.0, "L2", "l_2"), "l2"),
        ((1, "L1", np.int64(1)), "l1"),
        ((math.inf, np.inf, "Linf", "inf"), "linf"),
    ],
)
def test_norms_under_the_names_that_people_write(names: tuple, norm: str) -> None:
    data = ml.datasets.gaussian(20, 4, seed=2)
    for name in names:
        assert ml.hard_margin(data.X, data.y, name).norm == norm
        assert ml.hard_margin(data.X, data.y, name, bias=True).norm == norm
        assert lexicographic_margin(data.X, data.y, name).norm == norm
        assert ml.hard_margin_multiclass(data.X, data.y, name).norm == norm
        assert ml.hard_margin_matrix(data.X[:, None], data.y, name).norm == norm
    with pytest.raises(ValueError, match="norm must be one of .*, got '3'"):
        ml.hard_margin(data.X, data.y, 3)


def test_predictions() -> None:
    data = ml.datasets.gaussian(20, 4, seed=2)
    sol = ml.hard_margin(data.X, data.y)
    np.testing.assert_array_equal(sol.predict(data.X), data.y)
    assert isinstance(
        ml.hard_margin(torch.tensor(data.X), data.y).predict(torch.tensor(data.X)), torch.Tensor
    )
    matrix = ml.hard_margin_matrix(data.X.reshape(20, 2, 2), data.y, "frobenius")
    np.testing.assert_array_equal(matrix.predict(data.X.reshape(20, 2, 2)), data.y)
    with pytest.raises(ValueError, match=r"X must have shape \['m', 4\]"):
        sol.predict(data.X[:, :3])
