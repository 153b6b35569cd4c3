"""Adam in the frame of ``log L``: the same steps as ``torch.optim.Adam``, at any loss."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from margin_lab.checks import nonnegative
from margin_lab.losses import at_least_float32
from margin_lab.optim.base import LogLossOptimizer
from margin_lab.optim.work import Group, Work, exp, shrink

# With b2 = 0 a loss may fall by more than float64's range in one step; what is multiplied by 0 then must not be inf.
LARGEST = 300.0


@dataclass
class AdamState:
    """Means of gradients ``[..., P]`` (over ``e^frame``), of their squares (over ``e^(2 frame)``); ``frame [..., 1]``; steps."""

    m: Tensor
    v: Tensor
    frame: Tensor
    t: int = 0

    @classmethod
    def start(cls, w: Tensor) -> AdamState:
        w = at_least_float32(w)
        return cls(torch.zeros_like(w), torch.zeros_like(w), torch.full_like(w[..., :1], -torch.inf))


def adam_update(
    w: Tensor,
    grad: Tensor,
    log_loss: Any,
    lr: Any,
    state: AdamState,
    beta1: Any = 0.9,
    beta2: Any = 0.999,
    eps: Any = 1e-8,
) -> Tensor:
    """One step on L: ``m <- b1 m + (1 - b1) g``, ``v <- b2 v + (1 - b2) g^2``, ``w <- w - lr m_hat / (sqrt(v_hat) + eps)``.

    Args:
        w, grad: ``[..., P]``; ``grad`` is that of ``log L``, so ``g = L * grad``. log_loss: ``[...]`` or a number.
        lr, beta1, beta2, eps: numbers, or tensors that broadcast against ``w``. Where ``sqrt(v_hat) + eps`` is 0, so is the step.

    ``eps`` is compared with gradients of L itself: Adam slows down where they fall below ``eps``; with ``eps=0`` it never does.
    In half precision the state is float32, and so is the arithmetic: beta2 = .999 would round to 1.
    """
    given, w, grad = w, at_least_float32(w), at_least_float32(grad)
    log_loss = torch.as_tensor(log_loss, dtype=w.dtype, device=w.device)[..., None]
    b1, b2, eps = (torch.as_tensor(v, dtype=w.dtype, device=w.device) for v in (beta1, beta2, eps))
    # sqrt(v) cannot shrink faster than by sqrt(b2) a step: in this frame it neither under- nor overflows, however fast L falls
    frame = torch.maximum(log_loss, state.frame + 0.5 * torch.log(b2))
    shift = torch.exp((state.frame - frame).clamp_max(LARGEST))
    g = torch.exp(log_loss - frame) * grad
    state.m = b1 * shift * state.m + (1 - b1) * g
    state.v = b2 * shift**2 * state.v + (1 - b2) * g**2
    state.frame, state.t = frame, state.t + 1
    # eps / e^frame as one exponential: inf far below eps, where the step is 0, and 0 (not nan) for eps = 0
    size = (state.v / (1 - b2**state.t)).sqrt() + torch.exp(torch.log(eps) - frame)
    m = state.m / (1 - b1**state.t)
    step = torch.where(size > 0, m / torch.where(size > 0, size, torch.ones_like(size)), 0.0)
    return (w - lr * step).to(given.dtype)


class Adam(LogLossOptimizer):
    """Adam on L, stepping on gradients of ``log L``: equal to ``torch.optim.AdamW`` while L does not underflow, and right below.

    Use ``torch.optim.AdamW`` where the loss stays above 1e-300.

    Args:
        params: parameters or groups. lr: >= 0. betas: two numbers in [0, 1); or beta1, beta2 by name. eps: >= 0.
        weight_decay: >= 0, decoupled: ``w <- (1 - lr weight_decay) w`` before each step. gradients_of: see
            :class:`LogLossOptimizer`.

    All of them may differ between groups, but for gradients_of.

    Raises:
        ValueError: a value outside its range.

    Source: Kingma & Ba 2015, Algorithm 1; Loshchilov & Hutter 2019 (the decay).
    """

    uses_loss = True
    per_group = ("lr", "betas", "eps", "weight_decay")

    def __init__(
        self,
        params: Iterable[Any],
        lr: Any = 1e-3,
        betas: tuple[Any, Any] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        beta1: float | None = None,
        beta2: float | None = None,
        gradients_of: str = "log_loss",
        **switches: Any,
    ):
        given = {"betas": betas, "beta1": beta1, "beta2": beta2, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, lr, gradients_of=gradients_of, switches=switches, **given)

    def translated(self, options: dict[str, Any]) -> dict[str, Any]:
        """``beta1`` and ``beta2`` as parts of ``betas``."""
        first, second = options.pop("beta1", None), options.pop("beta2", None)
        if first is not None or second is not None:
            betas = _pair(options.get("betas", getattr(self, "defaults", {}).get("betas")))
            options["betas"] = (betas[0] if first is None else first, betas[1] if second is None else second)
        return options

    def check(self, options: Mapping[str, Any]) -> None:
        """Raise ValueError unless the betas are below 1 and eps is no negative number."""
        for value, name in zip(_pair(options["betas"]), ("beta1", "beta2"), strict=True):
            check_beta(value, name)
        nonnegative(options["eps"], "eps")

    def advance(self, work: Work) -> None:
        """Running means of ``g`` and ``g^2``, with g the gradient of log L, weighted by L and L^2.

        ``m = M m~`` and ``v = V v~`` with the means ``M`` of L and ``V`` of L^2 as logarithms: nothing under- or overflows.
        """
        steps = [self._scaled(group, work.log_loss or 0.0) for group in work.groups]
        safe = work.moves(max(step.longest for step in steps))
        moments = [t for s in work.states for t in (s["exp_avg"], s["exp_avg_sq"])]
        with work.all_or_nothing(safe, *moments):
            for group, step in zip(work.groups, steps, strict=True):
                step.take(group)

    def _scaled(self, group: Group, log_loss: float) -> _Step:
        beta1, beta2 = map(float, group.options["betas"])
        first = group.states[0]
        t = first.get("step", 0) + 1
        log_mean, weight = weigh(first.get("log_mean", -math.inf), log_loss, beta1)
        log_square, weight_sq = weigh(first.get("log_mean_sq", -math.inf), 2 * log_loss, beta2)
        # Cauchy-Schwarz: m^2 <= ratio v
        ratio, last = (1 - beta1) ** 2 / (1 - beta2), first.get("ratio", 0.0)
        ratio += beta1**2 / beta2 * last if beta2 else (math.inf if beta1 * last else 0.0)
        root, lr = math.sqrt(1 - beta2**t), group.number("lr")
        for p, state in zip(group.params, group.states, strict=True):
            state.update(step=t, log_mean=log_mean, log_mean_sq=log_square, ratio=ratio)
            for name in ("exp_avg", "exp_avg_sq"):
                state.setdefault(name, None)
                if state[name] is None:
                    state[name] = torch.zeros_like(p)
        rate = lr * exp(log_mean - log_square / 2) * root / (1 - beta1**t)
        eps = group.number("eps") * root * exp(-log_square / 2)
        # the factor leaves room for squares that lost digits on their way to 0
        longest = 1e6 * lr * math.sqrt(ratio) * root / (1 - beta1**t) if lr else 0.0
        return _Step(rate, weight, weight_sq, eps, longest)


@dataclass
class _Step:
    """Adam's step on a group as numbers: ``p <- p - rate m~ / (sqrt(v~) + eps)``, after the decay."""

    rate: float
    weight: float
    weight_sq: float
    eps: float
    longest: float

    def take(self, group: Group) -> None:
        means, squares = ([s[name] for s in group.states] for name in ("exp_avg", "exp_avg_sq"))
        params, grads, limits = group.params, group.grads, torch.finfo(group.params[0].dtype)
        shrink(group)
        eps = min(self.eps, limits.max)
        if eps >= limits.tiny and self.rate <= limits.max and params[0].device.type in ("cpu", "cuda"):
            # torch's fused kernel: one pass. After infinitely many steps it corrects no bias, which is done already.
            step = [torch.full((), math.inf, device=params[0].device)] * len(params)
            b1, b2 = (min(1 - w, math.nextafter(1, 0)) for w in (self.weight, self.weight_sq))
            torch._fused_adam_(
                params, grads, means, squares, [], step, lr=self.rate, beta1=b1, beta2=b2, weight_decay=0.0, eps=eps,
                amsgrad=False, maximize=False,
            )  # fmt: skip
            return
        torch._foreach_lerp_(means, grads, self.weight)
        torch._foreach_mul_(squares, 1 - self.weight_sq)
        torch._foreach_addcmul_(squares, grads, grads, self.weight_sq)
        size = torch._foreach_sqrt(squares)
        torch._foreach_add_(size, eps)
        for s in size:
            s.masked_fill_(s == 0, math.inf)  # where nothing ever pointed anywhere, there is no step
        if self.rate > limits.max:
            raise OverflowError
        torch._foreach_addcdiv_(params, means, size, -self.rate)


def weigh(log_total: float, log_new: float, beta: float) -> tuple[float, float]:
    """A running mean ``K <- beta K + (1 - beta) L`` in logarithms, and the weight ``(1 - beta) L / K`` of the new term in it.

    So a running mean of ``L g`` is ``K`` times a weighted mean of ``g``, at any L.
    """
    new = math.log1p(-beta) + log_new
    old = math.log(beta) + log_total if beta else -math.inf
    top = max(old, new)
    total = top + math.log(math.exp(old - top) + math.exp(new - top))
    return total, exp(new - total)


def _pair(betas: Any) -> tuple[Any, Any]:
    if not isinstance(betas, (tuple, list)) or len(betas) != 2:
        raise ValueError(f"betas must be two numbers (beta1, beta2), got {betas!r}")
    return betas[0], betas[1]


def check_beta(value: Any, name: str) -> Any:
    """Return ``value``; raise ValueError unless 0 <= value < 1."""
    nonnegative(value, name)
    if value >= 1:
        raise ValueError(f"{name} must be below 1, got {value!r}; at 1 no new gradient would count")
    return value
