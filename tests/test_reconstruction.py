"""Reconstruction from KKT conditions: the objective against kkt.py, planted data found, candidates scored."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import margin_lab as ml
from margin_lab.theory.flows.steepest import steepest_flow
from margin_lab.theory.kkt.reconstruction import (
    alternating,
    best_cosines,
    misalignment,
    neuron_components,
    reconstruct,
    span_share,
)

N, D, WIDTH = 6, 16, 80


def network(W: np.ndarray) -> ml.models.MLP:
    """Squared ReLU, second layer fixed at -1, +1, ..."""
    net = ml.models.MLP([W.shape[1], len(W), 1], "relu2")
    with torch.no_grad():
        net.layers[0].weight.copy_(torch.from_numpy(W))
        net.layers[1].weight.copy_(torch.from_numpy(alternating(len(W)))[None])
    net.layers[1].weight.requires_grad_(False)
    return net


def planted(seed: int = 0) -> tuple[ml.models.MLP, np.ndarray, np.ndarray]:
    """Orthonormal samples, neurons ``w_j = sum_i u_ji x_i`` with u in {0, 1} in their class: KKT in l2 with equal multipliers."""
    rng = np.random.default_rng(seed)
    X = np.linalg.qr(rng.standard_normal((D, N)))[0].T
    y = alternating(N)
    u = rng.integers(0, 2, (WIDTH, N)) * (alternating(WIDTH)[:, None] == y)
    return network(u @ X), X, y


@pytest.mark.parametrize("norm", ["l2", "linf", "spectral"])
def test_misalignment_is_one_minus_the_alignment_of_kkt(norm: str) -> None:
    rng = np.random.default_rng(1)
    X, y = rng.standard_normal((N, D)), alternating(N)
    net = network(0.1 * rng.standard_normal((20, D)))
    flow = steepest_flow(net, X, y, norm, steps=200, max_length=0.02, max_fall=0.3, measured=())
    theta = flow.theta[-1]
    report = ml.kkt.residuals(net, X, y, norm, theta=theta)
    got = float(misalignment(net, X, y, report.multipliers, norm, theta))
    assert got == pytest.approx(1 - report.alignment, rel=1e-6)
    assert float(misalignment(net, X, y, 7 * report.multipliers, norm, theta)) == pytest.approx(got)
    # bregman for the best common scale, relative to 1/2 ||theta||^2: no other scale is below it
    size = 2 * (report.margin ** (-2 / report.degree)) / 2
    assert 1 - (1 - got) ** 2 <= 2 * report.bregman / size * (1 + 1e-9)


def test_the_planted_data_is_a_solution_in_l2_and_is_found_from_nearby() -> None:
    net, X, y = planted()
    assert float(misalignment(net, X, y, np.ones(N))) < 1e-12
    assert float(misalignment(net, X, y, np.ones(N), "linf")) > 0.1
    rng = np.random.default_rng(2)
    start = X + 0.4 * rng.standard_normal(X.shape) / 4
    before = best_cosines(start, y, X, y)[0]
    found = reconstruct(net, start=start[None], theta=ml.models.flat_parameters(net)[None], steps=300)
    after, which = best_cosines(found.inputs[0], found.labels, X, y)
    assert before.mean() < 0.95 and after.min() > 0.98 and found.misalignment[0] < 1e-3
    assert which.tolist() == list(range(N))
    np.testing.assert_allclose(np.linalg.norm(found.inputs, axis=-1), 1)
    np.testing.assert_allclose(found.multipliers.sum(-1), 1)


def test_independent_components_of_planted_neurons_are_the_data() -> None:
    net, X, y = planted(3)
    W = net.layers[0].weight.detach().numpy()
    found = neuron_components(W, alternating(WIDTH), N // 2)
    assert best_cosines(found, alternating(N), X, y)[0].mean() > 0.9
    other = planted(4)[1]
    assert best_cosines(found, alternating(N), other, y)[0].mean() < 0.6
    assert span_share(W, X, N).min() > 1 - 1e-12 and span_share(W, other, N).mean() < 0.8


def test_a_batch_of_networks_is_what_they_are_one_by_one() -> None:
    nets = [planted(seed)[0] for seed in (0, 1)]
    thetas = torch.stack([ml.models.flat_parameters(net) for net in nets])
    both = reconstruct(nets[0], "linf", 4, theta=thetas, steps=20)
    alone = reconstruct(nets[0], "linf", 4, theta=thetas[0], steps=20)
    assert both.inputs.shape == (2, 4, D) and alone.inputs.shape == (4, D)
    np.testing.assert_allclose(both.inputs[0], alone.inputs, atol=1e-9)
    assert both.misalignment[0] == pytest.approx(float(alone.misalignment))


def test_a_search_lowers_the_misalignment_in_every_norm() -> None:
    net = planted()[0]
    for norm in ("l2", "linf", "spectral"):
        short, longer = (reconstruct(net, norm, N, steps=steps).misalignment for steps in (1, 100))
        assert longer < 0.8 * short


def test_bad_use_is_said() -> None:
    net, X, y = planted()
    with pytest.raises(ValueError, match="with one output"):
        reconstruct(ml.models.MLP([4, 3, 2]))
    with pytest.raises(ValueError, match="start must have shape"):
        reconstruct(net, start=X)
    with pytest.raises(ValueError, match="candidates"):
        reconstruct(net, candidates=1)
    with pytest.raises(ValueError, match="as many neurons"):
        neuron_components(np.ones((4, 8)), [1, 1, 1, -1], 2)
    with pytest.raises(ValueError, match="no candidate has"):
        best_cosines(X, np.ones(N), X, y)
