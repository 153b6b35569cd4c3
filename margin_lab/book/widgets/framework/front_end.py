"""The front end's files, joined for their two homes: a classic script for the book, a module for live notebooks."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

# In this order: each file uses only what stands above it.
_SCRIPTS = (
    "data.js",
    "controls.js",
    "extents.js",
    "scales.js",
    "marks.js",
    "plot.js",
    "probe.js",
    "sources.js",
    "share.js",
    "reading.js",
    "toolbar.js",
    "predict.js",
    "playhead.js",
    "widget.js",
)

SCRIPT_NAME = "margin_lab.js"
STYLE_NAME = "margin_lab.css"


@cache
def _read(name: str) -> str:
    return files("margin_lab.book.widgets.framework").joinpath("static", name).read_text(encoding="utf-8")


def _library() -> str:
    return "\n".join(_read(name) for name in ("vendor/d3.js", *_SCRIPTS))


def page_script() -> str:
    """``_static/margin_lab.js``: one classic script (modules do not load from ``file://``), no globals left behind."""
    return f'(() => {{\n"use strict";\n{_library()}\n{_read("page.js")}\n}})();\n'


def live_module() -> str:
    """The ES module that anywidget loads in JupyterLab and Colab."""
    return f"{_library()}\nexport default {{ render: renderLive }};\n"


def style() -> str:
    """The style sheet of both."""
    return _read("widget.css")
