"""Constrained and regularisation paths of linear models: minimisers of the loss in growing balls, certified."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from margin_lab.checks import choice, norm_name, positive, signed_data
from margin_lab.hard_margins import hard_margin
from margin_lab.results import Result
from margin_lab.results.base import as_numpy
from margin_lab.theory.lexicographic.faces import Face, LastFace
from margin_lab.theory.lexicographic.levels import DUST
from margin_lab.theory.lexicographic.newton import graded_minimum
from margin_lab.theory.lexicographic.ruler import DUAL, NORMS, ORDER, lexicographic_margin


@dataclass(frozen=True, eq=False, repr=False)
class LinearPath(Result):
    """The constrained path ``argmin_{||w|| <= rho} sum_i exp(-<z_i, w>)`` at R radii.

    Attributes:
        rho: ``[R]``. w: ``[R, d]``, on the sphere of radius rho. margins: ``[R, n]``, ``<z_i, w>``. log_loss: ``[R]``, of the
            sum.
        log_multiplier: ``[R]``, ``log ||grad L||_dual``: w also minimises ``L + e^log_multiplier ||w||``.
        gap: ``[R]``, certified: log L is within this of its minimum over the ball (what float64 can see of it).
        settled: ``[R]``, whether w was proved optimal level by level, on the face of the lexicographic solution. In l2: always.
        norm: "l1", "l2" or "linf".
    """

    rho: Any
    w: Any
    margins: Any
    log_loss: Any
    log_multiplier: Any
    gap: Any
    settled: Any
    norm: str

    @property
    def directions(self) -> Any:
        """``w / rho [R, d]``."""
        return self.w / self.rho[:, None]

    def limit(self) -> Any:
        """The limit of ``w/rho``, extrapolated linearly in ``1/rho`` from the last two radii: exact if w = rho u + constant.

        Raises:
            ValueError: a single radius.
        """
        if len(self.rho) < 2:
            raise ValueError("extrapolation needs two radii or more, got 1")
        return (self.w[-1] - self.w[-2]) / (self.rho[-1] - self.rho[-2])

    _x, _y = "rho", "log_loss"

    def table(self) -> dict[str, np.ndarray]:
        """One row a radius: rho, log_loss, margin (the smallest, of w / rho), log_multiplier, gap, settled."""
        columns = {"rho": self.rho, "log_loss": self.log_loss, "margin": self.margins.min(-1) / self.rho}
        columns |= {"log_multiplier": self.log_multiplier, "gap": self.gap, "settled": self.settled}
        return {name: as_numpy(values) for name, values in columns.items()}

    def _title(self) -> str:
        return (
            f"LinearPath(norm={self.norm!r}, {len(self.rho)} radii from {self.rho[0]:g} to {self.rho[-1]:g}, "
            f"gap={self.gap.max():.1e}, settled={int(np.sum(self.settled))})"
        )


def radii(rho: Any) -> np.ndarray:
    """Check radii: one number or an increasing sequence, all > 0."""
    values = np.atleast_1d(np.asarray(rho, dtype=float))
    for v in values.ravel():
        positive(float(v), "rho")
    if values.ndim != 1 or len(values) == 0 or (np.diff(values) <= 0).any():
        raise ValueError(f"rho must be one radius or an increasing sequence of them, got {rho!r}")
    return values


def constrained_path(X: Any, y: Any, rho: float | Sequence[float], norm: str | float = "l2") -> LinearPath:
    """Return the constrained path of a linear model under the summed exponential loss.

    A homotopy: each radius starts from the one before. l2: Newton's method on the sphere. l1 and linf: Newton's method on a
    face of the ball, and from face to face (active set). Beyond ``rho (q_(2) - q_(1)) = 30`` or so the second level is below
    the rounding of the first, and the loss in float64 is flat along the max-margin set; there the path is computed on the face
    of the lexicographic solution in coordinates that separate the levels (``faces.LastFace``),
    and it is accepted only if the optimality conditions hold level by level, which for a convex problem proves it.

    Args:
        X: ``[n, d]``. y: ``[n]``, -1 or +1. rho: radii, increasing, > 0. norm: "l1", "l2" or "linf". Ties are broken as in
            :func:`lexicographic_margin`: differences below 1e-9 of the largest entry count as 0.

    Raises:
        NotSeparableError: no direction has a positive margin (the path would stay bounded).
        ValueError: bad data, an unknown norm, radii that are not > 0 and increasing.

    Example:
        >>> import numpy as np
        >>> Z = np.array([[1.0, 1.0], [3.0, 1.2], [1.1, 2.5]])
        >>> path = constrained_path(Z, np.ones(3), [100.0, 200.0], norm="l1")
        >>> float(path.limit()[0].round(9)) == 13 / 32
        True
    """
    norm = str(norm_name(norm))
    choice(norm, "norm", NORMS)
    at = radii(rho)
    Z = signed_data(X, y)[0].double().cpu().numpy()
    if norm == "l2":
        hard_margin(Z, np.ones(len(Z)))  # raises where nothing separates
        w = _sphere_path(Z, at)
        q, settled = w @ Z.T, np.ones(len(at), bool)
    else:
        last = LastFace(Z, lexicographic_margin(Z, np.ones(len(Z)), norm))
        w, q, settled = _polyhedral_path(Z, at, norm, last)
    return _measured(Z, at, w, q, settled, norm)


def regularization_path(
    X: Any, y: Any, strength: float | Sequence[float], norm: str = "l2", power: float = 2.0
) -> LinearPath:
    """Return ``argmin_w L(w) + strength ||w||^power`` for decreasing ``strength``: the constrained path, read by its multiplier.

    The problem is convex, and so its solutions are the constrained path at the radius where
    ``log ||grad L||_dual = log(strength power rho^(power - 1))``; that radius is found by bisection (the difference of both sides
    falls with rho).

    Raises:
        NotSeparableError, ValueError: as :func:`constrained_path`; strengths that are not > 0 and decreasing, ``power < 1``.
    """
    from scipy.optimize import brentq

    lam = 1 / radii(1 / np.atleast_1d(np.asarray(strength, dtype=float)))
    if positive(power, "power") < 1:
        raise ValueError(f"power must be >= 1, got {power}: below it the problem is not convex")

    def excess(log_rho: float, log_lam: float) -> float:
        path = constrained_path(X, y, math.exp(log_rho), norm)
        return float(path.log_multiplier[0] - log_lam - math.log(power) - (power - 1) * log_rho)

    found = []
    for log_lam in np.log(lam):
        low, high = -10.0, 0.0
        if excess(low, log_lam) < 0:
            raise ValueError(f"strength {math.exp(log_lam):.3g} leaves w = 0; use a smaller one")
        while excess(high, log_lam) > 0:
            low, high = high, high + 1.0
        found.append(math.exp(brentq(excess, low, high, args=(log_lam,), xtol=1e-13)))
    return constrained_path(X, y, found, norm)


def _measured(
    Z: np.ndarray, rho: np.ndarray, w: np.ndarray, q: np.ndarray, settled: np.ndarray, norm: str
) -> LinearPath:
    top = q.min(1, keepdims=True)
    p = np.exp(top - q)
    log_loss = np.log(p.sum(1)) - top[:, 0]
    g = p / p.sum(1, keepdims=True) @ Z
    length = np.linalg.norm(g, DUAL[norm], axis=1)
    gap = rho * length - (p / p.sum(1, keepdims=True) * q).sum(1)
    return LinearPath(rho, w, q, log_loss, log_loss + np.log(length), np.maximum(gap, 0), settled, norm)


def _sphere_path(Z: np.ndarray, rho: np.ndarray) -> np.ndarray:
    """l2: Newton's method for ``Z'p = lam w, ||w|| = rho``."""
    w, found = Z.mean(0), []
    for r in rho:
        w = w * (r / np.linalg.norm(w))
        for _ in range(200):
            value, g, H = _log_loss(Z, w)
            lam = g @ w / r**2
            wrong = g - lam * w
            if np.linalg.norm(wrong) <= 1e-15 * np.linalg.norm(g):
                break
            K = np.block([[H + max(lam, 0.0) * np.eye(len(w)), w[:, None]], [w, np.zeros(1)]])
            step = np.linalg.lstsq(K, np.append(wrong, 0.0), rcond=None)[0][:-1]
            t, best = 1.0, w
            while t > 1e-12:
                new = w + t * step
                new = new * (r / np.linalg.norm(new))
                if _log_loss(Z, new)[0] <= value - 1e-4 * t * (wrong @ step) + 1e-14 * abs(value):
                    best = new
                    break
                t /= 2
            moved = np.linalg.norm(best - w)
            w = best
            if moved <= 1e-15 * r:
                break
        found.append(w)
    return np.array(found)


def _log_loss(Z: np.ndarray, w: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """``log L``, minus its gradient, and its Hessian."""
    q = Z @ w
    e = np.exp(q.min() - q)
    p = e / e.sum()
    g = p @ Z
    return float(np.log(e.sum()) - q.min()), g, (p[:, None] * Z).T @ Z - np.outer(g, g)


def _polyhedral_path(
    Z: np.ndarray, rho: np.ndarray, norm: str, last: LastFace
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    face, w = _first_face(Z, norm)
    found, settled = [], []
    for r in rho:
        final = last.solve(r)
        settled.append(final is not None)
        if final is None:
            w = w * (r / np.linalg.norm(w, ORDER[norm]))
            face, w = _active_set(Z, r, face, w)
            found.append((w, Z @ w))
        else:
            face, w, q = final
            found.append((w, q))
    w_all, q_all = (np.array(part) for part in zip(*found, strict=True))
    return w_all, q_all, np.array(settled)


def _first_face(Z: np.ndarray, norm: str) -> tuple[Face, np.ndarray]:
    """Where the path starts: the face of the unit ball that the gradient at 0 points to, and a point on it."""
    g = Z.mean(0)
    if norm == "l1":
        signs = np.zeros(len(g))
        j = int(np.argmax(np.abs(g)))
        signs[j] = np.sign(g[j])
    else:
        signs = np.sign(np.where(np.abs(g) > DUST * np.abs(g).max(), g, 0.0))
    return Face(norm, signs), signs.copy()


def _active_set(Z: np.ndarray, rho: float, face: Face, w: np.ndarray) -> tuple[Face, np.ndarray]:
    """Minimise from face to face: stop where a column meets the face's end, leave where the loss falls off the face."""
    for _ in range(20 * len(w) + 20):
        B = face.basis()
        a, _ = graded_minimum(Z @ B, Z @ w, np.zeros(B.shape[1]))
        step = B @ a
        reach = face.reach(w, step, rho)
        j = int(np.argmin(reach))
        if reach[j] < 1:
            w = w + max(0.0, float(reach[j])) * step
            face = face.with_sign(j, 0.0 if face.norm == "l1" else np.sign(step[j]))
            w[j] = face.signs[j] * rho
            continue
        w = w + step
        q = Z @ w
        p = np.exp(q.min() - q)
        g = p @ Z / p.sum()
        slope, j, sign = max(((g @ d, j, s) for j, s, d in face.departures()), default=(0.0, 0, 0.0))
        if slope <= DUST * np.abs(g).max():
            break
        face = face.with_sign(j, sign)
    return face, w
