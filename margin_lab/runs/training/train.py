"""Mini-batch training of one network with any torch optimizer: to any loss, resumable at any moment."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from margin_lab.checks import integer, nonnegative
from margin_lab.losses import log10_of, log_of, sample_margins
from margin_lab.models import Network, degree_or_none, flat_parameters
from margin_lab.models.buffers import copy_buffers
from margin_lab.models.description import describe, describe_model, digest
from margin_lab.models.private import private_copy
from margin_lab.runs.networks.problem import network_data
from margin_lab.runs.progress import progress
from margin_lab.runs.settings import compute_device
from margin_lab.runs.training.checkpoint import Checkpoint, Clock, Stateful
from margin_lab.runs.training.degree import confirmed_degree
from margin_lab.runs.training.objective import Objective, all_outputs
from margin_lab.runs.training.optimizers import OptimizerMaker, describe_optimizer, make_optimizer
from margin_lab.runs.training.recorder import TrainingRecorder, on_cpu
from margin_lab.runs.training.result import Training
from margin_lab.runs.training.schedules import Constant, LossBased, get_schedule
from margin_lab.runs.training.session import Session

# Outputs at the start by which a checkpoint recognises a network.
_OUTPUTS = 100


def train_network(
    model: nn.Module,
    X: Any,
    y: Any,
    epochs: int,
    *,
    lr: float | None = None,
    optimizer: OptimizerMaker | None = None,
    schedule: str | Constant | LossBased = "constant",
    batch_size: int | None = 100,
    loss: str = "cross_entropy",
    reduction: str = "mean",
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
    """Train one network by mini-batches, and record losses, margins and accuracies to any depth.

    An epoch is one pass over the data in a new random order; a pass that the loss-based schedule rolls back counts, too.

    Args:
        model: ``nn.Module``, outputs ``[n]``, ``[n, 1]`` or ``[n, k]``; it is left as it is. Its dtype is that of the training.
        X: ``[n, ...]``. y: ``[n]`` classes ``0 .. k-1``, or -1 and +1 for one output.
        epochs: passes at most. lr: learning rate, or ``alpha(0)``, of plain SGD; default 0.1.
        optimizer: instead of SGD and lr, a function of the parameters: ``lambda p: torch.optim.Adam(p, lr=1e-3)``. Those of
            :mod:`margin_lab.optim` get gradients of ``log L``, torch's own gradients of ``L`` (relative ones, if loss-based).
        schedule: "constant", "loss_based", or ``margin_lab.runs.LossBased(up=, down=, patience=)`` for other factors.
        batch_size: samples a step; None: all of them.
        loss: "cross_entropy", "exponential", "logistic", or "naive": torch's cross-entropy, which underflows.
        reduction: "mean" or "sum": over a batch's samples in a step, over all samples in what is recorded and in thresholds.
        X_test, y_test: held-out data, for ``test_accuracy``.
        seed: of the order of the data (the start is the model's).
        snapshots: powers of ten, such as ``(-10, -300)``: the network at the first epoch with a loss below each is kept.
        until_log10: stop at the first epoch with a loss below this power of ten.
        loss_dtype: outputs are converted to it before the loss, so that float32 networks train as deep as float64 ones.
        device: where to compute ("auto": CUDA if there is one); default where the model is.
        checkpoint: file to continue from, if it exists, and to save to every ``checkpoint_seconds`` and at the end. On the CPU,
            with as many threads, a run that was killed and resumed gives the numbers of one that was not, to the last bit.
            Dropout's draws depend on the seed alone, also where several threads train.

    Returns:
        A :class:`Training`; ``run.model()`` is the network.

    Raises:
        ValueError: bad data, labels out of range, unknown names, ``lr`` beside ``optimizer``, a checkpoint of another run
            (the message names what differs).
        DivergedError: a loss or gradient that is not finite; under the loss-based schedule only where the start has it.

    Example:
        >>> import margin_lab as ml
        >>> data = ml.datasets.digits(n=100)
        >>> net = ml.models.MLP([64, 32, 10])
        >>> run = ml.train_network(net, data.X, data.y, epochs=120, batch_size=20, schedule="loss_based", snapshots=[-1])
        >>> run.snapshots[-1].epoch < 120, float(run.accuracy[-1])
        (True, 1.0)
    """
    rule_maker = get_schedule(schedule)
    integer(epochs, "epochs")
    _check_numbers(until_log10, snapshots, loss_dtype)
    nonnegative(checkpoint_seconds, "checkpoint_seconds")
    template, model = private_copy(model), private_copy(model)
    model = model.to(compute_device(device, next(model.parameters()).device))
    parameters = [p for p in model.parameters() if p.requires_grad]
    if not parameters:
        raise ValueError("no parameter of the model requires a gradient, so there is nothing to train")
    objective = Objective(loss, loss_dtype, reduction)
    X, y = _data(X, y, model)
    outputs = all_outputs(model, X)
    y = objective.check(outputs, y)
    if (X_test is None) != (y_test is None):
        raise ValueError("X_test and y_test belong together: give both, or neither")
    test = None if X_test is None else _data(X_test, y_test, model)
    if test is not None:
        sample_margins(all_outputs(model, test[0]), test[1])
        test = (test[0], test[1].to(y.dtype))
    made = make_optimizer(optimizer, lr, parameters)
    batch = len(X) if batch_size is None else min(len(X), integer(batch_size, "batch_size", least=1))
    settings = {
        "model": type(model).__name__,
        "bias": model.bias if isinstance(model, Network) else None,
        "parameters": sum(p.numel() for p in parameters),
        "dtype": str(parameters[0].dtype).removeprefix("torch."),
        "loss": loss,
        "reduction": reduction,
        "n": len(X),
        "batch_size": batch,
        "optimizer": type(made).__name__,
        "lr": float(made.param_groups[0]["lr"]),
        "schedule": rule_maker.name,
        **asdict(rule_maker),
        "seed": integer(seed, "seed"),
    }
    recorder = TrainingRecorder(model, snapshots)
    description = {
        **{name: str(value) for name, value in settings.items()},
        "loss_dtype": str(loss_dtype),
        "snapshots": str(recorder.powers),
        **describe_model(model),
        **describe_optimizer(made),
        **{name: describe(part) for name, part in zip(("X", "y"), (X, y), strict=True)},
        **{
            name: describe(part)
            for name, part in zip(("X_test", "y_test"), test or (None, None), strict=True)
        },
        "the start": digest(*model.parameters(), *model.buffers()),
    }
    degree = degree_or_none(model, X)
    session = Session(model, made, rule_maker.rule(made, model), objective, X, y, batch, seed)
    clock = Clock()
    parts: dict[str, Stateful] = {"session": session, "recorder": recorder}
    file = Checkpoint(checkpoint, checkpoint_seconds, description, outputs[:_OUTPUTS], parts, clock)
    file.resume()
    stop = -math.inf if until_log10 is None else log_of(until_log10)
    status = _loop(session, recorder, test, epochs, stop, file)
    return Training(
        settings=settings,
        status=status,
        columns={name: np.array(values) for name, values in recorder.rows.items()},
        layer_norms={name: np.array(values) for name, values in recorder.layers.items()},
        degree=confirmed_degree(degree, model, X),
        layer_degrees=model.layer_degrees if isinstance(model, Network) else {},
        seconds=clock.seconds(),
        snapshots=recorder.snapshots,
        theta=flat_parameters(model).cpu(),
        buffers=on_cpu(copy_buffers(model)),
        template=template,
    )


def _loop(
    session: Session,
    recorder: TrainingRecorder,
    test: tuple[Tensor, Tensor] | None,
    epochs: int,
    stop: float,
    file: Checkpoint,
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
        if hasattr(bar, "set_postfix_str"):  # a log has no bar, only the epochs
            bar.set_postfix_str(f"loss 1e{log10_of(session.log_loss):.1f}", refresh=False)
    file.save()
    record()
    return status or "finished"


def _data(X: Any, y: Any, model: nn.Module) -> tuple[Tensor, Tensor]:
    """One dataset, taken as full-batch runs take it: inputs in the model's dtype, labels of any integer type."""
    inputs, labels = network_data(X, y, model, next(model.parameters()).device)
    if len(labels) != 1 or inputs.ndim < 2:
        raise ValueError(
            f"X {tuple(inputs.shape)} and y {tuple(labels.shape)} do not match: train_network takes one dataset, y [n] and "
            "X [n, ...]"
        )
    return inputs[0], labels[0]


def _check_numbers(until_log10: Any, snapshots: Any, loss_dtype: Any) -> None:
    """Thresholds are finite numbers, and the loss is computed in floating point."""
    powers = [*snapshots, *([] if until_log10 is None else [until_log10])]
    bad = [p for p in powers if not isinstance(p, (int, float, np.number)) or not math.isfinite(p)]
    if bad:
        raise ValueError(
            f"snapshots and until_log10 are powers of ten, finite numbers such as -10, got {bad[0]!r}"
        )
    if not isinstance(loss_dtype, torch.dtype) or not loss_dtype.is_floating_point:
        raise ValueError(
            f"loss_dtype must be a floating-point dtype such as torch.float64, got {loss_dtype!r}"
        )


def _accuracy(model: nn.Module, X: Tensor, y: Tensor) -> float:
    return float((sample_margins(all_outputs(model, X).double(), y) > 0).double().mean())
