"""Batched runs of networks: equal to linear runs, to torch's own loops and to themselves one by one; clear in every error."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import margin_lab as ml
from margin_lab.models import MLP, flat_parameters, starts

D, N = 3, 14


def data(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((N, D))
    return X, np.where(X[:, 0] + 0.5 * np.abs(X[:, 1]) > 0, 1.0, -1.0)


def classes(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    X, _ = data(seed)
    return X, np.argmax(X, 1)


# ---- against linear runs and torch's loops


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("ngd", {}),
        ("ngd", {"form": "gradient"}),
        ("nacson", {}),
        ("sign", {}),
        ("coordinate", {}),
        ("prgd", {"period": 3}),
    ],
    ids=str,
)
def test_a_network_of_one_layer_is_the_linear_model(method: str, options: dict[str, Any]) -> None:
    X, y = data()
    w0 = np.random.default_rng(1).standard_normal(D)
    warmup: dict[str, Any] = {"warmup": 0} if method == "prgd" else {}
    linear = ml.run_linear(X, y, method, 30, lr=0.3, w0=w0, record="all", **options, **warmup)
    net = ml.run_network(
        MLP([D, 1]), X, y, method, 30, lr=0.3, theta0=w0, record="all", keep="all", **options
    )
    np.testing.assert_allclose(net.history, linear.w, rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(net.log_loss, linear.log_loss, rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(net.margins[linear.norm_name], linear.margin, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("loss", ["exponential", "logistic", "cross_entropy"])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_gd_equals_torch(loss: str, reduction: str) -> None:
    X, y = classes() if loss == "cross_entropy" else data()
    net = MLP([D, 6, 3 if loss == "cross_entropy" else 1], bias="first")
    run = ml.run_network(
        net, X, y, "gd", 20, lr=0.02, loss=loss, reduction=reduction, record="all", keep="all"
    )
    model = MLP([D, 6, 3 if loss == "cross_entropy" else 1], bias="first")
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02)
    inputs, labels = torch.tensor(X), torch.tensor(y)
    for t in range(20):
        optimizer.zero_grad()
        f = model(inputs)
        if loss == "cross_entropy":
            value = nn.functional.cross_entropy(f, labels, reduction=reduction)
        else:
            q = f * labels
            each = torch.exp(-q) if loss == "exponential" else nn.functional.softplus(-q)
            value = each.sum() if reduction == "sum" else each.mean()
        assert float(value.detach().log()) == pytest.approx(run.log_loss[t], abs=1e-10)
        value.backward()
        optimizer.step()
    np.testing.assert_allclose(run.theta, flat_parameters(model).numpy(), rtol=1e-10, atol=1e-12)


def test_any_module_runs_like_ours() -> None:
    X, y = data()
    ours = MLP([D, 5, 1])
    other = nn.Sequential(nn.Linear(D, 5, bias=False), nn.ReLU(), nn.Linear(5, 1, bias=False)).double()
    theta0 = starts(ours, range(3))
    a, b = (
        ml.sweep_network(m, X, y, "ngd", 20, lr=0.1, theta0=theta0[0], scale=[0.5, 1.0])
        for m in (ours, other)
    )
    np.testing.assert_allclose(a.theta, b.theta, rtol=1e-12, atol=1e-13)
    assert a.degree == b.degree == 2


# ---- the batch


def test_every_row_is_its_own_run() -> None:
    sets = [data(s) for s in range(2)]
    X, y = (np.stack(part) for part in zip(*sets, strict=True))
    net = MLP([D, 6, 1])
    theta0 = starts(net, [3, 4])
    sweep = ml.sweep_network(net, X, y, "gd", 25, lr=[0.01, 0.03], theta0=theta0, scale=[0.5, 1.0])
    assert len(sweep) == 8
    for i, run in enumerate(sweep):
        s = i // 4
        single = ml.run_network(
            net, X[s], y[s], "gd", 25, lr=run.settings["lr"], theta0=theta0[s], scale=run.settings["scale"]
        )
        np.testing.assert_allclose(run.theta, single.theta, rtol=1e-11, atol=1e-12)
        np.testing.assert_allclose(run.margins["l1"], single.margins["l1"], rtol=1e-10, atol=1e-13)


def test_seeds_draw_the_start() -> None:
    X, y = data()
    net = MLP([D, 6, 1])
    sweep = ml.sweep_network(net, X, y, "gd", 0, lr=0.1, seed=[5, 6], scale=[1.0, 2.0])
    want = starts(net, [5, 6]).repeat_interleave(2, 0) * torch.tensor([1.0, 2.0, 1.0, 2.0])[:, None]
    np.testing.assert_array_equal(sweep.theta, want.numpy())


# a step short enough not to oscillate: an orbit near the boundary depends on the last bit of every product
def test_what_is_recorded_is_what_the_margins_module_says() -> None:
    X, y = classes()
    run = ml.run_network(MLP([D, 12, 3]), X, y, "ngd", 400, lr=0.03, loss="cross_entropy", keep="all")
    assert run.accuracy[-1] == 1
    for at in (len(run.steps) // 2, -1):
        model = run.model(at=at)
        assert ml.normalized_margin(model, X, y) == pytest.approx(run.margins["l2"][at], rel=1e-12)
        assert ml.normalized_margin(model, X, y, "linf") == pytest.approx(run.margins["linf"][at], rel=1e-12)
        assert ml.smoothed_margin(model, X, y, loss="cross_entropy") == pytest.approx(
            run.smoothed()[at], rel=1e-12
        )


def test_frozen_parameters_stay_and_the_spectral_norm_is_of_the_one_matrix() -> None:
    X, y = data()
    net = MLP([D, 6, 1])
    net.affine[1].weight.requires_grad_(False)
    before = net.affine[1].weight.clone()
    run = ml.run_network(net, X, y, "gd", 30, lr=0.05, norms=["spectral", "l2"])
    model = run.model()
    assert torch.equal(model.get_parameter("layers.1.weight"), before)
    assert run.degree == 1
    assert run.margins["spectral"][-1] == pytest.approx(
        ml.normalized_margin(model, X, y, "spectral"), rel=1e-12
    )


def test_test_accuracy() -> None:
    X, y = data()
    run = ml.run_network(MLP([D, 8, 1]), X, y, "ngd", 50, lr=0.1, X_test=X[:5], y_test=-y[:5])
    assert run.test_accuracy[-1] == pytest.approx(
        1 - np.mean((run.model()(torch.tensor(X[:5])).detach().numpy() * y[:5]) > 0)
    )


def test_runs_stop_where_the_loss_is_reached() -> None:
    X, y = data()
    sweep = ml.sweep_network(
        MLP([D, 8, 1]),
        X,
        y,
        "ngd",
        300,
        lr=[0.05, 1e-6],
        until_log_loss=0.0,
        reduction="sum",
        keep="all",
        record="all",
    )
    assert sweep.status == ["stopped", "finished"]
    assert sweep.accuracy[0, -1] == 1
    stop = int(np.argmax(sweep.log_loss[0] <= 0))
    assert (sweep.history[0, stop:] == sweep.theta[0]).all()
    assert sweep.log_loss[0, stop - 1] > 0


def test_a_model_without_a_degree_has_norms_but_no_margins() -> None:
    X, y = data()
    run = ml.run_network(MLP([D, 6, 1], "tanh"), X, y, "gd", 5, lr=0.01)
    assert run.degree is None
    assert run.margins == {}
    assert set(run.norms) == {"l1", "l2", "linf"}
    with pytest.raises(ValueError, match="no margins in 'l2' were recorded"):
        run.smoothed()


def test_a_diverging_run_stops_alone() -> None:
    X, y = data()
    sweep = ml.sweep_network(MLP([D, 6, 6, 1]), X, y, "gd", 40, lr=[1e-3, 1e9])
    assert sweep.status == ["finished", "diverged"]
    assert sweep.diverged_at[1] is not None
    assert np.isfinite(sweep.theta).all()
    with pytest.raises(ml.DivergedError, match="gd diverged at step .* lower lr"):
        ml.run_network(MLP([D, 6, 6, 1]), X, y, "gd", 40, lr=1e9)


def test_results_have_the_datas_type() -> None:
    X, y = data()
    run = ml.run_network(
        MLP([D, 4, 1], dtype=torch.float32), torch.tensor(X), torch.tensor(y), "gd", 3, lr=0.01
    )
    assert run.theta.dtype == torch.float32
    assert isinstance(run.smoothed(), torch.Tensor)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"method": "dual"}, "works on linear models only"),
        ({"method": "certified"}, "works on linear models only; use run_linear"),
        ({"method": "adamw"}, "method must be one of"),
        ({"lr": 0.0}, "lr must be > 0"),
        ({"scale": -1.0}, "scale must be > 0"),
        ({"seed": 1.5}, "seed must be a whole number"),
        ({"theta0": np.zeros(4)}, r"theta0 must have shape \[24\]"),
        ({"theta0": np.full(24, np.nan)}, "theta0 contains NaN"),
        ({"theta0": np.zeros(24), "seed": 1}, "by theta0 or by seed, not by both"),
        ({"y": np.zeros(N)}, r"labels y must be -1 or \+1"),
        ({"y": np.ones(3)}, "do not match"),
        ({"X": np.full((N, D), np.nan)}, "X contains NaN"),
        ({"loss": "hinge"}, "loss must be one of"),
        ({"loss": "cross_entropy"}, "do not match"),
        ({"keep": "some"}, "keep must be one of 'last', 'all'"),
        ({"norms": ["spectral"]}, "is of one matrix"),
        ({"momentum": 0.9}, "'gd' has no option 'momentum'"),
        ({"record": [99]}, "record asks for step 99, but the run has 3"),
    ],
    ids=lambda v: next(iter(v)) if isinstance(v, dict) else "",
)
def test_bad_input_is_refused(kwargs: dict[str, Any], message: str) -> None:
    X, y = data()
    given = {"X": X, "y": y, "method": "gd", "steps": 3, "lr": 0.1, **kwargs}
    with pytest.raises(ValueError, match=message):
        ml.sweep_network(MLP([D, 6, 1]), given.pop("X"), given.pop("y"), **given)


def test_class_labels_out_of_range_are_refused() -> None:
    X, y = classes()
    with pytest.raises(ValueError, match="class indices from 0 to 2"):
        ml.sweep_network(MLP([D, 6, 3]), X, y + 1, "gd", 3, lr=0.1, loss="cross_entropy")
    with pytest.raises(ValueError, match="seed draws the start of margin_lab.models only"):
        ml.sweep_network(nn.Linear(D, 3).double(), X, y, "gd", 3, lr=0.1, seed=1, loss="cross_entropy")
