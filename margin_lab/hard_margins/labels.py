"""Class labels of any kind, to indices and back, and what a solution predicts."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from margin_lab.checks import as_tensor, restore_like


def class_indices(y: Any, classes: Any, x: Tensor) -> tuple[Tensor, np.ndarray]:
    """Return labels as indices ``[n]`` on x's device, and the classes ``[k]`` that they index.

    Args:
        y: ``[n]`` labels: numbers, strings, booleans; array, tensor, list or Series.
        classes: the distinct labels in the order of W's rows; None for those of y, sorted.
        x: ``[n, ...]``, the data.

    Raises:
        ValueError: another shape, a missing label, one class only, labels that are not in ``classes``, classes without a sample.
    """
    values = _labels(y, "y")
    if values.shape != (len(x),):
        raise ValueError(f"X {tuple(x.shape)} and y {values.shape} do not match; y needs shape [{len(x)}]")
    seen = np.unique(values)
    if classes is None:
        order = seen
    else:
        order = _labels(classes, "classes")
        if order.ndim != 1 or len(np.unique(order)) != len(order):
            raise ValueError(f"classes must be a list of distinct labels, got {order.tolist()}")
        unknown, absent = set(seen.tolist()) - set(order.tolist()), set(order.tolist()) - set(seen.tolist())
        if unknown:
            raise ValueError(f"y holds {_few(unknown)}, which is not in classes {order.tolist()[:6]}")
        if absent:
            raise ValueError(
                f"no sample is of class {_few(absent)}: its row of W would be free to lose by any margin, and enter the norm; "
                "leave it out of classes"
            )
    if len(order) < 2:
        raise ValueError(
            f"y holds class {order[0].item()!r} only; a multiclass margin needs two classes or more"
        )
    by_value = np.argsort(order)
    index = by_value[np.searchsorted(order[by_value], values)]
    return torch.from_numpy(index).to(x.device), order


def _labels(y: Any, name: str) -> np.ndarray:
    if isinstance(y, Tensor):
        y = y.detach().cpu().numpy()
    values = np.asarray(y)
    if values.dtype == object:
        kinds = {type(v) for v in values.flat}
        if not kinds <= {str} and not kinds <= {int, float, bool, np.bool_, *np.sctypeDict.values()}:
            raise ValueError(
                f"labels {name} must be all numbers or all strings, got {sorted(k.__name__ for k in kinds)}; "
                "drop the samples without a label"
            )
        values = np.array(values.tolist())
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise ValueError(f"labels {name} contain NaN or infinite values; drop these samples")
    return values


def _few(labels: set[Any]) -> str:
    return ", ".join(map(repr, sorted(labels)[:6]))


def predicted(w: Any, b: float, classes: Any, X: Any) -> Any:
    """Return the labels that ``w`` (and the intercept b, of binary data) gives to samples X; see ``HardMargin.predict``."""
    W = as_tensor(w, "w").double().cpu()
    x = as_tensor(X, "X").double().cpu()
    shape = W.shape if classes is None else W.shape[1:]
    if x.shape[1:] != shape:
        raise ValueError(f"X must have shape {['m', *shape]}, one sample a row, got {tuple(x.shape)}")
    if classes is not None:
        best = (x @ W.T).argmax(1)
        return np.asarray(classes)[best.numpy()]
    score = x.flatten(1) @ W.flatten() + b
    return restore_like(X)(torch.where(score >= 0, 1, -1))
