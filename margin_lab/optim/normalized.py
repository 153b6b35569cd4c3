"""Normalised gradient descent in its two forms."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor

from margin_lab.checks import choice
from margin_lab.norms import get_norm
from margin_lab.optim.base import LogLossOptimizer
from margin_lab.optim.work import Work, descend

FORMS = ("loss", "gradient")


def normalized_update(w: Tensor, grad: Tensor, lr: Any, form: str = "loss") -> Tensor:
    """``w - lr * grad log L`` (form "loss") or ``w - lr * grad L / ||grad L||_2`` (form "gradient"), on ``[..., d]``."""
    return w - lr * grad if form == "loss" else w + lr * get_norm("l2").direction(grad)


class NormalizedGD(LogLossOptimizer):
    """Normalised gradient descent: the step does not vanish with the loss.

    ``form="loss"``: ``theta <- theta - lr * grad L / L``, plain gradient descent on ``log L`` (Ji & Telgarsky 2021: margin
    rate ``O(1/t)`` for lr <= 1 and ``||x_i|| <= 1``). ``form="gradient"``: ``theta <- theta - lr * grad L / ||grad L||``; with
    torch's ``LambdaLR(opt, lambda t: (t + 1) ** -0.5)`` that is the method of Nacson et al. (2019), rate ``O(1/sqrt(t))``.

    Args:
        params: parameters or groups. lr: >= 0. form: "loss" or "gradient" (the norm is joint over all groups).
        weight_decay: >= 0, decoupled. gradients_of: see :class:`LogLossOptimizer`.

    Raises:
        ValueError: lr < 0 or an unknown form.

    Example:
        >>> import torch, margin_lab as ml
        >>> w = torch.zeros(2, dtype=torch.float64, requires_grad=True)
        >>> X, y = torch.eye(2, dtype=torch.float64), torch.ones(2)
        >>> opt = ml.optim.NormalizedGD([w], lr=1.0)
        >>> ml.log_loss(X @ w, y).backward()
        >>> opt.step(); w.detach().tolist()
        [0.5, 0.5]
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: Any = 1.0,
        form: str = "loss",
        weight_decay: float = 0.0,
        *,
        gradients_of: str = "log_loss",
        **switches: Any,
    ):
        super().__init__(
            params, lr, form=form, weight_decay=weight_decay, gradients_of=gradients_of, switches=switches
        )

    def check(self, options: Mapping[str, Any]) -> None:
        """Raise ValueError unless the form is known."""
        choice(options["form"], "form", FORMS)

    def advance(self, work: Work) -> None:
        """``p <- p - lr g``, divided by the joint norm in form "gradient"; nothing where the gradient is 0."""
        per = 1.0 if self.option("form") == "loss" else 1 / work.size if work.size else 0.0
        descend(work, [group.number("lr") * per for group in work.groups])
