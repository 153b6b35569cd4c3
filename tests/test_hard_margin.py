"""Hard margins: certificates re-evaluated in long double, brute force on small problems, everything degenerate."""

import itertools
import math
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from margin_lab.hard_margins import NotSeparableError, hard_margin, linear_program, nnls, proximal
from margin_lab.hard_margins.solution import Bounds, length, unit_rows

NORMS = ("l1", "l2", "linf")
DUAL = {"l1": "linf", "l2": "l2", "linf": "l1"}
METHODS = (("l1", "highs"), ("l2", "nnls"), ("l2", "proximal"), ("linf", "highs"))
LONG_DOUBLE = np.finfo(np.longdouble).eps < 1e-18  # not so on Windows and on ARM


def norm_of(v, norm):
    v = np.abs(v)
    return {"l1": v.sum(), "l2": np.sqrt((v * v).sum()), "linf": v.max()}[norm]


def bounds_of(Z, sol):
    """Both bounds from sol.w and sol.dual, in long double."""
    Z, w, p = (np.asarray(a, dtype=np.longdouble) for a in (Z, sol.w, sol.dual))
    return (Z @ w).min() / norm_of(w, sol.norm), norm_of(p @ Z, DUAL[sol.norm]) / p.sum()


def solve(Z, **options):
    """Solve for signed rows Z under random labels."""
    y = np.where(np.random.default_rng(len(Z)).random(len(Z)) < 0.5, -1.0, 1.0)
    return hard_margin(Z * y[:, None], y, **options)


def check(Z, sol, tol=1e-10):
    """Everything that a certified solution promises, in arithmetic that is finer than the solver's."""
    lower, upper = bounds_of(Z, sol)
    assert sol.status == "certified"
    assert 0 < sol.gap <= tol
    assert -1e-16 * sol.margin < upper - lower  # weak duality holds whatever the rounding
    assert float((upper - lower) / lower) <= sol.gap + 1e-14
    assert sol.margin == pytest.approx(float(lower), rel=tol)
    assert sol.upper_bound == pytest.approx(float(upper), rel=tol)
    assert norm_of(sol.w, sol.norm) == pytest.approx(1, abs=1e-14)
    assert sol.dual.min() >= 0
    assert sol.dual.sum() == pytest.approx(1, abs=1e-13)
    # Complementary slackness: the mean excess of the margins under dual is what is left of the gap.
    excess = np.asarray(Z) @ sol.w - sol.margin
    assert sol.dual @ excess <= 2 * tol * sol.margin
    assert set(np.flatnonzero(sol.dual > 1e-10 * sol.dual.max())) == set(sol.support)
    if sol.norm == "l2":  # w is along Z'dual, to the square root of the gap
        assert norm_of(sol.dual @ Z - sol.margin * sol.w, "l2") <= math.sqrt(2.1 * sol.gap) * sol.margin


def gaussian(n, d, seed=0):
    rng = np.random.default_rng(seed)
    X, w = rng.standard_normal((n, d)), rng.standard_normal(d)
    return X * np.where(X @ w >= 0, 1.0, -1.0)[:, None]


def digits(a, b):
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True)
    keep = (y == a) | (y == b)
    return X[keep] / 16 * np.where(y[keep] == a, 1.0, -1.0)[:, None]


def dataset_1():
    gamma = math.sin(math.pi / 100)
    h = math.sqrt(1 - gamma * gamma)
    return np.array([[gamma, h], [gamma, -h], [gamma, -h]])


def near_duplicates():
    rng = np.random.default_rng(3)
    return np.repeat(gaussian(60, 15, 5), 5, 0) + 1e-6 * rng.standard_normal((300, 15))


def rank_deficient():
    return gaussian(100, 5) @ np.random.default_rng(4).standard_normal((5, 30))


def uneven_rows():
    return gaussian(60, 8) * 10 ** np.random.default_rng(5).uniform(-2, 2, (60, 1))


