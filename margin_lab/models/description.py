"""A network, and what a run was made with, as words that a file keeps: another one is refused by naming what differs."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import types
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

# Attributes that every module has; those beyond them are a class's own settings.
_OF_ANY_MODULE = frozenset(vars(nn.Module()))
# How far nested settings are followed.
_DEPTH = 5
_NAMED = 4


def describe_model(model: nn.Module) -> dict[str, str]:
    """Every module with its class and plain attributes, every parameter and buffer with its shape, dtype and ties."""
    lines = {}
    for name, module in model.named_modules(remove_duplicate=False):
        own = {k: v for k, v in vars(module).items() if k not in _OF_ANY_MODULE}
        lines[f"module {name or 'model'}"] = (
            f"{type(module).__qualname__}({module.extra_repr()}) {describe(own, _DEPTH)}"
        )
    first: dict[int, str] = {}
    for name, p in model.named_parameters(remove_duplicate=False):
        first.setdefault(id(p), name)
        tied = "" if first[id(p)] == name else f", tied to {first[id(p)]}"
        frozen = "" if p.requires_grad else ", frozen"
        lines[f"parameter {name}"] = f"{_kind(p)}{frozen}{tied}"
    lines.update({f"buffer {name}": _kind(b) for name, b in model.named_buffers()})
    return lines


def describe(value: Any, depth: int = _DEPTH) -> str:
    """A value as text that is the same in every process: numbers in full, arrays by a hash, objects by their attributes."""
    if value is None or isinstance(value, (bool, int, float, complex, str, bytes)):
        return repr(value)
    if isinstance(value, (torch.dtype, torch.device, np.dtype)):
        return str(value)
    if isinstance(value, np.generic):
        return repr(value.item())
    if isinstance(value, (Tensor, np.ndarray)):
        return f"{_kind(value)} {digest(value)}"
    if isinstance(value, type):
        return value.__qualname__
    if isinstance(value, types.FunctionType):
        return _function(value, depth)
    if isinstance(value, types.MethodType):
        return f"{describe(value.__func__, depth)} of {describe(value.__self__, depth - 1)}"
    if depth == 0:
        return type(value).__qualname__
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{k}: {describe(v, depth - 1)}" for k, v in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(describe(v, depth - 1) for v in value) + "]"
    if isinstance(value, (set, frozenset)):
        return "{" + ", ".join(sorted(describe(v, depth - 1) for v in value)) + "}"
    if isinstance(value, functools.partial):
        return f"partial {describe([value.func, value.args, value.keywords], depth - 1)}"
    if dataclasses.is_dataclass(value):
        own = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    elif isinstance(value, nn.Module):
        own = {}  # described where it stands among the modules
    else:
        own = getattr(value, "__dict__", {})
    return f"{type(value).__qualname__}{describe(own, depth - 1) if own else ''}"


def digest(*parts: Tensor | np.ndarray | str) -> str:
    """A short hash of tensors, arrays and strings."""
    h = hashlib.sha256()
    for part in parts:
        if isinstance(part, str):
            h.update(part.encode())
            continue
        h.update(_kind(part).encode())
        t = part.detach().cpu() if isinstance(part, Tensor) else torch.from_numpy(np.array(part))
        # as bytes, since NumPy has no bfloat16
        h.update(t.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return h.hexdigest()[:16]


def differences(before: Mapping[str, str], now: Mapping[str, str]) -> str:
    """What differs, in words, the first few lines of it; empty where nothing does."""
    found = []
    for name in [*before, *(n for n in now if n not in before)]:
        old, new = before.get(name, "not there"), now.get(name, "not there")
        if old != new:
            found.append(f"{name} was {_short(old)} and is {_short(new)}")
    more = f"; and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    return "; ".join(found[:_NAMED]) + more


def _function(f: types.FunctionType, depth: int) -> str:
    """By name, code and what it closes over, so that two lambdas differ."""
    # not repr(co_consts): code inside code has an address
    consts = [c.co_code.hex() if isinstance(c, types.CodeType) else repr(c) for c in f.__code__.co_consts]
    code = digest(f.__code__.co_code.hex(), *consts, *f.__code__.co_names)
    held = [cell.cell_contents for cell in f.__closure__ or ()] + [*(f.__defaults__ or ())]
    inner = describe(held, depth - 1) if held and depth > 0 else ""
    return f"{f.__qualname__} {code[:8]}{inner}"


def _kind(t: Tensor | np.ndarray) -> str:
    return f"{str(t.dtype).removeprefix('torch.')} {tuple(t.shape)}"


def _short(text: str, length: int = 120) -> str:
    return text if len(text) <= length else f"{text[: length - 3]}..."
