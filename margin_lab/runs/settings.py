"""What a batch of runs is made of: combinations of swept options, tensors of them, recorded iterations, the device."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from margin_lab.checks import choice, integer

# About this many records on a logarithmic axis look continuous at book width.
_LOG_RECORDS = 200
# What counts as several values; a function (a schedule) or a number is one.
LISTS = (list, tuple, range, np.ndarray, Tensor)


def combinations(
    options: Mapping[str, Any],
    defaults: Mapping[str, Any],
    checks: Mapping[str, Callable[[Any], Any]],
    method: str,
) -> list[dict[str, Any]]:
    """Every combination of the values given as lists, in the order of ``options`` with the last one fastest.

    Raises:
        ValueError: an option that is not among ``defaults``, or a value that its check refuses.
    """
    values = dict(defaults)
    for name, value in options.items():
        if name not in values:
            raise ValueError(f"{method!r} has no option {name!r}; it takes {', '.join(values)}")
        values[name] = value
    # swept options vary in the order in which they were given
    order = [*options, *(name for name in values if name not in options)]
    axes = [_as_list(name, values[name]) for name in order]
    for name, axis in zip(order, axes, strict=True):
        for value in axis:
            checks[name](value)
    return [{name: combo[order.index(name)] for name in values} for combo in itertools.product(*axes)]


def hyperparameters(settings: list[dict[str, Any]], numeric: Sequence[str], like: Tensor) -> dict[str, Any]:
    """The settings by name: tensors ``[B, 1]`` of ``like``'s dtype and device where ``numeric``, else lists of B values."""
    h: dict[str, Any] = {name: [s[name] for s in settings] for name in settings[0]}
    for name in numeric:
        h[name] = torch.tensor(h[name], dtype=like.dtype, device=like.device)[:, None]
    return h


def compute_device(device: str | torch.device | None, default: torch.device) -> torch.device:
    """Where to compute: ``default`` for None, CUDA where there is one for "auto".

    Raises:
        ValueError: no device, or one that torch does not see.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device is None:
        return default
    try:
        wanted = torch.device(device)
    except (RuntimeError, TypeError):
        raise ValueError(f"device must be 'auto', 'cpu', 'cuda' or a torch.device, got {device!r}") from None
    if wanted.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device {device!r} needs a CUDA GPU, and torch sees none; use 'auto' or 'cpu'")
    return wanted


def _as_list(name: str, value: Any) -> list[Any]:
    if not isinstance(value, LISTS):
        return [value]
    values = value.reshape(-1).tolist() if isinstance(value, (np.ndarray, Tensor)) else list(value)
    values = [v.item() if isinstance(v, (np.ndarray, Tensor)) and v.ndim == 0 else v for v in values]
    if not values:
        raise ValueError(f"{name} is an empty list; give at least one value to sweep over")
    return values


def recorded_steps(record: str | Sequence[int], steps: int) -> list[int]:
    """The iterations to record of ``steps``: "log" or "all", which hold 0, or a list; the last one always.

    Raises:
        ValueError: another word, or a list that asks for what the run does not have.
    """
    if isinstance(record, str):
        choice(record, "record", ("log", "all"))
        wanted: Any = (
            range(steps + 1)
            if record == "all"
            else np.geomspace(1, max(steps, 1), _LOG_RECORDS).round().astype(int)
        )
        return sorted({0, steps, *(int(t) for t in wanted if t <= steps)})
    if not isinstance(record, LISTS) or np.ndim(record) != 1:
        raise ValueError(f"record must be 'log', 'all' or a list of iterations, got {record!r}")
    record = record.tolist() if hasattr(record, "tolist") else record
    times = {integer(t, "record: a step") for t in record}
    if times and max(times) > steps:
        raise ValueError(f"record asks for step {max(times)}, but the run has {steps}")
    return sorted({*times, steps})
