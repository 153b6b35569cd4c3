"""A homogeneous network on its training data, as functions of its flat parameters: what flows and KKT residuals work with."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from margin_lab.checks import as_tensor, finite, plain_tensor
from margin_lab.losses import (
    class_margins,
    log_loss,
    log_loss_of_margins,
    loss_of_outputs,
    loss_weights,
    sample_margins,
)
from margin_lab.models import MLP, unflatten
from margin_lab.models.declared import verified_degree
from margin_lab.models.private import PureModel
from margin_lab.norms import Norm, on_flat

# Below this log loss (summed) every sample has a positive margin: L < 1, or L < log 2.
LOG_THRESHOLD = {
    "exponential": 0.0,
    "logistic": math.log(math.log(2)),
    "cross_entropy": math.log(math.log(2)),
}


class Descent(NamedTuple):
    """The loss at a point and the way down from it, ``v = -grad log L = sum_k p_k grad q_k``; no loss is formed.

    ``log_loss``: number. ``weights``: ``p [m]``, one a constraint; for the exponential loss they sum to 1. ``margins``:
    ``q [m]``. ``v``: ``[P]``.
    """

    log_loss: float
    weights: Tensor
    margins: Tensor
    v: Tensor


class HomogeneousModel:
    """``q(theta)`` of a homogeneous network: the margins of its constraints ``q_k(theta) >= 1``, and their gradients.

    A binary model has one constraint a sample, ``q_i = y_i f(x_i)``. A multiclass one has one for every sample and wrong class,
    ``q_ij = f_{y_i}(x_i) - f_j(x_i)``, which are smooth where ``min_j q_ij`` is not. All is done in float64.

    Args:
        model: any ``nn.Module`` that is homogeneous in its trained parameters; it is left as it is.
        X: inputs ``[n, ...]``. y: ``[n]``, -1 or +1 for one output, class indices for k outputs.
        loss: "exponential" (default for one output), "logistic" or "cross_entropy", always **summed**, as the theorems have it.

    Raises:
        ValueError: a model that is not homogeneous or is 0 on all of X, labels out of range, shapes that do not match, NaN.

    Example:
        >>> import margin_lab as ml
        >>> data = ml.datasets.gaussian(20, 4)
        >>> problem = HomogeneousModel(ml.models.MLP([4, 6, 1], "relu2"), data.X, data.y)
        >>> problem.degree, problem.size, len(problem.margins(problem.theta))
        (3.0, 30, 20)
    """

    def __init__(self, model: nn.Module, X: Any, y: Any, loss: str | None = None):
        pure = PureModel(model)
        self.shapes = {name: p.shape for name, p in pure.theta.items()}
        inputs = pure.inputs(X)
        outputs = pure.checked(inputs)
        sample_margins(outputs, y)
        self.loss = loss_of_outputs(loss, outputs)
        log_loss(outputs, y, self.loss)  # refuses labels and outputs that do not suit the loss
        self.degree = verified_degree(pure, inputs)
        self.pure = PureModel(pure.module, torch.float64)
        self.X = self.pure.inputs(X)
        self.theta = torch.cat([p.reshape(-1) for p in self.pure.theta.values()])
        self.classes = outputs.shape[1] if outputs.ndim == 2 and outputs.shape[1] > 1 else 0
        labels = plain_tensor(y, "y").to(inputs.device)
        self.y, self._signs = labels.long() if self.classes else labels, labels.double()

    @property
    def size(self) -> int:
        """The number P of trained parameters."""
        return len(self.theta)

    @property
    def samples(self) -> Tensor:
        """The sample that each constraint belongs to, ``[m]``."""
        n = torch.arange(len(self.X), device=self.y.device)
        return n.repeat_interleave(self.classes - 1) if self.classes else n

    def checked(self, theta: Any) -> Tensor:
        """``theta [P]`` as a tensor; raise ValueError where it has another shape or is not finite."""
        at = finite(as_tensor(theta, "theta", device=self.theta.device), "theta").double()
        if at.shape != self.theta.shape:
            raise ValueError(f"theta must have shape [{self.size}], got {tuple(at.shape)}")
        return at

    def outputs(self, theta: Tensor) -> Tensor:
        """``f`` ``[n]`` or ``[n, k]`` at ``theta [P]``."""
        named = unflatten(theta, self.shapes)
        if isinstance(self.pure.module, MLP):
            return self.pure.module.stacked(named, self.X.flatten(1))
        f = self.pure(self.X, named)
        return f[:, 0] if f.shape[1:] == (1,) else f

    def margins(self, theta: Tensor) -> Tensor:
        """``q [m]``, one a constraint, differentiable in ``theta [P]``."""
        return self._constraints(self.outputs(theta))

    def _constraints(self, f: Tensor) -> Tensor:
        if not self.classes:
            return f * self._signs
        return (f.gather(1, self.y[:, None]) - f)[self._wrong(f)]

    def jacobian(self, theta: Tensor) -> Tensor:
        """``grad q_k`` as rows ``[m, P]``: m P numbers, for networks small enough that these fit into memory."""
        jacobian: Tensor = torch.autograd.functional.jacobian(self.margins, theta, vectorize=True)
        return jacobian

    def descent(self, theta: Tensor) -> Descent:
        """Loss, weights and margins at ``theta [P]``, and ``v = -grad log L`` by one backward pass."""
        theta = theta.detach().requires_grad_()
        with torch.enable_grad():
            f = self.outputs(theta)
        at = f.detach()
        q = self._constraints(at)
        if self.classes:
            log_loss, slope = self._class_slope(at)
            # a wrong class's output enters its own constraint only
            weights = slope[self._wrong(at)]
        else:
            log_loss, weights = float(log_loss_of_margins(q, self.loss, "sum")), loss_weights(q, self.loss)
            slope = -weights * self._signs
        (grad,) = torch.autograd.grad(f, theta, slope)
        return Descent(log_loss, weights, q, -grad)

    def _class_slope(self, f: Tensor) -> tuple[float, Tensor]:
        """``log L`` and its gradient in the outputs ``[n, k]``."""
        f = f.requires_grad_()
        soft = self.loss == "cross_entropy"
        with torch.enable_grad():
            q = class_margins(f, self.y, soft=soft)
            value = log_loss_of_margins(q, "logistic" if soft else self.loss, "sum")
        (slope,) = torch.autograd.grad(value, f)
        return float(value.detach()), slope

    def _wrong(self, f: Tensor) -> Tensor:
        return torch.ones_like(f, dtype=torch.bool).scatter(1, self.y[:, None], False)

    def norm(self, norm: str | float | Norm) -> Norm:
        """A norm of flat parameters; "spectral" where there is one trained matrix."""
        return on_flat(norm, self.shapes)

    def fitted(self, descent: Descent) -> Descent:
        """Return ``descent``; raise ValueError unless every constraint has a positive margin."""
        q_min = float(descent.margins.min())
        if not q_min > 0:
            wrong = len(set(self.samples[descent.margins <= 0].tolist()))
            raise ValueError(
                f"the model does not fit its data: {wrong} of {len(self.X)} samples have a margin <= 0 (the smallest is "
                f"{q_min:.3g}), so it cannot be scaled to q_min = 1. Train it until all are classified correctly"
            )
        return descent

    def below_threshold(self, descent: Descent) -> Descent:
        """Return ``descent``; raise ValueError unless the summed loss is below its separability threshold."""
        threshold = LOG_THRESHOLD[self.loss]
        if not descent.log_loss < threshold:
            name = "1" if self.loss == "exponential" else "log 2"
            raise ValueError(
                f"the summed {self.loss} loss is {math.exp(min(descent.log_loss, 700)):.4g}, but must be below its threshold "
                f"{name}: the smoothed margin is positive, and the theorems speak, only there. Train further"
            )
        return descent
