"""A matplotlib figure as a small picture inside the page, with its alt text."""

from __future__ import annotations

import base64
import html
import io
from typing import Any

from margin_lab.checks import needs

# Enough for a dozen hues with their smoothed edges; a third of the size of full colour.
_COLORS = 80


def png(figure: Any, dpi: float) -> bytes:
    """Return the figure as PNG with a palette of colours."""
    Image = needs("PIL.Image", "pillow", "a picture inside the page")

    full, small = io.BytesIO(), io.BytesIO()
    figure.savefig(full, format="png", dpi=dpi)
    image = Image.open(full).convert("RGB").quantize(_COLORS, dither=Image.Dither.NONE)
    image.save(small, "PNG", optimize=True)
    return small.getvalue()


def inline_image(figure: Any, alt: str, dpi: float, css_class: str, style: str = "") -> str:
    """Return an ``<img>`` that holds the figure itself, described by ``alt``."""
    data = base64.b64encode(png(figure, dpi)).decode("ascii")
    look = f' style="{style}"' if style else ""
    return f'<img class="{css_class}" alt="{html.escape(alt, quote=True)}"{look} src="data:image/png;base64,{data}">'
