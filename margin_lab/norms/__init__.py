"""Norms, their duals, steepest directions and ball projections: the geometry every optimizer and margin shares.

Vector norms act on the last axis, the spectral norm on the last two; all leading axes are batch axes.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from margin_lab.norms.base import Norm
from margin_lab.norms.spectral import Spectral
from margin_lab.norms.vectors import L1, L2, LInf, Lp, Weighted

__all__ = ["L1", "L2", "LInf", "Lp", "Norm", "Spectral", "Weighted", "get_norm", "weighted"]

_NAMED: dict[str, Norm] = {n.name: n for n in (L1(), L2(), LInf(), Spectral())}


def get_norm(norm: str | float | Norm) -> Norm:
    """Return the norm called ``"l1"``, ``"l2"``, ``"linf"``, ``"spectral"``, or ``l_p`` for a number ``p >= 1``.

    Raises:
        ValueError: an unknown name, or ``p < 1`` (not a norm).

    Example:
        >>> import torch
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


def weighted(norm: str | float | Norm, weights: Any) -> Weighted:
    """Return the norm ``||weights * v||``; see :class:`Weighted`.

    Example:
        >>> import torch
        >>> float(weighted("linf", [1.0, 2.0]).dual(torch.tensor([1.0, 1.0])))
        1.5
    """
    return Weighted(get_norm(norm), weights)
