"""The network that a training returns is the one that was trained: parameters, buffers, degree, and the seed's draws."""

from __future__ import annotations

import copy
import math
import threading
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from training_runs import X, Y, train

import margin_lab as ml
from margin_lab.optim import LossBasedLR

INPUTS = torch.tensor(X)


class Counted(nn.Module):
    """Keeps a buffer that ``state_dict`` leaves out, and one whose shape changes."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(64, 10, dtype=torch.float64)
        self.register_buffer("seen", torch.zeros(()), persistent=False)
        self.register_buffer("longest", torch.zeros(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.training:
            self.seen = self.seen + len(x)
            self.longest = torch.zeros(int(self.seen))
        return self.inner(x)


def batch_norm() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(64, 16), nn.BatchNorm1d(16, momentum=0.5), nn.ReLU(), nn.Linear(16, 10)
    ).double()


def accuracy(model: nn.Module) -> float:
    return float((model.eval()(INPUTS).argmax(1).numpy() == Y).mean())


@pytest.mark.parametrize("schedule", ["constant", "loss_based"])
def test_a_network_with_batch_norm_comes_back_with_its_running_means(schedule: str) -> None:
    run = train(30, batch_norm(), lr=0.1, schedule=schedule, snapshots=(-0.5,))
    model = run.model().eval()
    full = ml.log_loss(model(INPUTS), Y, "cross_entropy", "mean").item()
    assert math.isclose(full, run.log_loss[-1], rel_tol=1e-12) and accuracy(model) == run.accuracy[-1] > 0.9
    early = run.model(-0.5).eval()
    snapshot = run.snapshots[-0.5]
    full = ml.log_loss(early(INPUTS), Y, "cross_entropy", "mean").item()
    assert math.isclose(full, snapshot.log_loss, rel_tol=1e-12) and snapshot.log_loss > run.log_loss[-1]


def test_buffers_outside_the_state_dict_and_of_changing_shape() -> None:
    model = train(2, Counted(), lr=0.01, schedule="constant").model()
    assert model.seen == 160 and model.longest.shape == (160,) and "seen" not in model.state_dict()


def test_the_model_that_is_given_can_be_changed_afterwards() -> None:
    given = batch_norm()
    before = copy.deepcopy(given.state_dict())
    given[0].weight.requires_grad_(False)
    run = train(3, given, lr=0.1)
    assert all(torch.equal(v, before[k]) for k, v in given.state_dict().items())
    with torch.no_grad():
        given[0].weight.zero_()
    assert torch.equal(run.model()[0].weight, before["0.weight"])


def test_the_schedules_roll_back_takes_buffers_with_it() -> None:
    model = nn.BatchNorm1d(1).double()
    schedule = LossBasedLR(torch.optim.SGD(model.parameters(), lr=0.1), model=model)
    schedule.start(0.0)
    for kept in (False, True):
        model(torch.tensor([[1.0], [3.0]], dtype=torch.float64))
        assert schedule.step(-1.0 if kept else 1.0) is kept
        assert float(model.running_mean) == pytest.approx(0.2 if kept else 0.0)
        assert model.num_batches_tracked == int(kept)


def hidden(activation: nn.Module, bias: bool = False) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(64, 16, bias=bias), activation, nn.Linear(16, 10, bias=bias)).double()


def zero_biases() -> nn.Module:
    net = hidden(nn.ReLU(), bias=True)
    for layer in (net[0], net[2]):
        nn.init.zeros_(layer.bias)
    return net


def zero_head() -> nn.Module:
    net = hidden(nn.ReLU())
    nn.init.zeros_(net[2].weight)
    return net


def small_relu6() -> nn.Module:
    net = hidden(nn.ReLU6())
    with torch.no_grad():
        net[0].weight *= 1e-3
    return net


@pytest.mark.parametrize(
    ("model", "degree"),
    [
        (zero_biases, None),
        (zero_head, 2.0),
        (small_relu6, None),
        (lambda: hidden(nn.Tanh()), None),
        (lambda: hidden(nn.LeakyReLU()), 2.0),
        (batch_norm, None),
    ],
)
def test_the_degree_is_measured_away_from_a_special_start(model: Any, degree: float | None) -> None:
    run = train(2, model(), lr=1e-3, schedule="constant")
    assert run.degree == degree
    if degree is not None:
        assert run.margin[-1] == pytest.approx(run.q_min[-1] / run.norm[-1] ** degree)


def test_runs_with_dropout_in_several_threads_keep_their_seed_and_the_callers() -> None:
    model = nn.Sequential(nn.Linear(64, 16), nn.Dropout(0.5), nn.Linear(16, 10)).double()
    options: dict[str, Any] = dict(schedule="constant", lr=0.01)
    alone = {seed: train(15, model, seed=seed, **options).theta for seed in range(4)}
    state = torch.get_rng_state()
    found: dict[int, torch.Tensor] = {}

    def work(seed: int) -> None:
        found[seed] = train(15, model, seed=seed, **options).theta

    threads = [threading.Thread(target=work, args=(seed,)) for seed in alone]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(torch.equal(found[seed], theta) for seed, theta in alone.items())
    assert torch.equal(torch.get_rng_state(), state)
    assert not np.array_equal(alone[0].numpy(), alone[1].numpy())
