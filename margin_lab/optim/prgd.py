"""PRGD: progressive rescaling gradient descent (Wang, Min & Wu 2024, Algorithm 1)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from margin_lab.checks import choice, nonnegative
from margin_lab.losses import at_least_float32
from margin_lab.norms import Norm, get_norm
from margin_lab.optim.base import LogLossOptimizer
from margin_lab.optim.radii import Period, Radii, period_of
from margin_lab.optim.work import Work, joint_norm

_L2 = get_norm("l2")
# What is rescaled and projected: all parameters as one vector, or every tensor by itself.
BLOCKS = ("joint", "tensors")


def ball_norm(norm: str | float | Norm) -> Norm:
    """The norm of PRGD's balls; ValueError unless it has a projection: "l1", "l2" or "linf"."""
    chosen = get_norm(norm)
    if chosen.name not in ("l1", "l2", "linf"):
        raise ValueError(
            f"PRGD projects onto balls, which 'l1', 'l2' and 'linf' can do; got norm {chosen.name!r}"
        )
    return chosen


@dataclass
class PRGDState:
    """Where each row of a batch stands in its cycles: plain lists, because the schedule is data-independent.

    ``cycle[b]`` rescalings are done, ``left[b]`` iterations remain before the next; ``first_radius`` and ``radius [B, m]``, of m
    blocks with ``sizes`` parameters each.
    """

    cycle: list[int]
    left: list[int]
    first_radius: Tensor
    radius: Tensor
    sizes: list[int]

    @classmethod
    def start(cls, w: Tensor, norm: Norm = _L2, sizes: Sequence[int] | None = None) -> PRGDState:
        """Begin at ``w [B, d]``; ``R_0`` is the norm of each row, or of its blocks of the given sizes; none may be 0."""
        blocks = [w.shape[-1]] if sizes is None else list(sizes)
        length = torch.stack([norm(part) for part in at_least_float32(w).split(blocks, -1)], -1)
        if bool((length == 0).any()):
            raise ValueError(
                "PRGD rescales its start, which must not be 0: warm up first, or start from another w0"
            )
        return cls([0] * len(w), [0] * len(w), length, length.clone(), blocks)


def prgd_update(
    w: Tensor,
    grad: Tensor,
    lr: Any,
    state: PRGDState,
    radii: Sequence[Radii],
    periods: Sequence[Period],
    norm: Norm = _L2,
    decay: Any = 0.0,
) -> Tensor:
    """One iteration of Algorithm 1 on ``w [B, d]``, row by row on its own schedule; advances ``state``.

    At ``t = T_k``: ``w <- R_k w / ||w||``. Else: ``w <- Proj_{||.|| <= R_k}(w - lr_k * grad log L)`` with
    ``lr_k = lr (R_0 / R_k)^decay``, which is ``lr`` in the paper. A rescaling counts as one iteration of its period. In other
    norms the ball is theirs, and the step and the projection stay Euclidean: together they still are projected gradient descent
    on ``log L`` over that ball. Where the state has several blocks, each has its own radius and ball.
    """
    due = [left == 0 for left in state.left]
    if any(due):
        state.radius = _next_radii(w, state, radii, due)
        for b in (b for b, is_due in enumerate(due) if is_due):
            state.left[b] = period_of(periods[b], state.cycle[b])
            state.cycle[b] += 1
    state.left = [left - 1 for left in state.left]
    given, w, grad = w, at_least_float32(w), at_least_float32(grad)
    if all(due):
        return _rescaled(w, state, norm).to(given.dtype)
    shrunk = (state.first_radius / state.radius) ** decay
    if len(state.sizes) > 1:
        shrunk = shrunk.repeat_interleave(torch.tensor(state.sizes, device=w.device), -1)
    stepped = _block_by_block(w - lr * shrunk * grad, state, norm.project)
    if any(due):
        stepped = torch.where(torch.tensor(due, device=w.device)[:, None], _rescaled(w, state, norm), stepped)
    return stepped.to(given.dtype)


def _rescaled(w: Tensor, state: PRGDState, norm: Norm) -> Tensor:
    # divide before multiplying: radius / norm alone would overflow for tiny w
    return _block_by_block(w, state, lambda v, radius: (v / norm(v)[:, None]) * radius[:, None])


