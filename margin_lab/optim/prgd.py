"""PRGD: progressive rescaling gradient descent (Wang, Min & Wu 2024, Algorithm 1)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from margin_lab.checks import choice, nonnegative
from margin_lab.norms import Norm, get_norm
from margin_lab.optim.base import LogLossOptimizer
from margin_lab.optim.radii import Period, Radii, exponential_radii, period_of

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
        length = torch.stack([norm(part) for part in w.split(blocks, -1)], -1)
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
    if all(due):
        return _rescaled(w, state, norm)
    shrunk = (state.first_radius / state.radius) ** decay
    if len(state.sizes) > 1:
        shrunk = shrunk.repeat_interleave(torch.tensor(state.sizes, device=w.device), -1)
    stepped = _block_by_block(w - lr * shrunk * grad, state, norm.project)
    if not any(due):
        return stepped
    return torch.where(torch.tensor(due, device=w.device)[:, None], _rescaled(w, state, norm), stepped)


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
    return torch.tensor(new, dtype=w.dtype, device=w.device)


class PRGD(LogLossOptimizer):
    """Progressive rescaling gradient descent: stretch the parameters to a growing sphere, then take projected
    normalised steps inside it, where the pull toward the max-margin direction is still strong.

    For cycles ``k = 0, 1, ...``: one rescaling ``theta <- R_k theta / ||theta||``, then ``period - 1`` steps
    ``theta <- Proj_{||.||_2 <= R_k}(theta - lr * grad L / L)``. ``R_0`` is the norm of the parameters (jointly) at the first
    step; the paper warms up with gradient descent before that.

    Args:
        params: parameters or groups; norm and radius are joint over all of them. lr: > 0.
        radii: ``radii(k, R0, w) -> float`` with ``k`` from 0 and ``w`` the flat parameters ``[P]``.
        period: iterations per cycle, the rescaling included: an int >= 1, or ``period(k) -> int``.
        norm: of the balls, whose margin is maximised: "l2" as in the paper, "l1" or "linf".
        blocks: "joint", or "tensors" to stretch each tensor to a radius of its own and project it onto its own ball (then a
            tensor that is all 0 at the start, as a bias may be, is refused).
        decay: steps of cycle k have the length ``lr (R_0 / R_k)^decay``. The paper's 0 suits linear models. With a network of
            degree L a step turns the parameters by an angle in proportion to ``R^(L - 2 - decay)``, and is small enough for the
            sharpness of log L with ``decay = 2L - 2``.

    Raises:
        ValueError: lr <= 0, a radius <= 0, a period < 1, another norm, parameters that are all 0 at the first step, unknown
            blocks, decay < 0.
        DivergedError: a radius that overflowed.

    The schedule (``radii``, ``period``) is code and is not part of ``state_dict``; its position in the schedule is.

    Source: PRGD, Algorithm 1; exponential rate under Assumption 5.4 (Theorem 6.2). Growth that is too fast for the data
    freezes the direction.
    """

    if_it_overflows = "lower lr, or grow the radius more slowly"

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1.0,
        radii: Radii | None = None,
        period: Period = 5,
        norm: str | float | Norm = "l2",
        blocks: str = "joint",
        decay: float = 0.0,
    ):
        self.radii: Radii = exponential_radii(1.2) if radii is None else radii
        if not callable(self.radii):
            raise ValueError(
                f"radii must be callable as radii(k, R0, w), got {radii!r}; see exponential_radii"
            )
        period_of(period, 0)
        self.period, self.norm = period, ball_norm(norm)
        self.blocks, self.decay = choice(blocks, "blocks", BLOCKS), nonnegative(decay, "decay")
        super().__init__(params, lr)

    def update(
        self, w: Tensor, grad: Tensor, lr: Any, log_loss: float | None, state: dict[str, Any]
    ) -> Tensor:
        """One iteration of Algorithm 1; the state is the position in the schedule, as numbers."""
        sizes = [len(w)]
        if self.blocks == "tensors":
            sizes = [p.numel() for group in self.param_groups for p in group["params"]]
        position = _position(state, w, sizes) if state else PRGDState.start(w[None], self.norm, sizes)
        new = prgd_update(
            w[None], grad[None], lr, position, [self.radii], [self.period], self.norm, self.decay
        )[0]
        state.update(
            cycle=position.cycle[0],
            left=position.left[0],
            first_radius=position.first_radius[0].tolist(),
            radius=position.radius[0].tolist(),
        )
        return new


def _position(state: dict[str, Any], w: Tensor, sizes: list[int]) -> PRGDState:
    first_radius, radius = (w.new_tensor([state[name]]) for name in ("first_radius", "radius"))
    return PRGDState([state["cycle"]], [state["left"]], first_radius, radius, sizes)
