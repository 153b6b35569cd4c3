"""The batched loss-based rate: equal to the schedule around torch's SGD, one gradient evaluation a trial."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import margin_lab as ml
from margin_lab.optim import LossBasedLR


def test_equals_the_schedule_around_torchs_sgd() -> None:
    data = ml.datasets.gaussian(n=12, d=4, seed=3)
    X, y = torch.tensor(data.X), torch.tensor(data.y)
    sweep = ml.sweep_network(
        ml.models.MLP([4, 6, 1], seed=2),
        data.X,
        data.y,
        "loss_based",
        60,
        reduction="sum",
        lr=[0.1, 20.0],
        record="all",
        keep="all",
    )
    for run in sweep:
        model = ml.models.MLP([4, 6, 1], seed=2)
        schedule = LossBasedLR(torch.optim.SGD(model.parameters(), lr=run.settings["lr"]))
        schedule.start(ml.log_loss(model(X), y, reduction="sum").item())
        for t in range(1, 61):
            schedule.optimizer.zero_grad()
            log_losses = ml.log_loss(model(X), y, reduction="none")
            torch.exp(torch.logsumexp(log_losses - schedule.log_frame, 0)).backward()
            schedule.optimizer.step()
            trial = ml.models.flat_parameters(model).numpy()
            np.testing.assert_allclose(run.history[t], trial, rtol=1e-9, atol=1e-11)
            schedule.step(ml.log_loss(model(X), y, reduction="sum").item())
        assert schedule.rejected >= 3


def test_a_trial_that_overflows_is_taken_back() -> None:
    data = ml.datasets.gaussian(n=12, d=4, seed=3)
    net = ml.models.MLP([4, 6, 6, 1])
    run = ml.run_network(
        net, data.X, data.y, "loss_based", 200, lr=1e130, up=1.5, down=10.0, record="all", norms=["l2"]
    )
    assert run.status == "finished"
    assert not np.isfinite(run.log_loss[1:10]).any(), "the first trials do overflow"
    assert run.log_loss[-1] < run.log_loss[0]


@pytest.mark.parametrize("option", ["up", "down"])
def test_factors_below_one_are_refused(option: str) -> None:
    data = ml.datasets.dataset_1()
    with pytest.raises(ValueError, match=f"{option} must be a factor > 1, got 1.0"):
        ml.run_linear(data.X, data.y, "loss_based", 2, **{option: 1.0})
