"""Steepest descent in any norm, on a batch of runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from margin_lab.norms import Norm
from margin_lab.optim.steepest import averaged, own_norm, steepest_update
from margin_lab.runs.method import Problem


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
        given = h["norm"][0] if norm is None else norm
        # a linear model's w is a vector, of one layer
        shapes = problem.shapes or {"w": w.shape[1:]}
        weight = h["average"] if bool((h["average"] > 0).any()) else None
        return cls(
            own_norm(given, shapes, h["polar"][0] if "polar" in h else "exact"),
            h["rule"][0],
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


def _caps(values: list[float | None], like: Tensor) -> Tensor | None:
    if all(v is None for v in values):
        return None
    return like.new_tensor([torch.inf if v is None else v for v in values])[:, None]
