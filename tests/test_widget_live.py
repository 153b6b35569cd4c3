"""Widgets in a live JupyterLab, driven in Chromium: any value is recomputed by ``margin_lab`` in the kernel."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from importlib import import_module

import numpy as np
import pytest
from browser import Watched, Widget, assert_frames_equal, chromium_path, open_browser
from jupyter_lab import jupyter_lab, run_cells, write_notebook
from widget_toys import toy_frames

import margin_lab as ml
from margin_lab.book.widgets.prgd import compute

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("lab")]  # one Lab, on one worker

SLOW = """
import time
from margin_lab.book.widgets import Axis, InteractiveFigure, Panel, Series, Slider
calls = []
def compute(settings):
    calls.append(settings[0]["a"])
    if len(calls) > 1:
        time.sleep(0.15)
    return [{"p": {"s": ([0, 1], [s["a"], len(calls)])}} for s in settings]
panel = Panel("p", "P", Axis("x"), Axis("y"), (Series("s", "s", "#0072B2"),))
InteractiveFigure("slow", title="Slow", controls=[Slider("a", "A", (0, 100), 0)], panels=[panel], compute=compute, alt="Slow")
"""


# The chapters' other widgets, each with a slider to move.
OTHERS = {
    "direction": "angle",
    "init_scale": "scale",
    "lexicographic": "rho",
    "norm": "position",
    "radius": "c",
    "step_size": "lr",
}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    chromium_path()  # skip before a server is started
    folder = tmp_path_factory.mktemp("lab")
    (folder / "notebooks").mkdir()
    cells = [
        "import margin_lab as ml\nml.widgets.prgd()",
        *(f"ml.widgets.{name}()" for name in OTHERS),
        "from widget_toys import toy\nfigure = toy()\nfigure",
        "figure",
        SLOW,
    ]
    write_notebook(folder / "notebooks" / "live.ipynb", *cells)
    with jupyter_lab(folder) as address, open_browser() as browser:
        watched = Watched(browser, offline=False, height=1400)
        watched.page.set_default_timeout(120_000)  # a busy machine starts Lab and its kernel slowly
        watched.page.goto(address.format(name="live.ipynb"))
        run_cells(watched.page, len(cells))
        watched.widget("slow", timeout=180_000)
        yield watched
        watched.context.close()


@pytest.fixture
def prgd(lab: Watched) -> Iterator[Widget]:
    widget = lab.widget("prgd")
    yield widget
    lab.assert_no_widget_failed()
    assert lab.errors == []


def wait_for(condition: Callable[[], bool], what: str, seconds: float = 15) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"waited {seconds} s for {what}"
        time.sleep(0.02)


def assert_live(widget: Widget, name: str, value: float) -> None:
    wait_for(lambda: widget.state().setting[name] == value, f"{name} = {value}")
    widget.wait("ready")
    assert widget.status().startswith("live")


def test_live_widget_starts_with_a_picture_from_the_kernel(prgd: Widget) -> None:
    assert prgd.root.get_attribute("data-source") == "live"
    assert prgd.state().setting == {"growth": 1.2, "period": 5, "lr": 1, "data": "dataset_1"}
    assert_frames_equal(prgd.state().frame, compute([prgd.state().setting])[0], rtol=1e-9)


def test_mouse_reaches_values_between_the_grid(prgd: Widget) -> None:
    before = prgd.paths("gap")
    prgd.drag("growth", 0.56, 0.71)
    growth = float(prgd.control("growth").locator("input[type=number]").input_value())
    assert growth not in (1.2, 1.3, 1.5, 2.0)  # not one of the book's
    assert_live(prgd, "growth", growth)
    assert prgd.paths("gap") != before
    s = prgd.state().setting
    data = ml.datasets.dataset_1()
    radii = ml.optim.exponential_radii(growth)
    run = ml.run_linear(
        data.X, data.y, "prgd", 160, lr=s["lr"], radii=radii, period=s["period"], record="all"
    )
    shown = prgd.state().frame
    np.testing.assert_allclose(shown["path"]["prgd"][0], run.w[:, 0], rtol=1e-9)
    np.testing.assert_allclose(shown["path"]["prgd"][1], run.w[:, 1], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(
        shown["gap"]["prgd"][1], np.maximum(data.margin - run.margin, 1e-16), atol=1e-15
    )


def test_keyboard_moves_the_slider_and_not_the_notebook(prgd: Widget) -> None:
    before = prgd.state().setting["lr"]
    prgd.press("lr", "ArrowRight", times=3)
    lr = float(prgd.control("lr").locator("input[type=number]").input_value())
    assert lr > before
    assert lr not in (0.3, 1.0, 2.0)
    assert_live(prgd, "lr", lr)
    assert prgd.slider("lr").evaluate("e => e === document.activeElement")
    assert_frames_equal(prgd.state().frame, compute([prgd.state().setting])[0], rtol=1e-9)


def test_number_box_takes_any_value(prgd: Widget) -> None:
    prgd.type("growth", "1.2345")
    assert_live(prgd, "growth", 1.2345)
    prgd.type("period", "7")
    assert_live(prgd, "period", 7)
    assert_frames_equal(prgd.state().frame, compute([prgd.state().setting])[0], rtol=1e-9)
    prgd.root.get_by_role("button", name="Reset").click()
    assert_live(prgd, "growth", 1.2)


@pytest.mark.parametrize(("name", "slider"), OTHERS.items())
def test_every_widget_recomputes_any_value(lab: Watched, name: str, slider: str) -> None:
    widget = lab.widget(name)
    shown = import_module(f"margin_lab.book.widgets.{name}")
    grid = next(c.values for c in getattr(shown, name)().controls if c.name == slider)
    for move in (lambda: widget.drag(slider, 0.5, 0.63), lambda: widget.press(slider, "ArrowLeft", times=3)):
        before = widget.state().setting[slider]
        move()
        value = float(widget.control(slider).locator("input[type=number]").input_value())
        assert value not in (before, *grid)
        assert_live(widget, slider, value)
        assert_frames_equal(widget.state().frame, shown.compute([widget.state().setting])[0], rtol=1e-9)
    lab.assert_no_widget_failed()


def test_delay_is_measured(prgd: Widget, record_property: Callable[[str, object], None]) -> None:
    """From the slider's event to the new picture. Reported, not asserted: it depends on the machine."""
    milliseconds = prgd.root.evaluate(
        """async root => {
            const range = root.querySelector('[data-control=growth] input[type=range]'), delays = [];
            for (let i = 0; i < 20; i++) {
                const start = performance.now(), before = root.marginLab;
                range.value = 120 + 7 * i;
                range.dispatchEvent(new Event('input'));
                while (root.marginLab === before) await new Promise(done => setTimeout(done, 1));
                delays.push(performance.now() - start);
            }
            return delays;
        }"""
    )
    median, worst = float(np.median(milliseconds)), max(milliseconds)
    record_property("delay_ms", {"median": median, "worst": worst})
    print(f"live slider, event to picture: median {median:.0f} ms, worst of 20 {worst:.0f} ms")


