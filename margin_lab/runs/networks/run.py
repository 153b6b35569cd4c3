"""Small networks, full batch: every method of the linear runs, batched over seeds, scales, step sizes and datasets."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from margin_lab.checks import DivergedError, as_tensor, choice, finite, integer, positive, restore_like
from margin_lab.models import Network, degree_or_none, flat_parameters, starts
from margin_lab.norms import Norm, on_flat
from margin_lab.runs.iterate import iterate
from margin_lab.runs.method import Method, Option, Update
from margin_lab.runs.methods import COMMON
from margin_lab.runs.networks.problem import NetworkProblem, network_data
from margin_lab.runs.networks.recorder import Recorder
from margin_lab.runs.networks.result import NetworkRun, NetworkSweep
from margin_lab.runs.outside import chosen_method
from margin_lab.runs.settings import combinations, compute_device, hyperparameters, recorded_steps, returnable


def run_network(
    model: nn.Module, X: Any, y: Any, method: str | Method | Update = "gd", steps: int = 1000, **options: Any
) -> NetworkRun:
    """Train one network by full-batch steps: :func:`sweep_network` with single values, whose arrays lose the batch axis.

    Raises:
        ValueError: as :func:`sweep_network`, or options that ask for several runs. DivergedError: an iterate that is not finite.
    """
    sweep = sweep_network(model, X, y, method, steps, **options)
    if len(sweep) != 1:
        raise ValueError(
            f"run_network makes one run, but the options ask for {len(sweep)}; use sweep_network"
        )
    run: NetworkRun = sweep[0]
    if run.status == "diverged":
        raise DivergedError(
            f"{run.method} diverged at step {run.diverged_at}; lower lr, or start from smaller parameters"
        )
    return run


def sweep_network(
    model: nn.Module,
    X: Any,
    y: Any,
    method: str | Method | Update = "gd",
    steps: int = 1000,
    *,
    lr: Any,
    theta0: Any = None,
    loss: str | None = None,
    reduction: str = "mean",
    X_test: Any = None,
    y_test: Any = None,
    norms: Sequence[str | float | Norm] = ("l1", "l2", "linf"),
    record: str | Sequence[int] = "log",
    until_log_loss: float | None = None,
    keep: str = "last",
    device: str | torch.device | None = None,
    **options: Any,
) -> NetworkSweep:
    """Train many copies of a small network at once, full batch: all combinations of the lists given.

    Args:
        model: ``nn.Module``, outputs ``[n]``, ``[n, 1]`` or ``[n, k]``; those of :mod:`margin_lab.models` declare their degree.
            It is left as it is. Parameters that require no gradient are constants shared by all runs.
        X: ``[n, ...]``, or ``[S, n, ...]`` with ``y [S, n]`` for S datasets, the outermost axis of the batch.
        y: -1 or +1 for one output, class indices for k.
        method: a row of ``margin_lab.runs.METHODS`` that works on any parameters (not "dual", "sgd", "certified"). Those of
            matrices: "spectral" (one trained matrix), "shampoo" (``beta2=``, ``eps=``), "muon" (``momentum=``, ``nesterov=``,
            ``polar=``). "sign", "coordinate", "spectral" and "steepest" (``norm=``, also "modular" or a norm of
            :mod:`margin_lab.norms`) take ``rule=``, ``max_length=``, ``max_fall=``, ``average=``: see
            :class:`margin_lab.optim.SteepestDescent`. "prgd" takes ``radii=``, ``period=``, ``blocks=``, ``decay=``:
            see :class:`margin_lab.optim.PRGD`; it starts without a warm-up. Or one of your own, as :func:`margin_lab.run_linear`
            takes it.
        steps: iterations. lr: step size or sizes, > 0.
        seed: (option) seeds of the start, for models of :mod:`margin_lab.models`; by default all start at ``model``'s parameters.
        scale: (option) multiplies the start, default 1.
        theta0: start ``[P]``, ``[S, P]`` (one a dataset) or ``[B, P]``, instead of ``seed``.
        loss: "exponential" (default for one output), "logistic" or "cross_entropy"; k outputs need one by name.
        reduction: L is the "mean" or the "sum" over samples: in ``log_loss``, ``until_log_loss`` and steps that use L itself.
        X_test, y_test: held-out data, for ``test_accuracy``.
        norms: of all trained parameters together, in which norms and margins are recorded; "spectral" where there is one matrix,
            "modular" for the largest of the layers' spectral norms. For a model that is not
            homogeneous only the norms are.
        record: "log", "all" or a list of iterations, as :func:`margin_lab.run_linear`.
        until_log_loss: a run stops once its log loss is at most this; 0 of the sum is where every sample is fitted
            (exponential loss).
        keep: "last", or "all" for the parameters at every record.
        device: where to compute ("auto": CUDA if there is one); default where the model is.
        options: the method's own, each a value or a list to sweep over, in the order given, the last one fastest.

    Raises:
        ValueError: bad data, method, option or value.

    Example:
        >>> import margin_lab as ml
        >>> data = ml.datasets.dataset_1()
        >>> net = ml.models.MLP([2, 8, 1])
        >>> sweep = ml.sweep_network(net, data.X, data.y, "ngd", steps=50, lr=0.1, seed=range(4), scale=[0.1, 1.0])
        >>> sweep.margins["l2"].shape == (8, len(sweep.steps))
        True
    """
    name, row = chosen_method(method)
    choice(reduction, "reduction", ("mean", "sum"))
    choice(keep, "keep", ("last", "all"))
    if row.update is None:
        raise ValueError(f"{name!r} works on linear models only; use run_linear")
    where = compute_device(device, next(model.parameters()).device)
    template, model = model, _on(model, where)
    data = network_data(X, y, model, where)
    known = {
        "lr": COMMON["lr"],
        "seed": Option(None, _seed, numeric=False),
        "scale": Option(1.0, lambda v: positive(v, "scale"), numeric=False),
        **row.options,
    }
    settings = combinations({"lr": lr, **options}, known, name, row.any_option)
    problem = NetworkProblem(model, *data, len(settings), loss, reduction)
    settings = [dict(s) for _ in range(len(data[0])) for s in settings]
    theta = _start(model, theta0, settings, len(data[0]))
    h = hyperparameters(settings, known, theta)
    degree = degree_or_none(model, data[0][0])
    restore = returnable(restore_like(X), theta)
    test = None if X_test is None else network_data(X_test, y_test, model, where)
    if test is not None and len(test[0]) not in (1, len(data[0])):
        raise ValueError(
            f"X_test holds {len(test[0])} datasets, X {len(data[0])}; give one for all, or as many"
        )
    recorded = recorded_steps(record, integer(steps, "steps"))
    recorder = Recorder(problem, test, [on_flat(n, problem.shapes) for n in norms], keep == "all")
    theta, diverged_at = iterate(
        problem, theta, row, h, steps, name, recorded, recorder, until_log_loss=until_log_loss
    )
    degree = _confirmed(problem, theta, degree)
    return recorder.finish(
        template, theta, degree, name, settings, recorded, diverged_at, until_log_loss, restore
    )


def _on(model: nn.Module, device: torch.device) -> nn.Module:
    """The model itself where it is there already, else a copy: the caller's stays where it is."""
    return model if next(model.parameters()).device == device else copy.deepcopy(model).to(device)


