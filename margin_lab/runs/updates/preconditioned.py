"""Steps divided by second moments or orthogonalised, on a batch of runs: Adam, Shampoo, Muon."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from margin_lab.optim.adam import AdamState, adam_update
from margin_lab.optim.muon import MuonState, muon_update
from margin_lab.optim.shampoo import ShampooState, shampoo_update
from margin_lab.runs.method import Problem


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
    nesterov, polar = h["nesterov"][0], h["polar"][0]
    return muon_update(w, grad, log_loss, h["lr"], mean, shapes, h["momentum"], nesterov, polar)


def shapes_of(problem: Problem, method: str) -> Mapping[str, torch.Size]:
    """The layers' shapes; ValueError for a linear model, whose one parameter is a vector."""
    if not problem.shapes:
        raise ValueError(
            f"{method!r} works on matrices, and a linear model's w is a vector; use sweep_network, with models.MLP([d, k]) "
            "for a linear classifier of k classes"
        )
    return problem.shapes
