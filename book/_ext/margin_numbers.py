"""Local Sphinx extension: what the page on the numbers says of this build and of the recorded files."""

from __future__ import annotations

import json
import os
import platform
from importlib.metadata import version
from typing import Any

from sphinx.application import Sphinx
from sphinx.config import Config

from margin_lab.book.recordings.places import DATA


def _built_with() -> str:
    libraries = ", ".join(f"{name} {version(name)}" for name in ("torch", "numpy", "scipy", "scikit-learn"))
    return (
        f"Made with Python {platform.python_version()}, {libraries} on {platform.system()} {platform.machine()}, "
        f"{os.cpu_count()} cores."
    )


def _recorded() -> str:
    """One row for each file: the command that makes it, at which commit, when, where, in which time."""
    rows = ["| made by | commit | date | machine | minutes |", "|---|---|---|---|---:|"]
    for path in sorted(DATA.glob("*.json")):
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if "provenance" not in content:  # the labs' parameters, which nothing was computed for
            continue
        p = content["provenance"]
        # a run that was interrupted has its own clock; the command's is that of its last start
        seconds = sum(run["seconds"] for run in content.get("runs", {}).values()) or p.get("seconds")
        minutes = f"{seconds / 60:.0f}" if seconds else "—"
        cells = [f"`{p['command']}`", p["commit"] or "—", p["date"], p["machine"], minutes]
        rows.append("| " + " | ".join(cells) + " |")
    return "\n".join(rows)


def _substitute(app: Sphinx, config: Config) -> None:
    config.myst_substitutions["built_with"] = _built_with()
    config.myst_substitutions["recorded"] = _recorded()


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect the hook."""
    app.connect("config-inited", _substitute)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
