"""Mini-batch training of one network with any torch optimizer: to any loss, resumable at any moment."""

from __future__ import annotations

import copy
import json
import math
import os
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from margin_lab.checks import as_tensor, choice, finite, integer, nonnegative, plain_tensor, positive
from margin_lab.losses import sample_margins
from margin_lab.models import Network, flat_parameters
from margin_lab.models.homogeneity import homogeneity_degree
from margin_lab.optim.loss_based import DOWN, UP, LossBasedLR
from margin_lab.runs.progress import progress
from margin_lab.runs.settings import compute_device
from margin_lab.runs.training.checkpoint import digest, load_checkpoint, save_checkpoint
from margin_lab.runs.training.objective import Objective, all_outputs
from margin_lab.runs.training.recorder import TrainingRecorder
from margin_lab.runs.training.result import Training
from margin_lab.runs.training.session import Session

SCHEDULES = ("constant", "loss_based")
OptimizerMaker = Callable[[Iterable[Any]], torch.optim.Optimizer]


def train_network(
    model: nn.Module,
    X: Any,
    y: Any,
    epochs: int,
    *,
    lr: float = 0.1,
    optimizer: OptimizerMaker | None = None,
    schedule: str = "constant",
    up: float = UP,
    down: float = DOWN,
    patience: int = 5,
    batch_size: int | None = 100,
    loss: str = "cross_entropy",
    X_test: Any = None,
    y_test: Any = None,
    seed: int = 0,
    snapshots: Sequence[float] = (),
    until_log10: float | None = None,
    loss_dtype: torch.dtype = torch.float64,
    device: str | torch.device | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    checkpoint_seconds: float = 30.0,
) -> Training:
    """Train one network by mini-batches on the **mean** loss, and record losses, margins and accuracies to any depth.

    An epoch is one pass over the data in a new random order; a pass that the loss-based schedule rolls back counts, too.

    Args:
        model: ``nn.Module``, outputs ``[n]``, ``[n, 1]`` or ``[n, k]``; it is left as it is. Its dtype is that of the training.
        X: ``[n, ...]``. y: ``[n]`` classes ``0 .. k-1``, or -1 and +1 for one output.
        epochs: passes at most. lr: learning rate, or ``alpha(0)``, of plain SGD.
        optimizer: instead of SGD, a function of the parameters: ``lambda p: torch.optim.Adam(p, lr=1e-3)``. Those of
            :mod:`margin_lab.optim` get gradients of ``log L``, torch's own gradients of ``L`` (relative ones, if loss-based).
        schedule: "constant", or "loss_based" with its factors ``up`` and ``down`` and its ``patience``
            (:class:`margin_lab.optim.LossBasedLR`).
        batch_size: samples a step; None: all of them.
        loss: "cross_entropy", "exponential", "logistic", or "naive": torch's cross-entropy, which underflows.
        X_test, y_test: held-out data, for ``test_accuracy``.
        seed: of the order of the data (the start is the model's).
        snapshots: powers of ten, such as ``(-10, -300)``: the network at the first epoch with a loss below each is kept.
        until_log10: stop at the first epoch with a loss below this power of ten.
        loss_dtype: outputs are converted to it before the loss, so that float32 networks train as deep as float64 ones.
        device: where to compute ("auto": CUDA if there is one); default where the model is.
        checkpoint: file to continue from, if it exists, and to save to every ``checkpoint_seconds`` and at the end. On the CPU,
            with as many threads, a run that was killed and resumed gives the numbers of one that was not, to the last bit.

    Returns:
        A :class:`Training`; ``run.model()`` is the network.

    Raises:
        ValueError: bad data, labels out of range, unknown names, a checkpoint of another run.
        DivergedError: a loss or gradient that is not finite; under the loss-based schedule only where the start has it.

    Example:
        >>> import margin_lab as ml
        >>> data = ml.datasets.digits(n=100)
        >>> net = ml.models.MLP([64, 32, 10])
        >>> run = ml.train_network(net, data.X, data.y, epochs=120, batch_size=20, schedule="loss_based", snapshots=[-1])
        >>> run.snapshots[-1].epoch < 120, float(run.accuracy[-1])
        (True, 1.0)
    """
    choice(schedule, "schedule", SCHEDULES)
    positive(lr, "lr")
    integer(epochs, "epochs")
    nonnegative(checkpoint_seconds, "checkpoint_seconds")
    template, model = model, copy.deepcopy(model)
    model = model.to(compute_device(device, next(model.parameters()).device))
    parameters = [p for p in model.parameters() if p.requires_grad]
    if not parameters:
        raise ValueError("no parameter of the model requires a gradient, so there is nothing to train")
    objective = Objective(loss, loss_dtype)
    X, y = _data(X, y, model)
    y = objective.check(all_outputs(model, X), y)
    test = None if X_test is None else _data(X_test, y_test, model)
    if test is not None:
        sample_margins(all_outputs(model, test[0]), test[1])
        test = (test[0], test[1].to(y.dtype))
    made = optimizer(parameters) if optimizer else torch.optim.SGD(parameters, lr=lr)
    batch = len(X) if batch_size is None else min(len(X), integer(batch_size, "batch_size", least=1))
    rule = LossBasedLR(made, up, down, patience) if schedule == "loss_based" else None
    settings = {
        "model": type(model).__name__,
        "bias": model.bias if isinstance(model, Network) else None,
        "parameters": sum(p.numel() for p in parameters),
        "dtype": str(parameters[0].dtype).removeprefix("torch."),
        "loss": loss,
        "n": len(X),
        "batch_size": batch,
        "optimizer": type(made).__name__,
        "lr": float(made.param_groups[0]["lr"]),
        "schedule": schedule,
        **({"up": up, "down": down, "patience": patience} if rule else {}),
        "seed": integer(seed, "seed"),
    }
    session = Session(model, made, rule, objective, X, y, batch, seed)
    recorder = TrainingRecorder(model, snapshots)
    stop = -math.inf if until_log10 is None else until_log10 * math.log(10)
    # The global generator, of which dropout draws, is seeded inside and left outside as it was.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        file = _File(checkpoint, checkpoint_seconds, settings, made, session, recorder)
        status = _loop(session, recorder, test, epochs, stop, file)
    return Training(
        settings=settings,
        status=status,
        columns={name: np.array(values) for name, values in recorder.rows.items()},
        layer_norms={name: np.array(values) for name, values in recorder.layers.items()},
        degree=_degree(model, X),
        layer_degrees=model.layer_degrees if isinstance(model, Network) else {},
        seconds=file.seconds(),
        snapshots=recorder.snapshots,
        theta=flat_parameters(model).cpu(),
        template=template,
    )


