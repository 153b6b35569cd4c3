"""Adam on linear models, predicted: the rate of its sign phase, and when ``eps`` ends it.

Full batch, exponential loss, constant step size. While ``L`` falls like ``e^(-r t)``, the running means of gradients that fall at
the same rate are geometric series,

    m = g (1 - b1) / (1 - b1 e^r),      v = g^2 (1 - b2) / (1 - b2 e^(2r)),

so every coordinate with a gradient moves by ``lr * throttle(r)`` in the direction of its sign, and the smallest margin rises by
that times ``gamma*``, the largest margin in linf. This says which rates are consistent, not that a run settles on one.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from margin_lab.checks import as_tensor, finite, positive
from margin_lab.optim.adam import check_beta


def throttle(rate: float, beta1: float = 0.9, beta2: float = 0.999) -> float:
    """``|m| / sqrt(v)`` while gradients fall like ``e^(-rate t)``: the length of Adam's steps, in units of lr, with ``eps = 0``.

    ``(1 - b1) / (1 - b1 e^r) * sqrt((1 - b2 e^(2r)) / (1 - b2))``: the lag of m makes steps longer, that of ``sqrt(v)`` shorter.

    Args:
        rate: r per step, below :func:`rate_limit`. beta1, beta2: in [0, 1).

    Example:
        >>> throttle(0.0), round(throttle(4e-4), 3)
        (1.0, 0.449)
    """
    check_beta(beta1, "beta1"), check_beta(beta2, "beta2")
    limit = min(_memory(beta1), 0.5 * _memory(beta2))
    if not 0 <= rate < limit:
        raise ValueError(
            f"rate must be in [0, {limit:.3g}), got {rate!r}: gradients that fall faster leave only their memory"
        )
    return _unchecked_throttle(rate, beta1, beta2)


def rate_limit(beta1: float = 0.9, beta2: float = 0.999) -> float:
    """The rate that no step size exceeds: ``log(1/b2) / 2`` if ``b1^2 < b2``, else there is none (inf).

    ``sqrt(v)`` forgets by ``sqrt(b2)`` a step. A loss that falls as fast leaves it behind, and the steps die away. With
    ``b1^2 >= b2`` the mean of gradients lags even more, and long steps go on by themselves.

    Example:
        >>> round(rate_limit() * 1000, 4), rate_limit(0.99, 0.95)
        (0.5003, inf)
    """
    check_beta(beta1, "beta1"), check_beta(beta2, "beta2")
    return 0.5 * _memory(beta2) if beta1**2 < beta2 else math.inf


def sign_phase_rates(margin: float, lr: float, beta1: float = 0.9, beta2: float = 0.999) -> tuple[float, ...]:
    """Every r at which Adam's sign phase can run: all roots of ``r = margin * lr * throttle(r)``, the smallest first.

    With ``b1 <= b2`` there is exactly one, with ``b1^2 < b2 < b1`` one or three: which of them a run settles on depends on the
    rate it comes with, and the middle one repels. With ``b1^2 >= b2`` there are two or none.

    Args:
        margin: the largest margin in linf, ``hard_margin(X, y, norm="linf").margin``. lr: step size. beta1, beta2: in [0, 1).

    Returns:
        Rates per step, each below :func:`rate_limit`; an empty tuple where no rate is consistent.

    Raises:
        ValueError: margin or lr not above 0, betas outside [0, 1).

    Example:
        >>> [round(r, 4) for r in sign_phase_rates(margin=1.0, lr=0.025, beta1=0.9, beta2=0.811)]
        [0.0294, 0.0993, 0.1047]
    """
    positive(margin, "margin"), positive(lr, "lr")
    check_beta(beta1, "beta1"), check_beta(beta2, "beta2")
    speed, limit = margin * lr, min(_memory(beta1), 0.5 * _memory(beta2))
    if math.isinf(limit):  # no memory: every step has length lr
        return (speed,)
    end = -limit if beta1**2 < beta2 else math.inf  # the throttle is 0 at the limit, or it has its pole there

    def excess(r: float) -> float:
        return speed * _unchecked_throttle(r, beta1, beta2) - r if r < limit else end

    # between the turning points of r / throttle(r) there is at most one root
    edges = [0.0, *_turning_points(limit, beta1, beta2), limit]
    roots = []
    for low, high in itertools.pairwise(edges):
        if excess(low) * excess(high) < 0:
            top = high if math.isfinite(excess(high)) else _below_pole(excess, low, high)
            roots.append(_root(excess, low, top))
        elif high < limit and excess(high) == 0:
            roots.append(high)
    return tuple(roots)


def sign_phase_rate(margin: float, lr: float, beta1: float = 0.9, beta2: float = 0.999) -> float:
    """The r with ``L ~ e^(-r t)`` in Adam's sign phase: the smallest of :func:`sign_phase_rates`.

    It is the only one if ``b1 <= b2``. Otherwise a run that starts from a loss at rest comes to it, if it is below
    ``log(b1 / b2)``: its rates only rise, and cannot pass a root (proved in chapter 11).

    Args:
        margin, lr, beta1, beta2: as in :func:`sign_phase_rates`.

    Returns:
        r per step, always below :func:`rate_limit`; inf where no rate is consistent: with ``b1^2 > b2`` the rate of
        a run from rest then grows beyond all bounds.

    Raises:
        ValueError: margin or lr not above 0, betas outside [0, 1).

    Example:
        >>> r = sign_phase_rate(margin=0.1, lr=1e-2)
        >>> bool(abs(r - 0.1 * 1e-2 * throttle(r)) < 1e-15), bool(r < rate_limit())
        (True, True)
        >>> sign_phase_rate(margin=1.0, lr=0.5, beta1=0.99, beta2=0.95)
        inf
    """
    return min(sign_phase_rates(margin, lr, beta1, beta2), default=math.inf)


def handover_loss(pull: Any, lr: float, eps: float, beta1: float = 0.9, beta2: float = 0.999) -> float:
    """``log L`` at which ``eps`` halves the rate of the sign phase: where ``sqrt(v)`` is about ``eps``.

    In the sign phase ``sqrt(v_j) = L |pull_j| k`` with ``k = sqrt((1 - b2) / (1 - b2 e^(2r)))``, and ``eps`` leaves coordinate j
    the share ``1 / (1 + eps / sqrt(v_j))`` of its speed.

    Args:
        pull: ``[d]``, the gradient of ``log L`` in the sign phase: ``Z^T p`` with the certificate's weights p, which are
            ``hard_margin(X, y, norm="linf").dual``. eps: > 0; it is compared with the gradient of L as trained (mean or sum).
        lr, beta1, beta2: as in :func:`sign_phase_rate`.

    Returns:
        The natural logarithm of the loss.

    Raises:
        ValueError: values out of range, a pull of zeros, a sign phase without a rate.

    Example:
        >>> round(handover_loss([0.5], lr=1e-5, eps=1e-6) / math.log(1e-6 / 0.5), 3)
        1.0
    """
    size = _sizes(pull)
    rate = _finite_rate(size, lr, eps, beta1, beta2)
    ratio = eps * _lag(rate, beta2) / size  # eps / sqrt(v_j) at L = 1
    # between where the largest coordinate and where the smallest is at half speed
    low, high = math.log(ratio.min()) - 1e-9, math.log(ratio.max()) + 1e-9
    return _root(
        lambda log_loss: (size / (1 + ratio * math.exp(-log_loss))).sum() - 0.5 * size.sum(), low, high
    )


def handover_time(
    pull: Any, lr: float, eps: float, beta1: float = 0.9, beta2: float = 0.999, log_loss: float = 0.0
) -> float:
    """The number of steps from ``log_loss`` down to :func:`handover_loss`; 0 if that lies behind.

    At every loss the rate is that of the sign phase with every coordinate slowed down by ``eps``; its inverse is integrated over
    ``log L``. Arguments as in :func:`handover_loss`. The phase needs some steps to set in: a prediction from a loss that was
    measured in it is closer than one from the start.

    Example:
        >>> t = handover_time([1.0], lr=1e-6, eps=1e-8)  # log(1/eps) / lr, and 1 / lr more while eps slows it down
        >>> round(t * 1e-6 - math.log(1e8), 1)
        1.0
    """
    size = _sizes(pull)
    rate = _finite_rate(size, lr, eps, beta1, beta2)
    end = handover_loss(size, lr, eps, beta1, beta2)
    if log_loss <= end:
        return 0.0

    def slowness(level: float) -> float:
        def excess(r: float) -> float:
            left = (size / (1 + eps * math.exp(-level) * _lag(r, beta2) / size)).sum()
            return lr * left * _unchecked_throttle(r, beta1, beta2) - r

        return 1 / _root(excess, 0.0, rate * (1 + 1e-9))

    nodes, weights = np.polynomial.legendre.leggauss(60)
    half = 0.5 * (log_loss - end)
    return half * float(sum(w * slowness(end + half * (x + 1)) for x, w in zip(nodes, weights, strict=True)))


def _unchecked_throttle(rate: float, beta1: float, beta2: float) -> float:
    return (1 - beta1) / (1 - beta1 * math.exp(rate)) * _lag(rate, beta2)


def _lag(rate: float, beta2: float) -> float:
    """``|g| / sqrt(v)`` in the sign phase."""
    return math.sqrt(max(1 - beta2 * math.exp(2 * rate), 0.0) / (1 - beta2))


def _turning_points(limit: float, beta1: float, beta2: float) -> list[float]:
    """Where ``r / throttle(r)`` turns, in ``(0, limit)``: zeros of ``1/r - a/(1-a) + b/(1-b)``, ``a = b1 e^r``, ``b = b2 e^2r``.

    With ``b1 <= b2`` there are none, since then ``a <= b``.
    """
    if beta1 <= beta2:
        return []

    def slope(r: float) -> float:
        a, b = beta1 * math.exp(r), beta2 * math.exp(2 * r)
        return 1 / r - a / (1 - a) + b / (1 - b)

    inner = np.geomspace(1e-9, 0.5, 1000)  # the grid is fine at both ends
    rates = limit * np.concatenate([inner, 1 - inner[-2::-1]])
    slopes = [slope(r) for r in rates]
    return [
        _root(slope, low, high)
        for (low, before), (high, after) in itertools.pairwise(zip(rates, slopes, strict=True))
        if before * after < 0
    ]


def _below_pole(excess: Callable[[float], float], low: float, pole: float) -> float:
    """A rate between ``low`` and the pole at which the excess is above 0."""
    gap = 0.5 * (pole - low)
    while excess(pole - gap) <= 0:
        gap *= 0.5
    return pole - gap


def _memory(beta: float) -> float:
    """The fastest rate that a running mean can follow."""
    return math.log(1 / beta) if beta > 0 else math.inf


def _root(f: Callable[[float], float], low: float, high: float) -> float:
    from scipy.optimize import brentq

    return float(brentq(f, low, high, xtol=1e-18, rtol=1e-14))


def _sizes(pull: Any) -> np.ndarray:
    size: np.ndarray = finite(as_tensor(pull, "pull"), "pull").abs().double().cpu().numpy()
    if size.ndim != 1 or not size.any():
        raise ValueError(f"pull must be a vector that is not zero, got shape {size.shape}")
    # what is 0 in the certificate but for rounding would count as coordinates that eps stops first
    return size[size > 1e-9 * size.max()]


def _finite_rate(size: np.ndarray, lr: float, eps: float, beta1: float, beta2: float) -> float:
    positive(eps, "eps")
    rate = sign_phase_rate(float(size.sum()), lr, beta1, beta2)
    if math.isinf(rate):
        raise ValueError(
            f"the sign phase has no rate at lr={lr}, beta1={beta1}, beta2={beta2}: steps and loss run away; "
            "use a smaller lr, or beta1^2 < beta2"
        )
    return rate