DATA = {
    "dataset 1": dataset_1,
    "gaussian 50x10": lambda: gaussian(50, 10),
    "gaussian 200x50": lambda: gaussian(200, 50),
    "gaussian 400x3": lambda: gaussian(400, 3),
    "gaussian 20x300": lambda: gaussian(20, 300),
    "digits 0/1": lambda: digits(0, 1),
    "digits 3/6": lambda: digits(3, 6),
    "digits 8/9": lambda: digits(8, 9),
    "one point": lambda: np.array([[3.0, -4.0, 0.0]]),
    "one feature": lambda: np.array([[2.0], [0.5], [3.0]]),
    "equal rows": lambda: np.tile([[1.0, 2.0]], (7, 1)),
    "duplicates": lambda: np.repeat(gaussian(40, 8), 3, 0),
    "near-duplicates": near_duplicates,
    "rank-deficient": rank_deficient,
    "lattice": lambda: np.array([[a, b, 2.0] for a in (-1, 0, 1) for b in (-1, 0, 1)]),
    "constant column": lambda: np.hstack([gaussian(50, 4), np.zeros((50, 1))]),
    "uneven rows": uneven_rows,
    "uneven columns": lambda: gaussian(200, 20) * 10 ** np.linspace(-2, 2, 20),
}


@pytest.mark.parametrize(("norm", "method"), METHODS)
@pytest.mark.parametrize("name", DATA)
def test_certified(name, norm, method):
    Z = DATA[name]()
    check(Z, solve(Z, norm=norm, method=method))


@pytest.mark.parametrize(
    ("n", "d", "norm"), [(n, d, k) for n, d in ((2000, 100), (200, 5000)) for k in NORMS]
)
def test_certified_large(n, d, norm):
    Z = gaussian(n, d)
    check(Z, solve(Z, norm=norm))


def test_certified_20000x100():
    Z = gaussian(20_000, 100)
    sol = solve(Z)
    check(Z, sol)
    assert sol.method == "proximal"
    assert sol.products > 0


def test_known_answers():
    sol = hard_margin(dataset_1(), np.ones(3))
    assert sol.margin == pytest.approx(math.sin(math.pi / 100), rel=1e-14)
    np.testing.assert_allclose(sol.w, [1, 0], atol=1e-14)
    z = np.array([[3.0, -4.0]])  # one point: gamma* is its dual norm
    assert [hard_margin(z, [1], norm=k).margin for k in NORMS] == pytest.approx([4, 5, 7], rel=1e-14)


def brute_force_l2(Z):
    """gamma* by trying every support set: w = min-norm solution of Z_S w = 1 with multipliers >= 0, feasible."""
    best = 0.0
    for k in range(1, min(Z.shape[1], len(Z)) + 1):
        for S in map(list, itertools.combinations(range(len(Z)), k)):
            w = np.linalg.pinv(Z[S]) @ np.ones(k)
            if (Z @ w).min() > 0:
                best = max(best, (Z @ w).min() / np.linalg.norm(w))
    return best


def brute_force_plane(Z, norm):
    """gamma* in two dimensions: on an edge of the ball min(Zw) peaks at a corner or where two rows agree."""
    corners = np.array(
        [[1, 0], [0, 1], [-1, 0], [0, -1]] if norm == "l1" else [[1, 1], [-1, 1], [-1, -1], [1, -1]]
    )
    candidates = list(corners.astype(float))
    for a, b in itertools.combinations(Z, 2):
        v = np.array([-(a - b)[1], (a - b)[0]])
        if v.any():
            candidates += [v / norm_of(v, norm), -v / norm_of(v, norm)]
    return max((Z @ w).min() for w in candidates)


@pytest.mark.parametrize("seed", range(12))
def test_against_brute_force(seed):
    Z = gaussian(7, 2 + seed % 3, seed)
    for method in ("nnls", "proximal"):
        assert solve(Z, method=method).margin == pytest.approx(brute_force_l2(Z), rel=2e-10)
    Z = gaussian(9, 2, seed)
    for norm in ("l1", "linf"):
        assert solve(Z, norm=norm).margin == pytest.approx(brute_force_plane(Z, norm), rel=2e-10)


def random_labels():
    rng = np.random.default_rng(0)
    return rng.standard_normal((200, 10))


NOT_SEPARABLE = {
    "opposed points": lambda: np.array([[1.0, 2.0], [-1.0, -2.0]]),
    "contradictory duplicates": lambda: np.vstack([gaussian(50, 10), -gaussian(50, 10)[:1]]),
    "zero row": lambda: np.vstack([gaussian(50, 10), np.zeros((1, 10))]),
    "all zero": lambda: np.zeros((3, 2)),
    "xor": lambda: np.array([[1.0, 1], [-1, -1], [-1, 1], [1, -1]]) * [[1.0], [1], [-1], [-1]],
    "no bias on one side": lambda: np.array([[2.0, 0.0], [-1.0, 0.0]]),
    "random labels": random_labels,
    "random labels, uneven columns": lambda: random_labels() * 10 ** np.linspace(-2, 2, 10),
    "triangle around 0": lambda: np.array([[math.cos(t), math.sin(t)] for t in (0, 2.1, 4.2)]),
    "gamma below rounding": lambda: np.array([[1.0, 1e-16], [-1.0, 1e-16]]),
    "1e-200": lambda: 1e-200 * random_labels(),
}


