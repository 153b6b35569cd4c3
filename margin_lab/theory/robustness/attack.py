"""The question that attacks answer: which is the nearest input, inside a box, that the network takes for another class?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from margin_lab.checks import as_tensor, finite, plain_tensor
from margin_lab.losses import class_margins, sample_margins
from margin_lab.results import Result
from margin_lab.results.base import as_numpy


@dataclass(frozen=True, eq=False, repr=False)
class Attack(Result):
    """The best perturbations found, one a sample: upper bounds on the distance to the decision boundary.

    Attributes:
        radius: ``[n]`` l2 norm of the perturbation; 0 where the sample is misclassified as it is, infinite where none was found.
        X: ``[n, ...]`` the perturbed inputs, in the box; the sample itself where none was found.
        margin: ``[n]`` the network's margin there, ``<= 0`` wherever the radius is finite.
    """

    radius: Tensor
    X: Tensor
    margin: Tensor

    _x, _y, _points = "sample", "radius", True

    def table(self) -> dict[str, np.ndarray]:
        """One row a sample: sample, radius, margin."""
        columns = {"radius": as_numpy(self.radius), "margin": as_numpy(self.margin)}
        return {"sample": np.arange(len(self.radius)), **columns}

    def _title(self) -> str:
        r = self.radius[torch.isfinite(self.radius)]
        middle = f", median radius {float(r.median()):.3g}" if len(r) else ""
        return f"Attack({len(r)} of {len(self.radius)} changed{middle})"


class Problem:
    """Checked samples as rows ``x [n, d]`` and the network's margins and gaps as functions of such rows.

    Raises:
        ValueError: inputs outside the box or not finite, labels out of range, shapes that do not match, a box that is none.
    """

    def __init__(self, model: nn.Module, X: Any, y: Any, box: Sequence[Any]):
        like = next(model.parameters())
        inputs = finite(as_tensor(X, "X"), "X").to(like)
        self.model, self.shape = model, inputs.shape[1:]
        self.low, self.high = _edges(box, inputs)
        self.x = inputs.reshape(len(inputs), -1)
        if bool(((self.x < self.low) | (self.x > self.high)).any()):
            raise ValueError(
                f"X must lie in the box from {_shown(box[0])} to {_shown(box[1])}, but its values run from "
                f"{float(inputs.min()):.4g} to {float(inputs.max()):.4g}; scale the inputs first (pixels / 255), or pass "
                "box=(low, high)"
            )
        self.y = plain_tensor(y, "y").to(like.device)
        with torch.no_grad():
            outputs = finite(self._outputs(self.x), "the model's outputs", "scale its parameters down")
            self.margins = sample_margins(outputs, self.y)  # checks labels and shapes
        self.classes = outputs.shape[1] if outputs.ndim == 2 else 1
        self.predicted = outputs.argmax(1) if self.classes > 1 else outputs.reshape(-1).sign()

    def margin(self, x: Tensor, rows: Tensor) -> Tensor:
        """``q [m]`` at ``x [m, d]``, with the labels of samples ``rows [m]``: the class has changed where ``q <= 0``."""
        outputs = self._outputs(x)
        if self.classes == 1:
            return outputs * self.y[rows].to(outputs)
        return class_margins(outputs, self.y[rows].long())

    def gap(self, x: Tensor, rows: Tensor, target: Tensor) -> Tensor:
        """``f_y - f_target [m]``; the margin itself where there are two classes and one output."""
        if self.classes == 1:
            return self.margin(x, rows)
        outputs = self._outputs(x)
        own = outputs.gather(1, self.y[rows].long()[:, None])[:, 0]
        return own - outputs.gather(1, target[:, None])[:, 0]

    def clamp(self, x: Tensor) -> Tensor:
        return x.clamp(self.low, self.high)

    def _outputs(self, x: Tensor) -> Tensor:
        outputs = self.model(x.reshape(len(x), *self.shape))
        return outputs[:, 0] if outputs.shape[1:] == (1,) else outputs

    def attack(self, x: Tensor, found: Tensor) -> Attack:
        """The result, of perturbed rows ``x`` where ``found``; samples that are wrong as they are have radius 0."""
        wrong = self.margins <= 0
        x = torch.where((found & ~wrong)[:, None], x, self.x)
        radius = (x - self.x).norm(dim=1)
        radius = torch.where(found | wrong, radius, torch.full_like(radius, torch.inf))
        with torch.no_grad():
            margin = self.margin(x, torch.arange(len(x), device=x.device))
        return Attack(radius, x.reshape(len(x), *self.shape), margin)


def slope(value: Tensor, x: Tensor) -> Tensor:
    """Each row's gradient of its own ``value [m]`` in ``x [m, d]``."""
    return torch.autograd.grad(value.sum(), x)[0]


def _edges(box: Sequence[Any], inputs: Tensor) -> tuple[Tensor, Tensor]:
    """Rows ``[1, d]`` of the lowest and of the highest value of every coordinate."""
    if len(box) != 2:
        raise ValueError(f"box must be (low, high), got {len(box)} entries")
    low, high = (
        as_tensor(edge, "box", device=inputs.device).to(inputs).expand(inputs.shape[1:]).reshape(1, -1)
        for edge in box
    )
    if not bool((low < high).all()):
        raise ValueError(
            f"box must be (low, high) with low < high, got {_shown(box[0])} and {_shown(box[1])}"
        )
    return low, high


def _shown(edge: Any) -> str:
    values = as_tensor(edge, "box")
    return (
        f"{float(values.min()):g}"
        if values.numel() == 1
        else f"{float(values.min()):.4g}..{float(values.max()):.4g}"
    )
