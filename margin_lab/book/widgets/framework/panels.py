"""What a widget draws: panels with axes and series, declared in Python, drawn by d3 in the browser."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from margin_lab.checks import choice

SCALES = ("linear", "log", "symlog")
MARKS = ("line", "points", "ring", "arrow", "area", "value")
INK = "ink"  # the text colour of the page's theme, so that it is legible on light and on dark
MUTED = "muted"  # the same, paler


@dataclass(frozen=True)
class Axis:
    """One axis.

    Args:
        label: with its unit, if it has one.
        scale: ``"linear"``, ``"log"`` (values <= 0 are not drawn) or ``"symlog"`` (linear within ``constant`` of 0).
        domain: both ends; from the data, if not given.
        constant: where a symlog axis changes from linear to logarithmic.
        include: values that are in view even if no data are near.
    """

    label: str
    scale: str = "linear"
    domain: tuple[float, float] | None = None
    constant: float = 1.0
    include: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        choice(self.scale, f"scale of axis {self.label!r}", SCALES)
        if self.scale == "log" and self.domain is not None and self.domain[0] <= 0:
            raise ValueError(f"domain of log axis {self.label!r} must lie above 0, got {self.domain}")

    def spec(self) -> dict[str, Any]:
        """What the front end needs to know."""
        domain = None if self.domain is None else list(self.domain)
        return {
            "label": self.label,
            "scale": self.scale,
            "domain": domain,
            "constant": self.constant,
            "include": list(self.include),
        }


@dataclass(frozen=True)
class Series:
    """One curve, cloud of points, set of rings, set of arrows from the origin, filled polygon, or number.

    Args:
        name: key in what ``compute`` returns for the panel.
        label: in the legend; no entry, if empty.
        color: ``"#rrggbb"`` (from ``margin_lab.palette``), or ``INK`` / ``MUTED``.
        mark: ``"line"``, ``"points"``, ``"ring"``, ``"arrow"``, ``"area"``, or ``"value"``, which is not drawn: its last y
            stands in the legend. NaN breaks a line; a ring is named by its place in the arrays (z₁, z₂, ...), so that NaN
            leaves a sample without one.
        dash: lengths of dashes and gaps; solid, if empty.
        dots: a dot at every point of a line.
        width: of the stroke; the radius of points.
        last: show the last value of y in the legend.
        letter: what a ring's name begins with.
    """

    name: str
    label: str
    color: str
    mark: str = "line"
    dash: tuple[int, ...] = ()
    dots: bool = False
    width: float = 2.0
    last: bool = False
    letter: str = "z"

    def __post_init__(self) -> None:
        choice(self.mark, f"mark of series {self.name!r}", MARKS)

    def spec(self) -> dict[str, Any]:
        """What the front end needs to know."""
        return {
            "name": self.name,
            "label": self.label,
            "color": self.color,
            "mark": self.mark,
            "dash": list(self.dash),
            "dots": self.dots,
            "width": self.width,
            "last": self.last,
            "letter": self.letter,
        }


@dataclass(frozen=True)
class Rule:
    """A reference line across the panel: ``axis="y"`` draws y = ``value``, ``axis="x"`` draws x = ``value``."""

    value: float
    label: str = ""
    axis: str = "y"

    def spec(self) -> dict[str, Any]:
        """What the front end needs to know."""
        return {"value": self.value, "label": self.label, "axis": self.axis}


@dataclass(frozen=True)
class Panel:
    """One plot.

    Args:
        name: key in what ``compute`` returns.
        title: above the plot.
        x, y: the axes.
        series: drawn in this order, the last on top.
        rules: reference lines.
        aspect: height over width.
        equal: one unit is as long on x as on y (linear axes).
        beside_controls: place it next to the controls instead of below them.
        empty: what it says where a setting leaves nothing to draw.
    """

    name: str
    title: str
    x: Axis
    y: Axis
    series: tuple[Series, ...]
    rules: tuple[Rule, ...] = ()
    aspect: float = 0.8
    equal: bool = False
    beside_controls: bool = False
    empty: str = "Nothing to draw at this setting."

    def spec(self) -> dict[str, Any]:
        """What the front end needs to know."""
        return {
            "name": self.name,
            "title": self.title,
            "x": self.x.spec(),
            "y": self.y.spec(),
            "series": [s.spec() for s in self.series],
            "rules": [r.spec() for r in self.rules],
            "aspect": self.aspect,
            "equal": self.equal,
            "beside_controls": self.beside_controls,
            "empty": self.empty,
        }
