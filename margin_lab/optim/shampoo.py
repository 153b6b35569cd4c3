"""Shampoo with accumulation as a switch: without it, steepest descent in the spectral norm.

Our own, since published packages always accumulate and damp, or take the root ``-1/2`` where the paper has ``-1/4``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from margin_lab.checks import nonnegative
from margin_lab.losses import at_least_float32
from margin_lab.norms.modular import Shape
from margin_lab.optim.adam import LARGEST
from margin_lab.optim.base import LogLossOptimizer
from margin_lab.optim.work import Work, decay_of


@dataclass
class ShampooState:
    """The Gram matrices ``{name: (L [..., a, a], R [..., b, b])}`` over ``e^(2 frame)``; ``frame [..., 1]``."""

    frame: Tensor
    grams: dict[str, tuple[Tensor, Tensor]] = field(default_factory=dict)

    @classmethod
    def start(cls, w: Tensor) -> ShampooState:
        return cls(torch.full_like(at_least_float32(w[..., :1]), -torch.inf))


def shampoo_update(
    w: Tensor,
    grad: Tensor,
    log_loss: Any,
    lr: Any,
    state: ShampooState,
    shapes: Mapping[str, Shape],
    beta2: Any = 0.0,
    eps: Any = 0.0,
) -> Tensor:
    """``L <- b2 L + G G^T``, ``R <- b2 R + G^T G``, ``W <- W - lr (L + eps I)^(-1/4) G (R + eps I)^(-1/4)`` for every matrix.

    ``beta2=0``: no accumulation, the step is ``-lr U V^T``. ``beta2=1``: the sums of Gupta et al. 2018. Between: with forgetting.
    A vector counts as a matrix of one column: without accumulation its step is ``-lr g / ||g||_2``.

    Args:
        w, grad: ``[..., P]``, ``grad`` that of ``log L``; G is the gradient of L. log_loss: ``[...]`` or a number.
        shapes: ``{name: shape}`` of the layers in w. beta2, eps: numbers, or tensors that broadcast against ``[..., 1]``.

    With ``eps=0`` roots are pseudo-inverses: directions with singular values below 1e-7 of the largest are left out.
    Half precision is computed in float32, which has eigenvalues.
    """
    given, w, grad = w, at_least_float32(w), at_least_float32(grad)
    log_loss = torch.as_tensor(log_loss, dtype=w.dtype, device=w.device)[..., None]
    b2, eps = (torch.as_tensor(v, dtype=w.dtype, device=w.device) for v in (beta2, eps))
    # as in Adam: the accumulated roots cannot shrink faster than by sqrt(b2) a step
    frame = torch.maximum(log_loss, state.frame + 0.5 * torch.log(b2))
    keep = (b2 * torch.exp(2 * (state.frame - frame).clamp_max(LARGEST)))[..., None]
    damping = torch.exp(torch.log(eps) - 2 * frame)[..., None]
    state.frame = frame
    g = torch.exp(log_loss - frame) * grad
    steps = []
    parts = g.split([torch.Size(shape).numel() for shape in shapes.values()], -1)
    for (name, shape), part in zip(shapes.items(), parts, strict=True):
        G = part.unflatten(-1, (shape[0] if shape else 1, -1))
        left, right = G @ G.mT, G.mT @ G
        if name in state.grams:
            old_left, old_right = state.grams[name]
            left, right = left + keep * old_left, right + keep * old_right
        state.grams[name] = left, right
        steps.append((_root(left, damping) @ G @ _root(right, damping)).flatten(-2))
    return (w - lr * torch.cat(steps, -1)).to(given.dtype)


def _root(gram: Tensor, damping: Tensor) -> Tensor:
    """``(gram + damping I)^(-1/4)``, a pseudo-inverse where there is nothing to invert."""
    values, vectors = torch.linalg.eigh(gram)
    cutoff = values[..., -1:] * gram.shape[-1] * torch.finfo(gram.dtype).eps
    values = torch.where(values > cutoff, values, 0.0) + damping.squeeze(-1)
    root = torch.where(values > 0, values.clamp_min(torch.finfo(gram.dtype).tiny) ** -0.25, 0.0)
    return (vectors * root[..., None, :]) @ vectors.mT


class Shampoo(LogLossOptimizer):
    """Shampoo on L, stepping on gradients of ``log L``; see :func:`shampoo_update`. Its ``step`` takes a closure.

    Args:
        params: parameters or groups; tensors of more than two axes are flattened beyond the first. lr: >= 0.
        beta2: 0 no accumulation (spectral descent), 1 the original's sums, between: forgetting. eps: damping, >= 0.
        weight_decay: >= 0, decoupled. gradients_of: see :class:`LogLossOptimizer`. All but the last may differ between groups.

    Raises:
        ValueError: a value outside its range.

    Source: Gupta, Koren & Singer 2018, Algorithm 1; Flavors of Margin, section on Shampoo.
    """

    uses_loss = True
    per_group = ("lr", "beta2", "eps", "weight_decay")

    def __init__(
        self,
        params: Iterable[Any],
        lr: Any = 1e-3,
        beta2: float = 0.0,
        eps: float = 0.0,
        weight_decay: float = 0.0,
        *,
        gradients_of: str = "log_loss",
        **switches: Any,
    ):
        super().__init__(
            params,
            lr,
            beta2=beta2,
            eps=eps,
            weight_decay=weight_decay,
            gradients_of=gradients_of,
            switches=switches,
        )

    def check(self, options: Mapping[str, Any]) -> None:
        """Raise ValueError unless beta2 is in [0, 1] and eps is no negative number."""
        check_memory(options["beta2"])
        nonnegative(options["eps"], "eps")

    def advance(self, work: Work) -> None:
        """One step of :func:`shampoo_update` for each tensor, which has its own Gram matrices."""
        new: list[Tensor] = []
        for group in work.groups:
            lr, beta2, eps = (group.number(name) for name in ("lr", "beta2", "eps"))
            decay = decay_of(group)
            for p, g, state in zip(group.params, group.grads, group.states, strict=True):
                w = p.reshape(-1)
                grams = ShampooState(state["frame"], {"": state["grams"]}) if state else ShampooState.start(w)
                kept = w * (1 - decay) if decay else w
                moved = shampoo_update(
                    kept, g.reshape(-1), work.log_loss, lr, grams, {"": p.shape}, beta2, eps
                )
                state.update(frame=grams.frame, grams=grams.grams[""])
                new.append(moved.view_as(p))
        with work.all_or_nothing(safe=False):
            for p, moved in zip(work.params, new, strict=True):
                p.copy_(moved)


def check_memory(value: Any) -> Any:
    """Return ``value``; raise ValueError unless 0 <= value <= 1."""
    nonnegative(value, "beta2")
    if value > 1:
        raise ValueError(
            f"beta2 must be in [0, 1], got {value!r}: 0 does not accumulate, 1 sums all gradients up"
        )
    return value
