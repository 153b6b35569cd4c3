"""Plotted arrays as one block of bytes, the same for a whole sweep (book) and for one setting (live)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from margin_lab.book.widgets.framework.panels import Panel

# What ``compute`` returns for one setting: panel name -> series name -> (x, y).
Frame = Mapping[str, Mapping[str, tuple[ArrayLike, ArrayLike]]]


def pack(
    frames: Sequence[Frame], panels: Sequence[Panel], dtype: str = "f4"
) -> tuple[list[dict[str, Any]], bytes]:
    """Pack the series of many settings.

    Every (panel, series, axis) becomes a table ``[rows, length]``. Rows that are equal between settings are stored once
    (a baseline does not depend on every slider, iteration numbers depend on none): that keeps a page small. Shorter rows
    are padded with NaN, which the front end drops.

    Args:
        frames: one per setting.
        panels: which series to expect.
        dtype: ``"f4"`` for pages, ``"f8"`` for a live answer.

    Returns:
        Columns ``{panel, series, axis, start, rows, length, index}`` (start in elements; ``index[setting]`` is a row,
        ``None`` where all settings share row 0), and the little-endian bytes.

    Raises:
        ValueError: a missing or unknown series, x and y of different lengths, numbers too large for the dtype.
    """
    columns: list[dict[str, Any]] = []
    blocks: list[bytes] = []
    start = 0
    for panel in panels:
        for series in panel.series:
            pairs = [_pair(frame, panel, series.name, dtype) for frame in frames]
            for axis in (0, 1):
                table, index = _unique_rows([pair[axis] for pair in pairs])
                columns.append(
                    {
                        "panel": panel.name,
                        "series": series.name,
                        "axis": "xy"[axis],
                        "start": start,
                        "rows": table.shape[0],
                        "length": table.shape[1],
                        "index": index if table.shape[0] > 1 else None,
                    }
                )
                blocks.append(table.astype("<" + dtype).tobytes())
                start += table.size
    return columns, b"".join(blocks)


def _pair(frame: Frame, panel: Panel, series: str, dtype: str) -> tuple[np.ndarray, np.ndarray]:
    where = f"series {series!r} of panel {panel.name!r}"
    known = {s.name for s in panel.series}
    if panel.name not in frame or series not in frame[panel.name]:
        raise ValueError(
            f"compute returned no {where}; return {{panel: {{series: (x, y)}}}} for every setting"
        )
    if extra := set(frame[panel.name]) - known:
        raise ValueError(
            f"compute returned {sorted(extra)} in panel {panel.name!r}, which declares {sorted(known)}"
        )
    x, y = (np.asarray(v, dtype=np.float64) for v in frame[panel.name][series])
    if x.ndim != 1 or x.shape != y.shape:
        raise ValueError(f"{where}: x and y must be 1-d and of one length, got {x.shape} and {y.shape}")
    largest = np.finfo(dtype).max
    if (np.isfinite(x) & (np.abs(x) > largest)).any() or (np.isfinite(y) & (np.abs(y) > largest)).any():
        raise ValueError(
            f"{where} holds numbers beyond {largest:.1g}, which a page cannot store; shorten the grid"
        )
    return x.astype(dtype), y.astype(dtype)


def _unique_rows(rows: list[np.ndarray]) -> tuple[np.ndarray, list[int]]:
    seen: dict[bytes, int] = {}
    index = [seen.setdefault(row.tobytes(), len(seen)) for row in rows]
    unique: list[np.ndarray] = [rows[index.index(k)] for k in range(len(seen))]
    table = np.full((len(unique), max(1, max(len(r) for r in unique))), np.nan, dtype=rows[0].dtype)
    for k, row in enumerate(unique):
        table[k, : len(row)] = row
    return table, index
