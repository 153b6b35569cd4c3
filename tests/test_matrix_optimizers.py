"""Modular norms, polar factors, Shampoo, Muon and Adam on networks: against definitions, torch's optimizers and each other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import margin_lab as ml
from margin_lab import norms, optim
from margin_lab.models import MLP, flat_parameters
from margin_lab.optim.adam import AdamState, adam_update
from margin_lab.optim.polar import CUBIC, get_polar
from margin_lab.optim.steepest import own_norm
from margin_lab.runs import METHODS

SHAPES = {"W": (3, 4), "b": (3,), "kernel": (2, 3, 2), "scale": ()}
seeds = st.integers(0, 2**32 - 1)


def data(n: int = 12, d: int = 4, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d))
    return X, np.where(X[:, 0] > 0, 1.0, -1.0)


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
            "polar must be one of 'exact', 'newton-schulz', 'convergent' or a function, got 'svd'",
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


# ---- Shampoo, Muon


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
    run = ml.run_network(net, X, y, "shampoo", 8, lr=0.1, beta2=1.0, eps=1e-3, record="all", keep="all")
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


def test_rows_share_what_cannot_be_swept() -> None:
    X, y = data()
    with pytest.raises(ValueError, match="norm must be the same for all runs of a sweep"):
        ml.sweep_network(MLP([4, 3, 1]), X, y, "steepest", 3, lr=0.1, norm=["l1", "l2"])
    with pytest.raises(ValueError, match="rule must be one of 'log', 'unit', 'relative', got 'gradient'"):
        ml.sweep_network(MLP([4, 3, 1]), X, y, "sign", 3, lr=0.1, rule="gradient")
    assert METHODS["steepest"].norm is None


# ---- step rules on networks


def test_caps_hold() -> None:
    X, y = data(20, 4)
    net = MLP([4, 6, 1])
    for norm in ("l1", "l2", "linf", "modular"):
        own = norms.on_flat(norm, norms.modular(net).shapes)
        run = ml.run_network(
            net,
            X,
            y,
            "steepest",
            60,
            lr=[1.0],
            norm=norm,
            rule="log",
            max_length=0.01,
            record="all",
            keep="all",
        )
        lengths = own(torch.tensor(np.diff(run.history, axis=0))).numpy()
        assert lengths.max() == pytest.approx(0.01, rel=1e-9)
        run = ml.run_network(
            net,
            X,
            y,
            "steepest",
            60,
            lr=1e-2,
            norm=norm,
            rule="relative",
            max_fall=0.01,
            record="all",
            keep="all",
        )
        sizes = own(torch.tensor(run.history)).numpy()
        lengths = own(torch.tensor(np.diff(run.history, axis=0))).numpy()
        assert (lengths <= 1e-2 * sizes[:-1] * (1 + 1e-12)).all()
        # first order: the fall exceeds 0.01 by curvature only
        assert (-np.diff(run.log_loss)).max() < 0.0115
        assert (-np.diff(run.log_loss)).max() > 0.008


def test_averaged_selection_frees_coordinate_descent_from_a_kink() -> None:
    """A ReLU net with exact coordinate steps dithers across a kink; with the running mean it goes on to fit the data."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 8))
    y = np.sign(np.maximum(X[:, 0], 0) - np.maximum(X[:, 1] + X[:, 2], 0) + 0.3 * np.maximum(-X[:, 0], 0))
    options: dict[str, Any] = {"seed": range(2), "scale": 0.2, "rule": "log", "max_length": 0.02}
    runs = {
        average: ml.sweep_network(
            MLP([8, 16, 1]), X, y, "coordinate", 1600, lr=1.0, average=average, **options
        )
        for average in (0.0, 0.95)
    }
    assert np.median(runs[0.95].log_loss[:, -1]) < 0
    assert np.median(runs[0.95].accuracy[:, -1]) > np.median(runs[0.0].accuracy[:, -1])


# ---- Adam


@pytest.mark.parametrize(("beta1", "beta2", "eps"), [(0.9, 0.999, 1e-8), (0.0, 0.9, 1e-3)])
def test_adam_is_torchs(beta1: float, beta2: float, eps: float) -> None:
    X, y = data(20, 4)
    run = ml.run_network(MLP([4, 6, 1]), X, y, "adam", 300, lr=0.02, beta1=beta1, beta2=beta2, eps=eps)
    model = MLP([4, 6, 1])
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02, betas=(beta1, beta2), eps=eps)
    for _ in range(300):
        optimizer.zero_grad()
        torch.exp(-torch.tensor(y) * model(torch.tensor(X))).sum().backward()
        optimizer.step()
    assert run.log_loss[-1] < 1.2 < 3 < run.log_loss[0]
    np.testing.assert_allclose(run.theta, flat_parameters(model), rtol=1e-7, atol=1e-9)


def test_adam_far_below_the_smallest_number() -> None:
    """A run from log L = -1 and one from log L = -5001 with the same gradients of log L take the same steps if eps = 0."""
    rng = np.random.default_rng(0)
    w = torch.zeros(2, 3, dtype=torch.float64)
    state = AdamState.start(w)
    for t in range(400):
        grad = torch.tensor(rng.standard_normal(3)).expand(2, 3)
        log_loss = -torch.tensor([1.0, 5001.0], dtype=w.dtype) - 0.5 * t + 30 * np.sin(t / 9)
        w = adam_update(w, grad, log_loss, 0.1, state, eps=torch.tensor([[0.0], [0.0]]))
    assert torch.isfinite(w).all()
    assert float(w.abs().max()) > 0.1
    torch.testing.assert_close(w[0], w[1], rtol=1e-9, atol=0)
    # with eps > 0 there is nothing left to step on
    rest = adam_update(w, grad, log_loss, 0.1, AdamState.start(w), eps=1e-8)
    assert float((rest - w)[1].abs().max()) == 0
    # and no memory at all is sign descent, however fast the loss falls
    state = AdamState.start(w)
    for value in (0.0, -2000.0):
        new = adam_update(w, grad, torch.tensor([value, value]), 0.1, state, 0.0, 0.0, 0.0)
        torch.testing.assert_close(new, w - 0.1 * torch.sign(grad))
