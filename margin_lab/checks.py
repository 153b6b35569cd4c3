"""Input checks shared by everything: a wrong argument gets one clear sentence that says what to do."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

Restore = Callable[[Tensor], Any]


def plain_tensor(a: Any, name: str) -> Tensor:
    """Return ``a`` (array, tensor, nested list, Series, DataFrame) as a detached tensor of the same dtype."""
    if isinstance(a, Tensor):
        if a.layout != torch.strided:
            raise ValueError(f"{name} is a sparse tensor; pass {name}.to_dense()")
        return a.detach()
    if hasattr(a, "toarray") and not isinstance(a, np.ndarray):  # SciPy's sparse matrices and arrays
        raise ValueError(f"{name} is sparse ({type(a).__name__}); pass {name}.toarray()")
    if np.ma.isMaskedArray(a):
        raise ValueError(
            f"{name} is a masked array; drop the masked samples, or fill them: {name}.filled(...)"
        )
    try:
        # A C-ordered copy: torch warns about read-only arrays, and refuses those that run backwards.
        array = np.array(a, order="C")
        if array.dtype == object:
            array = _numbers(array, name)
        if array.dtype.kind in "USM":
            raise ValueError(f"got {array.dtype.name}; encode it as numbers")
        if array.dtype == np.longdouble and array.dtype.itemsize > 8:
            raise ValueError(f"{array.dtype} is longer than torch's floats; pass {name}.astype(float)")
        return torch.from_numpy(array.astype(array.dtype.newbyteorder("="), copy=False))
    except (TypeError, ValueError) as e:  # the second from rows of different lengths
        raise ValueError(f"{name} must be an array or tensor of numbers: {e}") from None


def _numbers(array: np.ndarray, name: str) -> np.ndarray:
    """Numbers out of an array of objects: DataFrames whose columns have several types, nullable columns, lists with ints of any size."""
    odd = next((x for x in array.flat if not isinstance(x, (bool, int, float, np.number, np.bool_))), None)
    if odd is not None:
        raise ValueError(
            f"it holds {odd!r} ({type(odd).__name__}); encode text as numbers, and drop or fill what is missing"
        )
    return array.astype(np.float64)


def as_tensor(a: Any, name: str, *, device: torch.device | str | None = None) -> Tensor:
    """Return ``a`` (array, tensor, nested list) as a detached floating tensor; integers become float64."""
    t = plain_tensor(a, name)
    if t.is_complex():
        raise ValueError(f"{name} must be real, got {t.dtype}")
    t = t if t.is_floating_point() else t.double()
    return t if device is None else t.to(device)


def restore_like(a: Any) -> Restore:
    """Return a function that turns tensors into what ``a`` is: a NumPy array, or a tensor on its device."""
    if isinstance(a, Tensor):
        return lambda t: t.to(a.device)
    return lambda t: t.detach().cpu().numpy()


def finite(t: Tensor, name: str, advice: str = "clean the data first") -> Tensor:
    """Raise ``ValueError`` where ``t`` holds NaN or infinities; say where the first one is, and what to do."""
    bad = ~torch.isfinite(t)
    if bad.any():
        first = tuple(bad.nonzero()[0].tolist())
        raise ValueError(f"{name} contains NaN or infinite values, the first at index {first}; {advice}")
    return t


def signed_labels(y: Tensor) -> Tensor:
    """Raise ``ValueError`` unless every label is -1 or +1."""
    if not bool((y.abs() == 1).all()):
        seen = torch.unique(y)[:6].tolist()
        raise ValueError(f"labels y must be -1 or +1, got {seen}; for 0/1 labels pass 2 * y - 1")
    return y


def signed_data(X: Any, y: Any, *, batched: bool = False) -> tuple[Tensor, Restore]:
    """Check a binary dataset and return its signed rows ``z_i = y_i x_i``.

    Args:
        X: ``[n, d]``, or ``[S, n, d]`` where ``batched`` (S datasets of one shape).
        y: ``[n]`` (or ``[S, n]``), -1 or +1.
        batched: accept a leading axis of datasets.

    Returns:
        ``Z`` of X's shape, dtype and device (integers become float64), and a function that gives results X's type back.

    Raises:
        ValueError: empty, misshapen or non-finite data, labels other than -1 and +1.
    """
    restore = restore_like(X)
    X = as_tensor(X, "X")
    y = as_tensor(y, "y", device=X.device)
    if X.ndim != 2 and not (batched and X.ndim == 3):
        raise ValueError(f"X must have shape [n, d], got {tuple(X.shape)}; one sample a row")
    if X.numel() == 0:
        raise ValueError(
            f"X is empty: shape {tuple(X.shape)}; at least one sample and one feature are needed"
        )
    if y.shape != X.shape[:-1]:
        raise ValueError(
            f"X {tuple(X.shape)} and y {tuple(y.shape)} do not match; y needs shape {tuple(X.shape[:-1])}"
        )
    finite(X, "X")
    signed_labels(y)
    return X * y[..., None].to(X.dtype), restore


def positive(value: Any, name: str) -> Any:
    """Raise ``ValueError`` unless ``value`` is one finite number above zero."""
    return _above(value, name, strict=True)


def nonnegative(value: Any, name: str) -> Any:
    """Raise ``ValueError`` unless ``value`` is one finite number, zero or above."""
    return _above(value, name, strict=False)


def _above(value: Any, name: str, *, strict: bool) -> Any:
    v = value.item() if isinstance(value, (Tensor, np.ndarray)) and value.ndim == 0 else value
    ok = isinstance(v, (int, float, np.number)) and not isinstance(v, bool) and math.isfinite(v)
    if not ok or v < 0 or (strict and v == 0):
        raise ValueError(f"{name} must be {'>' if strict else '>='} 0 and finite, got {v!r}")
    return value


def integer(value: Any, name: str, *, least: int = 0) -> int:
    """Return ``value`` as an int; raise ``ValueError`` unless it is a whole number of at least ``least``."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise ValueError(f"{name} must be a whole number >= {least}, got {value!r}")
    return int(value)


def norm_name(norm: Any) -> Any:
    """Return "l1", "l2" or "linf" for what people write for them: 1, 2, inf, "L2", "Linf", "inf"; anything else as it is."""
    if isinstance(norm, str):
        lower = norm.lower()
        return {"1": "l1", "2": "l2", "inf": "linf", "l_1": "l1", "l_2": "l2", "l_inf": "linf"}.get(
            lower, lower
        )
    if isinstance(norm, (int, float, np.number)) and not isinstance(norm, bool):
        return {1.0: "l1", 2.0: "l2", math.inf: "linf"}.get(float(norm), norm)
    return norm


def choice(value: Any, name: str, allowed: tuple[str, ...]) -> Any:
    """Raise ``ValueError`` unless ``value`` is one of ``allowed``."""
    if value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, allowed))}, got {value!r}")
    return value


def needs(module: str, package: str, what: str) -> Any:
    """Import a module of the extra ``book``; where it is missing, raise ``ImportError`` that says how to install it."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as e:
        if not module.startswith(str(e.name)):
            raise  # it is there, and lacks something of its own
        raise ImportError(
            f"{what} needs the package {package}, which is not installed: pip install {package} "
            "(the extra margin-lab[book] has all that the chapters use)",
            name=e.name,
        ) from None


class DivergedError(ArithmeticError):
    """A run or step left the finite numbers; the message says where and what to change."""
