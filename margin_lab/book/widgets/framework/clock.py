"""A clock for widgets whose curves are runs: the front end draws them up to a step, and nothing is computed for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from margin_lab.book.widgets.framework.panels import Panel


@dataclass(frozen=True)
class Stop:
    """A button that goes on to the next step ``t`` with ``t % every == phase``, or to the next one without.

    Args:
        label: on the button.
        every: name of a control whose value is the period.
        phase: which step of a period.
        others: all steps but those.
    """

    label: str
    every: str
    phase: int = 0
    others: bool = False

    def spec(self) -> dict[str, Any]:
        """What the front end needs to know."""
        return {"label": self.label, "every": self.every, "phase": self.phase, "others": self.others}


@dataclass(frozen=True)
class Clock:
    """A slider over the points of one series, whose x are the times; every line of as many points is drawn up to there.

    Args:
        label: beside the slider.
        panel, series: which series.
        stops: buttons.
    """

    label: str
    panel: str
    series: str
    stops: tuple[Stop, ...] = ()

    def check(self, where: str, panels: Sequence[Panel], controls: Sequence[str]) -> None:
        """Raise ``ValueError`` where the series or a stop's control does not exist."""
        check_series(self.panel, self.series, f"the clock of {where}", panels)
        for stop in self.stops:
            if stop.every not in controls:
                raise ValueError(
                    f"stop {stop.label!r} of {where} counts {stop.every!r}, but its controls are {list(controls)}"
                )

    def spec(self) -> dict[str, Any]:
        """What the front end needs to know."""
        return {
            "label": self.label,
            "panel": self.panel,
            "series": self.series,
            "stops": [s.spec() for s in self.stops],
        }


def check_series(panel: str, series: str, what: str, panels: Sequence[Panel]) -> None:
    """Raise ``ValueError`` where no panel has this series."""
    known = [(p.name, s.name) for p in panels for s in p.series]
    if (panel, series) not in known:
        raise ValueError(f"{what} names series {series!r} of panel {panel!r}; there are {known}")
