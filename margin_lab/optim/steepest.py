"""Steepest descent in any norm; gradient, sign, coordinate, spectral and modular descent are its instances."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from margin_lab.checks import nonnegative
from margin_lab.losses import at_least_float32
from margin_lab.norms import L2, LInf, Modular, Norm, Spectral, modular, on_flat
from margin_lab.norms.modular import Shape
from margin_lab.norms.spectral import Polar
from margin_lab.optim.base import LogLossOptimizer
from margin_lab.optim.polar import get_polar
from margin_lab.optim.step_rules import check_cap, check_rule, step_length
from margin_lab.optim.work import Work, descend, joint_norm, largest_entry, shrink


def steepest_update(
    w: Tensor,
    grad: Tensor,
    lr: Any,
    norm: Norm,
    rule: str = "unit",
    log_loss: Any = None,
    max_length: Any = None,
    max_fall: Any = None,
) -> Tensor:
    """``w + length * u``, ``u`` the unit steepest direction for ``grad log L`` in ``norm``.

    With ``rule="gradient"`` that is eq. (1) of Flavors of Margin for L: ``length = lr ||grad L||_*``. For the other rules and the
    caps see ``margin_lab.optim.step_rules``.

    Args:
        w, grad: ``[..., P]``; ``grad`` is that of ``log L``. lr: broadcasts against ``w``. norm: of vectors ``[..., P]``.
        log_loss: ``[...]`` tensor (or a number), for "gradient".
    """
    given, w, grad = w, at_least_float32(w), at_least_float32(grad)
    if rule == "unit" and max_length is None and max_fall is None:
        return (w + lr * norm.direction(grad)).to(given.dtype)
    dual, direction = norm.dual_and_direction(grad)
    size = norm(w)[..., None] if rule == "relative" else None
    if log_loss is not None:
        log_loss = torch.as_tensor(log_loss, dtype=w.dtype, device=w.device)[..., None]
    length = step_length(rule, lr, dual[..., None], size, log_loss, max_length, max_fall)
    return (w + length * direction).to(given.dtype)


def averaged(grad: Tensor, average: Tensor | None, weight: Any) -> Tensor:
    """``weight * average + (1 - weight) * grad``, begun at the first gradient."""
    return grad if average is None else weight * average + (1 - weight) * grad


def own_norm(norm: str | float | Norm, shapes: Mapping[str, Shape], polar: str | Polar = "exact") -> Norm:
    """The norm of flat parameters in which a method descends; ``polar`` computes its polar factors.

    Raises:
        ValueError: as :func:`margin_lab.norms.on_flat`; ``polar`` for a norm without polar factors.
    """
    if polar == "exact":
        return on_flat(norm, shapes)
    matrices = Spectral(get_polar(polar))
    if norm == "spectral":
        return on_flat(matrices, shapes)
    if norm == "modular":
        return modular(shapes, matrices)
    raise ValueError(
        f"polar= goes with the norms 'spectral' and 'modular', got norm {norm!r}; build a modular norm of your own from "
        "margin_lab.norms.Spectral(polar)"
    )


class SteepestDescent(LogLossOptimizer):
    """Steepest descent ``theta <- theta + lr * Delta``, ``Delta = argmin_{||u|| <= ||grad L||_*} <u, grad L>``.

    ``||Delta|| = ||grad L||_*`` and ``<Delta, grad L> = -||grad L||_*^2``. The limit direction maximises the margin in
    the same norm. Gradients are those of ``log L``, so the unnormalised form needs a closure that returns ``log L``.

    Args:
        params: parameters or groups; the norm is joint over all of them. lr: >= 0, per group.
        norm: "l1" (coordinate descent), "l2" (gradient descent), "linf" (sign descent), a number p, "spectral" for exactly one
            matrix, "modular" (spectral norms of matrices, l2 norms of vectors, the largest of them), or a
            :func:`margin_lab.norms.modular` norm of your own.
        normalized: take steps of length ``lr`` in the norm instead (``rule="unit"``); no closure needed.
        rule: of the step's length: "gradient" (the above), "log" (``lr ||grad log L||_*``), "unit" or "relative"
            (``lr ||theta||``). max_length, max_fall: caps on it; see ``margin_lab.optim.step_rules``.
        average: 0, or the weight of the past, as 0.95, in a running mean of the gradients of log L, from which the direction is
            then taken. Coordinate descent on ReLU networks needs it: at a kink the largest partial derivative belongs to a
            coordinate whose derivative changes sign with every step across the kink, so that plain selection takes it for ever,
            back and forth. The mean of those signs is 0, and another coordinate gets its turn.
        polar: "exact", "newton-schulz", "polar-express", "convergent" or a function, for "spectral" and "modular".
        weight_decay: >= 0, decoupled. gradients_of: see :class:`LogLossOptimizer`.

    Raises:
        ValueError: lr < 0, an unknown norm, rule or polar factor, the spectral norm on anything but one matrix, a frozen
            parameter.

    Example:
        >>> import torch, margin_lab as ml
        >>> net = ml.models.MLP([2, 8, 1])
        >>> opt = SteepestDescent(net.parameters(), lr=0.1, norm="modular", normalized=True)
        >>> ml.log_loss(net(torch.ones(1, 2, dtype=torch.float64)), torch.ones(1)).backward()
        >>> before = net.layers[0].weight.detach().clone()
        >>> opt.step()
        >>> round(float(torch.linalg.matrix_norm(net.layers[0].weight.detach() - before, 2)), 12)
        0.1

    Source: Flavors of Margin (Tsilivis et al.), eq. (1), Theorem 3.1.
    """

    per_group = ("lr", "weight_decay")

    def __init__(
        self,
        params: Iterable[Any],
        lr: Any = 1e-3,
        norm: str | float | Norm = "l2",
        normalized: bool = False,
        rule: str | None = None,
        max_length: float | None = None,
        max_fall: float | None = None,
        average: float = 0.0,
        polar: str | Polar = "exact",
        weight_decay: float = 0.0,
        *,
        gradients_of: str = "log_loss",
        **switches: Any,
    ):
        if rule is not None:
            check_rule(rule)
            if normalized and rule != "unit":
                raise ValueError(f"normalized=True is rule='unit', got rule={rule!r}; give one of them")
        super().__init__(
            params,
            lr,
            norm=norm,
            rule=rule or ("unit" if normalized else "gradient"),
            max_length=max_length,
            max_fall=max_fall,
            average=average,
            polar=polar,
            weight_decay=weight_decay,
            gradients_of=gradients_of,
            switches=switches,
        )
        self._own_norm()

    @property
    def needs_loss(self) -> bool:
        """True for the rule "gradient", whose steps depend on L itself."""
        return self.option("rule") == "gradient" or super().needs_loss

    @property
    def norm(self) -> Norm:
        """The norm of the flat parameters in which it descends."""
        return self._own_norm()

    def check(self, options: Mapping[str, Any]) -> None:
        """Raise ValueError unless rule, caps and the weight of the past are in range."""
        check_rule(options["rule"])
        check_cap(options["max_length"], "max_length")
        check_cap(options["max_fall"], "max_fall")
        check_average(options["average"])

    def advance(self, work: Work) -> None:
        """One step of :func:`steepest_update`, tensor by tensor where the norm allows it."""
        if self.option("average"):
            self._take_averages(work)
        norm = self._own_norm()
        length = self._lengths(work, norm)
        if norm.name == "l2" and type(norm) is L2:
            descend(work, [n / work.size if work.size else 0.0 for n in length])
            return
        if isinstance(norm, LInf):
            self._by_signs(work, length)
            return
        moved = directions(norm, work.grads)
        if any(n > torch.finfo(moved[0].dtype).max for n in length):
            raise OverflowError
        longest = max(length) * max(1.0, largest_entry(moved))
        with work.all_or_nothing(work.moves(longest)):
            rest = iter(moved)
            for group, n in zip(work.groups, length, strict=True):
                shrink(group)
                torch._foreach_add_(group.params, [next(rest) for _ in group.params], alpha=n)

    def _take_averages(self, work: Work) -> None:
        weight = self.option("average")
        for state, g in zip(work.states, work.grads, strict=True):
            # a copy, since the gradient itself is the user's
            state["average"] = averaged(g, state["average"], weight) if "average" in state else g.clone()
        work.use([state["average"] for state in work.states])
        work.size = joint_norm(work.grads)

    def _by_signs(self, work: Work, length: list[float]) -> None:
        if max(length) > torch.finfo(work.params[0].dtype).max:
            raise OverflowError
        with work.all_or_nothing(work.moves(max(length))):
            for group, n in zip(work.groups, length, strict=True):
                shrink(group)
                for p, g in zip(
                    group.params, group.grads, strict=True
                ):  # one tensor's signs at a time: little memory
                    p.add_(torch.sign(g), alpha=-n)

    def _lengths(self, work: Work, norm: Norm) -> list[float]:
        """The length of each group's step."""
        rule, caps = self.option("rule"), (self.option("max_length"), self.option("max_fall"))
        dual = size = torch.ones((), dtype=torch.float64)
        if rule in ("gradient", "log") or caps[1] is not None:
            dual = dual * (work.size if isinstance(norm, L2) else dual_norm(norm, work.grads))
        if rule == "relative":
            size = size * float(norm(torch.cat([p.reshape(-1) for p in work.params])))
        log_loss = None if work.log_loss is None else dual.new_tensor(work.log_loss)
        rates = [group.number("lr") for group in work.groups]
        return [float(step_length(rule, lr, dual, size, log_loss, *caps)) for lr in rates]

    def _own_norm(self) -> Norm:
        params = [p for group in self.param_groups for p in group["params"] if p.numel()]
        shapes = {f"parameter {i}": tuple(p.shape) for i, p in enumerate(params)}
        return own_norm(self.option("norm"), shapes, self.option("polar"))


