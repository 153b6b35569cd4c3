"""Hard margins: containers and types of what goes in and comes out, and the errors."""

import math

import numpy as np
import pytest
import torch
from hard_margin_checks import NORMS, dataset_1

from margin_lab.hard_margins import hard_margin

CONTAINERS = {
    "list": (lambda a: a.tolist(), np.ndarray, np.float64),
    "float64": (lambda a: a, np.ndarray, np.float64),
    "float32": (lambda a: a.astype(np.float32), np.ndarray, np.float32),
    "int": (lambda a: a.astype(int), np.ndarray, np.float64),
    "tensor": (torch.tensor, torch.Tensor, torch.float64),
    "tensor32": (lambda a: torch.tensor(a, dtype=torch.float32), torch.Tensor, torch.float32),
    "tensor with grad": (lambda a: torch.tensor(a, requires_grad=True), torch.Tensor, torch.float64),
}


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("kind", CONTAINERS)
def test_what_goes_in_comes_out(kind, norm):
    convert, container, dtype = CONTAINERS[kind]
    X, y = np.array([[3.0, 1], [-2, -2], [1, 4]]), np.array([1, -1, 1])
    expected = hard_margin(X, y, norm=norm)
    sol = hard_margin(convert(X), y, norm=norm)
    assert isinstance(sol.w, container)
    assert isinstance(sol.dual, container)
    assert isinstance(sol.support, container)
    assert sol.w.dtype == sol.dual.dtype == dtype
    assert (sol.w.shape, sol.dual.shape) == ((2,), (3,))
    assert type(sol.margin) is type(sol.upper_bound) is type(sol.gap) is float
    assert sol.status == "certified"  # solved in float64 whatever comes in
    assert sol.margin == pytest.approx(expected.margin, rel=1e-12)
    np.testing.assert_allclose(np.asarray(sol.w), expected.w, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"norm": "l3"}, r"norm must be one of 'l1', 'l2', 'linf', got 'l3'"),
        ({"method": "svc"}, r"method for norm='l2' must be one of 'auto', 'daqp', 'proximal', got 'svc'"),
        (
            {"norm": "l1", "method": "daqp"},
            r"method for norm='l1' must be one of 'auto', 'highs', got 'daqp'",
        ),
        ({"tol": 0.0}, r"tol must be > 0"),
        ({"y": [0, 1]}, r"labels y must be -1 or \+1"),
        ({"y": [1]}, r"do not match"),
        ({"X": [[1.0, math.nan], [0.0, 1.0]]}, r"NaN or infinite"),
        ({"X": [1.0, 2.0]}, r"shape \[n, d\]"),
    ],
)
def test_wrong_arguments(options, message):
    arguments = {"X": [[1.0, 2.0], [2.0, 1.0]], "y": [1, 1]} | options
    with pytest.raises(ValueError, match=message):
        hard_margin(**arguments)


def test_repr_is_one_line():
    text = repr(hard_margin(dataset_1(), np.ones(3)))
    assert text.startswith("HardMargin(norm='l2', margin=0.0314107590781, gap=")
    assert "\n" not in text
