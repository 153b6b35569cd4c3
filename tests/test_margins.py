"""Margins of homogeneous models: scale invariance, the sandwich, what is left untouched."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from homogeneous_models import MODELS, D, N, linear, model_and_data, scaled, theta
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import margin_lab as ml
from margin_lab.margins.normalized import linear_margin
from margin_lab.models.private import trained_parameters
from margin_lab.norms import get_norm

NORMS = ["l1", "l2", "linf", 3]


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("name", MODELS)
def test_definition(name: str, norm: str | float) -> None:
    model, X, y = model_and_data(name)
    f = model(X).detach().numpy()
    if f.shape[1] > 1:
        q = [f[i, y[i]] - max(f[i, j] for j in range(f.shape[1]) if j != y[i]) for i in range(N)]
    else:
        q = (f[:, 0] * y.numpy()).tolist()
    power = float(get_norm(norm)(theta(model))) ** MODELS[name][1]
    assert ml.normalized_margin(model, X, y, norm) == pytest.approx(min(q) / power, rel=1e-12)
    assert ml.smoothed_margin(model, X, y, norm, "exponential") == pytest.approx(
        -math.log(sum(math.exp(-v) for v in q)) / power, rel=1e-11
    )


@given(
    name=st.sampled_from(sorted(MODELS)),
    norm=st.sampled_from(NORMS),
    exponent=st.floats(-6, 6),
    seed=st.integers(0, 20),
)
def test_scaling_the_parameters_changes_nothing(name: str, norm: str, exponent: float, seed: int) -> None:
    model, X, y = model_and_data(name, seed)
    margin = ml.normalized_margin(model, X, y, norm)
    assert ml.normalized_margin(scaled(model, 10.0**exponent), X, y, norm) == pytest.approx(
        margin, rel=1e-11, abs=1e-15
    )


@given(
    name=st.sampled_from(sorted(MODELS)),
    norm=st.sampled_from(NORMS),
    exponent=st.floats(-2, 6),
    seed=st.integers(0, 20),
)
def test_sandwich(name: str, norm: str, exponent: float, seed: int) -> None:
    model, X, y = model_and_data(name, seed)
    model = scaled(model, 10.0**exponent)
    smoothed = ml.smoothed_margin(model, X, y, norm, "exponential")
    margin = ml.normalized_margin(model, X, y, norm)
    width = math.log(N) / float(get_norm(norm)(theta(model))) ** MODELS[name][1]
    slack = 1e-11 * (abs(margin) + width)
    assert smoothed - slack <= margin <= smoothed + width + slack


@pytest.mark.parametrize(("loss", "name"), [("logistic", "relu-2"), ("cross_entropy", "multiclass-2")])
def test_smoothed_margin_of_other_losses_tends_to_the_margin_from_below(loss: str, name: str) -> None:
    model, X, y = model_and_data(name, seed=3)
    margin = ml.normalized_margin(model, X, y)
    gaps = [margin - ml.smoothed_margin(scaled(model, c), X, y, loss=loss) for c in (10.0, 30.0, 300.0)]
    assert -1e-15 <= gaps[2] <= gaps[1] <= gaps[0]
    assert gaps[2] < 1e-3 * margin


def test_smoothed_margin_of_one_sample_is_its_margin_for_every_loss() -> None:
    model, X, y = model_and_data("relu-2")
    for loss in ("exponential", "logistic"):
        for c in (0.1, 1.0, 40.0):
            one = ml.smoothed_margin(scaled(model, c), X[:1], y[:1], loss=loss)
            assert one == pytest.approx(ml.normalized_margin(model, X[:1], y[:1]), rel=1e-10)


@pytest.mark.parametrize("norm", NORMS)
def test_a_linear_model_has_the_margin_of_its_run(norm: str | float) -> None:
    data = ml.datasets.gaussian(n=20, d=D, seed=2)
    run = ml.run_linear(data.X, data.y, method="ngd", steps=40, norm=norm)
    model = linear(D, 1)
    for w, margin in zip(run.w[1:], run.margin[1:], strict=True):
        with torch.no_grad():
            model.weight.copy_(torch.as_tensor(w)[None])
        assert ml.normalized_margin(model, data.X, data.y, norm) == pytest.approx(margin, rel=1e-12)


@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("scale", [1e-200, 1e-120, 1e120, 1e200])
def test_extreme_weights(scale: float, depth: int) -> None:
    """Outputs and powers of the norm leave the range of float64; their ratio does not."""
    data = ml.datasets.dataset_1()
    net = ml.models.MLP([2] + [5] * (depth - 1) + [1], seed=1)
    for norm in NORMS:
        net.reset(1, 1.0)
        plain = ml.normalized_margin(net, data.X, data.y, norm)
        assert plain != 0
        net.reset(1, scale)
        assert ml.normalized_margin(net, data.X, data.y, norm) == pytest.approx(plain, rel=1e-12)
    if scale > 1 and np.log10(scale) * depth > 308:
        with pytest.raises(ValueError, match="the model's outputs contains NaN or infinite .* scale its"):
            ml.smoothed_margin(net, data.X, data.y)
    elif scale < 1 and depth > 1:  # log(1 / 3) over a power that underflows
        power = float(np.float64(np.linalg.norm(ml.models.flat_parameters(net))) ** depth)
        expected = -np.log(3) / power if power else -np.inf
        assert ml.smoothed_margin(net, data.X, data.y) == pytest.approx(expected, rel=1e-12)


def test_linear_margin_shapes_and_zero() -> None:
    rng = np.random.default_rng(0)
    w, Z = torch.tensor(rng.standard_normal((2, 3, D))), torch.tensor(rng.standard_normal((2, N, D)))
    w[1, 2] = 0
    margins = linear_margin(w, Z, get_norm("l2"))
    assert margins.shape == (2, 3)
    assert margins[1, 2] == 0
    assert float(margins[1, 1]) == pytest.approx(float((Z[1] @ w[1, 1]).min() / w[1, 1].norm()), rel=1e-14)
    big = linear_margin(1e250 * w, Z, get_norm("l2"))
    torch.testing.assert_close(big, margins, rtol=1e-14, atol=0)


def test_spectral_norm_of_the_one_trained_matrix() -> None:
    model, X, y = model_and_data("relu-2")
    first, last = model[0], model[2]
    assert isinstance(first, nn.Linear)
    assert isinstance(last, nn.Linear)
    with pytest.raises(
        ValueError, match=r"the spectral norm is of one matrix, .*'0.weight': \(6, 4\).*freeze the others"
    ):
        ml.normalized_margin(model, X, y, "spectral")
    last.weight.requires_grad_(False)
    q = (model(X)[:, 0] * y).min().item()
    sigma = np.linalg.svd(first.weight.detach().numpy(), compute_uv=False)[0]
    assert ml.normalized_margin(model, X, y, "spectral") == pytest.approx(q / sigma, rel=1e-12)


def test_frozen_layers_do_not_count() -> None:
    model, X, y = model_and_data("leaky-3")
    last = model[4]
    assert isinstance(last, nn.Linear)
    last.weight.requires_grad_(False)
    assert ml.homogeneity_degree(model, X) == 2
    trained = torch.cat([model[0].weight.reshape(-1), model[2].weight.reshape(-1)]).norm().item()
    q = (model(X)[:, 0] * y).min().item()
    assert ml.normalized_margin(model, X, y) == pytest.approx(q / trained**2, rel=1e-12)
    # all frozen: a model loaded for evaluation; then all of them count
    for p in model.parameters():
        p.requires_grad_(False)
    assert len(trained_parameters(model)) == 3
    assert ml.homogeneity_degree(model, X) == 3


def test_zero_parameters_have_margin_zero() -> None:
    model, X, y = model_and_data("relu-2")
    model = scaled(model, 0.0)
    assert ml.homogeneity_degree(model, X) == 2  # the function's, of which this is a special point
    assert ml.normalized_margin(model, X, y) == 0
    assert ml.smoothed_margin(model, X, y) == 0


def test_dead_network_has_margin_zero_but_not_a_smoothed_one() -> None:
    model, X, y = model_and_data("relu-2")
    with torch.no_grad():
        model[2].weight.zero_()
    assert ml.normalized_margin(model, X, y) == 0
    assert ml.smoothed_margin(model, X, y) < 0  # log L = log n


def test_nothing_of_the_model_is_touched() -> None:
    torch.manual_seed(0)
    norm = nn.BatchNorm1d(6, affine=False, dtype=torch.float64)
    model = nn.Sequential(linear(D, 6), norm, nn.ReLU(), nn.Dropout(0.5), linear(6, 1))
    norm.running_var.fill_(2.0)
    model[3].eval()
    X = torch.randn(N, D, dtype=torch.float64)
    y = torch.ones(N)
    model(X).sum().backward()
    before = copy.deepcopy(model.state_dict())
    grads = [p.grad.clone() for p in model.parameters()]
    modes = [m.training for m in model.modules()]
    versions = [p._version for p in model.parameters()]
    # with a running mean of 0 in eval mode, batch normalisation is a fixed diagonal matrix
    norm.running_mean.zero_()
    before["1.running_mean"].zero_()
    first = ml.normalized_margin(model, X, y)
    assert first == ml.normalized_margin(model, X, y)  # no dropout
    ml.smoothed_margin(model, X, y)
    assert [m.training for m in model.modules()] == modes
    assert True in modes
    for key, value in model.state_dict().items():
        assert torch.equal(value, before[key]), key
    for p, g, version in zip(model.parameters(), grads, versions, strict=True):
        assert torch.equal(p.grad, g)
        assert p._version == version
        assert p.requires_grad


def test_training_mode_comes_back_after_an_error() -> None:
    model, _, y = model_and_data("relu-2")
    model.train()
    with pytest.raises(ValueError, match=r"cannot be evaluated on inputs of shape \(9, 5\)"):
        ml.normalized_margin(model, torch.ones(N, D + 1), y)
    assert model.training


@pytest.mark.parametrize("kind", [np.asarray, torch.as_tensor, lambda a: np.asarray(a).tolist()])
def test_inputs_of_any_kind(kind: Callable[[np.ndarray], object]) -> None:
    model, X, y = model_and_data("relu-2")
    expected = ml.normalized_margin(model, X, y)
    value = ml.normalized_margin(model, kind(X.numpy()), kind(y.numpy()))
    assert isinstance(value, float)
    assert value == expected
    assert ml.normalized_margin(model.float(), X.numpy(), y.numpy()) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("name", "X", "y", "words"),
    [
        ("relu-2", np.ones((N, D)), np.zeros(N), r"labels y must be -1 or \+1, got \[0.0\]; for 0/1 labels"),
        ("relu-2", np.ones((N, D)), np.ones(N - 1), r"outputs \(9, 1\) and y \(8,\) do not match"),
        (
            "relu-2",
            np.full((N, D), np.nan),
            np.ones(N),
            r"X contains NaN or infinite values, the first at index \(0, 0\)",
        ),
        ("relu-2", np.ones((0, D)), np.ones(0), r"outputs \(0, 1\) and y \(0,\) do not match"),
        ("multiclass-2", np.ones((N, D)), np.full(N, 3), "class indices from 0 to 2, got"),
        ("multiclass-2", np.ones((N, D)), np.ones(N), "whole class indices from 0 to 2, got"),
    ],
)
def test_errors(name: str, X: np.ndarray, y: np.ndarray, words: str) -> None:
    model, _, _ = model_and_data(name)
    for f in (ml.normalized_margin, ml.smoothed_margin):
        with pytest.raises(ValueError, match=words):
            f(model, X, y)


def test_more_errors() -> None:
    model, X, y = model_and_data("relu-2")
    with pytest.raises(ValueError, match="loss must be one of"):
        ml.smoothed_margin(model, X, y, loss="hinge")
    with pytest.raises(ValueError, match="unknown norm 'l7'"):
        ml.normalized_margin(model, X, y, "l7")
    with pytest.raises(ValueError, match="ReLU has no parameters, so it has no normalised margin"):
        ml.normalized_margin(nn.ReLU(), X, y)
    with pytest.raises(ValueError, match="the model's outputs contains NaN or infinite values"):
        ml.normalized_margin(scaled(model, math.nan), X, y)
