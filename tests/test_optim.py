"""Every optimizer of the table: its trajectory, its state, its errors; then what is special to one of them."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import optimizers
import pytest
import reference
import torch
from optimizers import ROWS, Row, ids, problem, start

import margin_lab as ml
from margin_lab import optim
from margin_lab.norms import get_norm
from margin_lab.optim.radii import period_of

STEPS = 40
every_row = pytest.mark.parametrize("row", ROWS, ids=ids(ROWS))


def tensors(
    w0: np.ndarray, splits: tuple[int, ...], dtype: torch.dtype = torch.float64
) -> list[torch.nn.Parameter]:
    """``w0`` cut into parameters of the given sizes; the second one as a row, since shapes must not matter."""
    parts = torch.tensor(w0, dtype=dtype).split(list(splits))
    return [
        torch.nn.Parameter(p.clone().reshape(1, -1) if i == 1 else p.clone()) for i, p in enumerate(parts)
    ]


def closure_of(
    optimizer: torch.optim.Optimizer, params: list[torch.nn.Parameter], Z: np.ndarray
) -> Callable[[], torch.Tensor]:
    Zt = torch.tensor(Z, dtype=params[0].dtype)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        q = Zt @ torch.cat([p.reshape(-1) for p in params])
        value = ml.log_loss(q, torch.ones(len(q)), reduction="mean")
        value.backward()
        return value

    return closure


def walk(
    optimizer: torch.optim.Optimizer,
    params: list[torch.nn.Parameter],
    Z: np.ndarray,
    steps: int,
    needs_loss: bool,
) -> np.ndarray:
    """The trajectory ``[steps + 1, d]``; without a closure where none is needed."""
    closure = closure_of(optimizer, params, Z)

    def flat() -> np.ndarray:
        return torch.cat([p.detach().reshape(-1) for p in params]).numpy().copy()

    path = [flat()]
    for _ in range(steps):
        if needs_loss:
            optimizer.step(closure)
        else:
            closure()
            assert optimizer.step() is None
        path.append(flat())
    return np.array(path)


def assert_path(path: np.ndarray, expected: np.ndarray, rtol: float = 1e-12) -> None:
    """Step by step, relative to the length of each iterate."""
    assert path.shape == expected.shape
    error = np.abs(path - expected).max(1) / (1 + np.abs(expected).max(1))
    assert error.max() <= rtol, f"step {error.argmax()} is off by {error.max():.2e}"


@every_row
@pytest.mark.parametrize("seed", range(4))
def test_matches_the_reference_step_by_step(row: Row, seed: int) -> None:
    Z, w0 = problem(seed), start(row, seed)
    params = tensors(w0, (4,))
    path = walk(row.make(params, lr=row.lr), params, Z, STEPS, row.needs_loss)
    assert_path(path, row.path(Z, row.lr, STEPS, w0))


@every_row
def test_the_reference_moves_and_separates(row: Row) -> None:
    """So that matching it means something."""
    Z = problem(0)
    path = row.path(Z, row.lr, 120, start(row, 0))
    assert np.median(np.abs(np.diff(path[:STEPS], axis=0)).max(1)) > 1e-4
    if row.name != "prgd-period-1":  # which only rescales
        assert np.log(np.exp(-Z @ path[-1]).mean()) < np.log(np.exp(-Z @ path[0]).mean()) - 0.1


@every_row
def test_a_closure_changes_nothing_where_none_is_needed(row: Row) -> None:
    Z, w0 = problem(1), start(row, 1)
    params = tensors(w0, (4,))
    optimizer = row.make(params, lr=row.lr)
    path = [w0]
    for _ in range(STEPS):
        value = optimizer.step(closure_of(optimizer, params, Z))
        assert value.item() == pytest.approx(np.log(np.exp(-Z @ path[-1]).mean()), rel=1e-9, abs=1e-12)
        path.append(params[0].detach().numpy().copy())
    assert_path(np.array(path), row.path(Z, row.lr, STEPS, w0))


@every_row
def test_several_tensors_are_one_vector(row: Row) -> None:
    Z, w0 = problem(2), start(row, 2)
    params = tensors(w0, (1, 2, 1))
    path = walk(row.make(params, lr=row.lr), params, Z, STEPS, row.needs_loss)
    assert_path(path, row.path(Z, row.lr, STEPS, w0))


@every_row
def test_groups_with_their_own_lr(row: Row) -> None:
    Z, w0 = problem(3), start(row, 3)
    params = tensors(w0, (3, 1))
    groups = [{"params": [params[0]], "lr": row.lr / 3}, {"params": [params[1]]}]
    path = walk(row.make(groups, lr=row.lr), params, Z, STEPS, row.needs_loss)
    rates = np.array([row.lr / 3] * 3 + [row.lr])
    assert_path(path, row.path(Z, rates, STEPS, w0))


@every_row
@pytest.mark.parametrize("middle", [1, 7, 20])
def test_a_restart_from_the_state_dict_equals_the_uninterrupted_run(row: Row, middle: int) -> None:
    Z, w0 = problem(4), start(row, 4)
    params = tensors(w0, (3, 1))
    optimizer = row.make(params, lr=row.lr)
    whole = [walk(optimizer, params, Z, middle, row.needs_loss)]
    state, file = optimizer.state_dict(), io.BytesIO()
    torch.save({"optimizer": state, "params": [p.data for p in params]}, file)
    whole.append(walk(optimizer, params, Z, STEPS - middle, row.needs_loss)[1:])
    file.seek(0)
    loaded = torch.load(file)
    for saved in (loaded["optimizer"], state):  # the second one was held while the run went on
        again = [torch.nn.Parameter(p.clone()) for p in loaded["params"]]
        restarted = row.make(again, lr=99.0)
        restarted.load_state_dict(saved)
        assert restarted.param_groups[0]["lr"] == row.lr
        path = walk(restarted, again, Z, STEPS - middle, row.needs_loss)
        np.testing.assert_array_equal(path, np.concatenate(whole)[middle:])


@every_row
def test_a_lr_scheduler_is_followed(row: Row) -> None:
    Z, w0 = problem(5), start(row, 5)
    params = tensors(w0, (4,))
    optimizer = row.make(params, lr=row.lr)
    first = walk(optimizer, params, Z, 1, row.needs_loss)
    optimizer.param_groups[0]["lr"] = row.lr / 10
    if not optimizer.state:  # else the second step depends on the first one too
        second = walk(optimizer, params, Z, 1, row.needs_loss)
        assert_path(second, row.path(Z, row.lr / 10, 1, first[-1]))


@every_row
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_dtype_is_kept(row: Row, dtype: torch.dtype) -> None:
    Z, w0 = problem(6), start(row, 6)
    params = tensors(w0, (3, 1), dtype)
    path = walk(row.make(params, lr=row.lr), params, Z, 12, row.needs_loss)
    assert {p.dtype for p in params} == {dtype}
    assert_path(path, row.path(Z, row.lr, 12, w0), rtol=1e-4 if dtype == torch.float32 else 1e-12)


UNIT = [row for row in ROWS if row.unit_step is not None]


@pytest.mark.parametrize("row", UNIT, ids=ids(UNIT))
def test_the_length_of_a_step(row: Row) -> None:
    assert row.unit_step is not None
    Z, w0 = problem(7), start(row, 7)
    params = tensors(w0, (3, 1))
    steps = np.diff(walk(row.make(params, lr=row.lr), params, Z, STEPS, row.needs_loss), axis=0)
    lengths = get_norm(row.unit_step)(torch.tensor(steps)).numpy()
    np.testing.assert_allclose(lengths, row.lr, rtol=1e-12)


@every_row
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_gradient_that_is_not_finite_leaves_everything_as_it_was(row: Row, bad: float) -> None:
    Z, w0 = problem(8), start(row, 8)
    params = tensors(w0, (3, 1))
    optimizer = row.make(params, lr=row.lr)
    walk(optimizer, params, Z, 3, row.needs_loss)
    before = [p.detach().clone() for p in params]
    state = str(optimizer.state_dict())
    closure = closure_of(optimizer, params, Z)

    def poisoned() -> torch.Tensor:
        value = closure()
        params[0].grad[1] = bad
        return value

    with pytest.raises(
        ml.DivergedError, match=r"the gradient is not finite .*train through margin_lab.log_loss, lower lr"
    ):
        optimizer.step(poisoned)
    assert all(torch.equal(p, b) for p, b in zip(params, before, strict=True))
    assert str(optimizer.state_dict()) == state
    # and the run goes on as if nothing had been
    path = walk(optimizer, params, Z, STEPS - 3, row.needs_loss)
    assert_path(path, row.path(Z, row.lr, STEPS, w0)[3:])


@every_row
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite(row: Row, value: float) -> None:
    Z = problem(9)
    params = tensors(start(row, 9), (4,))
    optimizer = row.make(params, lr=row.lr)
    closure = closure_of(optimizer, params, Z)
    before = params[0].detach().clone()
    with pytest.raises(
        ml.DivergedError, match=rf"{type(optimizer).__name__}: the loss is not finite \(log loss {value}\)"
    ):
        optimizer.step(lambda: torch.full_like(closure(), value))
    assert torch.equal(params[0], before)


@every_row
def test_no_gradients(row: Row) -> None:
    optimizer = row.make(tensors(start(row, 0), (4,)), lr=row.lr)
    words = "no parameter has a gradient; call backward\\(\\) on log_loss first"
    with pytest.raises(ValueError, match=words):
        optimizer.step(lambda: 0.0)


@every_row
def test_a_parameter_that_the_loss_did_not_use_has_gradient_0(row: Row) -> None:
    """As an unused branch has: the step is that of a gradient full of zeros, before and after the branch is used."""
    Z = torch.as_tensor(problem(3))

    def train(fill: bool) -> list[torch.nn.Parameter]:
        params = tensors(start(row, 3), (3, 1))
        optimizer = row.make(params, lr=row.lr)

        def closure(used: bool) -> torch.Tensor:
            optimizer.zero_grad()
            q = Z[:, :3] @ params[0]
            q = q + Z[:, 3] * params[1][0] if used else q
            value = ml.log_loss(q, torch.ones(len(q)))
            value.backward()
            if fill and not used:
                params[1].grad = torch.zeros_like(params[1])
            return value

        for used in (False, True, False):
            optimizer.step(partial(closure, used))
        return params

    for a, b in zip(train(fill=False), train(fill=True), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)


@every_row
def test_the_parameters_are_the_same_at_every_step(row: Row) -> None:
    params = tensors(start(row, 0), (4,))
    optimizer = row.make(params, lr=row.lr)
    closure = closure_of(optimizer, params, problem(0))
    optimizer.step(closure)
    late = torch.nn.Parameter(torch.ones(2, dtype=torch.float64))
    if optimizer.state:
        with pytest.raises(ValueError, match="its state is joint over the parameters it began with"):
            optimizer.add_param_group({"params": [late]})
    frozen = late.detach().requires_grad_(False)
    with pytest.raises(
        ValueError, match=r"parameters of shapes \[\(2,\)\] are frozen, but the norm is joint"
    ):
        row.make([*tensors(start(row, 0), (4,)), frozen], lr=row.lr)
    closure()
    params[0].requires_grad_(False)
    with pytest.raises(ValueError, match=r"are frozen, .* to a new optimizer if you froze them on the way"):
        optimizer.step(None if not row.needs_loss else lambda: torch.zeros(()))


@every_row
def test_the_loss_is_asked_for_where_it_is_needed(row: Row) -> None:
    params = tensors(start(row, 0), (4,))
    optimizer = row.make(params, lr=row.lr)
    closure = closure_of(optimizer, params, problem(0))
    closure()
    if not row.needs_loss:
        optimizer.step()
        optimizer.step(lambda: None)
        return
    name = type(optimizer).__name__
    with pytest.raises(
        ValueError, match=rf"{name} needs the loss itself: call step\(closure\) with a closure that clears"
    ):
        optimizer.step()
    with pytest.raises(
        ValueError, match=f"{name} needs the loss itself, but the closure returned None; let it return"
    ):
        optimizer.step(lambda: None)


BAD = [(row, kwargs, words) for row in ROWS for kwargs, words in row.bad]


@pytest.mark.parametrize(
    ("row", "kwargs", "words"), BAD, ids=[f"{i}-{r.name}-{'-'.join(k)}" for i, (r, k, _) in enumerate(BAD)]
)
def test_bad_inputs(row: Row, kwargs: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        row.make(tensors(start(row, 0), (4,)), **kwargs)


@every_row
def test_a_groups_lr_is_checked_when_it_comes(row: Row) -> None:
    first, second = tensors(np.ones(4), (3, 1))
    with pytest.raises(ValueError, match="lr must be > 0 and finite, got -1"):
        row.make([{"params": [first], "lr": -1}], lr=row.lr)
    optimizer = row.make([first], lr=row.lr)
    with pytest.raises(ValueError, match="lr must be > 0 and finite, got 0"):
        optimizer.add_param_group({"params": [second], "lr": 0})


@every_row
def test_mixed_dtypes_are_refused(row: Row) -> None:
    params = [torch.nn.Parameter(torch.ones(2)), torch.nn.Parameter(torch.ones(2, dtype=torch.float64))]
    optimizer = row.make(params, lr=row.lr)
    for p in params:
        p.grad = torch.ones_like(p)
    with pytest.raises(
        ValueError, match="all parameters must share one dtype and device, since norms are joint"
    ):
        optimizer.step(lambda: 0.0)


def test_every_public_optimizer_is_in_the_table() -> None:
    made = {type(row.make(tensors(np.ones(4), (4,)), lr=1.0)).__name__ for row in ROWS}
    public = {name for name in optim.__all__ if isinstance(getattr(optim, name), type(optim.GD))}
    optimizers_ = {name for name in public if issubclass(getattr(optim, name), torch.optim.Optimizer)}
    optimizers_ -= set(optimizers.OF_MATRICES)
    assert optimizers_ <= made, f"add a row to tests/optimizers.py for {sorted(optimizers_ - made)}"


# ---- steepest descent


def test_spectral_descent_matches_the_reference() -> None:
    rng = np.random.default_rng(0)
    truth = rng.standard_normal((3, 2))
    Z = rng.standard_normal((10, 3, 2))
    Z *= np.sign((Z * truth).sum((1, 2)))[:, None, None]
    W = torch.nn.Parameter(torch.zeros(3, 2, dtype=torch.float64))
    optimizer = optim.SteepestDescent([W], lr=0.1, norm="spectral", normalized=True)
    path = [np.zeros((3, 2))]
    for _ in range(25):
        optimizer.zero_grad()
        ml.log_loss((torch.tensor(Z) * W).sum((1, 2)), torch.ones(10)).backward()
        optimizer.step()
        path.append(W.detach().numpy().copy())
    np.testing.assert_allclose(path, reference.spectral(Z, 0.1, 25, path[0]), atol=1e-11)
    lengths = np.linalg.svd(np.diff(path, axis=0), compute_uv=False)
    np.testing.assert_allclose(lengths, 0.1, rtol=1e-12)


@pytest.mark.parametrize("norm", ["l1", "l2", "linf", "spectral", 1.5, 4])
def test_steepest_descent_takes_the_step_of_equation_1(norm: str | float) -> None:
    """``||Delta|| = ||grad L||_*`` and ``<Delta, grad L> = -||grad L||_*^2``, with the gradient of L itself."""
    W = torch.nn.Parameter(torch.tensor(np.random.default_rng(1).standard_normal((3, 2))))
    Z = torch.tensor(np.random.default_rng(2).standard_normal((5, 3, 2)))
    own = get_norm(norm)
    shape = (3, 2) if own.matrix else (6,)
    (gradient,) = torch.autograd.grad(torch.exp(-(Z * W).sum((1, 2))).sum(), W)
    optimizer = optim.SteepestDescent([W], lr=0.25, norm=norm)
    before = W.detach().clone()

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        value = ml.log_loss((Z * W).sum((1, 2)), torch.ones(5))
        value.backward()
        return value

    optimizer.step(closure)
    delta = ((W.detach() - before) / 0.25).reshape(shape)
    gradient = gradient.reshape(shape)
    dual = float(own.dual(gradient))
    assert float(own(delta)) == pytest.approx(dual, rel=1e-12)
    assert float((delta * gradient).sum()) == pytest.approx(-(dual**2), rel=1e-12)


@pytest.mark.parametrize("shapes", [[(4,)], [(2, 2), (2, 2)], [(2, 2, 2)]])
def test_the_spectral_norm_takes_one_matrix(shapes: list[tuple[int, ...]]) -> None:
    params = [torch.nn.Parameter(torch.ones(shape)) for shape in shapes]
    with pytest.raises(
        ValueError, match=r"the spectral norm is of one matrix, got parameters of shapes \[\(\d"
    ):
        optim.SteepestDescent(params, norm="spectral")


# ---- PRGD


def recorded_prgd(radii: Any, period: Any, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Norms after each iteration, and which iterations were rescalings (parallel to the iterate before)."""
    Z, w0 = problem(0), start(ROWS[3], 0)
    params = tensors(w0, (4,))
    path = walk(optim.PRGD(params, lr=0.7, radii=radii, period=period), params, Z, steps, False)
    norms = np.linalg.norm(path, axis=1)
    cosines = (path[1:] * path[:-1]).sum(1) / norms[1:] / norms[:-1]
    return norms, cosines


