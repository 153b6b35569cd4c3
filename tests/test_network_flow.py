"""Flows of homogeneous networks: Lemma 5.1 with its remainder along an integrated flow, Theorem 4.3's rates, Theorem 3.1."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import margin_lab as ml
from margin_lab.margins.layers import layer_margin, log_layer_product, smoothed_layer_margin
from margin_lab.theory.constraints import HomogeneousModel
from margin_lab.theory.flows.log_time import network_flow
from margin_lab.theory.flows.monotonicity import lemma_5_1, norm_gradient, smoothed_growth, theorem_3_1
from margin_lab.theory.flows.steepest import SteepestFlow, steepest_flow

RNG = np.random.default_rng(0)
X = RNG.normal(size=(8, 3))
Y = np.sign(X @ np.array([1.0, 0.3, -0.2]))
# degree: network
NETS = {
    1: ml.models.MLP([3, 1], seed=1, scale=0.5),
    2: ml.models.MLP([3, 3, 1], "linear", seed=1, scale=0.6),
    3: ml.models.MLP([3, 4, 1], "relu2", seed=3, scale=0.6),
    4: ml.models.MLP([3, 4, 1], "relu3", seed=2, scale=0.5),
}


def gauss_nodes(edges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Four Gauss nodes between each two edges, and their weights, ``[m, 4]`` both."""
    x, w = np.polynomial.legendre.leggauss(4)
    half = np.diff(edges)[:, None] / 2
    return (edges[:-1, None] + half * (1 + x)), half * w


@pytest.mark.parametrize("degree", NETS)
def test_lemma_5_1_with_its_remainder_along_the_flow(degree: int) -> None:
    """What the formula says, integrated over log-time, is what ``log smoothed`` gained; and its two parts add up."""
    problem = HomogeneousModel(NETS[degree], X, Y)
    assert problem.degree == degree
    # short intervals: where a unit switches, the rate of a relu2 network has a kink
    edges = np.arange(5.0, 6.01, 0.1)
    nodes, weights = gauss_nodes(edges)
    log_t = np.union1d(edges, nodes)
    flow = network_flow(NETS[degree], X, Y, log_t)
    assert (flow.log_loss < 0).all()
    growth = [lemma_5_1(problem, torch.from_numpy(theta)) for theta in flow.w]
    assert max(g.error for g in growth) < 1e-10
    assert all(g.bound >= 0 and g.remainder > 0 for g in growth)
    rate = np.exp(log_t + flow.log_loss) * [g.lhs for g in growth]
    gained = (weights * rate[np.searchsorted(log_t, nodes)]).sum(1)
    smoothed = np.log(-flow.log_loss) - degree * np.log(np.linalg.norm(flow.w, axis=1))
    np.testing.assert_allclose(gained, np.diff(smoothed[np.searchsorted(log_t, edges)]), atol=1e-8)


@pytest.mark.parametrize("degree", NETS)
def test_rates_of_theorem_4_3(degree: int) -> None:
    far = 60 * math.log(10)
    flow = network_flow(NETS[degree], X, Y, [far / 2, far], rtol=1e-9)
    q = HomogeneousModel(NETS[degree], X, Y).margins(torch.from_numpy(flow.w[-1]))
    A, rho = -flow.log_loss[-1], np.linalg.norm(flow.w[-1])
    gamma = float(q.min()) / rho**degree
    # with A in the place of log t the corrections are O(1 / log t)
    assert np.exp(far - A) * A ** (2 - 2 / degree) * degree**2 * gamma ** (2 / degree) == pytest.approx(
        1, abs=0.06
    )
    assert rho / far ** (1 / degree) * gamma ** (1 / degree) == pytest.approx(1, abs=0.03)


def test_network_flow_is_the_linear_flow_on_a_linear_model() -> None:
    log_t = [2.0, 20.0, 230.0]
    # the mean loss runs n times as slowly
    linear = ml.flow.linear_flow(X, Y, np.array(log_t) + math.log(len(X)), rtol=1e-10)
    network = network_flow(NETS[1], X, Y, log_t, theta0=np.zeros(3), rtol=1e-10)
    np.testing.assert_allclose(network.w, linear.w, rtol=1e-6, atol=1e-8)


@pytest.fixture(scope="module", params=["l2", "linf", "l1", "modular"])
def flow(request: pytest.FixtureRequest) -> SteepestFlow:
    return steepest_flow(
        NETS[3], X, Y, request.param, steps=800, max_length=4e-3, max_fall=0.05, record_every=20
    )


