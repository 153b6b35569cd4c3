"""The book's figure style, and the one way a figure is shown: with alt text, at book width."""

from __future__ import annotations

import html
from typing import Any

from margin_lab.book.inline import inline_html
from margin_lab.book.picture import inline_image, webp
from margin_lab.checks import needs
from margin_lab.palette import line_style

# Book column: 7 in at 100 dots an inch is the width of the text; higher dpi keeps it sharp on dense screens.
WIDTH = 7.0
_DPI = 144

_STYLE: dict[Any, Any] = {
    "font.size": 10,
    "axes.titlesize": 10,
    "axes.labelsize": 10,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "lines.linewidth": 1.8,
    "figure.facecolor": "white",
    "axes.formatter.limits": (-3, 4),
}


def figure(columns: int = 1, rows: int = 1, height: float = 3.0, **kwargs: Any) -> tuple[Any, Any]:
    """Return ``(fig, axes)`` of book width in the book's style; ``axes`` is one Axes, or an array of them.

    Args:
        columns, rows: of panels. height: of one row, in inches. kwargs: passed to ``Figure.subplots``.
    """
    needs("matplotlib", "matplotlib", "a figure").rcParams.update(_STYLE)
    from matplotlib.figure import Figure as MplFigure

    # a Figure of its own rather than pyplot's: nothing to close, nothing shown twice
    fig = MplFigure(figsize=(WIDTH, height * rows), layout="constrained")
    return fig, fig.subplots(rows, columns, **kwargs)


def line(method: str, **kwargs: Any) -> dict[str, Any]:
    """Keyword arguments of ``Axes.plot`` that draw a method in its own colour, dash and label; grey for a reader's own."""
    return {**line_style(method), **kwargs}


class Shown:
    """A finished figure with its alt text and caption; what a cell ends with.

    Displays as an image with an ``alt`` attribute in the book, JupyterLab and Colab alike.
    """

    def __init__(self, fig: Any, alt: str, caption: str = "", number: str = ""):
        if not alt.strip():
            raise ValueError("a figure needs alt text: one or two sentences that say what it shows")
        if number and not caption.strip():
            raise ValueError(
                f"figure {number} needs a caption: one or two sentences that say what to see in it"
            )
        self.fig, self.alt = fig, " ".join(alt.split())
        self.caption, self.number = " ".join(caption.split()), number

    def webp(self) -> bytes:
        """The figure as WebP."""
        return webp(self.fig, _DPI)

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, str]:
        width = round(self.fig.get_figwidth() * 100)
        image = inline_image(self.fig, self.alt, _DPI, "ml-figure", f"width:100%;max-width:{width}px")
        return {"text/html": self._figure(image), "text/plain": self.alt}

    def _figure(self, image: str) -> str:
        if not self.caption:
            return image
        head = f"<strong>Figure {html.escape(self.number)}.</strong> " if self.number else ""
        text = f"{head}{inline_html(self.caption)}"
        return f'<figure class="tex2jax_process" style="margin:0">{image}<figcaption>{text}</figcaption></figure>'


def show(fig: Any, alt: str, caption: str = "", number: str = "") -> Shown:
    """End a cell with this: ``fig`` with the alt text that a reader who does not see it gets.

    Args:
        fig: from :func:`figure`.
        alt: one or two sentences for those who do not see it.
        caption: one or two sentences, under the figure, that say what to see in it; ``$...$``, ``*...*`` and code are set.
        number: as ``"4.2"``, chapter and figure, for the figures of a chapter's main path.

    Raises:
        ValueError: empty alt text, or a number without a caption.
    """
    return Shown(fig, alt, caption, number)
