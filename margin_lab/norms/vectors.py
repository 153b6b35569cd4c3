"""Norms of vectors: l1, l2, linf, every lp between, and their weighted forms. They act on the last axis."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from margin_lab.checks import as_tensor, finite, positive
from margin_lab.norms.base import Norm


class L1(Norm):
    """Sum of absolute values; dual: the largest one. Its direction moves one coordinate, the first of the largest."""

    name = "l1"

    def __call__(self, v: Tensor) -> Tensor:
        return v.abs().sum(-1)

    def dual(self, g: Tensor) -> Tensor:
        return g.abs().amax(-1)

    def direction(self, g: Tensor) -> Tensor:
        # argmax takes the first of equal entries: coordinate descent's tie rule
        j = g.abs().argmax(-1, keepdim=True)
        return torch.zeros_like(g).scatter(-1, j, -torch.sign(g.gather(-1, j)))

    def project(self, v: Tensor, radius: Tensor | float) -> Tensor:
        """Soft-threshold at the level that leaves ``||.||_1 = radius`` (Duchi et al. 2008, by sorting)."""
        r = _radius(v, radius)
        a = v.abs()
        descending = a.sort(-1, descending=True).values
        excess = descending.cumsum(-1) - r
        count = torch.arange(1, v.shape[-1] + 1, device=v.device, dtype=v.dtype)
        last = (descending * count > excess).sum(-1, keepdim=True).clamp_min(1) - 1
        level = excess.gather(-1, last) / (last + 1)
        inside = a.sum(-1, keepdim=True) <= r
        return torch.where(inside, v, torch.sign(v) * (a - level).clamp_min(0))


class L2(Norm):
    """Euclidean length, its own dual."""

    name = "l2"

    def __call__(self, v: Tensor) -> Tensor:
        return _scaled_p_norm(v, 2)

    def dual(self, g: Tensor) -> Tensor:
        return self(g)

    def direction(self, g: Tensor) -> Tensor:
        scaled = g / _scale(g)
        length = torch.linalg.vector_norm(scaled, dim=-1, keepdim=True)
        return -scaled / torch.where(length > 0, length, torch.ones_like(length))

    def project(self, v: Tensor, radius: Tensor | float) -> Tensor:
        # 0 / 0 cannot happen: radius > 0, so a zero vector has ratio inf, clamped to 1
        return v * (_radius(v, radius) / self(v)[..., None]).clamp_max(1)


class LInf(Norm):
    """Largest absolute value; dual: their sum. Its direction is ``-sign(g)``, 0 where ``g`` is 0."""

    name = "linf"

    def __call__(self, v: Tensor) -> Tensor:
        return v.abs().amax(-1)

    def dual(self, g: Tensor) -> Tensor:
        return g.abs().sum(-1)

    def direction(self, g: Tensor) -> Tensor:
        return -torch.sign(g)

    def project(self, v: Tensor, radius: Tensor | float) -> Tensor:
        r = _radius(v, radius)
        return torch.maximum(torch.minimum(v, r), -r)


@dataclass(frozen=True)
class Lp(Norm):
    """``l_p``, 1 < p < inf, with dual ``l_q``, ``1/p + 1/q = 1``."""

    p: float

    @property
    def name(self) -> str:  # type: ignore[override]
        return f"l{self.p:g}"

    @property
    def q(self) -> float:
        return self.p / (self.p - 1)

    def __call__(self, v: Tensor) -> Tensor:
        return _scaled_p_norm(v, self.p)

    def dual(self, g: Tensor) -> Tensor:
        return _scaled_p_norm(g, self.q)

    def direction(self, g: Tensor) -> Tensor:
        # normalised after the power, which amplifies rounding errors by q: the length is 1 however close p is to 1
        power = (g.abs() / _scale(g)) ** (1 / (self.p - 1))
        length = torch.linalg.vector_norm(power, self.p, dim=-1, keepdim=True)
        return -torch.sign(g) * power / torch.where(length > 0, length, torch.ones_like(length))


class Weighted(Norm):
    """``||v|| = ||weights * v||`` in a vector norm: a norm of one's own, with its ball squeezed along chosen axes.

    Its dual is ``||g / weights||_*``. A large weight makes a coordinate dear: steepest descent then moves it little. The max
    margin in it is the plain one of the data ``x / weights``, at ``weights * w``.

    Args:
        norm: "l1", "l2", "linf" or a number p. weights: ``[d]``, all > 0.

    Raises:
        ValueError: weights that are not positive numbers, a norm of matrices, vectors of another length.

    Example:
        >>> float(Weighted(L1(), [1.0, 3.0])(torch.tensor([1.0, 1.0])))
        4.0
    """

    def __init__(self, norm: Norm, weights: Any):
        self.weights = finite(as_tensor(weights, "weights"), "weights")
        if self.weights.ndim != 1 or not bool((self.weights > 0).all()):
            raise ValueError(
                f"weights must be a list of numbers > 0, one per coordinate, got {self.weights.tolist()}"
            )
        if norm.matrix:
            raise ValueError(f"only vector norms can be weighted, got {norm.name!r}")
        self.inner = norm
        self.name = f"weighted {norm.name}"

    def __call__(self, v: Tensor) -> Tensor:
        return self.inner(v * self._fitting(v))

    def dual(self, g: Tensor) -> Tensor:
        return self.inner.dual(g / self._fitting(g))

    def direction(self, g: Tensor) -> Tensor:
        weights = self._fitting(g)
        return self.inner.direction(g / weights) / weights

    def _fitting(self, v: Tensor) -> Tensor:
        if v.shape[-1:] != self.weights.shape:
            raise ValueError(f"{len(self.weights)} weights do not fit vectors of shape {tuple(v.shape)}")
        return self.weights.to(v)


def _scale(v: Tensor) -> Tensor:
    # the largest entry, or the smallest positive number where all are 0 (then 0 / tiny = 0)
    return torch.linalg.vector_norm(v, math.inf, dim=-1, keepdim=True).clamp_min(torch.finfo(v.dtype).tiny)


def _scaled_p_norm(v: Tensor, p: float) -> Tensor:
    # scaled by the largest entry: no overflow of powers at PRGD's radii, no underflow at tiny gradients
    top = _scale(v)
    return torch.linalg.vector_norm(v / top, p, dim=-1) * top[..., 0]


def _radius(v: Tensor, radius: Tensor | float) -> Tensor:
    # A tensor of radii, one per batch row, comes from code that has checked it: looking again would stall a GPU each step.
    if isinstance(radius, Tensor):
        return radius.to(v)[..., None]
    return v.new_tensor(positive(radius, "radius"))[..., None]
