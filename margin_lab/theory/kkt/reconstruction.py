"""Training data out of a network's weights: the KKT conditions of the max-margin problem, read backwards.

Steepest descent in a norm leads a homogeneous network towards ``theta`` and multipliers ``lambda >= 0`` for which
``G = sum_i lambda_i y_i grad f(x_i; theta)`` is a subgradient of ``1/2 ||.||^2`` at theta: ``<theta, G> = ||theta|| ||G||_*``.
Whoever holds theta can look for inputs and multipliers that make it so. In l2 the condition reads ``theta = c G``; in other norms
many G belong to one theta, and the condition says less.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from margin_lab.checks import as_tensor, finite, integer, needs, positive, warning_filter
from margin_lab.models import MLP, flat_parameters, parameter_shapes, unflatten
from margin_lab.norms import Norm, on_flat
from margin_lab.results import Result


@dataclass(frozen=True, eq=False, repr=False)
class Reconstruction(Result):
    """Candidates for training data, one set for each of B networks; arrays, without B where one network was given.

    Attributes:
        inputs: ``[B, K, d]``, unit rows. labels: ``[K]``, -1 or +1. multipliers: ``[B, K]``, summing to 1 in every network.
        misalignment: ``[B]``, ``1 - <theta, G> / (||theta|| ||G||_*)``, between 0 (the condition holds) and 2.
    """

    inputs: np.ndarray
    labels: np.ndarray
    multipliers: np.ndarray
    misalignment: np.ndarray

    _x, _y, _group, _points = "candidate", "multiplier", "network", True

    def table(self) -> dict[str, np.ndarray]:
        """One row a candidate of a network: network, candidate, label, multiplier."""
        weights = np.atleast_2d(self.multipliers)
        networks, count = weights.shape
        return {
            "network": np.repeat(np.arange(networks), count),
            "candidate": np.tile(np.arange(count), networks),
            "label": np.tile(self.labels, networks),
            "multiplier": weights.ravel(),
        }

    def _title(self) -> str:
        networks, count = np.atleast_2d(self.multipliers).shape
        worst = float(np.max(self.misalignment))
        return f"Reconstruction({count} candidates for each of {networks} networks, misalignment at most {worst:.2e})"


def misalignment(
    model: MLP,
    X: Any,
    y: Any,
    multipliers: Any,
    norm: str | float | Norm = "l2",
    theta: Any = None,
) -> Tensor:
    """``1 - <theta, G> / (||theta|| ||G||_*)`` with ``G = sum_i lambda_i y_i grad f(x_i; theta)``: 0 where theta is stationary.

    With the best common scale of the multipliers, ``1 - (1 - misalignment)^2`` is the Fenchel-Young gap ``bregman`` of
    :mod:`margin_lab.theory.kkt`, relative to ``1/2 ||theta||^2``: the scale is left out here, and with it ``q_min``.

    Args:
        model: homogeneous :class:`margin_lab.models.MLP` with one output; parameters that require no gradient are constants.
        X: ``[..., K, d]``. y: ``[K]``, -1 or +1. multipliers: ``[..., K]``, >= 0. norm: of all trained parameters.
        theta: ``[..., P]``, default the model's own.

    Returns:
        ``[...]``

    Source: Flavors of Margin, Proposition B.6, written as an alignment.
    """
    own = on_flat(norm, parameter_shapes(model))
    at = (flat_parameters(model) if theta is None else as_tensor(theta, "theta")).double()
    parts = [as_tensor(v, name).double() for v, name in ((X, "X"), (y, "y"), (multipliers, "multipliers"))]
    with torch.no_grad():
        return _misalignment(model, own, at, own(at), *parts)


def _misalignment(
    model: MLP, own: Norm, at: Tensor, size: Tensor, X: Tensor, y: Tensor, lam: Tensor
) -> Tensor:
    keep = torch.is_grad_enabled()
    # parameters of its own for every set of inputs, so that one backward pass gives all gradients
    theta = at.expand(*X.shape[:-2], at.shape[-1]).clone().requires_grad_()
    with torch.enable_grad():
        f = model.stacked(unflatten(theta, parameter_shapes(model)), X)
        (G,) = torch.autograd.grad((lam * y * f).sum(), theta, create_graph=keep)
    result: Tensor = 1 - (at * G).sum(-1) / (size * own.dual(G)).clamp_min(1e-300)
    return result


def reconstruct(
    model: MLP,
    norm: str | float | Norm = "l2",
    candidates: int = 20,
    *,
    theta: Any = None,
    start: Any = None,
    seed: int = 0,
    steps: int = 1000,
    lr: float = 0.03,
) -> Reconstruction:
    """Search for inputs on the unit sphere and multipliers that minimise :func:`misalignment`, by Adam with a falling step.

    Differences from Haim et al.: the norm is free, the residual has no scale, inputs have unit length (which the attacker is
    assumed to know), multipliers may go to 0 where theirs have a lower bound, and ReLU is not smoothed: use "relu2".

    Args:
        model: of the architecture, see :func:`misalignment`. theta: ``[P]`` or ``[B, P]``, default the model's parameters.
        norm: of the condition. candidates: K, half of them of each class, labels -1, +1, -1, ...
        start: ``[B, K, d]`` first candidates, instead of random directions; their labels alternate, too. seed: of the directions.
        steps, lr: of Adam.

    Raises:
        ValueError: a model with several outputs, fewer than two candidates, a start of another shape, an unknown norm.

    Source: Haim, Vardi, Yehudai, Shamir and Irani 2022, section 4 (l2, multi-layer ReLU networks).
    """
    if not isinstance(model, MLP) or model.sizes[-1] != 1:
        raise ValueError("reconstruct needs a margin_lab.models.MLP with one output")
    integer(steps, "steps", least=1)
    positive(lr, "lr")
    given = finite(as_tensor(flat_parameters(model) if theta is None else theta, "theta"), "theta").double()
    at = given if given.ndim == 2 else given[None]
    if start is None:
        shape = (len(at), integer(candidates, "candidates", least=2), model.sizes[0])
        Z = torch.randn(shape, generator=torch.Generator().manual_seed(integer(seed, "seed"))).to(at)
    else:
        Z = finite(as_tensor(start, "start"), "start").to(at).clone()
        if Z.ndim != 3 or len(Z) != len(at) or Z.shape[2] != model.sizes[0]:
            raise ValueError(
                f"start must have shape [{len(at)}, K, {model.sizes[0]}], got {tuple(Z.shape)}; K is the number of candidates"
            )
    y = alternating(Z.shape[1])
    labels = torch.from_numpy(y).to(at)
    own = on_flat(norm, parameter_shapes(model))
    size = own(at)
    log_lam = torch.zeros_like(Z[..., 0])
    free = [Z.requires_grad_(), log_lam.requires_grad_()]
    adam = torch.optim.Adam(free, lr=lr)
    falling = torch.optim.lr_scheduler.LambdaLR(adam, lambda t: (1 + math.cos(math.pi * t / steps)) / 2)
    for _ in range(steps):
        adam.zero_grad()
        # networks share nothing: the sum descends in each of them
        _misalignment(model, own, at, size, _unit(Z), labels, log_lam.softmax(-1)).sum().backward()
        adam.step()
        falling.step()
    with torch.no_grad():
        inputs, lam = _unit(Z), log_lam.softmax(-1)
        end = _misalignment(model, own, at, size, inputs, labels, lam)
    values = [v.cpu().numpy() for v in (inputs, lam, end)]
    inputs_, lam_, end_ = values if given.ndim == 2 else [v[0] for v in values]
    return Reconstruction(inputs_, y, lam_, end_)


def neuron_components(W: Any, a: Any, per_class: int, seed: int = 0) -> np.ndarray:
    """Candidates without any search: the independent components of the neurons, ``[2 per_class, d]``, labels -1, +1, -1, ...

    By stationarity in l2 a neuron is ``w_j = sum_i c_ji x_i`` with ``c_ji = a_j y_i lambda_i sigma'(<w_j, x_i>)``. From a small
    random start the ``c_ji`` are nearly independent and far from Gaussian (half of them are 0), so that FastICA can find the
    ``x_i``, up to length, as the mixing vectors. Samples of one class are sought among the neurons of its sign.

    Args:
        W: first layer ``[m, d]``. a: second layer ``[m]``. per_class: samples of each class. seed: of FastICA's start.

    Raises:
        ValueError: fewer neurons of a sign, or inputs, than components.

    Source: Hyvarinen and Oja 2000 (FastICA). Its use on neurons is this project's.
    """
    FastICA = needs("sklearn.decomposition", "scikit-learn", "neuron_components()").FastICA
    ConvergenceWarning = needs("sklearn.exceptions", "scikit-learn", "neuron_components()").ConvergenceWarning
    W, a = np.asarray(W, dtype=float), np.asarray(a, dtype=float)
    k = integer(per_class, "per_class", least=1)
    fewest = min(int((a < 0).sum()), int((a > 0).sum()), W.shape[1])
    if k > fewest:
        raise ValueError(f"{k} components a class need as many neurons of each sign and inputs, got {fewest}")
    found = []
    for sign in (-1.0, 1.0):
        ica = FastICA(k, fun="logcosh", whiten="unit-variance", random_state=seed, max_iter=500)
        # candidates are judged by what they are worth, not by how the iteration ended
        with warning_filter("ignore", ConvergenceWarning):
            ica.fit(W[np.sign(a) == sign])
        # FastICA leaves the sign open; coefficients are >= 0, and so are their means
        found.append((ica.mixing_ * np.where(ica.components_ @ ica.mean_ < 0, -1, 1)).T)
    rows: np.ndarray = np.stack(found, 1).reshape(2 * k, -1)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def span_share(W: Any, X: Any, rank: int) -> np.ndarray:
    """Share ``[n]`` of the squared length of each row of ``X [n, d]`` in the span of W's first ``rank`` right singular vectors.

    Chance level: ``rank / d`` for isotropic inputs.
    """
    X = np.asarray(X, dtype=float)
    V = np.linalg.svd(np.asarray(W, dtype=float), full_matrices=False)[2][: integer(rank, "rank", least=1)]
    share: np.ndarray = ((X @ V.T) ** 2).sum(1) / (X**2).sum(1)
    return share


def best_cosines(inputs: Any, labels: Any, X: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
    """For each row of ``X [n, d]`` the largest cosine with a candidate of its class, and that candidate's index: ``[n]`` each.

    Raises:
        ValueError: a class without candidates.
    """
    inputs, labels, X, y = (np.asarray(v, dtype=float) for v in (inputs, labels, X, y))
    if not set(y) <= set(labels):
        raise ValueError(f"no candidate has one of the labels {sorted(set(y) - set(labels))}")
    unit = [v / np.linalg.norm(v, axis=-1, keepdims=True) for v in (X, inputs)]
    cosines = np.where(y[:, None] == labels, unit[0] @ unit[1].T, -np.inf)
    return cosines.max(1), cosines.argmax(1)


def alternating(count: int) -> np.ndarray:
    """Labels -1, +1, -1, ... ``[count]``: those of the candidates."""
    return np.where(np.arange(count) % 2, 1.0, -1.0)


def _unit(Z: Tensor) -> Tensor:
    return torch.nn.functional.normalize(Z, dim=-1)
