"""The spectral norm of a matrix, which is steepest descent's way to Muon and Shampoo. It acts on the last two axes."""

from __future__ import annotations

import torch
from torch import Tensor

from margin_lab.norms.base import Norm


class Spectral(Norm):
    """Largest singular value of one matrix; dual: the nuclear norm; direction: ``-U V^T`` from the SVD."""

    name = "spectral"
    matrix = True

    def __call__(self, v: Tensor) -> Tensor:
        return torch.linalg.matrix_norm(_matrix(v), 2)

    def dual(self, g: Tensor) -> Tensor:
        return torch.linalg.matrix_norm(_matrix(g), "nuc")

    def direction(self, g: Tensor) -> Tensor:
        u, s, vh = torch.linalg.svd(_matrix(g), full_matrices=False)
        return torch.where(s[..., :1, None] > 0, -(u @ vh), torch.zeros_like(g))


def _matrix(v: Tensor) -> Tensor:
    if v.ndim < 2:
        raise ValueError(
            f"the spectral norm needs a matrix, got shape {tuple(v.shape)}; use 'l2' for a vector"
        )
    return v
