"""What torch's own tests check of every optimizer, on every one of ours: groups, states, copies, schedulers, hooks, switches."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from conventions import every, exactly, log_loss, parameters, train
from torch.optim import lr_scheduler as schedulers
from torch.optim.swa_utils import SWALR

import margin_lab as ml
from margin_lab import optim


@every
def test_every_option_lives_in_the_groups(make: Any) -> None:
    optimizer = make(parameters(), lr=0.125)
    assert {"lr", "gradients_of"} <= set(optimizer.defaults)
    (group,) = optimizer.param_groups
    assert set(group) == {"params", *optimizer.defaults}
    assert set(optimizer.state_dict()["param_groups"][0]) == set(group)
    assert all(name in repr(optimizer) for name in optimizer.defaults)
    assert optimizer.option("lr") == 0.125


@every
def test_copies_and_pickles_go_on_by_themselves(make: Any) -> None:
    optimizer = make(parameters(), lr=0.1)
    train(optimizer)
    deep = copy.deepcopy(optimizer)
    pickled = pickle.loads(pickle.dumps(optimizer))
    assert set(pickled.defaults) == set(optimizer.defaults)
    ends = [train(o) for o in (optimizer, deep, pickled)]
    exactly(ends[0], ends[1])
    exactly(ends[0], ends[2])
    assert type(deep) is type(optimizer) and repr(deep) == repr(optimizer)


@every
def test_a_state_restores_hyperparameters_and_is_left_as_it_was(make: Any) -> None:
    optimizer = make(parameters(), lr=0.1)
    train(optimizer)
    file = io.BytesIO()
    torch.save(optimizer.state_dict(), file)
    file.seek(0)
    state = torch.load(file)
    before = copy.deepcopy(state)
    params = [torch.nn.Parameter(p.detach().clone()) for p in optimizer.param_groups[0]["params"]]
    keywords = dict(getattr(make, "keywords", {}))
    own = getattr(make, "func", make)
    code = {k: v for k, v in keywords.items() if k == "radii"}
    again = own(params, lr=7.0, **code)  # all else at its default
    again.load_state_dict(state)
    for name in optimizer.defaults:
        assert again.option(name) == optimizer.option(name), name
    exactly(train(again), train(optimizer))
    assert str(state) == str(before)


@every
def test_the_state_of_another_optimizer_is_refused_by_name(make: Any) -> None:
    ours = make(parameters())
    name = type(ours).__name__
    others = [optim.GD(parameters()), optim.DualAcceleration(parameters()), optim.Adam(parameters())]
    for other in others:
        if type(other).__name__ != name:
            with pytest.raises(
                ValueError, match=f"no state of {name} with .*: it is of {type(other).__name__}"
            ):
                ours.load_state_dict(other.state_dict())
    with pytest.raises(ValueError, match=f"no state of {name} with .*its groups hold .*nesterov"):
        ours.load_state_dict(torch.optim.SGD(parameters(), lr=0.1).state_dict())


def test_code_in_a_state_is_named_and_must_be_the_same() -> None:
    optimizer = optim.PRGD(parameters(), radii=optim.exponential_radii(1.3), period=3)
    state = optimizer.state_dict()
    assert state["param_groups"][0]["radii"] == "code: exponential_radii(growth=1.3)"
    with pytest.raises(ValueError, match=r"made with radii=exponential_radii\(growth=1.3\), which is code"):
        optim.PRGD(parameters(), radii=optim.exponential_radii(1.2)).load_state_dict(state)
    muon = optim.Muon(parameters(), polar=optim.newton_schulz(7))
    with pytest.raises(ValueError, match="make it with the same polar"):
        optim.Muon(parameters()).load_state_dict(muon.state_dict())


def plateau(optimizer: torch.optim.Optimizer) -> Any:
    schedule = schedulers.ReduceLROnPlateau(optimizer, patience=0)
    schedule.step = partial(schedule.step, 1.0)  # type: ignore[method-assign]
    return schedule


SCHEDULES: dict[str, Callable[..., Any]] = {
    "step": partial(schedulers.StepLR, step_size=2),
    "multistep": partial(schedulers.MultiStepLR, milestones=[1, 3]),
    "constant": partial(schedulers.ConstantLR, total_iters=2),
    "linear": partial(schedulers.LinearLR, start_factor=0.1),
    "exponential": partial(schedulers.ExponentialLR, gamma=0.5),
    "cosine": partial(schedulers.CosineAnnealingLR, T_max=4),
    "restarts": partial(schedulers.CosineAnnealingWarmRestarts, T_0=2),
    "polynomial": partial(schedulers.PolynomialLR, total_iters=4),
    "lambda": partial(schedulers.LambdaLR, lr_lambda=lambda t: t),  # a warm-up from 0
    "product": partial(schedulers.MultiplicativeLR, lr_lambda=lambda t: 0.5),
    "cyclic": partial(schedulers.CyclicLR, base_lr=0.01, max_lr=0.1, step_size_up=2, cycle_momentum=False),
    "one-cycle": partial(schedulers.OneCycleLR, max_lr=0.1, total_steps=10, cycle_momentum=False),
    "averaged": partial(SWALR, swa_lr=0.05, anneal_epochs=3),
    "plateau": plateau,
}


@every
@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
def test_torchs_schedules_are_followed(make: Any, schedule: Any) -> None:
    optimizer, rates = make(parameters(), lr=0.1), []
    scheduler = schedule(optimizer)
    for _ in range(5):
        train(optimizer, 1)
        rates.append(optimizer.option("lr"))
        scheduler.step()
    # the same by hand
    again = make(parameters(), lr=0.1)
    for lr in rates:
        again.param_groups[0]["lr"] = lr
        train(again, 1)
    exactly(train(again, 0), train(optimizer, 0))
    assert len(set(rates)) > 1
    make(parameters()).load_state_dict(optimizer.state_dict())  # with the keys that schedules leave in groups


@pytest.mark.parametrize("make", [optim.Adam, optim.Muon])
def test_one_cycle_moves_the_momentum(make: Any) -> None:
    optimizer = make(parameters(), lr=0.1)
    scheduler = schedulers.OneCycleLR(optimizer, max_lr=0.1, total_steps=10)
    seen, ends = set(), []
    for _ in range(5):
        ends.append(train(optimizer, 1))
        group = optimizer.param_groups[0]
        seen.add(group["momentum"] if "momentum" in group else group["betas"][0])
        scheduler.step()
    assert len(seen) == 5 and torch.isfinite(ends[-1]).all()


@every
def test_a_group_with_lr_0_rests(make: Any) -> None:
    matrix, vector = parameters()
    optimizer = make([{"params": [matrix]}, {"params": [vector], "lr": 0.0}], lr=0.1)
    before = [matrix.detach().clone(), vector.detach().clone()]
    if type(optimizer) is optim.PRGD:  # a rescaling stretches all
        train(optimizer, 1)
        before = [matrix.detach().clone(), vector.detach().clone()]
        optimizer.param_groups[0]["lr"] = 1e-6
    train(optimizer, 1)
    exactly(vector.detach(), before[1])
    assert not torch.equal(matrix, before[0]) or optimizer.option("norm") == "l1"


@every
def test_lr_may_be_a_tensor(make: Any) -> None:
    number, tensor = make(parameters(), lr=0.125), make(parameters(), lr=torch.tensor(0.125))
    exactly(train(number), train(tensor))
    assert isinstance(tensor.state_dict()["param_groups"][0]["lr"], torch.Tensor)
    with pytest.raises(ValueError, match="lr must be >= 0"):
        make(parameters(), lr=torch.tensor([0.1, 0.2]))
    with pytest.raises(ValueError, match="lr must be >= 0"):
        make(parameters(), lr=torch.tensor(-0.1))


@every
def test_hooks_and_profilers_see_the_steps(make: Any) -> None:
    optimizer, seen = make(parameters(), lr=0.1), []
    optimizer.register_step_pre_hook(lambda *_: seen.append("pre"))
    optimizer.register_step_post_hook(lambda *_: seen.append("post"))
    train(optimizer, 2)
    assert seen == ["pre", "post"] * 2


@every
def test_torchs_switches_are_taken_off_or_refused_by_name(make: Any) -> None:
    off = dict.fromkeys(["fused", "capturable", "differentiable", "maximize", "amsgrad"], False)
    exactly(train(make(parameters(), lr=0.1, foreach=True, **off)), train(make(parameters(), lr=0.1)))
    for name in off:
        with pytest.raises(ValueError, match=f"has no {name}=True: "):
            make(parameters(), **{name: True})
        with pytest.raises(ValueError, match=f"has no {name}=True: "):
            make([{"params": parameters(), name: True}])
    with pytest.raises(TypeError, match="unexpected keyword argument 'beta_1'"):
        make(parameters(), beta_1=0.9)
    with pytest.raises(ValueError, match=r"unknown option 'beta_1' in a parameter group; \w+ takes lr, "):
        make([{"params": parameters(), "beta_1": 0.9}])


@every
def test_groups_may_be_empty_and_named(make: Any) -> None:
    named = list(zip(["a", "b"], parameters(), strict=True))
    ends = [
        train(make(groups, lr=0.1))
        for groups in (parameters(), [{"params": parameters()}, {"params": []}], named)
    ]
    exactly(ends[0], ends[1])
    exactly(ends[0], ends[2])
    nothing = torch.nn.Parameter(torch.empty(0, 3, dtype=torch.float64))
    exactly(train(make([*parameters(), nothing], lr=0.1)), ends[0])


@every
def test_parameters_that_are_none(make: Any) -> None:
    p = parameters()[0]
    with pytest.raises(TypeError, match="should be an iterable of Tensors or dicts"):
        make(p)
    with pytest.raises(ValueError, match="empty parameter list"):
        make([])
    with pytest.raises(ValueError, match="appear in more than one parameter group"):
        make([{"params": [p]}, {"params": [p]}])
    with pytest.warns(UserWarning, match="duplicate parameters"):
        make([p, p])
    with pytest.raises(ValueError, match="complex parameters"):
        make([torch.nn.Parameter(torch.ones(2, 2, dtype=torch.complex64))])
    sparse = torch.nn.Embedding(5, 2, sparse=True)
    optimizer = make(sparse.parameters())
    value = ml.log_loss(sparse(torch.tensor([1])).sum().reshape(1), torch.ones(1))
    value.backward()
    with pytest.raises(ValueError, match=r"gradient of shape \(5, 2\) is sparse"):
        optimizer.step(loss=value)


@every
def test_gradients_of_zeros_are_no_error(make: Any) -> None:
    optimizer = make(parameters(), lr=0.1)
    train(optimizer, 3)
    optimizer.zero_grad(set_to_none=False)
    optimizer.step(loss=0.0)
    assert torch.isfinite(train(optimizer, 1)).all()


@every
def test_a_gradient_scaler_changes_nothing(make: Any) -> None:
    """log L needs no scaling, but trainers bring one along; a step whose gradients overflowed is left out."""
    optimizer, params = (lambda p: (make(p, lr=0.1), p))(parameters())
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10)
    for t in range(4):
        optimizer.zero_grad()
        value = log_loss(params)
        scaler.scale(value).backward()
        if t == 2:
            params[0].grad[0, 0] = torch.inf  # type: ignore[index]
        scaler.step(optimizer, loss=value)
        scaler.update()
    expected = train(make(parameters(), lr=0.1), 3)
    torch.testing.assert_close(
        torch.cat([p.detach().reshape(-1) for p in params]), expected, rtol=1e-12, atol=0
    )


def test_trainers_that_pass_no_closure_get_one_sentence() -> None:
    optimizer = optim.Adam(parameters())
    log_loss(optimizer.param_groups[0]["params"]).backward()
    with pytest.raises(ValueError, match=r"Adam needs the loss itself: .* or step\(loss=log_loss\)"):
        optimizer.step()
