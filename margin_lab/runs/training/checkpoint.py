"""Checkpoints that a kill cannot spoil: written beside the old one, then put in its place in one step."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from margin_lab.models.description import differences
from margin_lab.results.files import replace_file

_VERSION = 2


class Stateful(Protocol):
    """What a checkpoint saves and restores."""

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


class Clock:
    """Wall time of a run over all its resumptions."""

    def __init__(self) -> None:
        self.before, self.began = 0.0, time.monotonic()

    def seconds(self) -> float:
        """So far."""
        return self.before + time.monotonic() - self.began


class Checkpoint:
    """The file of a run, saved to at most every so many seconds; without a path it does nothing.

    Args:
        path: of the file. every: seconds between saves.
        description: what the run was made with; a file of another one is refused by naming the difference.
        outputs: of the network at the start ``[m, ...]``, which tell two architectures of one description apart.
        parts: by name, what is saved. clock: whose time is saved, too.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | None,
        every: float,
        description: Mapping[str, str],
        outputs: Tensor,
        parts: Mapping[str, Stateful],
        clock: Clock,
    ):
        self.path, self.every = None if path is None else Path(path), every
        self.description, self.outputs = dict(description), outputs.detach().cpu()
        self.parts, self.clock = parts, clock
        self.saved = time.monotonic()

    def resume(self) -> None:
        """Continue from the file, if there is one.

        Raises:
            ValueError: a checkpoint of another run, or a file that is none.
        """
        content = None if self.path is None else load_checkpoint(self.path)
        if content is None:
            return
        found = differences(content["description"], self.description)
        if not found and not _same_outputs(content["outputs"], self.outputs):
            found = "the network's code differs: equal parameters and buffers give other outputs for the same data"
        if found:
            raise ValueError(
                f"{self.path} is the checkpoint of another run: {found}. Make the call as it was, or delete the file or "
                "name another"
            )
        for name, part in self.parts.items():
            part.load_state_dict(content[name])
        self.clock.before = content["seconds"]

    def save_if_due(self) -> None:
        """Save where the last time is long enough ago."""
        if time.monotonic() - self.saved >= self.every:
            self.save()

    def save(self) -> None:
        """Save now."""
        if self.path is None:
            return
        content = {name: part.state_dict() for name, part in self.parts.items()}
        fixed = {"description": self.description, "outputs": self.outputs, "seconds": self.clock.seconds()}
        save_checkpoint(self.path, {**content, **fixed})
        self.saved = time.monotonic()


def save_checkpoint(path: str | os.PathLike[str], content: dict[str, Any]) -> None:
    """Write ``content`` (numbers, strings, tensors in dicts and lists) atomically: a reader finds the old file or the new one."""
    replace_file(path, lambda file: torch.save({"version": _VERSION, **content}, file))


def load_checkpoint(path: str | os.PathLike[str]) -> dict[str, Any] | None:
    """The checkpoint at ``path``, on the CPU; None if there is no file. It is read without running code (``weights_only``).

    Raises:
        ValueError: a file that is no checkpoint, or one of another version of the format.
    """
    path = Path(path)
    if not path.exists():
        return None
    try:
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        version = content["version"]
    except Exception as error:
        raise ValueError(
            f"{path} is no checkpoint of a training run ({error}); delete it or name another"
        ) from None
    if version != _VERSION:
        raise ValueError(
            f"{path} is a checkpoint of format {version}, and this version of margin_lab writes and reads format {_VERSION}; "
            "delete it or name another"
        )
    return content


def _same_outputs(before: Tensor, now: Tensor) -> bool:
    """Up to what another machine's rounding may change."""
    if before.shape != now.shape or before.dtype != now.dtype:
        return False
    error = (before.double() - now.double()).abs().max() if before.numel() else torch.zeros(())
    return bool(error <= torch.finfo(before.dtype).eps ** 0.5 * before.double().abs().max())
