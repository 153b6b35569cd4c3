"""The radius widget: its numbers against runs of their own, its promises, and the static page in a real browser."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import Widget, assert_frames_equal
from widget_checks import check_drag, check_reset, check_telephone

import margin_lab as ml
from margin_lab import datasets
from margin_lab.book.widgets.framework.figure import MAX_GRID, InteractiveFigure
from margin_lab.book.widgets.radius import CAP, PAIRS, RECORD, WARMUP, compute, radius
from margin_lab.optim import exponential_radii

DATA = {
    "spanning": lambda: datasets.prescribed_support(5),
    "flat": lambda: datasets.prescribed_support(5, d=10),
    "dataset_1": datasets.dataset_1,
}
DEFAULT = {"rule": "certified", "data": "spanning", "growth": 1.2, "c": 1}


def setting(rule: str, data: str, growth: float = 2.0, c: float = 1.0) -> dict[str, Any]:
    return {"rule": rule, "data": data, "growth": growth, "c": c}


def one_search(Z: np.ndarray, rule: str, growth: float, c: float) -> dict[str, np.ndarray]:
    """One run with nothing batched: bounds, radius and distance at the recorded pairs, and what held whenever the radius grew."""
    n, d = Z.shape
    log_p, w, R, total = np.full(n, -np.log(n)), np.zeros(d), 1.0, 0.0
    v, momentum, lower, upper = w, 1.0, -np.inf, np.inf
    rows, grown, increments = [], [], []
    for pair in range(1, PAIRS + 1):
        a = log_p - Z @ v
        log_q = a - np.logaddexp.reduce(a)
        q = np.exp(log_q) / np.exp(log_q).sum()
        g = q @ Z
        length = max(np.linalg.norm(v), 1e-300)
        gap = np.linalg.norm(g) - (Z @ v).min() / length
        upper, lower = min(upper, np.linalg.norm(g)), max(lower, (Z @ v).min() / length)
        if rule == "certified":
            done = gap <= c * np.log(n) / R
        else:
            done = R * np.linalg.norm(g) - g @ v <= c / 2 * (q @ (log_q - log_p))
        if done and v.any():
            grown.append((R, gap))
            new = R * growth
            if rule == "kl":
                increments.append(v)
                log_p, total, new = log_q, total + R, min(new, max(R, CAP))
            v, R = v * (new / R), new
            w, momentum = v, 1.0
        else:
            new = v + g
            new = new * min(1, R / np.linalg.norm(new))
            step = new - w
            momentum = 1.0 if g @ step < 0 else momentum
            following = (1 + np.sqrt(1 + 4 * momentum**2)) / 2
            v = new + (momentum - 1) / following * step
            v = v * min(1, R / np.linalg.norm(v))
            w, momentum = new, following
        if pair in RECORD:
            rows.append((lower, upper, R, total, v))
    lower_, upper_, R_, total_, v_ = (np.array(column) for column in zip(*rows, strict=True))
    return {
        "lower": lower_, "upper": upper_, "R": R_, "total": total_, "v": v_,
        "grown": np.array(grown), "increments": np.array(increments),
    }  # fmt: skip


def assert_shows_margin_labs_own_numbers(shown: Any, s: dict[str, Any], rtol: float = 2e-6) -> None:
    """PRGD: the library's run and its softmax weights. The searches: one run, pair by pair."""
    data, rule = DATA[s["data"]](), s["rule"]
    axis = data.w_star
    if rule == "fixed":
        run = ml.run_linear(
            data.X, data.y, "prgd", PAIRS - WARMUP, radii=exponential_radii(s["growth"]), warmup=WARMUP,
            record=[0, *(RECORD[RECORD > WARMUP] - WARMUP).tolist()],
        )  # fmt: skip
        x, w = run.steps + WARMUP, run.w
        p = np.exp((w @ data.Z.T).min(1, keepdims=True) - w @ data.Z.T)
        upper = np.minimum.accumulate(np.linalg.norm(p @ data.Z, axis=1) / p.sum(1))
        lower = np.maximum.accumulate(run.margin)
        R = None
    else:
        alone = one_search(data.Z, rule, s["growth"], s["c"])
        x, w, lower, upper, R = RECORD, alone["v"], alone["lower"], alone["upper"], alone["R"]
        if rule == "kl":
            np.testing.assert_allclose(shown["radius"]["total"][1], alone["total"], rtol=rtol)
        np.testing.assert_allclose(shown["radius"][rule][1], R, rtol=rtol)
    np.testing.assert_array_equal(shown["gap"][rule][0], x)
    np.testing.assert_allclose(shown["gap"][rule][1], upper - lower, rtol=rtol, atol=1e-9)
    np.testing.assert_allclose(shown["gap"]["true"][1], data.margin - lower, rtol=rtol, atol=1e-9)
    drawn = len(shown["distance"][rule][0])
    distance = np.linalg.norm(w[:drawn] - np.outer(w[:drawn] @ axis, axis), axis=1)
    np.testing.assert_allclose(shown["distance"][rule][1], distance, rtol=1e-3, atol=2e-5)
    for panel in ("gap", "radius", "distance"):
        assert all(
            len(shown[panel][other][0]) == 0 for other in ("fixed", "certified", "kl") if other != rule
        )


