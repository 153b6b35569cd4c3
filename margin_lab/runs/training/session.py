"""The state of one training run between epochs, and how an epoch changes it."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from margin_lab.checks import DivergedError
from margin_lab.optim.base import LogLossOptimizer
from margin_lab.optim.loss_based import LossBasedLR
from margin_lab.runs.training.objective import Objective, all_outputs, one_column


class Session:
    """A network, its optimizer and schedule, the order of the data, and the full loss where it stands.

    Attributes:
        epoch: passes over the data so far. log_loss: natural log of the mean loss. q: ``[n]`` margins.

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
                    f"training diverged in epoch {self.epoch}: the loss was 1e{self.log_loss / math.log(10):.3g} and is no "
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
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": None if self.schedule is None else self.schedule.state_dict(),
            "order": self.order.get_state(),
            "generator": torch.get_rng_state(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from :meth:`state_dict`."""
        self.epoch = state["epoch"]
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.schedule is not None:
            self.schedule.load_state_dict(state["schedule"])
        self.order.set_state(state["order"])
        torch.set_rng_state(state["generator"])
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
