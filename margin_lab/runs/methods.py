"""The table of methods that ``run_linear`` knows: one row and one update function each.

An update maps the batch ``w [B, d]``, ``grad log L [B, d]`` and ``log L [B]`` (where it asks for it) to the next ``w``. Hyperparameters come as
``h[name]``: a tensor ``[B, 1]`` where numeric, else a list of B values.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from margin_lab.checks import choice, integer, positive
from margin_lab.norms import get_norm
from margin_lab.optim.normalized import FORMS, normalized_update
from margin_lab.optim.prgd import PRGDState, prgd_update
from margin_lab.optim.radii import exponential_radii, period_of
from margin_lab.optim.steepest import steepest_update

Update = Callable[[Tensor, Tensor, Tensor, Mapping[str, Any], Any], Tensor]


@dataclass(frozen=True)
class Method:
    """One optimizer on a linear model.

    Attributes:
        norm: the norm whose margin it maximises, in which ``run.margin`` is measured.
        update: ``update(w, grad, log_loss, h, state) -> w``.
        options: hyperparameters beyond ``lr`` with their defaults.
        check: for each option a function that raises ValueError on a bad value.
        start: makes the method's state from ``w [B, d]``.
        numeric: the options that are numbers and become tensors ``[B, 1]``.
        warmup: gradient-descent steps before the method starts, where it takes a warm-up.
        needs_loss: whether the update reads ``log L`` (else it is None, and not computed).
    """

    norm: str
    update: Update
    options: Mapping[str, Any] = field(default_factory=dict)
    check: Mapping[str, Callable[[Any], Any]] = field(default_factory=dict)
    start: Callable[[Tensor], Any] = lambda w: None
    numeric: tuple[str, ...] = ()
    warmup: int = 0
    needs_loss: bool = False


def gd(w: Tensor, grad: Tensor, log_loss: Tensor, h: Mapping[str, Any], state: Any) -> Tensor:
    """Gradient descent on L."""
    return w - h["lr"] * torch.exp(log_loss)[:, None] * grad


def ngd(w: Tensor, grad: Tensor, log_loss: Tensor, h: Mapping[str, Any], state: Any) -> Tensor:
    """Normalised descent, loss- or gradient-normalised row by row."""
    forms = set(h["form"])
    if len(forms) == 1:
        return normalized_update(w, grad, h["lr"], forms.pop())
    by_loss = torch.tensor([form == "loss" for form in h["form"]], device=w.device)[:, None]
    return torch.where(
        by_loss, normalized_update(w, grad, h["lr"], "loss"), normalized_update(w, grad, h["lr"], "gradient")
    )


def prgd(w: Tensor, grad: Tensor, log_loss: Tensor, h: Mapping[str, Any], state: PRGDState) -> Tensor:
    """Progressive rescaling, each row on its own schedule."""
    return prgd_update(w, grad, h["lr"], state, h["radii"], h["period"])


def steepest(norm: str) -> Update:
    """Steps of length ``lr`` in the norm, along its steepest direction."""
    own = get_norm(norm)

    def update(w: Tensor, grad: Tensor, log_loss: Tensor, h: Mapping[str, Any], state: Any) -> Tensor:
        return steepest_update(w, grad, h["lr"], own)

    return update


def _callable_radii(value: Any) -> None:
    if not callable(value):
        raise ValueError(f"radii must be callable as radii(k, R0, w), got {value!r}; see margin_lab.optim.exponential_radii")


METHODS: dict[str, Method] = {
    "gd": Method("l2", gd, needs_loss=True),
    "ngd": Method("l2", ngd, {"form": "loss"}, {"form": lambda v: choice(v, "form", FORMS)}),
    "prgd": Method(
        "l2",
        prgd,
        {"radii": exponential_radii(1.2), "period": 5},
        {"radii": _callable_radii, "period": lambda v: period_of(v, 0)},
        start=PRGDState.start,
        warmup=1000,
    ),
    "sign": Method("linf", steepest("linf")),
    "coordinate": Method("l1", steepest("l1")),
}

# Options of every method.
COMMON: dict[str, Callable[[Any], Any]] = {
    "lr": lambda v: positive(v, "lr"),
    "seed": lambda v: integer(v, "seed"),
}
