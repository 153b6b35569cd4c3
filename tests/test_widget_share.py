"""What a reader takes along or comes back to: pins, predictions, addresses, files, buttons to try."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from browser import Watched
from widget_toys import TRIES, tools_page, toy_frames

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tools_page(tmp_path_factory.mktemp("share"))


@pytest.fixture
def watched(chromium: Any, page: Path) -> Iterator[Watched]:
    watched = Watched(chromium, offline=True)
    watched.open_file(page)
    yield watched
    watched.assert_clean()
    watched.context.close()


def test_a_pin_leaves_a_ghost(watched: Watched) -> None:
    widget = watched.widget("growth")
    (first,) = widget.paths("run")[:1]
    widget.button("Pin").click()
    widget.press("slope", "End")
    ghost = widget.root.locator('[data-panel="run"] .ml-ghost[data-series="y"] path')
    assert ghost.get_attribute("d") == first
    assert (
        float(
            widget.root.locator('[data-panel="run"] .ml-ghost').first.evaluate(
                "e => getComputedStyle(e).opacity"
            )
        )
        < 0.5
    )
    assert "Pale: Slope 1." in widget.reading()
    assert widget.button("Pin").get_attribute("aria-pressed") == "true"
    widget.button("Pin").press("Enter")
    assert ghost.count() == 0
    assert "Pale" not in widget.reading()


def test_predict_first(watched: Watched) -> None:
    """By keyboard: nothing tells the answer before the guess, and then it says how far off the guess was."""
    widget = watched.widget("growth")
    drawn = widget.root.locator('[data-panel="run"] [data-series="y"] path')
    assert drawn.count() == 1
    widget.button("Predict").focus()
    widget.page.keyboard.press("Enter")
    assert drawn.count() == 0
    assert "“all”" in widget.root.locator(".ml-guess").inner_text()
    assert widget.root.locator('[data-panel="run"] .ml-last').first.text_content() == "?"
    assert "hidden until" in widget.reading()
    assert "8" not in widget.reading()
    widget.page.keyboard.press("Tab")  # CSV
    guess = widget.root.locator(".ml-guess input")
    guess.focus()
    widget.page.keyboard.press("End")
    assert widget.root.locator(".ml-guess-mark").count() == 1
    said = float(guess.get_attribute("aria-valuetext"))
    widget.page.keyboard.press("Tab")
    widget.page.keyboard.press("Enter")  # Show
    assert drawn.count() == 1
    answer = widget.root.locator(".ml-answer").inner_text()
    assert answer == f"You said {said:g}, it is 8: off by {said - 8:.3g}."
    assert "all 8" in widget.reading()
    widget.press("slope", "ArrowRight")  # another setting, another question
    assert drawn.count() == 0
    widget.button("Predict").click()
    assert drawn.count() == 1
    assert not guess.is_visible()


def test_the_address_keeps_the_setting_of_every_widget(watched: Watched) -> None:
    page = watched.page
    first, other, second = watched.widget("toy", 0), watched.widget("growth"), watched.widget("toy", 1)
    assert "#" not in page.url  # nothing moved, nothing said
    first.press("rate", "End")
    second.press("rate", "Home")
    other.control("kind").locator("select").select_option("exponential")
    assert page.url.split("#")[1].split(";") == [
        "toy?rate=3&offset=1&kind=long",
        "toy-2?rate=0.1&offset=1&kind=long",
        "growth?slope=1&kind=exponential",
    ]
    page.reload()
    assert watched.widget("toy", 0).state().setting["rate"] == 3
    assert watched.widget("toy", 1).state().setting["rate"] == 0.1
    assert watched.widget("growth").state().setting == {"slope": 1, "kind": "exponential"}


@pytest.mark.parametrize(
    ("fragment", "setting"),
    [
        ("toy?rate=1&kind=short", {"rate": 1, "offset": 1, "kind": "short"}),
        ("toy?rate=0.9&kind=nonsense", {"rate": 1, "offset": 1, "kind": "long"}),  # the nearest; the default
        ("toy?rate=abc&%E0%A4%A", {"rate": 0.3, "offset": 1, "kind": "long"}),
        ("%", {"rate": 0.3, "offset": 1, "kind": "long"}),
        ("growth?slope=3", {"rate": 0.3, "offset": 1, "kind": "long"}),
    ],
)
def test_any_address_gives_a_picture(watched: Watched, page: Path, fragment: str, setting: Any) -> None:
    watched.page.goto("about:blank")
    watched.page.goto(f"{page.as_uri()}#{fragment}")
    widget = watched.widget("toy")
    assert widget.state().setting == setting
    assert widget.slider("rate").get_attribute("aria-valuetext") == str(setting["rate"])


def test_a_link_in_the_text_sets_the_widget(watched: Watched) -> None:
    widget = watched.widget("toy")
    watched.page.evaluate("location.hash = 'toy?rate=1&offset=2'")
    watched.page.wait_for_function(
        "document.querySelector('[data-widget=toy]').marginLab.setting.offset === 2"
    )
    assert widget.state().setting == {"rate": 1, "offset": 2, "kind": "long"}


def test_after_back_a_widget_says_one_thing(watched: Watched, page: Path) -> None:
    widget = watched.widget("toy")
    widget.press("rate", "End")
    widget.control("kind").locator("select").select_option("short")
    (page.parent / "next.html").write_text("<!doctype html><title>next</title>")
    watched.page.goto((page.parent / "next.html").as_uri())
    watched.page.go_back()
    widget = watched.widget("toy")
    setting = widget.state().setting
    assert widget.control("kind").locator("select").input_value() == setting["kind"]
    assert widget.slider("rate").get_attribute("aria-valuetext") == str(setting["rate"])
    assert setting == {"rate": 3, "offset": 1, "kind": "short"}


def test_numbers_as_csv(watched: Watched) -> None:
    widget = watched.widget("toy")
    widget.press("rate", "End")
    with watched.page.expect_download() as info:
        widget.button("CSV").click()
    assert info.value.suggested_filename == "toy.csv"
    lines = Path(info.value.path()).read_text(encoding="utf-8").splitlines()
    assert lines[0] == "# A toy: </script><b>bold</b> & more"
    assert lines[1] == "# rate=3, offset=1, kind=long"
    rows = list(csv.DictReader(line for line in lines if not line.startswith("#")))
    expected = toy_frames([{"rate": 3.0, "offset": 1, "kind": "long"}])[0]["curve"]["y"]
    mine = [row for row in rows if (row["panel"], row["series"]) == ("Curve", "y")]
    np.testing.assert_allclose([float(row["y"]) for row in mine], expected[1], rtol=1e-6)
    np.testing.assert_array_equal([float(row["x"]) for row in mine], expected[0])


def test_picture_as_svg(watched: Watched, chromium: Any) -> None:
    widget = watched.widget("toy")
    with watched.page.expect_download() as info:
        widget.button("SVG").click()
    assert info.value.suggested_filename == "toy.svg"
    text = Path(info.value.path()).read_text(encoding="utf-8")
    tree = ET.fromstring(text)
    words = [element.text for element in tree.iter("{http://www.w3.org/2000/svg}text")]
    assert {"Curve", "Plane", "x₁", "ball"} <= set(words)  # titles, axes, legends
    assert "var(" not in text  # no style sheet is needed
    assert re.search(r"stroke: rgb\(0, 114, 178\)", text)
    assert float(tree.get("height")) > 300


def test_buttons_to_try(watched: Watched) -> None:
    widget = watched.widget("toy")
    assert widget.root.get_by_role("group", name="Things to try").get_by_role(
        "button"
    ).all_inner_texts() == list(TRIES)
    widget.button("Fast").click()
    assert widget.state().setting == {"rate": 3, "offset": 1, "kind": "short"}
    widget.button("Slow").press("Enter")
    assert widget.state().setting == {"rate": 0.1, "offset": 0, "kind": "long"}
    assert watched.page.url.endswith("#toy?rate=0.1&offset=0&kind=long")
