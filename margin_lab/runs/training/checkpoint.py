"""Checkpoints that a kill cannot spoil: written beside the old one, then put in its place in one step."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

_VERSION = 1


def save_checkpoint(path: str | os.PathLike[str], content: dict[str, Any]) -> None:
    """Write ``content`` (numbers, strings, tensors in dicts and lists) atomically: a reader finds the old file or the new one."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # of this process alone, so that two writers cannot mix
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            torch.save({"version": _VERSION, **content}, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def load_checkpoint(path: str | os.PathLike[str], fingerprint: str) -> dict[str, Any] | None:
    """The checkpoint at ``path``, on the CPU; None if there is no file. It is read without running code (``weights_only``).

    Raises:
        ValueError: a checkpoint of another run, or a file that is none.
    """
    path = Path(path)
    if not path.exists():
        return None
    try:
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        version, found = content["version"], content["fingerprint"]
    except Exception as error:
        raise ValueError(
            f"{path} is no checkpoint of a training run ({error}); delete it or name another"
        ) from None
    if version != _VERSION or found != fingerprint:
        raise ValueError(
            f"{path} is the checkpoint of another run: other data, settings or start; delete it or name another"
        )
    return content


def digest(*parts: Tensor | str) -> str:
    """A short hash of tensors and strings."""
    h = hashlib.sha256()
    for part in parts:
        if isinstance(part, Tensor):
            h.update(f"{part.dtype}{tuple(part.shape)}".encode())
            h.update(part.detach().cpu().contiguous().numpy().data)
        else:
            h.update(part.encode())
    return h.hexdigest()[:16]
