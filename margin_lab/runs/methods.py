"""The table of methods that every run and sweep knows: one row each.

An update maps the batch ``w [B, d]``, ``grad log L [B, d]`` and ``log L [B]`` (where it asks for them) to the next ``w``.
Hyperparameters come as ``h[name]``: a tensor ``[B, 1]`` of numbers, else a list of B values (see :class:`margin_lab.Option`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from torch import Tensor

from margin_lab.checks import choice, integer, nonnegative, positive
from margin_lab.norms import get_norm
from margin_lab.optim.adam import AdamState, check_beta
from margin_lab.optim.certified import FORMS as FORMS_OF_SEARCH
from margin_lab.optim.loss_based import DOWN, UP, check_factor
from margin_lab.optim.muon import MuonState
from margin_lab.optim.normalized import FORMS
from margin_lab.optim.polar import get_polar
from margin_lab.optim.prgd import BLOCKS, ball_norm
from margin_lab.optim.radii import exponential_radii, period_of
from margin_lab.optim.shampoo import ShampooState, check_memory
from margin_lab.optim.step_rules import RULES, check_cap
from margin_lab.runs.method import Method, Option, Problem
from margin_lab.runs.updates.descent import (
    Dual,
    Form,
    Momentum,
    dual,
    gd,
    momentum,
    nacson,
    ngd,
    prgd,
    start_prgd,
)
from margin_lab.runs.updates.loss_based import RollBack, loss_based
from margin_lab.runs.updates.preconditioned import adam, muon, shampoo, shapes_of
from margin_lab.runs.updates.steepest import Steepest, steepest
from margin_lab.runs.updates.stochastic import MiniBatches, sgd


def _steepest(norm: str | None) -> Method:
    """A row of steepest descent: normalised in one norm, or by the paper's eq. (1) in that of its option ``norm``."""
    rules = tuple(rule for rule in RULES if rule != "gradient" or norm is None)
    options = {
        "rule": Option(
            "gradient" if norm is None else "unit", lambda v: choice(v, "rule", rules), shared=True
        ),
        "max_length": Option(None, lambda v: check_cap(v, "max_length"), numeric=False),
        "max_fall": Option(None, lambda v: check_cap(v, "max_fall"), numeric=False),
        "average": _fraction("average", 0.0),
    }
    if norm in (None, "spectral"):  # the others have no polar factors
        options["polar"] = Option("exact", get_polar, shared=True)
    if norm is None:
        options["norm"] = _norm(lambda v: v == "modular" or get_norm(v))
    start = partial(Steepest.start, norm=norm)
    return Method(norm, steepest, options, start, needs_loss=norm is None, absorbing=True)


def _matrices(name: str, state: Any) -> Callable[[Tensor, Problem, Mapping[str, Any]], Any]:
    return lambda w, problem, h: (state.start(w), shapes_of(problem, name))


def _norm(check: Callable[[Any], Any]) -> Option:
    # a number p is a norm too, and no tensor
    return Option("l2", check, numeric=False, shared=True)


def _flag(name: str, default: bool, shared: bool = False) -> Option:
    def check(value: Any) -> None:
        if not isinstance(value, bool):
            raise ValueError(f"{name} must be True or False, got {value!r}")

    return Option(default, check, shared=shared)


def _fraction(name: str, default: float) -> Option:
    """``0 <= v < 1``: a momentum, a beta, the weight of a running mean."""
    return Option(default, lambda v: check_beta(v, name))


def _at_least_0(name: str, default: float) -> Option:
    return Option(default, lambda v: nonnegative(v, name))


def _factor(name: str, default: float) -> Option:
    return Option(default, lambda v: check_factor(v, name))


def _callable_radii(value: Any) -> None:
    if not callable(value):
        raise ValueError(
            f"radii must be callable as radii(k, R0, w), got {value!r}; see margin_lab.optim.exponential_radii"
        )


METHODS: dict[str, Method] = {
    "gd": Method("l2", gd, needs_loss=True, absorbing=True),
    "momentum": Method(
        "l2",
        momentum,
        {"momentum": _fraction("momentum", 0.9)},
        Momentum.start,
        needs_loss=True,
        absorbing=True,
    ),
    "sgd": Method(
        "l2",
        sgd,
        {
            "batch_size": Option(32, lambda v: integer(v, "batch_size", least=1), numeric=False),
            "momentum": _fraction("momentum", 0.0),
            "normalized": _flag("normalized", False),
        },
        MiniBatches.start,
        needs_gradient=False,
    ),
    "ngd": Method(
        "l2", ngd, {"form": Option("loss", lambda v: choice(v, "form", FORMS))}, Form.start, absorbing=True
    ),
    "nacson": Method("l2", nacson, absorbing=True),
    "dual": Method("l2", dual, start=Dual.start, absorbing=True),
    "loss_based": Method(
        "l2",
        loss_based,
        {"up": _factor("up", UP), "down": _factor("down", DOWN)},
        RollBack.start,
        needs_loss=True,
    ),
    "prgd": Method(
        "l2",
        prgd,
        {
            "radii": Option(exponential_radii(1.2), _callable_radii),
            "period": Option(5, lambda v: period_of(v, 0), numeric=False),
            "norm": _norm(ball_norm),
            "blocks": Option("joint", lambda v: choice(v, "blocks", BLOCKS), shared=True),
            "decay": _at_least_0("decay", 0.0),
        },
        start_prgd,
        warmup=1000,
    ),
    "sign": _steepest("linf"),
    "coordinate": _steepest("l1"),
    "spectral": _steepest("spectral"),
    "steepest": _steepest(None),
    "adam": Method(
        "linf",
        adam,
        {
            "beta1": _fraction("beta1", 0.9),
            "beta2": _fraction("beta2", 0.999),
            "eps": _at_least_0("eps", 1e-8),
        },
        lambda w, problem, h: AdamState.start(w),
        needs_loss=True,
        absorbing=True,
    ),
    "shampoo": Method(
        "spectral",
        shampoo,
        {"beta2": Option(0.0, check_memory), "eps": _at_least_0("eps", 0.0)},
        _matrices("shampoo", ShampooState),
        needs_loss=True,
        absorbing=True,
    ),
    "muon": Method(
        "spectral",
        muon,
        {
            "momentum": _fraction("momentum", 0.95),
            "nesterov": _flag("nesterov", True, shared=True),
            "polar": Option("newton-schulz", get_polar, shared=True),
        },
        _matrices("muon", MuonState),
        needs_loss=True,
        absorbing=True,
    ),
    "certified": Method(
        "l2",
        None,
        {
            "form": Option("auto", lambda v: choice(v, "form", FORMS_OF_SEARCH)),
            "tol": Option(1e-12, lambda v: positive(v, "tol")),
        },
    ),
}

# Options of every method; default step sizes are the run's own.
COMMON: dict[str, Option] = {
    "lr": Option(1.0, lambda v: positive(v, "lr")),
    "seed": Option(0, lambda v: integer(v, "seed"), numeric=False),
}
