"""A network's trained parameters as one vector, the ``theta [P]`` of the theory; batches of them are ``[B, P]``."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from margin_lab.checks import finite
from margin_lab.models.network import Network
from margin_lab.models.private import private_copy, trained_parameters


def parameter_shapes(model: nn.Module) -> dict[str, torch.Size]:
    """Names and shapes of the trained parameters, in the order in which ``theta`` holds them."""
    return {name: p.shape for name, p in trained_parameters(model).items()}


def flat_parameters(model: nn.Module) -> Tensor:
    """A copy of the trained parameters as one vector ``[P]``."""
    return torch.cat([p.reshape(-1) for p in trained_parameters(model).values()])


def unflatten(theta: Tensor, shapes: Mapping[str, torch.Size]) -> dict[str, Tensor]:
    """Views of ``theta [..., P]`` as named tensors ``[..., *shape]``.

    Raises:
        ValueError: another number of parameters than the shapes have.
    """
    sizes = [shape.numel() for shape in shapes.values()]
    if theta.ndim < 1 or theta.shape[-1] != sum(sizes):
        raise ValueError(f"theta must end in {sum(sizes)} parameters, got shape {tuple(theta.shape)}")
    parts = theta.split(sizes, -1)
    return {
        name: part.unflatten(-1, shape) if len(shape) else part[..., 0]
        for (name, shape), part in zip(shapes.items(), parts, strict=True)
    }


def model_with(model: nn.Module, theta: Tensor) -> nn.Module:
    """A copy of ``model`` with the trained parameters ``theta [P]``."""
    copied = private_copy(model)
    named = dict(copied.named_parameters())
    with torch.no_grad():
        for name, value in unflatten(finite(theta.detach(), "theta"), parameter_shapes(model)).items():
            named[name].copy_(value)
    return copied


def starts(model: Network, seeds: Iterable[int], scale: float = 1.0) -> Tensor:
    """Fresh initial parameters ``[S, P]``, one row a seed; ``model`` itself is left as it is."""
    if not isinstance(model, Network):
        raise ValueError(
            f"only margin_lab.models can be drawn again, not {type(model).__name__}; pass theta0 [B, P] instead"
        )
    fresh = copy.deepcopy(model)
    return torch.stack([flat_parameters(fresh.reset(seed, scale)) for seed in seeds])
