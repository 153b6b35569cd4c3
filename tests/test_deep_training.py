"""Training at losses far below the smallest number, and where the naive loss dies."""

from __future__ import annotations

import math

import mpmath as mp
import numpy as np
import pytest
import torch
from training_runs import X, Y, net, train

import margin_lab as ml
from margin_lab.runs.training.objective import Objective, all_outputs

FITTED = train(60)


def at_loss(log10: float, dtype: torch.dtype = torch.float64) -> ml.models.MLP:
    """A network that fits the data, its last layer scaled so that the loss is near ``10^log10``."""
    model = ml.models.model_with(net(), FITTED.theta)
    with torch.no_grad():
        # the loss is near exp(-q_min) / n
        model.layers[-1].weight *= -(log10 * math.log(10) + math.log(len(X))) / FITTED.q_min[-1]
    return model.to(dtype)


def test_training_at_1e_800_against_mpmath() -> None:
    """The network's loss, recomputed from its outputs with 60 digits, and training on from there."""
    model = at_loss(-800)
    run = train(12, model=model, lr=1e-5)
    outputs = all_outputs(model, torch.tensor(X))
    with mp.workdps(60):
        each = [
            mp.log1p(mp.fsum(mp.exp(mp.mpf(v) - mp.mpf(row[k])) for j, v in enumerate(row) if j != k))
            for row, k in zip(outputs.tolist(), Y, strict=True)
        ]
        exact = mp.log(mp.fsum(each) / len(each))
        # from the same outputs to the last digits; the run's own may be rounded otherwise
        value, _ = Objective("cross_entropy", torch.float64).full(outputs, torch.tensor(Y))
        assert abs(exact - mp.mpf(value)) < 1e-14 * abs(exact)
        assert abs(exact - mp.mpf(float(run.log_loss[0]))) < 1e-11 * abs(exact)
    # at_loss comes as near to -800 as the rounding of one machine lets it
    assert abs(run.log10_loss[0] + 800) < 1e-6
    assert (np.diff(run.log_loss) <= 0).all() and run.log10_loss[-1] < run.log10_loss[0] - 1


@pytest.mark.parametrize(("dtype", "alive", "dead"), [(torch.float32, -5, -10), (torch.float64, -13, -18)])
def test_the_naive_loss_dies_where_its_dtype_does(dtype: torch.dtype, alive: float, dead: float) -> None:
    run = train(4, model=at_loss(alive, dtype), loss="naive")
    assert run.status == "finished" and abs(run.log10_loss[0] - alive) < 0.5
    run = train(4, model=at_loss(dead, dtype), loss="cross_entropy", lr=1e-5)
    assert abs(run.log10_loss[0] - dead) < 0.5 and run.log_loss[-1] < run.log_loss[0]
    with pytest.raises(ml.DivergedError, match="loss at the start is not finite"):
        train(4, model=at_loss(dead, dtype), loss="naive")


def test_a_naive_loss_that_becomes_0_ends_the_run() -> None:
    run = train(60, model=at_loss(-15.5), loss="naive", lr=1e-3)
    assert run.status == "underflowed" and run.log_loss[-1] == -math.inf and run.log10_loss[-2] > -18
    assert run.to_dict()["columns"]["log_loss"][-1] is None


def test_float32_parameters_train_as_deep() -> None:
    run = train(30, model=at_loss(-100, torch.float32), lr=1e-4)
    assert (
        run.theta.dtype == torch.float32 and run.log10_loss[-1] < -101 and (np.diff(run.log_loss) <= 0).all()
    )


def test_the_closed_gradient_of_the_relative_cross_entropy() -> None:
    objective = Objective("cross_entropy", torch.float64)
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(12) % 4
    for shift, frame in ((0.0, 0.0), (3.0, -2.0), (40.0, -39.0), (2000.0, -1995.0), (-50.0, 60.0)):
        f = torch.randn(12, 4, dtype=torch.float64, generator=generator)
        f = f.scatter_add(1, y[:, None], torch.full((12, 1), shift, dtype=torch.float64)).requires_grad_()
        value = objective.relative(f, y, frame)
        (grad,) = torch.autograd.grad(value, f)
        reference = torch.exp(objective.log_each(f, y) - frame).mean()
        torch.testing.assert_close(value, reference, rtol=1e-11, atol=0)
        torch.testing.assert_close(grad, torch.autograd.grad(reference, f)[0], rtol=1e-10, atol=1e-300)
