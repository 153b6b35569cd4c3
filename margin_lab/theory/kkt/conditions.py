"""How far a homogeneous network is from a KKT point of the max-margin problem ``min 1/2 ||theta||^2, q_i(theta) >= 1``.

A network that fits its data is scaled to ``q_min = 1`` first, ``theta~ = theta / q_min^(1/L)``. The theorems of Lyu & Li and of
Flavors of Margin come with multipliers; better ones are the dual weights of a linear SVM on the network's gradients, or come from
non-negative least squares. Nothing here forms the loss.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from margin_lab.checks import choice, nonnegative
from margin_lab.hard_margins import HardMargin, hard_margin
from margin_lab.norms import Norm, norm_gradient
from margin_lab.results import Result
from margin_lab.results.base import as_numpy
from margin_lab.theory.constraints import HomogeneousModel

MULTIPLIERS = ("proof", "svm", "nnls")
# those that are not the proof's exist in some norms only
_NORMS = {"svm": ("l1", "l2", "linf"), "nnls": ("l2",)}


@dataclass(frozen=True, eq=False, repr=False)
class KKT(Result):
    """How nearly ``theta~`` satisfies the KKT conditions with the multipliers ``lambda >= 0``.

    Attributes:
        norm: of the problem. degree: L. margin: ``gamma = q_min / ||theta||^L``. log_loss: summed.
        multipliers: ``[m]``, one a constraint. samples: ``[m]``, the sample that each belongs to (binary: ``0 .. n-1``).
        slacks: ``[m]``, ``q_k(theta~) - 1 >= 0``.
        epsilon: ``||theta~ - sum_k lambda_k grad q_k(theta~)||_2``, the l2 problem's distance from stationarity; None in other
            norms.
        bregman: the distance in any norm, ``1/2 ||Y||_*^2 + 1/2 ||theta~||^2 - <theta~, Y>``, where
            ``Y = sum_k lambda_k grad q_k(theta~)``: 0 exactly where Y is a subgradient of ``1/2 ||.||^2`` at ``theta~``. In l2 it
            is ``epsilon^2 / 2``.
        delta: ``max_k lambda_k (q_k(theta~) - 1)``, the violation of complementary slackness.
        gap: ``bregman + L sum_k lambda_k (q_k(theta~) - 1)``, which bounds both: the duality gap of the network against the SVM
            on its own gradients, 0 exactly at a KKT point.
        delta_bound: ``gamma^(-2/L) / (e L log 1/loss)``, which bounds delta for the proof's multipliers and the exponential loss
            below 1; None otherwise.
        alignment: ``beta = <theta, -grad L> / (||theta|| ||grad L||_*)``, in [0, 1].
    """

    norm: str
    degree: float
    margin: float
    log_loss: float
    multipliers: np.ndarray
    samples: np.ndarray
    slacks: np.ndarray
    epsilon: float | None
    bregman: float
    delta: float
    delta_bound: float | None
    gap: float
    alignment: float

    _x, _y, _points = "slack", "multiplier", True

    def table(self) -> dict[str, np.ndarray]:
        """One row a constraint: sample, slack, multiplier."""
        return {"sample": self.samples, "slack": self.slacks, "multiplier": self.multipliers}

    def _title(self) -> str:
        epsilon = "" if self.epsilon is None else f"epsilon={self.epsilon:.2e}, "
        return (
            f"KKT(norm={self.norm!r}, {epsilon}bregman={self.bregman:.2e}, delta={self.delta:.2e}, "
            f"1 - alignment={1 - self.alignment:.2e}, margin={self.margin:.4g})"
        )


def residuals(
    model: nn.Module | HomogeneousModel,
    X: Any = None,
    y: Any = None,
    norm: str | float | Norm = "l2",
    loss: str | None = None,
    multipliers: str = "proof",
    max_slack: float = 0.1,
    theta: Any = None,
) -> KKT:
    """KKT residuals of a network, in l2 or in any other norm of its parameters.

    With the proof's multipliers ``lambda_k = q_min^(1 - 2/L) ||theta|| c_k / ||grad L||_*``, ``-grad L = sum_k c_k grad q_k``,
    two equalities hold:

        ``epsilon^2 = 2 gamma^(-2/L) (1 - beta)``  in l2,   ``bregman = gamma^(-2/L) (1 - beta)``  in every norm,

    so that parameters that are nearly aligned with their own gradient are nearly a KKT point. The converse is false: at
    ``theta = R w*`` on ``datasets.dataset_1()`` the SVM's multipliers show a KKT point exactly, and beta is 0.2887 for every R.

    The best multipliers are those that minimise ``gap``: the dual weights of the hard-margin SVM on the gradients (``"svm"``, in
    l1, l2 and linf). Non-negative least squares (``"nnls"``, in l2) minimises ``epsilon`` alone, over the constraints with a
    slack of at most ``max_slack``. Without that limit it would be misleading: with more samples than parameters nearly any theta
    is a positive combination of *some* gradients, of the wrong samples.

    Args:
        model: homogeneous ``nn.Module`` (then X ``[n, ...]`` and y ``[n]`` are its data), or a :class:`HomogeneousModel` made
            of them, which saves checks in a loop.
        norm: of all trained parameters; "spectral" where there is one trained matrix, "modular", or a norm of one's own.
        loss: "exponential" (default for one output), "logistic" or "cross_entropy" (summed), whose gradient weighs the proof's
            multipliers.
        multipliers: "proof", "svm" or "nnls". max_slack: for "nnls"; inf for no limit.
        theta: ``[P]``, default the model's parameters.

    Raises:
        ValueError: a model that is not homogeneous, data that is not fitted (``q_min <= 0``), labels out of range,
            multipliers that the norm does not have.

    Example:
        >>> import numpy as np, margin_lab as ml
        >>> net = ml.models.MLP([2, 1])  # linear: the KKT point is the hard-margin vector
        >>> data = ml.datasets.gaussian(20, 2)
        >>> report = residuals(net, data.X, data.y, multipliers="svm", theta=ml.hard_margin(data.X, data.y).w)
        >>> report.epsilon < 1e-9 and report.delta < 1e-9
        True

    Source: Lyu & Li 2020, Theorem 4.4 and its proof; Flavors of Margin, Proposition B.6 (here as equalities).
    """
    choice(multipliers, "multipliers", MULTIPLIERS)
    problem = model if isinstance(model, HomogeneousModel) else HomogeneousModel(model, X, y, loss)
    at = problem.theta if theta is None else problem.checked(theta)
    d = problem.fitted(problem.descent(at))
    measure = problem.norm(norm)
    q_min, size, dual = float(d.margins.min()), float(measure(at)), float(measure.dual(d.v))
    scale, L = q_min ** (1 / problem.degree), problem.degree
    scaled = at / scale
    slacks = d.margins / q_min - 1
    if multipliers == "proof":
        # lambda_k h_k(theta~) = (size / scale) p_k grad q_k(theta) / ||v||_*, whatever L
        lam = torch.exp(
            (1 - 2 / L) * math.log(q_min) + torch.log(d.weights) + math.log(size) - math.log(dual)
        )
        total = d.v * (size / scale / dual)
    else:
        choice(measure.name, f"norm with multipliers={multipliers!r}", _NORMS[multipliers])
        # gradients at theta~, not at theta: for L = 1 alone they are the same
        h = problem.jacobian(scaled)
        lam = (
            _svm(h, measure.name, L) if multipliers == "svm" else _nnls(h, scaled, slacks, _slack(max_slack))
        )
        total = lam @ h
    distance = float(measure.dual(total)) ** 2 / 2 + (size / scale) ** 2 / 2 - float(scaled @ total)
    exact = multipliers == "proof" and problem.loss == "exponential" and d.log_loss < 0
    gamma = q_min / size**L
    return KKT(
        norm=measure.name,
        degree=L,
        margin=gamma,
        log_loss=d.log_loss,
        multipliers=lam.cpu().numpy(),
        samples=problem.samples.cpu().numpy(),
        slacks=slacks.cpu().numpy(),
        epsilon=float((scaled - total).norm()) if measure.name == "l2" else None,
        bregman=distance,
        delta=float((lam * slacks).max()),
        delta_bound=gamma ** (-2 / L) / (math.e * L * -d.log_loss) if exact else None,
        gap=distance + L * float(lam @ slacks),
        alignment=float(at @ d.v) / (size * dual),
    )


def _slack(value: float) -> float:
    return value if value == math.inf else float(nonnegative(value, "max_slack"))


def _svm(h: Tensor, norm: str, degree: float) -> Tensor:
    """The multipliers of ``min 1/2 ||w||^2, <w, h_k> >= L``: gamma* and p of the hard margin of the rows give them in scale."""
    solution = hard_margin(h, torch.ones(len(h), dtype=h.dtype, device=h.device), norm=norm)
    weights: Tensor = solution.dual * (degree / solution.margin**2)
    return weights


def _nnls(h: Tensor, scaled: Tensor, slacks: Tensor, max_slack: float) -> Tensor:
    """The multipliers of nearly active constraints that bring ``sum_k lambda_k h_k`` nearest to ``theta~``."""
    from scipy.optimize import nnls

    active = slacks <= max_slack
    rows, target = h[active].mT.cpu().numpy(), scaled.cpu().numpy()
    if rows.shape[0] > rows.shape[1] + 1:
        # many more parameters than constraints: NNLS on the triangular factor sees the same distances
        factor = np.asarray(np.linalg.qr(np.column_stack([rows, target]), mode="r"))
        rows, target = factor[:, :-1], factor[:, -1]
    lam = torch.zeros_like(slacks)
    lam[active] = torch.from_numpy(nnls(rows, target)[0]).to(slacks)
    return lam


@dataclass(frozen=True, eq=False, repr=False)
class KernelCheck(Result):
    """A network beside the hard-margin SVM on its own gradient features ``grad q_k(theta_hat)``.

    Attributes:
        solution: the exact hard margin of the features, with its certificate.
        cosine: of the angle between theta and ``solution.w``: 1 at a KKT point.
        share: of ``solution.margin`` that theta's direction reaches on the features.
        features: ``[m, P]``. margins: ``[m]``, of theta's direction on them, ``L q_k(theta_hat)``.
        samples: ``[m]``, the sample of each feature.
    """

    solution: HardMargin
    cosine: float
    share: float
    features: np.ndarray
    margins: np.ndarray
    samples: np.ndarray

    _x, _y, _points, _parts = "margin", "dual", True, (HardMargin,)

    def table(self) -> dict[str, np.ndarray]:
        """One row a constraint: sample, margin (of the network's direction), dual (weight in the SVM's solution)."""
        return {"sample": self.samples, "margin": self.margins, "dual": as_numpy(self.solution.dual)}

    def _title(self) -> str:
        return (
            f"KernelCheck({len(self.features)} features of {self.features.shape[1]} parameters, "
            f"1 - cosine={1 - self.cosine:.2e}, share={self.share:.6g}, margin={self.solution.margin:.6g}, "
            f"gap={self.solution.gap:.1e})"
        )

    def support(self, max_slack: float = 0.01) -> np.ndarray:
        """Constraints that are active for the network: with a relative slack of at most ``max_slack``."""
        return np.flatnonzero(self.margins <= (1 + max_slack) * self.margins.min())


def kernel_support_vectors(
    model: nn.Module | HomogeneousModel, X: Any = None, y: Any = None, theta: Any = None
) -> KernelCheck:
    """Solve the hard-margin SVM with the network's own tangent kernel ``K = <grad f(x), grad f(x')>`` and compare.

    At a KKT direction ``theta_hat = sum_k lambda_k grad q_k(theta_hat)`` with ``lambda >= 0`` on the active constraints. Those
    are the KKT conditions of a *linear* hard-margin problem whose features are the gradients, frozen at ``theta_hat``; it is
    convex, so ``theta_hat`` is its solution. Solved here in feature space by :func:`margin_lab.hard_margin`.

    Args, raises: as :func:`residuals`.

    Source: Lyu & Li 2020, Corollary 4.5.
    """
    problem = model if isinstance(model, HomogeneousModel) else HomogeneousModel(model, X, y, "exponential")
    at = problem.theta if theta is None else problem.checked(theta)
    problem.fitted(problem.descent(at))
    unit = at / torch.linalg.vector_norm(at)
    features = problem.jacobian(unit).cpu().numpy()
    solution = hard_margin(features, np.ones(len(features)))
    direction = unit.cpu().numpy()
    margins = features @ direction
    return KernelCheck(
        solution=solution,
        cosine=float(solution.w @ direction),
        share=float(margins.min() / solution.margin),
        features=features,
        margins=margins,
        samples=problem.samples.cpu().numpy(),
    )


def reversed_bregman(problem: HomogeneousModel, theta: Tensor, norm: str | float | Norm) -> float:
    """Proposition B.6's divergence with its arguments swapped, ``D(k, Y)``: a trap, for tests and the book.

    It needs a subgradient of the *dual* norm at Y, and vanishes in l1 and linf at points that are far from stationary.
    """
    measure = problem.norm(norm)
    d = problem.fitted(problem.descent(theta))
    scale = float(d.margins.min()) ** (1 / problem.degree)
    scaled = theta / scale
    total = d.v * float(measure(scaled) / measure.dual(d.v))
    k = float(measure(scaled)) * norm_gradient(measure, scaled)
    # the direction of steepest descent for -Y attains the dual norm: a subgradient of it at Y
    at_total = float(measure.dual(total)) * measure.direction(-total)
    half_squares = float(measure.dual(k)) ** 2 / 2 - float(measure.dual(total)) ** 2 / 2
    return half_squares - float(at_total @ (k - total))
