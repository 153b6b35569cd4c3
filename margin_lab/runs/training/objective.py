"""The loss of a mini-batch in the frame of the full loss, and the full data's margins and loss."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from margin_lab.checks import choice, finite
from margin_lab.losses import (
    LOSSES,
    class_margins,
    log_loss,
    log_loss_of_margins,
    mark_log_loss,
    sample_margins,
)
from margin_lab.models.homogeneity import evaluating

# Samples whose outputs are computed at once where no gradient is needed.
_CHUNK = 1000
NAIVE = "naive"
TOTALS = ("mean", "sum")


class Objective:
    """A loss as training needs it. The labels are checked once, at the start.

    Args:
        loss: "exponential", "logistic", "cross_entropy", or "naive": torch's own ``cross_entropy`` in the outputs' dtype,
            what one would write first, and exactly 0 where a sample's loss is below half a unit in the last place of 1.
        dtype: outputs are converted to it before the loss (not by "naive").
        reduction: "mean" or "sum", over a batch's samples and over all.
    """

    def __init__(self, loss: str, dtype: torch.dtype, reduction: str = "mean"):
        self.loss, self.dtype = choice(loss, "loss", (*LOSSES, NAIVE)), dtype
        self.reduction = choice(reduction, "reduction", TOTALS)
        self.link = "logistic" if loss == "cross_entropy" else loss

    def log_each(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Each sample's log loss ``[n]``, for labels that were checked before."""
        return log_loss_of_margins(self._margins(outputs.to(self.dtype), y), self.link, "none")

    def relative(self, outputs: Tensor, y: Tensor, log_frame: float) -> Tensor:
        """The loss of a batch, divided by ``exp(log_frame)``."""
        if self.loss == NAIVE:
            return nn.functional.cross_entropy(outputs, y, reduction=self.reduction) / math.exp(log_frame)
        if self.loss == "cross_entropy":
            # the sum is the mean in a frame that is n times smaller
            frame = log_frame - math.log(len(y)) if self.reduction == "sum" else log_frame
            value: Tensor = _RelativeCrossEntropy.apply(outputs.to(self.dtype), y, frame)
            return value
        each = torch.exp(self.log_each(outputs, y) - log_frame)
        return each.sum() if self.reduction == "sum" else each.mean()

    def log_batch(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Log of a batch's loss, for the optimizers that step on gradients of ``log L``."""
        if self.loss == NAIVE:
            value = nn.functional.cross_entropy(outputs, y, reduction=self.reduction)
            return mark_log_loss(value.log())
        return log_loss_of_margins(self._margins(outputs.to(self.dtype), y), self.link, self.reduction)

    def full(self, outputs: Tensor, y: Tensor) -> tuple[float, Tensor]:
        """Log of the full loss, and the hard margins ``[n]``."""
        wide = outputs.to(self.dtype)
        q = class_margins(wide, y) if wide.ndim == 2 else wide * y
        if self.loss == NAIVE:
            value = nn.functional.cross_entropy(outputs, y, reduction=self.reduction).double().log()
        else:
            soft = self._margins(wide, y) if self.loss == "cross_entropy" else q
            value = log_loss_of_margins(soft, self.link, self.reduction)
        return float(value), q

    def check(self, outputs: Tensor, y: Tensor) -> Tensor:
        """The labels as the loss takes them; ValueError where they do not suit the outputs."""
        finite(outputs, "the outputs at the start", "scale the data or the parameters down")
        sample_margins(outputs, y)
        log_loss(outputs, y, "cross_entropy" if self.loss == NAIVE else self.loss)
        return y.long() if outputs.ndim == 2 else y.to(self.dtype)

    def _margins(self, outputs: Tensor, y: Tensor) -> Tensor:
        if outputs.ndim == 2:
            return class_margins(outputs, y, soft=self.loss == "cross_entropy")
        return outputs * y


class _RelativeCrossEntropy(torch.autograd.Function):
    """``mean_i exp(log l_i - log_frame)`` with its gradient in closed form: half the time of a small network's step.

    ``l_i = softplus(a_i)``, ``a_i = LSE_{j != y}(f_j - f_y)``, and ``d l_i / d f_j = exp(f_j - f_y - softplus(a_i))`` for
    ``j != y``; all is divided by ``exp(log_frame)`` before it is exponentiated.
    """

    @staticmethod
    def forward(ctx: Any, f: Tensor, y: Tensor, log_frame: float) -> Tensor:
        own = y[:, None]
        others = (f - f.gather(1, own)).scatter_(1, own, -math.inf)
        a = torch.logsumexp(others, 1, keepdim=True)
        grad = torch.exp(others - torch.logaddexp(a, torch.zeros_like(a)) - log_frame) / len(f)
        ctx.save_for_backward(grad.scatter_(1, own, -grad.sum(1, keepdim=True)))
        log_each = log_loss_of_margins(-a[:, 0], "logistic", "none")
        return torch.exp(log_each - log_frame).mean()

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor, None, None]:
        return grad_output * ctx.saved_tensors[0], None, None


@torch.no_grad()
def all_outputs(model: nn.Module, X: Tensor) -> Tensor:
    """Outputs on all of ``X`` in eval mode, chunk by chunk; one column becomes ``[n]``."""
    with evaluating(model):
        return one_column(torch.cat([model(part) for part in X.split(_CHUNK)]))


def one_column(outputs: Tensor) -> Tensor:
    """Outputs ``[n, 1]`` as ``[n]``; others as they are."""
    return outputs[:, 0] if outputs.ndim == 2 and outputs.shape[1] == 1 else outputs
