"""The base of what computations return."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from torch import Tensor

from margin_lab.checks import needs
from margin_lab.results.archive import read_archive, write_archive
from margin_lab.results.figures import draw
from margin_lab.results.text import as_html, bounded

_KINDS: dict[str, type[Result]] = {}


class Result:
    """A frozen dataclass that shows itself, and gives its numbers as a table, a plot, a data frame and a file.

    A subclass gives ``_title`` and :meth:`table`. Two results are equal where they are the same object: arrays have no other
    answer that is one truth value.

    Attributes:
        _x, _y: columns that ``plot`` draws by default; the first and the second where they are empty.
        _group: the column that tells lines apart. _points: whether rows are points rather than a line.
        _parts: dataclasses that are inside. _left_out: fields that no file holds.
    """

    _x: ClassVar[str] = ""
    _y: ClassVar[str] = ""
    _group: ClassVar[str | None] = None
    _points: ClassVar[bool] = False
    _parts: ClassVar[tuple[type, ...]] = ()
    _left_out: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        _KINDS[cls.__name__] = cls

    def _title(self) -> str:
        raise NotImplementedError

    def table(self) -> dict[str, np.ndarray]:
        """Columns of equal length by name, one row a record."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return bounded(self._title())

    def _repr_html_(self) -> str:
        return as_html(self._title(), self.table())

    def plot(self, y: str | None = None, *, x: str | None = None, ax: Any = None, **options: Any) -> Any:
        """Draw one column of :meth:`table` against another, and return the matplotlib Axes.

        Args:
            y, x: names of columns. ax: Axes to draw into; default a new figure. options: for ``Axes.plot``.

        Raises:
            ValueError: no such column. ImportError: matplotlib is not installed.
        """
        table = self.table()
        names = [name for name in table if name != self._group]
        chosen = (x or self._x or names[0], y or self._y or names[1])
        for name in chosen:
            if name not in table:
                raise ValueError(f"there is no column {name!r}, only {', '.join(map(repr, table))}")
            if table[name].dtype.kind not in "biuf":
                raise ValueError(f"column {name!r} holds no numbers, so it cannot be drawn")
        method = getattr(self, "method", None)
        return draw(
            table,
            *chosen,
            method=method if isinstance(method, str) else None,
            group=self._group,
            points=self._points,
            ax=ax,
            options=options,
        )

    def to_frame(self) -> Any:
        """:meth:`table` as a pandas DataFrame.

        Raises:
            ImportError: pandas is not installed.
        """
        return needs("pandas", "pandas", ".to_frame()").DataFrame(self.table())

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write to one file (npz with a JSON header, no pickle), in one step, and return its path.

        Arrays and tensors keep their kind and dtype; tensors come back on the CPU, functions among the settings as their text.
        """
        return write_archive(path, type(self).__name__, self._saved())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read what :meth:`save` wrote; no code in the file is run.

        Raises:
            ValueError: another kind of result, or a file that is none.
        """
        return cls._restored(path, cls._content(path))

    def _saved(self) -> dict[str, Any]:
        names = [f.name for f in dataclasses.fields(self) if f.name not in self._left_out]  # type: ignore[arg-type]
        return {name: getattr(self, name) for name in names}

    @classmethod
    def _content(cls, path: str | os.PathLike[str]) -> dict[str, Any]:
        kind, content = read_archive(path, {part.__name__: part for part in cls._parts})
        if kind != cls.__name__:
            raise ValueError(
                f"{path} holds a {kind}, not a {cls.__name__}; read it with {kind}.load or margin_lab.results.load"
            )
        return content

    @classmethod
    def _restored(cls, path: str | os.PathLike[str], content: dict[str, Any]) -> Self:
        try:
            return cls(**{**dict.fromkeys(cls._left_out), **content})
        except TypeError as error:
            raise ValueError(
                f"{path} holds a {cls.__name__} of another version of margin_lab ({error})"
            ) from None


def load(path: str | os.PathLike[str]) -> Any:
    """Read a result of any kind.

    Raises:
        ValueError: a file that is none, or a kind whose module was not imported yet.
    """
    kind, _ = read_archive(path, {})
    if kind not in _KINDS:
        raise ValueError(
            f"{path} holds a {kind}, whose module has not been imported; import it and call {kind}.load"
        )
    return _KINDS[kind].load(path)


def as_numpy(value: Any) -> np.ndarray:
    """A list, array or tensor as an array of at least float32 where it holds floats."""
    if isinstance(value, Tensor):
        t = value.detach().cpu()
        return (t.float() if t.is_floating_point() and t.element_size() < 4 else t).numpy()
    return np.asarray(value)