def test_norms_equal_the_radii_at_rescalings() -> None:
    for radii, period in (
        (optim.exponential_radii(1.3), 4),
        (optim.polynomial_radii(0.7), lambda k: 1 + k % 4),
        (optim.polynomial_radii(1.2), optim.polynomial_periods(3, 0.5)),
    ):
        norms, cosines = recorded_prgd(radii, period, 60)
        t, k = 0, 0
        while t < 60:
            R, length = radii(k, norms[0], None), period if isinstance(period, int) else period(k)
            assert norms[t + 1] == pytest.approx(R, rel=1e-13)
            assert cosines[t] == pytest.approx(1, abs=1e-14)
            assert (norms[t + 1 : t + length + 1] <= R * (1 + 1e-14)).all()
            t, k = t + length, k + 1


def test_the_oracle_radius_puts_w_on_the_semi_cylinder() -> None:
    w_star = optimizers.ORACLE
    Z = problem(0)
    params = tensors(start(ROWS[3], 0), (4,))
    path = walk(optim.PRGD(params, radii=optim.oracle_radii(w_star, D=2.5), period=3), params, Z, 30, False)
    across = path - np.outer(path @ w_star, w_star)
    np.testing.assert_allclose(np.linalg.norm(across[1::3], axis=1), 2.5, rtol=1e-12)


