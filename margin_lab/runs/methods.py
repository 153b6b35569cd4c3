"""The table of methods that ``run_linear`` knows: one row and one update function each.

An update maps the batch ``w [B, d]``, ``grad log L [B, d]`` and ``log L [B]`` (where it asks for them) to the next ``w``.
Hyperparameters come as ``h[name]``: a tensor ``[B, 1]`` where numeric, else a list of B values.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor

from margin_lab.checks import choice, integer, nonnegative, positive
from margin_lab.norms import get_norm
from margin_lab.optim.adam import AdamState, check_beta
from margin_lab.optim.certified import FORMS as FORMS_OF_SEARCH
from margin_lab.optim.dual import DualState, dual_update
from margin_lab.optim.loss_based import DOWN, UP, check_factor
from margin_lab.optim.muon import MuonState
from margin_lab.optim.normalized import FORMS, normalized_update
from margin_lab.optim.polar import get_polar
from margin_lab.optim.prgd import BLOCKS, PRGDState, ball_norm, prgd_update
from margin_lab.optim.radii import exponential_radii, period_of
from margin_lab.optim.shampoo import ShampooState, check_memory
from margin_lab.optim.steepest import check_average
from margin_lab.optim.step_rules import RULES, check_cap
from margin_lab.runs.geometry import Steepest, adam, muon, shampoo, shapes_of, shared, steepest
from margin_lab.runs.problem import Problem
from margin_lab.runs.rollback import RollBack, loss_based
from margin_lab.runs.stochastic import MiniBatches, below_one, sgd

# (w, grad, log_loss, h, state) -> w
Update = Callable[[Tensor, Any, Any, Mapping[str, Any], Any], Tensor]


def _stateless(w: Tensor, problem: Problem, h: Mapping[str, Any]) -> None:
    return None


@dataclass(frozen=True)
class Method:
    """One optimizer on a linear model.

    Attributes:
        norm: the norm whose margin it maximises, in which ``run.margin`` is measured; None where it is an option.
        update: ``update(w, grad, log_loss, h, state) -> w``; None for the search for a certificate ("certified").
        options: hyperparameters beyond ``lr`` with their defaults.
        check: for each option a function that raises ValueError on a bad value.
        start: makes the method's state from ``w [B, d]``, the problem (its ``Z [S, n, d]``, its loss) and ``h``.
        numeric: the options that are numbers and become tensors ``[B, 1]``.
        warmup: gradient-descent steps before the method starts, where it takes a warm-up.
        needs_loss: whether the update reads ``log L`` (else it is None, and not computed).
        needs_gradient: whether it reads the full gradient (else both are None).
    """

    norm: str | None
    update: Update | None
    options: Mapping[str, Any] = field(default_factory=dict)
    check: Mapping[str, Callable[[Any], Any]] = field(default_factory=dict)
    start: Callable[[Tensor, Problem, Mapping[str, Any]], Any] = _stateless
    numeric: tuple[str, ...] = ()
    warmup: int = 0
    needs_loss: bool = False
    needs_gradient: bool = True


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


@dataclass
class Momentum:
    """The heavy ball's velocity ``[B, d]``."""

    velocity: Tensor

    @classmethod
    def start(cls, w: Tensor, problem: Problem, h: Mapping[str, Any]) -> Momentum:
        return cls(torch.zeros_like(w))


def momentum(w: Tensor, grad: Tensor, log_loss: Tensor, h: Mapping[str, Any], state: Momentum) -> Tensor:
    """Heavy ball on L as in ``torch.optim.SGD``: ``v <- momentum v + grad L``, ``w <- w - lr v``."""
    state.velocity = h["momentum"] * state.velocity + torch.exp(log_loss)[:, None] * grad
    return w - h["lr"] * state.velocity


def nacson(w: Tensor, grad: Tensor, log_loss: Tensor, h: Mapping[str, Any], state: Iterator[int]) -> Tensor:
    """Gradient-normalised descent with step ``lr / sqrt(t + 1)`` (Nacson et al. 2019)."""
    return normalized_update(w, grad, h["lr"] / math.sqrt(next(state) + 1), "gradient")


@dataclass
class Dual:
    """Each row's step ``[B, 1]``, at most ``lr / max ||x_i||^2``, and its momentum."""

    step: Tensor
    momentum: DualState

    @classmethod
    def start(cls, w: Tensor, problem: Problem, h: Mapping[str, Any]) -> Dual:
        longest = torch.linalg.vector_norm(problem.Z, dim=-1).amax(-1).repeat_interleave(problem.runs_each)
        return cls(h["lr"] / longest[:, None].clamp_min(1) ** 2, DualState(torch.zeros_like(w)))


def dual(w: Tensor, grad: Tensor, log_loss: Tensor, h: Mapping[str, Any], state: Dual) -> Tensor:
    """Dual acceleration; the guarantee needs ``||x_i|| <= 1`` (rounding aside), or a step of ``lr / max ||x_i||^2``."""
    return dual_update(w, grad, state.step, state.momentum)


def prgd(w: Tensor, grad: Tensor, log_loss: Tensor, h: Mapping[str, Any], state: PRGDState) -> Tensor:
    """Progressive rescaling, each row on its own schedule."""
    # all rows of a sweep share the norm
    norm = ball_norm(h["norm"][0])
    return prgd_update(w, grad, h["lr"], state, h["radii"], h["period"], norm, h["decay"])


