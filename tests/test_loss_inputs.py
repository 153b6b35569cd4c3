"""Losses: types and shapes in and out, batches of margins, and the errors."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from margin_lab.losses import log_loss, log_loss_of_margins, loss_weights, sample_margins


@pytest.mark.parametrize("loss", ["exponential", "logistic", "cross_entropy"])
def test_types_are_kept(loss: str) -> None:
    shape, y = ((3, 2), [0, 1, 1]) if loss == "cross_entropy" else ((3,), [1, -1, 1])
    for dtype in (torch.float32, torch.float64):
        f = torch.ones(shape, dtype=dtype, requires_grad=True)
        value = log_loss(f, torch.tensor(y), loss)
        assert isinstance(value, torch.Tensor)
        assert (value.dtype, value.shape) == (dtype, ())
        value.backward()
        assert f.grad is not None
        assert f.grad.dtype == dtype
    for dtype in (np.float32, np.float64):
        for reduction in ("sum", "none"):
            value = log_loss(np.ones(shape, dtype), np.array(y), loss, reduction)
            assert isinstance(value, np.ndarray if reduction == "none" else np.floating)
            assert value.dtype == dtype
    assert isinstance(log_loss(np.ones(shape).tolist(), y, loss), np.float64)
    assert log_loss(np.ones(shape, int), y, loss) == log_loss(np.ones(shape), y, loss)
    # a read-only array and one that runs backwards are arrays too
    frozen = np.arange(np.prod(shape), dtype=float).reshape(shape)
    labels = np.array(y)
    frozen.flags.writeable = labels.flags.writeable = False
    assert log_loss(frozen[::-1], labels[::-1], loss) == pytest.approx(
        log_loss(frozen, labels, loss), rel=1e-14
    )


def test_float32_reaches_the_same_depth() -> None:
    for loss in ("exponential", "logistic"):
        f = torch.full((3,), 4000.0, requires_grad=True)
        value = log_loss(f, torch.ones(3), loss, "sum")
        value.backward()
        assert value.item() == pytest.approx(-4000 + math.log(3), rel=1e-6)
        assert torch.allclose(f.grad, torch.full((3,), -1 / 3))


def test_column_of_outputs() -> None:
    q = torch.tensor([0.5, 2.0], dtype=torch.float64)
    assert log_loss(q[:, None], torch.ones(2)) == log_loss(q, torch.ones(2))


def test_margins() -> None:
    F = torch.tensor([[1.0, 4.0, 2.0], [5.0, 0.0, 5.5]])
    assert sample_margins(F, torch.tensor([1, 0])).tolist() == [2.0, -0.5]
    assert sample_margins(F[:, :1], torch.tensor([-1, 1])).tolist() == [-1.0, 5.0]


def test_batched_margins() -> None:
    q = torch.randn(4, 3, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for loss in ("exponential", "logistic"):
        for reduction in ("sum", "mean"):
            batch = log_loss_of_margins(q, loss, reduction)
            assert batch.shape == (4, 3)
            assert batch[2, 1] == log_loss_of_margins(q[2, 1], loss, reduction)
        assert torch.equal(loss_weights(q, loss)[2, 1], loss_weights(q[2, 1], loss))


Y3 = np.ones(3)


@pytest.mark.parametrize(
    ("outputs", "y", "kwargs", "words"),
    [
        (
            Y3,
            Y3,
            {"loss": "hinge"},
            "loss must be one of 'exponential', 'logistic', 'cross_entropy', got 'hinge'",
        ),
        (Y3, Y3, {"reduction": "max"}, "reduction must be one of 'mean', 'sum', 'none', got 'max'"),
        (
            np.array([1.0, np.nan]),
            Y3[:2],
            {},
            r"outputs contains NaN or infinite values, the first at index \(1,\)",
        ),
        (
            np.array([np.inf, 1.0]),
            Y3[:2],
            {},
            r"outputs contains NaN or infinite values, the first at index \(0,\)",
        ),
        (
            Y3,
            np.array([0, 1, 1]),
            {},
            r"labels y must be -1 or \+1, got \[0.0, 1.0\]; for 0/1 labels pass 2 \* y - 1",
        ),
        (Y3, np.array([1, np.nan, 1]), {}, r"labels y must be -1 or \+1"),
        (
            Y3,
            np.ones(2),
            {},
            r"outputs \(3,\) and y \(2,\) do not match; binary losses take outputs \[n\] or \[n, 1\]",
        ),
        (np.ones((3, 0)), Y3, {}, r"outputs \(3, 0\) and y \(3,\) do not match"),
        (np.ones((2, 3, 1)), Y3, {}, r"outputs \(2, 3, 1\) and y \(3,\) do not match"),
        (np.ones(()), Y3, {}, r"outputs \(\) and y \(3,\) do not match"),
        (np.ones(0), np.ones(0), {}, r"outputs \(0,\) and y \(0,\) do not match; .* n >= 1"),
        (1j * Y3, Y3, {}, "outputs must be real, got torch.complex128"),
        (["a", "b"], Y3[:2], {}, "outputs must be an array or tensor of numbers"),
        (Y3, ["a", "b", "c"], {}, "y must be an array or tensor of numbers"),
        (Y3, Y3.astype(int), {"loss": "cross_entropy"}, r"cross-entropy takes outputs \[n, k\], k >= 2"),
        (
            np.ones((3, 1)),
            np.zeros(3, int),
            {"loss": "cross_entropy"},
            r"outputs \(3, 1\) and y \(3,\) do not match",
        ),
        (
            np.ones((3, 2)),
            np.zeros(2, int),
            {"loss": "cross_entropy"},
            r"outputs \(3, 2\) and y \(2,\) do not match",
        ),
        (
            np.ones((0, 2)),
            np.zeros(0, int),
            {"loss": "cross_entropy"},
            r"outputs \(0, 2\) and y \(0,\) do not match",
        ),
        (
            np.ones((3, 2)),
            np.array([0, 1, 2]),
            {"loss": "cross_entropy"},
            r"class indices from 0 to 1, got \[0, 1, 2\]",
        ),
        (
            np.ones((3, 2)),
            np.array([-1, 1, 1]),
            {"loss": "cross_entropy"},
            r"class indices from 0 to 1, got \[-1, 1\]",
        ),
        (np.ones((3, 2)), Y3, {"loss": "cross_entropy"}, r"class indices from 0 to 1, got \[1.0\]"),
        (
            np.ones((3, 2)),
            ["a", "b", "c"],
            {"loss": "cross_entropy"},
            "y must be an array or tensor of numbers",
        ),
    ],
)
def test_errors(outputs: object, y: object, kwargs: dict[str, str], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        log_loss(outputs, y, **kwargs)
