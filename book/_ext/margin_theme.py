"""Local Sphinx extension: the book's look, a clean browser console, one quiet default for light and dark."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.config import Config


def _theme_defaults(app: Sphinx, config: Config) -> None:
    # Set here and not in _config.yml: a html_theme_options there would wipe the repository and Colab buttons.
    config.html_theme_options.setdefault("navbar_persistent", [])  # else a second search box
    config.html_context.setdefault("default_mode", "auto")  # unset, the theme logs a warning on a first visit


def _drop_thebe(app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any) -> None:
    """Leave out the scripts of sphinx-thebe, which jupyter-book loads on every page: no page here starts a kernel."""
    context["script_files"] = [
        script
        for script in context.get("script_files", [])
        if "thebe"
        not in str(getattr(script, "filename", "")) + str(getattr(script, "attributes", {}).get("body"))
    ]


def _drop_fontawesome(app: Sphinx, error: Exception | None) -> None:
    """Take out the theme's 1.5 MB of scripts that draw icons as SVG: the same icons come with its fonts."""
    if error is not None or app.builder.format != "html":
        return
    for path in Path(app.outdir).rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        lighter = re.sub(r"<(script|link)\b[^>]*scripts/fontawesome\.js[^>]*>(</script>)?\n?", "", text)
        if lighter != text:
            path.write_text(lighter, encoding="utf-8")
    for path in Path(app.outdir).glob("_static/scripts/*fontawesome.js*"):
        path.unlink()
    for path in Path(app.outdir).glob("_static/scripts/*.map"):
        path.unlink()


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect the hooks."""
    app.add_css_file("book.css")
    app.connect("config-inited", _theme_defaults)
    app.connect("html-page-context", _drop_thebe, priority=900)
    app.connect("build-finished", _drop_fontawesome)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
