"""The Mexican hat: a smooth homogeneous model on which gradient flow's direction circles for ever.

Three parameters ``theta = (x, y, z)``, one sample, margin ``h(theta) = rho^L (1 - f(theta_hat))`` with ``rho = ||theta||``. With
``(r, phi)`` the polar coordinates of ``(x, y) / rho`` and ``S = 1 / (1 - r^2)``,

    ``f = exp(-S) (1 - A sin(psi)),   psi = phi - c S,   A = K / (1 + c K),   K = 4 c r^4 S^3,``

and ``f = 0`` on the equator (the book's chapter 7 writes Delta, zeta, B and kappa for f, S, A and c). The exponent 3 of S in K
makes the spiral ``psi = 0`` itself a path of the flow on the sphere; with a larger one the flow crosses it inward, and the
direction circles as well.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from margin_lab.checks import DivergedError, integer, positive
from margin_lab.results import Result


@dataclass(frozen=True, eq=False, repr=False)
class HatPath(Result):
    """A path of the direction, with the angle for a clock; arrays ``[T]``.

    Attributes:
        turns: ``(phi - phi_0) / 2 pi``. phi: the angle. S: ``1 / (1 - r^2)``, which grows as the path nears the equator.
        log_log_rho: the natural log of ``log rho``; ``log rho`` itself soon overflows.
        log_deficit: the natural log of ``1 - gamma = f``, which underflows in gamma.
        direction: ``theta_hat [T, 3]``.
    """

    turns: np.ndarray
    phi: np.ndarray
    S: np.ndarray
    log_log_rho: np.ndarray
    log_deficit: np.ndarray
    direction: np.ndarray

    _x, _y = "turns", "log_deficit"

    def table(self) -> dict[str, np.ndarray]:
        """Records: turns, S, log_log_rho, log_deficit, margin."""
        return {name: getattr(self, name) for name in ("turns", "S", "log_log_rho", "log_deficit", "margin")}

    def _title(self) -> str:
        return (
            f"HatPath({len(self.turns)} records, {self.turns[-1]:.4g} turns, log log rho {self.log_log_rho[-1]:.6g}, "
            f"log deficit {self.log_deficit[-1]:.6g})"
        )

    @property
    def margin(self) -> np.ndarray:
        """``gamma = 1 - f``, 1 to rounding after a few turns where c is 1."""
        return -np.expm1(self.log_deficit)


@dataclass(frozen=True)
class MexicanHat:
    """The model, with its pitch ``c`` (turns of the spiral per unit of S, times 2 pi) and its degree L.

    With ``c = 1`` one turn takes ``log rho`` to about 2e5; ``c = 20`` shows many turns in one picture.

    Raises:
        ValueError: ``c`` or ``degree`` not > 0.

    Example:
        >>> path = MexicanHat(c=20.0).path(turns=3)
        >>> round(float(path.log_log_rho[-1]) / math.log(10), 1), bool((np.diff(path.margin) > 0).all())
        (3.4, True)

    Source: after Lyu & Li 2020, appendix J; the version on the sphere is derived in the book's chapter 7.
    """

    c: float = 1.0
    degree: float = 2.0

    def __post_init__(self) -> None:
        positive(self.c, "c")
        positive(self.degree, "degree")

    def deficit(self, direction: Tensor) -> Tensor:
        """``f`` on unit vectors ``[..., 3]``, differentiable; ``1 - f`` is the normalised margin."""
        u, v = direction[..., 0], direction[..., 1]
        r2 = u * u + v * v
        # 1 - r^2 = z^2 on the sphere: no cancellation near the equator, where f and all its derivatives vanish
        below = direction[..., 2] ** 2
        at_equator = below < 1e-3
        S = 1 / torch.where(at_equator, torch.ones_like(below), below)
        K = 4 * self.c * r2**2 * S**3
        A = K / (1 + self.c * K)
        # sin(phi - c S) by the addition theorem: r^4 in A takes care of r = 0, where phi has no value
        r = torch.sqrt(r2.clamp_min(torch.finfo(r2.dtype).tiny))
        sine = (v * torch.cos(self.c * S) - u * torch.sin(self.c * S)) / r
        return torch.where(at_equator, torch.zeros_like(S), torch.exp(-S) * (1 - A * sine))

    def margin(self, theta: Tensor) -> Tensor:
        """``h = rho^L (1 - f)`` on ``[..., 3]``, differentiable: the model's one margin ``q``."""
        rho = torch.linalg.vector_norm(theta, dim=-1)
        return rho**self.degree * (1 - self.deficit(theta / rho[..., None]))

    def chart_field(self, S: np.ndarray, psi: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """``(dS, dphi)`` of the flow of ``-f`` on the sphere, times ``exp(S)``, where nothing underflows."""
        return self._field(np.asarray(S, dtype=float), np.pi / 2 - np.asarray(psi, dtype=float))

    def _field(self, S: np.ndarray, eta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        # eta = pi/2 - psi tends to 0 like exp of -S's powers: sines of eta keep the digits that those of psi lose
        A, A_S, r2 = self._amplitude(S)
        turn = A_S * np.cos(eta) - self.c * A * np.sin(eta)
        return 4 * r2 * S**3 * (self._relative(S, eta) + turn), A * np.sin(eta) / r2

    def _amplitude(self, S: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """``A``, ``dA/dS`` and ``r^2``."""
        r2 = 1 - 1 / S
        K = 4 * self.c * r2**2 * S**3
        return K / (1 + self.c * K), K * (2 / (S * S * r2) + 3 / S) / (1 + self.c * K) ** 2, r2

    def _relative(self, S: np.ndarray, eta: np.ndarray) -> np.ndarray:
        """``exp(S) f = 1 - A sin(psi)``, without the cancellation that 1 - A has where c is 1."""
        K = 4 * self.c * (1 - 1 / S) ** 2 * S**3
        return (1 + (self.c - 1) * K + 2 * K * np.sin(eta / 2) ** 2) / (1 + self.c * K)

    def path(self, turns: float = 10.0, S0: float = 1.5, psi0: float = 1e-3, points: int = 400) -> HatPath:
        """Integrate the direction of gradient flow over ``turns`` turns, from ``log rho = 1``.

        With one sample the direction's path does not depend on the loss: ``d theta_hat / d log rho = -grad f / (L (1 - f))``. The
        angle is the independent variable, since time and arc length stall: ``rho`` after n turns is e to a power like
        ``exp(2 pi n)``.

        Args:
            turns: > 0. S0: start, > 1 (1 is the pole). psi0: start, in (0, pi/2), where the angle grows from the first moment on.
            points: recorded, evenly spaced in angle.

        Raises:
            ValueError: a start outside of that strip. DivergedError: the integrator gave up.
        """
        from scipy.integrate import solve_ivp

        positive(turns, "turns")
        integer(points, "points", least=2)
        if not (S0 > 1 and 0 < psi0 < math.pi / 2):
            raise ValueError(f"the path starts at S0 > 1 and 0 < psi0 < pi/2, got {S0} and {psi0}")

        def slope(phi: float, state: np.ndarray) -> list[float]:
            eta, log_log_rho = state
            S = (phi - np.pi / 2 + eta) / self.c
            dS, dphi = self._field(S, eta)
            relative = self._relative(S, eta)
            log_speed = np.log(self.degree * -np.expm1(np.log(relative) - S)) + S - np.log(dphi)
            return [self.c * dS / dphi - 1, float(np.exp(log_speed - log_log_rho))]

        start = self.c * S0 + psi0
        angles = np.linspace(start, start + 2 * np.pi * turns, points)
        solution = solve_ivp(
            slope,
            (angles[0], angles[-1]),
            [np.pi / 2 - psi0, 0.0],
            "Radau",
            angles,
            rtol=1e-9,
            atol=1e-12,
        )
        if not solution.success:
            raise DivergedError(f"the path could not be integrated: {solution.message}")
        eta, log_log_rho = solution.y
        S = (angles - np.pi / 2 + eta) / self.c
        r = np.sqrt(1 - 1 / S)
        direction = np.column_stack([r * np.cos(angles), r * np.sin(angles), 1 / np.sqrt(S)])
        deficit = np.log(self._relative(S, eta)) - S
        return HatPath((angles - start) / (2 * np.pi), angles, S, log_log_rho, deficit, direction)


def valley_law(path: HatPath, degree: float) -> np.ndarray:
    """``log(4 L S^3 exp(S))``, to which ``log log rho`` tends along a path with ``c = 1``.

    There ``phi = S + pi/2`` in the end, so the turns grow like ``log log rho / 2 pi``, and ``log log log t / 2 pi`` in time.
    """
    return np.log(4 * degree) + 3 * np.log(path.S) + path.S
