"""Batched updates whose steps depend on a norm, on second moments or on matrices: steepest descent, Adam, Shampoo, Muon."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from margin_lab.norms import Norm
from margin_lab.optim.adam import AdamState, adam_update
from margin_lab.optim.muon import MuonState, muon_update
from margin_lab.optim.shampoo import ShampooState, shampoo_update
from margin_lab.optim.steepest import averaged, own_norm, steepest_update
from margin_lab.runs.problem import Problem


@dataclass
class Steepest:
    """The norm and step rule that all rows share, their caps ``[B, 1]``, and each row's running mean of gradients ``[B, P]``."""

    norm: Norm
    rule: str
    max_length: Tensor | None
    max_fall: Tensor | None
    weight: Tensor | None
    mean: Tensor | None = None

    @classmethod
    def start(
        cls, w: Tensor, problem: Problem, h: Mapping[str, Any], norm: str | float | Norm | None = None
    ) -> Steepest:
        """``norm`` is fixed by the method, or else one of its options."""
        given = shared(h, "norm") if norm is None else norm
        # a linear model's w is a vector, of one layer
        shapes = problem.shapes or {"w": w.shape[1:]}
        weight = h["average"] if bool((h["average"] > 0).any()) else None
        return cls(
            own_norm(given, shapes, shared(h, "polar")),
            shared(h, "rule"),
            _caps(h["max_length"], w),
            _caps(h["max_fall"], w),
            weight,
        )


def steepest(w: Tensor, grad: Tensor, log_loss: Tensor, h: Mapping[str, Any], state: Steepest) -> Tensor:
    """Steepest descent with the chosen step rule, along the (averaged) gradient's steepest direction."""
    if state.weight is not None:
        grad = state.mean = averaged(grad, state.mean, state.weight)
    return steepest_update(
        w, grad, h["lr"], state.norm, state.rule, log_loss, state.max_length, state.max_fall
    )


def adam(w: Tensor, grad: Tensor, log_loss: Tensor, h: Mapping[str, Any], state: AdamState) -> Tensor:
    """Adam in the frame of log L."""
    return adam_update(w, grad, log_loss, h["lr"], state, h["beta1"], h["beta2"], h["eps"])


def shampoo(
    w: Tensor, grad: Tensor, log_loss: Tensor, h: Mapping[str, Any], state: tuple[ShampooState, Any]
) -> Tensor:
    """Shampoo on every matrix of a network."""
    grams, shapes = state
    return shampoo_update(w, grad, log_loss, h["lr"], grams, shapes, h["beta2"], h["eps"])


def muon(
    w: Tensor, grad: Tensor, log_loss: Tensor, h: Mapping[str, Any], state: tuple[MuonState, Any]
) -> Tensor:
    """Muon on every matrix of a network."""
    mean, shapes = state
    nesterov, polar = shared(h, "nesterov"), shared(h, "polar")
    return muon_update(w, grad, log_loss, h["lr"], mean, shapes, h["momentum"], nesterov, polar)


def shapes_of(problem: Problem, method: str) -> Mapping[str, torch.Size]:
    """The layers' shapes; ValueError for a linear model, whose one parameter is a vector."""
    if not problem.shapes:
        raise ValueError(
            f"{method!r} works on matrices, and a linear model's w is a vector; use sweep_network, with models.MLP([d, k]) "
            "for a linear classifier of k classes"
        )
    return problem.shapes


def shared(h: Mapping[str, Any], name: str) -> Any:
    """The one value of an option that all rows must share."""
    first, *others = h[name]
    if any(other != first for other in others):
        raise ValueError(f"{name} must be the same for all runs of a sweep; make one sweep for each")
    return first


def _caps(values: list[float | None], like: Tensor) -> Tensor | None:
    if all(v is None for v in values):
        return None
    return like.new_tensor([torch.inf if v is None else v for v in values])[:, None]
