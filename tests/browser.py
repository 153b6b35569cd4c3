"""A real headless Chromium for the tests, and the one question all browser tests ask: did anything go wrong?"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

FLAGS = [
    "--headless",
    "--no-sandbox",  # CI runs as root
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
NAMES = ("chromium", "chromium-browser", "google-chrome")


def chromium_path() -> str:
    """Where Chromium is. Without one a test is skipped, but not in CI: there it would hide a broken widget."""
    found = os.environ.get("MARGIN_LAB_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if found:
        return found
    reason = f"no Chromium: install one of {', '.join(NAMES)}, or set MARGIN_LAB_CHROMIUM to its path"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@contextmanager
def open_browser() -> Iterator[Any]:
    """Start Chromium; closed at the end."""
    executable = chromium_path()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()


class Watched:
    """A page that records every request, console message and uncaught error."""

    def __init__(self, browser: Any, *, offline: bool, width: int = 1280, height: int = 1000, **context: Any):
        self.context = browser.new_context(viewport={"width": width, "height": height}, **context)
        self.page = self.context.new_page()
        self.requests: list[str] = []
        self.console: list[str] = []
        self.errors: list[str] = []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("requestfailed", lambda request: self.errors.append(f"failed: {request.url}"))
        self.page.on("console", self._note)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.context.set_offline(offline)

    def _note(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.console.append(f"{message.type}: {message.text}")

    def open_file(self, path: Path) -> Any:
        """Load a local file."""
        self.page.goto(path.as_uri())
        return self.page

    def widget(self, name: str, nth: int = 0, timeout: int = 60_000) -> Widget:
        """The page's widget of this name, once it is drawn."""
        root = self.page.locator(f'[data-widget="{name}"]').nth(nth)
        root.locator("css=.ml-canvas svg").first.wait_for(timeout=timeout)
        return Widget(self.page, root)

    def assert_no_widget_failed(self) -> None:
        """Fail where a widget shows an error: an exception in its callback, or in its drawing."""
        for root in self.page.locator("[data-widget]").all():
            if root.get_attribute("data-state") == "error":
                text = root.locator(".ml-error").all_inner_texts()
                pytest.fail(f"widget {root.get_attribute('data-widget')!r} shows an error: {' '.join(text)}")

    def assert_clean(self) -> None:
        """No failed widget, no console error or warning, no request away from the file system."""
        self.assert_no_widget_failed()
        assert self.errors == []
        assert self.console == []
        away = [url for url in self.requests if not url.startswith(("file://", "data:", "blob:"))]
        assert away == [], f"requests left the page: {away}"


class Widget:
    """One widget on a page, driven as a reader would."""

    def __init__(self, page: Any, root: Any):
        self.page, self.root = page, root

    def state(self) -> Any:
        """``setting``, and ``frame[panel][series] = (x, y)``: the numbers that are on the screen."""
        raw = self.root.evaluate(
            """root => ({
                setting: root.marginLab.setting,
                frame: Object.fromEntries(Object.entries(root.marginLab.frame).map(([panel, all]) => [panel,
                    Object.fromEntries(Object.entries(all).map(([name, s]) =>
                        [name, {x: Array.from(s.x, String), y: Array.from(s.y, String)}]))])),
            })"""
        )
        frame = {
            panel: {
                name: tuple(np.array(s[axis], dtype=float) for axis in "xy") for name, s in series.items()
            }
            for panel, series in raw["frame"].items()
        }
        return SimpleNamespace(setting=raw["setting"], frame=frame)

    def paths(self, panel: str) -> list[str]:
        """What is drawn in a panel: the ``d`` of its paths."""
        marks = self.root.locator(f'[data-panel="{panel}"] .ml-marks path')
        return list(marks.evaluate_all("all => all.map(path => path.getAttribute('d'))"))

    def control(self, name: str) -> Any:
        """A control's element."""
        return self.root.locator(f'[data-control="{name}"]')

    def slider(self, name: str) -> Any:
        """A control's range input."""
        return self.control(name).locator("input[type=range]")

    def drag(self, name: str, start: float, end: float) -> None:
        """Drag a slider with the mouse from one share of its length to another, in several moves."""
        slider = self.slider(name)
        slider.scroll_into_view_if_needed()
        box = slider.bounding_box()
        y = box["y"] + box["height"] / 2
        self.page.mouse.move(box["x"] + start * box["width"], y)
        self.page.mouse.down()
        self.page.mouse.move(box["x"] + end * box["width"], y, steps=12)
        self.page.mouse.up()

    def press(self, name: str, key: str, times: int = 1) -> None:
        """Press a key on a slider."""
        self.slider(name).focus()
        for _ in range(times):
            self.page.keyboard.press(key)

    def type(self, name: str, text: str) -> None:
        """Type into a control's number box and leave it with Enter."""
        box = self.control(name).locator("input[type=number]")
        box.fill(text)
        box.press("Enter")

    def status(self) -> str:
        """The status line."""
        return str(self.root.locator(".ml-status").inner_text())

    def button(self, name: str) -> Any:
        """A button of the widget."""
        return self.root.get_by_role("button", name=name, exact=True)

    def reading(self) -> str:
        """The picture in words, once the widget has told it: it waits until the reader has stopped moving."""
        self.page.wait_for_timeout(350)
        return str(self.root.locator(".ml-reading").text_content())

    def wait(self, state: str = "ready", timeout: int = 30_000) -> None:
        """Wait until the widget is in a state ("ready" or "error")."""
        self.page.wait_for_function(
            "([root, state]) => root.dataset.state === state",
            arg=[self.root.element_handle(), state],
            timeout=timeout,
        )


def assert_frames_equal(shown: Any, expected: Any, rtol: float) -> None:
    """What a widget shows equals what ``compute`` (or an independent run) says; the page drops NaN at the end."""
    assert shown.keys() == expected.keys()
    for panel, series in expected.items():
        for name, pair in series.items():
            present = np.flatnonzero(~np.isnan(np.asarray(pair, dtype=float)).all(axis=0))
            length = present[-1] + 1 if len(present) else 0
            for axis, got, want in zip(
                "xy", shown[panel][name], (side[:length] for side in pair), strict=True
            ):
                np.testing.assert_allclose(got, want, rtol=rtol, atol=1e-30, err_msg=f"{panel}.{name}.{axis}")
