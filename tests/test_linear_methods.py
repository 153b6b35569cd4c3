"""Momentum, mini-batches and Nacson's steps: against NumPy loops and torch's own SGD."""

import numpy as np
import pytest
import reference
import torch

import margin_lab as ml


@pytest.fixture
def data() -> ml.datasets.Dataset:
    return ml.datasets.gaussian(23, 5, seed=4)


@pytest.mark.parametrize("mu", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("loss", ["exponential", "logistic"])
def test_momentum(data: ml.datasets.Dataset, mu: float, loss: str) -> None:
    run = ml.run_linear(data.X, data.y, "momentum", 60, lr=0.7, momentum=mu, loss=loss, record="all")
    w, v = np.zeros(5), np.zeros(5)
    for t in range(1, 61):
        v = mu * v + reference.loss_and_gradient(data.Z, w, loss)[1]
        w = w - 0.7 * v
        np.testing.assert_allclose(run.w[t], w, rtol=1e-11, atol=1e-13)


def test_nacson(data: ml.datasets.Dataset) -> None:
    run = ml.run_linear(data.X, data.y, "nacson", 200, lr=0.5, record="all")
    w = np.zeros(5)
    for t in range(200):
        g = reference.loss_and_gradient(data.Z, w)[1]
        w = w - 0.5 / np.sqrt(t + 1) * g / np.sqrt(g @ g)
        np.testing.assert_allclose(run.w[t + 1], w, rtol=1e-11, atol=1e-13)


def test_nacson_is_a_torch_schedule(data: ml.datasets.Dataset) -> None:
    X, y = torch.tensor(data.X), torch.tensor(data.y)
    w = torch.zeros(5, dtype=torch.float64, requires_grad=True)
    opt = ml.optim.NormalizedGD([w], lr=0.5, form="gradient")
    schedule = torch.optim.lr_scheduler.LambdaLR(opt, lambda t: (t + 1) ** -0.5)
    for _ in range(30):
        opt.zero_grad()
        ml.log_loss(X @ w, y).backward()
        opt.step()
        schedule.step()
    expected = ml.run_linear(data.X, data.y, "nacson", 30, lr=0.5).w[-1]
    np.testing.assert_allclose(w.detach(), expected, rtol=1e-11)


@pytest.mark.parametrize("size", [1, 5, 10, 23, 100])
@pytest.mark.parametrize(("mu", "loss"), [(0.0, "exponential"), (0.8, "logistic")])
def test_sgd_is_torchs(data: ml.datasets.Dataset, size: int, mu: float, loss: str) -> None:
    """Same shuffles as a plain PyTorch loop with one generator, its last batch of an epoch possibly smaller."""
    run = ml.run_linear(
        data.X, data.y, "sgd", 30, lr=0.3, batch_size=size, momentum=mu, seed=7, loss=loss, record="all"
    )
    Z = torch.tensor(data.Z)
    w = torch.zeros(5, dtype=torch.float64, requires_grad=True)
    opt = torch.optim.SGD([w], lr=0.3, momentum=mu)
    shuffle, batches = torch.Generator().manual_seed(7), []
    for t in range(1, 31):
        batches = batches or list(torch.randperm(23, generator=shuffle).split(size))
        q = Z[batches.pop(0)] @ w
        opt.zero_grad()
        (torch.exp(-q) if loss == "exponential" else torch.nn.functional.softplus(-q)).mean().backward()
        opt.step()
        np.testing.assert_allclose(run.w[t], w.detach(), rtol=1e-11, atol=1e-13)


def test_sgd_visits_every_sample_once_an_epoch(data: ml.datasets.Dataset) -> None:
    """Normalised steps at batch size 1 are the samples themselves: an epoch adds up to their sum."""
    run = ml.run_linear(data.X, data.y, "sgd", 46, lr=1.0, batch_size=1, normalized=True, record=[23, 46])
    np.testing.assert_allclose(run.w[0], data.Z.sum(0), rtol=1e-12)
    np.testing.assert_allclose(run.w[1], 2 * data.Z.sum(0), rtol=1e-12)


def test_sgd_at_full_batch_is_descent(data: ml.datasets.Dataset) -> None:
    plain = ml.run_linear(data.X, data.y, "sgd", 40, lr=0.4, batch_size=23)
    np.testing.assert_allclose(plain.w[-1], ml.run_linear(data.X, data.y, "gd", 40, lr=0.4).w[-1], rtol=1e-11)
    scaled = ml.run_linear(data.X, data.y, "sgd", 40, lr=0.4, batch_size=23, normalized=True)
    np.testing.assert_allclose(
        scaled.w[-1], ml.run_linear(data.X, data.y, "ngd", 40, lr=0.4).w[-1], rtol=1e-11
    )


def test_sweeps_are_their_runs() -> None:
    data = [ml.datasets.gaussian(23, 5, s) for s in range(2)]
    X, y = np.stack([d.X for d in data]), np.stack([d.y for d in data])
    options = {"batch_size": [4, 9], "seed": [0, 1], "normalized": [False, True]}
    sweep = ml.sweep_linear(X, y, "sgd", 50, lr=0.2, **options)
    assert len(sweep) == 16
    for b, run in enumerate(sweep):
        alone = ml.run_linear(X[b // 8], y[b // 8], "sgd", 50, **run.settings)
        np.testing.assert_allclose(run.w, alone.w, rtol=1e-11, atol=1e-14)
    for method, values in {"momentum": {"momentum": [0.0, 0.9]}, "nacson": {}, "dual": {}}.items():
        sweep = ml.sweep_linear(X, y, method, 50, lr=[0.2, 1.0], **values)
        for b, run in enumerate(sweep):
            s = b // (len(sweep) // 2)
            alone = ml.run_linear(X[s], y[s], method, 50, **run.settings)
            np.testing.assert_allclose(run.w, alone.w, rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize(
    ("method", "options", "words"),
    [
        ("momentum", {"momentum": 1.0}, "momentum must be below 1, got 1.0"),
        ("momentum", {"momentum": -0.1}, "momentum must be >= 0"),
        ("sgd", {"batch_size": 0}, "batch_size must be a whole number >= 1, got 0"),
        ("sgd", {"normalized": 1}, "normalized must be True or False, got 1"),
        ("nacson", {"momentum": 0.9}, "'nacson' has no option 'momentum'"),
        ("dual", {"lr": 0.0}, "lr must be > 0"),
    ],
)
def test_refuses_bad_options(data: ml.datasets.Dataset, method: str, options: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        ml.run_linear(data.X, data.y, method, 5, **options)