def _confirmed(problem: NetworkProblem, theta: Tensor, degree: float | None) -> float | None:
    """The degree, or None where a network at the end of its run does not scale by it: a bias has grown, a bend was met.

    Scales are powers of two, which cost no rounding.
    """
    if degree is None:
        return None
    with torch.no_grad():
        base = problem.outputs(theta, problem.X).flatten(1)
        size = base.abs().amax(-1)
        for scale in (0.5, 4.0):
            error = (
                (problem.outputs(scale * theta, problem.X).flatten(1) / scale**degree - base).abs().amax(-1)
            )
            measurable = torch.isfinite(error) & (size > 0)
            if bool((error > 1e3 * torch.finfo(theta.dtype).eps * size)[measurable].any()):
                return None
    return degree


def _seed(value: Any) -> None:
    if value is not None:
        integer(value, "seed")


def _start(model: nn.Module, theta0: Any, settings: list[dict[str, Any]], datasets: int) -> Tensor:
    own, runs = flat_parameters(model), len(settings)
    if theta0 is None:
        if settings[0]["seed"] is None:
            theta = own.expand(runs, -1)
        else:
            if not isinstance(model, Network):
                raise ValueError(
                    f"seed draws the start of margin_lab.models only, not of {type(model).__name__}; pass theta0 [B, P]"
                )
            seeds = list(dict.fromkeys(s["seed"] for s in settings))
            drawn = dict(zip(seeds, starts(model, seeds), strict=True))
            theta = torch.stack([drawn[s["seed"]] for s in settings])
    else:
        if settings[0]["seed"] is not None:
            raise ValueError("give the start by theta0 or by seed, not by both")
        theta = finite(
            as_tensor(theta0, "theta0", device=own.device).to(own.dtype), "theta0", "start from finite ones"
        )
        if theta.shape not in (own.shape, (datasets, len(own)), (runs, len(own))):
            raise ValueError(
                f"theta0 must have shape [{len(own)}], [{datasets}, {len(own)}] (one a dataset) or [{runs}, {len(own)}] "
                f"(one a run), got {tuple(theta.shape)}"
            )
        if theta.shape == (datasets, len(own)):
            theta = theta.repeat_interleave(runs // datasets, 0)
        theta = theta.expand(runs, -1)
    return theta * theta.new_tensor([s["scale"] for s in settings])[:, None]
