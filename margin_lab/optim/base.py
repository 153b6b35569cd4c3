"""The shell around every pure update: it checks, flattens all groups into one vector, steps, and writes back.

The theory's ``theta`` is all tensors together, so norms and radii are joint over parameters and groups; only ``lr`` is
per group. It is the same set of tensors at every step: a parameter that the loss did not use has the gradient 0, and none may
be frozen or added on the way.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from margin_lab.checks import DivergedError, positive

Closure = Callable[[], Any]


class LogLossOptimizer(torch.optim.Optimizer):
    """Base of the optimizers that step on gradients of ``log L`` (see :func:`margin_lab.log_loss`).

    A subclass gives :meth:`update`, which maps the flat parameters ``[P]``, the flat gradient of ``log L``, ``lr`` (a number,
    or ``[P]`` where groups differ), ``log L`` (None without a closure) and its own state to the new flat parameters. The state
    is a dict of numbers and tensors, empty at the first step, that ``update`` may change at will: changes are kept where the
    step succeeds, and saved by ``state_dict``.
    """

    needs_loss = False  # True where the step's length depends on L itself, so that ``step`` needs a closure
    if_it_overflows = "lower lr"

    def __init__(self, params: Iterable[Any], lr: float):
        super().__init__(params, {"lr": positive(lr, "lr")})

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group, as torch does; ``lr`` must be > 0.

        Raises:
            ValueError: lr <= 0, frozen parameters, or state (momentum, radius) that is joint over the parameters it began with.
        """
        positive(param_group.get("lr", self.defaults["lr"]), "lr")
        if self.state:
            raise ValueError(
                f"{type(self).__name__}: its state is joint over the parameters it began with, so none can be added; "
                "make a new optimizer with all of them"
            )
        super().add_param_group(param_group)
        _refuse_frozen(self.param_groups[-1]["params"])

    def update(
        self, w: Tensor, grad: Tensor, lr: Any, log_loss: float | None, state: dict[str, Any]
    ) -> Tensor:
        """Map the flat parameters to the next ones; see the class."""
        raise NotImplementedError

    @torch.no_grad()
    def step(self, closure: Closure | None = None) -> Any:
        """One step. ``closure`` clears the gradients, computes ``log L``, calls ``backward`` on it and returns it.

        Raises:
            ValueError: no closure where the loss is needed, no gradients at all, or parameters frozen since the start.
            DivergedError: a gradient, loss or result that is not finite; parameters and state are left as they were.
        """
        name = type(self).__name__
        value = None
        if closure is not None:
            with torch.enable_grad():
                value = closure()
        elif self.needs_loss:
            raise ValueError(
                f"{name} needs the loss itself: call step(closure) with a closure that clears the gradients, computes "
                "log_loss, calls backward() and returns it"
            )
        if self.needs_loss and value is None:
            raise ValueError(
                f"{name} needs the loss itself, but the closure returned None; let it return log_loss"
            )
        groups = [(p, g["lr"]) for g in self.param_groups for p in g["params"]]
        params = [p for p, _ in groups]
        _refuse_frozen(params)
        if all(p.grad is None for p in params):
            raise ValueError(f"{name}.step: no parameter has a gradient; call backward() on log_loss first")
        grads = [torch.zeros_like(p) if p.grad is None else p.grad for p in params]
        w, grad = _flat(params), _flat(grads)
        log_loss = None if value is None else float(value)
        loss_ok = log_loss is None or math.isfinite(log_loss)
        if not loss_ok or not bool(torch.isfinite(grad).all()):
            raise DivergedError(
                f"{name}: the {'gradient' if loss_ok else 'loss'} is not finite (log loss {log_loss}); train through "
                "margin_lab.log_loss, lower lr or start smaller"
            )
        # like torch's LBFGS, state that belongs to no single tensor is kept with the first one
        first = self.param_groups[0]["params"][0]
        state = dict(self.state.get(first, {}))
        new = self.update(w, grad, _flat_lr(groups), log_loss, state)
        if not bool(torch.isfinite(new).all()):
            raise DivergedError(f"{name}: the step overflowed (log loss {log_loss}); {self.if_it_overflows}")
        _write_back(params, new)
        if state:
            self.state[first] = state
        return value


def _refuse_frozen(params: list[Tensor]) -> None:
    frozen = [tuple(p.shape) for p in params if not p.requires_grad]
    if frozen:
        raise ValueError(
            f"parameters of shapes {frozen} are frozen, but the norm is joint over all parameters given: pass only those "
            "with requires_grad=True, to a new optimizer if you froze them on the way"
        )


def _flat(tensors: list[Tensor]) -> Tensor:
    if len({(t.dtype, t.device) for t in tensors}) > 1:
        raise ValueError("all parameters must share one dtype and device, since norms are joint over them")
    return torch.cat([t.reshape(-1) for t in tensors])


def _flat_lr(groups: list[tuple[Tensor, float]]) -> Any:
    rates = [lr for _, lr in groups]
    if len(set(rates)) == 1:
        return rates[0]
    return torch.cat([torch.full((p.numel(),), lr, dtype=p.dtype, device=p.device) for p, lr in groups])


def _write_back(params: list[Tensor], flat: Tensor) -> None:
    for p, new in zip(params, flat.split([p.numel() for p in params]), strict=True):
        p.copy_(new.view_as(p))
