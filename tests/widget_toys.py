"""Small widgets and pages that the widget tests share."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np

from margin_lab.book.widgets import (
    INK,
    Axis,
    Choice,
    Clock,
    InteractiveFigure,
    Panel,
    Rule,
    Series,
    Slider,
    Stop,
)

ROOT = Path(__file__).resolve().parent.parent


def toy_frames(settings: list[dict[str, Any]]) -> list[Any]:
    """A curve whose length depends on the setting, an offset that raises, all marks, zeros and NaN on log axes."""
    frames = []
    for s in settings:
        if s["offset"] == 13:
            raise RuntimeError("thirteen <is> unlucky")
        x = np.arange(1.0, (20 if s["kind"] == "long" else 8) + 1)
        y = s["rate"] ** x + s["offset"]
        y[2] = np.nan
        circle = np.linspace(0, 2 * np.pi, 25)
        frames.append(
            {
                "curve": {"y": (x, y), "base": (x, 0 * x + 0.5)},
                "plane": {
                    "ball": (np.cos(circle), np.sin(circle)),
                    "points": (np.array([1.0, 2.0]), np.array([0.5, s["rate"]])),
                    "arrow": (np.array([1.0]), np.array([s["rate"]])),
                },
            }
        )
    return frames


def toy(**changes: Any) -> InteractiveFigure:
    """One slider of each kind, one choice, one series of each mark."""
    options: dict[str, Any] = {
        "title": "A toy: </script><b>bold</b> & more",
        "controls": [
            Slider("rate", "Rate", (0.1, 0.3, 1.0, 3.0), 0.3, scale="log"),
            Slider("offset", "Offset", (0, 1, 2, 3), 1, integer=True),
            Choice("kind", "Kind", {"long": "long <one>", "short": "short"}),
        ],
        "panels": [
            Panel(
                "curve",
                "Curve",
                Axis("x", "log"),
                Axis("y", "symlog"),
                (Series("y", "y", "#0072B2", dots=True, last=True), Series("base", "base", INK, dash=(4, 2))),
                rules=(Rule(2.0, "two"), Rule(5.0, "five", axis="x")),
            ),
            Panel(
                "plane",
                "Plane",
                Axis("x₁"),
                Axis("x₂"),
                (
                    Series("ball", "ball", "#E69F00", mark="area"),
                    Series("points", "points", INK, mark="points", width=3),
                    Series("arrow", "arrow", "#009E73", mark="arrow"),
                ),
                equal=True,
                beside_controls=True,
            ),
        ],
        "compute": toy_frames,
        "alt": "A toy: </script><b>bold</b> & more",
    }
    return InteractiveFigure("toy", **{**options, **changes})


TRIES = {"Fast": {"rate": 3.0, "kind": "short"}, "Slow": {"rate": 0.1, "offset": 0, "kind": "long"}}


def growth_frames(settings: list[dict[str, Any]]) -> list[Any]:
    """Runs of nine steps, linear or exponential, and a ring around the second and third of three samples."""
    t = np.arange(9.0)
    frames = []
    for s in settings:
        y = s["slope"] * t if s["kind"] == "linear" else 10.0 ** (s["slope"] * t)
        rare = (t, y) if s["slope"] == 2 else (np.empty(0), np.empty(0))
        plane = {"held": (np.array([np.nan, 1.0, 2.0]), np.array([np.nan, 1.0, 0.0]))}
        frames.append(
            {"run": {"y": (t, y), "rare": rare}, "empty": {"y": (t, np.full(9, np.nan))}, "plane": plane}
        )
    return frames


def growth() -> InteractiveFigure:
    return InteractiveFigure(
        "growth",
        title="Growth",
        alt="A run that grows",
        controls=[
            Slider("slope", "Slope", (1, 2, 3), 1, integer=True),
            Choice("kind", "Kind", {"linear": "linear", "exponential": "exponential"}),
        ],
        panels=[
            Panel(
                "run",
                "A run",
                Axis("t"),
                Axis("y"),
                (
                    Series("y", "all", INK, last=True),
                    Series("rare", "a long label that needs a line of its own, only at slope two", "#0072B2"),
                ),
                beside_controls=True,
            ),
            Panel(
                "empty",
                "Empty",
                Axis("t"),
                Axis("y"),
                (Series("y", "none", INK),),
                empty="Nothing here, and this is why.",
            ),
            Panel(
                "plane",
                "Plane",
                Axis("x"),
                Axis("y"),
                (Series("held", "held", INK, mark="ring"),),
                equal=True,
            ),
        ],
        compute=growth_frames,
        clock=Clock(
            "Step", "run", "y", (Stop("Next third", "slope"), Stop("Next other", "slope", others=True))
        ),
    )


def sphinx_extension() -> ModuleType:
    """The book's own extension, as Sphinx loads it."""
    spec = importlib.util.spec_from_file_location("margin_book", ROOT / "book" / "_ext" / "margin_book.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def write_page(folder: Path, *widgets: InteractiveFigure, theme: str = "light") -> Path:
    """A page as the book has it: the widgets' own HTML, and the files that the Sphinx extension writes."""
    sphinx_extension()._write_front_end(SimpleNamespace(outdir=folder))
    page = folder / "page.html"
    body = "\n".join(w.static_html() for w in widgets)
    page.write_text(
        f'<!doctype html><html lang="en" data-theme="{theme}"><head><meta charset="utf-8"><title>A page</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<link rel="stylesheet" href="_static/margin_lab.css"><script defer src="_static/margin_lab.js"></script>'
        f"</head><body>{body}</body></html>",
        encoding="utf-8",
    )
    return page


def tools_page(folder: Path) -> Path:
    """Two toys of one name, and a run with a clock between them."""
    return write_page(folder, toy(tries=TRIES), growth(), toy(tries=TRIES, title="another"))
