"""Steepest flow of a homogeneous network in any norm, integrated with steps that are short enough for Theorem 3.1."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from margin_lab.checks import DivergedError, integer, positive
from margin_lab.norms import Norm, norm_gradient
from margin_lab.results import Result
from margin_lab.theory.constraints import HomogeneousModel

MEASURED = ("l1", "l2", "linf")


@dataclass(frozen=True, eq=False, repr=False)
class SteepestFlow(Result):
    """A trajectory of steepest flow, with what Theorem 3.1 and Proposition B.6 speak of; arrays ``[T]`` over recorded steps.

    Attributes:
        norm: in which the flow descends. degree: of the network.
        steps: recorded iterations. theta: ``[T, P]``.
        log_loss: of the **summed** exponential loss. q_min: smallest margin.
        norms: ``{name: [T]}``, the flow's own norm among them.
        lhs: ``(d log smoothed / dt) / L`` in the own norm, from the velocity. bound: the theorem's lower bound for it. Both are
            NaN where ``L >= 1``.
        growth: ``{name: [T]}``, lhs in every measured norm: negative where that smoothed margin falls.
        alignment: ``beta = <theta, -grad L> / (||theta|| ||grad L||_*)`` in the own norm.
        falls: ``{name: largest fall of log smoothed in one step}`` over **all** steps with ``L < 1``, recorded or not; 0 where it
            never fell. fall_share: ``{name: share of those steps in which it fell}``.
        problem: the network and data, for functions of :func:`smoothed_growth` and
            :mod:`margin_lab.theory.kkt`; None where the flow was read from a file.
    """

    norm: str
    degree: float
    steps: np.ndarray
    theta: np.ndarray
    log_loss: np.ndarray
    q_min: np.ndarray
    norms: dict[str, np.ndarray]
    lhs: np.ndarray
    bound: np.ndarray
    growth: dict[str, np.ndarray]
    alignment: np.ndarray
    falls: dict[str, float]
    fall_share: dict[str, float]
    problem: HomogeneousModel

    _x, _y, _left_out = "step", "log_loss", ("problem",)

    def table(self) -> dict[str, np.ndarray]:
        """Records: step, log_loss, q_min, lhs, bound, alignment; norm, margin, smoothed and growth in every measured norm."""
        columns = {"step": self.steps, "log_loss": self.log_loss, "q_min": self.q_min}
        columns |= {"lhs": self.lhs, "bound": self.bound, "alignment": self.alignment}
        for name in self.norms:
            columns |= {f"norm_{name}": self.norms[name], f"margin_{name}": self.margin(name)}
            columns |= {f"smoothed_{name}": self.smoothed(name), f"growth_{name}": self.growth[name]}
        return columns

    def _title(self) -> str:
        return (
            f"SteepestFlow(norm={self.norm!r}, {int(self.steps[-1])} steps, {len(self.steps)} records of "
            f"{self.theta.shape[1]} parameters: log loss {self.log_loss[-1]:.6g}, margin {self.margin()[-1]:.6g}, "
            f"largest fall of the smoothed margin {self.falls[self.norm]:.3g})"
        )

    def smoothed(self, norm: str | None = None) -> np.ndarray:
        """``log(1/L) / ||theta||^degree`` in a measured norm, default the own one; NaN where ``L >= 1``."""
        A = -self.log_loss
        return np.where(A > 0, A, np.nan) / self._size(norm) ** self.degree

    def margin(self, norm: str | None = None) -> np.ndarray:
        """``q_min / ||theta||^degree`` in a measured norm, default the own one."""
        return self.q_min / self._size(norm) ** self.degree

    def _size(self, norm: str | None) -> np.ndarray:
        name = self.norm if norm is None else norm
        if name not in self.norms:
            raise ValueError(f"the norm {name!r} was not measured, only {', '.join(map(repr, self.norms))}")
        return self.norms[name]


def steepest_flow(
    model: nn.Module,
    X: Any,
    y: Any,
    norm: str | float | Norm = "l2",
    steps: int = 10_000,
    *,
    max_length: float = 1e-3,
    max_fall: float = 0.01,
    until_log_loss: float | None = None,
    theta0: Any = None,
    measured: Sequence[str | float | Norm] = MEASURED,
    record_every: int = 10,
) -> SteepestFlow:
    """Follow ``d theta/dt = ||grad L||_* u`` on the summed exponential loss, ``u`` the unit steepest direction in ``norm``.

    Euler steps ``theta <- theta + length * u``. Time does not appear: the path is the same at any speed, and a clock of its own
    keeps it clear of underflow. The step rule is what makes it a flow:

        ``length = min(max_length * ||theta||, max_fall / ||grad log L||_*)``,

    so that no step turns theta by much, and none lowers ``log L`` by more than ``max_fall`` to first order. Without the second
    cap sign and coordinate flow chatter once ``log 1/L`` is large, and their own margin falls by a factor: a discretisation
    artefact that looks like a counterexample.

    Args:
        model: homogeneous ``nn.Module``; smooth activations (``relu2``) make smooth flows. It is left as it is.
        X: ``[n, ...]``. y: ``[n]``, -1 or +1, or class indices. norm: "l1", "l2", "linf", a number p, "spectral" (one trained
            matrix), "modular" or a norm of :mod:`margin_lab.norms`.
        steps: at most. max_length: of a step, relative to the norm. max_fall: of log L in a step.
        until_log_loss: stop once log L is at most this. theta0: ``[P]`` start, default the model's parameters.
        measured: other norms to measure in. record_every: steps between records; the last one is recorded always.

    Raises:
        ValueError: bad data, a model that is not homogeneous, an unknown norm, a cap that is not > 0. DivergedError: not finite.

    Example:
        >>> import margin_lab as ml
        >>> data = ml.datasets.gaussian(20, 4)
        >>> flow = steepest_flow(ml.models.MLP([4, 6, 1], "relu2"), data.X, data.y, "linf", steps=1500)
        >>> bool(flow.log_loss[-1] < 0), flow.falls["linf"]
        (True, 0.0)

    Source: Tsilivis, Vardi and Kempe 2024, section 3; the step rule is this project's.
    """
    positive(max_length, "max_length")
    positive(max_fall, "max_fall")
    integer(record_every, "record_every", least=1)
    problem = HomogeneousModel(model, X, y, "exponential")
    own = problem.norm(norm)
    norms = {n.name: n for n in (own, *_vector_norms(problem, measured))}
    theta = problem.theta if theta0 is None else problem.checked(theta0)
    rows = _Rows(problem, own, norms)
    for t in range(integer(steps, "steps") + 1):
        d = problem.descent(theta)
        dual, direction = own.dual_and_direction(-d.v)
        rows.watch(theta, d.log_loss)
        last = t == steps or (until_log_loss is not None and d.log_loss <= until_log_loss)
        if last or t % record_every == 0:
            rows.record(t, theta, d.log_loss, float(d.margins.min()), float(dual), direction, d.v)
        if last:
            break
        # a dual norm of 0: every unit is dead, and the direction is 0, too
        length = min(max_length * float(own(theta)), max_fall / max(float(dual), 1e-300))
        theta = theta + length * direction
        if not bool(torch.isfinite(theta).all()):
            raise DivergedError(f"the flow left the finite numbers at step {t + 1}; lower max_length")
    return rows.finish()


def _vector_norms(problem: HomogeneousModel, measured: Iterable[str | float | Norm]) -> list[Norm]:
    return [problem.norm(norm) for norm in measured]


class _Rows:
    """Collects records, and looks at every step for falls of the smoothed margins."""

    def __init__(self, problem: HomogeneousModel, own: Norm, norms: Mapping[str, Norm]):
        self.problem, self.own, self.norms = problem, own, norms
        self.rows: list[dict[str, Any]] = []
        self.before: dict[str, float] = {}
        self.fall = dict.fromkeys(norms, 0.0)
        self.fell, self.watched = dict.fromkeys(norms, 0), 0

    def watch(self, theta: Tensor, log_loss: float) -> None:
        if log_loss >= 0:
            self.before = {}
            return
        now = {
            name: float(np.log(-log_loss) - self.problem.degree * torch.log(norm(theta)))
            for name, norm in self.norms.items()
        }
        for name, value in self.before.items():
            self.fall[name] = max(self.fall[name], value - now[name])
            self.fell[name] += now[name] < value
        self.watched += bool(self.before)
        self.before = now

    def record(
        self, t: int, theta: Tensor, log_loss: float, q_min: float, dual: float, direction: Tensor, v: Tensor
    ) -> None:
        A = -log_loss if log_loss < 0 else float("nan")
        degree, size = self.problem.degree, {name: float(norm(theta)) for name, norm in self.norms.items()}
        growth = {
            name: dual**2 / A - degree * dual * float(norm_gradient(norm, theta) @ direction) / size[name]
            for name, norm in self.norms.items()
        }
        own = self.own.name
        self.rows.append(
            {
                "steps": t,
                "theta": theta.cpu().numpy(),
                "log_loss": log_loss,
                "q_min": q_min,
                "lhs": growth[own],
                "bound": dual**2 / A - degree * dual / size[own],
                "alignment": float(theta @ v) / (size[own] * dual),
                **{f"norm {name}": value for name, value in size.items()},
                **{f"growth {name}": value for name, value in growth.items()},
            }
        )

    def finish(self) -> SteepestFlow:
        columns = {name: np.array([row[name] for row in self.rows]) for name in self.rows[0]}
        simple = ("steps", "theta", "log_loss", "q_min", "lhs", "bound", "alignment")
        return SteepestFlow(
            norm=self.own.name,
            degree=self.problem.degree,
            norms={name: columns[f"norm {name}"] for name in self.norms},
            growth={name: columns[f"growth {name}"] for name in self.norms},
            falls=self.fall,
            fall_share={name: count / max(self.watched, 1) for name, count in self.fell.items()},
            problem=self.problem,
            **{name: columns[name] for name in simple},
        )
