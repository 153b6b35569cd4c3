"""How far an input can be moved before the network changes its mind: attacks from above, certificates from below."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from margin_lab.checks import as_tensor, choice, integer, positive
from margin_lab.theory.robustness.attack import Attack, Problem
from margin_lab.theory.robustness.boundary import descend, starting_points
from margin_lab.theory.robustness.carlini_wagner import carlini_wagner

METHODS = ("boundary", "carlini_wagner", "both")


def smallest_perturbation(
    model: nn.Module,
    X: Any,
    y: Any,
    method: str = "boundary",
    *,
    box: Sequence[Any] = (0.0, 1.0),
    steps: int | None = None,
    starts: int = 4,
    searches: int = 9,
    lr: float = 0.01,
    constant: float = 1.0,
    normalize: bool = True,
) -> Attack:
    """The smallest l2 perturbation found, inside the box, that changes the class of each sample. Deterministic, batched.

    Every attack gives an **upper** bound on a sample's distance to the decision boundary, :func:`certified_radius` a lower one.
    Where the network is linear, "boundary" is exact.

    Args:
        model: any ``nn.Module``, outputs ``[n]``, ``[n, 1]`` or ``[n, k]``; a copy is evaluated, in eval mode.
        X: ``[n, ...]`` in the box. y: ``[n]``, -1 or +1 for one output, class indices for k.
        method: "boundary" (descent along the decision boundary from several starts), "carlini_wagner", or "both": the first,
            started from the second's result as well.
        box: low and high of the inputs, numbers or arrays of the inputs' shape: ``(-mean, 1 - mean)`` for centred pixels.
        steps: of the descent (default 40), or of Adam for each constant (default 1000).
        starts: of the descent for every sample: this many linearised attacks, and this many samples of other classes.
        searches, lr, constant, normalize: Carlini and Wagner's number of constants, Adam's learning rate, the first constant, and
            whether the margin is measured in units of its slope at the sample; the original's are 9, 0.01, 1e-3 and False.

    Returns:
        An :class:`Attack` with ``radius [n]`` and the perturbed inputs.

    Raises:
        ValueError: inputs outside the box, NaN, labels out of range, steps or constants that are not positive.

    Example:
        >>> import torch, margin_lab as ml
        >>> net = ml.models.MLP([2, 1])
        >>> _ = net.layers[0].weight.data.copy_(torch.tensor([[3.0, -4.0]]))
        >>> attack = smallest_perturbation(net, [[0.5, 0.25]], [1])
        >>> [round(float(v), 6) for v in attack.radius]
        [0.1]

    Source: Carlini & Wagner 2017; the boundary's tangent as in DeepFool (Moosavi-Dezfooli et al. 2016) and FAB (Croce & Hein
    2020).
    """
    choice(method, "method", METHODS)
    default = 40 if method == "boundary" else 1000
    count = integer(default if steps is None else steps, "steps", least=1)
    integer(starts, "starts", least=1)
    integer(searches, "searches", least=1)
    positive(lr, "lr")
    positive(constant, "constant")
    # whatever mode the caller is in: the attack needs slopes
    with torch.inference_mode(False), torch.enable_grad():
        problem = Problem(model, X, y, box)
        if method == "boundary":
            return problem.attack(*descend(problem, *starting_points(problem, starts), count))
        x, found = carlini_wagner(problem, count, searches, lr, constant, normalize)
        if method == "both":
            z, rows = starting_points(problem, starts)
            z, rows = torch.cat([z, x[found]]), torch.cat([rows, found.nonzero()[:, 0]])
            x, found = descend(problem, z, rows, 40)
        return problem.attack(x, found)


def robust_accuracy(radius: Any, at: Any) -> Tensor:
    """The share of samples whose smallest perturbation is larger than each of ``at``: ``[...]`` of at's shape.

    Args:
        radius: ``[n]`` distances, 0 for samples that are misclassified as they are. at: radii >= 0; at 0 it is the accuracy.

    Raises:
        ValueError: a radius below 0, or NaN.
    """
    radii, levels = as_tensor(radius, "radius").flatten(), as_tensor(at, "at")
    for name, t in (("radius", radii), ("at", levels)):
        if t.numel() == 0 or bool(torch.isnan(t).any()) or float(t.min()) < 0:
            raise ValueError(f"{name} must hold distances >= 0, got {t.flatten()[:6].tolist()}")
    return (radii > levels.to(radii)[..., None]).double().mean(-1)