@pytest.mark.parametrize(("norm", "method"), METHODS)
@pytest.mark.parametrize("name", NOT_SEPARABLE)
def test_not_separable(name, norm, method):
    Z = NOT_SEPARABLE[name]()
    with pytest.raises(NotSeparableError, match=r"not linearly separable.*\|\|Z'p\|\|.*column of ones") as e:
        solve(Z, norm=norm, method=method)
    p = e.value.certificate
    assert p.shape == (len(Z),)
    assert p.min() >= 0
    assert p.sum() == pytest.approx(1, abs=1e-12)
    scale = np.abs(Z).max() or 1.0
    residual = norm_of(p @ (Z / scale).astype(np.longdouble), DUAL[norm])
    size = p @ np.array([norm_of(z / scale, DUAL[norm]) for z in Z])
    assert residual <= 2e-13 * size
    assert e.value.residual / scale == pytest.approx(float(residual), abs=1e-14 * size)
    assert isinstance(e.value, ValueError)
    again = pickle.loads(pickle.dumps(e.value))
    assert str(again) == str(e.value)
    assert again.residual == e.value.residual


def test_not_separable_large():
    Z = np.random.default_rng(1).standard_normal((5000, 50))
    for norm in ("l2", "linf"):
        with pytest.raises(NotSeparableError):
            solve(Z, norm=norm)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("gamma", [1e-2, 1e-4, 1e-6, 1e-8, 1e-10, 1e-12, 1e-14, 1e-16])
def test_tiny_margins_are_not_mislabelled(gamma, norm):
    """A rotated Dataset 1: the rounding of the data alone moves gamma* by 1e-16."""
    t = 0.3
    h = math.sqrt(1 - gamma * gamma)
    Z = np.array([[gamma, h], [gamma, -h]]) @ np.array(
        [[math.cos(t), math.sin(t)], [-math.sin(t), math.cos(t)]]
    )
    try:
        sol = solve(Z, norm=norm)
    except NotSeparableError:
        assert gamma < 1e-12
        return
    lower, upper = bounds_of(Z, sol)
    if LONG_DOUBLE:
        assert upper - lower <= 1.01 * sol.gap * sol.margin
    assert sol.gap >= 1e-16 / gamma
    assert sol.status == ("certified" if sol.gap <= 1e-10 else "rounding floor")
    assert sol.status == "certified" or gamma < 1e-5


@pytest.mark.parametrize(("norm", "method"), METHODS)
@pytest.mark.parametrize("scale", [1e-200, 1e-20, 1e20, 1e150])
def test_extreme_scales(scale, norm, method):
    Z = gaussian(50, 10)
    one, sol = solve(Z, norm=norm, method=method), solve(scale * Z, norm=norm, method=method)
    check(scale * Z, sol)
    assert sol.margin / scale == pytest.approx(one.margin, rel=1e-10)


@pytest.mark.parametrize("norm", NORMS)
def test_rows_of_wildly_different_size(norm):
    """Rows that are 1e200 times longer than the others and not in their way change nothing."""
    Z = gaussian(30, 5)
    one = solve(Z, norm=norm)
    extra = 1e150 * (one.w + 1e-3 * np.arange(5))[None]
    both = solve(np.vstack([1e-50 * Z, extra]), norm=norm)
    assert both.status == "certified"
    assert both.margin == pytest.approx(1e-50 * one.margin, rel=1e-10)


