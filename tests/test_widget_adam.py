"""The Adam widget: its numbers against runs of their own, and the static page in a real browser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import Widget, assert_frames_equal
from widget_checks import check_drag, check_reset, check_telephone

import margin_lab as ml
from margin_lab.book.widgets.adam import LR, RECORD, STEPS, Z, adam, compute
from margin_lab.book.widgets.framework.figure import MAX_GRID, InteractiveFigure

PANELS = ("direction", "loss", "step")
DEFAULT = {"eps": 1e-4, "memory": 10, "beta1": "0.9"}
Y = np.ones(len(Z))


def assert_shows_margin_labs_own_numbers(shown: Any, setting: dict[str, Any], rtol: float = 2e-5) -> None:
    """Compare with one run that knows nothing of the widget, and the theory with the rate law's own equation."""
    beta1, beta2 = float(setting["beta1"]), 1 - 1 / setting["memory"]
    run = ml.run_linear(
        Z, Y, "adam", STEPS, lr=LR, beta1=beta1, beta2=beta2, eps=setting["eps"], record=RECORD
    )
    t, angle = shown["direction"]["adam"]
    np.testing.assert_array_equal(t, run.steps[1:])
    np.testing.assert_allclose(np.tan(np.radians(angle)), run.w[1:, 1] / run.w[1:, 0], rtol=rtol)
    np.testing.assert_allclose(shown["loss"]["adam"][1], run.log_loss[1:] / np.log(10), rtol=rtol, atol=1e-9)
    at, length = shown["step"]["adam"]
    w = dict(zip(run.steps.tolist(), run.w, strict=True))
    moved = [np.abs(w[int(s)] - w[int(s) - 1]).max() / LR for s in at]
    # w is known to rounding, and its differences are short
    np.testing.assert_allclose(length, moved, rtol=rtol, atol=1e-7)
    margin = ml.hard_margin(Z, Y, "linf").margin
    throttle = shown["step"]["law"][1][0]
    assert throttle == pytest.approx(ml.adam_theory.throttle(throttle * LR * margin, beta1, beta2), rel=1e-3)


def setting(eps: float, memory: float, beta1: str = "0.9") -> dict[str, Any]:
    return {"eps": eps, "memory": memory, "beta1": beta1}


def test_compute_equals_single_runs() -> None:
    wanted = [
        setting(eps, memory, beta1) for eps in (1e-8, 0.1) for memory in (1, 300) for beta1 in ("0", "0.9")
    ]
    for one, frame in zip(wanted, compute(wanted), strict=True):
        assert_shows_margin_labs_own_numbers(frame, one, rtol=1e-9)


def test_what_the_sliders_are_there_to_show() -> None:
    """No eps and a short memory: sign descent for good. eps, or a long memory: it turns towards the l2 direction."""
    free, stopped, lagging = compute([setting(1e-16, 10), setting(1e-4, 10), setting(1e-16, 1000)])

    def angles(frame: Any) -> Any:
        return frame["direction"]["adam"][1]

    assert abs(angles(free)[20:] - 45).max() < 1
    assert angles(stopped)[40] > 44 > 36 > angles(stopped)[-1]
    assert angles(lagging)[-1] < 38
    assert len(free["loss"]["handover"][0]) == len(lagging["loss"]["handover"][0]) == 0
    # the predicted point lies on the curve
    (at,), (log_loss,) = stopped["loss"]["handover"]
    curve = stopped["loss"]["adam"]
    assert np.interp(at, *curve) == pytest.approx(log_loss, abs=0.3)


def test_a_memory_below_one_step_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1 step, got 0.5"):
        compute([setting(1e-8, 0.5)])


@pytest.fixture(scope="module")
def figure() -> InteractiveFigure:
    return adam()  # its sweep is computed once, whichever page asks first


def test_the_page_stays_small(figure: InteractiveFigure) -> None:
    assert len(figure.settings()) <= MAX_GRID
    assert len(figure.static_html()) < 1_000_000


def assert_drawn_as_computed(widget: Widget) -> dict[str, Any]:
    shown = widget.state()
    assert_frames_equal(shown.frame, compute([shown.setting])[0], rtol=2e-5)
    current: dict[str, Any] = shown.setting
    return current


@pytest.mark.browser
def test_first_picture_and_reset(widget: Widget, figure: InteractiveFigure) -> None:
    assert assert_drawn_as_computed(widget) == DEFAULT
    check_reset(widget, figure, "eps", "direction")


@pytest.mark.browser
def test_mouse(widget: Widget) -> None:
    assert check_drag(widget, "eps", 0.75, 0.2, PANELS) <= 1e-10
    assert_drawn_as_computed(widget)


@pytest.mark.browser
def test_keyboard_lengthens_the_memory(widget: Widget) -> None:
    walked = []
    for _ in range(2):
        widget.press("memory", "ArrowRight")
        walked.append(assert_drawn_as_computed(widget)["memory"])
    assert walked == [30, 100]


@pytest.mark.browser
def test_choice(widget: Widget) -> None:
    before = widget.paths("step")
    widget.control("beta1").locator("select").select_option("0")
    assert widget.paths("step") != before
    assert assert_drawn_as_computed(widget)["beta1"] == "0"


@pytest.mark.browser
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_telephone(chromium: Any, figure: InteractiveFigure, tmp_path: Path, theme: str) -> None:
    check_telephone(chromium, figure, tmp_path, theme, "eps")
