"""The direction widget (chapter 1): turn w and see its normalised margin in three norms."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch

from margin_lab.book.widgets.framework.controls import Choice, Slider
from margin_lab.book.widgets.framework.figure import InteractiveFigure, Setting
from margin_lab.book.widgets.framework.pack import Frame
from margin_lab.book.widgets.framework.panels import INK, MUTED, Axis, Panel, Rule, Series
from margin_lab.norms import get_norm
from margin_lab.palette import COLORS

# A norm has the colour of the optimizer that maximises its margin.
NORMS = {
    "l1": ("ℓ₁", COLORS["coordinate"]),
    "l2": ("ℓ₂", COLORS["gd"]),
    "linf": ("ℓ∞", COLORS["sign"]),
}
REACH = 3.0  # half the width of the picture
ANGLES = np.linspace(-30.0, 90.0, 481)  # where the curves are drawn, in degrees

_NINE = [[1, 0.1], [0.75, 0.7], [0.6, 2.1], [2, -0.2], [1.8, 0.8], [1.3, 1.7], [2, 2], [1, 2.6], [1.7, 2.4]]
_LABELS = [1, -1, 1, 1, -1, -1, 1, -1, 1]
# Signed samples and labels. Nine points whose three solutions differ; with two mirror images in the diagonal they agree.
_DATA = {
    "nine": ("Nine points", np.array(_NINE), np.array(_LABELS)),
    "mirror": ("Nine points, two moved", np.array([[1.0, 0.3], [0.3, 1.0], *_NINE[2:]]), np.array(_LABELS)),
}


def direction() -> InteractiveFigure:
    """Turn ``w`` in the plane: the data with the separator, and the normalised margin in l1, l2 and linf at every angle.

    Example:
        >>> import margin_lab as ml
        >>> from margin_lab.book.widgets.direction import direction
        >>> direction()
        InteractiveFigure('direction', 242 settings)
    """
    return InteractiveFigure(
        "direction",
        title="Turn the direction: one w, three margins",
        controls=[
            Slider("angle", "Angle of w (degrees)", tuple(np.arange(-30.0, 91.0).tolist()), 70.0),
            Choice("data", "Data", {name: label for name, (label, _, _) in _DATA.items()}),
        ],
        panels=[_plane(), _margins()],
        compute=compute,
        alt="Two plots: nine samples with w, its separator, the band that is free of samples, and rings around those that hold "
        "the margin; the normalised margin in three norms against the angle of w",
        tries={
            "Widest in ℓ₁": {"angle": 7.0, "data": "nine"},
            "Widest in ℓ∞": {"angle": 45.0, "data": "nine"},
            "One for all three": {"angle": 45.0, "data": "mirror"},
        },
    )


def compute(settings: list[Setting]) -> list[Frame]:
    """What the panels show."""
    return [_frame(setting["data"], setting["angle"]) for setting in settings]


def margins(Z: np.ndarray, degrees: np.ndarray) -> dict[str, np.ndarray]:
    """Normalised margins ``[m]`` of the directions at ``degrees [m]``, in each norm."""
    w = torch.from_numpy(_unit(degrees))
    smallest = (w @ torch.from_numpy(Z).T).amin(-1)
    return {name: (smallest / get_norm(name)(w)).numpy() for name in NORMS}


def _unit(degrees: np.ndarray) -> np.ndarray:
    angle = np.radians(degrees)
    return np.stack([np.cos(angle), np.sin(angle)], axis=-1)


@cache
def _curves(data: str) -> dict[str, np.ndarray]:
    return margins(_DATA[data][1], ANGLES)


def _frame(data: str, angle: float) -> Frame:
    _, Z, y = _DATA[data]
    X, w = y[:, None] * Z, _unit(np.array([angle]))[0]
    right = Z @ w > 0
    across = REACH * np.array([-w[1], w[0]])
    now = margins(Z, np.array([angle]))
    q = Z @ w
    side, nothing = np.array([across, -across]), np.empty((0, 2))
    band = np.concatenate([side + q.min() * w, side[::-1] - q.min() * w]) if right.all() else nothing
    holds = np.where((q <= q.min() + 1e-9)[:, None], X, np.nan)
    return {
        "plane": {
            "band": _columns(band),
            "separator": (np.array([-across[0], across[0]]), np.array([-across[1], across[1]])),
            "plus": _columns(X[(y > 0) & right]),
            "minus": _columns(X[(y < 0) & right]),
            "wrong": _columns(X[~right]),
            "holds": _columns(holds),
            "w": _columns(1.5 * w[None]),
        },
        "margins": {
            **{name: (ANGLES, values) for name, values in _curves(data).items()},
            **{f"now_{name}": (np.array([angle]), value) for name, value in now.items()},
        },
    }


def _columns(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return points[:, 0], points[:, 1]


def _plane() -> Panel:
    return Panel(
        "plane",
        "Data and separator",
        Axis("x₁", include=(-REACH, REACH)),
        Axis("x₂", include=(-REACH, REACH)),
        (
            Series("band", "free of samples", COLORS["gd"], mark="area", width=1.0),
            Series("separator", "separator", INK, dash=(5, 3), width=1.5),
            Series("plus", "y = +1, right", INK, mark="points", width=4.0),
            Series("minus", "y = −1, right", MUTED, mark="points", width=4.0),
            Series("wrong", "on the wrong side", "#882255", mark="points", width=4.0),
            Series("holds", "holds the margin", INK, mark="ring", width=1.6, letter="x"),
            Series("w", "w", INK, mark="arrow", width=2.0),
        ),
        aspect=1.0,
        equal=True,
        beside_controls=True,
    )


def _margins() -> Panel:
    curves = [Series(name, "", color, width=1.8) for name, (_, color) in NORMS.items()]
    now = [
        Series(f"now_{name}", label, color, mark="points", width=5.0, last=True)
        for name, (label, color) in NORMS.items()
    ]
    return Panel(
        "margins",
        "Normalised margin in three norms (positive: all samples right)",
        Axis("angle of w (degrees)", domain=(float(ANGLES[0]), float(ANGLES[-1]))),
        Axis("smallest margin / norm of w", domain=(-0.7, 1.4)),
        (*curves, *now),
        rules=(Rule(0.0),),
        aspect=0.55,
    )
