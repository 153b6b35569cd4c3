"""The loss-based schedule: keeps what lowers the loss, takes back what does not, loses patience with a stale momentum."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from training_runs import OPTIMIZERS, train

import margin_lab as ml
from margin_lab.optim import LossBasedLR


def test_the_schedule_keeps_what_lowers_the_loss_and_takes_back_what_does_not() -> None:
    w = torch.nn.Parameter(torch.tensor([1.0, 2.0], dtype=torch.float64))
    optimizer = torch.optim.SGD([{"params": [w]}], lr=0.5, momentum=0.9)
    schedule = LossBasedLR(optimizer, up=2.0, down=3.0)
    schedule.start(-1.0)

    def step() -> None:
        optimizer.zero_grad()
        (w**2).sum().backward()
        optimizer.step()

    step()
    first, momentum = w.detach().clone(), optimizer.state[w]["momentum_buffer"].clone()
    assert schedule.step(-2.0)
    assert optimizer.param_groups[0]["lr"] == schedule.alpha == 1.0 and schedule.log_frame == -2.0
    for bad in (-1.9, math.nan, math.inf):
        step()
        assert not torch.equal(w, first)
        assert not schedule.step(bad)
        assert torch.equal(w, first) and torch.equal(optimizer.state[w]["momentum_buffer"], momentum)
    assert schedule.rejected == 3 and math.isclose(schedule.alpha, 1.0 / 27)
    assert schedule.step(-2.0)  # an equal loss is kept


def test_the_relative_loss_is_the_loss_over_its_frame() -> None:
    schedule = LossBasedLR(torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=0.1))
    with pytest.raises(ValueError, match="call start"):
        schedule.step(-1.0)
    schedule.start(-2000.0)
    each = torch.tensor([-2000.0, -2001.0], dtype=torch.float64)
    assert math.isclose(float(schedule.relative_loss(each)), (1 + math.exp(-1)) / 2)


def test_the_schedules_errors() -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=0.1)
    for bad in (1.0, 0.5, math.inf, math.nan):
        with pytest.raises(ValueError, match="down must be a factor > 1"):
            LossBasedLR(optimizer, down=bad)
    with pytest.raises(ml.DivergedError, match="start is not finite"):
        LossBasedLR(optimizer).start(math.inf)
    with pytest.raises(ValueError, match="no state of a LossBasedLR"):
        LossBasedLR(optimizer).load_state_dict({"factor": 1.0})


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_loss_never_rises_under_the_schedule(name: str) -> None:
    run = train(40, optimizer=OPTIMIZERS[name])
    assert (np.diff(run.log_loss) <= 0).all()
    assert run.log_loss[-1] < run.log_loss[0] - 0.3 and 0 < run.rejected[-1] < 40


@pytest.mark.parametrize("name", ["momentum", "adam"])
def test_a_momentum_that_points_uphill_is_given_up(name: str) -> None:
    """From a stale state no rate is small enough; with the state emptied, one is."""
    w = torch.nn.Parameter(torch.tensor([0.0], dtype=torch.float64))
    optimizer = OPTIMIZERS[name]([w])

    def epoch(slope: float) -> None:
        for _ in range(2):
            optimizer.zero_grad()
            (slope * w).sum().backward()
            optimizer.step()

    epoch(1000.0)  # a momentum towards smaller w
    schedule = LossBasedLR(optimizer, patience=3)
    schedule.start(0.0)
    kept = []
    before = w.item()
    for _ in range(4):
        epoch(-1.0)  # now downhill is towards larger w
        kept.append(schedule.step(before - w.item()))
    assert kept == [False, False, False, True] and w.item() > before


def test_adam_gets_on_only_with_patience() -> None:
    stuck, moving = (train(60, optimizer=OPTIMIZERS["adam"], patience=k) for k in (10_000, 5))
    assert moving.log_loss[-1] < 1.5 * stuck.log_loss[-1]
