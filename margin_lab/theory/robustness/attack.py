"""The question that attacks answer: which is the nearest input, inside a box, that the network takes for another class?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from margin_lab.checks import as_tensor, plain_tensor
from margin_lab.losses import class_margins, sample_margins
from margin_lab.models.private import PureModel
from margin_lab.results import Result
from margin_lab.results.base import as_numpy

# Random relative changes of all parameters that tell how far rounding may move a margin: their number, size and safety factor.
_CHANGES, _FACTOR = 8, 32.0
# Doublings, and then halvings, of the small step beyond the boundary.
_DOUBLINGS, _HALVINGS = 60, 6


@dataclass(frozen=True, eq=False, repr=False)
class Attack(Result):
    """The best perturbations found, one a sample: upper bounds on the distance to the decision boundary.

    Attributes:
        radius: ``[n]`` l2 norm of the perturbation; 0 where the sample is misclassified as it is, infinite where none was found.
        X: ``[n, ...]`` the perturbed inputs, in the box; the sample itself where none was found.
        margin: ``[n]`` the network's margin there, ``<= 0`` wherever the radius is finite, and by more than rounding: so it is
            when the inputs are evaluated again in another batch, or on another machine.
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
        self.pure = PureModel(model)
        self.pure.module.requires_grad_(False)
        inputs = self.pure.inputs(X)
        self.shape = inputs.shape[1:]
        self.low, self.high = _edges(box, inputs)
        self.x = inputs.reshape(len(inputs), -1)
        if bool(((self.x < self.low) | (self.x > self.high)).any()):
            raise ValueError(
                f"X must lie in the box from {_shown(box[0])} to {_shown(box[1])}, but its values run from "
                f"{float(inputs.min()):.4g} to {float(inputs.max()):.4g}; scale the inputs first (pixels / 255), or pass "
                "box=(low, high)"
            )
        self.y = plain_tensor(y, "y").to(inputs.device)
        outputs = self.pure.checked(inputs)
        outputs = outputs[:, 0] if outputs.shape[1:] == (1,) else outputs
        self.margins = sample_margins(outputs, self.y)  # checks labels and shapes
        self.classes = outputs.shape[1] if outputs.ndim == 2 else 1
        self.predicted = outputs.argmax(1) if self.classes > 1 else outputs.reshape(-1).sign()

    def margin(self, x: Tensor, rows: Tensor) -> Tensor:
        """``q [m]`` at ``x [m, d]``, with the labels of samples ``rows [m]``: the class has changed where ``q <= 0``."""
        return self._margin(self._outputs(x), rows)

    def _margin(self, outputs: Tensor, rows: Tensor) -> Tensor:
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

    def _outputs(self, x: Tensor, theta: Mapping[str, Tensor] | None = None) -> Tensor:
        outputs = self.pure(x.reshape(len(x), *self.shape), theta)
        return outputs[:, 0] if outputs.shape[1:] == (1,) else outputs

    def rounding(self, x: Tensor, rows: Tensor) -> Tensor:
        """``[m]``: how far the margins at ``x`` may be off when they are evaluated in another order, batch or machine.

        Sums in another order are exact sums of terms that are changed by a few units in the last place. So all parameters are
        changed at random by ``sqrt(eps)`` relatively, where the change of the margin is linear and no rounding; its root mean
        square, times ``sqrt(eps)`` and a factor for the length of the sums, is what rounding may do.
        """
        eps = torch.finfo(x.dtype).eps
        generator = torch.Generator().manual_seed(0)
        squares = torch.zeros_like(x[:, 0])
        with torch.no_grad():
            q = self.margin(x, rows)
            for _ in range(_CHANGES):
                changed = {}
                for name, p in self.pure.module.named_parameters():
                    sign = torch.randint(0, 2, p.shape, generator=generator).to(p) * 2 - 1
                    changed[name] = p * (1 + eps**0.5 * sign)
                squares += (self._margin(self._outputs(x, changed), rows) - q) ** 2
        return _FACTOR * eps**0.5 * (squares / _CHANGES).sqrt()

    def attack(self, x: Tensor, found: Tensor) -> Attack:
        """The result, of perturbed rows ``x`` where ``found``; samples that are wrong as they are have radius 0."""
        rows = torch.arange(len(x), device=x.device)
        wrong = self.margins <= -self.rounding(self.x, rows)
        x = torch.where((found & ~wrong)[:, None], x, self.x)
        x, beyond = self._beyond(x, rows)
        found = wrong | (found & beyond)
        x = torch.where((found & ~wrong)[:, None], x, self.x)
        radius = torch.where(found, (x - self.x).norm(dim=1), torch.inf)
        with torch.no_grad():
            margin = self.margin(x, rows)
        return Attack(radius, x.reshape(len(x), *self.shape), margin)

    def _beyond(self, x: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Points just beyond the boundary near misclassified ones, and ``[n]`` whether they are surely beyond it.

        The step leads away from the sample; where the sample lies on the boundary itself, down the slope of the margin.
        """
        with torch.enable_grad():
            at = x.clone().requires_grad_()
            down = -slope(self.margin(at, rows), at)
        way = x - self.x
        length, steepness = way.norm(dim=1, keepdim=True), down.norm(dim=1, keepdim=True)
        size = x.norm(dim=1, keepdim=True).clamp(min=torch.finfo(x.dtype).tiny)
        tiny = torch.finfo(x.dtype).eps * size
        way = torch.where(length > tiny, way / length.clamp(min=tiny), down / steepness.clamp(min=tiny))
        need = self.rounding(x, rows)

        def there(step: Tensor) -> tuple[Tensor, Tensor]:
            moved = torch.where(step > 0, self.clamp(x + step * way), x)
            with torch.no_grad():
                return moved, (self.margin(moved, rows) <= -need)[:, None]

        high, (best, done) = torch.zeros_like(size), there(torch.zeros_like(size))
        low = high
        for k in range(_DOUBLINGS):
            if bool(done.all()):
                break
            low, high = torch.where(done, low, high), torch.where(done, high, tiny * 2.0**k)
            moved, arrived = there(high)
            best, done = torch.where(done, best, moved), done | arrived
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            moved, arrived = there(middle)
            keep = arrived & done & (high > 0)
            best = torch.where(keep, moved, best)
            low, high = torch.where(keep, low, middle), torch.where(keep, middle, high)
        return best, done[:, 0]


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
