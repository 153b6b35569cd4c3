"""How fast the smoothed margin grows along a flow: Lemma 5.1 of Lyu & Li with its remainder, Theorem 3.1 of Flavors of Margin.

All rates are ``d/dt`` **divided by the loss** ``L``, since both sides of either inequality carry that factor, which underflows.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from margin_lab.norms import Norm, norm_gradient
from margin_lab.theory.constraints import Descent, HomogeneousModel


@dataclass(frozen=True)
class Growth:
    """Both sides of an inequality ``lhs >= bound`` at one point: ``lhs = bound + remainder`` exactly.

    Attributes:
        lhs: ``(d log smoothed / dt) / L``, from the flow's velocity.
        bound: the lower bound of the theorem. remainder: what it leaves out, from a formula of its own and not as a difference.
    """

    lhs: float
    bound: float
    remainder: float

    @property
    def error(self) -> float:
        """``|lhs - bound - remainder|``, relative to lhs."""
        return abs(self.lhs - self.bound - self.remainder) / abs(self.lhs)


def lemma_5_1(problem: HomogeneousModel, theta: Tensor) -> Growth:
    """Both sides of Lemma 5.1 for gradient flow on the summed exponential loss, with the exact remainder.

    With ``A = log 1/L``, ``rho = ||theta||_2``, ``v = -grad log L``, ``p = softmax(-q)``, H its entropy, and all divided by L:

        ``d log smoothed/dt  =  L_deg (d log rho/dt)^-1 ||d theta_hat/dt||^2  +  ||v||^2 H / (A (A + H))``.

    The left side is ``||v||^2 / A - L_deg <theta, v> / rho^2``: ``dL/dt = -||grad L||^2`` and ``rho d rho/dt = L <theta, v>``.

    Raises:
        ValueError: another loss, or ``L >= 1``, where the smoothed margin is not positive.

    Source: Lyu & Li 2020, Lemma 5.1 (the inequality); the remainder is derived in the book's chapter 7.
    """
    d, A = _exponential(problem, theta)
    degree, rho2 = problem.degree, float(theta @ theta)
    v2, inward = float(d.v @ d.v), float(theta @ d.v)
    entropy = float(torch.special.entr(d.weights).sum())
    across = d.v - theta * (inward / rho2)
    # d theta_hat/dt = across / rho and d log rho/dt = inward / rho^2
    bound = degree * float(across @ across) / inward
    return Growth(v2 / A - degree * inward / rho2, bound, v2 * entropy / (A * (A + entropy)))


def theorem_3_1(problem: HomogeneousModel, theta: Tensor, norm: str | float | Norm) -> Growth:
    """Both sides of Theorem 3.1 for steepest flow in ``norm``, and that norm's smoothed margin.

    ``lhs = ||v||_*^2 / A - L_deg <n, u> ||v||_* / ||theta||`` with ``u`` the unit steepest direction and n a subgradient of the
    norm at theta; ``bound = ||v||_*^2 / A - L_deg ||v||_* / ||theta|| >= 0``; the remainder is
    ``L_deg ||v||_* (1 - <n, u>) / ||theta||``: the norm grows no faster than the flow moves.

    Raises:
        ValueError: another loss than the exponential, or ``L >= 1``.

    Source: Tsilivis, Vardi and Kempe 2024, Theorem 3.1.
    """
    own = problem.norm(norm)
    d, A = _exponential(problem, theta)
    dual, direction = own.dual_and_direction(-d.v)
    speed, size = float(dual), float(own(theta))
    along = float(norm_gradient(own, theta) @ direction)
    scale = problem.degree * speed / size
    return Growth(speed**2 / A - scale * along, speed**2 / A - scale, scale * (1 - along))


def smoothed_growth(
    problem: HomogeneousModel, theta: Tensor, norm: str | float | Norm, measured: str | float | Norm
) -> float:
    """``(d log smoothed / dt) / L`` of the smoothed margin in the norm ``measured`` along steepest flow in ``norm``.

    Theorem 3.1 speaks of ``measured = norm`` only; in other norms the smoothed margin can fall.
    """
    d, A = _exponential(problem, theta)
    dual, direction = problem.norm(norm).dual_and_direction(-d.v)
    other, speed = problem.norm(measured), float(dual)
    along = float(norm_gradient(other, theta) @ direction)
    return speed**2 / A - problem.degree * speed * along / float(other(theta))


def _exponential(problem: HomogeneousModel, theta: Tensor) -> tuple[Descent, float]:
    if problem.loss != "exponential":
        raise ValueError(f"these formulas are for the exponential loss, got loss={problem.loss!r}")
    d = problem.below_threshold(problem.descent(theta))
    return d, -d.log_loss
