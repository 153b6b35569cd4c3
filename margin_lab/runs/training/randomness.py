"""The random numbers of one run: dropout draws by the seed alone, and the caller's generators stay where they were."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

# Dropout draws from the one default generator of the process, so that runs in several threads take turns.
_TURN = threading.RLock()


class OwnRandomness:
    """A state of the default generators (CPU, and the device's) that belongs to one run.

    Args:
        seed: of both. device: where the network is.
    """

    def __init__(self, seed: int, device: torch.device):
        self.device = device
        self.states = {"cpu": torch.Generator().manual_seed(seed).get_state()}
        if device.type == "cuda":
            self.states["cuda"] = torch.Generator(device).manual_seed(seed).get_state()

    @contextmanager
    def drawn_from(self) -> Iterator[None]:
        """Draw from this state inside, and put the callers' back; one thread at a time."""
        with _TURN:
            outside = self._now()
            self._set(self.states)
            try:
                yield
            finally:
                self.states = self._now()
                self._set(outside)

    def _now(self) -> dict[str, Tensor]:
        states = {"cpu": torch.get_rng_state()}
        if "cuda" in self.states:
            states["cuda"] = torch.cuda.get_rng_state(self.device)
        return states

    def _set(self, states: dict[str, Tensor]) -> None:
        torch.set_rng_state(states["cpu"])
        if "cuda" in self.states and "cuda" in states:
            torch.cuda.set_rng_state(states["cuda"], self.device)


def draws_random_numbers(model: nn.Module, X: Tensor, randomness: OwnRandomness) -> bool:
    """Whether a pass in train mode draws any: tried on a copy, by watching the operations of this thread.

    Networks that draw none are trained without taking turns.
    """
    before = dict(randomness.states)
    watch = _Watch()
    try:
        with randomness.drawn_from(), torch.no_grad(), watch:
            copy.deepcopy(model).train()(X)
    except Exception:
        return True  # the training itself will say what is wrong
    finally:
        randomness.states = before
    return watch.seen


class _Watch(TorchDispatchMode):
    """Notes whether an operation with a seed has run."""

    seen = False

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Callable[..., Any]:
        self.seen = self.seen or torch.Tag.nondeterministic_seeded in func.tags
        result: Callable[..., Any] = func(*args, **(kwargs or {}))
        return result