def _loop(
    session: Session,
    recorder: TrainingRecorder,
    test: tuple[Tensor, Tensor] | None,
    epochs: int,
    stop: float,
    file: _File,
) -> str:
    """Train until the last epoch or a loss below ``exp(stop)``; return how it ended."""

    def record() -> None:
        accuracy = math.nan if test is None else _accuracy(session.model, *test)
        recorder.record(session.epoch, session.log_loss, session.q, test_accuracy=accuracy, **session.rates())

    def ended() -> str | None:
        if session.log_loss == -math.inf:
            return "underflowed"
        return "reached" if session.log_loss < stop else None

    if recorder.wanted(session.epoch, session.log_loss):
        record()
    status = ended()
    bar: Any = progress(range(session.epoch, epochs if status is None else 0), "training")
    for _ in bar:
        session.advance()
        if recorder.wanted(session.epoch, session.log_loss):
            record()
        status = ended()
        if status is not None:
            break
        file.save_if_due()
        bar.set_postfix_str(f"loss 1e{session.log_loss / math.log(10):.1f}", refresh=False)
    file.save()
    record()
    return status or "finished"


class _File:
    """The checkpoint of a run, and its clock. Without a path it only measures time."""

    def __init__(
        self,
        path: str | os.PathLike[str] | None,
        every: float,
        settings: dict[str, Any],
        optimizer: torch.optim.Optimizer,
        session: Session,
        recorder: TrainingRecorder,
    ):
        self.path, self.every, self.session, self.recorder = path, every, session, recorder
        self.before, self.began = 0.0, time.monotonic()
        self.saved = self.began
        if path is None:
            return
        defaults = sorted((k, str(v)) for k, v in optimizer.defaults.items())
        start = [*session.model.state_dict().values(), session.X, session.y]
        self.fingerprint = digest(json.dumps([settings, defaults, recorder.powers]), *start)
        content = load_checkpoint(path, self.fingerprint)
        if content is not None:
            session.load_state_dict(content["session"])
            recorder.load_state_dict(content["recorder"])
            self.before = content["seconds"]

    def seconds(self) -> float:
        return self.before + time.monotonic() - self.began

    def save_if_due(self) -> None:
        if time.monotonic() - self.saved >= self.every:
            self.save()

    def save(self) -> None:
        if self.path is None:
            return
        content = {
            "fingerprint": self.fingerprint,
            "session": self.session.state_dict(),
            "recorder": self.recorder.state_dict(),
            "seconds": self.seconds(),
        }
        save_checkpoint(self.path, content)
        self.saved = time.monotonic()


def _data(X: Any, y: Any, model: nn.Module) -> tuple[Tensor, Tensor]:
    """Inputs in the model's dtype, labels as they are, both where the model is."""
    like = next(model.parameters())
    inputs = finite(as_tensor(X, "X"), "X").to(like)
    labels = plain_tensor(y, "y").to(like.device)
    if labels.ndim != 1 or len(labels) == 0 or len(inputs) != len(labels):
        raise ValueError(
            f"X {tuple(inputs.shape)} and y {tuple(labels.shape)} do not match; y needs shape [n] and X [n, ...], n >= 1"
        )
    return inputs, labels


def _accuracy(model: nn.Module, X: Tensor, y: Tensor) -> float:
    return float((sample_margins(all_outputs(model, X).double(), y) > 0).double().mean())


def _degree(model: nn.Module, X: Tensor) -> float | None:
    if isinstance(model, Network):
        return model.degree
    try:
        return homogeneity_degree(model, X[:100])
    except ValueError:
        return None
