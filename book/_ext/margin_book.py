"""Local Sphinx extension: the widgets' static form in the book, and the one script and style sheet they share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

from margin_lab.book.widgets.framework import front_end
from margin_lab.book.widgets.framework.figure import STATIC_FLAG


def _write_front_end(app: Sphinx) -> None:
    # Straight into the output: Sphinx reads the files there for the ?v= that it adds to their addresses.
    folder = Path(app.outdir) / "_static"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / front_end.SCRIPT_NAME).write_text(front_end.page_script(), encoding="utf-8")
    (folder / front_end.STYLE_NAME).write_text(front_end.style(), encoding="utf-8")


def _load_where_needed(
    app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any
) -> None:
    """Add scripts and styles to the pages that hold a widget or the front page's sandbox, so that the others stay light."""
    if "data-widget=" in context.get("body", ""):
        app.add_css_file(front_end.STYLE_NAME)
        app.add_js_file(front_end.SCRIPT_NAME, loading_method="defer")
    if 'id="margin-race"' in context.get("body", ""):
        app.add_css_file("race/race.css")
        for script in ("race/race.js", "race/sandbox.js"):
            app.add_js_file(script, loading_method="defer")


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect the hooks."""
    os.environ[STATIC_FLAG] = "1"  # inherited by the kernels that execute the chapters
    app.connect("builder-inited", _write_front_end)
    app.connect("html-page-context", _load_where_needed)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
