"""Max margin with a certificate and nothing to tune: from PRGD's radius to implicit normalised descent.

All forms use two products, ``Z w`` and ``Z^T q``, and one certificate: for every ``w`` and every ``q`` in the simplex

    ``min_i <z_i, w> / ||w||  <=  gamma*  <=  ||Z^T q||_dual``.

"radius" and "increment" let PRGD's radius grow by what the certificate says; "kl" and "newton" are proximal points on the dual,

    ``w_k = argmin_w log sum_i p_i exp(-<z_i, w>)``  near 0,    then   ``p <- softmax(log p - Z w_k)``,

so that ``W <- W + w_k`` is normalised descent with the gradient ``g`` taken at the **new** point (implicit). Near means
``||w|| <= R`` for "kl" (``w_k = R g/||g||``: gradient-normalised), and a penalty ``||w||^2 / (2 sigma)`` for "newton"
(``w_k = sigma g``: loss-normalised). The direction is read off the increment ``w_k``, not off ``W``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from margin_lab.checks import choice, norm_name
from margin_lab.hard_margins import NotSeparableError, hard_margin
from margin_lab.norms import Norm, get_norm
from margin_lab.optim.inner import Point, accelerated, newton
from margin_lab.optim.search import Search

FORMS = ("auto", "newton", "kl", "increment", "radius")

# "kl" doubles its radius up to this many 1/max||z||: beyond it, F has no curvature left that an accelerated gradient
# method could use. "newton" has no such cap: letting the measured gap govern the radius here made most data sets slower.
_CAP = 1000.0
# "newton": first sigma in units of 1/||g||, and its growth where one step does not make the gap this much smaller.
_START, _GROWTH = 30.0, 4.0
# Rounding of the margins at w = sigma g is all there is to see beyond this sigma.
_LONGEST = 1e15
# Inner accuracy of "increment", in the units of F.
_INCREMENT_TOL = 1e-3


def certified_search(
    Z: Tensor,
    budget: float,
    *,
    tol: float = 1e-12,
    form: str = "auto",
    norm: str | float | Norm = "l2",
    record: Sequence[int] = (),
) -> Search:
    """Look for the max-margin direction of ``Z [n, d]`` (float64 signed rows) until the certified relative gap is ``tol``.

    Args:
        budget: pairs of products allowed. tol: relative gap wanted.
        form: "newton" (l2 only), "kl", "increment" or "radius"; "auto" is "newton" in l2 and "kl" elsewhere.
        norm: "l1", "l2" or "linf". record: increasing counts at which to keep the bounds.

    Returns:
        The finished :class:`Search`; ``status`` is "certified", "limit", "rounding floor" or "not separable". The last only where
        ``hard_margin`` proves it, with the weights of its proof; bounds that are 0 to rounding prove nothing.

    Raises:
        ValueError: unknown form, or "newton" outside l2.
    """
    norm = get_norm(norm_name(norm))
    choice(form, "form", FORMS)
    if norm.name not in ("l1", "l2", "linf"):
        raise ValueError(
            f"norm must be 'l1', 'l2' or 'linf' for a certified run, got {norm.name!r}: it needs a projection"
        )
    if form == "auto":
        form = "newton" if norm.name == "l2" else "kl"
    if form == "newton" and norm.name != "l2":
        raise ValueError(f"form 'newton' works in l2 only, got norm {norm.name!r}; use 'kl'")
    search = Search(Z, norm, budget, tol, record)
    {"newton": _newton, "kl": _kl, "increment": _increments, "radius": _radius}[form](search)
    if search.status == "not separable":
        _prove(search, Z)
    return search.close()


def _prove(search: Search, Z: Tensor) -> None:
    """Keep the verdict "not separable" with its proof, or take it back."""
    try:
        hard_margin(Z, torch.ones_like(Z[:, 0]), search.norm.name)
    except NotSeparableError as error:
        search.refute(error.certificate)
    else:
        search.status = "rounding floor"


def _uniform(search: Search) -> Tensor:
    return torch.full_like(search.q, -math.log(len(search.q)))


def _newton(search: Search) -> None:
    """Implicit loss-normalised descent; its step sigma grows only where the certified gap falls too slowly."""
    log_p, w = _uniform(search), torch.zeros_like(search.w)
    sigma = _START / max(float(search.norm(search.transposed(search.q))), 1e-8)
    while not search.done:
        before = search.width
        point = newton(search, log_p, w, sigma)
        log_p, w = point.log_q, point.w
        if search.stalled():
            return
        if not search.width < before / _GROWTH and sigma < _LONGEST:
            sigma, w = _GROWTH * sigma, _GROWTH * w


def _kl(search: Search) -> None:
    """Implicit gradient-normalised descent, in any of the three norms; inner error at most half the step (in KL)."""
    log_p, w = _uniform(search), torch.zeros_like(search.w)
    radius, step = 1.0, 1.0
    while not search.done:

        def solved(point: Point, radius: float = radius) -> bool:
            return _frank_wolfe_gap(search, point, radius) <= point.divergence / 2

        point, step = accelerated(search, log_p, w, radius, step, solved)
        log_p, w = point.log_q, point.w
        if search.stalled():
            return
        if radius < _CAP:
            radius, w = 2 * radius, 2 * w


def _increments(search: Search) -> None:
    """The path ``w(R)`` to a fixed accuracy, ``R`` doubling; the direction is ``w(2R) - w(R)``, which drops the bias ``rho``."""
    log_p, w, last = _uniform(search), torch.zeros_like(search.w), torch.zeros_like(search.w)
    radius, step = 1.0, 1.0
    while not search.done:

        def solved(point: Point, radius: float = radius) -> bool:
            return _frank_wolfe_gap(search, point, radius) <= _INCREMENT_TOL

        point, step = accelerated(search, log_p, w, radius, step, solved)
        search.product(point.w - last)
        last, radius, w = point.w, 2 * radius, 2 * point.w


def _radius(search: Search) -> None:
    """PRGD with a certified radius: stay until the measured gap is at most ``log(n) / R``, then double ``R``."""
    log_p, w = _uniform(search), torch.zeros_like(search.w)
    radius, step = 1.0, 1.0
    while not search.done:

        def solved(point: Point, radius: float = radius) -> bool:
            margin = float(point.m.min() / search.norm(point.w))
            return float(search.norm.dual(point.g)) - margin <= -float(log_p[0]) / radius

        point, step = accelerated(search, log_p, w, radius, step, solved)
        radius, w = 2 * radius, 2 * point.w


def _frank_wolfe_gap(search: Search, point: Point, radius: float) -> float:
    """Duality gap of the ball problem at a point inside: ``R ||g||_dual - <g, w>``."""
    return radius * float(search.norm.dual(point.g)) - float(point.g @ point.w)
