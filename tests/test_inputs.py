"""Whatever holds numbers is taken, and what would lose something is refused in one sentence whose advice works."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from scipy import sparse
from torch import nn

import margin_lab as ml
from margin_lab.checks import plain_tensor

X = np.array([[1.0, 2.0], [-3.0, 0.5], [2.0, 2.5]])
Y = np.array([1, -1, 1])
NET = ml.models.MLP([2, 4, 1], seed=1)
MARGIN = ml.normalized_margin(NET, X, Y)

TAKEN: dict[str, Callable[[], Any]] = {
    "big-endian": lambda: X.astype(">f8"),
    "longdouble": lambda: X.astype(np.longdouble),
    "objects": lambda: X.astype(object),
    "fractions": lambda: [[Fraction(v) for v in row] for row in X.tolist()],
    "unmasked": lambda: np.ma.array(X, mask=False),
    "read-only": lambda: np.broadcast_to(X, X.shape),
    "reversed": lambda: X[::-1][::-1],
    "fortran": lambda: np.asfortranarray(X),
    "rows that need a gradient": lambda: [torch.tensor(row, requires_grad=True) for row in X],
    "numbers that need a gradient": lambda: [[torch.tensor(v, requires_grad=True) for v in row] for row in X],
    "inference": lambda: _inference(),
}


def _inference() -> torch.Tensor:
    with torch.inference_mode():
        return torch.tensor(X)


@pytest.mark.parametrize("kind", TAKEN)
def test_taken(kind: str) -> None:
    assert ml.normalized_margin(NET, TAKEN[kind](), Y) == MARGIN


@pytest.mark.parametrize("dtype", ["i1", "i2", ">i4", "i8", "u2", "u4", "u8", ">u2", "?"])
def test_integers_of_all_kinds(dtype: str) -> None:
    a = np.array([[1, 0], [0, 1]])
    got = plain_tensor(a.astype(dtype), "a")
    assert got.double().tolist() == a.tolist()
    if dtype.startswith("u"):
        assert plain_tensor(torch.from_numpy(a.astype(dtype)), "a").tolist() == a.tolist()


def test_frames_of_mixed_nullable_and_boolean_columns() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"a": X[:, 0], "b": X[:, 1]})
    for taken in (frame, frame.astype("Float64"), frame.astype(object), frame.astype({"a": "Float64"})):
        assert ml.normalized_margin(NET, taken, pandas.Series(Y, index=[5, 6, 7])) == MARGIN
    mixed = pandas.DataFrame({"a": [1.5, 2.0], "b": [True, False]})
    assert plain_tensor(mixed, "X").tolist() == [[1.5, 1.0], [2.0, 0.0]]
    frame = frame.astype("Float64")
    frame.iloc[0, 0] = pandas.NA
    with pytest.raises(ValueError, match="X must be an array or tensor of numbers"):
        ml.normalized_margin(NET, frame, Y)


@pytest.mark.parametrize(
    ("make", "message", "advice"),
    [
        (lambda: np.ma.array(X, mask=X > 2.4), r"masked array with 1 of 6 entries masked.* X.filled", lambda a: a.filled(0.0)),
        (lambda: [np.ma.array(r, mask=r > 2.4) for r in X], "masked array with 1 of 2", None),
        (lambda: sparse.csr_matrix(X), r"X is sparse; pass X.toarray\(\)", lambda a: a.toarray()),
        (lambda: sparse.coo_array(X), r"X is sparse; pass X.toarray\(\)", lambda a: a.toarray()),
        (lambda: torch.tensor(X).to_sparse(), r"X is sparse .*to_dense\(\)", lambda a: a.to_dense()),
        (lambda: X.astype(np.longdouble) / 3, r"float64 does not; pass X.astype", lambda a: a.astype(np.float64)),
        (lambda: X.astype(str), "which is text", None),
        (lambda: [["a", 1.0], ["b", 2.0], ["c", 3.0]], "which is text", None),
        (lambda: X + 1j, "X must be real", None),
        (lambda: {"a": 1}, "X must be an array or tensor of numbers", None),
        (lambda: None, "X must be an array or tensor of numbers|contains NaN", None),
        (lambda: [[1.0, 2.0], [3.0]], "X must be an array or tensor of numbers", None),
        (lambda: [torch.ones(2), torch.ones(3)], "X must be an array or tensor of numbers", None),
        (lambda: torch.ones(3, 2, device="meta"), "must be a plain dense tensor", None),
    ],
)  # fmt: skip
def test_refused_with_advice_that_works(make: Any, message: str, advice: Any) -> None:
    if "longdouble" in message and np.finfo(np.longdouble).eps == np.finfo(np.float64).eps:
        pytest.skip("longdouble is float64 here")
    with pytest.raises(ValueError, match=message):
        ml.normalized_margin(NET, make(), Y)
    if advice is not None:
        ml.normalized_margin(NET, advice(make()), Y)


@pytest.mark.parametrize("f", [ml.hard_margin, ml.run_linear], ids=["hard_margin", "run_linear"])
def test_masks_are_refused_elsewhere_too(f: Any) -> None:
    masked = np.ma.array(X, mask=X > 2.4)
    with pytest.raises(ValueError, match="X is a masked array"):
        f(masked, Y)
    with pytest.raises(ValueError, match="y is a masked array"):
        f(X, np.ma.array(Y, mask=[True, False, False]))


# ---- models


def test_wrapped_models_are_unwrapped() -> None:
    plain = nn.Sequential(nn.Linear(2, 3, bias=False), nn.ReLU(), nn.Linear(3, 1, bias=False)).double()
    margin = ml.normalized_margin(plain, X, Y)
    parallel = nn.DataParallel(plain, device_ids=None) if not torch.cuda.is_available() else None

    class Compiled(nn.Module):  # what torch.compile returns, without its compiler
        def __init__(self) -> None:
            super().__init__()
            self._orig_mod = plain

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            raise AssertionError("compiled code is not called")

    for wrapped in (Compiled(), parallel):
        if wrapped is not None:
            assert ml.normalized_margin(wrapped, X, Y) == margin
            assert ml.homogeneity_degree(wrapped, X) == 2


def test_an_embedding_takes_whole_numbers() -> None:
    net = nn.Sequential(
        nn.Embedding(5, 3, dtype=torch.float64), nn.Flatten(), nn.Linear(6, 1, bias=False).double()
    )
    words = np.array([[0, 1], [2, 3], [4, 0]], dtype=np.uint16)
    assert ml.homogeneity_degree(net, words) == 2
    assert ml.normalized_margin(net, words, Y) == ml.normalized_margin(net, words.tolist(), Y)
    with pytest.raises(
        ValueError, match=r"Sequential cannot be evaluated on inputs of shape \(3, 2\) and torch.float64"
    ):
        ml.normalized_margin(net, words.astype(float), Y)
    with pytest.raises(ValueError, match="cannot be evaluated on inputs"):
        ml.normalized_margin(net, words + 5, Y)


class Two(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 1).double()

    def forward(self, x: torch.Tensor) -> Any:
        return self.layer(x), x


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (Two, "must return one tensor of real outputs.* but Two returns tuple; wrap it"),
        (
            lambda: nn.Linear(2, 1, dtype=torch.complex128),
            "parameters must be real floating-point numbers, got 'weight'",
        ),
        (lambda: nn.LazyLinear(1), "parameter 'weight' of LazyLinear has no shape yet; call the model once"),
        (lambda: nn.Linear(2, 1, device="meta"), "must be dense and hold numbers"),
        (lambda: nn.ParameterList([torch.empty(0)]), "has no parameters"),
        (lambda: "net", "model must be an nn.Module, got str"),
    ],
)
@pytest.mark.filterwarnings("ignore:Lazy modules")
def test_models_that_are_refused(make: Any, message: str) -> None:
    for f in (ml.normalized_margin, ml.kkt.residuals):
        with pytest.raises(ValueError, match=message):
            f(make(), X, Y)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_models_are_measured_in_single_precision(dtype: torch.dtype) -> None:
    half = ml.models.MLP([2, 4, 1], seed=1, dtype=dtype)
    single = ml.models.MLP([2, 4, 1], seed=1, dtype=torch.float32)
    single.load_state_dict({k: v.float() for k, v in half.state_dict().items()})
    assert ml.normalized_margin(half, X, Y) == ml.normalized_margin(single, X, Y)
    assert ml.smoothed_margin(half, X, Y, loss="logistic") == ml.smoothed_margin(
        single, X, Y, loss="logistic"
    )
    torch.testing.assert_close(ml.models.effective_degree(half, X), torch.full((3,), 2.0))
    bent = nn.Sequential(nn.Linear(2, 4, bias=False), nn.GELU(), nn.Linear(4, 1, bias=False)).to(dtype)
    with pytest.raises(ValueError, match="is not homogeneous"):
        ml.normalized_margin(bent, X, Y)
    assert half.layers[0].weight.dtype == dtype
