"""Norms, duals, steepest directions and projections as properties of random vectors."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from margin_lab.norms import Norm, get_norm, weighted

VECTOR: list[str | float] = ["l1", "l2", "linf", 1.001, 1.5, 3, 50.0, 1e6]
PROJECTED = ["l1", "l2", "linf"]
RTOL = 1e-12

# Entries over sixteen orders of magnitude, with zeros and ties; the scale on top reaches the ends of float64.
entries = st.one_of(
    st.just(0.0),
    st.sampled_from([1.0, -1.0, 2.0]),
    st.floats(-10, 10).filter(lambda v: v == 0 or abs(v) > 1e-15),
)
scales = st.sampled_from([1e-200, 1e-30, 1.0, 1e30, 1e200])
seeds = st.integers(0, 2**32 - 1)


def vectors(d: int | None = None) -> st.SearchStrategy[np.ndarray]:
    sizes = st.integers(1, 8) if d is None else st.just(d)
    return sizes.flatmap(lambda n: arrays(float, n, elements=entries))


@st.composite
def pairs(draw: st.DrawFn) -> tuple[torch.Tensor, torch.Tensor]:
    d = draw(st.integers(1, 8))
    return torch.tensor(draw(vectors(d))), torch.tensor(draw(vectors(d)))


@st.composite
def matrices(draw: st.DrawFn) -> torch.Tensor:
    """Matrices of any rank, 0 included, with singular values over four orders."""
    rng = np.random.default_rng(draw(seeds))
    a, b, rank = draw(st.integers(1, 5)), draw(st.integers(1, 5)), draw(st.integers(0, 5))
    left, right = rng.standard_normal((a, rank)), rng.standard_normal((rank, b))
    return torch.tensor(left * 10.0 ** -rng.integers(0, 5, rank) @ right)


def check_axioms(norm: Norm, u: torch.Tensor, v: torch.Tensor, c: float) -> None:
    for size in (norm, norm.dual):
        assert size(u) >= 0
        assert (size(u) == 0) == bool((u == 0).all())
        torch.testing.assert_close(size(c * u), abs(c) * size(u), rtol=RTOL, atol=0)
        assert size(u + v) <= (size(u) + size(v)) * (1 + RTOL)


def check_steepest(norm: Norm, u: torch.Tensor, g: torch.Tensor) -> None:
    """Duality, attained by the direction; ``<g, Delta> = -||g||_*^2`` and ``||Delta|| = ||g||_*``, relative."""
    assert float((u * g).sum().abs()) <= float(norm(u) * norm.dual(g)) * (1 + RTOL)
    direction, dual = norm.direction(g), norm.dual(g)
    if (g == 0).all():
        assert (direction == 0).all()
        assert (norm.steepest(g) == 0).all()
        return
    torch.testing.assert_close(norm(direction), torch.ones_like(dual), rtol=1e-10, atol=0)
    # divided by the dual norm first: its square would leave the range of float64
    torch.testing.assert_close((g / dual * direction).sum(), -torch.ones_like(dual), rtol=1e-10, atol=0)
    step = norm.steepest(g)
    torch.testing.assert_close(norm(step), dual, rtol=1e-10, atol=0)
    torch.testing.assert_close((g / dual * (step / dual)).sum(), -torch.ones_like(dual), rtol=1e-10, atol=0)


@pytest.mark.parametrize("p", VECTOR)
@given(pair=pairs(), c=st.floats(-100, 100).filter(lambda c: abs(c) > 1e-3), scale=scales)
def test_vector_norm_axioms(p: str | float, pair: Any, c: float, scale: float) -> None:
    u, v = pair
    check_axioms(get_norm(p), scale * u, scale * v, c)


@pytest.mark.parametrize("p", VECTOR)
@given(pair=pairs(), scale=scales)
def test_vector_duality_and_steepest_direction(p: str | float, pair: Any, scale: float) -> None:
    u, g = pair
    # <u, g> of two vectors at 1e200 overflows: only g, then only u is scaled
    check_steepest(get_norm(p), u, scale * g)
    check_steepest(get_norm(p), scale * u, g)


@pytest.mark.parametrize("p", ["l1", "l2", "linf", 1.5])
@given(pair=pairs(), seed=seeds, c=st.floats(0.1, 100), scale=scales)
def test_weighted_norms(p: str | float, pair: Any, seed: int, c: float, scale: float) -> None:
    u, g = pair
    weights = np.random.default_rng(seed).uniform(0.1, 10, len(g))
    norm = weighted(p, weights)
    check_steepest(norm, u, scale * g)
    check_axioms(norm, scale * u, scale * g, c)


def test_weighted_norms_by_hand() -> None:
    norm = weighted("l1", [1.0, 3.0])
    assert norm.name == "weighted l1"
    assert float(norm(torch.tensor([1.0, -1.0]))) == 4
    # the second entry of g is the larger one, but moving it costs three times as much
    assert norm.direction(torch.tensor([2.0, 5.0])).tolist() == [-1.0, 0.0]
    assert norm.direction(torch.tensor([[1.0, 6.0]])).tolist() == [[0.0, pytest.approx(-1 / 3)]]
    assert norm.direction(torch.ones(2, 4, 2, dtype=torch.float32)).dtype == torch.float32


@given(a=matrices(), seed=seeds, c=st.floats(0.01, 100), scale=scales)
def test_spectral_norm(a: torch.Tensor, seed: int, c: float, scale: float) -> None:
    norm = get_norm("spectral")
    u = torch.tensor(np.random.default_rng(seed).standard_normal(a.shape))
    check_steepest(norm, u, scale * a)
    for size in (norm, norm.dual):
        torch.testing.assert_close(size(-c * scale * a), c * scale * size(a), rtol=1e-11, atol=0)
        assert size(a + u) <= (size(a) + size(u)) * (1 + RTOL)
    values = np.linalg.eigvalsh((a @ a.T).numpy()).clip(0)
    assert float(norm(a)) == pytest.approx(math.sqrt(values.max()), rel=1e-9, abs=1e-12)


def test_spectral_direction_is_the_polar_factor() -> None:
    a = torch.tensor(np.random.default_rng(0).standard_normal((4, 3)))
    direction = get_norm("spectral").direction(a)
    torch.testing.assert_close(direction.T @ direction, torch.eye(3, dtype=a.dtype), rtol=0, atol=1e-14)
    symmetric = -direction.T @ a
    torch.testing.assert_close(symmetric, symmetric.T, rtol=0, atol=1e-14)
    assert np.linalg.eigvalsh(symmetric.numpy()).min() > 0


@pytest.mark.parametrize("p", [1.5, 3, 7.0])
def test_general_p_against_its_formula(p: float) -> None:
    v = torch.tensor([3.0, -0.5, 0.0, 1.0], dtype=torch.float64)
    q = p / (p - 1)
    assert float(get_norm(p)(v)) == pytest.approx(float((v.abs() ** p).sum() ** (1 / p)), rel=1e-14)
    dual = float((v.abs() ** q).sum() ** (1 / q))
    assert float(get_norm(p).dual(v)) == pytest.approx(dual, rel=1e-14)
    expected = -(dual ** (1 - q)) * torch.sign(v) * v.abs() ** (q - 1)
    torch.testing.assert_close(get_norm(p).direction(v), expected, rtol=1e-13, atol=0)


def test_p_near_its_ends_meets_the_named_norms() -> None:
    v = torch.tensor([3.0, -0.5, 2.0, 1.0], dtype=torch.float64)
    for p, name in ((1 + 1e-9, "l1"), (2 + 1e-12, "l2"), (1e12, "linf")):
        near, named = get_norm(p), get_norm(name)
        torch.testing.assert_close(near(v), named(v), rtol=1e-7, atol=0)
        torch.testing.assert_close(near.dual(v), named.dual(v), rtol=1e-7, atol=0)
        torch.testing.assert_close(near.direction(v), named.direction(v), rtol=1e-7, atol=1e-7)
    # a tie of the two largest entries: p > 1 shares it, and the length stays 1 however close p is to 1
    tie = torch.tensor([2.0, -2.0, 1.0], dtype=torch.float64)
    for p in (1.01, 1 + 1e-6, 1 + 1e-12):
        direction = get_norm(p).direction(tie)
        torch.testing.assert_close(
            direction, torch.tensor([-0.5, 0.5, 0.0], dtype=torch.float64), rtol=0.02, atol=1e-9
        )
        assert float(get_norm(p)(direction)) == pytest.approx(1, rel=1e-12)


def test_coordinate_ties_take_the_first_index() -> None:
    g = torch.tensor([1.0, -3.0, 3.0])
    assert get_norm("l1").direction(g).tolist() == [0.0, 1.0, 0.0]
    assert get_norm("linf").direction(torch.tensor([2.0, 0.0, -1.0])).tolist() == [-1.0, 0.0, 1.0]


@pytest.mark.parametrize("name", PROJECTED)
@given(pair=pairs(), radius=st.floats(1e-3, 30), scale=scales)
def test_projection(name: str, pair: Any, radius: float, scale: float) -> None:
    norm = get_norm(name)
    v, other = (scale * t for t in pair)
    radius = scale * radius
    p = norm.project(v, radius)
    size = float(v.abs().max()) + radius
    assert float(norm(p)) <= radius + 1e-14 * size  # inside the ball
    torch.testing.assert_close(norm.project(p, radius), p, rtol=0, atol=1e-14 * size)  # idempotent
    if float(norm(v)) <= radius:
        torch.testing.assert_close(p, v, rtol=1e-15, atol=0)
    else:
        assert float(norm(p)) == pytest.approx(radius, abs=1e-13 * size)
    # the variational inequality <v - p, u - p> <= 0 for every u in the ball makes p the nearest point
    assume(float(norm(other)) > 0)
    inside = other / norm(other) * radius
    for u in (inside, -inside, inside / 2, -radius * norm.direction(v - p)):
        assert float((v - p) / size @ ((u - p) / size)) <= 1e-13


@pytest.mark.parametrize("name", PROJECTED)
def test_batches_have_their_own_radii(name: str) -> None:
    norm = get_norm(name)
    rng = np.random.default_rng(0)
    v = torch.tensor(rng.standard_normal((3, 2, 5)))
    radii = torch.tensor(rng.uniform(0.1, 3, (3, 2)))
    p = norm.project(v, radii)
    for i in range(3):
        for j in range(2):
            torch.testing.assert_close(
                p[i, j], norm.project(v[i, j], float(radii[i, j])), rtol=1e-14, atol=1e-16
            )
    torch.testing.assert_close(norm.project(v, 0.5)[1, 1], norm.project(v[1, 1], 0.5), rtol=1e-14, atol=1e-16)


@pytest.mark.parametrize("p", [*VECTOR, "spectral"])
def test_leading_axes_are_batches(p: str | float) -> None:
    norm = get_norm(p)
    shape = (2, 3, 4, 5) if norm.matrix else (2, 3, 4)
    v = torch.tensor(np.random.default_rng(1).standard_normal(shape))
    v[0, 1] = 0
    assert norm(v).shape == norm.dual(v).shape == (2, 3)
    assert norm.direction(v).shape == norm.steepest(v).shape == shape
    assert (norm.direction(v)[0, 1] == 0).all()
    for i, j in ((0, 0), (0, 1), (1, 2)):
        for f in (norm, norm.dual, norm.direction, norm.steepest):
            torch.testing.assert_close(f(v)[i, j], f(v[i, j]), rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("p", [*VECTOR, "spectral"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_dtype_is_kept(p: str | float, dtype: torch.dtype) -> None:
    norm = get_norm(p)
    v = torch.eye(3, dtype=dtype)
    outputs = [norm(v), norm.dual(v), norm.direction(v), norm.steepest(v)]
    if p in PROJECTED:
        outputs += [norm.project(v, 0.5), norm.project(v, torch.full((3,), 0.5, dtype=torch.float64))]
    assert {t.dtype for t in outputs} == {dtype}


def test_names() -> None:
    assert [get_norm(p).name for p in ("l1", "l2", "linf", "spectral", 3, 1.5)] == [
        "l1", "l2", "linf", "spectral", "l3", "l1.5",
    ]  # fmt: skip
    assert [get_norm(p) for p in (1, 2, 2.0, math.inf)] == [get_norm(n) for n in ("l1", "l2", "l2", "linf")]
    assert get_norm(np.int64(2)) is get_norm("l2")
    assert get_norm(np.float32(1.5)) == get_norm(1.5)
    norm = get_norm(3)
    assert get_norm(norm) is norm


@pytest.mark.parametrize(
    ("norm", "words"),
    [
        ("l7", r"unknown norm 'l7'; use one of 'l1', 'l2', 'linf', 'spectral' or a number p >= 1"),
        (0.9, "a norm is a name or a number p >= 1, got 0.9"),
        (-math.inf, "a norm is a name or a number p >= 1, got -inf"),
        (math.nan, "a norm is a name or a number p >= 1, got nan"),
        (True, "a norm is a name or a number p >= 1, got True"),
        (None, "a norm is a name or a number p >= 1, got None"),
        ([2], r"a norm is a name or a number p >= 1, got \[2\]"),
    ],
)
def test_unknown_norms(norm: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        get_norm(norm)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: weighted("l2", [1.0, 0.0]), r"weights must be a list of numbers > 0, .*got \[1.0, 0.0\]"),
        (lambda: weighted("l2", [1.0, math.inf]), "weights contains NaN or infinite values"),
        (lambda: weighted("l2", 2.0), "weights must be a list of numbers > 0"),
        (lambda: weighted("spectral", [1.0]), "only vector norms can be weighted, got 'spectral'"),
        (lambda: weighted("l7", [1.0]), "unknown norm 'l7'"),
        (lambda: weighted("l1", [1.0, 2.0])(torch.ones(3)), r"2 weights do not fit vectors of shape \(3,\)"),
    ],
)
def test_bad_weights(make: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()


def test_errors() -> None:
    v = torch.ones(3)
    for radius in (0.0, -1.0, math.nan, math.inf):
        for name in PROJECTED:
            with pytest.raises(ValueError, match="radius must be > 0 and finite, got"):
                get_norm(name).project(v, radius)
    for p in (3, "spectral"):
        with pytest.raises(
            ValueError, match=r"no ball projection for the norm 'l?\w+'; 'l1', 'l2' and 'linf' have one"
        ):
            get_norm(p).project(v, 1.0)
    for f in (get_norm("spectral"), get_norm("spectral").dual, get_norm("spectral").direction):
        with pytest.raises(
            ValueError, match=r"the spectral norm needs a matrix, got shape \(3,\); use 'l2' for a vector"
        ):
            f(v)
