"""The degree of a network that is trained: measured before the work, and confirmed after it."""

from __future__ import annotations

from torch import Tensor, nn

from margin_lab.models import Network
from margin_lab.models.homogeneity import homogeneity_degree

_SAMPLES = 100


def degree_of(model: nn.Module, X: Tensor) -> float | None:
    """The joint degree in the trained parameters, or None where there is none; a :class:`Network` declares its own."""
    if isinstance(model, Network):
        return model.degree
    try:
        return homogeneity_degree(model, X[:_SAMPLES])
    except ValueError:
        return None


def confirmed_degree(degree: float | None, model: nn.Module, X: Tensor) -> float | None:
    """``degree``, unless the network scales otherwise where training has taken it: a bend that no sample met at the start."""
    return degree if degree is not None and degree_of(model, X) == degree else None
