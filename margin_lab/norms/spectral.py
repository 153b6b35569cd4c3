"""The spectral norm of a matrix, whose steepest descent is behind Muon and Shampoo. It acts on the last two axes."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from margin_lab.norms.base import Norm

# G [..., a, b] -> U V^T [..., a, b], exactly or nearly
Polar = Callable[[Tensor], Tensor]


def polar_factor(g: Tensor) -> Tensor:
    """``U V^T`` of ``G = U S V^T [..., a, b]`` by the SVD: singular values become 1, those that are 0 (to rounding) stay 0."""
    u, s, vh = torch.linalg.svd(_matrix(g), full_matrices=False)
    # Singular vectors of a zero are arbitrary: kept, they would move what the gradient does not touch (dead units, blank pixels).
    rounding = s[..., :1] * max(g.shape[-2:]) * torch.finfo(g.dtype).eps
    return (u * (s > rounding)[..., None, :]) @ vh


class Spectral(Norm):
    """Largest singular value of one matrix; dual: the nuclear norm, the sum of them; direction: ``-U V^T``.

    Args:
        polar: computes ``U V^T``. Exact by default; with an approximate one, such as five Newton-Schulz steps, directions are no
            longer of unit norm, and the dual norm stays exact. See ``margin_lab.optim.polar``.
    """

    name = "spectral"
    matrix = True

    def __init__(self, polar: Polar = polar_factor):
        self.polar = polar

    def __call__(self, v: Tensor) -> Tensor:
        return torch.linalg.matrix_norm(_matrix(v), 2)

    def dual(self, g: Tensor) -> Tensor:
        return torch.linalg.matrix_norm(_matrix(g), "nuc")

    def direction(self, g: Tensor) -> Tensor:
        return -self.polar(_matrix(g))

    def dual_and_direction(self, g: Tensor) -> tuple[Tensor, Tensor]:
        if self.polar is not polar_factor:
            return self.dual(g), self.direction(g)
        # <G, U V^T> is the nuclear norm: one SVD does for both
        factor = polar_factor(g)
        return (g * factor).sum((-2, -1)), -factor


def _matrix(v: Tensor) -> Tensor:
    if v.ndim < 2:
        raise ValueError(
            f"the spectral norm needs a matrix, got shape {tuple(v.shape)}; use 'l2' for a vector"
        )
    return v
