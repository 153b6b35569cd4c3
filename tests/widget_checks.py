"""What every widget must do in a browser, whatever it shows."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from browser import Watched, Widget
from widget_toys import write_page

from margin_lab.book.widgets import InteractiveFigure


def last_value(figure: InteractiveFigure, slider: str) -> Any:
    """The right end of a slider."""
    return next(control.values[-1] for control in figure.controls if control.name == slider)


def check_reset(widget: Widget, figure: InteractiveFigure, slider: str, panel: str) -> None:
    """The slider's end changes the panel; the reset button brings the default setting and its picture back."""
    before = widget.paths(panel)
    widget.press(slider, "End")
    assert widget.state().setting[slider] == last_value(figure, slider)
    assert widget.paths(panel) != before
    widget.root.get_by_role("button", name="Reset").click()
    assert widget.state().setting == figure.default
    assert widget.paths(panel) == before


def check_drag(widget: Widget, slider: str, start: float, end: float, panels: Iterable[str]) -> Any:
    """The mouse drags the slider between two shares of its length, and all panels change; return its value."""
    before = {panel: widget.paths(panel) for panel in panels}
    widget.drag(slider, start, end)
    assert all(widget.paths(panel) != paths for panel, paths in before.items())
    return widget.state().setting[slider]


def check_telephone(
    chromium: Any, figure: InteractiveFigure, directory: Path, theme: str, slider: str
) -> None:
    """On a 360 px touch screen nothing sticks out, and a tap at the slider's right end takes its last value."""
    watched = Watched(chromium, offline=True, width=360, height=740, has_touch=True, is_mobile=True)
    watched.open_file(write_page(directory, figure, theme=theme))
    widget = watched.widget(figure.name)
    assert watched.page.evaluate("document.documentElement.scrollWidth") <= 360
    handle = widget.slider(slider)
    handle.scroll_into_view_if_needed()
    box = handle.bounding_box()
    watched.page.touchscreen.tap(box["x"] + 0.97 * box["width"], box["y"] + box["height"] / 2)
    assert widget.state().setting[slider] == last_value(figure, slider)
    watched.assert_clean()
    watched.context.close()
