"""The degree of a model by measurement, and models without one, which are refused."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from homogeneous_models import MODELS, D, N, linear, model_and_data, scaled
from torch import Tensor, nn

import margin_lab as ml
from margin_lab.models import degree_or_none


@pytest.mark.parametrize("name", MODELS)
def test_degree(name: str) -> None:
    model, X, _ = model_and_data(name)
    assert ml.homogeneity_degree(model, X) == MODELS[name][1]


def test_fractional_degree() -> None:
    class Power(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.relu(x) ** 1.5

    torch.manual_seed(0)
    model = nn.Sequential(linear(D, 6), Power(), linear(6, 1))
    X = torch.randn(N, D, dtype=torch.float64)
    assert ml.homogeneity_degree(model, X) == pytest.approx(2.5, rel=1e-12)


def refused(name: str) -> nn.Module:
    torch.manual_seed(1)
    layers: dict[str, list[nn.Module]] = {
        "hidden-bias": [linear(D, 6), nn.ReLU(), linear(6, 1, bias=True)],
        "layernorm": [linear(D, 6), nn.LayerNorm(6, dtype=torch.float64), nn.ReLU(), linear(6, 1)],
        "gelu": [linear(D, 6), nn.GELU(), linear(6, 1)],
        "tanh": [linear(D, 6), nn.Tanh(), linear(6, 1)],
        "sigmoid": [linear(D, 6), nn.Sigmoid(), linear(6, 1)],
        "softplus": [linear(D, 6), nn.Softplus(), linear(6, 1)],
    }
    return nn.Sequential(*layers[name])


@pytest.mark.parametrize("name", ["hidden-bias", "layernorm", "gelu", "tanh", "sigmoid", "softplus"])
@pytest.mark.parametrize("scale", [1.0, 1e-2])
def test_models_that_are_not_homogeneous_are_refused(name: str, scale: float) -> None:
    model = scaled(refused(name), scale)
    X, y = torch.randn(N, D, dtype=torch.float64), torch.ones(N)
    for f in (ml.normalized_margin, ml.smoothed_margin):
        with pytest.raises(
            ValueError, match=r"Sequential is not homogeneous .* Remove biases beyond the first layer"
        ):
            f(model, X, y)


@pytest.mark.parametrize("name", ["hidden-bias", "gelu", "tanh", "sigmoid", "softplus"])
@pytest.mark.parametrize("scale", [1.0, 1e-2])
def test_they_are_refused_in_float32_too(name: str, scale: float) -> None:
    model = scaled(refused(name), scale).float()
    with pytest.raises(ValueError, match="is not homogeneous"):
        ml.normalized_margin(model, torch.randn(N, D), torch.ones(N))


def test_a_threshold_is_refused_whose_outputs_vanish_at_some_scales() -> None:
    class Threshold(nn.Module):
        def __init__(self, level: float) -> None:
            super().__init__()
            self.w = nn.Parameter(torch.ones(D, dtype=torch.float64))
            self.level = level

        def forward(self, x: Tensor) -> Tensor:
            return torch.relu(x @ self.w - self.level)

    X = torch.ones(N, D, dtype=torch.float64)
    for level in (3.0, 5.0, 20.0):  # 0 at the smaller scale; at the smaller one and at 1; at all three
        with pytest.raises(ValueError, match="Threshold is not homogeneous"):
            ml.homogeneity_degree(Threshold(level), X)
    assert ml.homogeneity_degree(Threshold(0.0), 0 * X) is None


def test_a_constant_is_refused() -> None:
    class Constant(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = nn.Parameter(torch.ones(1, dtype=torch.float64))

        def forward(self, x: Tensor) -> Tensor:
            return x[:, 0] + 0 * self.w

    with pytest.raises(ValueError, match="Constant is not homogeneous"):
        ml.homogeneity_degree(Constant(), torch.ones(N, D, dtype=torch.float64))


# ---- the special points of a start


def test_zero_biases_hide_nothing() -> None:
    model = nn.Sequential(linear(D, 6), nn.ReLU(), linear(6, 1, bias=True))
    bias = model[2].bias
    nn.init.zeros_(bias)
    X = torch.randn(N, D, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    with pytest.raises(ValueError, match=r"not homogeneous .* at a random point.*freeze them, biases at 0"):
        ml.homogeneity_degree(model, X)
    with pytest.raises(ValueError, match="not homogeneous"):
        ml.normalized_margin(model, X, torch.ones(N))
    assert degree_or_none(model, X) is None
    bias.requires_grad_(False)  # the advice
    assert ml.homogeneity_degree(model, X) == 2


def test_a_zero_head_and_zeros_everywhere_have_the_functions_degree() -> None:
    X = torch.randn(N, D, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    model = nn.Sequential(linear(D, 6), nn.ReLU(), linear(6, 1))
    nn.init.zeros_(model[2].weight)
    assert ml.homogeneity_degree(model, X.numpy()) == 2
    assert ml.homogeneity_degree(scaled(model, 0.0), X) == 2
    assert degree_or_none(model, X) == 2


@pytest.mark.parametrize("scale", [1e-3, 1.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("make", [nn.ReLU6, nn.Hardtanh, lambda: nn.Hardshrink(1e-4)])
def test_bends_that_a_start_does_not_meet(
    make: Callable[[], nn.Module], dtype: torch.dtype, scale: float
) -> None:
    torch.manual_seed(2)
    model = scaled(nn.Sequential(linear(D, 6), make(), linear(6, 1)), scale).to(dtype)
    X = torch.randn(N, D, generator=torch.Generator().manual_seed(0))
    with pytest.raises(ValueError, match="not homogeneous"):
        ml.homogeneity_degree(model, X)
    assert degree_or_none(model, X) is None


def test_what_bends_far_away_is_seen_at_the_end_of_a_run() -> None:
    class Far(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.relu(x).clamp(max=1e30)

    torch.manual_seed(2)
    model = nn.Sequential(linear(D, 6), Far(), linear(6, 1))
    X = torch.randn(N, D, dtype=torch.float64)
    theta = ml.models.flat_parameters(model)
    assert degree_or_none(model, X, theta, 10 * theta) == 2
    assert degree_or_none(model, X, 1e30 * theta) is None


def test_degrees_are_measured_alike_every_time_and_draw_from_no_generator_but_their_own() -> None:
    model, X, _ = model_and_data("leaky-3")
    before = torch.get_rng_state()
    assert {ml.homogeneity_degree(model, X) for _ in range(3)} == {3}
    assert torch.equal(torch.get_rng_state(), before)


def test_parameters_that_a_model_has_not_are_refused() -> None:
    model, X, _ = model_and_data("relu-2")
    with pytest.raises(ValueError, match=r"Sequential has no parameters named \['7.weight'\]"):
        ml.homogeneity_degree(model, X, theta={"7.weight": torch.ones(1)})
