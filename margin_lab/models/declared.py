"""The degree that a network declares, verified by measurement."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from margin_lab.models.flat import unflatten
from margin_lab.models.homogeneity import measured_degree, random_points
from margin_lab.models.network import Network
from margin_lab.models.private import PureModel


def check_homogeneity(model: nn.Module, X: Any) -> float:
    """Verify on inputs ``X`` what a network declares, and return its joint degree.

    Every :class:`Network` is scaled as a whole and, at a random point near its parameters, layer by layer; any other module
    is measured (:func:`margin_lab.homogeneity_degree`).

    Raises:
        ValueError: a network that is not homogeneous, does not scale as declared, or gives 0 on all of ``X`` at any parameters.
    """
    pure = PureModel(model)
    inputs = pure.inputs(X)
    pure.checked(inputs)
    return verified_degree(pure, inputs)


def verified_degree(pure: PureModel, X: Tensor) -> float:
    """:func:`check_homogeneity` of a private copy, on inputs as it takes them."""
    model, measured = pure.module, measured_degree(pure, X)
    if measured is None:
        raise ValueError("every output is 0, so the degree cannot be measured; use inputs that are not 0")
    if not isinstance(model, Network):
        return measured
    if model.degree is None or abs(measured - model.degree) > 1e-6:
        raise ValueError(
            f"{type(model).__name__} declares degree {model.degree}, but scales with {measured:.6g}"
        )
    with torch.no_grad():
        for point in random_points(pure.theta):
            base = pure(X, point)
            size = float(base.abs().max())
            if size > 0:
                break
        counted = model.layer_parameters()
        names = {id(p): name for name, p in model.named_parameters()}
        for layer, degree in model.layer_degrees.items():
            doubled = {names[id(p)]: 2 * point[names[id(p)]] for p in counted[layer] if p.requires_grad}
            error = float((pure(X, {**point, **doubled}) / 2.0**degree - base).abs().max()) / size
            if not error < 100 * torch.finfo(base.dtype).eps:
                raise ValueError(
                    f"layer {layer} declares degree {degree:g}, but is off by {error:.1e} when scaled by 2"
                )
    return measured


def degree_or_none(model: nn.Module, X: Any, *thetas: Tensor) -> float | None:
    """The degree of a run: what a :class:`Network` declares, verified; of other modules what is measured; None where none is.

    Args:
        model: any ``nn.Module``; it is left as it is. X: inputs, of which the first hundred are looked at.
        thetas: flat parameters ``[P]`` at which to look besides the model's own, such as those at the end of a run: a bend that
            small parameters do not meet, large ones may.

    Raises:
        ValueError: a :class:`Network` that does not scale as it declares.
    """
    pure = PureModel(model)
    inputs = pure.inputs(X)[:100]
    shapes = {name: p.shape for name, p in pure.theta.items()}
    if isinstance(pure.module, Network):
        if pure.module.degree is None:
            return None
        return pure.module.degree if measured_degree(pure, inputs) is None else verified_degree(pure, inputs)
    try:
        pure.repeatable(inputs)
        at = [None, *(unflatten(theta.to(pure.like), shapes) for theta in thetas)]
        found = {degree for theta in at if (degree := measured_degree(pure, inputs, theta=theta)) is not None}
    except ValueError:
        return None
    return found.pop() if len(found) == 1 else None