def test_two_views_of_one_widget_agree(lab: Watched) -> None:
    first, second = lab.widget("toy", 0), lab.widget("toy", 1)
    first.type("rate", "0.77")
    assert_live(first, "rate", 0.77)
    assert_live(second, "rate", 0.77)
    assert second.control("rate").locator("input[type=number]").input_value() == "0.77"
    assert second.paths("curve") == first.paths("curve")
    assert_frames_equal(second.state().frame, toy_frames([second.state().setting])[0], rtol=1e-12)
    lab.assert_no_widget_failed()


def test_dragging_drops_stale_wishes(lab: Watched) -> None:
    """Moves outrun the kernel; it computes a few of them, the last one among them, and nothing is queued up."""
    slow = lab.widget("slow")
    slow.drag("a", 0.02, 0.8)
    wanted = float(slow.control("a").locator("input[type=number]").input_value())
    moved = time.monotonic()
    assert_live(slow, "a", wanted)
    assert time.monotonic() - moved < 2
    value, calls = slow.state().frame["p"]["s"][1]
    assert value == wanted
    assert calls < 10  # of 13 moves


def test_an_exception_is_shown_and_fails_the_helper(lab: Watched) -> None:
    widget = lab.widget("toy")
    widget.type("offset", "13")
    widget.wait("error")
    assert "RuntimeError: thirteen <is> unlucky" in widget.root.locator(".ml-error").inner_text()
    with pytest.raises(pytest.fail.Exception, match="widget 'toy' shows an error: RuntimeError: thirteen"):
        lab.assert_no_widget_failed()
    widget.type("offset", "2")  # and the widget recovers
    assert_live(widget, "offset", 2)
    lab.assert_no_widget_failed()


def test_margin_labs_own_complaints_reach_the_reader(lab: Watched) -> None:
    widget = lab.widget("prgd")
    widget.type("lr", "-1")
    widget.wait("error")
    assert "lr must be > 0" in widget.root.locator(".ml-error").inner_text()
    widget.root.get_by_role("button", name="Reset").click()
    assert_live(widget, "lr", 1)
    lab.assert_no_widget_failed()
