"""Muon with the polar factor as an argument: momentum, then steepest descent in the spectral norm of every matrix."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from margin_lab.checks import choice
from margin_lab.losses import at_least_float32
from margin_lab.norms import L2
from margin_lab.norms.modular import Shape
from margin_lab.norms.spectral import Polar
from margin_lab.optim.adam import LARGEST, check_beta, weigh
from margin_lab.optim.base import LogLossOptimizer
from margin_lab.optim.polar import MUON, get_polar, newton_schulz, polar_express
from margin_lab.optim.steepest import own_norm
from margin_lab.optim.work import Group, Work, shrink


@dataclass
class MuonState:
    """Running mean of gradients ``[..., P]``, divided by ``e^frame``; ``frame [..., 1]``."""

    mean: Tensor
    frame: Tensor

    @classmethod
    def start(cls, w: Tensor) -> MuonState:
        w = at_least_float32(w)
        return cls(torch.zeros_like(w), torch.full_like(w[..., :1], -torch.inf))


def muon_update(
    w: Tensor,
    grad: Tensor,
    log_loss: Any,
    lr: Any,
    state: MuonState,
    shapes: Mapping[str, Shape],
    momentum: Any = 0.95,
    nesterov: bool = True,
    polar: str | Polar = "newton-schulz",
    adjust: bool = False,
) -> Tensor:
    """``M <- mu M + (1 - mu) G``, ``W <- W - lr polar(M')``, with ``M' = mu M + (1 - mu) G`` (Nesterov) or ``M``.

    With ``momentum=0`` and the exact polar factor that is spectral descent. Vectors step by ``-lr m' / ||m'||_2``.

    Args:
        w, grad: ``[..., P]``, ``grad`` that of ``log L``; G is the gradient of L. log_loss: ``[...]`` or a number.
        shapes: ``{name: shape}`` of the layers in w. momentum: a number, or a tensor that broadcasts against ``[..., 1]``.
        adjust: multiply a matrix's step by ``sqrt(max(1, rows / columns))``, as ``torch.optim.Muon`` does. Its steps then have
            no longer one length in the modular norm.
    """
    given, w, grad = w, at_least_float32(w), at_least_float32(grad)
    log_loss = torch.as_tensor(log_loss, dtype=w.dtype, device=w.device)[..., None]
    mu = torch.as_tensor(momentum, dtype=w.dtype, device=w.device)
    frame = torch.maximum(log_loss, state.frame + torch.log(mu))
    g = torch.exp(log_loss - frame) * grad
    mean = mu * torch.exp((state.frame - frame).clamp_max(LARGEST)) * state.mean + (1 - mu) * g
    state.mean, state.frame = mean, frame
    direction = own_norm("modular", shapes, polar).direction(mu * mean + (1 - mu) * g if nesterov else mean)
    if adjust:
        direction = direction * _ratios(shapes, w)
    return (w + lr * direction).to(given.dtype)


def _ratios(shapes: Mapping[str, Shape], like: Tensor) -> Tensor:
    sizes = [torch.Size(shape).numel() for shape in shapes.values()]
    factors = [ADJUST["original"](shape) for shape in shapes.values()]
    return like.new_tensor(factors).repeat_interleave(torch.tensor(sizes, device=like.device))


def _sides(shape: Shape) -> tuple[int, int]:
    """Rows and columns of a matrix; a kernel's axes beyond the first are its columns."""
    return shape[0], torch.Size(shape[1:]).numel()


# By what a matrix's step is multiplied; torch's names, and None for 1. Vectors are left alone.
ADJUST: dict[str | None, Callable[[Shape], float]] = {
    None: lambda shape: 1.0,
    "original": lambda shape: (
        math.sqrt(max(1.0, _sides(shape)[0] / _sides(shape)[1])) if len(shape) > 1 else 1.0
    ),
    "match_rms_adamw": lambda shape: 0.2 * math.sqrt(max(_sides(shape))) if len(shape) > 1 else 1.0,
}


class Muon(LogLossOptimizer):
    """Muon on L in the dtype of its parameters, with any polar factor, stepping on gradients of ``log L``.

    ``torch.optim.Muon`` is the one to train large networks with; it computes its five Newton-Schulz steps in bfloat16, whose
    rounding hides what this one is made to show: here that is ``polar="newton-schulz-bfloat16"``. Its ``step`` takes a closure.

    Args:
        params: parameters or groups. lr: >= 0. momentum: in [0, 1). nesterov: see :func:`muon_update`.
        polar: "newton-schulz", "polar-express", "exact", "convergent", "newton-schulz-bfloat16" or a function.
        adjust_lr_fn: None for steps of one length in the modular norm; "original" multiplies a matrix's step by
            ``sqrt(max(1, rows / columns))`` (torch's None), "match_rms_adamw" by ``0.2 sqrt(max(rows, columns))``.
        weight_decay: >= 0, decoupled. ns_steps, ns_coefficients: of "newton-schulz" (five of Muon's); "polar-express" takes
            ``ns_steps``. adjust: True is "original". gradients_of: see :class:`LogLossOptimizer`.

    All but gradients_of may differ between groups.

    Raises:
        ValueError: a value outside its range, an unknown polar factor, ns_steps for one that takes none.

    Source: Jordan et al. 2024 (Muon); Amsel et al. 2025 (Polar Express).
    """

    uses_loss = True
    per_group = (
        "lr", "momentum", "nesterov", "polar", "adjust_lr_fn", "weight_decay", "ns_steps", "ns_coefficients"
    )  # fmt: skip

    def __init__(
        self,
        params: Iterable[Any],
        lr: Any = 1e-3,
        momentum: float = 0.95,
        nesterov: bool = True,
        polar: str | Polar = "newton-schulz",
        adjust: bool = False,
        weight_decay: float = 0.0,
        *,
        adjust_lr_fn: str | None = None,
        ns_steps: int | None = None,
        ns_coefficients: Sequence[float] | None = None,
        gradients_of: str = "log_loss",
        **switches: Any,
    ):
        super().__init__(
            params,
            lr,
            momentum=momentum,
            nesterov=bool(nesterov),
            polar=polar,
            adjust_lr_fn="original" if adjust and adjust_lr_fn is None else adjust_lr_fn,
            weight_decay=weight_decay,
            ns_steps=ns_steps,
            ns_coefficients=None if ns_coefficients is None else tuple(ns_coefficients),
            gradients_of=gradients_of,
            switches=switches,
        )

    def check(self, options: Mapping[str, Any]) -> None:
        """Raise ValueError unless momentum, polar factor and adjustment are known and in range."""
        check_beta(options["momentum"], "momentum")
        choice(options["adjust_lr_fn"], "adjust_lr_fn", tuple(ADJUST))  # type: ignore[arg-type]
        polar_of_options(options)

    def advance(self, work: Work) -> None:
        """One step of :func:`muon_update`; the mean of ``L g`` is one of L times a weighted mean of ``g``, see Adam's."""
        # singular values of a known polar factor are below 2, and so is every entry
        known = all(isinstance(group.options["polar"], str) for group in work.groups)
        safe = known and work.moves(2e3 * max(group.number("lr") for group in work.groups))
        for state, g in zip(work.states, work.grads, strict=True):
            if "momentum_buffer" not in state:
                state["momentum_buffer"] = torch.zeros_like(g)
        with work.all_or_nothing(safe, *[s["momentum_buffer"] for s in work.states]):
            for group in work.groups:
                self._step(group, work.log_loss or 0.0)

    def _step(self, group: Group, log_loss: float) -> None:
        momentum, lr = group.number("momentum"), group.number("lr")
        log_mean, weight = weigh(group.states[0].get("log_mean", -math.inf), log_loss, momentum)
        ahead = weigh(log_mean, log_loss, momentum)[1] if group.options["nesterov"] else 0.0
        polar, factor = polar_of_options(group.options), ADJUST[group.options["adjust_lr_fn"]]
        shrink(group)
        for p, g, state in zip(group.params, group.grads, group.states, strict=True):
            state["log_mean"] = log_mean
            mean = state["momentum_buffer"].lerp_(g, weight)
            p.add_(_unit_step(mean.lerp(g, ahead) if ahead else mean, polar), alpha=lr * factor(p.shape))


def _unit_step(mean: Tensor, polar: Polar) -> Tensor:
    if mean.ndim < 2:
        return L2().direction(mean.reshape(-1)).view_as(mean)
    return -polar(mean.reshape(mean.shape[0], -1)).reshape(mean.shape)


def polar_of_options(options: Mapping[str, Any]) -> Polar:
    """The polar factor that ``polar``, ``ns_steps`` and ``ns_coefficients`` ask for."""
    polar, steps, coefficients = (options[name] for name in ("polar", "ns_steps", "ns_coefficients"))
    if steps is None and coefficients is None:
        return get_polar(polar)
    if polar == "newton-schulz":
        return newton_schulz(5 if steps is None else steps, MUON if coefficients is None else coefficients)
    if polar == "polar-express" and coefficients is None:
        return polar_express(steps)
    raise ValueError(
        f"ns_steps goes with polar='newton-schulz' or 'polar-express', ns_coefficients with 'newton-schulz'; got "
        f"polar={polar!r}, ns_steps={steps!r}, ns_coefficients={coefficients!r}"
    )
