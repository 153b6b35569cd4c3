"""Losses in the log domain: ``log L`` and its gradient stay exact where ``L`` itself is far below 1e-300.

Everything trains through ``log L``: its gradient ``grad(L) / L`` is a convex combination of sample gradients, finite
at any loss. With ``q`` the margins, exponential loss ``exp(-q)``, logistic loss ``log(1 + exp(-q))``, and cross-entropy
the logistic loss of ``s_i = -LSE_{j != y_i}(f_j - f_{y_i})``.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from margin_lab.checks import as_tensor, choice, finite, plain_tensor, restore_like, signed_labels

LOSSES = ("exponential", "logistic", "cross_entropy")
MARGIN_LOSSES = ("exponential", "logistic")
# Of the samples' losses before the log; "none" is for log_loss alone.
REDUCTIONS = ("mean", "sum", "none")


class Ledger:
    """How many backward passes went through a log loss; an optimizer that sees none of them was given another loss.

    ``unseen`` is True once a log loss was compiled, whose backward pass no hook can count: then nothing is concluded.
    """

    def __init__(self) -> None:
        self.backwards = 0
        self.unseen = False

    def count(self, gradient: Tensor) -> None:
        """Note one backward pass: the hook of every marked tensor."""
        self.backwards += 1

    # torch.save warns about hooks that it drops, except those that say they need not be kept
    count.__torch_unserializable__ = True  # type: ignore[attr-defined]


LEDGER = Ledger()

# Below this argument log(softplus(a)) is taken from its series: exp(3 a) is then under half a unit in the last place.
_SERIES_BELOW = -15.0


def mark_log_loss(value: Tensor) -> Tensor:
    """Return ``value`` and mark it as a log loss: for one of your own that the optimizers of ``margin_lab.optim`` should know.

    They step on gradients of ``log L``, and warn where none came from a marked loss. Marks cost nothing without a gradient.
    """
    if torch.compiler.is_compiling():
        LEDGER.unseen = True
    elif torch._C._functorch.maybe_get_level(value) >= 0:
        LEDGER.backwards += (
            1  # inside torch.func.grad: no hook, and no gradient but the one that is being taken
        )
    elif value.requires_grad:
        value.register_hook(LEDGER.count)
    return value


def log_loss(outputs: Any, y: Any, loss: str | None = None, reduction: str = "mean") -> Any:
    """Natural log of the training loss, differentiable and exact at any loss.

    Args:
        outputs: model outputs ``[n]`` or ``[n, 1]``, or ``[n, k]`` for k >= 2 classes. Cross-entropy needs k of them; the two
            others then take the multiclass margin ``f_y - max_{j != y} f_j``.
        y: labels ``[n]``: -1 or +1 for one output, class indices ``0 .. k-1`` for k.
        loss: ``"exponential"`` (the default for one output), ``"logistic"`` or ``"cross_entropy"``; k outputs need one by name.
        reduction: ``"mean"`` (as in torch) or ``"sum"``, as the theorems have it, over samples *before* the log; ``"none"``
            gives each sample's log loss ``[n]``.

    Returns:
        ``log L``: a tensor for tensor outputs (with their autograd graph), a NumPy value for arrays. Outputs in half precision,
        as under autocast, are converted to float32 first, since log L is as large as the margins.

    Raises:
        ValueError: unknown loss or reduction, k outputs without a loss, shapes that do not match, labels out of range, NaN
            outputs. Under ``torch.compile`` the values of outputs and labels are not looked at.

    Example:
        >>> import numpy as np
        >>> float(log_loss(np.array([5000.0, 5000.0]), np.array([1, 1])))
        -5000.0
    """
    choice(reduction, "reduction", REDUCTIONS)
    is_tensor = isinstance(outputs, Tensor)
    f = outputs if is_tensor and outputs.is_floating_point() else as_tensor(outputs, "outputs")
    loss = loss_of_outputs(loss, f)
    f = at_least_float32(f)
    if not torch.compiler.is_compiling():
        finite(f.detach(), "outputs", "lower lr, or start from smaller parameters")
    q = sample_margins(f, y) if loss != "cross_entropy" else class_margins(f, _class_labels(f, y), soft=True)
    value = log_loss_of_margins(q, "logistic" if loss == "cross_entropy" else loss, reduction)
    return value if is_tensor else restore_like(outputs)(value)[()]


def loss_of_outputs(loss: str | None, outputs: Tensor) -> str:
    """The loss by name, checked: for outputs ``[n]`` or ``[n, 1]`` the exponential one by default.

    Raises:
        ValueError: an unknown loss, or none for k outputs: logits are mostly meant for cross-entropy, and nobody would notice.
    """
    if loss is not None:
        return str(choice(loss, "loss", LOSSES))
    if outputs.ndim == 2 and outputs.shape[1] > 1:
        raise ValueError(
            f"outputs of {outputs.shape[1]} classes need a loss by name: loss='cross_entropy', or 'exponential' or 'logistic' "
            "of the margins f_y - max_{j != y} f_j"
        )
    return "exponential"


def at_least_float32(t: Tensor) -> Tensor:
    """``t``, in float32 where it is float16 or bfloat16."""
    return t.float() if t.dtype in (torch.float16, torch.bfloat16) else t


def sample_margins(outputs: Tensor, y: Any) -> Tensor:
    """Margins ``q_i`` ``[n]``: ``y_i f(x_i)`` for ``[n]`` or ``[n, 1]`` outputs, ``f_y - max_{j != y} f_j`` for ``[n, k]``.

    Raises:
        ValueError: shapes that do not match, labels that are not ±1 (one output) or class indices (k outputs).
    """
    if outputs.ndim == 2 and outputs.shape[1] > 1:
        return class_margins(outputs, _class_labels(outputs, y))
    f = outputs[:, 0] if outputs.shape[1:] == (1,) else outputs
    y = as_tensor(y, "y", device=f.device)
    if f.ndim != 1 or f.numel() == 0 or y.shape != f.shape:
        raise ValueError(
            f"outputs {tuple(outputs.shape)} and y {tuple(y.shape)} do not match; binary losses take outputs [n] or [n, 1] "
            "and labels [n], n >= 1"
        )
    return f * (y if torch.compiler.is_compiling() else signed_labels(y)).to(f.dtype)


def class_margins(outputs: Tensor, labels: Tensor, soft: bool = False) -> Tensor:
    """``f_y - max_{j != y} f_j`` for checked labels ``[..., n]`` and outputs ``[..., n, k]``; with ``LSE`` for ``max`` if soft.

    The logistic loss of the soft margins is the cross-entropy of the outputs.
    """
    own = labels[..., None]
    others = (outputs - outputs.gather(-1, own)).scatter(-1, own, -math.inf)
    return -(_logsumexp(others) if soft else others.amax(-1))


def log_loss_of_margins(q: Tensor, loss: str = "exponential", reduction: str = "mean") -> Tensor:
    """``log L`` from margins ``q [..., n]``, reduced over the last axis."""
    log_each = -q if loss == "exponential" else _log_softplus(-q)
    return mark_log_loss(log_each if reduction == "none" else _log_total(log_each, reduction))


def _log_total(log_each: Tensor, reduction: str) -> Tensor:
    total = _logsumexp(log_each)
    if reduction == "sum":
        return total
    value = total - math.log(log_each.shape[-1])
    # The difference loses its digits where L is close to 1: add the log of the mean of exp(log_each - value), which
    # rounding alone keeps from 0. No gradient passes through it, since in exact arithmetic it is the constant 0.
    with torch.no_grad():
        lost = torch.log1p(torch.expm1(log_each - value[..., None]).mean(-1))
    return value + lost


def loss_weights(q: Tensor, loss: str = "exponential") -> Tensor:
    """The weights ``p [..., n]`` with ``grad log L = -sum_i p_i grad q_i``, for margins ``q [..., n]``.

    The closed form that linear models iterate with, without autograd: no loss value is formed. Exponential loss:
    ``p = softmax(-q)``; logistic: ``p_i = exp(log sigmoid(-q_i) - log L)``.
    """
    if loss == "exponential":
        return torch.softmax(-q, -1)
    return torch.exp(
        torch.nn.functional.logsigmoid(-q) - torch.logsumexp(_log_softplus(-q), -1, keepdim=True)
    )


def inverse_link(log_inverse_loss: Tensor, loss: str = "exponential") -> Tensor:
    """``g(log 1/L)`` of Lyu & Li (B3), the margin at which one sample alone has loss ``L``.

    The identity for the exponential loss; ``-log(exp(exp(-z)) - 1)`` for the logistic loss and cross-entropy.
    """
    z = log_inverse_loss
    if loss == "exponential":
        return z
    u = torch.exp(-z)
    # log(expm1(u)) = log(u) + u/2 + O(u^2) and log(u) = -z: no cancellation at small loss, where u underflows.
    small = u < 1e-5
    safe = torch.where(small, torch.ones_like(u), u)
    large = -(safe + torch.log(-torch.expm1(-safe)))
    return torch.where(small, z - u / 2 - u * u / 24, large)


def log10_of(log: Any) -> Any:
    """The decimal logarithm of what has the natural logarithm ``log``."""
    return log / math.log(10)


def log_of(log10: float) -> float:
    """The natural logarithm of what has the decimal logarithm ``log10``."""
    return log10 * math.log(10)


def _class_labels(outputs: Tensor, y: Any) -> Tensor:
    labels = plain_tensor(y, "y")
    n, k = outputs.shape if outputs.ndim == 2 else (0, 0)
    if k < 2 or n == 0 or labels.shape != (n,):
        raise ValueError(
            f"outputs {tuple(outputs.shape)} and y {tuple(labels.shape)} do not match; cross-entropy takes outputs [n, k], "
            "k >= 2, and class indices [n], n >= 1"
        )
    whole = not (labels.is_floating_point() or labels.is_complex())
    compiling = torch.compiler.is_compiling()
    if not whole or not (compiling or bool(((labels >= 0) & (labels < k)).all())):
        raise ValueError(
            f"labels y must be whole class indices from 0 to {k - 1}, got {torch.unique(labels)[:6].tolist()}"
        )
    return labels.to(outputs.device, torch.int64)


def _logsumexp(a: Tensor) -> Tensor:
    # torch.logsumexp loses log(1 + tiny); summing all but the largest term into log1p keeps full relative accuracy.
    top, where = a.max(-1, keepdim=True)
    rest = torch.exp(a - top).scatter(-1, where, 0.0).sum(-1)
    return top[..., 0] + torch.log1p(rest)


def _log_softplus(a: Tensor) -> Tensor:
    # log(log1p(u)) = log(u) - u/2 + 5u^2/24 - ..., u = exp(a); `where` twice so that no branch makes a NaN gradient.
    small = a < _SERIES_BELOW
    u = torch.exp(torch.where(small, a, torch.full_like(a, _SERIES_BELOW)))
    series = a - u / 2 + 5 * u * u / 24
    direct = torch.log(torch.logaddexp(torch.where(small, torch.zeros_like(a), a), torch.zeros_like(a)))
    return torch.where(small, series, direct)
