"""What may differ between parameter groups, what may not, and the names that torch gives to options."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from conventions import MAKERS, log_loss, parameters, train

from margin_lab import optim

JOINT: dict[str, tuple[Any, Any]] = {
    "form": (optim.NormalizedGD, "gradient"),
    "norm": (optim.SteepestDescent, "linf"),
    "rule": (optim.SteepestDescent, "log"),
    "average": (optim.SteepestDescent, 0.5),
    "period": (MAKERS["prgd"], 7),
    "blocks": (MAKERS["prgd"], "tensors"),
    "gradients_of": (optim.Adam, "loss"),
}


@pytest.mark.parametrize("option", JOINT)
def test_joint_options_are_refused_by_name(option: str) -> None:
    make, value = JOINT[option]
    matrix, vector = parameters()
    words = f"{option} is joint over all groups"
    with pytest.raises(ValueError, match=words):
        make([{"params": [matrix]}, {"params": [vector], option: value}])
    optimizer = make([{"params": [matrix]}, {"params": [vector]}])
    optimizer.param_groups[1][option] = value  # later, by hand
    log_loss([matrix, vector]).backward()
    with pytest.raises(ValueError, match=words):
        optimizer.step(loss=0.0)


OWN: list[tuple[Any, dict[str, Any], dict[str, Any]]] = [
    (optim.Adam, {"betas": (0.5, 0.6), "eps": 0.1}, {"betas": (0.9, 0.99), "weight_decay": 0.3}),
    (optim.Adam, {"beta1": 0.5}, {"beta2": 0.6}),
    (optim.Muon, {"momentum": 0.2, "nesterov": False}, {"polar": "exact", "adjust_lr_fn": "match_rms_adamw"}),
    (optim.Shampoo, {"beta2": 0.5, "eps": 0.1}, {"beta2": 0.0, "weight_decay": 0.1}),
]


@pytest.mark.parametrize(("make", "first", "second"), OWN)
def test_other_options_are_each_groups_own(make: Any, first: dict[str, Any], second: dict[str, Any]) -> None:
    """Without a joint norm, groups move as they would with an optimizer each."""
    params = parameters()
    together = make([{"params": [params[0]], **first}, {"params": [params[1]], **second}], lr=0.1)
    apart = parameters()
    each = [make([p], lr=0.1, **o) for p, o in zip(apart, (first, second), strict=True)]
    for _ in range(6):
        train(together, 1)
        value = log_loss(apart)
        grads = torch.autograd.grad(value, apart)
        for p, g, optimizer in zip(apart, grads, each, strict=True):
            p.grad = g
            optimizer.step(loss=value)
    for a, b in zip(params, apart, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("decay", [0.0, 0.3])
def test_adam_and_its_decay_are_torchs(decay: float) -> None:
    ours, theirs = parameters(), parameters()
    a = optim.Adam(ours, lr=0.05, betas=(0.8, 0.95), eps=1e-6, weight_decay=decay)
    b = torch.optim.AdamW(theirs, lr=0.05, betas=(0.8, 0.95), eps=1e-6, weight_decay=decay)
    for _ in range(50):
        train(a, 1)
        b.zero_grad()
        log_loss(theirs).exp().backward()
        b.step()
    for p, q in zip(ours, theirs, strict=True):
        torch.testing.assert_close(p, q, rtol=1e-10, atol=1e-12)


def test_decoupled_decay_shrinks_before_the_step() -> None:
    for make in (optim.GD, optim.NormalizedGD, partial(optim.SteepestDescent, norm="linf", normalized=True)):
        plain, decayed = make(parameters(), lr=0.1), make(parameters(), lr=0.1, weight_decay=0.5)  # type: ignore[operator]
        start = torch.cat([p.detach().reshape(-1) for p in parameters()])
        torch.testing.assert_close(train(decayed, 1), train(plain, 1) - 0.05 * start, rtol=1e-13, atol=1e-15)
