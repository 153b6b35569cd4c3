"""Input checks shared by everything: a wrong argument gets one clear sentence that says what to do."""

from __future__ import annotations

import importlib
import math
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from numbers import Number
from typing import Any

import numpy as np
import torch
from torch import Tensor

Restore = Callable[[Tensor], Any]
_UNSIGNED = (torch.uint16, torch.uint32, torch.uint64)


def plain_tensor(a: Any, name: str) -> Tensor:
    """Return ``a`` (array, tensor, frame, nested list) as a detached dense tensor of the same dtype.

    Masked and sparse inputs are refused, with what to do: a mask would be lost, and a sparse array may not fit when dense.
    Objects that are numbers become float64, unsigned integers int64, of which torch knows more; byte orders the machine's own.

    Raises:
        ValueError: what is no dense array of numbers.
    """
    if isinstance(a, Tensor):
        return _dense(a, name)
    if isinstance(a, (list, tuple)) and any(isinstance(v, (Tensor, np.ma.MaskedArray)) for v in _entries(a)):
        try:
            return torch.stack([plain_tensor(v, name) for v in a])
        except RuntimeError as e:
            raise ValueError(f"{name} must be an array or tensor of numbers: {e}") from None
    if isinstance(a, np.ma.MaskedArray) and np.ma.is_masked(a):
        raise ValueError(
            f"{name} is a masked array with {np.ma.count_masked(a)} of {a.size} entries masked, which have no value; "
            f"drop their rows, or fill them: {name}.filled(0.0)"
        )
    if type(a).__module__.startswith("scipy.sparse") or hasattr(a, "toarray"):
        raise ValueError(f"{name} is sparse; pass {name}.toarray() if it fits into memory")
    try:
        # A C-ordered copy: torch warns about read-only arrays, and refuses those that run backwards.
        return _dense(torch.from_numpy(_numbers(np.array(a, order="C"), name)), name)
    except (TypeError, ValueError, RuntimeError) as e:  # the second from rows of different lengths
        raise ValueError(f"{name} must be an array or tensor of numbers: {e}") from None


def _dense(t: Tensor, name: str) -> Tensor:
    if t.layout != torch.strided:
        raise ValueError(f"{name} is sparse ({t.layout}); pass {name}.to_dense() if it fits into memory")
    if t.is_nested or t.is_quantized or t.is_meta or type(t).__name__ == "MaskedTensor":
        raise ValueError(
            f"{name} must be a plain dense tensor, got {type(t).__name__} of {t.dtype} on {t.device}"
        )
    return t.detach().to(torch.int64) if t.dtype in _UNSIGNED else t.detach()


def _entries(a: list[Any] | tuple[Any, ...]) -> Iterator[Any]:
    """What nested lists hold, as far as it is not a list itself."""
    for v in a:
        if isinstance(v, (list, tuple)):
            yield from _entries(v)
        else:
            yield v


def _numbers(a: np.ndarray, name: str) -> np.ndarray:
    """The array in a dtype that torch has, without changing a value."""
    if a.dtype.kind in "US" or a.dtype.kind == "O":
        text = next((v for v in a.flat if isinstance(v, (str, bytes))), None)
        if text is not None:
            raise ValueError(
                f"it holds {str(text)!r}, which is text; encode text as numbers, classes by "
                f"np.unique({name}, return_inverse=True)[1]"
            )
    if a.dtype.kind == "O":
        odd = next((v for v in a.flat if not isinstance(v, (Number, Decimal, np.bool_))), None)
        if odd is not None:
            raise ValueError(
                f"it holds {odd!r} ({type(odd).__name__}); encode it as a number, and drop or fill what is missing"
            )
        return a.astype(np.float64)
    if a.dtype.kind == "f" and a.dtype.itemsize > 8:
        narrow = a.astype(np.float64)
        if not np.array_equal(narrow.astype(a.dtype), a, equal_nan=True):
            raise ValueError(f"{a.dtype} holds digits that float64 does not; pass {name}.astype(np.float64)")
        return narrow
    if a.dtype.kind == "u" and a.dtype.itemsize > 1:
        if a.size and int(a.max()) > np.iinfo(np.int64).max:
            raise ValueError(f"{a.dtype} above 2^63; pass {name}.astype(np.float64)")
        return a.astype(np.int64)
    return a.astype(a.dtype.newbyteorder("="), copy=False)


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
    if bool(torch.isfinite(t.sum())):  # one pass; a sum that overflows is looked at entry by entry
        return t
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


_FILTERS = threading.RLock()


@contextmanager
def warning_filter(action: str, category: type[Warning] = Warning) -> Iterator[None]:
    """``warnings.simplefilter`` for a while, one thread at a time.

    The filters belong to the process: two threads that put them back in turn would leave one's filters to all.
    """
    with _FILTERS, warnings.catch_warnings():
        warnings.simplefilter(action, category)  # type: ignore[arg-type]
        yield