def start_prgd(w: Tensor, problem: Problem, h: Mapping[str, Any]) -> PRGDState:
    """At the start of the first cycle; the blocks of a linear model are one."""
    split = shared(h, "blocks") == "tensors" and problem.shapes
    sizes = [shape.numel() for shape in problem.shapes.values()] if split else None
    return PRGDState.start(w, ball_norm(h["norm"][0]), sizes)


def _steepest(norm: str | None) -> Method:
    """A row of steepest descent: normalised in one norm, or by the paper's eq. (1) in that of its option ``norm``."""
    rules = tuple(rule for rule in RULES if rule != "gradient" or norm is None)
    return Method(
        norm,
        steepest,
        {
            "rule": "gradient" if norm is None else "unit",
            "max_length": None,
            "max_fall": None,
            "average": 0.0,
            "polar": "exact",
            **({"norm": "l2"} if norm is None else {}),
        },
        {
            "rule": lambda v: choice(v, "rule", rules),
            "max_length": lambda v: check_cap(v, "max_length"),
            "max_fall": lambda v: check_cap(v, "max_fall"),
            "average": check_average,
            "polar": get_polar,
            "norm": lambda v: v == "modular" or get_norm(v),
        },
        start=partial(Steepest.start, norm=norm),
        numeric=("average",),
        needs_loss=norm is None,
    )


def _matrices(name: str, state: Any) -> Callable[[Tensor, Problem, Mapping[str, Any]], Any]:
    return lambda w, problem, h: (state.start(w), shapes_of(problem, name))


def _flag(name: str) -> Callable[[Any], None]:
    def check(value: Any) -> None:
        if not isinstance(value, bool):
            raise ValueError(f"{name} must be True or False, got {value!r}")

    return check


def _callable_radii(value: Any) -> None:
    if not callable(value):
        raise ValueError(
            f"radii must be callable as radii(k, R0, w), got {value!r}; see margin_lab.optim.exponential_radii"
        )


METHODS: dict[str, Method] = {
    "gd": Method("l2", gd, needs_loss=True),
    "momentum": Method(
        "l2",
        momentum,
        {"momentum": 0.9},
        {"momentum": below_one},
        start=Momentum.start,
        numeric=("momentum",),
        needs_loss=True,
    ),
    "sgd": Method(
        "l2",
        sgd,
        {"batch_size": 32, "momentum": 0.0, "normalized": False},
        {
            "batch_size": lambda v: integer(v, "batch_size", least=1),
            "momentum": below_one,
            "normalized": _flag("normalized"),
        },
        start=MiniBatches.start,
        numeric=("momentum",),
        needs_gradient=False,
    ),
    "ngd": Method("l2", ngd, {"form": "loss"}, {"form": lambda v: choice(v, "form", FORMS)}),
    "nacson": Method("l2", nacson, start=lambda w, problem, h: itertools.count()),
    "dual": Method("l2", dual, start=Dual.start),
    "loss_based": Method(
        "l2",
        loss_based,
        {"up": UP, "down": DOWN},
        {"up": lambda v: check_factor(v, "up"), "down": lambda v: check_factor(v, "down")},
        start=RollBack.start,
        numeric=("up", "down"),
        needs_loss=True,
    ),
    "prgd": Method(
        "l2",
        prgd,
        {"radii": exponential_radii(1.2), "period": 5, "norm": "l2", "blocks": "joint", "decay": 0.0},
        {
            "radii": _callable_radii,
            "period": lambda v: period_of(v, 0),
            "norm": ball_norm,
            "blocks": lambda v: choice(v, "blocks", BLOCKS),
            "decay": lambda v: nonnegative(v, "decay"),
        },
        start=start_prgd,
        numeric=("decay",),
        warmup=1000,
    ),
    "sign": _steepest("linf"),
    "coordinate": _steepest("l1"),
    "spectral": _steepest("spectral"),
    "steepest": _steepest(None),
    "adam": Method(
        "linf",
        adam,
        {"beta1": 0.9, "beta2": 0.999, "eps": 1e-8},
        {
            "beta1": lambda v: check_beta(v, "beta1"),
            "beta2": lambda v: check_beta(v, "beta2"),
            "eps": lambda v: nonnegative(v, "eps"),
        },
        start=lambda w, problem, h: AdamState.start(w),
        numeric=("beta1", "beta2", "eps"),
        needs_loss=True,
    ),
    "shampoo": Method(
        "spectral",
        shampoo,
        {"beta2": 0.0, "eps": 0.0},
        {"beta2": check_memory, "eps": lambda v: nonnegative(v, "eps")},
        start=_matrices("shampoo", ShampooState),
        numeric=("beta2", "eps"),
        needs_loss=True,
    ),
    "muon": Method(
        "spectral",
        muon,
        {"momentum": 0.95, "nesterov": True, "polar": "newton-schulz"},
        {"momentum": below_one, "nesterov": _flag("nesterov"), "polar": get_polar},
        start=_matrices("muon", MuonState),
        numeric=("momentum",),
        needs_loss=True,
    ),
    "certified": Method(
        "l2",
        None,
        {"form": "auto", "tol": 1e-12},
        {"form": lambda v: choice(v, "form", FORMS_OF_SEARCH), "tol": lambda v: positive(v, "tol")},
    ),
}

# Options of every method.
COMMON: dict[str, Callable[[Any], Any]] = {
    "lr": lambda v: positive(v, "lr"),
    "seed": lambda v: integer(v, "seed"),
}