def _block_by_block(w: Tensor, state: PRGDState, function: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    parts = zip(w.split(state.sizes, -1), state.radius.unbind(-1), strict=True)
    return torch.cat([function(part, radius) for part, radius in parts], -1)


def _next_radii(w: Tensor, state: PRGDState, radii: Sequence[Radii], due: list[bool]) -> Tensor:
    new, first = state.radius.tolist(), state.first_radius.tolist()
    for b in (b for b, is_due in enumerate(due) if is_due):
        for j, block in enumerate(w[b].split(state.sizes)):
            new[b][j] = float(radii[b](state.cycle[b], first[b][j], block))
            if math.isnan(new[b][j]) or new[b][j] <= 0:
                raise ValueError(
                    f"radius must be > 0, got {new[b][j]} from radii(k={state.cycle[b]}, R0={first[b][j]:.6g}, w)"
                )
    return torch.tensor(new, dtype=state.radius.dtype, device=w.device)


class PRGD(LogLossOptimizer):
    """Progressive rescaling gradient descent: stretch the parameters to a growing sphere, then take projected
    normalised steps inside it, where the pull toward the max-margin direction is still strong.

    For cycles ``k = 0, 1, ...``: one rescaling ``theta <- R_k theta / ||theta||``, then ``period - 1`` steps
    ``theta <- Proj_{||.||_2 <= R_k}(theta - lr_k * grad L / L)`` with ``lr_k = lr (R_0 / R_k)^decay``. ``R_0`` is the norm of the
    parameters (jointly) at the first step; the paper warms up with gradient descent before that.

    There is no default schedule, since the one for linear models blows a network up: unpack :func:`linear_schedule` or
    :func:`network_schedule`, or give your own. A network should be trained to fit its data first (by ``NormalizedGD``, say).

    Args:
        params: parameters or groups; norm and radius are joint over all of them. lr: >= 0, per group. Linear models with
            ``||x_i|| <= 1``: 1. Networks: about ``0.3 / ||grad log L||^2`` at the start, a third of the step that would lower log
            L by one; 2 in place of 0.3 kills most networks of two layers in a few steps.
        radii: ``radii(k, R0, w) -> float`` with ``k`` from 0 and ``w`` the flat parameters ``[P]``.
        period: iterations per cycle, the rescaling included: an int >= 1, or ``period(k) -> int``.
        norm: of the balls, whose margin is maximised: "l2" as in the paper, "l1" or "linf".
        blocks: "joint", or "tensors" to stretch each tensor to a radius of its own and project it onto its own ball (then a
            tensor that is all 0 at the start, as a bias may be, is refused).
        decay: the paper's 0 suits linear models. With a network of degree L a step turns the parameters by an angle in
            proportion to ``R^(L - 2 - decay)``, and is small enough for the sharpness of log L with ``decay = 2L - 2``.
        gradients_of: see :class:`LogLossOptimizer`.

    Where the gradient is 0 nothing happens, and no iteration of the schedule is spent: to stretch parameters at which nothing
    pulls only makes them longer. (In Algorithm 1 that cannot happen: on separable data a linear model's gradient of log L is at
    least as long as the margin.)

    Raises:
        ValueError: no radii, lr < 0, a radius <= 0, a period < 1, another norm, parameters that are all 0 at the first step,
            unknown blocks, decay < 0.
        DivergedError: a radius that overflowed.

    The schedule (``radii``, ``period``) is code: ``state_dict`` names it and holds the position in it.

    Example:
        >>> import torch, margin_lab as ml
        >>> w = torch.ones(2, dtype=torch.float64, requires_grad=True)
        >>> PRGD([w], **ml.optim.linear_schedule()).option("radii")
        exponential_radii(growth=1.2)

    Source: PRGD, Algorithm 1; exponential rate under Assumption 5.4 (Theorem 6.2). Growth that is too fast for the data
    freezes the direction. Networks: lab 13d.
    """

    if_it_overflows = "lower lr, or grow the radius more slowly"
    per_group = ("lr", "decay")

    def __init__(
        self,
        params: Iterable[Any],
        lr: Any = 1.0,
        radii: Radii | None = None,
        period: Period = 5,
        norm: str | float | Norm = "l2",
        blocks: str = "joint",
        decay: float = 0.0,
        *,
        gradients_of: str = "log_loss",
        **switches: Any,
    ):
        if radii is None:
            raise ValueError(
                "PRGD has no default radii: pass **margin_lab.optim.linear_schedule() for a linear model, "
                "**margin_lab.optim.network_schedule(degree, steps) for a network, or radii= of your own"
            )
        super().__init__(
            params,
            lr,
            radii=radii,
            period=period,
            norm=norm,
            blocks=blocks,
            decay=decay,
            gradients_of=gradients_of,
            switches=switches,
        )

    def check(self, options: Mapping[str, Any]) -> None:
        """Raise ValueError unless the schedule is callable and norm, blocks and decay are known and in range."""
        if not callable(options["radii"]):
            raise ValueError(
                f"radii must be callable as radii(k, R0, w), got {options['radii']!r}; see exponential_radii"
            )
        period_of(options["period"], 0)
        ball_norm(options["norm"])
        choice(options["blocks"], "blocks", BLOCKS)
        nonnegative(options["decay"], "decay")

    def advance(self, work: Work) -> None:
        """One iteration of Algorithm 1: :func:`prgd_update` at rescalings, tensor by tensor between them."""
        if work.size == 0:
            return
        norm, state, params = ball_norm(self.option("norm")), work.joint, work.params
        sizes = [p.numel() for p in params]
        w = (
            torch.cat([p.reshape(-1) for p in params])
            if state.get("left", 0) == 0 or norm.name == "l1"
            else None
        )
        blocks = sizes if self.option("blocks") == "tensors" else [sum(sizes)]
        if state:
            first, radius = ([state[name]] for name in ("first_radius", "radius"))
            like = params[0].new_empty(0)
            at = PRGDState(
                [state["cycle"]], [state["left"]], like.new_tensor(first), like.new_tensor(radius), blocks
            )
        else:
            at = PRGDState.start(w[None] if w is not None else params[0], norm, blocks)
        rates = self._rates(work, at)
        if w is not None:
            self._flat(work, w, rates, at, norm)
        else:
            at.left[0] -= 1
            self._by_tensor(work, rates, at, norm)
        state.update(
            cycle=at.cycle[0],
            left=at.left[0],
            first_radius=at.first_radius[0].tolist(),
            radius=at.radius[0].tolist(),
        )

    def _rates(self, work: Work, at: PRGDState) -> list[float]:
        """``lr_k`` of every tensor."""
        shrunk = (at.first_radius / at.radius)[0].tolist()
        shrunk = shrunk if len(shrunk) > 1 else shrunk * len(work.params)
        options = [(g.number("lr"), g.number("decay")) for g in work.groups for _ in g.params]
        return [lr * ratio**decay for (lr, decay), ratio in zip(options, shrunk, strict=True)]

    def _flat(self, work: Work, w: Tensor, rates: list[float], at: PRGDState, norm: Norm) -> None:
        grad = torch.cat([g.reshape(-1) for g in work.grads])
        sizes = [p.numel() for p in work.params]
        lr: Any = rates[0]
        if any(rate != lr for rate in rates):
            lr = torch.cat([w.new_full((n,), rate) for n, rate in zip(sizes, rates, strict=True)])
        radii, period = self.option("radii"), self.option("period")
        # the rates hold the decay already; a rescaling takes no step
        new = prgd_update(w[None], grad[None], lr, at, [radii], [period], norm, 0.0)[0]
        with work.all_or_nothing(safe=False):
            for p, part in zip(work.params, new.split(sizes), strict=True):
                p.copy_(part.view_as(p))

    def _by_tensor(self, work: Work, rates: list[float], at: PRGDState, norm: Norm) -> None:
        params, radius = work.params, at.radius[0].tolist()
        with work.all_or_nothing(work.moves(work.size * max(rates))):
            for p, g, rate in zip(params, work.grads, rates, strict=True):
                p.add_(g, alpha=-rate)
            if norm.name == "linf":
                limits = radius if len(radius) > 1 else radius * len(params)
                for p, limit in zip(params, limits, strict=True):
                    p.clamp_(-limit, limit)
            elif len(radius) > 1:
                for p, limit in zip(params, radius, strict=True):
                    p.mul_((limit / norm(p.reshape(-1))).clamp_max(1))
            else:
                torch._foreach_mul_(params, min(1.0, radius[0] / joint_norm(params)))
