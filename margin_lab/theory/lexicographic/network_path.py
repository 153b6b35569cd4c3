"""Constrained path and margin path of small networks, homogeneous or not: Newton's method on spheres, from many starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import grad, jacrev, vmap

from margin_lab.checks import integer, positive, restore_like, signed_labels
from margin_lab.models import flat_parameters, model_with, unflatten
from margin_lab.models.private import PureModel
from margin_lab.results import Result
from margin_lab.results.base import as_numpy
from margin_lab.runs.networks.problem import network_data
from margin_lab.theory.lexicographic.ensembles import Ensemble
from margin_lab.theory.lexicographic.linear_path import radii

# Temperatures of the margin path: at the last one, the soft minimum is within log(n)/4096 of the smallest margin.
SHARPNESS = tuple(4.0**k for k in range(7))


@dataclass(frozen=True, eq=False, repr=False)
class NetworkPath(Result):
    """The best parameters found on spheres of R radii.

    Attributes:
        rho: ``[R]``. theta: ``[R, P]``, of length rho. margins: ``[R, n]``. log_loss: ``[R]``, of the summed exponential loss.
        stationarity: ``[R]``, length of the gradient of log L along the sphere, relative to ``<theta, grad log L>/rho``.
        agreeing: ``[R]``, how many of the starts ended within 1e-6 of the best value. The problem is not convex: this is
            evidence, not a certificate.
        model: the network, for its shapes; None where the path was read from a file.
    """

    rho: Any
    theta: Any
    margins: Any
    log_loss: Any
    stationarity: Any
    agreeing: Any
    model: nn.Module

    @property
    def q_min(self) -> Any:
        """The smallest margin ``[R]``."""
        return self.margins.min(-1)

    @property
    def shares(self) -> dict[str, Any]:
        """For an :class:`Ensemble`: each sub-model's share ``||theta_k||^2 / rho^2 [R]``."""
        return {
            name: (self.theta[:, part] ** 2).sum(-1) / self.rho**2
            for name, part in _ensemble(self.model).slices().items()
        }

    def outputs(self, X: Any, y: Any) -> dict[str, Any]:
        """For an :class:`Ensemble`: each sub-model's part of the margins, ``y_i f_k(x_i) [R, n]``."""
        model = _ensemble(self.model)
        inputs, labels = network_data(X, y, model, next(model.parameters()).device)
        restore, found = restore_like(X), {}
        for name, part in model.slices().items():
            sub = model.parts[name]
            with torch.no_grad():
                rows = [model_with(sub, torch.as_tensor(theta[part]))(inputs[0]) for theta in self.theta]
            found[name] = restore(torch.stack(rows) * labels[0].to(rows[0].dtype))
        return found

    _x, _y, _left_out = "rho", "log_loss", ("model",)

    def table(self) -> dict[str, np.ndarray]:
        """One row a radius: rho, log_loss, q_min, stationarity, agreeing."""
        names = ("rho", "log_loss", "q_min", "stationarity", "agreeing")
        return {name: as_numpy(getattr(self, name)) for name in names}

    def _title(self) -> str:
        return (
            f"NetworkPath({len(self.rho)} radii from {self.rho[0]:g} to {self.rho[-1]:g}, "
            f"stationarity={float(self.stationarity.max()):.1e})"
        )


