"""Norms, their duals, steepest directions and ball projections: the geometry every optimizer and margin shares.

Vector norms act on the last axis, the spectral norm on the last two, modular norms on a network's flat parameters; all leading
axes are batch axes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import nn

from margin_lab.checks import norm_name
from margin_lab.models.private import trained_parameters
from margin_lab.norms.base import Norm, norm_gradient
from margin_lab.norms.modular import Modular, Shape
from margin_lab.norms.spectral import Spectral, polar_factor
from margin_lab.norms.vectors import L1, L2, LInf, Lp, Weighted

__all__ = [
    "L1",
    "L2",
    "LInf",
    "Lp",
    "Modular",
    "Norm",
    "Spectral",
    "Weighted",
    "get_norm",
    "modular",
    "norm_gradient",
    "on_flat",
    "polar_factor",
    "weighted",
]

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
        if norm_name(norm) in _NAMED:
            return _NAMED[norm_name(norm)]
        if norm == "modular":
            raise ValueError(
                "the modular norm is of a network's layers: make it by margin_lab.norms.modular(model)"
            )
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


def modular(
    model: nn.Module | Mapping[str, Shape],
    matrices: str | float | Norm = "spectral",
    vectors: str | float | Norm = "l2",
    layers: Mapping[str, str | float | Norm] | None = None,
) -> Modular:
    """Return the norm ``max_l ||W_l||_(l)`` of a network's trained parameters, with a norm per layer.

    Args:
        model: a network, or ``{name: shape}`` in the order in which flat parameters hold them.
        matrices: norm of every parameter of two axes or more. vectors: of the others (biases).
        layers: norms of single parameters by name, instead.

    Raises:
        ValueError: an unknown norm, a name that is not a trained parameter, a norm of matrices for a vector.

    Example:
        >>> import torch, margin_lab as ml
        >>> net = ml.models.MLP([2, 3, 1])
        >>> norm = modular(net, layers={"layers.1.weight": "linf"})
        >>> [layer.name for layer in norm.norms.values()]
        ['spectral', 'linf']
        >>> float(norm(ml.models.flat_parameters(net.reset(0, scale=1e-3)))) < 0.01
        True
    """
    if isinstance(model, nn.Module):
        named = {name: tuple(p.shape) for name, p in model.named_parameters()}
        shapes: Mapping[str, Shape] = {name: named[name] for name in trained_parameters(model)}
    else:
        named, shapes = {}, model
    layers = {} if layers is None else layers
    for name in layers:
        if name not in shapes:
            frozen = (
                "it is frozen, and the norm is joint over trained parameters" if name in named else "unknown"
            )
            raise ValueError(f"no norm can be set for {name!r} ({frozen}); trained are {', '.join(shapes)}")
    chosen = {
        name: get_norm(layers.get(name, matrices if len(shape) > 1 else vectors))
        for name, shape in shapes.items()
    }
    return Modular(shapes, chosen)


def on_flat(norm: str | float | Norm, shapes: Mapping[str, Shape]) -> Norm:
    """Return ``norm`` as a norm of flat parameters ``[..., P]`` whose layers have these shapes.

    Vector norms are joint over all of them. "spectral" (any norm of matrices) needs one matrix; "modular" takes the spectral norm
    of every matrix and the l2 norm of every vector.

    Raises:
        ValueError: an unknown norm, a norm of matrices where there is not exactly one matrix.
    """
    if norm == "modular":
        return modular(shapes)
    chosen = get_norm(norm)
    if not chosen.matrix:
        return chosen
    sizes = [tuple(shape) for shape in shapes.values()]
    if len(sizes) != 1 or len(sizes[0]) != 2:
        raise ValueError(
            f"the {chosen.name} norm is of one matrix, got parameters of shapes {sizes}; freeze the others, or use the norm "
            "'modular'"
        )
    return Modular(shapes, dict.fromkeys(shapes, chosen), chosen.name)
