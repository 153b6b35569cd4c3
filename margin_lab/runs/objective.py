"""The loss of a mini-batch in the frame of the full loss, and the full data's margins and loss."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from margin_lab.checks import choice, finite
from margin_lab.homogeneity import evaluating
from margin_lab.losses import LOSSES, class_margins, log_loss, log_loss_of_margins, sample_margins

# Samples whose outputs are computed at once where no gradient is needed.
_CHUNK = 1000
NAIVE = "naive"


class Objective:
    """A loss as training needs it. The labels are checked once, at the start.

    Args:
        loss: "exponential", "logistic", "cross_entropy", or "naive": torch's own ``cross_entropy`` in the outputs' dtype,
            what one would write first, and exactly 0 where a sample's loss is below half a unit in the last place of 1.
        dtype: outputs are converted to it before the loss (not by "naive").
    """

    def __init__(self, loss: str, dtype: torch.dtype):
        self.loss, self.dtype = choice(loss, "loss", (*LOSSES, NAIVE)), dtype
        self.link = "logistic" if loss == "cross_entropy" else loss

    def log_each(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Each sample's log loss ``[n]``, for labels that were checked before."""
        return log_loss_of_margins(self._margins(outputs.to(self.dtype), y), self.link, "none")

    def relative(self, outputs: Tensor, y: Tensor, log_frame: float) -> Tensor:
        """The mean loss of a batch, divided by ``exp(log_frame)``."""
        if self.loss == NAIVE:
            return nn.functional.cross_entropy(outputs, y) / math.exp(log_frame)
        return torch.exp(self.log_each(outputs, y) - log_frame).mean()

    def log_batch(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Log of a batch's mean loss, for the optimizers that step on gradients of ``log L``."""
        if self.loss == NAIVE:
            return nn.functional.cross_entropy(outputs, y).log()
        return log_loss_of_margins(self._margins(outputs.to(self.dtype), y), self.link, "mean")

    def full(self, outputs: Tensor, y: Tensor) -> tuple[float, Tensor]:
        """Log of the mean loss, and the hard margins ``[n]``."""
        wide = outputs.to(self.dtype)
        q = class_margins(wide, y) if wide.ndim == 2 else wide * y
        if self.loss == NAIVE:
            value = nn.functional.cross_entropy(outputs, y).double().log()
        else:
            soft = self._margins(wide, y) if self.loss == "cross_entropy" else q
            value = log_loss_of_margins(soft, self.link, "mean")
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


@torch.no_grad()
def all_outputs(model: nn.Module, X: Tensor) -> Tensor:
    """Outputs on all of ``X`` in eval mode, chunk by chunk; one column becomes ``[n]``."""
    with evaluating(model):
        return one_column(torch.cat([model(part) for part in X.split(_CHUNK)]))


def one_column(outputs: Tensor) -> Tensor:
    """Outputs ``[n, 1]`` as ``[n]``; others as they are."""
    return outputs[:, 0] if outputs.ndim == 2 and outputs.shape[1] == 1 else outputs
