"""A matplotlib figure as a small picture inside the page, with its alt text."""

from __future__ import annotations

import base64
import html
import io
from typing import Any

from margin_lab.checks import needs

# Without loss up to this many bytes, as nearly all figures are; above it (a coloured field) at this quality.
_LARGE, _QUALITY = 100_000, 90


def webp(figure: Any, dpi: float) -> bytes:
    """Return the figure as WebP in full colour."""
    Image = needs("PIL.Image", "pillow", "a picture inside the page")
    full = io.BytesIO()
    figure.savefig(full, format="png", dpi=dpi)
    image = Image.open(full).convert("RGB")
    for options in ({"lossless": True}, {"quality": _QUALITY}):
        small = io.BytesIO()
        image.save(small, "WEBP", method=6, **options)
        if small.tell() <= _LARGE:
            break
    return small.getvalue()


def inline_image(figure: Any, alt: str, dpi: float, css_class: str, style: str = "") -> str:
    """Return an ``<img>`` that holds the figure itself, described by ``alt``."""
    data = base64.b64encode(webp(figure, dpi)).decode("ascii")
    look = f' style="{style}"' if style else ""
    return f'<img class="{css_class}" alt="{html.escape(alt, quote=True)}"{look} src="data:image/webp;base64,{data}">'
