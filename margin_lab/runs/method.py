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
        numeric: whether it is a number and becomes a tensor ``[B, 1]``; else ``h[name]`` is a list of B values.
    """

    default: Any
    check: Callable[[Any], Any] = _any_value
    numeric: bool = False


def _stateless(w: Tensor, problem: Problem, h: Mapping[str, Any]) -> None:
    return None


@dataclass(frozen=True)
class Method:
    """One optimizer, batched over runs.

    Attributes:
        norm: the norm whose margin it maximises, in which ``run.margin`` is measured; None where it is an option.
        update: ``update(w, grad, log_loss, h, state) -> w``; None for the search for a certificate ("certified").
        options: hyperparameters beyond ``lr``, by name.
        start: makes the method's state from ``w [B, d]``, the :class:`Problem` and ``h``.
        warmup: gradient-descent steps before the method starts, where it takes a warm-up.
        needs_loss: whether the update reads ``log L`` (else it is None, and not computed).
        needs_gradient: whether it reads the full gradient (else both are None).
    """

    norm: str | None
    update: Update | None
    options: Mapping[str, Option] = field(default_factory=dict)
    start: Callable[[Tensor, Problem, Mapping[str, Any]], Any] = _stateless
    warmup: int = 0
    needs_loss: bool = False
    needs_gradient: bool = True

    @property
    def defaults(self) -> dict[str, Any]:
        """Each option's value where the caller gives none."""
        return {name: option.default for name, option in self.options.items()}

    @property
    def checks(self) -> dict[str, Callable[[Any], Any]]:
        """Each option's check."""
        return {name: option.check for name, option in self.options.items()}

    @property
    def numeric(self) -> tuple[str, ...]:
        """The options that become tensors ``[B, 1]``."""
        return tuple(name for name, option in self.options.items() if option.numeric)


def shared(h: Mapping[str, Any], name: str) -> Any:
    """The one value of an option that all rows must share."""
    first, *others = h[name]
    if any(other != first for other in others):
        raise ValueError(f"{name} must be the same for all runs of a sweep; make one sweep for each")
    return first
