"""Attacks against exact distances: linear models, all regions of tiny networks, a fine grid; and the bounds below them."""

import itertools

import numpy as np
import pytest
import torch
from scipy.optimize import minimize, nnls

import margin_lab as ml
from margin_lab.theory.robustness import (
    certified_radius,
    margin_in_ball,
    robust_accuracy,
    smallest_perturbation,
)
from margin_lab.theory.robustness.projection import project

# Carlini and Wagner's attack in a second; its default takes ten times as long.
QUICK = dict(steps=200, searches=6, lr=0.03)


def uniform(*shape, seed=0, dtype=torch.float64):
    return torch.rand(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def network(sizes, seed=0, **options):
    """Random biases, too: without them the boundary of a binary network is a cone with its tip in a corner of the box."""
    net = ml.models.MLP(sizes, seed=seed, bias="all", **options)
    generator = torch.Generator().manual_seed(seed + 1)
    for layer in net.affine:
        layer.bias.data.normal_(0, 0.3, generator=generator)
    return net


def labels_of(net, X):
    f = net(X).detach()
    return f.argmax(1) if f.ndim == 2 else f.sign()


def box_qp(x, a, b):
    """Reference by a general solver: the nearest point with <a, z> <= b in the unit cube."""
    r = minimize(
        lambda z: ((z - x) ** 2).sum(),
        np.clip(x - 0.1 * a, 0, 1),
        jac=lambda z: 2 * (z - x),
        bounds=[(0, 1)] * len(x),
        constraints=[{"type": "ineq", "fun": lambda z: b - a @ z, "jac": lambda z: -a}],
        method="SLSQP",
        options=dict(ftol=1e-14, maxiter=500),
    )
    assert r.success
    return np.sqrt(r.fun)


def exact_by_regions(net, x, y):
    """The distance to the boundary of a network with one hidden layer in the unit cube: one least-distance problem a region."""
    (W, b), (V, c) = [(l.weight.detach().numpy(), l.bias.detach().numpy()) for l in net.affine]
    best, d = np.inf, len(x)
    for pattern in itertools.product([0, 1], repeat=len(W)):
        on = np.array(pattern)
        sign = 2 * on - 1
        for j in range(len(V)):
            if j == y:
                continue
            v = V[y] - V[j]
            # rows G z >= h: the region, the other class, the cube
            G = np.vstack([sign[:, None] * W, -(v * on) @ W, np.eye(d), -np.eye(d)])
            h = np.concatenate([-sign * b, [(v * on) @ b + c[y] - c[j]], np.zeros(d), -np.ones(d)])
            # min |z - x|: Lawson and Hanson's least-distance problem in z - x
            A = np.vstack([G.T, (h - G @ x)[None]])
            e = np.zeros(d + 1)
            e[-1] = 1
            u, residual = nnls(A, e)
            if residual > 1e-9:
                r = A @ u - e
                best = min(best, np.linalg.norm(r[:-1] / r[-1]))
    return best


def test_projection_solves_the_box_qp():
    x, a = uniform(30, 6), uniform(30, 6, seed=1) - 0.5
    a[:, 2] = 0  # coordinates that do not matter
    corner = torch.where(a > 0, 0.0, 1.0).double()
    b = (a * (0.6 * corner + 0.4 * x)).sum(1)
    edges = torch.zeros(1, 6).double(), torch.ones(1, 6).double()
    z, meets = project(x, a, b, *edges)
    assert bool(meets.all()) and float(z.min()) >= 0 and float(z.max()) <= 1
    torch.testing.assert_close((a * z).sum(1), b, rtol=0, atol=1e-14)
    expected = [box_qp(*row) for row in zip(x.numpy(), a.numpy(), b.numpy(), strict=True)]
    np.testing.assert_allclose((z - x).norm(dim=1), expected, rtol=1e-6)
    same, _ = project(x, a, (a * x).sum(1) + 1, *edges)
    torch.testing.assert_close(same, x)
    far, meets = project(x, a, (a * corner).sum(1) - 1, *edges)
    assert not bool(meets.any())
    moving = a != 0
    torch.testing.assert_close(far[moving], corner[moving])


def test_linear_models_are_exact():
    net, X = network([8, 1], seed=1), uniform(25, 8)
    w, b = net.affine[0].weight.detach()[0], net.affine[0].bias.detach()
    y = labels_of(net, X)
    wide = smallest_perturbation(net, X, y, box=(-100, 101))
    torch.testing.assert_close(wide.radius, ((X @ w + b).abs() / w.norm()), rtol=1e-9, atol=0)
    inside = smallest_perturbation(net, X, y)
    expected = [box_qp(x, (s * w).numpy(), float(-s * b)) for x, s in zip(X.numpy(), y, strict=True)]
    np.testing.assert_allclose(inside.radius, expected, rtol=1e-6)
    assert bool((inside.radius >= wide.radius * (1 - 1e-9)).all())
    cw = smallest_perturbation(net, X, y, "carlini_wagner", **QUICK).radius / inside.radius
    assert float(cw.min()) >= 1 - 1e-9 and float(cw.median()) < 1.01
    lipschitz = certified_radius(net, X, y, "lipschitz")
    torch.testing.assert_close(lipschitz, wide.radius, rtol=1e-9, atol=0)


def test_linear_models_of_several_classes():
    net, X = network([6, 4], seed=2), uniform(20, 6)
    y, V, c = labels_of(net, X), net.affine[0].weight.detach(), net.affine[0].bias.detach()
    wide = smallest_perturbation(net, X, y, box=(-100, 101)).radius
    gap = (V[y][:, None] - V) @ X[..., None]
    distance = (gap[..., 0] + c[y][:, None] - c) / (V[y][:, None] - V).norm(dim=2)
    nearest = distance.scatter(1, y[:, None], torch.inf).amin(1)
    torch.testing.assert_close(wide, nearest, rtol=1e-9, atol=0)
    torch.testing.assert_close(certified_radius(net, X, y), nearest, rtol=1e-6, atol=0)


@pytest.mark.parametrize("activation", ["relu", "leaky_relu"])
def test_bounds_enclose_the_distance_on_a_grid(activation):
    net, X = network([2, 8, 8, 3], seed=3, activation=activation), uniform(60, 2)
    y = labels_of(net, X)
    assert len(y.unique()) > 1
    side = torch.linspace(0, 1, 801, dtype=torch.float64)
    grid = torch.cartesian_prod(side, side)
    seen = labels_of(net, grid)
    distance = torch.stack(
        [(grid[seen != label] - x).norm(dim=1).min() for x, label in zip(X, y, strict=True)]
    )
    attack = smallest_perturbation(net, X, y, starts=10)
    # the grid is an upper bound, too, and off by at most one cell; a few descents end in the second-best place
    assert bool((attack.radius <= 1.01 * distance).all())
    assert float((attack.radius <= distance + 1e-12).double().mean()) > 0.95
    assert float((distance - attack.radius).max()) < 2**0.5 / 800
    below, globally = certified_radius(net, X, y), certified_radius(net, X, y, "lipschitz")
    assert bool((globally <= below).all()) and bool((below <= attack.radius * (1 + 1e-9)).all())
    assert float((below / attack.radius).median()) > 3 * float((globally / attack.radius).median())


def test_all_regions_of_a_small_network():
    net, X = network([3, 6, 3], seed=2), uniform(12, 3)
    y = labels_of(net, X)
    exact = [exact_by_regions(net, x, int(label)) for x, label in zip(X.numpy(), y, strict=True)]
    found = smallest_perturbation(net, X, y).radius.numpy() / exact
    # on an edge between two tangents the descent stops a little early
    assert found.min() > 1 - 1e-9 and np.median(found) < 1 + 1e-9 and found.max() < 1.001
    cw = smallest_perturbation(net, X, y, "carlini_wagner", **QUICK).radius / torch.tensor(exact)
    assert float(cw.min()) > 1 - 1e-7 and float(cw.median()) < 1.05
    assert bool((certified_radius(net, X, y) <= torch.tensor(exact) * (1 + 1e-9)).all())


@pytest.fixture(scope="module")
def trained():
    data = ml.datasets.digits(n=120)
    net = ml.models.MLP([64, 24, 10], bias="first")
    run = ml.train_network(
        net, data.X, data.y, epochs=60, batch_size=20, schedule=ml.runs.LossBased(up=2**0.1)
    )
    return run.model(), torch.tensor(data.X_test[:40]), torch.tensor(data.y_test[:40])


def test_attacks_agree_on_digits_and_both_is_the_better(trained):
    net, X, y = trained
    wrong = labels_of(net, X) != y
    assert 0 < int(wrong.sum()) < 15
    attacks = {"boundary": smallest_perturbation(net, X, y)}
    attacks |= {m: smallest_perturbation(net, X, y, m, **QUICK) for m in ("carlini_wagner", "both")}
    for attack in attacks.values():
        torch.testing.assert_close(attack.radius == 0, wrong)
        assert bool((attack.margin <= 0).all())
        assert float(attack.X.min()) >= 0 and float(attack.X.max()) <= 1
        torch.testing.assert_close((attack.X - X).norm(dim=1), attack.radius)
    r = {m: a.radius[~wrong] for m, a in attacks.items()}
    assert float((r["carlini_wagner"] / r["boundary"]).min()) > 0.97
    assert float((r["carlini_wagner"] / r["boundary"]).median()) < 1.05
    assert bool((r["both"] <= r["boundary"] * (1 + 1e-12)).all())
    assert bool((r["both"] <= r["carlini_wagner"] * (1 + 1e-12)).all())
    assert bool((certified_radius(net, X, y) <= attacks["both"].radius * (1 + 1e-9)).all())


def test_nothing_depends_on_the_scale_of_the_outputs(trained):
    net, X, y = trained
    louder = ml.models.model_with(net, ml.models.flat_parameters(net) * 2.0**20)
    for method in ("boundary", "carlini_wagner"):
        a, b = (smallest_perturbation(m, X, y, method, steps=30).radius for m in (net, louder))
        torch.testing.assert_close(a, b, rtol=1e-6, atol=0)
    for method in ("lipschitz", "local"):
        # scaled with its layers, the biases of the first one included, the network stays itself up to one factor
        a, b = (certified_radius(m, X, y, method) for m in (net, louder))
        torch.testing.assert_close(a, b, rtol=1e-9, atol=0)
    fixed = dict(method="carlini_wagner", steps=100, searches=3, constant=1e-3, normalize=False)
    with_scale = [smallest_perturbation(m, X, y, **fixed).radius for m in (net, louder)]
    assert not torch.allclose(*with_scale)


def test_deterministic_and_row_by_row(trained):
    net, X, y = trained
    a, b = (smallest_perturbation(net, X, y, "both", steps=20).radius for _ in range(2))
    assert torch.equal(a, b)
    rng = torch.random.get_rng_state()
    smallest_perturbation(net, X, y, steps=2)
    assert torch.equal(rng, torch.random.get_rng_state())
    assert all(p.grad is None for p in net.parameters())


def test_single_precision_images_and_arrays():
    net = ml.models.MLP([16, 6, 3], bias="first", dtype=torch.float32)
    X = uniform(9, 1, 4, 4, dtype=torch.float32)
    y = labels_of(net, X)
    attack = smallest_perturbation(net, X.numpy(), y.numpy())
    assert attack.radius.dtype == torch.float32 and attack.X.shape == X.shape
    assert bool((attack.margin <= 0).all())
    alone = [
        ml.losses.sample_margins(net(x[None]).detach(), label[None])
        for x, label in zip(attack.X, y, strict=True)
    ]
    assert float(torch.cat(alone).max()) <= 0
    exact = smallest_perturbation(net.double(), X, y).radius
    torch.testing.assert_close(attack.radius.double(), exact, rtol=1e-3, atol=1e-6)


class AnotherOrder(torch.nn.Module):
    """A network whose sums run in an order that depends on the batch, as those of processors' kernels do."""

    def __init__(self, sizes):
        super().__init__()
        self.layers = torch.nn.ModuleList(network(sizes, dtype=torch.float32).affine)

    def forward(self, x):
        for i, layer in enumerate(self.layers):
            order = torch.randperm(x.shape[1], generator=torch.Generator().manual_seed(len(x)))
            total = layer.bias.expand(len(x), -1)
            for j in order.tolist():
                total = total + x[:, j, None] * layer.weight[:, j]
            x = torch.relu(total) if i + 1 < len(self.layers) else total
        return x


@pytest.mark.parametrize("method", ["boundary", "both"])
def test_the_class_has_changed_in_every_batch(method):
    net, X = AnotherOrder([8, 6, 3]), uniform(12, 8, dtype=torch.float32)
    y = labels_of(net, X)
    # one sample on the boundary itself: whether it is misclassified is for rounding to say
    X[0] = smallest_perturbation(net.double(), X[:1], y[:1]).X.float()
    net = net.float()
    options = {} if method == "boundary" else dict(steps=20, searches=2, lr=0.1)
    attack = smallest_perturbation(net, X, y, method, **options)
    assert bool(torch.isfinite(attack.radius).all())
    for size in range(1, 13):
        parts = zip(attack.X.split(size), y.split(size), strict=True)
        margins = [ml.losses.sample_margins(net(part).detach(), labels) for part, labels in parts]
        assert float(torch.cat(margins).max()) <= 0
    exact = smallest_perturbation(net.double(), X.double(), y).radius[1:]
    torch.testing.assert_close(attack.radius[1:].double(), exact, rtol=1e-3, atol=1e-6)


def test_slopes_are_there_whatever_mode_the_caller_is_in(trained):
    net, X, y = trained
    expected = smallest_perturbation(net, X, y, steps=3).radius
    for mode in (torch.no_grad, torch.inference_mode):
        with mode():
            for inputs in (X, X.clone()):
                torch.testing.assert_close(smallest_perturbation(net, inputs, y, steps=3).radius, expected)
            assert torch.is_inference_mode_enabled() == (mode is torch.inference_mode)
            assert not torch.is_grad_enabled()


def test_a_class_that_is_nowhere_else():
    net = network([2, 2])
    net.affine[0].weight.data.zero_()
    net.affine[0].bias.data.copy_(torch.tensor([1.0, 0.0]))
    X, y = uniform(3, 2), torch.zeros(3, dtype=torch.int64)
    for method in ("boundary", "carlini_wagner"):
        attack = smallest_perturbation(net, X, y, method, steps=5)
        assert bool(torch.isinf(attack.radius).all()) and torch.equal(attack.X, X)
        assert "0 of 3" in repr(attack)


def test_margin_in_ball_holds_at_random_points():
    net, X = network([5, 12, 12, 3], seed=6), uniform(20, 5)
    y = labels_of(net, X)
    generator = torch.Generator().manual_seed(0)
    for radius in (0.01, 0.1, 0.5):
        bound = margin_in_ball(net, X, y, radius)
        u = torch.randn(200, 20, 5, dtype=torch.float64, generator=generator)
        u = radius * u / u.norm(dim=2, keepdim=True)
        q = torch.stack([ml.losses.sample_margins(net(X + step).detach(), y) for step in u])
        assert bool((q.amin(0) >= bound).all())
    assert bool((margin_in_ball(net, X, y, 0.01) > 0).any())


def test_robust_accuracy():
    share = robust_accuracy([0.0, 0.5, 1.0, torch.inf], [[0.0, 0.5], [0.9, 5.0]])
    torch.testing.assert_close(share, torch.tensor([[0.75, 0.5], [0.5, 0.25]], dtype=torch.float64))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda net, X, y: smallest_perturbation(net, 255 * X, y), r"must lie in the box from 0 to 1.*pixels / 255"),
        (lambda net, X, y: smallest_perturbation(net, X - 0.5, y), r"values run from -0\."),
        (lambda net, X, y: smallest_perturbation(net, X, y, box=(1, 0)), r"low < high, got 1 and 0"),
        (lambda net, X, y: smallest_perturbation(net, X / 0, y), "X contains NaN or infinite"),
        (lambda net, X, y: smallest_perturbation(net, X, y + 3), "class indices from 0 to 2"),
        (lambda net, X, y: smallest_perturbation(net, X, y[:2]), "do not match"),
        (lambda net, X, y: smallest_perturbation(net, X, y, "fgsm"), "method must be one of"),
        (lambda net, X, y: smallest_perturbation(net, X, y, steps=0), "steps must be a whole number >= 1, got 0"),
        (lambda net, X, y: smallest_perturbation(net, X, y, constant=0.0), "constant must be > 0"),
        (lambda net, X, y: certified_radius(net, X, y, "guess"), "method must be one of"),
        (lambda net, X, y: certified_radius(torch.nn.Linear(4, 3), X, y), "an MLP with one of .*got Linear"),
        (lambda net, X, y: certified_radius(ml.models.MLP([4, 5, 3], activation="relu2"), X, y), "got MLP with relu2"),
        (lambda net, X, y: certified_radius(net, X, y + 3), "class indices from 0 to 2"),
        (lambda net, X, y: margin_in_ball(net, X, y, 0.0), "radius must be > 0 and finite, got 0.0"),
        (lambda net, X, y: robust_accuracy([1.0, 2.0], [-0.1]), r"at must hold distances >= 0, got \[-0.1"),
        (lambda net, X, y: robust_accuracy([1.0, torch.nan], [0.1]), "radius must hold distances >= 0"),
    ],
)  # fmt: skip
def test_clear_errors(call, message):
    X = uniform(5, 4)
    net = network([4, 5, 3])
    with pytest.raises(ValueError, match=message):
        call(net, X, labels_of(net, X))
