"""Centripetal velocity: how fast a normalised gradient step moves the weights toward the max-margin axis (PRGD, section 5)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from margin_lab.checks import as_tensor, finite, positive, restore_like, signed_data
from margin_lab.losses import loss_weights


def orthogonal_part(w: Any, w_star: Any) -> Any:
    """``P_perp w = w - <w, w*> w*``: what of the weights lies off the axis of ``w*`` (PRGD, Definition 5.1).

    Args:
        w: ``[..., d]``. w_star: ``[d]``, any length but 0.

    Raises:
        ValueError: shapes that do not match, ``w_star = 0``.
    """
    t, axis = _weights_and_axis(w, w_star)
    return restore_like(w)(_orthogonal(t, axis))


def centripetal_velocity(w: Any, X: Any, y: Any, w_star: Any) -> Any:
    """``phi(w) = <grad L(w) / L(w), P_perp w / ||P_perp w||>`` for the exponential loss; positive = toward the axis.

    Args:
        w: ``[..., d]``, any number of points at once. X: ``[n, d]``. y: ``[n]``, -1 or +1.
        w_star: ``[d]``, the max-margin direction.

    Returns:
        ``[...]``, of the type of w; 0 on the axis, where it has no direction to point in.

    Raises:
        ValueError: bad data, shapes that do not match.

    Source: PRGD, Definition 5.2, eq. (5).

    Example:
        >>> import margin_lab as ml
        >>> data = ml.datasets.dataset_1()
        >>> phi = centripetal_velocity([[50.0, -3.0], [50.0, 3.0]], data.X, data.y, data.w_star)
        >>> phi.round(3)  # both sides point to the axis
        array([0.992, 0.985])
    """
    t, axis = _weights_and_axis(w, w_star)
    Z = signed_data(X, y)[0].to(t)
    if Z.shape[-1] != t.shape[-1]:
        raise ValueError(
            f"w {tuple(t.shape)} and X {tuple(Z.shape)} do not match; both need d in the last place"
        )
    across = _orthogonal(t, axis)
    distance = across.norm(dim=-1)
    grad = -(loss_weights(t @ Z.T) @ Z)
    speed = (grad * across).sum(-1) / torch.where(distance > 0, distance, 1.0)
    return restore_like(w)(speed)


def _weights_and_axis(w: Any, w_star: Any) -> tuple[Tensor, Tensor]:
    t = finite(as_tensor(w, "w"), "w")
    axis = as_tensor(w_star, "w_star", device=t.device).to(t.dtype)
    if axis.ndim != 1 or t.ndim < 1 or t.shape[-1] != len(axis):
        raise ValueError(
            f"w {tuple(t.shape)} and w_star {tuple(axis.shape)} do not match; need [..., d] and [d]"
        )
    positive(float(axis.norm()), "||w_star||")
    return t, axis / axis.norm()


def _orthogonal(w: Tensor, axis: Tensor) -> Tensor:
    return w - (w @ axis)[..., None] * axis