CONTAINERS = {
    "list": (lambda a: a.tolist(), np.ndarray, np.float64),
    "float64": (lambda a: a, np.ndarray, np.float64),
    "float32": (lambda a: a.astype(np.float32), np.ndarray, np.float32),
    "int": (lambda a: a.astype(int), np.ndarray, np.float64),
    "tensor": (torch.tensor, torch.Tensor, torch.float64),
    "tensor32": (lambda a: torch.tensor(a, dtype=torch.float32), torch.Tensor, torch.float32),
    "tensor with grad": (lambda a: torch.tensor(a, requires_grad=True), torch.Tensor, torch.float64),
}


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("kind", CONTAINERS)
def test_what_goes_in_comes_out(kind, norm):
    convert, container, dtype = CONTAINERS[kind]
    X, y = np.array([[3.0, 1], [-2, -2], [1, 4]]), np.array([1, -1, 1])
    expected = hard_margin(X, y, norm=norm)
    sol = hard_margin(convert(X), y, norm=norm)
    assert isinstance(sol.w, container)
    assert isinstance(sol.dual, container)
    assert isinstance(sol.support, container)
    assert sol.w.dtype == sol.dual.dtype == dtype
    assert (sol.w.shape, sol.dual.shape) == ((2,), (3,))
    assert type(sol.margin) is type(sol.upper_bound) is type(sol.gap) is float
    assert sol.status == "certified"  # solved in float64 whatever comes in
    assert sol.margin == pytest.approx(expected.margin, rel=1e-12)
    np.testing.assert_allclose(np.asarray(sol.w), expected.w, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"norm": "l3"}, r"norm must be one of 'l1', 'l2', 'linf', got 'l3'"),
        ({"method": "svc"}, r"method for norm='l2' must be one of 'auto', 'nnls', 'proximal', got 'svc'"),
        (
            {"norm": "l1", "method": "nnls"},
            r"method for norm='l1' must be one of 'auto', 'highs', got 'nnls'",
        ),
        ({"tol": 0.0}, r"tol must be > 0"),
        ({"y": [0, 1]}, r"labels y must be -1 or \+1"),
        ({"y": [1]}, r"do not match"),
        ({"X": [[1.0, math.nan], [0.0, 1.0]]}, r"NaN or infinite"),
        ({"X": [1.0, 2.0]}, r"shape \[n, d\]"),
    ],
)
def test_wrong_arguments(options, message):
    arguments = {"X": [[1.0, 2.0], [2.0, 1.0]], "y": [1, 1]} | options
    with pytest.raises(ValueError, match=message):
        hard_margin(**arguments)


def test_contradiction_in_large_data():
    Z = gaussian(5000, 50)
    with pytest.raises(NotSeparableError):
        solve(np.vstack([Z, -Z[:1]]))


problems = st.builds(gaussian, n=st.integers(1, 30), d=st.integers(2, 8), seed=st.integers(0, 10**6))
quick = settings(max_examples=25, deadline=None, derandomize=True)


@quick
@given(Z=problems, norm=st.sampled_from(NORMS), seed=st.integers(0, 1000))
def test_bounds_bracket_every_direction_and_every_weighting(Z, norm, seed):
    rng = np.random.default_rng(seed)
    sol = solve(Z, norm=norm)
    for _ in range(20):
        w = sol.w + rng.standard_normal(Z.shape[1]) * 10 ** rng.uniform(-8, 1)
        p = np.abs(sol.dual + rng.standard_normal(len(Z)) * 10 ** rng.uniform(-8, 0))
        assert (Z @ w).min() / norm_of(w, norm) <= sol.upper_bound * (1 + 1e-13)
        assert norm_of(p @ Z, DUAL[norm]) / p.sum() >= sol.margin * (1 - 1e-13)


@quick
@given(Z=problems, norm=st.sampled_from(NORMS), exponent=st.integers(-60, 60))
def test_scaling_the_data_scales_the_margin(Z, norm, exponent):
    """A power of two leaves every rounding as it is: the answer is the same to the last bit."""
    one, two = solve(Z, norm=norm), solve(2.0**exponent * Z, norm=norm)
    np.testing.assert_array_equal(one.w, two.w)
    assert one.margin * 2.0**exponent == two.margin
    assert one.gap == two.gap


@quick
@given(Z=problems, norm=st.sampled_from(NORMS), seed=st.integers(0, 1000))
def test_symmetries_leave_the_margin(Z, norm, seed):
    """Permuted samples, permuted and mirrored features, repeated samples."""
    rng = np.random.default_rng(seed)
    base = solve(Z, norm=norm).margin
    n, d = Z.shape
    for other in (
        Z[rng.permutation(n)],
        Z[:, rng.permutation(d)] * rng.choice([-1.0, 1.0], d),
        np.vstack([Z, Z[rng.integers(n, size=3)]]),
    ):
        assert solve(other, norm=norm).margin == pytest.approx(base, rel=3e-10)


