"""One row of the table of methods, the options it takes, and the problem that it sees."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor

# (w, grad, log_loss, h, state) -> w
Update = Callable[[Tensor, Any, Any, Mapping[str, Any], Any], Tensor]


class Problem(Protocol):
    """What a batch of B runs trains.

    Attributes:
        Z: signed rows ``[S, n, d]`` of linear models, which some methods need; networks refuse to give any.
        runs_each: how many runs share a dataset: ``B = S * runs_each``.
        loss: "exponential", "logistic" or "cross_entropy". reduction: "mean" or "sum" of the samples' losses, which is L.
        shapes: of a network's named parameters, in the order in which w holds them; empty for linear models.
    """

    runs_each: int
    loss: str
    reduction: str

    @property
    def shapes(self) -> Mapping[str, torch.Size]: ...

    @property
    def Z(self) -> Tensor: ...

    def gradient(self, w: Tensor, needs_loss: bool) -> tuple[Tensor, Tensor | None]:
        """The gradient of ``log L`` ``[B, d]``, and ``log L`` ``[B]`` where it is needed."""
        ...


def _any_value(value: Any) -> None:
    return None


@dataclass(frozen=True)
class Option:
    """A hyperparameter of a method beyond ``lr``.

    Attributes:
        default: its value where the caller gives none.
        check: raises ValueError on a bad value; without one, any value will do.
        numeric: whether ``h[name]`` is a tensor ``[B, 1]``, else a list of B values. None: a tensor where all values are numbers.
        shared: whether all runs of a sweep must have one value, which then is ``h[name][0]``.
    """

    default: Any = None
    check: Callable[[Any], Any] = _any_value
    numeric: bool | None = None
    shared: bool = False


def empty_state(w: Tensor, problem: Problem, h: Mapping[str, Any]) -> dict[str, Any]:
    """A dict in which an update keeps what it likes."""
    return {}


@dataclass(frozen=True)
class Method:
    """One optimizer, batched over runs: the rows of ``w [B, d]`` are B runs that know nothing of each other.

    Attributes:
        norm: the norm whose margin it maximises, in which ``run.margin`` is measured; None where it is an option.
        update: ``update(w, grad, log_loss, h, state) -> w``, with ``grad log L [B, d]``, ``log L [B]`` and ``h[name]`` as
            :class:`Option` says; None for the search for a certificate ("certified").
        options: hyperparameters beyond ``lr``, by name.
        start: makes the method's state from ``w``, the :class:`Problem` and ``h``; by default a dict that starts empty.
        warmup: gradient-descent steps before the method starts, where it takes a warm-up.
        needs_loss: whether the update reads ``log L`` (else it is None, and not computed).
        needs_gradient: whether it reads the full gradient (else both are None).
        absorbing: whether a row that has left the finite numbers never comes back by itself; then infinities are looked for only
            now and then.
        any_option: whether keywords that ``options`` does not name are options too.
    """

    norm: str | None = "l2"
    update: Update | None = None
    options: Mapping[str, Option] = field(default_factory=dict)
    start: Callable[[Tensor, Problem, Mapping[str, Any]], Any] = empty_state
    warmup: int = 0
    needs_loss: bool = False
    needs_gradient: bool = True
    absorbing: bool = False
    any_option: bool = False