def network_path(
    model: nn.Module,
    X: Any,
    y: Any,
    rho: float | Sequence[float],
    *,
    starts: int = 8,
    theta0: Any = None,
    seed: int = 0,
    sharpness: float | Sequence[float] = 1.0,
    max_steps: int = 60,
    rounds: int = 6,
) -> NetworkPath:
    """Return ``argmin_{||theta||_2 = rho} sum_i exp(-s q_i)``, as far as Newton's method finds it from several starts.

    For a model whose margins grow with the norm this is the constrained path (s = 1); for ``s -> inf`` the margin path. All
    starts at all radii are one batch; then each radius tries what its neighbours have found, until nobody gains. Fresh starts
    at every radius matter: a deep part that was 0 at a small radius has no gradient to leave 0 by.

    Args:
        model: any small ``nn.Module`` with outputs ``[n]`` or ``[n, 1]`` (the Hessian has ``P^2`` entries).
        X: ``[n, ...]``. y: ``[n]``, -1 or +1. rho: radii, increasing, > 0.
        starts: random directions, from ``seed``. theta0: directions ``[S, P]`` to start from besides.
        sharpness: s, > 0; a sequence is gone through at each radius, and its last value is minimised.
        max_steps: of Newton's method. rounds: of exchange between neighbouring radii, at most.

    Returns:
        ``NetworkPath``, arrays of X's type.

    Raises:
        ValueError: bad data, several outputs, radii that are not > 0 and increasing, sharpness <= 0, no start.
    """
    rho_values = radii(rho)
    ladder = [
        float(positive(s, "sharpness"))
        for s in torch.as_tensor(sharpness, dtype=torch.float64).reshape(-1).tolist()
    ]
    integer(starts, "starts")
    own = flat_parameters(model).double()
    pure = PureModel(model, torch.float64)
    inputs, labels = network_data(X, y, pure.module, own.device)
    problem = _Sphere(pure, inputs[0], labels[0])
    generator = torch.Generator().manual_seed(integer(seed, "seed"))
    theta = torch.randn(starts, len(own), dtype=torch.float64, generator=generator).to(own)
    if theta0 is not None:
        theta = torch.cat([theta, torch.as_tensor(theta0, dtype=torch.float64).reshape(-1, len(own)).to(own)])
    if len(theta) == 0:
        raise ValueError("network_path needs starts >= 1 or theta0, got neither")

    def minimised(rows: Tensor) -> tuple[Tensor, Tensor]:
        """Rows ``[R, S, P]`` in one batch, on their spheres; and their values ``[R, S]``."""
        flat = _on_sphere(rows, at[:, None, None]).flatten(0, 1)
        for s in ladder:
            flat = problem.minimise(flat, s, max_steps)
        return flat.view_as(rows), problem.objective(flat, ladder[-1]).view(rows.shape[:2])

    at = torch.as_tensor(rho_values).to(own)
    rows, values = minimised(theta.expand(len(at), -1, -1))
    value, which = values.min(1)
    agreeing = (values <= value[:, None] + 1e-6 * (1 + value[:, None].abs())).sum(1)
    found = rows[torch.arange(len(at)), which]
    for _ in range(rounds):  # what a radius has found, its neighbours try
        rows, values = minimised(torch.stack([found, found.roll(1, 0), found.roll(-1, 0)], 1))
        new, which = values.min(1)
        gained = bool((new < value - 1e-9 * (1 + value.abs())).any())
        value, found = new, rows[torch.arange(len(at)), which]
        if not gained:
            break
    q = problem.margins(found)
    restore = restore_like(X)
    return NetworkPath(
        rho=restore(torch.as_tensor(rho_values)),
        theta=restore(found),
        margins=restore(q),
        log_loss=restore(torch.logsumexp(-q, -1)),
        stationarity=restore(problem.stationarity(found, ladder[-1])),
        agreeing=restore(agreeing),
        model=pure.module,
    )


def margin_path(
    model: nn.Module, X: Any, y: Any, rho: float | Sequence[float], **options: Any
) -> NetworkPath:
    """Return ``argmax_{||theta||_2 = rho} q_min``, by :func:`network_path` with a soft minimum that is sharpened step by step.

    The margin found is below the soft one by at most ``log(n)/s`` with s the last sharpness. Options and errors as there.
    """
    return network_path(model, X, y, rho, **{"sharpness": SHARPNESS, **options})


