"""Small models for this subject: diagonal networks, sums of sub-models of different degrees, the third-level counterexample."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from margin_lab.checks import integer
from margin_lab.models import flat_parameters


class DiagonalNet(nn.Module):
    """``f(x) = <u^L - v^L, x>``, powers by entry: a linear predictor whose parameters are homogeneous of degree L.

    For L = 2 the smallest ``||(u, v)||_2^2`` that makes the predictor w is ``||w||_1``, so that its max-margin problem is the l1
    problem of the data with ``rho^2`` in the place of the radius (:meth:`parameters_for`). For L = 1 it is the linear model.

    Args:
        d: inputs. degree: L, a whole number >= 1. seed: of the start, normal with variance 1/d.

    Example:
        >>> import margin_lab as ml
        >>> net = DiagonalNet(2)
        >>> ml.homogeneity_degree(net, torch.ones(1, 2, dtype=torch.float64))
        2.0
    """

    def __init__(self, d: int, degree: int = 2, seed: int = 0):
        super().__init__()
        self.d, self.degree = integer(d, "d", least=1), integer(degree, "degree", least=1)
        generator = torch.Generator().manual_seed(integer(seed, "seed"))
        start = torch.randn(2, d, dtype=torch.float64, generator=generator) / d**0.5
        self.u, self.v = nn.Parameter(start[0].clone()), nn.Parameter(start[1].clone())

    @property
    def predictor(self) -> Tensor:
        """``w = u^L - v^L [d]``."""
        return self.u**self.degree - self.v**self.degree

    def forward(self, x: Tensor) -> Tensor:
        """Outputs ``[n]`` for ``x [n, d]``."""
        return x @ self.predictor

    def parameters_for(self, w: np.ndarray) -> np.ndarray:
        """The shortest parameters ``(u, v) [2 d]`` with predictor ``w``: each entry is carried by u or by v alone."""
        size = np.abs(w) ** (1 / self.degree)
        return np.concatenate([np.where(w > 0, size, 0.0), np.where(w < 0, size, 0.0)])


class Ensemble(nn.Module):
    """A sum of sub-models, ``f = sum_k f_k(theta_k)``, each with parameters and a degree of its own.

    Args:
        parts: name -> sub-model with outputs ``[n]``, from the shallowest to the deepest.

    Raises:
        ValueError: no sub-model.

    Example:
        >>> import margin_lab as ml
        >>> model = Ensemble({"linear": ml.models.MLP([2, 1]), "quadratic": DiagonalNet(2)})
        >>> {name: list(range(*part.indices(99))) for name, part in model.slices().items()}
        {'linear': [0, 1], 'quadratic': [2, 3, 4, 5]}
    """

    def __init__(self, parts: Mapping[str, nn.Module]):
        super().__init__()
        if not parts:
            raise ValueError("an ensemble needs at least one sub-model, got none")
        self.parts = nn.ModuleDict(dict(parts))

    def forward(self, x: Tensor) -> Tensor:
        """Outputs ``[n]``."""
        return torch.stack([part(x) for part in self.parts.values()]).sum(0)

    def slices(self) -> dict[str, slice]:
        """Where each sub-model's parameters are in ``theta [P]``."""
        found, start = {}, 0
        for name, part in self.parts.items():
            size = len(flat_parameters(part))
            found[name] = slice(start, start + size)
            start += size
        return found


class BlindTo(nn.Module):
    """A sub-model that sees some inputs as 0: ``f(x * keep)``.

    Args:
        model: any sub-model. keep: ``[d]``, 1 for the features it sees and 0 for the others.
    """

    keep: Tensor

    def __init__(self, model: nn.Module, keep: list[float]):
        super().__init__()
        self.model = model
        self.register_buffer("keep", torch.tensor(keep, dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        """Outputs of ``model`` on the features it sees."""
        return self.model(x * self.keep)


class ThirdLevel(nn.Module):
    """A 1-homogeneous model of three parameters whose constrained path leaves its lexicographic point.

    With ``r = ||theta||``, ``a = theta_1 / r`` and ``b = (1 + theta_2 / r) / 2``, three samples (the rows of the identity,
    label +1) have the margins ``r (1 - a^2, 2 + a (1 - b), 3 + b)``. The first two levels ask for a = 0, the third for b = 1.
    But a small a costs the first sample ``r a^2`` and gives the second ``r a (1 - b)``, worth more at ``b = 0``: of the order
    ``r e^(-3r)`` in the loss, which is larger than the ``e^(-3r)`` of the third sample. So ``b -> 0`` like ``log(2)/r``.
    """

    def __init__(self) -> None:
        super().__init__()
        self.theta = nn.Parameter(torch.tensor([0.1, 0.3, 0.5], dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        """Outputs ``[n]`` for ``x [n, 3]``: the samples' margins, mixed by x."""
        r = torch.linalg.vector_norm(self.theta)
        a, b = self.theta[0] / r, (1 + self.theta[1] / r) / 2
        return x @ (r * torch.stack([1 - a**2, 2 + a * (1 - b), 3 + b]))


def third_level_path(rho: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``(a, b)`` on the constrained path of :class:`ThirdLevel` at radii ``rho [R]``, in float64.

    With ``a = e^(-rho) c`` the loss, less the ``e^(-rho) + e^(-2 rho)`` that no choice can change, times ``e^(3 rho)``, is

        ``e^(2 rho) expm1(rho e^(-2 rho) c^2) + e^rho expm1(-rho e^(-rho) c (1 - b)) + e^(-rho b)``:

    nothing cancels, at any radius. Minimised over c by Newton's method, over b by a bracketing search.
    """
    from scipy.optimize import minimize_scalar

    rho = np.atleast_1d(np.asarray(rho, dtype=float))
    small = np.exp(-rho)

    def best_c(r: float, e: float, b: Any) -> Any:
        c = (1 - b) / 2
        for _ in range(8):
            up, down = np.exp(r * (e * c) ** 2), np.exp(-r * e * c * (1 - b))
            c = c - (2 * c * up - (1 - b) * down) / (
                2 * up * (1 + 2 * r * (e * c) ** 2) + r * e * (1 - b) ** 2 * down
            )
        return c

    def scaled(x: Any, e: float) -> Any:
        return np.expm1(x * e) / e if e > 1e-300 else x

    def value(b: Any, r: float, e: float) -> Any:
        c = best_c(r, e, b)
        return scaled(r * c**2, e**2) + scaled(-r * c * (1 - b), e) + np.exp(-r * b)

    found = []
    for r, e in zip(rho, small, strict=True):
        grid = np.linspace(0, 1, 401)
        k = int(np.argmin(value(grid, r, e)))
        low, high = grid[max(k - 1, 0)], grid[min(k + 1, 400)]
        b = minimize_scalar(
            value, bounds=(low, high), args=(r, e), method="bounded", options={"xatol": 1e-12}
        ).x
        b = min(
            (0.0, float(b), 1.0), key=lambda end: float(value(end, r, e))
        )  # the search stops short of the ends
        found.append((best_c(r, e, b) * e, b))
    a_all, b_all = np.array(found).T
    return a_all, b_all
