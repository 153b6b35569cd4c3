"""Recorded runs: what is too long to run while a page is built is run once, and its numbers kept with where they came from::

    python -m margin_lab.record mnist_cnn --scale cpu --device auto

writes ``mnist_cnn_cpu.json``, which :func:`load` finds (``margin_lab.book.recordings.places`` says where). A run that was killed
continues where it was: give the same command again.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from margin_lab.book.recordings.images import RECORDINGS, SCALES
from margin_lab.book.recordings.places import OWN, WORK, find
from margin_lab.book.recordings.provenance import commit_here, provenance, sentence, write_json
from margin_lab.checks import choice
from margin_lab.runs.settings import compute_device
from margin_lab.runs.training.result import Training

CHECKPOINTS = WORK / "record"
SECONDS = 30.0


def record(
    name: str,
    scale: str = "cpu",
    device: str = "auto",
    out: str | os.PathLike[str] = OWN,
    checkpoints: str | os.PathLike[str] = CHECKPOINTS,
    every: float = SECONDS,
) -> Path:
    """Run the recording ``name`` and write ``out/name_scale.json``; return that path.

    Args:
        name: of ``margin_lab.book.recordings.images.RECORDINGS``. scale: "quick", "cpu" or "paper".
        device: "auto" for CUDA where there is one.
        out: folder of the results. checkpoints: folder of what a killed run continues from, ``name_scale`` within it.
        every: seconds between checkpoints.

    Raises:
        ValueError: an unknown name, scale or device.
    """
    choice(name, "name", tuple(RECORDINGS))
    choice(scale, "scale", SCALES)
    where = compute_device(device, torch.device("cpu"))
    began, start, commit = time.monotonic(), dt.datetime.now(dt.UTC), commit_here()
    command = f"python -m margin_lab.record {name} --scale {scale} --device {where.type}"
    found = RECORDINGS[name](scale, str(where), Path(checkpoints) / f"{name}_{scale}", every)
    content = {
        "name": name,
        "scale": scale,
        "provenance": provenance(command, where, start, time.monotonic() - began, commit),
        **found,
    }
    path = Path(out) / f"{name}_{scale}.json"
    write_json(path, content)
    return path


@dataclass(frozen=True)
class Recorded:
    """A results file. ``runs``: ``{label: Training}`` without parameters; ``content``: the file as it is."""

    content: dict[str, Any]

    @property
    def runs(self) -> dict[str, Training]:
        """The trainings in it."""
        return {label: Training.from_dict(run) for label, run in self.content["runs"].items()}

    def says(self) -> str:
        """One sentence on where the numbers come from and how old they are."""
        p = self.content["provenance"]
        return sentence(p, sum(run["seconds"] for run in self.content.get("runs", {}).values()) or None)


def load(
    name: str, scales: tuple[str, ...] = ("paper", "cpu"), folder: str | os.PathLike[str] | None = None
) -> Recorded | None:
    """The results file of the first of ``scales`` that is there, or ``name.json`` for what has no scale, or None.

    Args:
        folder: that has it; default a reader's own recordings, and then those that come with the package, so that a notebook
            finds the book's from anywhere.
    """
    for stem in (*(f"{name}_{scale}" for scale in scales), name):
        path = find(stem) if folder is None else Path(folder) / f"{stem}.json"
        if path is not None and path.is_file():
            return Recorded(json.loads(path.read_text(encoding="utf-8")))
    return None


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m margin_lab.record", description=__doc__)
    parser.add_argument("name", choices=tuple(RECORDINGS))
    parser.add_argument("--scale", choices=SCALES, default="cpu")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--out", type=Path, default=OWN)
    parser.add_argument("--checkpoints", type=Path, default=CHECKPOINTS)
    parser.add_argument("--every", type=float, default=SECONDS, help="seconds between checkpoints")
    options = parser.parse_args(arguments)
    print(
        record(options.name, options.scale, options.device, options.out, options.checkpoints, options.every)
    )
