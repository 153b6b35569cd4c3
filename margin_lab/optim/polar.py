"""The polar factor ``U V^T`` of a gradient ``G = U S V^T``: exact, or by matrix products alone (Newton-Schulz).

It is the direction of steepest descent in the spectral norm, of Shampoo without accumulation, and of Muon. All act on the last
two axes; leading axes are batch axes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from margin_lab.checks import integer
from margin_lab.norms import polar_factor
from margin_lab.norms.spectral import Polar

# Muon's quintic (Jordan et al. 2024; torch.optim.Muon): steep at 0, so that small singular values rise fast. Its fixed point
# 0.868 repels (slope -1.58), so it never converges.
MUON = (3.4445, -4.7750, 2.0315)
# p(1) = 1, p'(1) = p''(1) = 0: cubic convergence to 1.
CUBIC = (15 / 8, -10 / 8, 3 / 8)


@dataclass(frozen=True)
class NewtonSchulz:
    """Odd polynomials ``X <- a X + b (X X^T) X + c (X X^T)^2 X``, one after the other, from ``X = G / ||G||_F``.

    Each maps every singular value by ``p(s) = a s + b s^3 + c s^5`` and leaves the singular vectors alone; zero stays zero.

    Args:
        coefficients: ``((a, b, c), ...)``, one triple a step. dtype: of the products; None for that of ``G``.

    Example:
        >>> low, high = newton_schulz().band()
        >>> f"{low:.3f} {high:.3f}"
        '0.682 1.134'
        >>> bool(max(abs(1 - s) for s in convergent_newton_schulz().band()) < 1e-12)
        True
    """

    coefficients: tuple[tuple[float, float, float], ...]
    dtype: torch.dtype | None = None

    def __call__(self, g: Tensor) -> Tensor:
        """``U p(S) V^T [..., a, b]``; 0 where ``G = 0``."""
        if g.ndim < 2:
            raise ValueError(f"a polar factor needs a matrix, got shape {tuple(g.shape)}")
        tall = g.shape[-2] > g.shape[-1]
        x = g.mT if tall else g  # the smaller Gram matrix
        # by the largest entry first: squares of tiny gradients would underflow
        tiny = torch.finfo(g.dtype).tiny
        x = x / x.abs().amax((-2, -1), keepdim=True).clamp_min(tiny)
        x = x / torch.linalg.matrix_norm(x, keepdim=True).clamp_min(tiny)
        x = x.to(self.dtype or g.dtype)
        batch = x.shape[:-2]
        x = x.reshape(-1, *x.shape[-2:]) if batch else x
        fused = torch.baddbmm if batch else torch.addmm
        for a, b, c in self.coefficients:
            gram = x @ x.mT
            x = fused(x, fused(gram, gram, gram, beta=b, alpha=c), x, beta=a)
        x = x.reshape(*batch, *x.shape[-2:]).to(g.dtype)
        return x.mT if tall else x

    def singular_values(self, s: np.ndarray) -> np.ndarray:
        """What becomes of singular values ``s`` (relative to ``||G||_F``)."""
        s = np.asarray(s, dtype=float)
        for a, b, c in self.coefficients:
            s = a * s + b * s**3 + c * s**5
        return s

    def band(self, low: float = 0.01, high: float = 1.0, points: int = 200_001) -> tuple[float, float]:
        """The smallest and largest value that singular values in ``[low, high]`` are mapped to, measured on a fine grid."""
        if not 0 < low < high <= 1:
            raise ValueError(
                f"singular values relative to the Frobenius norm have 0 < low < high <= 1, got {low}, {high}"
            )
        image = self.singular_values(np.geomspace(low, high, points))
        return float(image.min()), float(image.max())


def newton_schulz(
    steps: int = 5, coefficients: Sequence[float] = MUON, dtype: torch.dtype | None = None
) -> NewtonSchulz:
    """The same polynomial ``steps`` times: Muon's by default, whose five steps map [0.01, 1] onto [0.6818, 1.1344], not onto 1.

    ``dtype=torch.bfloat16`` computes as ``torch.optim.Muon`` does: fast where the processor has bfloat16 products, to two digits.

    Raises:
        ValueError: steps < 1, or not three coefficients.
    """
    if len(coefficients) != 3:
        raise ValueError(f"coefficients must be three numbers (a, b, c), got {tuple(coefficients)}")
    a, b, c = map(float, coefficients)
    return NewtonSchulz(((a, b, c),) * integer(steps, "steps", least=1), dtype)


def convergent_newton_schulz(steps: int = 10, polish: int = 5) -> NewtonSchulz:
    """Muon's polynomial to raise small singular values, then ``(15 s - 10 s^3 + 3 s^5) / 8``, which converges cubically.

    ``steps=5, polish=4`` reaches 1 to 2e-16 from [0.01, 1]; the default does from [1e-5, 1]. An exact polar factor from matrix
    products alone, batched.
    """
    return NewtonSchulz(newton_schulz(steps).coefficients + newton_schulz(polish, CUBIC).coefficients)


def polar_express(
    steps: int = 5, low: float = 1e-3, cushion: float = 0.02407327424182761, safety: float = 1.01
) -> NewtonSchulz:
    """The best ``steps`` quintics, one after the other: each has the least largest error on what the one before left of [low, 1].

    Args:
        steps: how many. low: singular values, relative to the Frobenius norm, from which on all go to 1.
        cushion: none is fitted to an interval wider than ``[cushion u, u]``: those below rise a little less, so that none falls
            behind. safety: arguments are divided by it, but in the last step, so that rounding to low precision cannot throw a
            value out of the interval.

    The defaults are the authors'. Errors after 5 steps: see :meth:`NewtonSchulz.band`.

    Raises:
        ValueError: steps < 1, low or cushion outside (0, 1), safety < 1.

    Example:
        >>> [round(c, 4) for c in polar_express(safety=1.0).coefficients[0]]
        [8.2872, -23.5959, 17.3004]

    Source: Amsel, Persson, Musco & Gower 2025 (Polar Express), Theorem 3.1, Algorithm 1 and section 3.4.
    """
    integer(steps, "steps", least=1)
    if not (0 < low < 1 and 0 < cushion < 1 and 1 <= safety < 2):
        raise ValueError(
            f"polar_express needs 0 < low, cushion < 1 <= safety < 2, got {low}, {cushion}, {safety}"
        )
    found, high = [], 1.0
    for step in range(steps):
        a, b, c = best_quintic(max(low, cushion * high), high)
        # fitted above a cushion, it is centred anew: p(low) and p(high) as far from 1
        ends = [a * x + b * x**3 + c * x**5 for x in (low, high)]
        a, b, c = (2 * v / sum(ends) for v in (a, b, c))
        low = 2 * ends[0] / sum(ends)
        high = 2 - low
        s = safety if step < steps - 1 else 1.0
        found.append((a / s, b / s**3, c / s**5))
    return NewtonSchulz(tuple(found))


def best_quintic(low: float, high: float) -> tuple[float, float, float]:
    """``(a, b, c)`` that minimise ``max |1 - (a x + b x^3 + c x^5)|`` over ``low <= x <= high``, by Remez' exchange.

    The error takes its largest value with alternating signs at both ends and at the two zeros of ``p'`` between them.
    """
    if low / high > 1 - 5e-6:  # to rounding the limit: CUBIC, scaled
        return CUBIC[0] / high, CUBIC[1] / high**3, CUBIC[2] / high**5
    inner = (3 * low + high) / 4, (low + 3 * high) / 4
    last = math.inf
    for _ in range(100):
        x = np.array([low, *inner, high])
        a, b, c, error = np.linalg.solve(np.stack([x, x**3, x**5, [1, -1, 1, -1]], 1), np.ones(4))
        if abs(last - error) <= 1e-15:
            break
        last = error
        root = math.sqrt(9 * b * b - 20 * a * c)
        inner = math.sqrt((-3 * b - root) / (10 * c)), math.sqrt((-3 * b + root) / (10 * c))
    return float(a), float(b), float(c)


POLAR: dict[str, Polar] = {
    "exact": polar_factor,
    "polar-express": polar_express(),
    "newton-schulz-bfloat16": newton_schulz(dtype=torch.bfloat16),
    "newton-schulz": newton_schulz(),
    "convergent": convergent_newton_schulz(),
}


def get_polar(polar: str | Polar) -> Polar:
    """Return "exact" (SVD), "newton-schulz" (Muon's five steps), "polar-express" (five others, closer to 1), "convergent",
    "newton-schulz-bfloat16", or a function ``G -> U V^T`` as it is.

    Raises:
        ValueError: another name.
    """
    if callable(polar):
        return polar
    if polar not in POLAR:
        raise ValueError(f"polar must be one of {', '.join(map(repr, POLAR))} or a function, got {polar!r}")
    return POLAR[polar]
