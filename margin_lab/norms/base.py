"""What every norm gives to steepest descent and to margins."""

from __future__ import annotations

import torch
from torch import Tensor


class Norm:
    """A norm ``||.||`` with what steepest descent needs of it.

    ``norm(v)`` is the value, ``norm.dual(g) = max_{||u|| <= 1} <u, g>``, ``norm.direction(g)`` a unit-norm minimiser of
    ``<u, g>`` (0 where ``g = 0``), so ``<g, direction(g)> = -dual(g)``; ``norm.project(v, radius)`` the nearest point, in
    the Euclidean sense, of the ball: ``radius`` is a number > 0, or a tensor with one radius per batch row.
    """

    name: str
    matrix = False  # True for norms of the last two axes

    def __call__(self, v: Tensor) -> Tensor:
        raise NotImplementedError

    def dual(self, g: Tensor) -> Tensor:
        raise NotImplementedError

    def direction(self, g: Tensor) -> Tensor:
        raise NotImplementedError

    def project(self, v: Tensor, radius: Tensor | float) -> Tensor:
        raise ValueError(f"no ball projection for the norm {self.name!r}; 'l1', 'l2' and 'linf' have one")

    def dual_and_direction(self, g: Tensor) -> tuple[Tensor, Tensor]:
        """Both at once, for norms where they share their work."""
        return self.dual(g), self.direction(g)

    def steepest(self, g: Tensor) -> Tensor:
        """Steepest descent's step ``Delta`` (Flavors of Margin, eq. 1): ``||Delta|| = ||g||_*``, ``<Delta, g> = -||g||_*^2``."""
        dual, direction = self.dual_and_direction(g)
        return dual[(..., None, None) if self.matrix else (..., None)] * direction


def norm_gradient(norm: Norm, theta: Tensor) -> Tensor:
    """A subgradient of the norm at ``theta [P]``: of dual norm 1, with ``<n, theta> = ||theta||``."""
    at = theta.detach().requires_grad_()
    with torch.enable_grad():
        (n,) = torch.autograd.grad(norm(at), at)
    return n
