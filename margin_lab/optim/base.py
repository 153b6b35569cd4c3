"""The shell around every update: it checks, reads the gradient's norm once, steps all tensors in place, or none.

The theory's ``theta`` is all tensors together, so norms and radii are joint over parameters and groups. It is the same set of
tensors at every step: a parameter that the loss did not use has the gradient 0, and none may be frozen or added on the way.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from margin_lab.checks import DivergedError
from margin_lab.losses import LEDGER
from margin_lab.optim import options as options_of
from margin_lab.optim.states import load_groups, load_tensors, saved
from margin_lab.optim.work import Work, gather, joint_norm

Closure = Callable[[], Any]


class LogLossOptimizer(torch.optim.Optimizer):
    """Base of the optimizers that step on gradients of ``log L`` (see :func:`margin_lab.log_loss`).

    A subclass of one's own gives :meth:`update`, which maps the flat parameters ``[P]``, the flat gradient of ``log L``, ``lr``
    (a number, or ``[P]`` where groups differ), ``log L`` (None where the loss was not given) and its own state to the new flat
    parameters. The state is a dict of numbers and tensors, empty at the first step, that ``update`` may change at will: changes
    are kept where the step succeeds, and saved by ``state_dict``. Options go to ``super().__init__`` by name and are read by
    :meth:`option`: so they stand in ``defaults``, ``param_groups``, ``state_dict`` and ``repr``.

    Args:
        params: parameters or groups. lr: >= 0. gradients_of: "log_loss", or "loss" where ``backward`` is called on L itself: its
            gradients are divided by L, which ``step`` then needs. options: all other hyperparameters.

    Example:
        >>> import torch, margin_lab as ml
        >>> class Lazy(LogLossOptimizer):
        ...     def __init__(self, params, lr=1.0, sleep=2):
        ...         super().__init__(params, lr, sleep=sleep)
        ...
        ...     def update(self, w, grad, lr, log_loss, state):
        ...         state["t"] = state.get("t", 0) + 1
        ...         return w - lr * grad if state["t"] % self.option("sleep") == 0 else w
        >>> w = torch.zeros(2, dtype=torch.float64, requires_grad=True)
        >>> opt = Lazy([w])
        >>> for _ in range(2):
        ...     opt.zero_grad()
        ...     ml.log_loss(torch.eye(2, dtype=torch.float64) @ w, torch.ones(2)).backward()
        ...     opt.step()
        >>> w.detach().tolist()
        [0.5, 0.5]
    """

    uses_loss = False  # True where the step depends on L itself
    if_it_overflows = "lower lr"
    gradient_norm = (
        2.0  # the p of the joint norm of the gradient that a step needs; any p finds what is not finite
    )
    # Options that may differ between groups; the others are joint, like the norm.
    per_group: tuple[str, ...] = ("lr", "weight_decay")

    def __init__(
        self,
        params: Iterable[Any],
        lr: Any,
        *,
        gradients_of: str = "log_loss",
        switches: Mapping[str, Any] | None = None,
        **options: Any,
    ):
        options_of.refuse_switches(type(self).__name__, switches or {})
        defaults = self.translated({"lr": lr, **options, "gradients_of": gradients_of})
        self._check(defaults)
        super().__init__(params, defaults)
        self._fresh()
        # gradients from before: nobody can tell where they came from
        self._untold = any(p.grad is not None for group in self.param_groups for p in group["params"])

    @property
    def needs_loss(self) -> bool:
        """Whether ``step`` needs the loss itself: a closure that returns it, or ``loss=``."""
        return self.uses_loss or self.option("gradients_of") == "loss"

    def option(self, name: str) -> Any:
        """A hyperparameter of the first group: of all groups, if it is joint."""
        return (self.param_groups or [self.defaults])[0][name]

    def check(self, options: Mapping[str, Any]) -> None:
        """Raise ValueError unless a group's options are in range; for subclasses."""

    def translated(self, options: dict[str, Any]) -> dict[str, Any]:
        """Options under the names in which groups keep them; for subclasses with a second name for one."""
        return options

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group, as torch does.

        Raises:
            ValueError: unknown options or values out of range, joint options that differ from the other groups', frozen
                parameters, or a group that comes after the first step: state is joint over the parameters it began with.
        """
        name = type(self).__name__
        if self.state:
            raise ValueError(
                f"{name}: its state is joint over the parameters it began with, so none can be added; "
                "make a new optimizer with all of them"
            )
        if not isinstance(param_group, dict):
            raise TypeError(f"a parameter group must be a dict, got {type(param_group).__name__}")
        group = self.translated(dict(param_group))
        options_of.refuse_switches(name, {k: group.pop(k) for k in list(group) if k in options_of.SWITCHES})
        options_of.refuse_unknown(name, group, self.defaults)
        self._check({**self.defaults, **group})
        super().add_param_group(group)
        try:
            self._refuse_differences()
            options_of.refuse_frozen(self.param_groups[-1]["params"])
            options_of.refuse_complex(self.param_groups[-1]["params"])
        except ValueError:
            self.param_groups.pop()
            raise

    def update(
        self, w: Tensor, grad: Tensor, lr: Any, log_loss: float | None, state: dict[str, Any]
    ) -> Tensor:
        """Map the flat parameters to the next ones; see the class."""
        raise NotImplementedError

    def advance(self, work: Work) -> None:
        """Step all tensors in place, under ``work.all_or_nothing``. Here: flatten them and call :meth:`update`."""
        w, grad = (torch.cat([t.reshape(-1) for t in ts]) for ts in (work.params, work.grads))
        rates = [(p.numel(), group.number("lr")) for group in work.groups for p in group.params]
        lr: Any = rates[0][1]
        if any(rate != lr for _, rate in rates):
            lr = torch.cat([w.new_full((n,), rate) for n, rate in rates])
        new = self.update(w, grad, lr, work.log_loss, work.joint)
        with work.all_or_nothing(safe=False):
            for p, part in zip(work.params, new.split([n for n, _ in rates]), strict=True):
                p.copy_(part.view_as(p))

    @torch.no_grad()
    def step(self, closure: Closure | None = None, *, loss: Any = None) -> Any:
        """One step. ``closure`` clears the gradients, computes ``log L``, calls ``backward`` on it and returns it.

        Args:
            loss: what the closure would return, for loops that call ``backward`` themselves.

        Raises:
            ValueError: no loss where it is needed, no gradients at all, or parameters frozen since the start.
            DivergedError: a gradient, loss or result that is not finite; parameters and state are left as they were.
        """
        value = loss
        if closure is not None:
            with torch.enable_grad():
                value = closure()
        given = self._loss_given(value, closure is not None)
        self._check_groups()
        params = [p for group in self.param_groups for p in group["params"]]
        options_of.refuse_frozen(params)
        if all(p.grad is None for p in params):
            raise ValueError(
                f"{type(self).__name__}.step: no parameter has a gradient; call backward() on log_loss first"
            )
        work = gather(self.param_groups, self.state)
        if not work.groups:
            return value
        self._read(work, given)
        self._watch(params, work.size)
        work.bound = self._bounds(params)
        try:
            self.advance(work)
        except OverflowError:
            raise DivergedError(
                f"{type(self).__name__}: the step overflowed (log loss {work.log_loss}); {self.if_it_overflows}"
            ) from None
        self._bound = work.bound
        self._versions = [p._version for p in params]
        for group in self.param_groups:
            used = [p for p in group["params"] if p.numel()]
            states = next((g.states for g in work.groups if g.options is group), [])
            for p, state in zip(used, states, strict=True):
                if state:
                    self.state[p] = state
        return value

    def state_dict(self) -> dict[str, Any]:
        """torch's, as copies, with the optimizer's name; options that are code (radii, polar factors) are named, not saved."""
        return saved(super().state_dict(), self._name())

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from :meth:`state_dict`, hyperparameters included; ``state_dict`` is left as it was.

        Raises:
            ValueError: the state of another optimizer, or one made with other code.
        """
        super().load_state_dict(load_groups(self, state_dict, self._name()))
        load_tensors(self, state_dict)
        self._check_groups()
        self._fresh()

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        # torch gives every optimizer this one when it is unpickled
        for options in (self.defaults, *self.param_groups):
            options.pop("differentiable", None)
        self._fresh()

    def _name(self) -> str:
        return type(self).__qualname__

    def _fresh(self) -> None:
        """Forget what was seen of gradients and parameters, in a new, loaded or copied optimizer."""
        self._backwards, self._untold, self._warned = LEDGER.backwards, True, False
        self._bound, self._versions = math.nan, list[int]()
        self._seen: list[tuple[int, int]] = []

    def _check(self, options: Mapping[str, Any]) -> None:
        options_of.check_common(options)
        self.check(options)

    def _check_groups(self) -> None:
        for group in self.param_groups:
            self._check(group)
        self._refuse_differences()

    def _refuse_differences(self) -> None:
        first = self.param_groups[0]
        for group in self.param_groups[1:]:
            for key in self.defaults:
                if key not in self.per_group and group[key] is not first[key] and group[key] != first[key]:
                    raise ValueError(
                        f"{type(self).__name__}: {key} is joint over all groups, as its norm is, but one has {group[key]!r} "
                        f"and the first {first[key]!r}; give one value to the optimizer"
                    )

    def _loss_given(self, value: Any, by_closure: bool) -> float | None:
        name, wanted = type(self).__name__, self.option("gradients_of")
        if self.needs_loss and value is None:
            if by_closure:
                raise ValueError(
                    f"{name} needs the loss itself, but the closure returned None; let it return {wanted}"
                )
            raise ValueError(
                f"{name} needs the loss itself: call step(closure) with a closure that clears the gradients, computes "
                f"{wanted}, calls backward() and returns it, or step(loss={wanted})"
            )
        return None if value is None else float(value.detach() if isinstance(value, Tensor) else value)

    def _read(self, work: Work, given: float | None) -> None:
        """The loss and the gradient's norm; gradients of L become those of log L."""
        if given is not None and self.option("gradients_of") == "loss":
            if not 0 < given < math.inf:
                raise DivergedError(
                    f"{type(self).__name__}: gradients of L are divided by L, which must be > 0 and finite, got {given}; "
                    "train through margin_lab.log_loss"
                )
            work.use(torch._foreach_div(work.grads, given))
            given = math.log(given)
        work.log_loss = given
        work.size = joint_norm(work.grads, self.gradient_norm)
        loss_ok = given is None or math.isfinite(given)
        if not loss_ok or not math.isfinite(work.size):
            raise DivergedError(
                f"{type(self).__name__}: the {'gradient' if loss_ok else 'loss'} is not finite (log loss {given}); train "
                "through margin_lab.log_loss, lower lr or start smaller"
            )

    def _bounds(self, params: list[Tensor]) -> float:
        """What is known of the parameters' largest entry, if nobody else changed them since the last step."""
        return self._bound if self._versions == [p._version for p in params] else math.nan

    def _watch(self, params: list[Tensor], size: float) -> None:
        """Warn once if the gradients came from no log loss."""
        seen = [(id(p.grad), 0 if p.grad is None else p.grad._version) for p in params]
        none = LEDGER.backwards == self._backwards and not LEDGER.unseen and not self._untold
        none = (
            none and seen != self._seen and size > 0
        )  # the same gradients were judged before, and 0 says nothing
        self._backwards, self._untold, self._seen = LEDGER.backwards, False, seen
        if none and not self._warned and self.option("gradients_of") == "log_loss":
            self._warned = True
            warnings.warn(
                f"{type(self).__name__} steps on gradients of log L, but no backward pass went through a log loss: train "
                'through margin_lab.log_loss, or make it with gradients_of="loss" and let the closure return L, or mark a '
                "log loss of your own by margin_lab.losses.mark_log_loss",
                UserWarning,
                stacklevel=5,
            )