@quick
@given(Z=problems, seed=st.integers(0, 1000))
def test_norms_are_ordered(Z, seed):
    """The unit balls are nested, l1 in l2 in linf, and so are the margins; each at most sqrt(d) times the one before."""
    l1, l2, linf = (solve(Z, norm=k).margin for k in NORMS)
    root = math.sqrt(Z.shape[1])
    assert l1 <= l2 * (1 + 1e-9) <= linf * (1 + 2e-9)
    assert linf <= l2 * root * (1 + 1e-9) <= l1 * root**2 * (1 + 2e-9)


def test_auto_falls_back_and_keeps_the_better_bounds(monkeypatch):
    def out_of_iterations(*_):
        raise RuntimeError("Maximum number of iterations reached.")

    Z = gaussian(50, 10)
    expected = solve(Z, method="nnls").margin
    monkeypatch.setattr("scipy.optimize.nnls", out_of_iterations)
    sol = solve(Z)
    assert (sol.method, sol.status) == ("nnls+proximal", "certified")
    assert sol.margin == pytest.approx(expected, rel=1e-10)
    alone = solve(Z, method="nnls")  # nothing but the mean of the data, and it says so
    assert alone.status == "limit"
    assert alone.margin <= expected <= alone.upper_bound


def test_a_failing_linear_program_leaves_true_bounds(monkeypatch):
    Z = gaussian(50, 10)
    expected = solve(Z, norm="l1").margin
    monkeypatch.setattr(linear_program, "highs", lambda *_, **__: None)
    sol = solve(Z, norm="l1")
    assert sol.status == "limit"
    assert sol.margin <= expected * (1 + 1e-14) <= sol.upper_bound
    assert sol.gap > 1e-3


@pytest.mark.parametrize("norm", ["l1", "linf"])
def test_magnified_programs_certify_what_one_program_cannot(norm):
    """Near-duplicates with uneven columns: HiGHS' 1e-10 leaves a gap of 1e-7, a second program takes it off."""
    rng = np.random.default_rng(26)
    Z = np.repeat(gaussian(100, 20, 26), 3, 0) + 1e-6 * rng.standard_normal((300, 20))
    Z *= 10 ** rng.uniform(-2, 2, 20)
    U, c = (t.numpy() for t in unit_rows(torch.tensor(Z), math.inf))
    gaps = []
    for w, lam in linear_program.margin_program(U, c, norm, rounds=2):
        bounds = Bounds(torch.tensor(Z), norm)
        bounds.offer(torch.tensor(w), torch.tensor(lam * c))
        gaps.append(bounds.gap)
    assert len(gaps) == 4
    assert gaps[1] > 1e-9
    assert gaps[3] <= 1e-10
    check(Z, solve(Z, norm=norm))


def test_gap_is_never_zero():
    for norm in NORMS:
        sol = hard_margin(np.array([[1.0, 0.0], [1.0, 0.0]]), [1, 1], norm=norm, tol=1e-14)
        assert 0 < sol.gap < 1e-14


def test_tolerance_out_of_reach_is_the_rounding_floor():
    for norm in NORMS:
        sol = solve(gaussian(50, 10), norm=norm, tol=1e-18)
        assert sol.status == "rounding floor"
        assert 0 < sol.gap < 1e-12


def test_repr_is_one_line():
    text = repr(hard_margin(dataset_1(), np.ones(3)))
    assert text.startswith("HardMargin(norm='l2', margin=0.0314107590781, gap=")
    assert "\n" not in text


# The parts of the proximal-point method.


def run_proximal(Z, tol=1e-10, **options):
    U, c = unit_rows(torch.as_tensor(Z), 2.0)
    out = proximal.proximal_point(U, c, tol, **options)
    return out, U, c


@pytest.mark.parametrize(("n", "d"), [(200, 30), (30, 200), (60, 60)])
def test_proximal_by_conjugate_gradients(n, d):
    direct, _, _ = run_proximal(gaussian(n, d))
    out, _, _ = run_proximal(gaussian(n, d), direct=5)
    assert out.status == direct.status == "certified"
    assert out.lower == pytest.approx(direct.lower, rel=2e-10)


