"""Hyperparameters as torch keeps them: in ``defaults`` and ``param_groups``, saved as data, refused by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from margin_lab.checks import choice, nonnegative

# log L, or L itself: what ``backward`` was called on
GRADIENTS_OF = ("log_loss", "loss")
# Switches of torch's own optimizers that change nothing here, with the values at which they ask for nothing.
SWITCHES: dict[str, str] = {
    "foreach": "",
    "fused": "the fast path is chosen by itself",
    "capturable": "each step reads the gradient's norm back, once, to refuse what is not finite",
    "differentiable": "a step is not recorded by autograd",
    "maximize": "the loss is minimised; pass its negative",
    "amsgrad": "this variant has no form in the frame of log L here",
}
# What torch's schedulers keep in a group.
OF_SCHEDULERS = frozenset(
    {"initial_lr", "max_lr", "min_lr", "base_momentum", "max_momentum", "swa_lr", "base_lr"}
)
OF_TORCH = frozenset({"params", "param_names"})


def refuse_switches(name: str, given: Mapping[str, Any]) -> None:
    """Take torch's switches where they are off (and ``foreach`` always); refuse the others by name.

    Raises:
        ValueError: a switch of torch's that is on. TypeError: a name that is no option at all.
    """
    for key, value in given.items():
        if key not in SWITCHES:
            raise TypeError(f"{name} got an unexpected keyword argument {key!r}")
        if value and SWITCHES[key]:
            raise ValueError(f"{name} has no {key}={value!r}: {SWITCHES[key]}; leave it out")


def refuse_unknown(name: str, group: Mapping[str, Any], defaults: Mapping[str, Any]) -> None:
    """Raise ValueError for keys of a parameter group that nothing would read."""
    unknown = sorted(set(group) - set(defaults) - OF_SCHEDULERS - OF_TORCH - set(SWITCHES))
    if unknown:
        raise ValueError(
            f"unknown option {', '.join(map(repr, unknown))} in a parameter group; {name} takes {', '.join(defaults)}"
        )


def check_common(options: Mapping[str, Any]) -> None:
    """Raise ValueError unless the options that all optimizers share are in range."""
    lr = options["lr"]
    if isinstance(lr, Tensor) and lr.numel() == 1:
        lr = lr.reshape(())
    nonnegative(lr, "lr")
    if "weight_decay" in options:
        nonnegative(options["weight_decay"], "weight_decay")
    choice(options["gradients_of"], "gradients_of", GRADIENTS_OF)


def number(value: Any) -> float:
    """A number, or a tensor with one entry, as a float."""
    return float(value)


def as_data(value: Any) -> Any:
    """``value`` where it is data (numbers, text, tensors, tuples of them), else text that names it: what a state can hold."""
    if value is None or isinstance(value, (bool, int, float, str, Tensor)):
        return value
    if isinstance(value, (tuple, list)):
        return type(value)(as_data(v) for v in value)
    return f"code: {described(value)}"


def described(value: Any) -> str:
    """A function or object as text that is the same in every process."""
    if hasattr(value, "__qualname__"):
        return f"{value.__module__}.{value.__qualname__}"
    if type(value).__repr__ is not object.__repr__ and " at 0x" not in repr(value):
        return repr(value)
    return f"{type(value).__module__}.{type(value).__qualname__}"


def restored(name: str, key: str, saved: Any, own: Any) -> Any:
    """A saved option; code is taken from the optimizer itself, which must have been made with the same.

    Raises:
        ValueError: the state was made with other code.
    """
    if not (isinstance(saved, str) and saved.startswith("code: ")):
        return saved
    if as_data(own) != saved:
        raise ValueError(
            f"this state was made with {key}={saved[6:]}, which is code and not saved; this {name} has "
            f"{key}={described(own)}: make it with the same {key}"
        )
    return own


def refuse_frozen(params: Sequence[Tensor]) -> None:
    """Raise ValueError where a parameter takes no gradient."""
    frozen = [tuple(p.shape) for p in params if not p.requires_grad]
    if frozen:
        raise ValueError(
            f"parameters of shapes {frozen} are frozen, but the norm is joint over all parameters given: pass only those "
            "with requires_grad=True, to a new optimizer if you froze them on the way"
        )


def refuse_complex(params: Sequence[Tensor]) -> None:
    """Raise ValueError where a parameter is complex."""
    if any(p.is_complex() for p in params):
        raise ValueError(
            "complex parameters are not taken: make the real ones, torch.view_as_real(p), the parameters"
        )
