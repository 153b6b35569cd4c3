"""The step-size widget: its numbers against runs of their own, and the static page in a real browser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import Widget, assert_frames_equal
from widget_checks import check_drag, check_reset, check_telephone

import margin_lab as ml
from margin_lab import datasets
from margin_lab.book.widgets.framework.figure import MAX_GRID, InteractiveFigure
from margin_lab.book.widgets.step_size import RECORD, STEPS, compute, step_size

DATA = {
    "dataset_1": datasets.dataset_1,
    "wide": lambda: datasets.prescribed_support(2, n=20, gamma=0.3, seed=11),
}
RULES = {"gd": ("gd", "exponential"), "ngd": ("ngd", "exponential"), "logistic": ("gd", "logistic")}
PANELS = ("path", "loss", "gap", "norm", "edge")
DEFAULT = {"lr": 1, "rule": "gd", "data": "dataset_1"}


def assert_shows_margin_labs_own_numbers(shown: Any, setting: dict[str, Any], rtol: float = 2e-6) -> None:
    """Compare with one run that knows nothing of the widget."""
    data, rule, lr = DATA[setting["data"]](), setting["rule"], setting["lr"]
    method, loss = RULES[rule]
    run = ml.sweep_linear(data.X, data.y, method, STEPS, lr=[lr], loss=loss, record=RECORD)[0]
    steps, log_loss = shown["loss"][rule]
    end = len(steps)
    assert (end < len(RECORD)) == (run.status == "diverged")
    np.testing.assert_array_equal(steps, run.steps[:end])
    np.testing.assert_allclose(log_loss, run.log_loss[:end] / np.log(10), rtol=rtol, atol=1e-9)
    np.testing.assert_allclose(shown["gap"][rule][1], data.margin - run.margin[:end], rtol=rtol, atol=1e-9)
    np.testing.assert_allclose(shown["norm"][rule][1], run.norm[:end], rtol=rtol)
    along, across = shown["path"][rule]
    np.testing.assert_allclose(along, run.w[:end] @ data.w_star, rtol=rtol, atol=1e-9)
    np.testing.assert_allclose(along**2 + across**2, run.norm[:end] ** 2, rtol=10 * rtol)
    for panel in PANELS:
        marks = shown[panel]["overflow"][0]
        assert len(marks) == (run.status == "diverged")
        if len(marks):
            assert marks[0] == shown[panel][rule][0][-1]
        assert all(len(shown[panel][other][0]) == 0 for other in RULES if other != rule)


def settings(*lrs: float) -> list[dict[str, Any]]:
    return [{"lr": lr, "rule": rule, "data": data} for lr in lrs for rule in RULES for data in DATA]


def test_compute_equals_single_runs() -> None:
    wanted = settings(0.01, 2.3, 3.0)
    for setting, frame in zip(wanted, compute(wanted), strict=True):
        assert_shows_margin_labs_own_numbers(frame, setting, rtol=1e-9)


@pytest.mark.parametrize("rule", RULES)
def test_sharpness_is_the_hessians_largest_eigenvalue(rule: str) -> None:
    """Against second differences of the library's loss along 60 directions."""
    data = datasets.dataset_1()
    frame = compute([{"lr": 0.7, "rule": rule, "data": "dataset_1"}])[0]
    run = ml.run_linear(data.X, data.y, RULES[rule][0], STEPS, lr=0.7, loss=RULES[rule][1], record=RECORD)

    def objective(w: np.ndarray) -> float:
        log_loss = ml.log_loss(data.X @ w, data.y, loss=RULES[rule][1], reduction="mean")
        return float(log_loss if rule == "ngd" else np.exp(log_loss))

    for t in (0, 5, 20):
        w, h = run.w[t], 1e-3
        angles = np.linspace(0, np.pi, 60)
        curvature = [
            (objective(w + h * u) - 2 * objective(w) + objective(w - h * u)) / h**2
            for u in np.stack([np.cos(angles), np.sin(angles)], axis=1)
        ]
        assert frame["edge"][rule][1][t] == pytest.approx(0.7 * max(curvature), rel=2e-3)


def test_what_the_slider_is_there_to_show() -> None:
    """Too small: nothing moves. Past the edge: GD overflows on three points, freezes on twenty; the others survive."""
    small, large = (
        dict(zip(((r, d) for r in RULES for d in DATA), compute(settings(lr)), strict=True))
        for lr in (0.001, 100.0)
    )
    assert small["gd", "dataset_1"]["norm"]["gd"][1][-1] < 0.5
    assert len(large["gd", "dataset_1"]["norm"]["overflow"][0]) == 1
    assert all(
        len(frame["norm"]["overflow"][0]) == 0 for key, frame in large.items() if key != ("gd", "dataset_1")
    )
    gap = large["gd", "wide"]["gap"]["gd"][1]
    assert gap[-1] > 0.8 * gap[10]


@pytest.fixture(scope="module")
def figure() -> InteractiveFigure:
    return step_size()  # its sweep is computed once, whichever page asks first


def test_the_page_stays_small(figure: InteractiveFigure) -> None:
    assert len(figure.settings()) <= MAX_GRID
    assert len(figure.static_html()) < 1_200_000


def assert_drawn_as_computed(widget: Widget) -> dict[str, Any]:
    shown = widget.state()
    assert_frames_equal(shown.frame, compute([shown.setting])[0], rtol=2e-5)
    assert_shows_margin_labs_own_numbers(shown.frame, shown.setting)
    setting: dict[str, Any] = shown.setting
    return setting


@pytest.mark.browser
def test_first_picture_and_reset(widget: Widget, figure: InteractiveFigure) -> None:
    assert assert_drawn_as_computed(widget) == DEFAULT
    check_reset(widget, figure, "lr", "gap")


@pytest.mark.browser
def test_mouse(widget: Widget) -> None:
    assert check_drag(widget, "lr", 0.4, 0.1, PANELS) < 0.3
    assert_drawn_as_computed(widget)


@pytest.mark.browser
def test_keyboard_walks_over_the_edge(widget: Widget) -> None:
    walked = []
    for _ in range(6):
        widget.press("lr", "ArrowRight")
        walked.append(assert_drawn_as_computed(widget)["lr"])
    assert walked == [1.3, 1.6, 2.0, 2.3, 2.5, 3.0]
    assert len(widget.state().frame["gap"]["overflow"][0]) == 1
    assert "overflows" in widget.root.locator('[data-panel="gap"]').inner_text()


@pytest.mark.browser
def test_choices(widget: Widget) -> None:
    for rule in ("logistic", "ngd"):
        before = widget.paths("loss")
        widget.control("rule").locator("select").select_option(rule)
        assert widget.paths("loss") != before
        assert assert_drawn_as_computed(widget)["rule"] == rule
    widget.control("data").locator("select").select_option("wide")
    assert assert_drawn_as_computed(widget)["data"] == "wide"


@pytest.mark.browser
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_telephone(chromium: Any, figure: InteractiveFigure, tmp_path: Path, theme: str) -> None:
    check_telephone(chromium, figure, tmp_path, theme, "lr")
