"""Methods from outside: what ``method=`` of a run may be beside a name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from torch import Tensor

from margin_lab.checks import choice
from margin_lab.runs.method import Method, Update
from margin_lab.runs.methods import METHODS


def chosen_method(method: str | Method | Update) -> tuple[str, Method]:
    """The name and the row for a name of the table, a :class:`Method` or a plain function.

    A function ``update(w, grad, log_loss, h, state) -> w`` is a method whose options are whatever keywords the caller gives. It
    gets the weights ``w [B, d]`` of B runs (as many as step together, which know nothing of each other), the gradients of
    ``log L`` ``[B, d]``, ``log L`` ``[B]``, the options (``h["lr"]`` and all other numbers as tensors ``[B, 1]``, anything else
    as a list of B values), and a dict that starts empty, in which it keeps what it likes from step to step. It returns the
    next ``w``; what it changes in place is its own copy.

    Raises:
        ValueError: an unknown name, or what is none of the three.
    """
    if isinstance(method, str):
        return method, METHODS[choice(method, "method", tuple(METHODS))]
    if isinstance(method, Method):
        for name, row in METHODS.items():
            if method is row:
                return name, row
        if method.update is None:
            raise ValueError("a Method needs an update(w, grad, log_loss, h, state) -> w, got None")
        name = _name(method.update)
        return name, replace(method, update=_guarded(method.update, name))
    if isinstance(method, type) or not callable(method):
        raise ValueError(
            f"method must be a name of margin_lab.METHODS, a Method or a function update(w, grad, log_loss, h, state) -> w, got "
            f"{method!r}; torch optimizers go to train_network"
        )
    name = _name(method)
    return name, Method(update=_guarded(method, name), needs_loss=True, any_option=True)


def _name(function: Any) -> str:
    while isinstance(function, partial):
        function = function.func
    name = getattr(function, "__name__", type(function).__name__)
    return "lambda" if name == "<lambda>" else str(name)


def _guarded(update: Update, name: str) -> Update:
    """``update`` on copies, and with a look at what it returns."""

    def guarded(w: Tensor, grad: Any, log_loss: Any, h: Mapping[str, Any], state: Any) -> Tensor:
        new = update(w.clone(), grad, log_loss, h, state)
        if not isinstance(new, Tensor) or new.shape != w.shape or new.dtype != w.dtype:
            got = f"{new.dtype} {list(new.shape)}" if isinstance(new, Tensor) else repr(new)
            raise ValueError(
                f"{name} must return the next w as a tensor {w.dtype} {list(w.shape)}, got {got}; options are tensors "
                "[B, 1], and log_loss [B] needs log_loss[:, None] beside them"
            )
        return new.clone()

    return guarded
