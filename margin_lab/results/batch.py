"""Results that hold many runs: ``len`` counts them, an index gives one, a slice gives fewer, a loop gives all."""

from __future__ import annotations

import dataclasses
import operator
from collections.abc import Iterator
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
from torch import Tensor

from margin_lab.results.text import brief

One = TypeVar("One")


class Batch(Generic[One]):
    """A frozen dataclass of B runs: ``settings`` has one entry a run, and every field but the common ones a first axis of B.

    Attributes:
        _common: fields that all runs share. _run: the class of one run, whose fields have the same names.
    """

    _common: ClassVar[tuple[str, ...]] = ()
    _run: ClassVar[type]
    settings: Any

    def __len__(self) -> int:
        return len(self.settings)

    def _one(self, i: int) -> One:
        common = {name: getattr(self, name) for name in self._common}
        run: One = self._run(**common, **self._rows(i))
        return run

    def _several(self, indices: list[int]) -> Any:
        return dataclasses.replace(self, **self._rows(indices))  # type: ignore[type-var]

    def _rows(self, i: int | list[int]) -> dict[str, Any]:
        names = [f.name for f in dataclasses.fields(self) if f.name not in self._common]  # type: ignore[arg-type]
        return {name: picked(getattr(self, name), i) for name in names}

    def table(self) -> dict[str, np.ndarray]:
        """Records of all runs below each other: run, what varies among the settings, and a run's columns."""
        return stacked([run.table() for run in self], self.settings)  # type: ignore[attr-defined]

    def __getitem__(self, i: Any) -> Any:
        """``[3]``: one run. ``[:2]``: a batch of the first two.

        Raises:
            IndexError: no such run. TypeError: an index that is neither a whole number nor a slice.
        """
        count = len(self)
        if isinstance(i, slice):
            return self._several(list(range(count)[i]))
        try:
            index = operator.index(i)
        except TypeError:
            raise TypeError(
                f"{type(self).__name__} takes a whole number or a slice, such as [3] or [:2], got {i!r}"
            ) from None
        if not -count <= index < count:
            raise IndexError(f"there is no run {index}; {type(self).__name__} holds {count}")
        return self._one(index % count)

    def __iter__(self) -> Iterator[One]:
        return (self._one(i) for i in range(len(self)))


def picked(value: Any, i: int | list[int]) -> Any:
    """Row ``i`` or rows ``i`` of a list, an array or tensor ``[B, ...]``, or a dict of them; None stays."""
    if value is None:
        return None
    if isinstance(value, dict):
        return {name: picked(part, i) for name, part in value.items()}
    if isinstance(i, list) and not isinstance(value, (np.ndarray, Tensor)):
        return [value[k] for k in i]
    return value[i]


def stacked(tables: list[dict[str, np.ndarray]], settings: list[dict[str, Any]]) -> dict[str, np.ndarray]:
    """The runs' tables below each other, after the run's number and those of its settings that vary."""
    lengths = [len(next(iter(table.values()))) for table in tables]
    columns = {"run": np.repeat(np.arange(len(tables)), lengths)}
    for name in settings[0] if settings else ():
        values = [
            brief(s[name]) if not isinstance(s[name], (bool, int, float)) else s[name] for s in settings
        ]
        if len(set(values)) > 1:
            columns[name] = np.repeat(np.array(values), lengths)
    for name in tables[0] if tables else ():
        columns[name] = np.concatenate([table[name] for table in tables])
    return columns
