"""Progress bars that appear only where somebody waits for them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

# Shorter work shows nothing.
_DELAY_SECONDS = 2.0


def progress(items: Iterable[Any], label: str) -> Iterable[Any]:
    """Wrap ``items`` in a tqdm bar that appears after two seconds; silent while the book is built."""
    from tqdm.auto import tqdm

    return tqdm(
        items,
        desc=label,
        delay=_DELAY_SECONDS,
        leave=False,
        disable=bool(os.environ.get("MARGIN_LAB_STATIC")),
    )
