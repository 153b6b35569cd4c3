"""Pictures of weight space: the field of normalised gradients in the plane, trajectories, the semi-cylinder in space."""

from __future__ import annotations

from typing import Any

import numpy as np

from margin_lab.book.plots.style import line
from margin_lab.checks import positive
from margin_lab.datasets import Dataset
from margin_lab.theory.centripetal import centripetal_velocity

# Diverging and legible without colour vision: blue pushes outward, red pulls toward the axis.
_PULL = "RdBu_r"


def vector_field(
    ax: Any,
    data: Dataset,
    along: tuple[float, float],
    across: tuple[float, float],
    arrows: tuple[int, int] = (17, 13),
) -> Any:
    """Draw the direction ``-grad L / ||grad L||`` of descent in the plane, on the centripetal velocity as background.

    Args:
        ax: Axes. data: a plane dataset whose ``w_star`` is ``e_1``.
        along, across: limits of ``w_1`` and ``w_2``. arrows: how many along and across.

    Returns:
        The background, for a colour bar.

    Raises:
        ValueError: data that is not in the plane, or whose ``w_star`` is not ``e_1``.
    """
    if data.w_star is None or not np.array_equal(data.w_star, [1.0, 0.0]):
        raise ValueError(
            f"vector_field draws data in the plane with w_star = e_1, got w_star = {data.w_star}"
        )
    fine = _grid(along, across, (240, 361))
    pull = centripetal_velocity(fine, data.X, data.y, data.w_star)
    mesh = ax.imshow(
        pull, extent=(*along, *across), origin="lower", aspect="auto", cmap=_PULL, vmin=-1, vmax=1, alpha=0.5
    )
    margins = 0.5 / np.array(arrows)
    w = _grid(_inset(along, margins[0]), _inset(across, margins[1]), arrows)
    down = _softmax(-w @ data.Z.T) @ data.Z
    down /= np.linalg.norm(down, axis=-1, keepdims=True)
    ax.quiver(
        w[..., 0],
        w[..., 1],
        down[..., 0],
        down[..., 1],
        color="#555555",
        pivot="mid",
        scale=26,
        width=0.0028,
        headwidth=4,
    )
    ax.set(xlim=along, ylim=across, xlabel="$w_1$, along $w^\\star$", ylabel="$w_2$, across")
    ax.grid(False)
    return mesh


def path(ax: Any, w: Any, method: str, **kwargs: Any) -> None:
    """Draw iterates ``w [T, 2]`` or ``[T, 3]`` (on 3-D Axes) as joined dots in the method's colour; kwargs for the line."""
    w = np.asarray(w)
    ax.plot(*w.T, **line(method, **{"marker": "o", "markersize": 3.5, "linewidth": 1.4, **kwargs}))


def semi_cylinder(ax: Any, data: Dataset, D: float, heights: tuple[float, float]) -> tuple[Any, np.ndarray]:
    """Draw the semi-cylinder ``{||P_perp w|| = D, <w, w*> in heights}`` with the centripetal velocity as its colour.

    The axes of the picture are ``w*`` (upward) and an orthonormal basis across it.

    Args:
        ax: 3-D Axes. data: 3-D data with a known ``w_star``. D: radius, > 0. heights: from the lower rim to where it is cut.

    Returns:
        The surface's colour map (for a colour bar), and the velocities ``[heights, angles]``.

    Raises:
        ValueError: data that is not 3-D or has no ``w_star``, D <= 0.

    Source: PRGD, Definition 5.3 and Theorem 5.5.
    """
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    positive(D, "D")
    frame = axis_frame(data)
    if len(frame) != 3:
        raise ValueError(f"semi_cylinder draws data in space, got d = {len(frame)}")
    angle, height = np.meshgrid(np.linspace(0, 2 * np.pi, 121), np.linspace(*heights, 41))
    shown = np.stack([D * np.cos(angle), D * np.sin(angle), height], axis=-1)
    pull = centripetal_velocity(shown @ frame, data.X, data.y, data.w_star)
    colors = ScalarMappable(Normalize(min(0.0, pull.min()), pull.max()), colormaps["viridis"])
    ax.plot_surface(
        *np.moveaxis(shown, -1, 0),
        facecolors=colors.to_rgba(pull),
        rstride=1,
        cstride=1,
        shade=False,
        alpha=0.55,
        linewidth=0,
    )
    ax.plot([0, 0], [0, 0], heights, color="black", linewidth=1.5)
    ax.text(0, 0, heights[1] * 1.12, "$w^\\star$", ha="center")
    ax.set(xlabel="across", ylabel="across", zlabel="along $w^\\star$", xticks=[-D, 0, D], yticks=[-D, 0, D])
    return colors, pull


def axis_frame(data: Dataset) -> np.ndarray:
    """An orthonormal basis ``[d, d]`` whose last row is ``w*``: ``w @ frame.T`` are coordinates (across, ..., along).

    Raises:
        ValueError: data without a known ``w_star``.
    """
    if data.w_star is None:
        raise ValueError(
            f"{data.name} has no known w_star; compute it with hard_margin and pass it in the Dataset"
        )
    # QR of [w*, I]: the first column spans w*, the others what is orthogonal to it
    basis = np.linalg.qr(np.column_stack([data.w_star, np.eye(len(data.w_star))]))[0].T
    return np.vstack([basis[1:], data.w_star])


def _grid(along: tuple[float, float], across: tuple[float, float], shape: tuple[int, int]) -> np.ndarray:
    return np.stack(np.meshgrid(np.linspace(*along, shape[0]), np.linspace(*across, shape[1])), axis=-1)


def _inset(limits: tuple[float, float], share: float) -> tuple[float, float]:
    low, high = limits
    return low + share * (high - low), high - share * (high - low)


def _softmax(a: np.ndarray) -> np.ndarray:
    e = np.exp(a - a.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)
