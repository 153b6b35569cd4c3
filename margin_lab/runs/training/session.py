"""The state of one training run between epochs, and how an epoch changes it."""

from __future__ import annotations

import math
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from margin_lab.checks import DivergedError
from margin_lab.losses import log10_of
from margin_lab.models.buffers import copy_buffers, restore_buffers
from margin_lab.optim.base import LogLossOptimizer
from margin_lab.optim.loss_based import LossBasedLR
from margin_lab.runs.training.objective import Objective, all_outputs, one_column
from margin_lab.runs.training.randomness import OwnRandomness, draws_random_numbers


class Session:
    """A network, its optimizer and schedule, the order of the data, and the full loss where it stands.

    Attributes:
        epoch: passes over the data so far. log_loss: natural log of the full loss. q: ``[n]`` margins.

    Raises:
        DivergedError: a loss at the start that is not finite.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        schedule: LossBasedLR | None,
        objective: Objective,
        X: Tensor,
        y: Tensor,
        batch: int,
        seed: int,
    ):
        self.model, self.optimizer, self.schedule, self.objective = model, optimizer, schedule, objective
        self.X, self.y, self.batch = X, y, batch
        # always the CPU's, so that the order does not depend on the device
        self.order = torch.Generator().manual_seed(seed)
        self.randomness = OwnRandomness(seed, X.device)
        self.draws = draws_random_numbers(model, X[:batch], self.randomness)
        self.epoch = 0
        self.log_loss, self.q = self._full()
        if not math.isfinite(self.log_loss):
            raise DivergedError(
                f"the loss at the start is not finite (log loss {self.log_loss}); start from smaller parameters"
            )
        if schedule is not None:
            schedule.start(self.log_loss)

    def advance(self) -> None:
        """One pass over the data; under the loss-based schedule, kept or rolled back.

        Raises:
            DivergedError: a loss that is not finite, under a constant learning rate.
        """
        with self.randomness.drawn_from() if self.draws else nullcontext():
            self._advance()

    def _advance(self) -> None:
        self.epoch += 1
        try:
            complete = self._pass()
        except DivergedError:
            if self.schedule is None:
                raise
            complete = False
        value, q = self._full() if complete else (math.nan, self.q)
        if self.schedule is None:
            if math.isnan(value) or value == math.inf:
                raise DivergedError(
                    f"training diverged in epoch {self.epoch}: the loss was 1e{log10_of(self.log_loss):.3g} and is no "
                    'number now; lower lr, start from smaller parameters, or use schedule="loss_based"'
                )
        # log L = -inf: a naive loss that is exactly 0, which no schedule can go on from
        elif value != -math.inf and not self.schedule.step(value):
            return
        self.log_loss, self.q = value, q

    def rates(self) -> dict[str, float]:
        """Learning rate of the first group, and epochs rolled back."""
        return {
            "lr": float(self.optimizer.param_groups[0]["lr"]),
            "rejected": 0 if self.schedule is None else self.schedule.rejected,
        }

    def state_dict(self) -> dict[str, Any]:
        """All that the next epoch depends on."""
        return {
            "epoch": self.epoch,
            "parameters": {name: p.detach() for name, p in self.model.named_parameters()},
            "buffers": copy_buffers(self.model),
            "optimizer": self.optimizer.state_dict(),
            "schedule": None if self.schedule is None else self.schedule.state_dict(),
            "order": self.order.get_state(),
            "randomness": self.randomness.states,
        }

    @torch.no_grad()
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from :meth:`state_dict`."""
        self.epoch = state["epoch"]
        for name, p in self.model.named_parameters():
            p.copy_(state["parameters"][name])
        restore_buffers(self.model, state["buffers"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.schedule is not None:
            self.schedule.load_state_dict(state["schedule"])
        self.order.set_state(state["order"])
        # those of a device that is no longer there are left as the seed made them
        self.randomness.states.update(
            {k: v for k, v in state["randomness"].items() if k in self.randomness.states}
        )
        self.log_loss, self.q = self._full()

    def _full(self) -> tuple[float, Tensor]:
        return self.objective.full(all_outputs(self.model, self.X), self.y)

    def _pass(self) -> bool:
        """Steps over all batches in a new order; False as soon as a batch's loss is not finite."""
        frame = 0.0 if self.schedule is None else self.schedule.log_frame
        through_log = isinstance(self.optimizer, LogLossOptimizer)
        self.model.train()
        order = torch.randperm(len(self.X), generator=self.order).to(self.X.device)
        for rows in order.split(self.batch):
            X, y = self.X[rows], self.y[rows]

            def closure(X: Tensor = X, y: Tensor = y) -> Tensor:
                self.optimizer.zero_grad()
                f = one_column(self.model(X))
                if through_log:
                    value = self.objective.log_batch(f, y) - frame
                else:
                    value = self.objective.relative(f, y, frame)
                value.backward()
                return value

            value = self.optimizer.step(closure)  # type: ignore[arg-type]
            if not math.isfinite(float(torch.as_tensor(value).detach())):
                return False
        return True