class _Sphere:
    """``F(theta) = log sum_i exp(-s q_i(theta)) / s`` on spheres, for a batch ``theta [B, P]``."""

    def __init__(self, pure: PureModel, X: Tensor, y: Tensor):
        shapes = {name: p.shape for name, p in pure.theta.items()}
        outputs = pure.repeatable(X)
        if outputs.shape not in (y.shape, (*y.shape, 1)):
            raise ValueError(
                f"the model must have one output a sample, got outputs of shape {tuple(outputs.shape)}"
            )

        y = signed_labels(y).to(X.dtype)

        def margins(theta: Tensor) -> Tensor:
            return pure(X, unflatten(theta, shapes)).reshape(y.shape) * y

        def objective(theta: Tensor, s: Tensor) -> Tensor:
            return torch.logsumexp(-s * margins(theta), -1) / s

        self._margins = vmap(margins)
        self._objective = vmap(objective, (0, None))
        self._grad = vmap(grad(objective), (0, None))
        self._hessian = vmap(
            jacrev(grad(objective)), (0, None)
        )  # not torch.func.hessian, which loads torch.jit

    @torch.no_grad()
    def margins(self, theta: Tensor) -> Tensor:
        return self._margins(theta)

    @torch.no_grad()
    def objective(self, theta: Tensor, s: float) -> Tensor:
        return self._objective(theta, theta.new_tensor(s))

    def gradient(self, theta: Tensor, s: float) -> Tensor:
        g: Tensor = self._grad(theta, theta.new_tensor(s)).detach()
        return g

    def _slopes(self, theta: Tensor, s: float) -> tuple[Tensor, Tensor, Tensor]:
        """Gradient along the sphere, multiplier ``-<grad, theta>/rho^2``, unit normal."""
        g = self.gradient(theta, s)
        normal = theta / torch.linalg.vector_norm(theta, dim=-1, keepdim=True)
        radial = (g * normal).sum(-1, keepdim=True)
        return g - radial * normal, -radial / torch.linalg.vector_norm(theta, dim=-1, keepdim=True), normal

    def stationarity(self, theta: Tensor, s: float) -> Tensor:
        along, lam, _ = self._slopes(theta, s)
        size = (lam[:, 0] * torch.linalg.vector_norm(theta, dim=-1)).abs().clamp_min(1e-300)
        return torch.linalg.vector_norm(along, dim=-1) / size

    def minimise(self, theta: Tensor, s: float, max_steps: int) -> Tensor:
        """Newton's method with the absolute values of the Hessian's eigenvalues (so that it leaves saddles), and backtracking."""
        theta, left = theta.clone(), torch.arange(len(theta))
        for _ in range(max_steps):
            new, moved = self._newton_step(theta[left], s)
            theta[left] = new
            left = left[moved]
            if len(left) == 0:
                break
        for _ in range(2):  # last digits, which the value no longer shows
            rho = torch.linalg.vector_norm(theta, dim=-1, keepdim=True)
            trial = _on_sphere(theta + self._direction(theta, s)[0], rho)
            better = self.stationarity(trial, s) < self.stationarity(theta, s)
            theta = torch.where(better[:, None], trial, theta)
        return theta

    def _newton_step(self, theta: Tensor, s: float) -> tuple[Tensor, Tensor]:
        """One step for each row, with backtracking, and which rows it improved by more than rounding."""
        rho = torch.linalg.vector_norm(theta, dim=-1, keepdim=True)
        value = self.objective(theta, s)
        step, slope = self._direction(theta, s)
        t, new, new_value = torch.ones_like(value), theta, value
        waiting = slope < -1e-15 * value.abs()
        for _ in range(25):
            trial = _on_sphere(theta + t[:, None] * step, rho)
            f = self.objective(trial, s)
            ok = waiting & (f <= value + 1e-4 * t * slope)
            new, new_value = torch.where(ok[:, None], trial, new), torch.where(ok, f, new_value)
            waiting = waiting & ~ok
            if not bool(waiting.any()):
                break
            t = torch.where(waiting, t / 2, t)
        return new, value - new_value > 1e-15 * value.abs()

    def _direction(self, theta: Tensor, s: float) -> tuple[Tensor, Tensor]:
        """The Newton step along the sphere, at most rho/2 long, and the slope of the objective along it."""
        rho = torch.linalg.vector_norm(theta, dim=-1, keepdim=True)
        along, lam, normal = self._slopes(theta, s)
        eye = torch.eye(theta.shape[-1], dtype=theta.dtype, device=theta.device)
        H = self._hessian(theta, theta.new_tensor(s)).detach() + lam[..., None] * eye
        P = eye - normal[:, :, None] * normal[:, None, :]
        e, V = torch.linalg.eigh(P @ H @ P)
        size = torch.maximum(e.abs(), 1e-10 * e.abs().amax(-1, keepdim=True)).clamp_min(1e-300)
        step = -((along[:, None, :] @ V)[:, 0] / size)[:, None, :] @ V.mT
        step = (P @ step[:, 0, :, None])[..., 0]
        length = torch.linalg.vector_norm(step, dim=-1, keepdim=True).clamp_min(1e-300)
        step = step * torch.clamp(0.5 * rho / length, max=1.0)
        return step, (along * step).sum(-1)


def _on_sphere(theta: Tensor, rho: Any) -> Tensor:
    return theta * (rho / torch.linalg.vector_norm(theta, dim=-1, keepdim=True))


def _ensemble(model: nn.Module) -> Ensemble:
    if not isinstance(model, Ensemble):
        raise ValueError(f"shares are of the sub-models of an Ensemble, got {type(model).__name__}")
    return model
