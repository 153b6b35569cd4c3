"""What one step works on: lists of tensors a group, never one flat vector; norms joined from the tensors' own.

Half-precision parameters are worked on as float32 copies, so that hyperparameters and state are not rounded to their dtype.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from margin_lab.losses import at_least_float32


@dataclass
class Group:
    """A parameter group in a step: its options, its tensors and gradients, and copies of their states."""

    options: dict[str, Any]
    params: list[Tensor]
    grads: list[Tensor]
    states: list[dict[str, Any]]

    def number(self, name: str) -> float:
        return float(self.options[name])


@dataclass
class Work:
    """All groups of a step.

    ``size``: the joint norm of the gradient that was asked for, an upper bound of its largest entry. ``log_loss``: None if
    unknown. ``bound``: at least the largest entry of the parameters; nan if unknown.
    """

    groups: list[Group]
    half: list[tuple[Tensor, Tensor]] = field(default_factory=list)  # parameters and their float32 copies
    log_loss: float | None = None
    size: float = math.nan
    bound: float = math.nan

    @property
    def params(self) -> list[Tensor]:
        return [p for group in self.groups for p in group.params]

    @property
    def grads(self) -> list[Tensor]:
        return [g for group in self.groups for g in group.grads]

    @property
    def states(self) -> list[dict[str, Any]]:
        return [s for group in self.groups for s in group.states]

    @property
    def joint(self) -> dict[str, Any]:
        """State that belongs to no single tensor: kept with the first one, as in torch's LBFGS."""
        return self.states[0]

    @property
    def largest_number(self) -> float:
        dtype = self.half[0][0].dtype if self.half else self.params[0].dtype
        return torch.finfo(dtype).max

    def use(self, grads: Sequence[Tensor]) -> None:
        """Take other gradients, as running means of them."""
        rest = iter(grads)
        for group in self.groups:
            group.grads = [next(rest) for _ in group.params]

    def moves(self, longest: float) -> bool:
        """Whether no entry can overflow if none moves by more than ``longest``, after the decay; tracks the bound."""
        growth = max(1.0, *(abs(1 - decay_of(group)) for group in self.groups))
        room = self.largest_number / 4
        if not growth * self.bound + longest <= room:
            self.bound = largest_entry(self.params)
        self.bound = growth * self.bound + longest
        return not self.half and self.bound <= room

    @contextmanager
    def all_or_nothing(self, safe: bool, *others: Tensor) -> Iterator[None]:
        """Change tensors in place; unless that is known to be safe, look at the result and take it back if it overflowed.

        Raises:
            OverflowError: the parameters, and the ``others``, are as they were.
        """
        if safe:
            yield
            return
        params = self.params
        changed = [*params, *others]
        saved = [t.clone() for t in changed]
        try:
            yield
            results = [wide.to(p.dtype) for p, wide in self.half] or params
            if not math.isfinite(largest_entry(results)):
                raise OverflowError
        except BaseException:
            for t, old in zip(changed, saved, strict=True):
                t.copy_(old)
            raise
        for (p, _), result in zip(self.half, results, strict=False):
            p.copy_(result)


def gather(groups: Sequence[dict[str, Any]], state: Any) -> Work:
    """The tensors of a step; a parameter without a gradient has the gradient 0.

    Raises:
        ValueError: sparse gradients, or parameters of several dtypes or devices.
    """
    made, half, kinds = [], [], set()
    for group in groups:
        params, grads = [], []
        used = [p for p in group["params"] if p.numel()]
        for p in used:
            if p.grad is not None and p.grad.layout != torch.strided:
                raise ValueError(
                    f"a gradient of shape {tuple(p.shape)} is sparse ({p.grad.layout}), but steps need all of it: use "
                    "nn.Embedding(..., sparse=False)"
                )
            kinds.add((p.dtype, p.device))
            wide = at_least_float32(p.detach())
            if wide.dtype != p.dtype:
                half.append((p, wide))
            params.append(wide)
            grads.append(torch.zeros_like(wide) if p.grad is None else at_least_float32(p.grad))
        made.append(Group(group, params, grads, [dict(state.get(p, {})) for p in used]))
    if len(kinds) > 1:
        raise ValueError("all parameters must share one dtype and device, since norms are joint over them")
    return Work([group for group in made if group.params], half)


def joint_norm(tensors: Sequence[Tensor], p: float = 2.0) -> float:
    """The l_p norm of all tensors together, with one look at the device; nan or inf where one of them is not finite."""
    parts = torch.stack(torch._foreach_norm(list(tensors), p)).double().tolist()
    total = _joined(parts, p)
    top = tensors[0].dtype
    if p != math.inf and not _ROOM[top] <= total < math.inf:
        # powers under- or overflowed, or the norm is 0, or something is not finite: by the largest entry
        largest = largest_entry(tensors)
        if largest == 0 or not math.isfinite(largest):
            return largest
        scaled = torch._foreach_div(list(tensors), largest)
        parts = torch.stack(torch._foreach_norm(scaled, p)).double().tolist()
        total = largest * _joined(parts, p)
    return total


def descend(work: Work, rates: Sequence[float]) -> None:
    """``p <- (1 - lr weight_decay) p - rate g``, one rate a group.

    Raises:
        OverflowError: nothing was changed.
    """
    if not all(
        abs(rate) <= torch.finfo(group.params[0].dtype).max
        for group, rate in zip(work.groups, rates, strict=True)
    ):
        raise OverflowError
    longest = work.size * max(abs(rate) for rate in rates)
    with work.all_or_nothing(work.moves(longest)):
        for group, rate in zip(work.groups, rates, strict=True):
            shrink(group)
            torch._foreach_add_(group.params, group.grads, alpha=-rate)


def shrink(group: Group) -> None:
    """Decoupled weight decay, ``p <- (1 - lr weight_decay) p``, before a step."""
    if decay := decay_of(group):
        torch._foreach_mul_(group.params, 1 - decay)


def decay_of(group: Group) -> float:
    """``lr weight_decay``: by how much the parameters shrink in a step."""
    return group.number("lr") * group.number("weight_decay") if "weight_decay" in group.options else 0.0


# Norms below these may have lost digits to squares that underflowed.
_ROOM = {torch.float32: 1e-13, torch.float64: 1e-140}


def _joined(parts: list[float], p: float) -> float:
    if p == math.inf or any(math.isnan(x) for x in parts):
        return math.nan if any(math.isnan(x) for x in parts) else max(parts)
    top = max(parts)
    if top == 0 or math.isinf(top):
        return top
    return float(top * math.fsum((x / top) ** p for x in parts) ** (1 / p))


def largest_entry(tensors: Sequence[Tensor]) -> float:
    """``max |t|`` over all entries; nan where one is."""
    ends = [end for t in tensors for end in torch.aminmax(t)]
    low, high = torch.stack(ends).double().aminmax()
    return float(torch.maximum(-low, high))


def exp(x: float) -> float:
    """``e^x``, inf where that is too large a number."""
    return math.exp(x) if x < 709 else math.inf
