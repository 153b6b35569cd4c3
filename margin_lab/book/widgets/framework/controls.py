"""What a reader can move: sliders (linear or log) and choices, declared in Python, drawn by the front end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from margin_lab.checks import choice


@dataclass(frozen=True)
class Slider:
    """A number with a slider and a box for exact values.

    In the book the slider stops at the values of ``grid`` (they are precomputed); with a kernel it moves freely between
    the grid's ends, and the box takes any number.

    Args:
        name: key in the settings that ``compute`` receives.
        label: shown beside the slider.
        grid: increasing values.
        default: one of them.
        scale: ``"linear"``, or ``"log"``: the live slider moves evenly in ``log(value - offset)``.
        offset: where the log scale has its zero, e.g. 1 for a growth factor that is interesting near 1.
        integer: whole numbers only.

    Raises:
        ValueError: a grid that is not increasing or does not suit the scale; a default that is not on it.
    """

    name: str
    label: str
    grid: tuple[float, ...]
    default: float
    scale: str = "linear"
    offset: float = 0.0
    integer: bool = False

    def __post_init__(self) -> None:
        choice(self.scale, f"scale of slider {self.name!r}", ("linear", "log"))
        if len(self.grid) < 2 or any(b <= a for a, b in zip(self.grid, self.grid[1:], strict=False)):
            raise ValueError(
                f"grid of slider {self.name!r} must increase and hold two values or more, got {self.grid}"
            )
        if self.scale == "log" and self.grid[0] <= self.offset:
            raise ValueError(
                f"grid of log slider {self.name!r} must lie above {self.offset}, got {self.grid[0]}"
            )
        if self.default not in self.grid:
            raise ValueError(
                f"default of slider {self.name!r} must be on its grid {self.grid}, got {self.default}"
            )

    @property
    def values(self) -> tuple[Any, ...]:
        """The values that the book precomputes."""
        return tuple(int(v) for v in self.grid) if self.integer else tuple(float(v) for v in self.grid)

    def parse(self, value: Any) -> Any:
        """Turn a number from the browser into the one that ``compute`` gets; ``ValueError`` if it is none."""
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise ValueError(f"{self.label} must be a number, got {value!r}")
        if self.integer and value != int(value):
            raise ValueError(f"{self.label} must be a whole number, got {value!r}")
        return int(value) if self.integer else float(value)

    def shown(self, value: Any) -> str:
        """The value as the reader sees it."""
        return f"{value:g}"

    def spec(self) -> dict[str, Any]:
        """What the front end needs to know."""
        return {
            "kind": "slider",
            "name": self.name,
            "label": self.label,
            "grid": list(self.values),
            "default": self.parse(self.default),
            "scale": self.scale,
            "offset": self.offset,
            "integer": self.integer,
        }


@dataclass(frozen=True)
class Choice:
    """One of several named options, as a drop-down list.

    Args:
        name: key in the settings that ``compute`` receives.
        label: shown beside the list.
        options: value -> what the reader sees.
        default: one of the values; the first, if none is given.
    """

    name: str
    label: str
    options: Mapping[str, str]
    default: str = ""

    def __post_init__(self) -> None:
        if not self.options:
            raise ValueError(f"choice {self.name!r} needs at least one option")
        object.__setattr__(self, "default", self.default or next(iter(self.options)))
        self.parse(self.default)

    @property
    def values(self) -> tuple[str, ...]:
        """The values that the book precomputes."""
        return tuple(self.options)

    def parse(self, value: Any) -> str:
        """Check an option that came from the browser."""
        checked: str = choice(value, self.label, tuple(self.options))
        return checked

    def shown(self, value: Any) -> str:
        """The value as the reader sees it."""
        return self.options[value]

    def spec(self) -> dict[str, Any]:
        """What the front end needs to know."""
        options = [{"value": value, "label": label} for value, label in self.options.items()]
        return {
            "kind": "choice",
            "name": self.name,
            "label": self.label,
            "options": options,
            "grid": list(self.values),
            "default": self.default,
        }


Control = Slider | Choice
