"""How long a steepest-descent step is: one rule and two caps, shared by the torch optimizer and the batched runs.

A step is ``theta <- theta + length * u`` with ``u`` the unit steepest direction of the chosen norm, all lengths in that norm.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from margin_lab.checks import choice, positive

# rule: length before the caps
RULES = {
    "gradient": "lr * ||grad L||_*",
    "log": "lr * ||grad log L||_*",
    "unit": "lr",
    "relative": "lr * ||theta||",
}


def step_length(
    rule: str,
    lr: Any,
    dual: Tensor,
    size: Tensor | None = None,
    log_loss: Tensor | None = None,
    max_length: Any = None,
    max_fall: Any = None,
) -> Tensor:
    """The length ``[..., 1]`` of a step.

    Args:
        rule: "gradient": ``lr ||grad L||_*``, the paper's eq. (1). "log": ``lr ||grad log L||_*``, the same for log L, whose
            steps do not vanish with the loss. "unit": ``lr``. "relative": ``lr ||theta||``.
        lr: a number, or a tensor that broadcasts against ``[..., 1]``.
        dual: ``||grad log L||_*`` ``[..., 1]``. size: ``||theta||`` ``[..., 1]``, for "relative".
        log_loss: ``[..., 1]``, for "gradient".
        max_length: no step is longer. Networks need it with "log" at the start, where log L is steep.
        max_fall: no step lowers log L by more, to first order: ``length * ||grad log L||_* <= max_fall``. A step in proportion to
            ``||theta||`` alone would chatter once ``log 1/L`` is large: the own margin then falls by a factor, which looks like
            a counterexample to Theorem 3.1 and is none.
    """
    length = lr * _scale(rule, dual, size, log_loss)
    if max_fall is not None:
        length = torch.minimum(length, max_fall / dual.clamp_min(torch.finfo(dual.dtype).tiny))
    if max_length is not None:
        length = torch.minimum(length, torch.as_tensor(max_length, dtype=dual.dtype, device=dual.device))
    return length


def _scale(rule: str, dual: Tensor, size: Tensor | None, log_loss: Tensor | None) -> Tensor:
    if rule == "gradient" and log_loss is not None:
        return torch.exp(log_loss) * dual
    if rule == "relative" and size is not None:
        return size
    return dual if rule == "log" else torch.ones_like(dual)


def check_rule(value: Any) -> None:
    """Raise ValueError unless ``value`` names a rule."""
    choice(value, "rule", tuple(RULES))


def check_cap(value: Any, name: str) -> None:
    """Raise ValueError unless ``value`` is None or a number > 0."""
    if value is not None:
        positive(value, name)
