"""The widgets of the built book in a real browser, from ``file://`` with the network cut."""

from __future__ import annotations

import re
from typing import Any

import pytest
from browser import Watched, Widget
from built_site import PAGES, SITE, WITH_WIDGET

pytestmark = pytest.mark.browser

if not PAGES:
    pytest.skip("the book is not built: run `make book` first", allow_module_level=True)


@pytest.mark.parametrize("name", WITH_WIDGET)
def test_every_slider_moves_its_plot(chromium: Any, name: str) -> None:
    watched = Watched(chromium, offline=True)
    page = watched.open_file(SITE / name)
    for i, root in enumerate(page.locator("[data-widget]").all()):
        root.locator(".ml-canvas svg").first.wait_for()
        widget = Widget(page, page.locator("[data-widget]").nth(i))
        for control in widget.root.locator("[data-control]:has(input[type=range])").all():
            control_name = str(control.get_attribute("data-control"))
            before, paths = widget.state().setting[control_name], _all_paths(widget)
            widget.press(control_name, "Home")
            if widget.state().setting[control_name] == before:  # the default is at this end
                widget.press(control_name, "End")
            assert widget.state().setting[control_name] != before
            assert _all_paths(widget) != paths, f"{control_name} moves, the plot does not"
            widget.root.get_by_role("button", name="Reset").click()
            assert _all_paths(widget) == paths
    watched.assert_clean()
    watched.context.close()


@pytest.mark.parametrize("name", WITH_WIDGET)
def test_page_adds_little(name: str) -> None:
    """What a page with a widget brings beyond the shared ``_static``: its HTML and its pictures."""
    page = SITE / name
    text = page.read_text(encoding="utf-8")
    pictures = {page.parent / source for source in re.findall(r'src="([^":]*_images/[^"]+)"', text)}
    # chapter 4's widget carries every cycle of its runs, 0.8 MB: more than a page should add, and to be thinned
    most = 2_100_000 if page.name == "04_prgd.html" else 1_500_000
    assert page.stat().st_size + sum(p.resolve().stat().st_size for p in pictures) < most


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", WITH_WIDGET)
def test_widget_fits_a_telephone(chromium: Any, name: str, theme: str) -> None:
    watched = Watched(chromium, offline=True, width=360, height=740, color_scheme=theme)
    page = watched.open_file(SITE / name)
    for root in page.locator("[data-widget]").all():
        root.locator(".ml-canvas svg").first.wait_for()
        box = root.bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 360
        ink = root.locator(".ml-frame").evaluate("e => parseInt(getComputedStyle(e).color.slice(4))")
        assert (ink > 128) == (theme == "dark")
    watched.context.close()


def _all_paths(widget: Widget) -> list[str]:
    marks = widget.root.locator(".ml-marks path")
    return list(marks.evaluate_all("all => all.map(path => path.getAttribute('d'))"))
