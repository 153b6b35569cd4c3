"""Labs: small studies with a fixed plan, their parameters at two scales, their results kept with where they came from.

A lab is a notebook. It declares its parameters once, for the "quick" scale at which the book is built and for the "full" one::

    lab = ml.labs.Lab("batch_size", quick=dict(seeds=4), full=dict(seeds=20))

    def final_margin(batch_size, seed):
        ...
        return {"margin": run.margin[-1]}

    lab.measure(final_margin, lab.cases(batch_size=[1, 8, 64], seed=range(lab["seeds"])))
    for scale, results in lab.results().items():
        small = ml.labs.column(results["final_margin"], "margin", batch_size=8)
        lab.expect((small > 0).all(), f"all samples are separated at the {scale} scale")

The full scale is the same notebook, run with ``MARGIN_LAB_SCALE=full``. Each case is kept as soon as it is measured, so that a
run that was killed continues where it was; at the end :meth:`Lab.results` writes the file that the book shows from then on.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import inspect
import itertools
import json
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from margin_lab.book.recordings.places import DATA, OWN, WORK
from margin_lab.book.recordings.provenance import commit_here, provenance, sentence, write_json
from margin_lab.checks import choice
from margin_lab.runs.progress import progress
from margin_lab.runs.settings import compute_device

SCALES = ("quick", "full")
VARIABLE = "MARGIN_LAB_SCALE"
Row = dict[str, Any]


class Lab:
    """One study at one of two scales.

    Args:
        name: of the lab and of its file, ``lab_name_full.json``.
        quick, full: parameters by name, the same names in both: JSON-able values.
        scale: "quick" or "full"; default the environment's ``MARGIN_LAB_SCALE``, or "quick".
        device: where the study computes: it is recorded, and handed on by the study itself, as ``lab.device``. "auto" for CUDA
            where there is one; the book's labs are small, and stay on the CPU.
        notebook: for the recorded command; default the one here called ``13x_name.ipynb``, or ``name.ipynb``.
        folder: of the recorded files; default a reader's own, and then those that come with the package.
        work: folder in which the cases of a full run are kept until it ends.

    Attributes:
        parameters: those of the scale; ``lab["seeds"]`` is one of them.
        own: whether name and parameters, at both scales, are those of one of the book's labs: :meth:`expect` then raises.

    Raises:
        ValueError: an unknown scale, or scales with different parameters.
    """

    def __init__(
        self,
        name: str,
        *,
        quick: Mapping[str, Any],
        full: Mapping[str, Any],
        scale: str | None = None,
        device: str = "cpu",
        notebook: str | None = None,
        folder: str | os.PathLike[str] | None = None,
        work: str | os.PathLike[str] = WORK / "labs",
    ):
        if quick.keys() != full.keys():
            differ = sorted(quick.keys() ^ full.keys())
            raise ValueError(f"quick and full must name the same parameters; only one of them has {differ}")
        self.name = name
        self.scale = choice(scale or os.environ.get(VARIABLE, "quick"), "scale", SCALES)
        self._full = _plain(dict(full), "parameters")
        self.parameters = self._full if self.scale == "full" else _plain(dict(quick), "parameters")
        self.device = compute_device(device, torch.device("cpu"))
        self.file = Path(OWN if folder is None else folder) / f"lab_{name}_full.json"
        self._found = [self.file, *([DATA / self.file.name] if folder is None else [])]
        here = sorted(path.name for path in Path().glob(f"13*_{name}.ipynb"))
        self._notebook, self._work = notebook or (*here, f"{name}.ipynb")[0], Path(work) / name
        self._start = dt.datetime.now(dt.UTC)
        self._measured: dict[str, list[Row]] = {}
        self._seconds = 0.0
        self._commits: set[str | None] = set()
        self.own = _plain(dict(quick), "parameters") == _known_quick().get(name) and self._is_recorded_here()

    def __getitem__(self, parameter: str) -> Any:
        return self.parameters[choice(parameter, "parameter", tuple(self.parameters))]

    @staticmethod
    def cases(**axes: Iterable[Any]) -> list[Row]:
        """All combinations of the values given, the last one fastest: ``cases(a=[1, 2], b="xy")`` are four."""
        return [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]

    def measure(self, study: Callable[..., Mapping[str, Any]], cases: Sequence[Row]) -> list[Row]:
        """Call ``study(**case)`` for every case and return the rows ``{**case, **what it returned}``.

        At full scale each row is kept in a file, by the text of ``study``, the lab's parameters and the case: a run that is
        started again computes only what is missing.

        Raises:
            ValueError: a result that is not JSON: use numbers, lists, texts, None; no NaN or infinity.
        """
        rows, commit = [], commit_here(self._notebook) if self.scale == "full" else None
        for case in progress(cases, self.name):
            case = _plain(case, "case")
            file = self._kept(study, case) if self.scale == "full" else None
            if file is not None and file.is_file():
                kept = json.loads(file.read_text(encoding="utf-8"))
            else:
                began = time.monotonic()
                row = {**case, **_plain(dict(study(**case)), f"the result of {study.__name__}")}
                kept = {"row": row, "seconds": time.monotonic() - began, "commit": commit}
                if file is not None:
                    write_json(file, kept)
            rows.append(kept["row"])
            self._seconds += kept["seconds"]
            self._commits.add(kept["commit"])
        self._measured[study.__name__] = rows
        return rows

    def results(self) -> dict[str, dict[str, list[Row]]]:
        """``{scale: {study: rows}}``: what was measured here and, at quick scale, what is recorded at full.

        At full scale this ends the run: the file is written. Figures and assertions that go through all entries hold
        for both scales.
        """
        if self.scale == "full":
            self._write()
            return {"full": self._measured}
        recorded = self.recorded()
        return {"quick": self._measured, **({"full": recorded["results"]} if recorded else {})}

    def recorded(self) -> dict[str, Any] | None:
        """The file of a full run with these parameters: ``parameters``, ``provenance``, ``results``; None where there is none."""
        for path in self._found:
            if path.is_file():
                content = json.loads(path.read_text(encoding="utf-8"))
                if content["parameters"] == self._full:
                    return content
        return None

    def expect(self, condition: Any, claim: str) -> bool:
        """Assert ``claim``, a sentence without its full stop, with the book's own parameters; otherwise report where it fails.

        What a lab's text says was found with the lab's parameters. With a reader's own it is a question, and its answer no
        error: the run goes on to the table that shows why. A fork that changes the lab's code gets a name of its own.

        Returns:
            Whether it holds.

        Raises:
            AssertionError: it does not hold, and the lab is one of the book's, unchanged.

        Example:
            >>> fork = Lab("my_own", quick={"seeds": 2}, full={"seeds": 20})
            >>> fork.expect(1 > 2, "the first mean is larger")
            with your parameters this does not hold: the first mean is larger
            False
        """
        if not condition and self.own:
            raise AssertionError(f"this does not hold: {claim}")
        if not condition:
            print(f"with your parameters this does not hold: {claim}")
        return bool(condition)

    def says(self) -> str:
        """One sentence on where the full results come from, for the reader."""
        recorded = self.recorded()
        if recorded is None:
            return f"Not recorded with these parameters yet: run this notebook with `{VARIABLE}=full` to make `{self.file.name}`."
        return sentence({**recorded["provenance"], "seed": None})  # a lab's seeds are among its parameters

    def _write(self) -> None:
        commits = ", ".join(sorted(str(c) for c in self._commits)) or None
        command = f"{VARIABLE}=full jupyter execute {self._notebook}"
        content = {
            "name": f"lab_{self.name}",
            "scale": self.scale,
            "parameters": self.parameters,
            "provenance": provenance(command, self.device, self._start, self._seconds, commits),
            "results": self._measured,
        }
        write_json(self.file, content)

    def _is_recorded_here(self) -> bool:
        path = DATA / self.file.name
        return path.is_file() and bool(
            json.loads(path.read_text(encoding="utf-8"))["parameters"] == self._full
        )

    def _kept(self, study: Callable[..., Any], case: Row) -> Path:
        text = json.dumps([inspect.getsource(study), self.parameters, case, str(self.device)], sort_keys=True)
        return (
            self._work / f"{study.__name__}_{hashlib.blake2b(text.encode(), digest_size=10).hexdigest()}.json"
        )


def column(rows: Iterable[Row], name: str, **where: Any) -> np.ndarray:
    """The values of ``name`` in the rows in which every ``where`` holds, in their order, as an array.

    Raises:
        ValueError: no such row, or a row without that value.
    """
    found = [row for row in rows if all(row.get(key) == value for key, value in where.items())]
    if not found:
        raise ValueError(f"no row has {where}")
    if any(name not in row for row in found):
        raise ValueError(f"the rows have no {name!r}; they have {', '.join(found[0])}")
    return np.array([row[name] for row in found])


def _known_quick() -> dict[str, Any]:
    """The quick parameters of the book's labs; the full ones are in their recorded files."""
    found: dict[str, Any] = json.loads((DATA / "labs.json").read_text(encoding="utf-8"))
    return found


def _plain(value: Any, name: str) -> Any:
    """``value`` as it comes back from JSON, so that live and recorded results are alike."""

    def convert(v: Any) -> Any:
        if isinstance(v, (np.ndarray, np.generic, torch.Tensor)):
            return v.tolist()
        if isinstance(v, range):
            return list(v)
        raise ValueError(
            f"{name} holds {v!r}; use numbers, texts, lists, dicts and None, which a file can keep"
        )

    try:
        return json.loads(json.dumps(value, default=convert, allow_nan=False))
    except ValueError as e:
        raise ValueError(f"{name}: {e}") from None
