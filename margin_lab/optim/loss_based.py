"""Lyu & Li's loss-based learning rate: ``eta = alpha / L`` around any optimizer, with roll-back where an epoch failed."""

from __future__ import annotations

import copy
import math
from typing import Any

import torch
from torch import Tensor, nn

from margin_lab.checks import DivergedError, integer
from margin_lab.models.buffers import copy_buffers, restore_buffers

# Lyu & Li's code: after an epoch that lowered the loss, and after one that did not.
UP, DOWN = 2 ** (1 / 5), 2 ** (1 / 10)
_SAVED = ("up", "down", "patience", "factor", "log_frame", "rejected", "in_a_row", "initial_lrs")


class LossBasedLR:
    """Learning rates ``alpha / L`` that grow while the loss falls: a scheduler with a memory of the last good parameters.

    The optimizer's own learning rates are ``alpha(0)``. Training happens *in the frame of the loss*: the optimizer sees the
    gradient of ``L / L_frame``, with ``L_frame`` the full loss after the last accepted epoch, so that numbers stay near 1
    however small the loss is, and a gradient step with ``alpha`` is one on ``L`` with ``eta = alpha / L_frame``. After each
    epoch :meth:`step` takes the new full loss. If it did not rise, the epoch is kept and ``alpha *= up``; else parameters,
    optimizer state *and*, where ``model`` is given, its buffers go back to what they were and ``alpha /= down``. An overflow
    counts as a rise.

    Old momenta can point uphill, and then no rate is small enough. So after ``patience`` rejections in a row the optimizer
    starts with an empty state from the last good parameters. (The paper's SGD has no state, and is not affected.)

    Args:
        optimizer: any ``torch.optim.Optimizer``; moments it keeps are then those of relative gradients.
        up, down: factors, > 1. Lyu & Li: ``2^(1/5)`` and ``2^(1/10)``.
        patience: rejections in a row after which the optimizer's state is emptied.
        model: whose buffers go back, too; a network with BatchNorm needs it, since its running means decide the loss.

    Example:
        >>> import torch, margin_lab as ml
        >>> data, model = ml.datasets.dataset_1(), ml.models.MLP([2, 8, 1])
        >>> X, y = torch.tensor(data.X), torch.tensor(data.y)
        >>> each = lambda: ml.log_loss(model(X), y, reduction="none")
        >>> full = lambda: ml.log_loss(model(X), y, reduction="mean").item()
        >>> schedule = LossBasedLR(torch.optim.SGD(model.parameters(), lr=0.1))
        >>> schedule.start(full())
        >>> for _ in range(500):
        ...     schedule.optimizer.zero_grad()
        ...     schedule.relative_loss(each()).backward()
        ...     _ = schedule.optimizer.step()
        ...     kept = schedule.step(full())
        >>> full() < -5
        True

    Source: Lyu & Li 2020, appendix L.1; factors from the authors' public code.
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        up: float = UP,
        down: float = DOWN,
        patience: int = 5,
        model: nn.Module | None = None,
    ):
        self.optimizer, self.up, self.down = optimizer, check_factor(up, "up"), check_factor(down, "down")
        self.patience = integer(patience, "patience", least=1)
        self.factor = 1.0
        self.log_frame = math.nan
        self.rejected = self.in_a_row = 0
        self.initial_lrs = [float(group["lr"]) for group in optimizer.param_groups]
        self.model = model
        self._parameters: list[Tensor] = []
        self._buffers: dict[str, Tensor] = {}
        self._state: Any = None

    @property
    def alpha(self) -> float:
        """``alpha`` of the first parameter group."""
        return self.initial_lrs[0] * self.factor

    def start(self, log_loss: float) -> None:
        """Set the frame to the full loss at the start, natural log.

        Raises:
            DivergedError: a loss that is not finite.
        """
        if not math.isfinite(log_loss):
            raise DivergedError(
                f"the loss at the start is not finite (log loss {log_loss}); start from smaller parameters"
            )
        self.log_frame = float(log_loss)
        self._save()

    def relative_loss(self, log_losses: Tensor) -> Tensor:
        """``mean_i exp(log l_i - log L_frame)``: what to call ``backward`` on, given each sample's log loss ``[n]``."""
        self._started()
        return torch.exp(log_losses - self.log_frame).mean()

    def step(self, log_loss: float) -> bool:
        """End an epoch with full loss ``exp(log_loss)``: True if it was kept, False if it was rolled back."""
        self._started()
        kept = math.isfinite(log_loss) and log_loss <= self.log_frame
        if kept:
            self.log_frame = float(log_loss)
            self.factor *= self.up
            self.in_a_row = 0
            self._save()
        else:
            self.rejected += 1
            self.in_a_row += 1
            if self.in_a_row == self.patience:
                self._state = {}
            self.factor /= self.down
            self._restore()
        for group, lr in zip(self.optimizer.param_groups, self.initial_lrs, strict=True):
            group["lr"] = lr * self.factor
        return kept

    def state_dict(self) -> dict[str, Any]:
        """What continues the schedule, between epochs; the model and the optimizer save their own."""
        return {name: getattr(self, name) for name in _SAVED}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from :meth:`state_dict`. Load the model's and the optimizer's first: they become what to go back to."""
        if set(state) != set(_SAVED) or len(state["initial_lrs"]) != len(self.optimizer.param_groups):
            raise ValueError(f"this is no state of a LossBasedLR for this optimizer: {sorted(state)}")
        for name, value in state.items():
            setattr(self, name, copy.copy(value))
        if math.isfinite(self.log_frame):
            self._save()

    def _started(self) -> None:
        if math.isnan(self.log_frame):
            raise ValueError("LossBasedLR has no frame yet: call start(log_loss) with the full loss first")

    def _tensors(self) -> list[Tensor]:
        return [p for group in self.optimizer.param_groups for p in group["params"]]

    def _save(self) -> None:
        self._parameters = [p.detach().clone() for p in self._tensors()]
        self._buffers = {} if self.model is None else copy_buffers(self.model)
        self._state = copy.deepcopy(self.optimizer.state_dict()["state"])

    @torch.no_grad()
    def _restore(self) -> None:
        for p, saved in zip(self._tensors(), self._parameters, strict=True):
            p.copy_(saved)
        if self.model is not None:
            restore_buffers(self.model, self._buffers)
        current = self.optimizer.state_dict()
        if current["state"] or self._state:
            # a copy: the optimizer takes tensors as they are, and changes them in place
            self.optimizer.load_state_dict({**current, "state": copy.deepcopy(self._state)})


def check_factor(value: Any, name: str) -> float:
    """Return ``value``; raise ValueError unless it is a factor by which a rate can grow or shrink: a number > 1."""
    if not (isinstance(value, (int, float)) and math.isfinite(value) and value > 1):
        raise ValueError(f"{name} must be a factor > 1, got {value!r}")
    return float(value)
