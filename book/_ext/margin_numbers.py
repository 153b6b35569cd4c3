"""Local Sphinx extension: what the page on the numbers says of this build and of the recorded files."""

from __future__ import annotations

import json
import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.config import Config

RECORDED = Path(__file__).resolve().parent.parent / "_static/recorded"


def _built_with() -> str:
    libraries = ", ".join(f"{name} {version(name)}" for name in ("torch", "numpy", "scipy", "scikit-learn"))
    return (
        f"Made with Python {platform.python_version()}, {libraries} on {platform.system()} {platform.machine()}, "
        f"{os.cpu_count()} cores."
    )


def _recorded() -> str:
    """One row for each file: its name, the command that makes it, where, when, in which time."""
    rows = ["| file | made by | commit | date | machine | minutes |", "|---|---|---|---|---|---:|"]
    for path in sorted(RECORDED.glob("*.json")):
        p: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["provenance"]
        minutes = f"{p['seconds'] / 60:.0f}" if "seconds" in p else "—"
        cells = [f"`{path.stem}`", f"`{p['command']}`", p["commit"] or "—", p["date"], p["machine"], minutes]
        rows.append("| " + " | ".join(cells) + " |")
    return "\n".join(rows)


def _substitute(app: Sphinx, config: Config) -> None:
    config.myst_substitutions["built_with"] = _built_with()
    config.myst_substitutions["recorded"] = _recorded()


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect the hook."""
    app.connect("config-inited", _substitute)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