def test_an_oracle_on_the_axis_stays() -> None:
    radii = optim.oracle_radii([1.0, 0.0], D=2.0)
    assert radii(3, 1.0, torch.tensor([7.0, 0.0])) == 7.0
    assert repr(radii) == "oracle_radii(D=2.0)"


def test_prgd_refuses_to_start_at_zero() -> None:
    params = tensors(np.zeros(4), (4,))
    optimizer = optim.PRGD(params)
    closure_of(optimizer, params, problem(0))()
    with pytest.raises(ValueError, match="PRGD rescales its start, which must not be 0: warm up first"):
        optimizer.step()


@pytest.mark.parametrize("radius", [0.0, -1.0, float("nan")])
def test_prgd_refuses_radii_that_are_not_positive(radius: float) -> None:
    params = tensors(np.ones(4), (4,))
    optimizer = optim.PRGD(params, radii=lambda k, R0, w: radius if k else R0, period=2)
    closure = closure_of(optimizer, params, problem(0))
    optimizer.step(closure)
    optimizer.step(closure)
    with pytest.raises(ValueError, match=rf"radius must be > 0, got {radius} from radii\(k=1, R0=2, w\)"):
        optimizer.step(closure)


def test_a_radius_that_overflows_leaves_parameters_and_schedule_as_they_were() -> None:
    params = tensors(np.ones(4), (4,))
    growth = {"now": 1e300}
    optimizer = optim.PRGD(params, radii=lambda k, R0, w: R0 * growth["now"] ** k, period=1)
    closure = closure_of(optimizer, params, problem(0))
    optimizer.step(closure)
    optimizer.step(closure)
    before, state = params[0].detach().clone(), str(optimizer.state_dict())
    growth["now"] = float("inf")
    with pytest.raises(ml.DivergedError, match="PRGD: the step overflowed .*; lower lr, or grow the radius"):
        optimizer.step(closure)
    assert torch.equal(params[0], before)
    assert str(optimizer.state_dict()) == state
    growth["now"] = 10.0
    optimizer.step(closure)
    assert params[0].norm().item() == pytest.approx(2 * 10.0**2)


