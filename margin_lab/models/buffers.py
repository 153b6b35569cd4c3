"""A network's buffers: what it remembers beside its parameters, such as BatchNorm's running means."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn


def copy_buffers(model: nn.Module) -> dict[str, Tensor]:
    """Copies of all buffers by name, those that ``state_dict`` leaves out included."""
    return {name: b.detach().clone() for name, b in model.named_buffers()}


@torch.no_grad()
def restore_buffers(model: nn.Module, saved: Mapping[str, Tensor]) -> None:
    """Put buffers back, in place, from copies on any device.

    Raises:
        ValueError: buffers of another network.
    """
    current = dict(model.named_buffers())
    if current.keys() != saved.keys():
        differ = sorted(current.keys() ^ saved.keys())
        raise ValueError(f"these are the buffers of another network: {differ} are not in both")
    for name, value in saved.items():
        if current[name].shape == value.shape:
            current[name].copy_(value)
        else:  # a buffer that the network itself replaces by one of another shape
            parent, _, own = name.rpartition(".")
            setattr(model.get_submodule(parent), own, value.to(current[name].device).clone())