def test_theorem_3_1_along_every_flow(flow: SteepestFlow) -> None:
    fitted = flow.log_loss < 0
    assert fitted.sum() > 10 and flow.log_loss[-1] < -10
    scale = np.abs(flow.lhs[fitted])
    assert (flow.bound[fitted] > 0).all()
    assert ((flow.lhs - flow.bound)[fitted] >= -1e-12 * scale).all()
    assert flow.falls[flow.norm] == 0 and flow.fall_share[flow.norm] == 0
    assert (np.diff(flow.smoothed()[fitted]) > 0).all()
    assert np.isnan(flow.smoothed()[~fitted]).all() and np.isnan(flow.lhs[~fitted]).all()
    np.testing.assert_array_equal(flow.growth[flow.norm], flow.lhs)
    if flow.norm in (
        "linf",
        "l1",
    ):  # every coordinate that moves does so at full speed: an equality, typically
        assert np.median((flow.bound / flow.lhs)[fitted]) > 0.999


def test_functions_of_one_point_agree_with_the_records(flow: SteepestFlow) -> None:
    theta = torch.from_numpy(flow.theta[-1])
    growth = theorem_3_1(flow.problem, theta, flow.norm)
    assert growth.lhs == pytest.approx(flow.lhs[-1]) and growth.bound == pytest.approx(flow.bound[-1])
    assert growth.error < 1e-12
    for name in flow.norms:
        measured = smoothed_growth(flow.problem, theta, flow.norm, name)
        assert measured == pytest.approx(flow.growth[name][-1], rel=1e-9)
    n = norm_gradient(flow.problem.norm(flow.norm), theta)
    assert float(n @ theta) == pytest.approx(flow.norms[flow.norm][-1])
    report = ml.kkt.residuals(flow.problem, norm=flow.norm, theta=flow.theta[-1])
    assert report.alignment == pytest.approx(flow.alignment[-1])
    assert report.margin == pytest.approx(flow.margin()[-1])
    if flow.norm == "l2":
        assert lemma_5_1(flow.problem, theta).lhs == pytest.approx(growth.lhs)
        # Lemma 5.1 is the sharper one
        assert lemma_5_1(flow.problem, theta).bound + lemma_5_1(flow.problem, theta).remainder >= growth.bound


def test_the_rates_are_those_of_the_steps(flow: SteepestFlow) -> None:
    """One short step against the formula, in all norms."""
    theta = torch.from_numpy(flow.theta[-2])
    problem = flow.problem
    own = problem.norm(flow.norm)
    dual, direction = own.dual_and_direction(-problem.descent(theta).v)
    step = 1e-6 * float(own(theta))
    for name in flow.norms:
        norm = problem.norm(name)
        ends = [theta + side * step * direction for side in (-1, 1)]
        logs = [
            math.log(-problem.descent(end).log_loss) - problem.degree * math.log(norm(end)) for end in ends
        ]
        # dt = length / (L ||v||_*); away from the kinks of l1 and linf the centred difference is second order
        found = (logs[1] - logs[0]) / (2 * step / float(dual))
        assert found == pytest.approx(
            flow.growth[name][-2], rel=2e-3, abs=2e-3 * abs(flow.growth[flow.norm][-2])
        )


def test_stops_and_records_where_it_is_told() -> None:
    flow = steepest_flow(
        NETS[2], X, Y, steps=5000, until_log_loss=0.0, max_length=1e-2, max_fall=0.05, record_every=10
    )
    assert flow.log_loss[-1] <= 0 < flow.log_loss[-2] and flow.steps[-1] < 5000
    assert (np.diff(flow.steps)[:-1] == 10).all() and flow.theta.shape == (len(flow.steps), 12)
    with pytest.raises(ValueError, match="the norm 'l3' was not measured"):
        flow.margin("l3")


