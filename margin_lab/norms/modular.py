"""Norms of a whole network: the modular norm ``max_l ||W_l||_(l)``, with a norm of its own for every layer.

They act on flat parameters ``theta [..., P]``, which hold the layers one after the other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from margin_lab.norms.base import Norm

Shape = Sequence[int]


class Modular(Norm):
    """``||theta|| = max_l ||W_l||_(l)``; dual: the sum of the layers' dual norms; direction: every layer's own, of unit norm.

    So steepest descent moves all layers, each by the same length in its own norm. A layer whose gradient is 0 stays.

    Args:
        shapes: ``{name: shape}`` of the layers, in the order in which ``theta`` holds them.
        norms: one for each name. A norm of matrices needs a layer of two axes or more; those beyond the first are flattened, as
            for a convolution's kernel. A vector norm takes all of a layer's entries.
        name: what margins in this norm are called.

    Raises:
        ValueError: no layers, names that do not match, a norm of matrices on a vector, ``theta`` of another length.

    Source: Large et al. 2024 (the modular norm); Flavors of Margin, Appendix.
    """

    def __init__(self, shapes: Mapping[str, Shape], norms: Mapping[str, Norm], name: str = "modular"):
        if not shapes or set(shapes) != set(norms):
            raise ValueError(f"layers {list(shapes)} and norms for {list(norms)} do not match")
        self.shapes = {layer: tuple(int(n) for n in shape) for layer, shape in shapes.items()}
        self.norms = {layer: norms[layer] for layer in shapes}
        self.name = name
        self._sizes = [torch.Size(shape).numel() for shape in self.shapes.values()]
        for layer, norm in self.norms.items():
            if norm.matrix and len(self.shapes[layer]) < 2:
                raise ValueError(
                    f"the {norm.name} norm is of a matrix, but {layer} has shape {self.shapes[layer]}; "
                    "give vectors a vector norm, such as 'l2'"
                )

    def __call__(self, v: Tensor) -> Tensor:
        return torch.stack([norm(part) for norm, part in self._parts(v)]).amax(0)

    def dual(self, g: Tensor) -> Tensor:
        return torch.stack([norm.dual(part) for norm, part in self._parts(g)]).sum(0)

    def direction(self, g: Tensor) -> Tensor:
        return self._joined([norm.direction(part) for norm, part in self._parts(g)], g)

    def dual_and_direction(self, g: Tensor) -> tuple[Tensor, Tensor]:
        duals, directions = zip(
            *(norm.dual_and_direction(part) for norm, part in self._parts(g)), strict=True
        )
        return torch.stack(duals).sum(0), self._joined(directions, g)

    def layers(self, v: Tensor) -> dict[str, Tensor]:
        """Each layer's norm in its own norm, ``{name: [...]}``."""
        return {layer: norm(part) for layer, (norm, part) in zip(self.shapes, self._parts(v), strict=True)}

    def _parts(self, v: Tensor) -> list[tuple[Norm, Tensor]]:
        if v.ndim < 1 or v.shape[-1] != sum(self._sizes):
            raise ValueError(
                f"the {self.name} norm of the layers {self.shapes} needs {sum(self._sizes)} parameters, got shape "
                f"{tuple(v.shape)}; a frozen layer is none of them"
            )
        layers = zip(self.norms.values(), self.shapes.values(), v.split(self._sizes, -1), strict=True)
        return [
            (norm, part.unflatten(-1, (shape[0], -1)) if norm.matrix else part)
            for norm, shape, part in layers
        ]

    @staticmethod
    def _joined(parts: Sequence[Tensor], like: Tensor) -> Tensor:
        return torch.cat([part.reshape(*like.shape[:-1], -1) for part in parts], -1)
