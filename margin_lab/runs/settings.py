"""What a batch of runs is made of: combinations of swept options, tensors of them, recorded iterations, the device."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from margin_lab.checks import Restore, choice, integer
from margin_lab.runs.method import Option

# About this many records on a logarithmic axis look continuous at book width.
_LOG_RECORDS = 200
# What counts as several values; a function (a schedule) or a number is one.
LISTS = (list, tuple, range, np.ndarray, Tensor)


def combinations(
    given: Mapping[str, Any],
    options: Mapping[str, Option],
    method: str,
    any_option: bool = False,
) -> list[dict[str, Any]]:
    """Every combination of the values given as lists, in the order of ``given`` with the last one fastest.

    Raises:
        ValueError: an option that is not among ``options`` (unless any is taken), a value that its check refuses, several values
            of an option that all runs share.
    """
    values = {name: option.default for name, option in options.items()}
    for name, value in given.items():
        if name not in values and not any_option:
            raise ValueError(f"{method!r} has no option {name!r}; it takes {', '.join(values)}")
        values[name] = value
    # swept options vary in the order in which they were given
    order = [*given, *(name for name in values if name not in given)]
    axes = [_as_list(name, values[name]) for name in order]
    for name, axis in zip(order, axes, strict=True):
        if name in options:
            for value in axis:
                options[name].check(value)
            if options[name].shared and any(value != axis[0] for value in axis[1:]):
                raise ValueError(f"{name} must be the same for all runs of a sweep; make one sweep for each")
    place = {name: order.index(name) for name in values}
    return [{name: combo[i] for name, i in place.items()} for combo in itertools.product(*axes)]


def hyperparameters(
    settings: list[dict[str, Any]], options: Mapping[str, Option], like: Tensor
) -> dict[str, Any]:
    """The settings by name: tensors ``[B, 1]`` of ``like``'s dtype and device where numeric, else lists of B values."""
    h: dict[str, Any] = {name: [s[name] for s in settings] for name in settings[0]}
    for name, values in h.items():
        numeric = options[name].numeric if name in options else None
        if all(map(_is_number, values)) if numeric is None else numeric:
            h[name] = torch.tensor(values, dtype=like.dtype, device=like.device)[:, None]
    return h


def of_rows(h: Mapping[str, Any], rows: range) -> dict[str, Any]:
    """The hyperparameters of some of the runs."""
    return {name: values[rows.start : rows.stop] for name, values in h.items()}


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, np.number)) and not isinstance(value, bool)


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


def returnable(restore: Restore, like: Tensor) -> Restore:
    """``restore``, tried before the work begins on a tensor of the results' dtype.

    Raises:
        ValueError: a dtype that NumPy has not.
    """
    try:
        restore(like[:0])
    except TypeError:
        raise ValueError(
            f"results in {like.dtype} have no NumPy array; pass X as a tensor, or convert the model, say model.float()"
        ) from None
    return restore


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