def test_conjugate_gradients_solve_columns_of_different_scale():
    # without the diagonal: gap 2e-7 after 46,000 products
    Z = gaussian(800, 80) * 10.0 ** np.random.default_rng(0).uniform(-2, 2, 80)
    out, _, _ = run_proximal(Z, direct=0)
    assert out.status == "certified"
    assert out.products < 2000


def test_proximal_stops_at_its_limit():
    out, _, _ = run_proximal(gaussian(200, 30), max_systems=2)
    assert (out.status, out.systems) == ("limit", 2)
    assert out.lower <= out.upper


@pytest.mark.parametrize(("k", "d"), [(5, 20), (20, 5)])
@pytest.mark.parametrize("gram_known", [False, True])
def test_newton_direction_solves_its_system(k, d, gram_known):
    rng = np.random.default_rng(0)
    UJ = unit_rows(torch.tensor(rng.standard_normal((k, d))), 2.0)[0]
    r, sigma = torch.tensor(rng.standard_normal(d)), 50.0
    for direct in (100, 2):
        K = UJ @ UJ.T if gram_known else None
        x, _ = proximal.newton_direction(UJ, K, r, sigma, 1e-12, direct)
        np.testing.assert_allclose(x + sigma * UJ.T @ (UJ @ x), -r, atol=1e-9)


def test_an_indefinite_system_falls_back_to_lu():
    A = torch.tensor([[1.0, 2.0], [2.0, 1.0]], dtype=torch.float64)
    b = torch.tensor([3.0, 0.0], dtype=torch.float64)
    np.testing.assert_allclose(A @ proximal.solve(A, b), b, atol=1e-14)


@pytest.mark.parametrize("seed", range(5))
def test_line_search_finds_the_root(seed):
    rng = np.random.default_rng(seed)
    u, v = (torch.tensor(rng.standard_normal(40)) for _ in range(2))
    sigma, b = 3.0, torch.tensor(0.7, dtype=torch.float64)
    a = v @ u.clamp_min(0) - 5  # so that the slope at 0 is -5
    t = proximal.line_search(a, b, u, v, sigma)
    assert t > 0
    assert abs(float(a + b * t - v @ (u - sigma * t * v).clamp_min(0))) < 1e-12


def test_nnls_polish_takes_off_the_last_digits(monkeypatch):
    """From the right support vectors with wrong weights the second pair is exact."""
    Z = gaussian(30, 4)
    U, c = (t.numpy() for t in unit_rows(torch.tensor(Z), 2.0))
    rough = solve(Z).dual * np.random.default_rng(0).uniform(0.9, 1.1, 30)
    monkeypatch.setattr("scipy.optimize.nnls", lambda *_: (rough, 0.0))
    gaps = []
    for w, lam in nnls.least_distance(U, c):
        bounds = Bounds(torch.tensor(Z), "l2")
        bounds.offer(torch.tensor(w), torch.tensor(lam * c))
        gaps.append(bounds.gap)
    assert gaps[0] > 1e-3
    assert gaps[1] < 1e-13


def test_length_neither_over_nor_underflows():
    t = torch.tensor([[3.0, 4.0], [0.0, 0.0]], dtype=torch.float64)
    for scale in (1e-300, 1.0, 1e300):
        np.testing.assert_allclose(length(scale * t, 2.0) / scale, [5, 0], rtol=1e-15)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize(("norm", "method"), METHODS)
def test_cuda_agrees_with_the_cpu(norm, method, dtype):
    for Z in (gaussian(2000, 50), gaussian(60, 300), near_duplicates()):
        X = torch.tensor(Z, dtype=dtype)
        cpu = hard_margin(X, torch.ones(len(Z)), norm=norm, method=method)
        gpu = hard_margin(X.cuda(), torch.ones(len(Z)).cuda(), norm=norm, method=method)
        assert gpu.status == cpu.status == "certified"
        assert gpu.w.device.type == gpu.dual.device.type == gpu.support.device.type == "cuda"
        assert gpu.w.dtype == dtype
        assert gpu.margin == pytest.approx(cpu.margin, rel=2e-10)
        torch.testing.assert_close(gpu.w.cpu(), cpu.w, atol=2e-5, rtol=0)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_refuses_what_is_not_separable():
    Z = torch.tensor(random_labels()).cuda()
    for norm, method in METHODS:
        with pytest.raises(NotSeparableError) as e:
            hard_margin(Z, torch.ones(len(Z)).cuda(), norm=norm, method=method)
        assert e.value.certificate.device.type == "cuda"
