"""Widgets without a browser: declarations, packing, what is displayed where, Colab's path, sizes."""

from __future__ import annotations

import base64
import json
import re
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from widget_toys import sphinx_extension, toy, toy_frames

import margin_lab as ml
from margin_lab.book.widgets import Axis, Choice, InteractiveFigure, Panel, Series, Slider
from margin_lab.book.widgets.framework import front_end
from margin_lab.book.widgets.framework.figure import MAX_GRID, STATIC_FLAG
from margin_lab.book.widgets.framework.live import respond
from margin_lab.book.widgets.framework.pack import pack

WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
PANEL = Panel("p", "P", Axis("x"), Axis("y"), (Series("s", "s", "#000000"),))


def unpack(columns: list[dict[str, Any]], data: bytes, dtype: str, setting: int) -> dict[str, Any]:
    """An independent reading of the packed format."""
    values = np.frombuffer(data, "<" + dtype)
    frame: dict[str, Any] = {}
    for c in columns:
        start = c["start"] + (c["index"][setting] if c["index"] else 0) * c["length"]
        frame.setdefault(c["panel"], {}).setdefault(c["series"], {})[c["axis"]] = values[
            start : start + c["length"]
        ]
    return frame


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_pack_keeps_every_setting_and_pads_with_nan(dtype: str) -> None:
    figure = toy()
    settings = figure.settings()
    frames = figure.frames(settings)
    columns, data = pack(frames, figure.panels, dtype)
    for i, frame in enumerate(frames):
        read = unpack(columns, data, dtype, i)
        for panel in frame:
            for name, (x, y) in frame[panel].items():
                got = read[panel][name]
                np.testing.assert_array_equal(got["x"][: len(x)], np.asarray(x, dtype))
                np.testing.assert_array_equal(got["y"][: len(y)], np.asarray(y, dtype))
                assert np.isnan(got["x"][len(x) :]).all()
    shared = next(c for c in columns if c["series"] == "ball" and c["axis"] == "x")
    assert shared["rows"] == 1  # equal in all settings: stored once


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        ({}, "compute returned no series 's' of panel 'p'"),
        ({"p": {"s": ([1.0], [1.0]), "t": ([1.0], [1.0])}}, r"compute returned \['t'\]"),
        ({"p": {"s": ([1.0, 2.0], [1.0])}}, r"must be 1-d and of one length, got \(2,\) and \(1,\)"),
        ({"p": {"s": ([1.0], [1e39])}}, "holds numbers beyond 3e.38"),
    ],
)
def test_a_frame_that_does_not_fit_is_an_error_in_the_cell(frame: Any, message: str) -> None:
    controls = [Choice("c", "C", {"a": "a"})]
    with pytest.raises(ValueError, match=message):
        InteractiveFigure(
            "w", title="w", controls=controls, panels=[PANEL], compute=lambda s: [frame], alt="w"
        )


def test_a_widget_needs_alt_text() -> None:
    with pytest.raises(ValueError, match="widget 'toy' needs alt text"):
        toy(alt=" ")


def test_compute_that_raises_fails_the_cell() -> None:
    def broken(settings: list[dict[str, Any]]) -> Any:
        raise RuntimeError("no numbers today")

    with pytest.raises(RuntimeError, match="no numbers today"):
        toy(compute=broken)


def test_the_book_build_computes_the_whole_grid_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []

    def counted(settings: list[dict[str, Any]]) -> Any:
        calls.append(len(settings))
        return toy_frames(settings)

    monkeypatch.setenv(STATIC_FLAG, "1")
    figure = toy(compute=counted)
    assert calls == [4 * 4 * 2]
    figure.static_html()
    assert calls == [4 * 4 * 2]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Slider("a", "A", (1.0, 1.0), 1.0), "must increase"),
        (lambda: Slider("a", "A", (0.0, 1.0), 1.0, scale="log"), "must lie above 0.0, got 0.0"),
        (lambda: Slider("a", "A", (1.0, 2.0), 1.5), r"default of slider 'a' must be on its grid .* got 1.5"),
        (lambda: Slider("a", "A", (1.0, 2.0), 1.0, scale="cubic"), "scale of slider 'a' must be one of"),
        (lambda: Choice("a", "A", {}), "at least one option"),
        (lambda: Axis("a", "log", (0.0, 1.0)), "must lie above 0"),
        (lambda: Series("s", "s", "#000000", mark="pie"), "mark of series 's' must be one of"),
        (lambda: toy(controls=[]), "at least one control"),
        (lambda: toy(panels=[PANEL, PANEL]), "panel names must differ"),
        (
            lambda: toy(controls=[Slider("rate", "R", tuple(range(1, MAX_GRID + 3)), 1)]),
            f"has {MAX_GRID + 2} settings, at most {MAX_GRID}",
        ),
        (lambda: toy(compute=lambda settings: []), "returned 0 frames for 1 settings"),
    ],
)
def test_bad_declarations_say_what_to_do(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"rate": "fast", "offset": 1, "kind": "long"}, "Rate must be a number, got 'fast'"),
        ({"rate": 1.0, "offset": 1.5, "kind": "long"}, "Offset must be a whole number, got 1.5"),
        ({"rate": 1.0, "offset": 1, "kind": "wide"}, "Kind must be one of 'long', 'short', got 'wide'"),
        ({"rate": 1.0, "offset": 13, "kind": "long"}, "RuntimeError: thirteen <is> unlucky"),
    ],
)
def test_a_live_error_becomes_an_answer(setting: dict[str, Any], message: str) -> None:
    answer, data = respond(toy(), {"id": "7", "setting": setting})
    assert answer["id"] == "7"
    assert message in answer["error"]
    assert data == b""


