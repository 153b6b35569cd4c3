"""Gradient flow in log-time: with ``s = log t`` an adaptive integrator reaches ``t = 1e100`` in seconds, in float64."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from margin_lab.checks import DivergedError, as_tensor, choice, finite, signed_data
from margin_lab.losses import MARGIN_LOSSES, log_loss_of_margins, loss_weights
from margin_lab.results import Result
from margin_lab.theory.constraints import HomogeneousModel

# exp overflows just above.
_LARGEST_LOG = 700.0

# (w [d]) -> (log L, grad log L [d])
LogLossAndGrad = Callable[[np.ndarray], tuple[float, np.ndarray]]


@dataclass(frozen=True, eq=False, repr=False)
class Flow(Result):
    """A trajectory of gradient flow: ``log_t [T]``, ``w [T, d]``, ``log_loss [T]``."""

    log_t: np.ndarray
    w: np.ndarray
    log_loss: np.ndarray

    _x, _y = "log_t", "log_loss"

    def table(self) -> dict[str, np.ndarray]:
        """Records: log_t, log_loss, and norm, the l2 length of w."""
        return {"log_t": self.log_t, "log_loss": self.log_loss, "norm": np.linalg.norm(self.w, axis=1)}

    def _title(self) -> str:
        return (
            f"Flow({len(self.log_t)} records of {self.w.shape[1]} parameters, log t from {self.log_t[0]:.4g} to "
            f"{self.log_t[-1]:.4g}: log loss {self.log_loss[-1]:.6g})"
        )


def log_time_flow(
    log_loss_and_grad: LogLossAndGrad, w0: Any, log_t: Sequence[float] | np.ndarray, rtol: float = 1e-11
) -> Flow:
    """Integrate ``dw/dt = -grad L(w)`` from ``t = 0``, in the variable ``s = log t``: ``dw/ds = -t L grad log L``.

    ``t L`` stays of order one on separable data while ``L`` falls below 1e-100, so nothing under- or overflows and an
    adaptive stiff solver (LSODA) takes steps of constant length in ``s``.

    Args:
        log_loss_and_grad: maps ``w [d]`` to ``log L`` and its gradient. w0: ``[d]`` start.
        log_t: increasing times ``log t`` to record. rtol: relative tolerance of the integrator.

    Raises:
        ValueError: times that do not increase. DivergedError: the flow blew up, or the integrator gave up.

    The first stretch, from ``t = 0`` to just before ``log_t`` begins (or ``s = -12``, if earlier), is one Euler step, with error
    ``O(t^2)``: below 1e-10 there for losses with gradients of order one.
    """
    from scipy.integrate import solve_ivp

    times = np.asarray(log_t, dtype=float)
    if times.ndim != 1 or times.size == 0 or not np.all(np.diff(times) > 0):
        raise ValueError("log_t must be a list of increasing times log t")
    w0 = np.asarray(w0, dtype=float)
    start = min(-12.0, float(times[0]) - 1)

    def slope(s: float, w: np.ndarray) -> np.ndarray:
        log_loss, grad = log_loss_and_grad(w)
        # LSODA would shrink its step for ever at a singularity
        if not (math.isfinite(log_loss) and s + log_loss < _LARGEST_LOG and np.isfinite(grad).all()):
            raise DivergedError(
                f"the flow left the finite numbers at log t = {s:.6g} (log loss {log_loss:.3g})"
            )
        return -np.exp(s + log_loss) * grad

    first = w0 + slope(start, w0)
    # scipy's LSODA stops at a max_step of inf across the flat beginning; a bounded one sees the turn near t = 1
    solution = solve_ivp(
        slope, (start, float(times[-1])), first, "LSODA", times, rtol=rtol, atol=1e-13, max_step=5.0
    )
    if not solution.success:
        raise DivergedError(f"the flow could not be integrated to log t = {times[-1]:g}: {solution.message}")
    w = solution.y.T
    return Flow(times, w, np.array([log_loss_and_grad(v)[0] for v in w]))


def linear_flow(
    X: Any,
    y: Any,
    log_t: Sequence[float] | np.ndarray,
    w0: Any = None,
    loss: str = "exponential",
    rtol: float = 1e-11,
) -> Flow:
    """Gradient flow of a linear classifier on the **mean** loss, in log-time; see :func:`log_time_flow`.

    Args:
        X: ``[n, d]``. y: ``[n]``, -1 or +1. log_t: times ``log t`` to record. w0: ``[d]``, default 0.
        loss: "exponential" or "logistic".

    Raises:
        ValueError: bad data.

    Source: Soudry et al. 2018: ``w(t) = w_check log t + rho(t)`` with ``w_check = w*/gamma*``.
    """
    choice(loss, "loss", MARGIN_LOSSES)
    Z = signed_data(X, y)[0].double().cpu()
    start = np.zeros(Z.shape[1]) if w0 is None else finite(as_tensor(w0, "w0"), "w0").double().cpu().numpy()
    if start.shape != (Z.shape[1],):
        raise ValueError(f"w0 must have shape [{Z.shape[1]}], got {start.shape}")

    def log_loss_and_grad(w: np.ndarray) -> tuple[float, np.ndarray]:
        q = Z @ as_tensor(w, "w")
        return float(log_loss_of_margins(q, loss, "mean")), -(loss_weights(q, loss) @ Z).numpy()

    return log_time_flow(log_loss_and_grad, start, log_t, rtol)


def network_flow(
    model: nn.Module,
    X: Any,
    y: Any,
    log_t: Sequence[float] | np.ndarray,
    theta0: Any = None,
    loss: str | None = None,
    rtol: float = 1e-11,
) -> Flow:
    """Gradient flow of a homogeneous network on the **summed** loss, in log-time; ``flow.w`` is ``theta [T, P]``.

    For small networks with a smooth activation ("relu2", "relu3", "linear"): each step costs a backward pass, and a kink, where
    ReLU's gradient jumps, stops any integrator of high order.

    Args:
        model: homogeneous ``nn.Module``; it is left as it is. X: ``[n, ...]``. y: ``[n]``, -1 or +1, or class indices.
        log_t: increasing times ``log t`` to record. theta0: ``[P]`` start, default the model's parameters.
        loss: "exponential" (default for one output), "logistic" or "cross_entropy". rtol: relative tolerance of the integrator.

    Raises:
        ValueError: bad data, a model that is not homogeneous. DivergedError: as :func:`log_time_flow`.

    Source: Lyu & Li 2020, section 4; its Theorem 4.3 has the rates.
    """
    problem = HomogeneousModel(model, X, y, loss)
    start = problem.theta if theta0 is None else problem.checked(theta0)

    def log_loss_and_grad(theta: np.ndarray) -> tuple[float, np.ndarray]:
        d = problem.descent(torch.from_numpy(np.array(theta)).to(start.device))
        return d.log_loss, -d.v.cpu().numpy()

    return log_time_flow(log_loss_and_grad, start.cpu().numpy(), log_t, rtol)


def predicted_residual(Z: Any, w_check: Any, dual: Any, support: Any) -> np.ndarray:
    """The limit ``w_tilde`` of ``rho(t) = w(t) - w_check log t`` for the mean exponential loss, from the dual alone.

    On the flow every support vector has ``(1/n) exp(-<z_i, w_tilde>) = alpha_i`` with ``w_check = sum_i alpha_i z_i``. This fixes
    ``w_tilde`` where support vectors span the data, and its part in their span in any case; that part is returned. The flow
    approaches it like ``t^-lambda``, with ``lambda`` the smallest eigenvalue of ``sum_i alpha_i z_i z_i^T`` on the span: where
    that is 0.01, it is still far away at t = 1e100.

    Args:
        Z: ``[n, d]`` signed rows. w_check: ``[d]`` hard-margin vector ``w*/gamma*``. dual: ``[n]`` simplex weights.
        support: indices of support vectors, linearly independent with positive weights.

    Source: Soudry et al. 2018, Theorem 9 (gradient flow, step size 1).
    """
    Z, dual, support = np.asarray(Z), np.asarray(dual), np.asarray(support)
    # ||w_check|| = 1/gamma*, and gamma* w* = Z^T dual, so alpha = dual / gamma*^2
    alpha = dual[support] * float(np.dot(w_check, w_check))
    return np.linalg.lstsq(Z[support], -np.log(len(Z) * alpha), rcond=None)[0]
