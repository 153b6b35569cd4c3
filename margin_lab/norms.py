"""Norms, their duals, steepest directions and ball projections: the geometry every optimizer and margin shares.

Vector norms act on the last axis, the spectral norm on the last two; all leading axes are batch axes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from margin_lab.checks import positive


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

    def steepest(self, g: Tensor) -> Tensor:
        """Steepest descent's step ``Delta`` (Flavors of Margin, eq. 1): ``||Delta|| = ||g||_*``, ``<Delta, g> = -||g||_*^2``."""
        axes = (..., None, None) if self.matrix else (..., None)
        return self.dual(g)[axes] * self.direction(g)


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


_NAMED: dict[str, Norm] = {n.name: n for n in (L1(), L2(), LInf(), Spectral())}


def get_norm(norm: str | float | Norm) -> Norm:
    """Return the norm called ``"l1"``, ``"l2"``, ``"linf"``, ``"spectral"``, or ``l_p`` for a number ``p >= 1``.

    Raises:
        ValueError: an unknown name, or ``p < 1`` (not a norm).

    Example:
        >>> float(get_norm("linf").dual(torch.tensor([3.0, -4.0])))
        7.0
    """
    if isinstance(norm, Norm):
        return norm
    if isinstance(norm, str):
        if norm in _NAMED:
            return _NAMED[norm]
        raise ValueError(
            f"unknown norm {norm!r}; use one of {', '.join(map(repr, _NAMED))} or a number p >= 1"
        )
    if (
        isinstance(norm, bool)
        or not isinstance(norm, (int, float, np.number))
        or math.isnan(norm)
        or norm < 1
    ):
        raise ValueError(f"a norm is a name or a number p >= 1, got {norm!r}")
    return {1: _NAMED["l1"], 2: _NAMED["l2"], math.inf: _NAMED["linf"]}.get(norm) or Lp(float(norm))


def _scale(v: Tensor) -> Tensor:
    # the largest entry, or the smallest positive number where all are 0 (then 0 / tiny = 0)
    return torch.linalg.vector_norm(v, math.inf, dim=-1, keepdim=True).clamp_min(torch.finfo(v.dtype).tiny)


def _scaled_p_norm(v: Tensor, p: float) -> Tensor:
    # scaled by the largest entry: no overflow of powers at PRGD's radii, no underflow at tiny gradients
    top = _scale(v)
    return torch.linalg.vector_norm(v / top, p, dim=-1) * top[..., 0]


def _matrix(v: Tensor) -> Tensor:
    if v.ndim < 2:
        raise ValueError(
            f"the spectral norm needs a matrix, got shape {tuple(v.shape)}; use 'l2' for a vector"
        )
    return v


def _radius(v: Tensor, radius: Tensor | float) -> Tensor:
    # A tensor of radii, one per batch row, comes from code that has checked it: looking again would stall a GPU each step.
    if isinstance(radius, Tensor):
        return radius.to(v)[..., None]
    return v.new_tensor(positive(radius, "radius"))[..., None]
