"""Margins of multi-homogeneous networks: divided by the product of the layers' norms, each to its degree."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from margin_lab.losses import inverse_link, log_loss, loss_of_outputs, sample_margins
from margin_lab.models import Network
from margin_lab.models.declared import verified_degree
from margin_lab.models.private import PureModel

__all__ = ["layer_margin", "log_layer_product", "smoothed_layer_margin"]


def layer_margin(model: nn.Module, X: Any, y: Any) -> float:
    """``gamma = q_min / prod_j ||W_j||^k_j``, for a network that is ``k_j``-homogeneous in its layer j alone.

    It is independent of the scale of *every* layer, :func:`margin_lab.normalized_margin` of one common scale only.
    By the inequality of the means ``prod_j ||W_j||^k_j <= prod_j (k_j / L)^(k_j / 2) * ||theta||^L``, with equality where
    ``||W_j||^2 / k_j`` is the same for all layers, which gradient flow keeps so once it is so.

    A layer's norm counts its flattened weight, in the first layer the bias too; biases of other layers are ignored (Lyu & Li,
    K.1). Frozen layers do not count.

    Args:
        model: a network of :mod:`margin_lab.models`, whose declared ``layer_degrees`` are verified on X. With biases everywhere
            they are verified without those beyond the first layer, which they ignore.
        X: inputs ``[n, ...]``. y: ``[n]``, -1 or +1 for one output, class indices for k outputs.

    Returns:
        The margin, 0 where a layer is 0.

    Raises:
        ValueError: a model that declares no degrees or false ones, wrong labels or shapes, NaN.

    Example:
        >>> import margin_lab as ml
        >>> data, net = ml.datasets.gaussian(20, 4), ml.models.MLP([4, 6, 1], seed=1)
        >>> before = layer_margin(net, data.X, data.y)
        >>> _ = net.layers[1].weight.data.mul_(7.0)
        >>> abs(layer_margin(net, data.X, data.y) / before - 1) < 1e-12
        True

    Source: Lyu & Li 2020, appendix F (multi-homogeneous models) and K.1.
    """
    outputs, logs = _outputs_and_product(model, X, y)
    return float(over_layers(float(sample_margins(outputs, y).min()), logs))


def smoothed_layer_margin(model: nn.Module, X: Any, y: Any, loss: str | None = None) -> float:
    """``g(log 1/L) / prod_j ||W_j||^k_j``, L the **sum**; see :func:`layer_margin` and :func:`margin_lab.smoothed_margin`.

    Its sign is its status: positive exactly where the loss is below its separability threshold (1, or log 2), where alone it
    means something.

    Args, raises: as :func:`layer_margin`; loss: "exponential" (default for one output), "logistic" or "cross_entropy".
    """
    outputs, logs = _outputs_and_product(model, X, y)
    loss = loss_of_outputs(loss, outputs)
    total = log_loss(outputs.double(), y, loss, "sum")
    z = inverse_link(-total, "exponential" if loss == "exponential" else "logistic")
    return float(over_layers(float(z), logs))


def log_layer_product(model: nn.Module) -> float:
    """``sum_j k_j log ||W_j||``, the log of what layer margins divide by; -inf where a layer is 0.

    Raises:
        ValueError: a model that does not declare its layers' degrees, or an activation that has none.
    """
    if not isinstance(model, Network):
        raise ValueError(
            "layer margins need a network of margin_lab.models, which declares its layers' degrees; "
            f"{type(model).__name__} does not"
        )
    if not model.layer_degrees:
        raise ValueError(
            f"the activation {model.activation.name!r} is not homogeneous: layers have no degree"
        )
    parameters = model.layer_parameters()
    lengths = {
        name: float(torch.cat([p.detach().double().reshape(-1) for p in parameters[name]]).norm())
        for name in model.layer_degrees
    }
    return float(log_product(lengths, model.layer_degrees))


def log_product(lengths: Mapping[str, Any], degrees: Mapping[str, float]) -> Any:
    """``sum_j k_j log ||W_j||`` of layers' lengths, numbers or ``[T]`` each; -inf where a layer is 0."""
    with np.errstate(divide="ignore"):
        return sum(
            degree * np.log(np.asarray(lengths[name], dtype=float)) for name, degree in degrees.items()
        )


def over_layers(q: Any, log_product: Any) -> np.ndarray:
    """``q / exp(log_product)``, numbers or ``[T]``: the one division of all layer margins; 0 where a layer is 0.

    In logs: the product of sixteen layers' norms leaves float64's range sooner than the margin does.
    """
    q, logs = np.asarray(q, dtype=float), np.asarray(log_product, dtype=float)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.copysign(np.exp(np.log(np.abs(q)) - logs), q)
    return np.where((q == 0) | (logs == -np.inf), 0.0, found)


def _outputs_and_product(model: nn.Module, X: Any, y: Any) -> tuple[Tensor, float]:
    """Outputs on X and the log of the layers' product, after verifying what the model declares."""
    logs = log_layer_product(model)
    pure = PureModel(model)
    inputs = pure.inputs(X)
    outputs = pure.checked(inputs)
    sample_margins(outputs, y)
    if logs > -np.inf:
        verified_degree(_without_later_biases(pure), inputs)
    return outputs, logs


def _without_later_biases(pure: PureModel) -> PureModel:
    """What a network with biases everywhere is measured by: itself, those beyond the first layer removed."""
    plain = pure.module
    if not isinstance(plain, Network) or plain.bias != "all":
        return pure
    for layer in plain.affine[1:]:
        layer.bias = None
    return PureModel(plain)
