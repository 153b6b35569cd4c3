"""A figure with controls: precomputed in the book, recomputed by the kernel in a live notebook."""

from __future__ import annotations

import base64
import html
import itertools
import json
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from margin_lab.book.widgets.framework.clock import Clock, check_series
from margin_lab.book.widgets.framework.controls import Control
from margin_lab.book.widgets.framework.fallback import fallback_image
from margin_lab.book.widgets.framework.pack import Frame, pack
from margin_lab.book.widgets.framework.panels import Panel

Setting = dict[str, Any]
Compute = Callable[[list[Setting]], Sequence[Frame]]

MAX_GRID = 600  # settings that a page may precompute
STATIC_FLAG = "MARGIN_LAB_STATIC"  # environment variable that the book's Sphinx extension sets


class InteractiveFigure:
    """Controls, panels, and one function that computes what the panels show.

    This is a plain object, not a widget: it opens no channel to a front end until a live kernel displays it. In the book
    build (environment variable ``MARGIN_LAB_STATIC``) it displays as self-contained HTML with the whole grid of settings
    precomputed; elsewhere as an ``anywidget`` whose controls call ``compute`` in the kernel, at any value. Both draw with
    the same JavaScript, and both call the same function: the book with all settings at once (so ``compute`` should run
    them as one batched sweep), a live slider with one.

    Args:
        name: short and unique; the root element gets ``data-widget="name"``.
        title: one line above the controls.
        controls: what the reader moves.
        panels: what the reader sees.
        compute: list of settings ``{control: value}`` -> for each, ``{panel: {series: (x, y)}}``.
        alt: one or two sentences that describe the picture for readers who do not see it.
        tries: ``{label: {control: value}}``: buttons that set some of the controls to a setting worth seeing.
        predict: ``(panel, series)``, the curve whose end a reader may be asked for; without it the first line whose
            last value stands in the legend.
        clock: a slider that draws the curves up to a step.

    Raises:
        ValueError: no alt text, no controls or panels, names used twice, a grid of more than ``MAX_GRID`` settings, or whatever
            ``compute`` raises: the default setting (in the book: the whole grid) is computed here, so that a widget that
            does not work fails its cell.

    Example:
        >>> import numpy as np
        >>> from margin_lab.book.widgets import Axis, InteractiveFigure, Panel, Series, Slider
        >>> t = np.arange(20.0)
        >>> figure = InteractiveFigure(
        ...     "decay",
        ...     title="Decay",
        ...     controls=[Slider("rate", "Rate", (0.5, 0.9), 0.9)],
        ...     panels=[Panel("p", "Decay", Axis("t"), Axis("value", "log"), (Series("y", "value", "#0072B2"),))],
        ...     compute=lambda settings: [{"p": {"y": (t, s["rate"] ** t)}} for s in settings],
        ...     alt="A curve that falls faster at a smaller rate",
        ... )
        >>> figure.settings()
        [{'rate': 0.5}, {'rate': 0.9}]
    """

    def __init__(
        self,
        name: str,
        *,
        title: str,
        controls: Sequence[Control],
        panels: Sequence[Panel],
        compute: Compute,
        alt: str,
        tries: Mapping[str, Mapping[str, Any]] | None = None,
        predict: tuple[str, str] | None = None,
        clock: Clock | None = None,
    ) -> None:
        if not alt.strip():
            raise ValueError(f"widget {name!r} needs alt text: one or two sentences that say what it shows")
        self.name, self.title = name, title
        self.tries = {label: dict(setting) for label, setting in (tries or {}).items()}
        self.controls, self.panels, self.compute = tuple(controls), tuple(panels), compute
        self.default: Setting = {c.name: c.parse(c.default) for c in self.controls}
        _check_names("control", [c.name for c in self.controls])
        _check_names("panel", [p.name for p in self.panels])
        _check_tries(name, self.tries, self.controls)
        self.predict, self.clock = predict, clock
        if predict is not None:
            check_series(*predict, f"predict= of widget {name!r}", self.panels)
        if clock is not None:
            clock.check(f"widget {name!r}", self.panels, [c.name for c in self.controls])
        size = math.prod(len(c.values) for c in self.controls)
        if size > MAX_GRID:
            raise ValueError(
                f"the grid of widget {name!r} has {size} settings, at most {MAX_GRID} fit a page; thin a slider"
            )
        values = ", ".join(f"{c.label} {c.shown(self.default[c.name])}" for c in self.controls)
        self.description = alt
        self.alt = f"{self.description} ({values})"  # of the first picture
        self._live: Any = None
        self._sweep = self.frames(self.settings()) if static_build() else None
        index = self.settings().index(self.default)
        self._first = self._sweep[index] if self._sweep else self.frames([self.default])[0]
        pack([self._first], self.panels)  # a frame that does not fit the panels fails here, in the cell

    def settings(self) -> list[Setting]:
        """Every setting of the grid: the product of the controls' values, the last control fastest."""
        names = [c.name for c in self.controls]
        return [
            dict(zip(names, v, strict=True)) for v in itertools.product(*(c.values for c in self.controls))
        ]

    def parse(self, setting: Mapping[str, Any]) -> Setting:
        """Check a setting that came from a browser."""
        return {c.name: c.parse(setting.get(c.name)) for c in self.controls}

    def frames(self, settings: list[Setting]) -> list[Frame]:
        """What the panels show at these settings."""
        with _one_thread():
            frames = list(self.compute(settings))
        if len(frames) != len(settings):
            raise ValueError(
                f"compute of widget {self.name!r} returned {len(frames)} frames for {len(settings)} settings"
            )
        return frames

    def spec(self) -> dict[str, Any]:
        """The declaration, as the front end reads it."""
        return {
            "name": self.name,
            "title": self.title,
            "controls": [c.spec() for c in self.controls],
            "panels": [p.spec() for p in self.panels],
            "tries": [{"label": label, "setting": setting} for label, setting in self.tries.items()],
            "predict": self.predict and dict(zip(("panel", "series"), self.predict, strict=True)),
            "clock": self.clock and self.clock.spec(),
            "alt": self.description,
        }

    def fallback_html(self) -> str:
        """The default setting as a picture."""
        return fallback_image(self._first, self.panels, self.alt)

    def static_html(self) -> str:
        """Self-contained HTML for a page that loads ``_static/margin_lab.js`` and ``.css`` once."""
        if self._sweep is None:
            self._sweep = self.frames(self.settings())
        columns, data = pack(self._sweep, self.panels)
        state = {**self.spec(), "columns": columns, "data": base64.b64encode(data).decode("ascii")}
        # "<" would let a label close the script element; JSON reads the escape back as "<".
        text = json.dumps(state, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
        return (
            f'<div class="ml-widget" data-widget="{html.escape(self.name, quote=True)}">{self.fallback_html()}'
            f'<script type="application/json">{text}</script></div>'
        )

    @property
    def live(self) -> Any:
        """The ``anywidget`` that shows this figure in a live notebook, made on first use."""
        if self._live is None:
            from margin_lab.book.widgets.framework.live import connect

            self._live = connect(self)
        return self._live

    def _repr_mimebundle_(self, **options: Any) -> Any:
        plain = {"text/plain": repr(self)}
        if static_build():
            return {"text/html": self.static_html(), **plain}
        # anywidget returns (data, metadata); without the metadata Colab does not find its widget manager.
        data, metadata = self.live._repr_mimebundle_(**options)
        return {**data, "text/html": self.fallback_html(), **plain}, metadata

    def __repr__(self) -> str:
        return f"InteractiveFigure({self.name!r}, {len(self.settings())} settings)"


def static_build() -> bool:
    """Whether the book is being built: no kernel will be there when the page is read."""
    return bool(os.environ.get(STATIC_FLAG))


@contextmanager
def _one_thread() -> Iterator[None]:
    """A widget's arrays are small: handing them to threads takes longer than the work (on a busy machine, ten times)."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _check_names(kind: str, names: list[str]) -> None:
    if not names:
        raise ValueError(f"a widget needs at least one {kind}")
    if len(set(names)) < len(names):
        raise ValueError(f"{kind} names must differ, got {names}")


def _check_tries(name: str, tries: Mapping[str, Setting], controls: Sequence[Control]) -> None:
    """A page knows the grid only: a button that leads elsewhere would lead to its neighbour."""
    values = {c.name: c.values for c in controls}
    for label, setting in tries.items():
        for control, value in setting.items():
            if control not in values:
                raise ValueError(
                    f"the button {label!r} of widget {name!r} sets {control!r}; its controls are {list(values)}"
                )
            if value not in values[control]:
                raise ValueError(
                    f"the button {label!r} of widget {name!r} sets {control} to {value!r}; take one of {values[control]}"
                )
