"""Networks that declare their homogeneity: the declaration is true, a false one is refused, parameters survive the flat form."""

from __future__ import annotations

import copy
import itertools
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import margin_lab as ml
from margin_lab.losses import sample_margins
from margin_lab.models import ACTIVATIONS, MLP, Activation, check_homogeneity
from margin_lab.models.homogeneity import effective_degree, homogeneity_degree

HOMOGENEOUS = [name for name, a in ACTIVATIONS.items() if a.degree is not None]
OTHERS = [name for name, a in ACTIVATIONS.items() if a.degree is None]


def inputs(n: int = 9, d: int = 4) -> torch.Tensor:
    return torch.randn(n, d, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("activation", HOMOGENEOUS)
@pytest.mark.parametrize("bias", ["none", "first"])
@pytest.mark.parametrize("sizes", [(4, 1), (4, 7, 3), (4, 7, 6, 1)], ids=str)
def test_the_declared_degrees_are_true(activation: str, bias: str, sizes: tuple[int, ...]) -> None:
    net = MLP(sizes, activation, bias)
    assert net.degree == sum(net.layer_degrees.values())
    assert check_homogeneity(net, inputs()) == net.degree


@pytest.mark.parametrize("frozen", list(itertools.product([False, True], repeat=3))[:-1], ids=str)
@pytest.mark.parametrize("bias", ["none", "first"])
def test_frozen_layers_are_constants(frozen: tuple[bool, ...], bias: str) -> None:
    net = MLP([4, 7, 6, 1], "relu2", bias)
    for layer, off in zip(net.affine, frozen, strict=True):
        layer.requires_grad_(not off)
    assert set(net.layer_degrees) == {f"layers.{i}" for i, off in enumerate(frozen) if not off}
    assert check_homogeneity(net, inputs()) == net.degree == sum(net.layer_degrees.values())


def test_a_frozen_bias_beside_a_trained_weight_is_not_homogeneous() -> None:
    net = MLP([4, 7, 1], bias="first")
    bias = net.affine[0].bias
    assert bias is not None
    bias.requires_grad_(False).fill_(0.5)
    assert net.degree is None
    with pytest.raises(ValueError, match="not homogeneous"):
        check_homogeneity(net, inputs())


@pytest.mark.parametrize(
    ("sizes", "activation", "bias"), [((4, 7, 1), "relu", "all"), *(((4, 7, 1), a, "none") for a in OTHERS)]
)
def test_what_has_no_degree_declares_none_and_is_refused(
    sizes: tuple[int, ...], activation: str, bias: str
) -> None:
    net = MLP(sizes, activation, bias)
    with torch.no_grad():
        for p in net.parameters():
            p.add_(0.1)
    assert net.degree is None
    with pytest.raises(ValueError, match="not homogeneous"):
        check_homogeneity(net, inputs())


def test_a_false_declaration_is_refused() -> None:
    net = MLP([4, 7, 1], Activation("square", 1.0, lambda x: torch.relu(x) ** 2))
    with pytest.raises(ValueError, match="declares degree 2.0, but scales with 3"):
        check_homogeneity(net, inputs())


def test_a_network_is_checked_away_from_a_zero_head_but_not_on_inputs_that_are_zero() -> None:
    net = MLP([4, 7, 1])
    torch.nn.init.zeros_(net.affine[1].weight)
    assert check_homogeneity(net, inputs()) == 2
    with pytest.raises(ValueError, match="every output is 0"):
        check_homogeneity(net, 0 * inputs())


def test_other_modules_are_measured() -> None:
    net = nn.Sequential(nn.Linear(4, 5, bias=False), nn.ReLU(), nn.Linear(5, 1, bias=False))
    assert check_homogeneity(net, inputs()) == 2


@pytest.mark.parametrize(
    ("make", "shape", "degree", "count"),
    [(ml.models.mnist_cnn, (1, 28, 28), 4, 3_240_736), (ml.models.vgg16, (3, 32, 32), 14, 14_715_584)],
    ids=["mnist_cnn", "vgg16"],
)
def test_the_papers_networks(make: Any, shape: tuple[int, ...], degree: float, count: int) -> None:
    assert sum(p.numel() for p in make().parameters()) == count
    for bias in ("none", "first", "all"):
        net = make(bias, width=0.1)
        assert net(torch.rand(2, *shape)).shape == (2, 10)
        assert sum(p.ndim == 1 for p in net.parameters()) == {"none": 0, "first": 1, "all": degree}[bias]
        assert net.degree == (None if bias == "all" else degree)
        assert len(net.layer_degrees) == degree
    assert check_homogeneity(make("first", width=0.1), torch.rand(3, *shape)) == degree


def test_the_first_layers_norm_counts_its_bias() -> None:
    counted = MLP([4, 7, 6, 1], bias="all").layer_parameters()
    assert {name: len(tensors) for name, tensors in counted.items()} == {
        "layers.0": 2,
        "layers.1": 1,
        "layers.2": 1,
    }


# ---- the start


@given(st.integers(0, 10**6), st.floats(1e-3, 1e3))
def test_starts_are_reproducible_and_scale(seed: int, scale: float) -> None:
    net = MLP([4, 7, 1])
    one, other = ml.models.starts(net, [seed, seed + 1])
    assert torch.equal(one, ml.models.flat_parameters(MLP([4, 7, 1], seed=seed)))
    assert not torch.equal(one, other)
    torch.testing.assert_close(ml.models.starts(net, [seed], scale)[0], scale * one, rtol=1e-14, atol=0)


def test_he_start_has_its_variance() -> None:
    weight = MLP([200, 500, 1], scale=3.0).affine[0].weight
    assert float(weight.detach().std()) == pytest.approx(3 * (2 / 200) ** 0.5, rel=0.02)


# ---- the flat form


@given(st.integers(0, 100))
def test_flat_parameters_round_trip(seed: int) -> None:
    net = MLP([4, 7, 2], bias="first")
    before = copy.deepcopy(net.state_dict())
    theta = ml.models.starts(net, [seed])[0]
    other = ml.models.model_with(net, theta)
    assert torch.equal(ml.models.flat_parameters(other), theta)
    assert all(torch.equal(before[k], v) for k, v in net.state_dict().items())


def test_stacked_forward_equals_vmap() -> None:
    net = MLP([4, 7, 6, 3], "leaky_relu", "first")
    shapes = ml.models.parameter_shapes(net)
    theta = ml.models.starts(net, range(5))
    X = inputs()
    want = torch.func.vmap(lambda t: torch.func.functional_call(net, ml.models.unflatten(t, shapes), (X,)))(
        theta
    )
    torch.testing.assert_close(
        net.stacked(ml.models.unflatten(theta, shapes), X), want, rtol=1e-13, atol=1e-13
    )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MLP([4]), "sizes must hold the inputs and the outputs"),
        (lambda: MLP([4, 0, 1]), "a size must be a whole number >= 1, got 0"),
        (lambda: MLP([4, 1], "swish"), "activation must be one of"),
        (lambda: MLP([4, 1], bias="last"), "bias must be one of 'none', 'first', 'all'"),
        (lambda: MLP([4, 1], scale=0.0), "scale must be > 0"),
        (lambda: ml.models.starts(nn.Linear(2, 1), [0]), "pass theta0"),  # type: ignore[arg-type]
        (lambda: ml.models.model_with(MLP([4, 1]), torch.zeros(3)), "theta must end in 4 parameters"),
        (lambda: ml.models.model_with(MLP([4, 1]), torch.full((4,), torch.nan)), "theta contains NaN"),
    ],
)
def test_bad_input_is_refused(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_homogeneity_is_measured_as_declared_in_float32() -> None:
    net = ml.models.mnist_cnn(width=0.2)
    assert homogeneity_degree(net, torch.rand(4, 1, 28, 28)) == net.degree


@pytest.mark.parametrize("activation", HOMOGENEOUS)
def test_a_homogeneous_network_has_its_degree_in_every_sample(activation: str) -> None:
    net, X = MLP([4, 7, 6, 1], activation), inputs()
    torch.testing.assert_close(effective_degree(net, X), torch.full((9,), net.degree or 0.0).double())
    net.layers[1].requires_grad_(False)
    torch.testing.assert_close(effective_degree(net, X), torch.full((9,), net.degree or 0.0).double())


@pytest.mark.parametrize("activation", OTHERS)
@pytest.mark.parametrize("outputs", [1, 3])
def test_the_local_degree_is_the_slope_under_a_scaling(activation: str, outputs: int) -> None:
    net, X, h = MLP([4, 7, outputs], activation, "all"), inputs(), 1e-5
    y = torch.arange(9) % 3 if outputs == 3 else torch.tensor([1.0, -1.0, 1.0] * 3)
    theta = {name: p.detach() for name, p in net.named_parameters()}

    def logs(c: float, labels: torch.Tensor | None) -> torch.Tensor:
        f = torch.func.functional_call(net, {k: c * v for k, v in theta.items()}, (X,))
        return (f if labels is None else sample_margins(f, labels)).abs().log()

    for labels in (None, y):
        slope = (logs(1 + h, labels) - logs(1 - h, labels)) / (2 * h)
        torch.testing.assert_close(effective_degree(net, X, labels), slope, rtol=1e-6, atol=1e-6)
    doubled = {name: 2 * p for name, p in theta.items()}
    assert not torch.allclose(effective_degree(net, X.numpy(), theta=doubled), effective_degree(net, X))
    assert net.training


@pytest.mark.parametrize(("activation", "limit"), [("elu", 2.0), ("gelu", 2.0), ("tanh", 1.0)])
def test_the_local_degree_tends_to_its_limit(activation: str, limit: float) -> None:
    net, X = MLP([4, 7, 1], activation), inputs()
    # of the middle sample: one whose limit is nearly 0 takes longer
    errors = [float((effective_degree(net.reset(0, c), X) - limit).abs().median()) for c in (1.0, 1e3, 1e4)]
    assert errors[0] > 50 * errors[1] and errors[1] < 2e-3
    if activation == "elu":  # the units that are off leave -1 each: a correction of relative size 1 / c
        assert errors[1] / errors[2] == pytest.approx(10, rel=0.01)


def test_local_degrees_refuse_what_is_wrong() -> None:
    net, X = MLP([4, 7, 1], "elu"), inputs()
    with pytest.raises(ValueError, match="labels y must be -1 or"):
        effective_degree(net, X, torch.arange(9.0))
    with pytest.raises(ValueError, match="X contains NaN"):
        effective_degree(net, X * torch.nan)
    with pytest.raises(ValueError, match="no parameters"):
        effective_degree(nn.ReLU(), X)
    assert effective_degree(net, 0 * X).isnan().all()
