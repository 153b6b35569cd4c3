"""Progress bars that appear only where somebody waits for them."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import Any

# Shorter work shows nothing.
_DELAY_SECONDS = 2.0


def progress(items: Iterable[Any], label: str) -> Iterable[Any]:
    """Wrap ``items`` in a tqdm bar that appears after two seconds on a terminal or in a notebook; a log gets none."""
    if not _watched():
        return items
    from tqdm.auto import tqdm

    return tqdm(items, desc=label, delay=_DELAY_SECONDS, leave=False)


def _watched() -> bool:
    """Whether somebody sees a bar move: on a terminal or in a live notebook, but not while the book is built."""
    if os.environ.get("MARGIN_LAB_STATIC"):
        return False
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return hasattr(shell, "kernel") or bool(getattr(sys.stderr, "isatty", bool)())