def directions(norm: Norm, grads: Sequence[Tensor]) -> list[Tensor]:
    """``norm.direction`` of the joint gradient, as tensors of the gradients' shapes."""
    if isinstance(norm, Modular):
        layers = zip(norm.norms.values(), grads, strict=True)
        return [own.direction(_as_layer(own, g)).view_as(g) for own, g in layers]
    flat = norm.direction(torch.cat([g.reshape(-1) for g in grads]))
    return [part.view_as(g) for part, g in zip(flat.split([g.numel() for g in grads]), grads, strict=True)]


def dual_norm(norm: Norm, grads: Sequence[Tensor]) -> float:
    """``norm.dual`` of the joint gradient."""
    if isinstance(norm, Modular):
        layers = zip(norm.norms.values(), grads, strict=True)
        return float(torch.stack([own.dual(_as_layer(own, g)) for own, g in layers]).sum())
    return float(norm.dual(torch.cat([g.reshape(-1) for g in grads])))


def _as_layer(norm: Norm, g: Tensor) -> Tensor:
    return g.reshape(g.shape[0], -1) if norm.matrix else g.reshape(-1)


def check_average(value: Any) -> Any:
    """Return ``value``; raise ValueError unless it is the weight of a running mean: 0 <= value < 1."""
    nonnegative(value, "average")
    if value >= 1:
        raise ValueError(f"average must be below 1, got {value!r}; at 1 no new gradient would count")
    return value


class GD(SteepestDescent):
    """Gradient descent ``theta <- theta - lr * grad L``: steepest descent in l2. Its ``step`` takes a closure.

    Margin rate on separable data: ``Theta(1 / log t)`` (Soudry et al. 2018; PRGD Theorem 6.3).
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: Any = 1e-3,
        weight_decay: float = 0.0,
        *,
        gradients_of: str = "log_loss",
        **switches: Any,
    ):
        super().__init__(params, lr, weight_decay=weight_decay, gradients_of=gradients_of, **switches)