def test_live_answers_any_value_in_float64() -> None:
    figure = toy()
    setting = {"rate": 0.123, "offset": 7, "kind": "short"}
    answer, data = respond(figure, {"id": "1", "setting": setting})
    expected = toy_frames([setting])[0]["curve"]["y"][1]
    np.testing.assert_array_equal(unpack(answer["columns"], data, "f8", 0)["curve"]["y"]["y"], expected)


def test_static_html_survives_hostile_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(STATIC_FLAG, "1")
    figure = toy()
    bundle = figure._repr_mimebundle_()
    text = bundle["text/html"]
    assert set(bundle) == {"text/html", "text/plain"}  # no widget state: no kernel will be there
    inline = re.findall(r'<script type="application/json">(.*?)</script>', text, re.DOTALL)
    assert len(inline) == 1
    assert "<" not in inline[0]
    assert json.loads(inline[0])["title"] == "A toy: </script><b>bold</b> & more"
    assert "<b>" not in text
    assert figure._live is None


def test_fallback_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    """Anything on stderr fails the book build; matplotlib logs there."""
    toy().fallback_html()
    ml.widgets.prgd().fallback_html()
    assert capsys.readouterr().err == ""


def test_fallback_is_a_described_picture() -> None:
    figure = toy()
    alt, source = re.findall(r'alt="([^"]*)" src="data:image/webp;base64,([^"]+)"', figure.fallback_html())[0]
    assert "Rate 0.3, Offset 1, Kind long &lt;one&gt;" in alt
    assert "<" not in alt
    assert base64.b64decode(source)[8:12] == b"WEBP"


def test_display_outside_the_book_is_a_live_widget_with_a_picture() -> None:
    data, metadata = toy()._repr_mimebundle_()
    assert data[WIDGET_VIEW]["model_id"]
    assert data["text/html"].startswith("<img")
    assert metadata == {}


def test_colab_gets_its_widget_manager(monkeypatch: pytest.MonkeyPatch) -> None:
    from anywidget import _util

    calls: list[str] = []
    url = "https://colab.example/manager.js"
    output = ModuleType("google.colab.output")
    output._widgets = SimpleNamespace(_installed_url=None)  # type: ignore[attr-defined]

    def enable_custom_widget_manager() -> None:
        calls.append("enabled")
        output._widgets._installed_url = url

    output.enable_custom_widget_manager = enable_custom_widget_manager  # type: ignore[attr-defined]
    for name in ("google", "google.colab"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, "google.colab.output", output)
    _util.enable_custom_widget_manager_once.cache_clear()
    try:
        data, metadata = toy()._repr_mimebundle_()
    finally:
        _util.enable_custom_widget_manager_once.cache_clear()
    assert calls == ["enabled"]
    assert data[WIDGET_VIEW]["model_id"]
    assert metadata == {WIDGET_VIEW: {"colab": {"custom_widget_manager": {"url": url}}}}


def test_the_extension_adds_the_script_only_where_a_widget_is() -> None:
    added: list[str] = []
    app = SimpleNamespace(
        add_css_file=added.append,
        add_js_file=lambda name, loading_method: added.append(f"{loading_method} {name}"),
    )
    extension = sphinx_extension()
    extension._load_where_needed(app, "intro", "", {"body": "<p>no widget</p>"}, None)
    assert added == []
    extension._load_where_needed(app, "prgd", "", {"body": '<div data-widget="prgd">'}, None)
    assert added == ["margin_lab.css", "defer margin_lab.js"]


def test_one_script_two_homes() -> None:
    page, module = front_end.page_script(), front_end.live_module()
    assert page.startswith("(() => {")  # nothing becomes global
    assert not re.search(r"^\s*(import|export)\b", page, re.MULTILINE)
    assert module.rstrip().endswith("export default { render: renderLive };")
    for text in (page, module, front_end.style()):
        assert not re.search(r"https?://(?!www\.w3\.org/)", text)  # only XML namespaces
    assert len(page) < 120_000


def test_prgd_page_stays_small() -> None:
    figure = ml.widgets.prgd()
    assert len(figure.settings()) <= MAX_GRID
    assert len(figure.static_html()) < 1_500_000
