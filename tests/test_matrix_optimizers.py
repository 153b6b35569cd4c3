"""Spectral descent, Shampoo and Muon on networks: against definitions, torch's optimizers and each other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from coordinate_labels import data

import margin_lab as ml
from margin_lab import optim
from margin_lab.models import MLP, flat_parameters


def test_spectral_descent_with_each_polar_factor() -> None:
    X, y = data()
    net = MLP([4, 3], dtype=torch.float64)
    classes = ((y + 1) / 2).astype(int)
    runs = {
        polar: ml.run_network(
            net,
            X,
            classes,
            "spectral",
            20,
            lr=0.1,
            loss="cross_entropy",
            polar=polar,
            record="all",
            keep="all",
        )
        for polar in ("exact", "convergent", "newton-schulz")
    }
    np.testing.assert_allclose(runs["convergent"].history, runs["exact"].history, rtol=0, atol=1e-9)
    steps = {
        p: np.linalg.svd(np.diff(r.history, axis=0).reshape(-1, 3, 4), compute_uv=False)
        for p, r in runs.items()
    }
    # one class's gradient is minus the others': rank 1 or 2, on which the exact step has length lr
    np.testing.assert_allclose(steps["exact"][:, 0], 0.1, rtol=1e-10)
    assert (steps["newton-schulz"][:, 0] > 0.068).all()
    assert (steps["newton-schulz"][:, 0] < 0.121).all()


def test_shampoo_without_accumulation_is_spectral_descent() -> None:
    X, y = data(30, 5)
    net = MLP([5, 4, 1])
    shampoo = ml.run_network(net, X, y, "shampoo", 30, lr=0.05, record="all", keep="all")
    spectral = ml.run_network(
        net, X, y, "steepest", 30, lr=0.05, norm="modular", rule="unit", record="all", keep="all"
    )
    np.testing.assert_allclose(shampoo.history, spectral.history, rtol=0, atol=1e-7)


def test_shampoo_with_accumulation_is_its_definition() -> None:
    X, y = data(9, 3)
    net = MLP([3, 2, 1])
    run = ml.run_network(
        net, X, y, "shampoo", 8, lr=0.1, beta2=1.0, eps=1e-3, reduction="sum", record="all", keep="all"
    )
    model = MLP([3, 2, 1])
    params = list(model.parameters())
    grams = [(1e-3 * torch.eye(p.shape[0]).double(), 1e-3 * torch.eye(p.shape[1]).double()) for p in params]
    for t in range(1, 9):
        grads = torch.autograd.grad(torch.exp(-torch.tensor(y) * model(torch.tensor(X))).sum(), params)
        with torch.no_grad():
            for i, (p, g) in enumerate(zip(params, grads, strict=True)):
                grams[i] = grams[i][0] + g @ g.T, grams[i][1] + g.T @ g
                left, right = (
                    torch.tensor(np.real(_power(gram.numpy(), -0.25)), dtype=torch.float64)
                    for gram in grams[i]
                )
                p -= 0.1 * left @ g @ right
        np.testing.assert_allclose(run.history[t], flat_parameters(model), rtol=1e-8, atol=1e-10)


def _power(a: np.ndarray, power: float) -> np.ndarray:
    values, vectors = np.linalg.eigh(a)
    return vectors * values**power @ vectors.T


def test_muon_is_torchs() -> None:
    """torch's own rounds to bfloat16 inside, hence the tolerance; with one matrix wider than tall no factor is applied."""
    X, _ = data(20, 4)
    classes = (X[:, 1] > 0).astype(int) + (X[:, 2] > 0)
    run = ml.run_network(MLP([4, 3]), X, classes, "muon", 15, lr=0.05, loss="cross_entropy")
    model = MLP([4, 3])
    optimizer = torch.optim.Muon(model.parameters(), lr=0.05, weight_decay=0.0)
    for _ in range(15):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(
            model(torch.tensor(X)), torch.tensor(classes), reduction="sum"
        ).backward()
        optimizer.step()
    moved = flat_parameters(model) - flat_parameters(MLP([4, 3]))
    np.testing.assert_allclose(run.theta, flat_parameters(model), atol=0.04 * float(moved.norm()))


def test_muon_without_momentum_is_modular_descent() -> None:
    X, y = data(30, 5)
    options: dict[str, Any] = {"lr": 0.05, "record": "all", "keep": "all"}
    muon = ml.run_network(MLP([5, 4, 1]), X, y, "muon", 30, momentum=0.0, polar="exact", **options)
    steepest = ml.run_network(MLP([5, 4, 1]), X, y, "steepest", 30, norm="modular", rule="unit", **options)
    np.testing.assert_allclose(muon.history, steepest.history, rtol=0, atol=1e-11)


MAKERS: dict[str, tuple[Any, dict[str, Any]]] = {
    "adam": (optim.Adam, {"beta2": 0.95, "eps": 1e-3}),
    "shampoo": (optim.Shampoo, {"beta2": 0.9, "eps": 1e-4}),
    "muon": (optim.Muon, {"polar": "exact", "nesterov": False}),
    "steepest": (
        optim.SteepestDescent,
        {"norm": "modular", "rule": "log", "max_length": 0.1, "average": 0.5},
    ),
}


@pytest.mark.parametrize("method", MAKERS)
def test_batched_runs_equal_the_optimizers(method: str) -> None:
    make, options = MAKERS[method]
    X, y = data(10, 3)
    sweep = ml.sweep_network(
        MLP([3, 4, 1], bias="first"), X, y, method, 25, lr=[0.03, 0.01], seed=[3, 4], **options
    )
    for b, setting in enumerate(sweep.settings):
        model = MLP([3, 4, 1], bias="first", seed=setting["seed"])
        optimizer = make(model.parameters(), lr=setting["lr"], **options)
        state = None

        def closure(model: Any = model, optimizer: Any = optimizer) -> torch.Tensor:
            optimizer.zero_grad()
            value = ml.log_loss(model(torch.tensor(X)), torch.tensor(y))
            value.backward()
            return value

        for t in range(25):
            if t == 11:  # a restart on the way
                state = optimizer.state_dict()
                optimizer = make(model.parameters(), lr=1.0, **options)
                optimizer.load_state_dict(state)
            optimizer.step(lambda f=closure, o=optimizer: f(optimizer=o))
        np.testing.assert_allclose(sweep.theta[b], flat_parameters(model), rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("method", ["spectral", "shampoo", "muon"])
def test_linear_models_have_no_matrix(method: str) -> None:
    X, y = data()
    with pytest.raises(ValueError, match=r"a vector"):
        ml.run_linear(X, y, method, 3)
    with pytest.raises(ValueError, match="is of one matrix" if method == "spectral" else "works on matrices"):
        ml.run_linear(X, y, method, 3, norm="l2")
