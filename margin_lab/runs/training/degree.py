"""The degree of a network that is trained, confirmed after the work."""

from __future__ import annotations

from torch import Tensor, nn

from margin_lab.models import Network, degree_or_none


def confirmed_degree(degree: float | None, model: nn.Module, X: Tensor) -> float | None:
    """``degree``, unless the network scales otherwise where training has taken it: a bend that no sample met at the start.

    A :class:`Network` has declared its degree, and was verified before the work.
    """
    if degree is None or isinstance(model, Network):
        return degree
    return degree if degree_or_none(model, X) == degree else None
