"""The book's widgets in a real browser: from ``file://``, no network, moved by mouse and by keyboard."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import Watched, Widget, assert_frames_equal
from widget_toys import toy, toy_frames, write_page

import margin_lab as ml
from margin_lab import datasets

pytestmark = pytest.mark.browser

DATA = {
    "dataset_1": datasets.dataset_1,
    "dataset_i": datasets.dataset_i,
    "five": lambda: datasets.prescribed_support(5, seed=4),
}


@pytest.fixture(scope="module")
def prgd_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_page(tmp_path_factory.mktemp("prgd"), ml.widgets.prgd())


@pytest.fixture(scope="module")
def toy_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_page(tmp_path_factory.mktemp("toy"), toy(), toy(title="another"))


@pytest.fixture
def prgd(chromium: Any, prgd_page: Path) -> Iterator[Widget]:
    watched = Watched(chromium, offline=True)
    watched.open_file(prgd_page)
    yield watched.widget("prgd")
    watched.assert_clean()
    watched.context.close()


@pytest.fixture
def toys(chromium: Any, toy_page: Path) -> Iterator[Watched]:
    watched = Watched(chromium, offline=True)
    watched.open_file(toy_page)
    yield watched
    watched.assert_clean()
    watched.context.close()


def assert_shows_margin_labs_own_numbers(widget: Widget) -> None:
    """Compare the screen with runs that know nothing of the widget: one run each, with its own warm-up."""
    shown = widget.state()
    s = shown.setting
    data = DATA[s["data"]]()
    radii = ml.optim.exponential_radii(s["growth"])
    prgd = ml.run_linear(
        data.X, data.y, "prgd", 160, lr=s["lr"], radii=radii, period=int(s["period"]), record="all"
    )
    start = ml.run_linear(data.X, data.y, "gd", 1000, lr=s["lr"]).w[-1]
    ngd = ml.run_linear(data.X, data.y, "ngd", 160, lr=s["lr"], w0=start, record="all")
    for name, run in (("prgd", prgd), ("ngd", ngd)):
        steps, gap = shown.frame["gap"][name]
        np.testing.assert_array_equal(steps, run.steps)
        np.testing.assert_allclose(gap, np.maximum(data.margin - run.margin, 1e-16), rtol=2e-6, atol=2e-15)
        along, distance = shown.frame["path"][name]
        np.testing.assert_allclose(along, run.w @ data.w_star, rtol=2e-6)
        across = np.linalg.norm(run.w - np.outer(run.w @ data.w_star, data.w_star), axis=1)
        scale = np.abs(run.w).max(axis=1)
        assert (distance >= 0).all()
        assert np.all(np.abs(distance - across) <= 2e-6 * distance + 1e-12 * scale)
        angle = np.degrees(across / along)  # small
        rounding = 1e-8 + 1e-10 * scale / along
        np.testing.assert_array_less(np.abs(shown.frame["angle"][name][1] - angle), 2e-3 * angle + rounding)


def test_prgd_first_picture(prgd: Widget) -> None:
    assert prgd.state().setting == {"growth": 1.2, "period": 5, "lr": 1, "data": "dataset_1"}
    assert prgd.status().startswith("precomputed")
    assert_shows_margin_labs_own_numbers(prgd)


def test_prgd_mouse(prgd: Widget) -> None:
    before = {panel: prgd.paths(panel) for panel in ("angle", "path", "gap")}
    prgd.drag("growth", 0.5, 0.9)
    assert prgd.state().setting["growth"] > 1.2
    assert all(prgd.paths(panel) != before[panel] for panel in before)
    assert_shows_margin_labs_own_numbers(prgd)


def test_prgd_keyboard(prgd: Widget) -> None:
    before = prgd.paths("gap")
    prgd.press("period", "ArrowRight")
    prgd.press("lr", "Home")
    prgd.press("growth", "ArrowLeft", times=2)
    assert prgd.state().setting == {"growth": 1.05, "period": 10, "lr": 0.3, "data": "dataset_1"}
    assert prgd.paths("gap") != before
    assert_shows_margin_labs_own_numbers(prgd)


def test_prgd_choice_and_reset(prgd: Widget) -> None:
    before = prgd.paths("path")
    for name in ("dataset_i", "five"):
        prgd.control("data").locator("select").select_option(name)
        assert prgd.state().setting["data"] == name
        assert prgd.paths("path") != before
        assert_shows_margin_labs_own_numbers(prgd)
    prgd.press("growth", "End")
    prgd.root.get_by_role("button", name="Reset").click()
    assert prgd.state().setting == {"growth": 1.2, "period": 5, "lr": 1, "data": "dataset_1"}
    assert prgd.paths("path") == before


def test_prgd_snaps_to_the_grid_and_says_so(prgd: Widget) -> None:
    before = prgd.paths("gap")
    prgd.type("growth", "1.43")
    assert prgd.state().setting["growth"] == 1.5
    assert "precomputed: 1.5" in prgd.status()
    assert "1.43" in prgd.status()
    assert prgd.control("growth").locator("input[type=number]").input_value() == "1.5"
    assert prgd.paths("gap") != before
    prgd.type("growth", "100")  # beyond the end
    assert prgd.state().setting["growth"] == 2
    prgd.type("growth", "1.05")  # on the grid: nothing to say
    assert prgd.state().setting["growth"] == 1.05
    assert "nearest" not in prgd.status()
    assert_shows_margin_labs_own_numbers(prgd)


def test_every_setting_of_a_page_is_what_compute_says(toys: Watched) -> None:
    widget = toys.widget("toy")
    for kind in ("long", "short"):
        widget.control("kind").locator("select").select_option(kind)
        for rate in (0.1, 0.3, 1.0, 3.0):
            widget.type("rate", str(rate))
            widget.press("offset", "Home")
            for offset in (0, 1, 2, 3):
                shown = widget.state()
                assert shown.setting == {"rate": rate, "offset": offset, "kind": kind}
                assert_frames_equal(shown.frame, toy_frames([shown.setting])[0], rtol=1e-6)
                widget.press("offset", "ArrowRight")


def test_two_widgets_on_a_page_do_not_disturb_each_other(toys: Watched) -> None:
    first, second = toys.widget("toy", 0), toys.widget("toy", 1)
    before = second.paths("curve")
    first.drag("rate", 0.3, 1.0)
    assert first.state().setting["rate"] == 3
    assert second.state().setting["rate"] == 0.3
    assert second.paths("curve") == before


def test_number_box_keeps_its_value_when_nothing_is_typed(toys: Watched) -> None:
    widget = toys.widget("toy")
    widget.type("rate", "")
    assert widget.control("rate").locator("input[type=number]").input_value() == "0.3"
    box = widget.control("rate").locator("input[type=number]")
    box.press("ArrowUp")  # one step of the slider, not + 1
    assert widget.state().setting["rate"] == 1


def test_readers_of_all_kinds(toys: Watched) -> None:
    """Names for screen readers, keys kept from JupyterLab, labels shown as text."""
    widget = toys.widget("toy")
    page = toys.page
    assert widget.root.get_attribute("role") == "group"
    assert page.get_by_role("slider", name="Rate", exact=True).first.get_attribute("aria-valuetext") == "0.3"
    assert page.get_by_role("spinbutton", name="Rate, exact value").first.is_visible()
    assert page.get_by_role("combobox", name="Kind").first.is_visible()
    assert page.get_by_role("img", name="Curve: y against x").first.is_visible()
    for control in widget.root.locator("input, select, button").all():
        assert control.get_attribute("data-lm-suppress-shortcuts") == "true"
    assert "</script><b>bold</b>" in widget.root.locator(".ml-title").inner_text()


def test_pointer_reads_the_same_iteration_in_every_panel(prgd: Widget) -> None:
    steps, gap = prgd.state().frame["gap"]["prgd"]
    box = prgd.root.locator('[data-panel="gap"] .ml-canvas').bounding_box()
    line = prgd.root.locator('[data-panel="gap"] [data-series="prgd"] path').get_attribute("d")
    x, y = (float(v) for v in line.split("L")[80].split(","))
    prgd.page.mouse.move(box["x"] + x, box["y"] + y + 3)
    read = prgd.root.locator('[data-panel="gap"] .ml-probe-text').text_content()
    iteration, value = read.split(", ")
    mantissa, exponent = value.split("·10")
    number = float(mantissa) * 10 ** int(exponent.translate(str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")))
    np.testing.assert_allclose(number, gap[int(iteration)], rtol=0.02)
    assert abs(int(iteration) - steps[80]) <= 2
    assert prgd.root.locator(".ml-probe-ring").count() == 3  # in the angle and the path, too
    prgd.page.mouse.move(box["x"], box["y"] - 300)
    assert prgd.root.locator(".ml-probe-ring").count() == 0


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_telephone(chromium: Any, tmp_path: Path, theme: str) -> None:
    """At 360 px nothing sticks out, letters keep their size, a finger moves the slider."""
    watched = Watched(chromium, offline=True, width=360, height=740, has_touch=True, is_mobile=True)
    watched.open_file(write_page(tmp_path, toy(), theme=theme))
    widget = watched.widget("toy")
    assert watched.page.evaluate("document.documentElement.scrollWidth") <= 360
    sizes = widget.root.locator("svg text").evaluate_all(
        "all => all.map(t => parseFloat(getComputedStyle(t).fontSize))"
    )
    assert min(sizes) >= 11
    slider = widget.slider("rate")
    slider.scroll_into_view_if_needed()
    box = slider.bounding_box()
    assert box["height"] >= 24
    watched.page.touchscreen.tap(box["x"] + 0.97 * box["width"], box["y"] + box["height"] / 2)
    assert widget.state().setting["rate"] == 3
    ink, paper = widget.root.locator(".ml-frame").evaluate(
        "e => [getComputedStyle(e).color, getComputedStyle(e).backgroundColor].map(c => parseInt(c.slice(4)))"
    )
    assert (ink > paper) == (theme == "dark")
    watched.assert_clean()
    watched.context.close()


def test_without_javascript_the_picture_stays(chromium: Any, toy_page: Path) -> None:
    watched = Watched(chromium, offline=True, java_script_enabled=False)
    page = watched.open_file(toy_page)
    picture = page.locator('[data-widget="toy"] img').first
    assert picture.is_visible()
    assert picture.bounding_box()["width"] > 200
    watched.context.close()


def test_a_widget_that_cannot_draw_fails_the_helper(chromium: Any, tmp_path: Path) -> None:
    """The guard of all browser tests works: broken state shows in the widget, and ``assert_clean`` sees it."""
    path = write_page(tmp_path, toy())
    path.write_text(path.read_text().replace('"series":"ball"', '"series":"bell"'))
    watched = Watched(chromium, offline=True)
    page = watched.open_file(path)
    page.locator('[data-widget="toy"][data-state="error"]').wait_for()
    with pytest.raises(pytest.fail.Exception, match="widget 'toy' shows an error"):
        watched.assert_no_widget_failed()
    assert watched.errors
    watched.context.close()