def test_the_spectral_norm_of_one_trained_matrix() -> None:
    net = ml.models.MLP([3, 4, 1], seed=1)
    net.layers[1].weight.requires_grad_(False)
    flow = steepest_flow(net, X, Y, "spectral", steps=300, max_length=5e-3, max_fall=0.05, measured=("l2",))
    assert flow.degree == 1 and list(flow.norms) == ["spectral", "l2"] and flow.theta.shape[1] == 12


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"max_length": 0.0}, "max_length must be > 0"),
        ({"max_fall": -1}, "max_fall must be > 0"),
        ({"theta0": np.ones(3)}, r"theta must have shape \[12\]"),
        ({"norm": "l9"}, "unknown norm"),
        ({"record_every": 0}, "record_every must be a whole number >= 1"),
        ({"model": ml.models.MLP([3, 4, 1], "gelu")}, "not homogeneous"),
        ({"y": Y * 2}, "labels y must be -1 or"),
    ],
)
def test_steepest_flow_refuses(change: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        steepest_flow(**{"model": NETS[2], "X": X, "y": Y, "steps": 1, **change})


def test_the_smoothed_margin_has_no_growth_above_the_threshold() -> None:
    problem = HomogeneousModel(NETS[2], X, Y)
    for f in (lemma_5_1, lambda p, t: theorem_3_1(p, t, "l2")):
        with pytest.raises(
            ValueError, match=r"the summed exponential loss is .* must be below its threshold 1"
        ):
            f(problem, 1e-3 * problem.theta)
    with pytest.raises(ValueError, match="for the exponential loss, got loss='logistic'"):
        lemma_5_1(HomogeneousModel(NETS[2], X, Y, "logistic"), problem.theta)
    logistic = HomogeneousModel(NETS[2], X, Y, "logistic")
    d = logistic.descent(1e-3 * problem.theta)
    with pytest.raises(ValueError, match="below its threshold log 2"):
        logistic.below_threshold(d)


@pytest.mark.parametrize("bias", ["none", "first", "all"])
@pytest.mark.parametrize("classes", [1, 3])
def test_layer_margins_do_not_see_the_scale_of_a_layer(bias: str, classes: int) -> None:
    net = ml.models.MLP([3, 5, 4, classes], "relu2", bias, seed=1)
    y = Y if classes == 1 else np.arange(8) % 3
    assert log_layer_product(net) == pytest.approx(
        sum(k * math.log(float(net.layers[i].weight.detach().norm())) for i, k in enumerate((4, 2, 1)))
    )
    margin = layer_margin(net, X, y)
    smoothed = smoothed_layer_margin(net, X, y, "exponential" if classes == 1 else "cross_entropy")
    assert margin != 0 and math.copysign(1, smoothed) == -1
    with torch.no_grad():
        net.layers[1].weight.mul_(7)
    assert layer_margin(net, X, y) == pytest.approx(margin, rel=1e-10)
    net.reset(1)
    for layer in net.affine[1:] if bias == "all" else ():
        assert layer.bias is not None  # 0 at the start: as constants they leave the network homogeneous
        layer.bias.requires_grad_(False)
    assert ml.normalized_margin(net, X, y) == pytest.approx(
        margin * math.exp(log_layer_product(net)) / _size(net) ** 7
    )


def test_layer_norms_count_the_first_bias_and_ignore_the_others() -> None:
    net = ml.models.MLP([3, 5, 1], bias="all", seed=1)
    with torch.no_grad():
        net.layers[0].bias.fill_(2.0)
        net.layers[1].bias.fill_(0.3)
    first = torch.cat([net.layers[0].weight.flatten(), net.layers[0].bias]).detach().norm()
    product = float(first * net.layers[1].weight.detach().norm())
    assert math.exp(log_layer_product(net)) == pytest.approx(product)
    q = torch.from_numpy(Y) * net(torch.from_numpy(X)).detach()
    assert layer_margin(net, X, Y) == pytest.approx(float(q.min()) / product)


def test_balanced_layers_attain_the_inequality_of_the_means() -> None:
    net = ml.models.MLP([3, 5, 4, 1], seed=1)
    bound = lambda: (len(net.layers) ** -1.5) * _size(net) ** 3  # noqa: E731
    assert math.exp(log_layer_product(net)) < bound()
    with torch.no_grad():
        for layer in net.layers:
            layer.weight.div_(layer.weight.norm())
    assert math.exp(log_layer_product(net)) == pytest.approx(bound())
    torch.nn.init.zeros_(net.layers[2].weight)
    assert layer_margin(net, X, Y) == 0 and log_layer_product(net) == -math.inf


@pytest.mark.parametrize(
    ("net", "words"),
    [
        (torch.nn.Linear(3, 1), "Linear does not"),
        (ml.models.MLP([3, 4, 1], "elu"), "the activation 'elu' is not homogeneous"),
        (
            ml.models.MLP([3, 4, 1], ml.models.Activation("square", 1.0, lambda x: torch.relu(x) ** 2)),
            "declares degree 2.0, but scales with 3",
        ),
    ],
)
def test_layer_margins_refuse(net: torch.nn.Module, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        layer_margin(net, X, Y)


def _size(net: torch.nn.Module) -> float:
    return float(ml.models.flat_parameters(net).norm())
