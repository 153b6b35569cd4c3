"""Mini-batch SGD on linear models, batched over seeds, batch sizes and step sizes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from margin_lab.losses import log_loss_of_margins, loss_weights
from margin_lab.runs.method import Problem


class MiniBatches:
    """Every row's next mini-batch: without replacement, reshuffled each epoch, the last one of an epoch possibly smaller.

    Rows of one seed and batch size share their batches, whatever their other settings and data: differences between them are then
    not luck. Batches are drawn on the CPU, so that a GPU sees the same ones.
    """

    def __init__(self, problem: Problem, h: Mapping[str, Any], w: Tensor):
        n = problem.Z.shape[1]
        self.Z, self.loss, self.reduction = problem.Z, problem.loss, problem.reduction
        keys = [(seed, min(size, n)) for seed, size in zip(h["seed"], h["batch_size"], strict=True)]
        groups = list(dict.fromkeys(keys))
        self.streams = [_batches(n, *key) for key in groups]
        self.longest = max(size for _, size in groups)
        self.group = torch.tensor([groups.index(key) for key in keys], device=w.device)
        self.dataset = torch.arange(len(w), device=w.device)[:, None] // problem.runs_each
        self.normalized = torch.tensor(h["normalized"], device=w.device)[:, None]
        self.velocity = torch.zeros_like(w)

    @classmethod
    def start(cls, w: Tensor, problem: Problem, h: Mapping[str, Any]) -> MiniBatches:
        return cls(problem, h, w)

    def gradient(self, w: Tensor) -> Tensor:
        """Gradient ``[B, d]`` of the next batch's loss (mean or sum), or of its log where ``normalized``."""
        # a short batch is filled up with -1, and the margins there set to infinity: no loss, no weight
        index = torch.full((len(self.streams), self.longest), -1)
        for row, stream in zip(index, self.streams, strict=True):
            batch = next(stream)
            row[: len(batch)] = batch
        index = index.to(w.device)[self.group]
        Z = self.Z[self.dataset, index]
        q = (Z @ w[:, :, None])[:, :, 0].masked_fill(index < 0, torch.inf)
        grad = -(loss_weights(q, self.loss)[:, None, :] @ Z)[:, 0]
        loss = log_loss_of_margins(q, self.loss, "sum").exp()
        if self.reduction == "mean":
            loss = loss / (index >= 0).sum(-1)
        return torch.where(self.normalized, grad, loss[:, None] * grad)


def sgd(w: Tensor, grad: None, log_loss: None, h: Mapping[str, Any], state: MiniBatches) -> Tensor:
    """``v <- momentum v + g``, ``w <- w - lr v``, with ``g`` of one mini-batch: ``grad L``, or ``grad log L`` if normalized."""
    state.velocity = h["momentum"] * state.velocity + state.gradient(w)
    return w - h["lr"] * state.velocity


def _batches(n: int, seed: int, size: int) -> Iterator[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    while True:
        yield from torch.randperm(n, generator=generator).split(size)
