"""A training killed at twenty random moments (SIGKILL: nothing is cleaned up) ends with the numbers of one that was not."""

from __future__ import annotations

import multiprocessing
import random
import signal
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from killed_training import EPOCHS, work
from test_checkpoints import same

from margin_lab.runs import Training
from margin_lab.runs.training.checkpoint import load_checkpoint

KILLS = 20


def start(checkpoint: Path, out: Path) -> Any:
    """Forked by a server that imports torch and the data only once."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["killed_training", "torch._dynamo", "sklearn.datasets"])
    process = context.Process(target=work, args=(checkpoint, out))
    process.start()
    return process


def finish(process: Any) -> None:
    process.join(120)
    assert process.exitcode == 0


def test_killed_at_random_moments_gives_the_same_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    finish(start(tmp_path / "whole.pt", tmp_path / "whole.npz"))
    whole = Training.load(tmp_path / "whole.npz")
    assert 0 < whole.rejected[-1] < EPOCHS and len(whole.snapshots) == 2

    draw, kills, epoch = random.Random(0), 0, -1
    checkpoint, out = tmp_path / "killed.pt", tmp_path / "killed.npz"
    while kills < KILLS:
        process, before = start(checkpoint, out), stamp(checkpoint)
        saves, seen = draw.randrange(3), {before}
        deadline = time.monotonic() + 60
        while len(seen) <= saves and process.is_alive() and time.monotonic() < deadline:
            seen.add(stamp(checkpoint))
            time.sleep(0.0005)
        # somewhere in an epoch, or in the middle of a save
        time.sleep(draw.random() * 0.01)
        process.kill()
        process.join()
        if process.exitcode == 0:
            break  # it was faster than the last of the kills
        assert process.exitcode == -signal.SIGKILL
        kills += 1
        content = load_checkpoint(checkpoint)
        now = -1 if content is None else content["session"]["epoch"]
        assert now >= epoch, "work that was saved is lost"
        epoch = now
    assert kills >= KILLS // 2 and epoch > 0
    finish(start(checkpoint, out))
    same(Training.load(out), whole)


def stamp(path: Path) -> int:
    """When the file was last replaced; 0 where there is none."""
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def test_what_a_killed_save_leaves_behind_is_no_hindrance(tmp_path: Path) -> None:
    """The file of a save that was killed half-way lies beside the checkpoint, which is whole."""
    from training_runs import train

    path = tmp_path / "run.pt"
    whole = train(6)
    train(3, checkpoint=path)
    path.with_name(f"{path.name}.1.tmp").write_bytes(path.read_bytes()[:1000])
    same(train(6, checkpoint=path), whole)
    assert torch.load(path, weights_only=True)["session"]["epoch"] == 6
