"""An optimizer's state as a dict: copies out, copies in, its own name on it, another's refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from margin_lab.optim.options import OF_SCHEDULERS, OF_TORCH, as_data, restored

NAME = "optimizer"


def saved(state_dict: dict[str, Any], name: str) -> dict[str, Any]:
    """The state dict of torch with copies of all tensors, code as text, and the optimizer's name."""
    groups = [
        {
            key: value if key in OF_TORCH else _mapped(as_data(value), torch.clone)
            for key, value in group.items()
        }
        for group in state_dict["param_groups"]
    ]
    # the numbers of the parameters, as a list of their own
    groups = [{**group, "params": list(group["params"])} for group in groups]
    return {
        **state_dict,
        "state": _mapped(state_dict["state"], torch.clone),
        "param_groups": groups,
        NAME: name,
    }


def load_groups(optimizer: torch.optim.Optimizer, state_dict: dict[str, Any], name: str) -> dict[str, Any]:
    """A copy of ``state_dict`` for torch's ``load_state_dict``, in which options that are code are the optimizer's own.

    Raises:
        ValueError: the state of another optimizer; code that differs.
    """
    made_by = state_dict.get(NAME, name)
    groups = state_dict["param_groups"]
    wanted = set(optimizer.defaults)
    for group in groups:
        keys = set(group) - OF_TORCH - OF_SCHEDULERS
        if made_by != name or keys != wanted:
            other = f"it is of {made_by}" if made_by != name else f"its groups hold {', '.join(sorted(keys))}"
            raise ValueError(f"this is no state of {name} with {', '.join(sorted(wanted))}: {other}")
    own = [*optimizer.param_groups, *[optimizer.defaults] * len(groups)]
    groups = [
        {key: restored(name, key, value, mine.get(key)) for key, value in group.items()}
        for group, mine in zip(groups, own, strict=False)
    ]
    return {"state": {}, "param_groups": groups}


def load_tensors(optimizer: torch.optim.Optimizer, state_dict: dict[str, Any]) -> None:
    """Put copies of the saved tensors on the parameters' devices, in the precision in which steps are computed.

    torch itself would round them to the dtype of the parameters.
    """
    for saved_group, group in zip(state_dict["param_groups"], optimizer.param_groups, strict=True):
        for number, p in zip(saved_group["params"], group["params"], strict=True):
            if number in state_dict["state"]:
                wide = torch.promote_types(p.dtype, torch.float32)

                def move(t: Tensor, p: Tensor = p, wide: torch.dtype = wide) -> Tensor:
                    return t.detach().to(p.device, wide if t.is_floating_point() else t.dtype, copy=True)

                optimizer.state[p] = _mapped(state_dict["state"][number], move)


def _mapped(value: Any, function: Callable[[Tensor], Tensor]) -> Any:
    """Nested dicts, lists and tuples with all tensors mapped, in new containers."""
    if isinstance(value, Tensor):
        return function(value)
    if isinstance(value, dict):
        return {key: _mapped(v, function) for key, v in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_mapped(v, function) for v in value)
    return value
