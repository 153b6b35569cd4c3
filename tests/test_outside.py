"""Methods from outside: a plain function or a Method runs, sweeps and is drawn like the table's own."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import margin_lab as ml
from margin_lab.palette import OWN_COLOR

RNG = np.random.default_rng(0)
X = RNG.standard_normal((14, 4))
Y = np.where(X[:, 0] + 0.3 * X[:, 1] > 0, 1.0, -1.0)
NET = ml.models.MLP([4, 6, 1])


def heavy_ball(
    w: Tensor, grad: Tensor, log_loss: Tensor, h: Mapping[str, Any], state: dict[str, Any]
) -> Tensor:
    """The table's "momentum", as a reader would write it."""
    state["v"] = h["beta"] * state.get("v", 0.0) + log_loss[:, None].exp() * grad
    return w - h["lr"] * state["v"]


def rude(w: Tensor, grad: Tensor, log_loss: Tensor, h: Mapping[str, Any], state: dict[str, Any]) -> Tensor:
    """All in place."""
    return w.sub_(grad.mul_(h["lr"]))


def test_a_sweep_of_ones_own_optimizer_over_50_settings() -> None:
    rates, betas = np.geomspace(0.01, 1.0, 10), [0.0, 0.3, 0.6, 0.9, 0.95]
    own = ml.sweep_linear(X, Y, heavy_ball, 60, lr=rates, beta=betas)
    table = ml.sweep_linear(X, Y, "momentum", 60, lr=rates, momentum=betas)
    assert len(own) == 50
    assert own.method == own[3].method == "heavy_ball"
    assert own.norm_name == "l2"
    np.testing.assert_allclose(own.w, table.w, rtol=1e-12, atol=1e-13)
    assert [(s["lr"], s["beta"]) for s in own.settings] == [(s["lr"], s["momentum"]) for s in table.settings]
    np.testing.assert_array_equal(
        ml.sweep_linear(X, Y, heavy_ball, 60, lr=0.1, beta=0.9, rows_at_once=1).w[0].shape,
        (len(own.steps), 4),
    )


def test_on_networks_too() -> None:
    options: dict[str, Any] = {"lr": [0.01, 0.02], "seed": range(3), "loss": "logistic", "record": "all"}
    own = ml.sweep_network(NET, X, Y, heavy_ball, 30, beta=0.8, **options)
    table = ml.sweep_network(NET, X, Y, "momentum", 30, momentum=0.8, **options)
    np.testing.assert_allclose(own.theta, table.theta, rtol=1e-10, atol=1e-12)
    assert own.method == "heavy_ball"
    assert ml.run_network(NET, X, Y, heavy_ball, 3, lr=0.01, beta=0.5).method == "heavy_ball"


def test_what_changes_in_place_is_a_copy() -> None:
    start = RNG.standard_normal(4)
    before = start.copy()
    run = ml.run_linear(X, Y, rude, 20, lr=0.3, w0=start, record="all")
    np.testing.assert_array_equal(start, before)
    np.testing.assert_allclose(
        run.w, ml.run_linear(X, Y, "ngd", 20, lr=0.3, w0=start, record="all").w, rtol=1e-13
    )


def test_a_method_declares_options_its_norm_and_its_state() -> None:
    def count(w: Tensor, grad: Tensor, log_loss: None, h: Mapping[str, Any], state: dict[str, int]) -> Tensor:
        assert log_loss is None
        state["t"] += 1
        return w - h["lr"] * state["t"] ** -h["power"] * grad.sign()

    own = ml.Method(
        norm="linf", update=count, options={"power": ml.Option(0.5)}, start=lambda w, problem, h: {"t": 0}
    )
    sweep = ml.sweep_linear(X, Y, own, 30, power=[0.0, 0.5], record="all")
    assert sweep.norm_name == "linf"
    assert ml.sweep_linear(X, Y, own, 3, norm="l1").norm_name == "l1"
    np.testing.assert_allclose(sweep.w[0], ml.run_linear(X, Y, "sign", 30, record="all").w, rtol=1e-13)
    with pytest.raises(ValueError, match="'count' has no option 'pwer'; it takes lr, seed, power"):
        ml.sweep_linear(X, Y, own, 30, pwer=1.0)
    checked = ml.Method(
        update=count, options={"power": ml.Option(0.5, lambda v: ml.runs.methods.positive(v, "power"))}
    )
    with pytest.raises(ValueError, match="power must be > 0 and finite, got -1"):
        ml.sweep_linear(X, Y, checked, 3, power=-1.0)


