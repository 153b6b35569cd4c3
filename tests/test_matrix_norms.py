"""The modular norm of networks and polar factors: against definitions, an SVD and the table of measured bands."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from coordinate_labels import data
from hypothesis import given, settings
from hypothesis import strategies as st

import margin_lab as ml
from margin_lab import norms, optim
from margin_lab.models import MLP
from margin_lab.optim.polar import CUBIC, get_polar
from margin_lab.optim.steepest import own_norm

SHAPES = {"W": (3, 4), "b": (3,), "kernel": (2, 3, 2), "scale": ()}
seeds = st.integers(0, 2**32 - 1)


def modular_norm(kind: int) -> norms.Modular:
    layers: dict[str, Any] = [{}, {"W": "linf", "b": 1.5}, {"kernel": "l1", "scale": "linf"}][kind]
    return norms.modular(SHAPES, layers=layers)


# ---- the modular norm


@settings(max_examples=30)
@given(
    seed=seeds,
    kind=st.integers(0, 2),
    zero=st.sampled_from([None, *SHAPES]),
    scale=st.sampled_from([1e-150, 1.0]),
)
def test_modular_norm_and_its_steepest_step(seed: int, kind: int, zero: str | None, scale: float) -> None:
    norm = modular_norm(kind)
    rng = np.random.default_rng(seed)
    u, g = (torch.tensor(rng.standard_normal((2, 28))) for _ in range(2))
    if zero is not None:  # a layer without gradient stays
        at = dict(zip(SHAPES, torch.arange(28).split([12, 3, 12, 1]), strict=True))[zero]
        g[:, at] = 0
    g = scale * g
    assert (norm(u + g) <= (norm(u) + norm(g)) * (1 + 1e-12)).all()
    torch.testing.assert_close(norm(-3 * u), 3 * norm(u))
    assert ((u * g).sum(-1).abs() <= norm(u) * norm.dual(g) * (1 + 1e-12)).all()
    direction = norm.direction(g)
    torch.testing.assert_close(norm(direction), torch.ones(2, dtype=u.dtype), rtol=1e-10, atol=0)
    torch.testing.assert_close((g * direction).sum(-1), -norm.dual(g), rtol=1e-10, atol=0)
    torch.testing.assert_close(norm(norm.steepest(g)), norm.dual(g), rtol=1e-10, atol=0)
    if zero is not None:
        assert (direction[:, at] == 0).all()


def test_modular_norm_by_hand() -> None:
    norm = norms.modular({"W": (2, 2), "b": (2,)})
    theta = torch.tensor([3.0, 0.0, 0.0, 1.0, 3.0, 4.0], dtype=torch.float64)
    assert float(norm(theta)) == 5.0
    assert {k: float(v) for k, v in norm.layers(theta).items()} == {"W": 3.0, "b": 5.0}
    assert float(norm.dual(theta)) == pytest.approx(4.0 + 5.0)
    torch.testing.assert_close(
        norm.direction(theta), -torch.tensor([1.0, 0.0, 0.0, 1.0, 0.6, 0.8], dtype=torch.float64)
    )
    # vector norms are joint over all layers, and "spectral" is of one matrix
    assert norms.on_flat("l1", SHAPES) is norms.get_norm("l1")
    assert norms.on_flat("modular", SHAPES).name == "modular"
    one = norms.on_flat("spectral", {"W": (2, 2)})
    assert (float(one(theta[:4])), one.name) == (3.0, "spectral")


def test_margins_in_the_modular_norm() -> None:
    X, y = data()
    net = MLP([4, 5, 1])
    sweep = ml.sweep_network(net, X, y, "ngd", 5, lr=0.1, seed=[0, 1], norms=["modular", "l2"])
    q = sweep.q_min[:, -1]
    for b in range(2):
        sizes = [np.linalg.norm(p.detach().numpy(), 2) for p in sweep.model(b).parameters()]
        assert sweep.margins["modular"][b, -1] == pytest.approx(q[b] / max(sizes) ** 2, rel=1e-12)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: norms.get_norm("modular"), r"make it by margin_lab.norms.modular\(model\)"),
        (
            lambda: norms.modular(SHAPES, vectors="spectral"),
            r"the spectral norm is of a matrix, but b has shape \(3,\)",
        ),
        (lambda: norms.modular(SHAPES, matrices="l7"), "unknown norm 'l7'"),
        (lambda: norms.modular(SHAPES, layers={"V": "l1"}), r"no norm can be set for 'V' \(unknown\)"),
        (lambda: norms.modular({}), "do not match"),
        (
            lambda: norms.modular(SHAPES)(torch.ones(27)),
            r"needs 28 parameters, got shape \(27,\); a frozen layer is none of",
        ),
        (
            lambda: norms.on_flat("spectral", SHAPES),
            "the spectral norm is of one matrix, got parameters of shapes",
        ),
        (
            lambda: get_polar("svd"),
            "polar must be one of 'exact', .*'convergent' or a function, got 'svd'",
        ),
        (
            lambda: own_norm("linf", SHAPES, "convergent"),
            "polar= goes with the norms 'spectral' and 'modular', got norm 'linf'",
        ),
        (lambda: optim.newton_schulz(0), "steps must be a whole number >= 1, got 0"),
        (lambda: optim.newton_schulz(5, (1.0, 2.0)), "coefficients must be three numbers"),
        (lambda: optim.newton_schulz()(torch.ones(3)), r"a polar factor needs a matrix, got shape \(3,\)"),
        (lambda: optim.newton_schulz().band(0.0), "0 < low < high <= 1, got 0.0"),
    ],
)
def test_bad_norms_and_polar_factors(make: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()


def test_frozen_layers() -> None:
    net = MLP([4, 5, 1])
    net.layers[1].weight.requires_grad_(False)
    with pytest.raises(
        ValueError, match=r"shapes \[\(1, 5\)\] are frozen, but the norm is joint over all parameters"
    ):
        optim.SteepestDescent(net.parameters(), norm="l2")
    with pytest.raises(
        ValueError, match=r"for 'layers.1.weight' \(it is frozen, and the norm is joint over trained"
    ):
        norms.modular(net, layers={"layers.1.weight": "l1"})
    assert list(norms.modular(net).shapes) == ["layers.0.weight"]
    assert norms.on_flat("spectral", norms.modular(net).shapes).name == "spectral"


# ---- polar factors


@pytest.mark.parametrize("shape", [(3, 3), (5, 2), (2, 3, 7), (1, 4)])
def test_polar_factors(shape: tuple[int, ...]) -> None:
    g = torch.tensor(np.random.default_rng(1).standard_normal(shape))
    exact = norms.polar_factor(g)
    for scale in (1e-200, 1.0, 1e200):
        torch.testing.assert_close(optim.convergent_newton_schulz()(scale * g), exact, rtol=0, atol=1e-12)
    close = optim.newton_schulz()(g)
    values = torch.linalg.svdvals(close)
    assert 0.68 < float(values.min()) <= float(values.max()) < 1.2
    # the same singular vectors: the polynomial acts on singular values alone
    torch.testing.assert_close(norms.polar_factor(close), exact, rtol=0, atol=1e-10)
    sigma = torch.linalg.svdvals(g) / torch.linalg.matrix_norm(g)[..., None]
    expected = optim.newton_schulz().singular_values(sigma.numpy())
    np.testing.assert_allclose(values, -np.sort(-expected, -1), rtol=1e-9)
    for polar in (norms.polar_factor, optim.newton_schulz()):
        assert (polar(torch.zeros(shape)) == 0).all()


def test_measured_bands() -> None:
    """The table of derivations: five of Muon's steps have a band that no number of steps narrows; others converge."""
    low, high = optim.newton_schulz().band()
    assert (round(low, 4), round(high, 4)) == (0.6818, 1.1344)
    low, high = optim.newton_schulz(60).band()
    assert (round(low, 4), round(high, 4)) == (0.6818, 1.1344)
    low, high = optim.newton_schulz().band(1e-3)
    assert (round(low, 4), round(high, 4)) == (0.4705, 1.2024)

    def error(f: optim.NewtonSchulz) -> float:
        return max(abs(1 - s) for s in f.band())

    assert error(optim.convergent_newton_schulz(5, 4)) < 1e-15
    assert error(optim.convergent_newton_schulz()) < 1e-15
    assert error(optim.newton_schulz(10, CUBIC)) == pytest.approx(2.3e-10, rel=0.05)
