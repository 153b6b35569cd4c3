"""Hard margins of matrix parameters: linear multiclass models and matrix samples, in norms of entries and of singular values."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from margin_lab.checks import as_tensor, choice, finite, norm_name, positive, restore_like, signed_labels
from margin_lab.hard_margins.binary import hard_margin
from margin_lab.hard_margins.labels import class_indices
from margin_lab.hard_margins.semidefinite import DUST, newton, semidefinite_program
from margin_lab.hard_margins.solution import EPS, Bounds, HardMargin, NotSeparableError, unit_rows

# Norms of the entries, as of one long vector, under the names that matrices have for them.
ENTRIES = {"l1": "l1", "l2": "l2", "linf": "linf", "frobenius": "l2", "max": "linf"}
SINGULAR = ("spectral", "nuclear")
# What torch calls the norm, and its dual.
_ORDER: dict[str, Any] = {"spectral": 2, "nuclear": "nuc"}
_DUAL_ORDER: dict[str, Any] = {"spectral": "nuc", "nuclear": 2}


def hard_margin_multiclass(
    X: Any, y: Any, norm: str | float = "l2", tol: float = 1e-10, classes: Any = None
) -> HardMargin:
    """Return the max-margin weights of a linear multiclass model ``f(x) = W x``, with bounds that prove it.

    Solves ``gamma* = max_{||W|| <= 1} min_i min_{j != y_i} <w_{y_i} - w_j, x_i>``, no bias. The certificate is a weight
    ``p_ij >= 0`` for every sample and wrong class, sum 1:

        ``margin(W)  <=  gamma*  <=  ||sum_ij p_ij (e_{y_i} - e_j) x_i^T||_dual = upper_bound``,

    both evaluated here from W and p in float64, whatever the solver believes.

    Args:
        X: ``[n, d]`` array or tensor. y: ``[n]`` labels of any kind: numbers, strings, booleans.
        norm: of ``W [k, d]``: "l2" (or "frobenius"), "l1", "linf" (or "max", the largest entry), "spectral" (largest singular
            value), "nuclear" (their sum). The last two need the package clarabel: ``pip install 'margin-lab[matrix]'``.
        tol: relative gap wanted; below it, ``status`` is "certified".
        classes: the labels in the order of W's rows; by default those of y, sorted. Each needs a sample: the row of a class that
            nobody belongs to would lose by any margin, and is part of the norm.

    Returns:
        ``HardMargin`` with ``w [k, d]``, ``classes [k]``, ``dual [n, k]`` (0 at the right class) and the samples of the support.
        ``sol.predict(X)`` returns labels.

    Raises:
        NotSeparableError: no W classifies every sample; its certificate is ``[n, k]``.
        ValueError: bad data, labels, norm or tol. ImportError: clarabel is missing where it is needed.

    Example:
        >>> import numpy as np
        >>> sol = hard_margin_multiclass(np.eye(3), np.arange(3), norm="linf")
        >>> sol.w.shape, round(sol.margin, 9), sol.status
        ((3, 3), 2.0, 'certified')

    Source: Crammer and Singer, JMLR 2 (2001), for the margin.
    """
    restore = restore_like(X)
    x = as_tensor(X, "X")
    if x.ndim != 2 or x.numel() == 0:
        raise ValueError(f"X must have shape [n, d] with n, d >= 1, got {tuple(x.shape)}")
    finite(x, "X")
    labels, order = class_indices(y, classes, x)
    n, k = len(x), len(order)
    i = torch.arange(n, device=x.device).repeat_interleave(k - 1)
    j = (labels[:, None] + torch.arange(1, k, device=x.device)).remainder(k).flatten()
    differences = torch.eye(k, dtype=torch.float64, device=x.device)
    A = (differences[labels[i]] - differences[j])[:, :, None] * x.double()[i][:, None, :]

    def spread(p: Tensor) -> Tensor:
        return p.new_zeros(n, k).index_put((i, j), p)

    try:
        sol = _hard_margin(A, norm, tol)
    except NotSeparableError as error:
        raise NotSeparableError(
            restore(spread(error.certificate)), error.residual, error.norm, "(e_yi - e_j) x_i^T"
        ) from None
    p = spread(sol.dual)
    sol = replace(sol, on_margin=i[sol.on_margin].unique())
    return replace(_restored(sol, p, p.amax(1), x.dtype, restore), classes=order)


def hard_margin_matrix(X: Any, y: Any, norm: str | float = "spectral", tol: float = 1e-10) -> HardMargin:
    """Return the max-margin matrix of binary data whose samples are matrices: ``max_{||W|| <= 1} min_i y_i <X_i, W>``.

    Args:
        X: ``[n, a, b]`` array or tensor. y: ``[n]``, -1 or +1. norm, tol: of ``W [a, b]``, as in
            :func:`hard_margin_multiclass`.

    Returns:
        ``HardMargin`` with ``w [a, b]`` and ``dual [n]``.

    Raises:
        NotSeparableError, ValueError, ImportError: as :func:`hard_margin_multiclass`.

    Example:
        >>> import numpy as np
        >>> sol = hard_margin_matrix(np.array([[[3.0, 0.0], [0.0, 1.0]]]), np.array([1]), norm="frobenius")
        >>> round(sol.margin**2, 6)
        10.0
    """
    restore = restore_like(X)
    x = as_tensor(X, "X")
    if x.ndim != 3 or x.numel() == 0:
        raise ValueError(
            f"X must have shape [n, a, b], one matrix a sample, got {tuple(x.shape)}; for vectors use hard_margin"
        )
    labels = as_tensor(y, "y", device=x.device)
    if labels.shape != x.shape[:1]:
        raise ValueError(
            f"X {tuple(x.shape)} and y {tuple(labels.shape)} do not match; y needs shape [{len(x)}]"
        )
    finite(x, "X")
    signed_labels(labels)
    try:
        sol = _hard_margin(x.double() * labels.double()[:, None, None], norm, tol)
    except NotSeparableError as error:
        raise NotSeparableError(restore(error.certificate), error.residual, error.norm, "y_i X_i") from None
    return _restored(sol, sol.dual, sol.dual, x.dtype, restore)


def _restored(sol: HardMargin, dual: Tensor, weight: Tensor, dtype: torch.dtype, restore: Any) -> HardMargin:
    support = (weight > 1e-10 * weight.max()).nonzero().squeeze(1)
    return replace(
        sol,
        w=restore(sol.w.to(dtype)),
        dual=restore(dual.to(dtype)),
        support=restore(support),
        on_margin=restore(sol.on_margin),
    )


def _hard_margin(A: Tensor, norm: str | float, tol: float) -> HardMargin:
    """``max_{||W|| <= 1} min_c <A_c, W>`` for ``A [m, a, b]`` float64: w ``[a, b]`` and dual ``[m]`` as tensors."""
    norm = str(norm_name(norm))
    choice(norm, "norm", (*ENTRIES, *SINGULAR))
    positive(tol, "tol")
    ones = A.new_ones(len(A))
    if norm in ENTRIES:
        sol = hard_margin(A.flatten(1), ones, ENTRIES[norm], tol)
        return replace(sol, w=sol.w.reshape(A.shape[1:]))
    try:
        # Separability is the same in every norm, and l2 decides it to rounding. Its solution is a first bound.
        sol = hard_margin(A.flatten(1), ones, "l2")
    except NotSeparableError as error:
        rest = torch.linalg.matrix_norm(torch.einsum("c,cab->ab", error.certificate, A), _DUAL_ORDER[norm])
        raise NotSeparableError(error.certificate, rest.item(), norm) from None
    bounds = SingularBounds(A, norm)
    bounds.offer(sol.w, sol.dual)
    if bounds.gap > tol:
        _semidefinite(bounds, tol)
    if bounds.gap <= tol:
        status = "certified"
    elif not bounds.lower > bounds.lower_error:
        status = "undecided"  # that nothing separates was not proved above
    else:
        status = "rounding floor" if bounds.at_floor else "limit"
    return HardMargin(
        w=bounds.w.reshape(A.shape[1:]),
        margin=bounds.lower,
        upper_bound=max(bounds.upper, bounds.lower),
        gap=bounds.gap,
        dual=bounds.p,
        support=bounds.p.nonzero().squeeze(1),
        status=status,
        norm=norm,
        method="clarabel",
        products=None,
        on_margin=bounds.on_margin(),
    )


class SingularBounds(Bounds):
    """:class:`Bounds` in a norm of singular values; the rows of Z are the flattened ``A_c``."""

    def __init__(self, A: Tensor, norm: str):
        super().__init__(A.flatten(1), norm)
        self.A, self.shape = A, A.shape[1:]
        self.columns = torch.linalg.vector_norm(self.Z, torch.inf, dim=0)
        # an SVD is right to a few roundings of the largest singular value, each
        self._svd = 4 * EPS * min(self.shape)

    def offer(self, w: Tensor | None = None, p: Tensor | None = None) -> None:
        """Keep ``w`` (any multiple) and the weights ``p`` (any positive multiples) where they improve a bound."""
        if w is not None and bool(torch.isfinite(w).all()) and bool(w.any()):
            w = w.flatten()
            w = w / w.abs().max()
            w = w / torch.linalg.matrix_norm(w.reshape(self.shape), _ORDER[self.norm])
            margins = self.Z @ w
            lower, safe = torch.stack(
                [margins.min(), (margins - EPS * (self.Z.abs() @ w.abs())).min()]
            ).tolist()
            if lower > self.lower:
                self.m = margins
                self.w, self.lower, self.lower_error = w, lower, lower - safe + self._svd * abs(lower)
        if p is not None and bool(torch.isfinite(p).all()) and bool((p > 0).any()):
            p = p.clamp_min(0) / p.amax()
            p = p / p.sum()
            g, rounding = p @ self.Z, EPS * (p @ self.Z.abs())
            upper = torch.linalg.matrix_norm(g.reshape(self.shape), _DUAL_ORDER[self.norm]).item()
            if upper < self.upper:
                # a nuclear norm is at most the sum of the entries
                self.p, self.upper, self.upper_error = p, upper, rounding.sum().item() + self._svd * upper


def _semidefinite(bounds: SingularBounds, tol: float) -> None:
    """Offer the program's solution, then Newton's, until the gap is below tol or they run out.

    W is restricted to the column space and the row space of all ``A_c`` together: projecting onto them changes no margin and
    increases neither norm.
    """
    A = bounds.A
    left, right = _range(A.transpose(0, 1).flatten(1)), _range(A.permute(2, 0, 1).flatten(1))
    reduced = left.T @ A @ right
    U, c = unit_rows(reduced.flatten(1), 2.0)
    W, lam = semidefinite_program(U.reshape(reduced.shape).cpu().numpy(), c.cpu().numpy(), bounds.norm)
    p = lam * c.cpu().numpy()

    def offer(W: np.ndarray, p: np.ndarray) -> bool:
        bounds.offer(left @ torch.from_numpy(W).to(left) @ right.T, torch.from_numpy(p).to(left))
        return bounds.settled(tol)

    if offer(W, p) or not (np.isfinite(W).all() and W.any() and np.isfinite(p).all() and p.any()):
        return
    scaled = (reduced / reduced.abs().max()).cpu().numpy()
    for dust in DUST:
        try:
            with np.errstate(all="ignore"):  # no pair that is not finite is kept
                if any(offer(*pair) for pair in newton(scaled, W, p, bounds.norm, dust)):
                    return
        except np.linalg.LinAlgError:
            continue  # a singular value decomposition that did not converge: the next guess


def _range(M: Tensor) -> Tensor:
    """An orthonormal basis ``[a, r]`` of the columns of ``M [a, m]``."""
    u, s, _ = torch.linalg.svd(M, full_matrices=False)
    return u[:, s > s[0] * max(M.shape) * EPS]