def test_a_row_of_the_table_is_itself_and_options_of_any_kind_come_as_lists() -> None:
    a, b = (ml.run_linear(X, Y, m, 9) for m in ("ngd", ml.METHODS["ngd"]))
    assert a.method == b.method == "ngd"
    np.testing.assert_array_equal(a.w, b.w)
    seen: dict[str, Any] = {}

    def look(
        w: Tensor, grad: Tensor, log_loss: Tensor, h: Mapping[str, Any], state: dict[str, Any]
    ) -> Tensor:
        seen.update(h)
        return w - h["lr"] * grad

    ml.sweep_linear(X, Y, partial(look), 1, lr=[1, 2], word=["a", "b"], flag=True, number=3)
    assert seen["word"] == ["a", "a", "b", "b"] or seen["word"] == ["a", "b", "a", "b"]
    assert seen["flag"] == [True] * 4
    assert seen["number"].shape == seen["lr"].shape == (4, 1)
    assert seen["number"].dtype == torch.float64


def test_rows_diverge_alone() -> None:
    sweep = ml.sweep_linear(X, Y, heavy_ball, 50, lr=[0.1, 1e9], beta=0.9, record="all")
    assert sweep.status == ["finished", "diverged"]
    assert np.isfinite(sweep.w).all()
    with pytest.raises(ml.DivergedError, match="heavy_ball with lr=1000000000.0 diverged at step"):
        ml.run_linear(X, Y, heavy_ball, 50, lr=1e9, beta=0.9)


@pytest.mark.parametrize(
    ("method", "message"),
    [
        (
            lambda w, grad, log_loss, h, state: (w - grad)[0],
            r"lambda must return the next w as a tensor torch.float64 \[1, 4\], got",
        ),
        (lambda w, grad, log_loss, h, state: None, "got None; options are tensors"),
        (lambda w, grad, log_loss, h, state: (w - grad).float(), "got torch.float32"),
        (
            torch.optim.SGD,
            "method must be a name of margin_lab.METHODS, a Method or a function .*train_network",
        ),
        (3, "method must be a name of margin_lab.METHODS, .* got 3"),
        (ml.Method(), "a Method needs an update"),
    ],
    ids=["shape", "none", "dtype", "class", "number", "empty"],
)
def test_bad_methods_are_refused(method: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ml.run_linear(X, Y, method, 3)
    with pytest.raises(ValueError, match=message.replace(r"\[1, 4\]", r"\[1, 30\]")):
        ml.run_network(NET, X, Y, method, 3, lr=0.1)


def test_it_is_drawn() -> None:
    from matplotlib.colors import to_hex

    run = ml.sweep_linear(X, Y, heavy_ball, 9, lr=[0.1, 0.2], beta=0.5)
    _, ax = ml.plots.figure()
    ml.plots.against_steps(ax, run, run.margin)
    (line,) = ax.lines
    assert line.get_label() == "heavy_ball"
    assert to_hex(line.get_color()).upper() == OWN_COLOR


def test_a_module_of_ones_own_needs_no_table() -> None:
    net = nn.Sequential(nn.Linear(4, 3, bias=False), nn.ReLU(), nn.Linear(3, 1, bias=False)).double()
    run = ml.run_network(net, X, Y, rude, 5, lr=0.1)
    np.testing.assert_allclose(run.theta, ml.run_network(net, X, Y, "ngd", 5, lr=0.1).theta, rtol=1e-12)
