"""The optimizer of a training: made by the caller's function, and described for checkpoints."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn

from margin_lab.checks import positive
from margin_lab.models.description import describe

OptimizerMaker = Callable[[Iterable[Any]], torch.optim.Optimizer]


def make_optimizer(
    maker: OptimizerMaker | None, lr: float | None, parameters: list[nn.Parameter]
) -> torch.optim.Optimizer:
    """Plain SGD, or what the caller's function makes of the parameters.

    Raises:
        ValueError: ``lr`` beside a function, or a function that makes no optimizer.
    """
    if maker is None:
        return torch.optim.SGD(parameters, lr=positive(0.1 if lr is None else lr, "lr"))
    if lr is not None:
        raise ValueError(
            f"lr={lr!r} is the rate of plain SGD and would be ignored beside optimizer; give it to the optimizer that your "
            "function makes"
        )
    made = None if isinstance(maker, torch.optim.Optimizer) else maker(parameters)
    if not isinstance(made, torch.optim.Optimizer):
        raise ValueError(
            "optimizer must be a function that takes the parameters and returns a torch optimizer, such as "
            f"lambda p: torch.optim.Adam(p, lr=1e-3); got {maker!r}"
        )
    return made


def describe_optimizer(optimizer: torch.optim.Optimizer) -> dict[str, str]:
    """The class, the hyperparameters of every group, and settings that an optimizer keeps elsewhere."""
    lines = {"optimizer": type(optimizer).__qualname__}
    for i, group in enumerate(optimizer.param_groups):
        lines[f"parameters in group {i}"] = ", ".join(str(tuple(p.shape)) for p in group["params"])
        lines.update({f"{k} of group {i}": describe(v) for k, v in group.items() if k != "params"})
    for name, value in vars(optimizer).items():
        if not name.startswith("_") and name not in ("defaults", "state", "param_groups"):
            lines[f"{name} of the optimizer"] = describe(value)
    return lines
