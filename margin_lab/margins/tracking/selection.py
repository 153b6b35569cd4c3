"""Which parameters a tracker normalises by, and which layers they make."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from margin_lab.models.private import PureModel

_HEADS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Bilinear)


def selected(pure: PureModel, params: str | Sequence[str]) -> dict[str, Tensor]:
    """The parameters called "all", "head" (of the last trained affine module, in order of registration) or by their names.

    Raises:
        ValueError: another word, names that the model has not or does not train, a model without an affine module.
    """
    if params == "all":
        return dict(pure.theta)
    if params == "head":
        for name, module in reversed(list(pure.module.named_modules())):
            own = {f"{name}.{key}" if name else key for key, _ in module.named_parameters(recurse=False)}
            found = {key: p for key, p in pure.theta.items() if key in own}
            if isinstance(module, _HEADS) and found:
                return found
        raise ValueError(
            f"{type(pure.module).__name__} has no trained linear or convolutional module to call its head; name the parameters"
        )
    if isinstance(params, str) or not params:
        raise ValueError(f"params must be 'all', 'head' or a list of parameters' names, got {params!r}")
    if unknown := sorted(set(params) - set(pure.theta)):
        raise ValueError(
            f"{type(pure.module).__name__} trains no parameters {unknown}; it trains {', '.join(pure.theta)}"
        )
    return {name: p for name, p in pure.theta.items() if name in params}


def layers(pure: PureModel, theta: dict[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """Those of the parameters that belong to each module, by the module's name."""
    found: dict[str, dict[str, Tensor]] = {}
    for name, p in theta.items():
        # "layers.0.parametrizations.weight.original1" belongs to "layers.0"
        owner = (
            name.split(".parametrizations.")[0] if ".parametrizations." in name else name.rpartition(".")[0]
        )
        found.setdefault(owner, {})[name] = p
    return found


def matrices(theta: dict[str, Tensor]) -> list[Any]:
    """The weights with two axes or more, each as the matrix ``[out, rest]``."""
    return [p.detach().double().flatten(1) for p in theta.values() if p.ndim >= 2]
