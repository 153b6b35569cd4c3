"""The lexicographic widget: its numbers against the paths themselves, and the static page in a real browser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import Widget, assert_frames_equal
from widget_checks import check_drag, check_reset, check_telephone

import margin_lab as ml
from margin_lab.book.widgets.framework.figure import MAX_GRID, InteractiveFigure
from margin_lab.book.widgets.lexicographic import EDGE, GRID, INTERVAL, compute, lexicographic
from margin_lab.theory.lexicographic import (
    BlindTo,
    DiagonalNet,
    Ensemble,
    constrained_path,
    lexicographic_margin,
    network_path,
    third_level_path,
)

LINEAR = {"l1": (EDGE, "l1"), "linf": (INTERVAL, "linf"), "l2": (EDGE, "l2")}
MODELS = (*LINEAR, "discarded", "needed", "third")
PANELS = ("plane", "margins", "shares", "missing")
DEFAULT = {"rho": 5.6, "model": "l1"}


def network(name: str, rho: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Point of the plane, sorted margins, shares: from Newton's method on the model's own parameters."""
    if name == "discarded":
        X, model = EDGE, Ensemble({"shallow": ml.models.MLP([2, 1]), "deep": DiagonalNet(2)})
    else:
        X = np.array([[0.3, 0.0, 1.0], [0.0, 1.0, 0.0]])
        parts = {
            "shallow": BlindTo(ml.models.MLP([3, 1]), [1, 1, 0]),
            "deep": BlindTo(DiagonalNet(3), [0, 0, 1]),
        }
        model = Ensemble(parts)
    path = network_path(model, X, np.ones(len(X)), rho, starts=4)
    q, theta = path.margins[0], path.theta[0]
    point = q if name == "needed" else theta[:2] + theta[2:4] ** 2 - theta[4:] ** 2
    return point / q.min(), np.sort(q) / q.min(), np.array([path.shares[k][0] for k in ("shallow", "deep")])


def assert_shows_margin_labs_own_numbers(frame: Any, setting: dict[str, Any], atol: float = 2e-6) -> None:
    name, rho = setting["model"], setting["rho"]
    point = np.concatenate(frame["plane"]["now"])
    margins, shares = frame["margins"]["now"][1], frame["shares"]["now"][1]
    if name in LINEAR:
        Z, norm = LINEAR[name]
        path = constrained_path(Z, np.ones(len(Z)), rho, norm)
        end = lexicographic_margin(Z, np.ones(len(Z)), norm)
        q = np.sort(path.margins[0])
        np.testing.assert_allclose(point, path.w[0] / q[0], atol=atol)
        np.testing.assert_allclose(margins, q / q[0], atol=atol)
        np.testing.assert_allclose(
            np.concatenate(frame["plane"]["target"]), end.w / end.levels[0].margin, atol=atol
        )
        np.testing.assert_allclose(
            shares.sum(), np.abs(path.w[0]).sum() / rho if norm != "l2" else 1, atol=atol
        )
    elif name == "third":
        a, b = third_level_path(np.array([rho]))
        np.testing.assert_allclose(point, [a[0], 2 * b[0] - 1], atol=atol)
        np.testing.assert_allclose(
            margins, np.array([1 - a**2, 2 + a * (1 - b), 3 + b])[:, 0] / (1 - a[0] ** 2), atol=atol
        )
    else:
        assert shares.sum() == pytest.approx(1, abs=atol)
        if rho <= 2:  # beyond, float64's plain loss is flat
            for shown, own in zip((point, margins, shares), network(name, rho), strict=True):
                np.testing.assert_allclose(shown, own, atol=max(atol, 1e-7))
    target = np.concatenate(frame["plane"]["target"])
    np.testing.assert_allclose(
        frame["missing"]["now"][1][0], max(np.linalg.norm(point - target), 1e-9), rtol=1e-3, atol=3 * atol
    )


@pytest.mark.parametrize("name", MODELS)
def test_compute_equals_the_paths(name: str) -> None:
    wanted = [{"rho": rho, "model": name} for rho in (1.8, 3.7, 100.0)]
    for setting, frame in zip(wanted, compute(wanted), strict=True):
        assert_shows_margin_labs_own_numbers(frame, setting, atol=1e-8)
        k = np.searchsorted(GRID, setting["rho"])
        for panel in ("margins", "shares", "missing"):
            curves = [
                v for series, v in frame[panel].items() if series not in ("now", "cursor") and len(v[0])
            ]
            assert all(np.array_equal(x, GRID) for x, _ in curves)
            if GRID[k] == setting["rho"]:
                np.testing.assert_allclose(sorted(y[k] for _, y in curves), sorted(frame[panel]["now"][1]))


def test_what_the_slider_is_there_to_show() -> None:
    """Distance falls like 1/rho, discarded and needed shares, and the third level that is lost."""
    frames = dict(zip(MODELS, compute([{"rho": 320.0, "model": m} for m in MODELS]), strict=True))
    for name in ("l1", "linf"):
        rho, missing = frames[name]["missing"]["missing"]
        slope = np.polyfit(np.log(rho[8:]), np.log(missing[8:]), 1)[0]
        assert slope == pytest.approx(-1, abs=0.02)
    np.testing.assert_allclose(frames["discarded"]["shares"]["s0"][1], 0.5 / GRID**2)
    assert frames["needed"]["shares"]["s0"][1][-1] > 0.99
    third = frames["third"]["missing"]["missing"][1]
    assert third[0] < 1e-8 and third[-1] > 1.98


@pytest.fixture(scope="module")
def figure() -> InteractiveFigure:
    return lexicographic()


def test_the_page_stays_small(figure: InteractiveFigure) -> None:
    assert len(figure.settings()) <= MAX_GRID
    assert len(figure.static_html()) < 150_000


def assert_drawn_as_computed(widget: Widget) -> dict[str, Any]:
    shown = widget.state()
    assert_frames_equal(shown.frame, compute([shown.setting])[0], rtol=2e-6)
    assert_shows_margin_labs_own_numbers(shown.frame, shown.setting)
    setting: dict[str, Any] = shown.setting
    return setting


@pytest.mark.browser
def test_first_picture_and_reset(widget: Widget, figure: InteractiveFigure) -> None:
    assert assert_drawn_as_computed(widget) == DEFAULT
    check_reset(widget, figure, "rho", "missing")


@pytest.mark.browser
def test_mouse_and_keyboard(widget: Widget) -> None:
    assert check_drag(widget, "rho", 0.3, 0.9, PANELS) > 100
    assert_drawn_as_computed(widget)
    widget.press("rho", "Home")
    walked = []
    for _ in range(3):
        widget.press("rho", "ArrowRight")
        walked.append(assert_drawn_as_computed(widget)["rho"])
    assert walked == [1.3, 1.8, 2.4]


@pytest.mark.browser
def test_choices(widget: Widget) -> None:
    for model in MODELS[1:]:
        before = widget.paths("shares")
        widget.control("model").locator("select").select_option(model)
        assert widget.paths("shares") != before
        assert assert_drawn_as_computed(widget)["model"] == model


@pytest.mark.browser
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_telephone(chromium: Any, figure: InteractiveFigure, tmp_path: Path, theme: str) -> None:
    check_telephone(chromium, figure, tmp_path, theme, "rho")
