"""What every widget offers around its picture: axes that hold still, words, rings, a clock; phones; forced colours."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import Watched, Widget
from widget_toys import tools_page, toy, write_page

from margin_lab.book.widgets import INK, Axis, Clock, InteractiveFigure, Panel, Series, Slider, Stop

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tools_page(tmp_path_factory.mktemp("tools"))


@pytest.fixture
def watched(chromium: Any, page: Path) -> Iterator[Watched]:
    watched = Watched(chromium, offline=True)
    watched.open_file(page)
    yield watched
    watched.assert_clean()
    watched.context.close()


def ticks(widget: Widget, panel: str, which: int = 1) -> list[str]:
    """Labels of an axis: 0 for x, 1 for y."""
    axis = widget.root.locator(f'[data-panel="{panel}"] .ml-axis').nth(which)
    return list(axis.locator("text").all_text_contents())


def test_axes_hold_still_while_sliders_move(watched: Watched) -> None:
    widget = watched.widget("growth")
    before = ticks(widget, "run")
    assert before[-1] == "24" or float(before[-1]) >= 20  # as far as slope 3 needs, at slope 1
    line = widget.paths("run")
    for slope in (2, 3):
        widget.press("slope", "ArrowRight")
        assert widget.state().setting["slope"] == slope
        assert ticks(widget, "run") == before
        assert widget.paths("run") != line
    widget.button("Free axes").click()
    widget.press("slope", "Home")
    assert float(ticks(widget, "run")[-1]) <= 9
    widget.button("Free axes").click()
    assert ticks(widget, "run") == before
    widget.control("kind").locator("select").select_option("exponential")  # another list entry: other axes
    assert ticks(widget, "run") != before


def test_nothing_jumps_when_a_legend_grows(watched: Watched) -> None:
    widget = watched.widget("growth")

    def tops() -> Any:
        return widget.root.locator(".ml-canvas").evaluate_all(
            "all => all.map(e => e.getBoundingClientRect().top + scrollY)"
        )

    before = tops()
    widget.press("slope", "ArrowRight")  # the entry that only this setting has
    assert widget.root.get_by_text("a long label").is_visible()
    assert tops() == before


@pytest.mark.parametrize("scale", ["linear", "log", "symlog"])
def test_ticks_never_repeat_a_label_nor_touch(chromium: Any, tmp_path: Path, scale: str) -> None:
    spans = [
        (1.1510, 1.1512),
        (1.0, 1.0),
        (1e-9, 3e-9),
        (0.9, 1.1),
        (1e-16, 1e16),
        (-1.0, 1e8),
        (-30.0, 28.0),
        (999.0, 1001.0),
    ]
    panels = [
        Panel(f"p{i}", f"{low} to {high}", Axis("x"), Axis("y", scale), (Series("y", "y", INK),))
        for i, (low, high) in enumerate(spans)
    ]
    frame = {f"p{i}": {"y": (np.array([0.0, 1.0]), np.array(span))} for i, span in enumerate(spans)}
    figure = InteractiveFigure(
        "ticks",
        title="Ticks",
        alt="Axes of many spans",
        controls=[Slider("s", "S", (0, 1), 0)],
        panels=panels,
        compute=lambda all_: [frame for _ in all_],
    )
    watched = Watched(chromium, offline=True)
    watched.open_file(write_page(tmp_path, figure))
    widget = watched.widget("ticks")
    for i, span in enumerate(spans):
        labels = ticks(widget, f"p{i}")
        assert len(set(labels)) == len(labels), (span, labels)
        axis = widget.root.locator(f'[data-panel="p{i}"] .ml-axis').nth(1)
        boxes = axis.locator("text").evaluate_all(
            "all => all.map(e => e.getBoundingClientRect()).map(b => [b.top, b.bottom])"
        )
        boxes.sort()
        assert all(above[1] <= below[0] + 2 for above, below in itertools.pairwise(boxes)), (
            span,
            boxes,
        )
    watched.assert_clean()
    watched.context.close()


def test_an_empty_panel_says_why(watched: Watched) -> None:
    widget = watched.widget("growth")
    lines = widget.root.locator('[data-panel="empty"] .ml-empty').all_text_contents()
    assert " ".join(lines) == "Nothing here, and this is why."
    assert widget.root.locator('[data-panel="run"] .ml-empty').count() == 0


def test_rings_are_named_by_the_samples_numbers(watched: Watched) -> None:
    plane = watched.widget("growth").root.locator('[data-panel="plane"]')
    assert plane.locator(".ml-ring-name").all_text_contents() == ["z₂", "z₃"]
    assert plane.locator("circle[r='8']").count() == 2


def test_the_picture_in_words(watched: Watched) -> None:
    widget = watched.widget("growth")
    element = widget.root.locator(".ml-reading")
    assert element.get_attribute("aria-live") == "polite"
    assert widget.reading().startswith("A run: all 8.")
    widget.press("slope", "End")
    assert widget.reading().startswith("A run: all 24.")
    assert widget.root.get_attribute("aria-description") == "A run that grows"


def test_a_clock_draws_a_run_up_to_a_step(watched: Watched) -> None:
    widget = watched.widget("growth")
    widget.press("slope", "End")  # a period of three

    def points() -> int:
        return widget.paths("run")[0].count("L") + 1

    assert points() == 9
    clock = widget.root.locator(".ml-clock input")
    for name, step in (
        ("Next third", 3),
        ("Next third", 6),
        ("Next other", 7),
        ("Next other", 8),
        ("Next third", 3),
    ):
        widget.button(name).click()
        assert points() == step + 1
        assert clock.get_attribute("aria-valuetext") == str(step)
    assert "all 9" in widget.reading()  # 3 · 3, not the last one
    clock.press("ArrowRight")
    assert points() == 5
    widget.press("slope", "Home")  # another run, the same step
    assert points() == 5
    widget.button("Reset").click()
    assert points() == 9


def test_sliders_stay_in_view_on_a_telephone(chromium: Any, page: Path) -> None:
    watched = Watched(chromium, offline=True, width=390, height=844, has_touch=True, is_mobile=True)
    watched.open_file(page)
    widget = watched.widget("growth")
    last = widget.root.locator('[data-panel="plane"] .ml-canvas')
    last.evaluate("e => e.scrollIntoView({block: 'end'})")
    place = (
        "e => e.getBoundingClientRect().toJSON()"  # Playwright's own boxes do not know that something sticks
    )
    sliders, slider = (
        widget.root.locator(".ml-sliders").evaluate(place),
        widget.slider("slope").evaluate(place),
    )
    assert 0 <= slider["top"] < slider["bottom"] <= sliders["bottom"] < last.evaluate(place)["top"]
    assert sliders["width"] > 330
    assert sliders["height"] < 844 / 3
    assert watched.page.evaluate("document.documentElement.scrollWidth") <= 390
    watched.assert_clean()
    watched.context.close()


def test_forced_colours_keep_controls_and_ink_visible(chromium: Any, page: Path) -> None:
    watched = Watched(chromium, offline=True, forced_colors="active", color_scheme="dark")
    watched.open_file(page)
    widget = watched.widget("growth")
    canvas = watched.page.evaluate("getComputedStyle(document.body).backgroundColor")
    ink = widget.root.locator('[data-panel="run"] [data-series="y"] path').first.evaluate(
        "e => getComputedStyle(e).stroke"
    )
    assert ink != canvas
    slider = widget.slider("slope")
    slider.focus()
    watched.page.keyboard.press("ArrowRight")
    assert slider.evaluate("e => getComputedStyle(e).outlineStyle") == "solid"
    watched.assert_clean()
    watched.context.close()


def test_reduced_motion(chromium: Any, page: Path) -> None:
    watched = Watched(chromium, offline=True, reduced_motion="reduce")
    watched.open_file(page)
    widget = watched.widget("growth")
    moving = widget.root.locator("*").evaluate_all(
        "all => all.filter(e => !['0s', ''].includes(getComputedStyle(e).transitionDuration) "
        "&& getComputedStyle(e).transitionProperty !== 'none').length"
    )
    assert moving == 0
    watched.assert_clean()
    watched.context.close()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tries": {"Wrong": {"rate": 7.0}}}, "sets rate to 7.0; take one of"),
        ({"tries": {"Wrong": {"speed": 1.0}}}, "sets 'speed'; its controls are"),
        ({"predict": ("curve", "z")}, "series 'z' of panel 'curve'"),
        ({"clock": Clock("t", "curves", "y")}, "series 'y' of panel 'curves'"),
        ({"clock": Clock("t", "curve", "y", (Stop("Next", "beat"),))}, "counts 'beat', but its controls are"),
    ],
)
def test_declarations_are_checked(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        toy(**changes)