def test_prgd_reaches_radii_far_beyond_the_square_root_of_the_largest_number() -> None:
    params = tensors(np.ones(4), (4,))
    optimizer = optim.PRGD(params, radii=optim.exponential_radii(1e30), period=1)
    closure = closure_of(optimizer, params, problem(0))
    for _ in range(11):
        optimizer.step(closure)
    assert float(get_norm("l2")(params[0].detach())) == pytest.approx(2e300, rel=1e-12)


def test_schedules() -> None:
    w = torch.ones(2)
    assert [optim.exponential_radii(1.5)(k, 2.0, w) for k in range(3)] == [2.0, 3.0, 4.5]
    assert optim.exponential_radii(1.5)(10**6, 2.0, w) == float("inf")
    assert [optim.polynomial_radii(2)(k, 2.0, w) for k in range(3)] == [2.0, 8.0, 18.0]
    assert [optim.polynomial_periods(2, 1)(k) for k in range(3)] == [2, 4, 6]
    assert [optim.polynomial_periods()(k) for k in range(3)] == [5, 5, 5]
    assert optim.polynomial_radii(1.2) == optim.polynomial_radii(1.2)
    assert repr(optim.exponential_radii(1.2)) == "exponential_radii(growth=1.2)"
    assert period_of(3, 10) == 3
    assert period_of(lambda k: np.int64(k + 1), 10) == 11


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: optim.exponential_radii(0), "growth must be > 0 and finite, got 0"),
        (lambda: optim.exponential_radii("1.2"), "growth must be > 0 and finite, got '1.2'"),
        (lambda: optim.polynomial_radii(-1), "power must be >= 0 and finite, got -1"),
        (lambda: optim.polynomial_periods(0.5), "first must be >= 1, got 0.5"),
        (lambda: optim.polynomial_periods(-1), "first must be > 0 and finite, got -1"),
        (lambda: optim.polynomial_periods(2, -1), "power must be >= 0 and finite, got -1"),
        (lambda: optim.oracle_radii([1.0, 0.0], D=0), "D must be > 0 and finite, got 0"),
        (lambda: optim.oracle_radii([0.0, 0.0]), r"\|\|w_star\|\| must be > 0 and finite, got 0.0"),
        (lambda: optim.oracle_radii([[1.0], [0.0]]), r"w_star must have shape \[d\], got \(2, 1\)"),
        (lambda: optim.oracle_radii(["a"]), "w_star must be an array or tensor of numbers"),
    ],
)
def test_bad_schedules(make: Callable[[], Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()


# ---- GD and NGD


def test_a_step_far_below_the_smallest_number() -> None:
    """At log L = -5000 NGD still moves; GD's step is 0 in float64, not NaN."""
    Z = np.array([[1.0, 0.0], [0.0, 1.0]])
    params = tensors(np.array([5000.0, 5000.0]), (2,))
    path = walk(optim.NormalizedGD(params, lr=0.5), params, Z, 4, False)
    np.testing.assert_allclose(path[-1], [5001.0, 5001.0], rtol=1e-15)
    path = walk(optim.GD(params, lr=0.5), params, Z, 4, True)
    np.testing.assert_array_equal(path[-1], path[0])


def test_a_huge_loss_overflows_with_a_clear_error() -> None:
    params = tensors(np.array([-5000.0, -5000.0]), (2,))
    optimizer = optim.GD(params, lr=0.5)
    with pytest.raises(ml.DivergedError, match="GD: the step overflowed .*log loss 5"):
        optimizer.step(closure_of(optimizer, params, np.eye(2)))
    assert params[0].tolist() == [-5000.0, -5000.0]


def test_parameters_without_gradient_are_left_alone() -> None:
    used, unused = tensors(np.ones(4), (3, 1))
    optimizer = optim.NormalizedGD([used, unused])
    ml.log_loss(torch.tensor(problem(0)[:, :3]) @ used, torch.ones(12)).backward()
    optimizer.step()
    assert unused.item() == 1.0
    assert not torch.equal(used, torch.ones(3, dtype=torch.float64))