# Early growth and late stops, so that nothing hangs on the rounding of a comparison.
SINGLE = [
    *(setting("fixed", data, growth) for data in DATA for growth in (1.05, 4.0)),
    *(
        setting(rule, data, 1.2, c)
        for rule in ("certified", "kl")
        for data in ("spanning", "flat")
        for c in (0.3, 3)
    ),
]


def test_compute_equals_single_runs() -> None:
    for s, frame in zip(SINGLE, compute(SINGLE), strict=True):
        assert_shows_margin_labs_own_numbers(frame, s)


def test_bounds_hold_everywhere() -> None:
    figure = radius()
    for s, frame in zip(figure.settings(), compute(figure.settings()), strict=True):
        certified, true = frame["gap"][s["rule"]][1], frame["gap"]["true"][1]
        assert np.all(np.diff(certified) <= 0)
        assert np.all(true <= certified + 1e-15)  # upper >= gamma* up to rounding


@pytest.mark.parametrize("c", [0.3, 1.0, 10.0])
def test_the_certified_radius_grows_only_on_proof(c: float) -> None:
    data = DATA["spanning"]()
    alone = one_search(data.Z, "certified", 2.0, c)
    R, gap = alone["grown"].T
    assert np.all(gap <= c * np.log(len(data.Z)) / R)
    frame = compute([setting("certified", "spanning", 2.0, c)])[0]
    assert set(np.log2(frame["radius"]["certified"][1]) % 1) == {0.0}


def test_below_one_there_is_no_promise() -> None:
    """On the path the gap is at most log(n)/R, not a tenth of it: the search waits at R = 1 for ever."""
    frame = compute([setting("certified", "spanning", 2.0, 0.1)])[0]
    assert np.all(frame["radius"]["certified"][1] == 1)


@pytest.mark.parametrize("data", ["spanning", "flat"])
def test_the_sum_of_increments_obeys_the_theorem(data: str) -> None:
    """Chapter 5: both bounds, with inner problems solved only as far as the rule asks (c <= 2)."""
    problem = DATA[data]()
    alone = one_search(problem.Z, "kl", 2.0, 2.0)
    W, radii = np.cumsum(alone["increments"], axis=0), np.cumsum(alone["grown"][:, 0])
    q_min = (W @ problem.Z.T).min(1)
    assert np.all(q_min >= problem.margin * radii - np.log(len(problem.Z)))
    assert len(radii) > 10


def test_what_the_rules_are_there_to_show() -> None:
    """A schedule freezes, a proof slows down where the support vectors do not span, increments go on."""
    wanted = [setting(rule, data) for rule in ("fixed", "certified", "kl") for data in ("spanning", "flat")]
    gap = {
        (s["rule"], s["data"]): frame["gap"][s["rule"]][1][-1]
        for s, frame in zip(wanted, compute(wanted), strict=True)
    }
    assert min(gap["fixed", data] for data in ("spanning", "flat")) > 1e-2
    assert gap["certified", "spanning"] < 1e-5
    assert gap["certified", "flat"] > 3e-5
    assert max(gap["kl", data] for data in ("spanning", "flat")) < 1e-8


@pytest.fixture(scope="module")
def figure() -> InteractiveFigure:
    return radius()


def test_the_page_stays_small(figure: InteractiveFigure) -> None:
    assert len(figure.settings()) <= MAX_GRID
    assert len(figure.static_html()) < 600_000


@cache
def whole_grid() -> dict[tuple[Any, ...], Any]:
    """The grid as one batch, like the page's: at 1e-10 the rounding of another batch size decides when a search restarts."""
    wanted = radius().settings()
    return {tuple(s.values()): frame for s, frame in zip(wanted, compute(wanted), strict=True)}


def assert_drawn_as_computed(widget: Widget) -> dict[str, Any]:
    shown = widget.state()
    assert_frames_equal(shown.frame, whole_grid()[tuple(shown.setting.values())], rtol=2e-6)
    chosen: dict[str, Any] = shown.setting
    return chosen


@pytest.mark.browser
def test_first_picture_and_reset(widget: Widget, figure: InteractiveFigure) -> None:
    assert assert_drawn_as_computed(widget) == DEFAULT
    check_reset(widget, figure, "growth", "gap")


@pytest.mark.browser
def test_mouse_and_keyboard(widget: Widget) -> None:
    assert check_drag(widget, "c", 0.5, 0.02, ("gap", "radius", "distance")) == 0.1
    assert_drawn_as_computed(widget)
    walked = []
    for _ in range(3):
        widget.press("growth", "ArrowRight")
        walked.append(assert_drawn_as_computed(widget)["growth"])
    assert walked == [1.5, 2.0, 4.0]


@pytest.mark.browser
def test_choices(widget: Widget) -> None:
    for rule in ("fixed", "kl"):
        widget.control("rule").locator("select").select_option(rule)
        for data in ("flat", "dataset_1", "spanning"):
            before = widget.paths("gap")
            widget.control("data").locator("select").select_option(data)
            assert widget.paths("gap") != before
            chosen = assert_drawn_as_computed(widget)
            assert (chosen["rule"], chosen["data"]) == (rule, data)
    assert len(widget.state().frame["radius"]["total"][0]) > 0


@pytest.mark.browser
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_telephone(chromium: Any, figure: InteractiveFigure, tmp_path: Path, theme: str) -> None:
    check_telephone(chromium, figure, tmp_path, theme, "growth")
