"""The live half: an anywidget whose settings come from the browser and whose numbers come from the kernel."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Protocol

from margin_lab.book.widgets.framework import front_end
from margin_lab.book.widgets.framework.pack import Frame, pack
from margin_lab.book.widgets.framework.panels import Panel
from margin_lab.checks import needs


class Recomputable(Protocol):
    """What the live half needs of a figure."""

    default: dict[str, Any]
    panels: tuple[Panel, ...]

    def spec(self) -> dict[str, Any]: ...

    def parse(self, setting: Mapping[str, Any]) -> dict[str, Any]: ...

    def frames(self, settings: list[dict[str, Any]]) -> Sequence[Frame]: ...


@cache
def _widget_class() -> Any:
    # Imported and defined here: `import margin_lab` must not pay for ipywidgets.
    base: Any = needs("anywidget", "anywidget", "a live widget").AnyWidget
    import traitlets

    class LiveFigure(base):
        """Browser -> kernel: ``request``. Kernel -> browser: ``answer`` and ``data``, in one message."""

        _esm = front_end.live_module()
        _css = front_end.style()
        spec = traitlets.Dict().tag(sync=True)
        request = traitlets.Dict().tag(sync=True)  # {"id": ..., "setting": {...}}
        answer = traitlets.Dict().tag(
            sync=True
        )  # {"id", "setting", "columns", "milliseconds"} or {..., "error"}
        data = traitlets.Bytes(b"").tag(sync=True)

    return LiveFigure


def connect(figure: Recomputable) -> Any:
    """Return a widget that shows ``figure`` and recomputes it when the reader moves a control."""
    answer, data = respond(figure, {"id": "", "setting": figure.default})
    widget = _widget_class()(spec=figure.spec(), answer=answer, data=data)

    def recompute(change: dict[str, Any]) -> None:
        answer, data = respond(figure, change["new"])
        with widget.hold_sync():  # one message: the front end must not draw new columns with old data
            widget.answer, widget.data = answer, data

    widget.observe(recompute, "request")
    return widget


def respond(figure: Recomputable, request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    """Compute what the browser asks for; an exception becomes an answer, so that the reader sees it in the widget."""
    answer = {"id": request.get("id"), "setting": request.get("setting", {})}
    started = time.perf_counter()
    try:
        setting = figure.parse(answer["setting"])
        columns, data = pack(figure.frames([setting]), figure.panels, "f8")
    except Exception as error:  # whatever it is: raised here, it would vanish into the kernel's log
        return {**answer, "error": f"{type(error).__name__}: {error}"}, b""
    return {**answer, "columns": columns, "milliseconds": 1e3 * (time.perf_counter() - started)}, data
