"""How the learning rate of a training moves: a schedule is an object that makes its rule for one run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from margin_lab.checks import integer
from margin_lab.optim.loss_based import DOWN, UP, LossBasedLR, check_factor


@dataclass(frozen=True)
class Constant:
    """The learning rate of the optimizer, for the whole run."""

    name = "constant"

    def rule(self, optimizer: torch.optim.Optimizer, model: nn.Module) -> None:
        """No rule: the optimizer is left alone."""
        return


@dataclass(frozen=True)
class LossBased:
    """Lyu & Li's loss-based learning rate: see :class:`margin_lab.optim.LossBasedLR`.

    Args:
        up, down: factors, > 1, after an epoch that lowered the loss and after one that did not.
        patience: rejections in a row after which the optimizer's state is emptied.

    Raises:
        ValueError: a factor that is not > 1, a patience that is not a whole number >= 1.

    Source: Lyu & Li 2020, appendix L.1.
    """

    up: float = UP
    down: float = DOWN
    patience: int = 5

    name = "loss_based"

    def __post_init__(self) -> None:
        check_factor(self.up, "up")
        check_factor(self.down, "down")
        integer(self.patience, "patience", least=1)

    def rule(self, optimizer: torch.optim.Optimizer, model: nn.Module) -> LossBasedLR:
        """The schedule around one optimizer, which takes the model's buffers back, too."""
        return LossBasedLR(optimizer, self.up, self.down, self.patience, model)


SCHEDULES: dict[str, Constant | LossBased] = {"constant": Constant(), "loss_based": LossBased()}


def get_schedule(schedule: Any) -> Constant | LossBased:
    """A schedule by name, or as it is.

    Raises:
        ValueError: neither a name nor a schedule.
    """
    if isinstance(schedule, (Constant, LossBased)):
        return schedule
    if isinstance(schedule, str) and schedule in SCHEDULES:
        return SCHEDULES[schedule]
    raise ValueError(
        f"schedule must be one of {', '.join(map(repr, SCHEDULES))} or a margin_lab.runs.LossBased(up=, down=, patience=), "
        f"got {schedule!r}"
    )
