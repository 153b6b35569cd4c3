"""Textbook trajectories in NumPy float64, written apart from margin_lab: what every optimizer must match step by step.

All on linear models with signed rows ``Z = y_i x_i [n, d]`` and the mean loss; a trajectory is ``[steps + 1, d]``, its
first row the start. Norms are plain formulas without any scaling: the tests' data is well scaled.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Array = np.ndarray


def loss_and_gradient(Z: Array, w: Array, loss: str = "exponential") -> tuple[float, Array]:
    """The mean loss and its gradient, straight from the definition."""
    q = Z @ w
    if loss == "exponential":
        each, slope = np.exp(-q), -np.exp(-q)
    else:
        each, slope = np.log1p(np.exp(-q)), -1 / (1 + np.exp(q))
    return each.mean(), slope @ Z / len(Z)


def _iterate(step: Callable[[Array], Array], w0: Array, steps: int) -> Array:
    path = [np.array(w0, dtype=float)]
    for _ in range(steps):
        path.append(step(path[-1]))
    return np.array(path)


def gd(Z: Array, lr: float | Array, steps: int, w0: Array, loss: str = "exponential") -> Array:
    """``w - lr grad L``."""
    return _iterate(lambda w: w - lr * loss_and_gradient(Z, w, loss)[1], w0, steps)


def ngd(Z: Array, lr: float | Array, steps: int, w0: Array, loss: str = "exponential") -> Array:
    """``w - lr grad L / L``."""

    def step(w: Array) -> Array:
        value, grad = loss_and_gradient(Z, w, loss)
        return w - lr * grad / value

    return _iterate(step, w0, steps)


def ngd_gradient(Z: Array, lr: float | Array, steps: int, w0: Array, loss: str = "exponential") -> Array:
    """``w - lr grad L / ||grad L||_2``."""

    def step(w: Array) -> Array:
        grad = loss_and_gradient(Z, w, loss)[1]
        return w - lr * grad / np.sqrt((grad**2).sum())

    return _iterate(step, w0, steps)


def loss_based(
    Z: Array,
    lr: float,
    steps: int,
    w0: Array,
    loss: str = "exponential",
    up: float = 2**0.2,
    down: float = 2**0.1,
) -> Array:
    """Lyu & Li's rule, full batch, one gradient evaluation a step; the path holds the trials, kept or not."""
    path, kept, factor = [np.array(w0, dtype=float)], None, 1.0
    for _ in range(steps):
        value, grad = loss_and_gradient(Z, path[-1], loss)
        if kept is None:
            kept = path[-1], value, grad / value
        elif value <= kept[1]:
            kept, factor = (path[-1], value, grad / value), factor * up
        else:
            factor /= down
        path.append(kept[0] - lr * factor * kept[2])
    return np.array(path)


def prgd(
    Z: Array,
    lr: float | Array,
    steps: int,
    w0: Array,
    loss: str = "exponential",
    radius: Callable[[int, float, Array], float] = lambda k, R0, w: R0 * 1.2**k,
    period: Callable[[int], int] = lambda k: 5,
) -> Array:
    """Algorithm 1 of the PRGD paper: ``T_0 = 0``, ``T_{k+1} = T_k + period(k)``."""
    path = [np.array(w0, dtype=float)]
    R0 = np.sqrt((path[0] ** 2).sum())
    t, k = 0, 0
    while True:
        T_next = t + period(k)
        R = radius(k, R0, path[-1])
        for t in range(t, T_next):
            if t == steps:
                return np.array(path)
            w = path[-1]
            if t == T_next - period(k):
                path.append(R * w / np.sqrt((w**2).sum()))
                continue
            value, grad = loss_and_gradient(Z, w, loss)
            v = w - lr * grad / value
            length = np.sqrt((v**2).sum())
            path.append(v if length <= R else R * v / length)
        t, k = T_next, k + 1


def oracle_radius(w_star: Array, D: float) -> Callable[[int, float, Array], float]:
    """``R_k = D ||w|| / ||P_perp w||`` of Theorem 6.2's proof."""

    def radius(k: int, R0: float, w: Array) -> float:
        across = w - (w @ w_star) * w_star
        return D * np.sqrt((w**2).sum() / (across**2).sum())

    return radius


def momentum(
    Z: Array, lr: float | Array, steps: int, w0: Array, loss: str = "exponential", beta: float = 0.9
) -> Array:
    """Heavy ball: ``w_{t+1} = w_t - lr grad L(w_t) + beta (w_t - w_{t-1})``."""
    path = [np.array(w0, dtype=float)] * 2
    for _ in range(steps):
        path.append(path[-1] - lr * loss_and_gradient(Z, path[-1], loss)[1] + beta * (path[-1] - path[-2]))
    return np.array(path[1:])


def nacson(Z: Array, lr: float | Array, steps: int, w0: Array, loss: str = "exponential") -> Array:
    """``w - lr / sqrt(t + 1) grad L / ||grad L||_2``."""
    path = [np.array(w0, dtype=float)]
    for t in range(steps):
        grad = loss_and_gradient(Z, path[-1], loss)[1]
        path.append(path[-1] - lr / np.sqrt(t + 1) * grad / np.sqrt((grad**2).sum()))
    return np.array(path)


def dual(Z: Array, lr: float | Array, steps: int, w0: Array, loss: str = "exponential") -> Array:
    """Accelerated mirror descent on the dual, as the proof writes it rather than as the optimizer computes it.

    ``nu_t = (1 - l_t) mu_t + l_t q_t``, ``w_{t+1} = w_t + (lr / l_t) Z^T nu_t``, ``q = softmax(-Z w)``,
    ``mu_{t+1} = (1 - l_t) mu_t + l_t q_{t+1}``, ``l_t = 2 / (t + 2)``.
    """

    def weights(w: Array) -> Array:
        # grad L / L = -Z^T q for the exponential loss; q need not sum to 1 for others
        q = Z @ w
        return (
            np.exp(-q) / np.exp(-q).sum()
            if loss == "exponential"
            else (1 / (1 + np.exp(q))) / np.log1p(np.exp(-q)).sum()
        )

    path = [np.array(w0, dtype=float)]
    q = mu = weights(path[0])
    for t in range(steps):
        share = 2 / (t + 2)
        nu = (1 - share) * mu + share * q
        path.append(path[-1] + lr / share * (Z.T @ nu))
        q = weights(path[-1])
        mu = (1 - share) * mu + share * q
    return np.array(path)


def sign(Z: Array, lr: float | Array, steps: int, w0: Array, loss: str = "exponential") -> Array:
    """``w - lr sign(grad L)``: unit steps in l_inf."""
    return _iterate(lambda w: w - lr * np.sign(loss_and_gradient(Z, w, loss)[1]), w0, steps)


def coordinate(Z: Array, lr: float | Array, steps: int, w0: Array, loss: str = "exponential") -> Array:
    """A step of length lr along the coordinate with the largest partial derivative: unit steps in l_1."""

    def step(w: Array) -> Array:
        grad = loss_and_gradient(Z, w, loss)[1]
        j = max(range(len(grad)), key=lambda i: abs(grad[i]))
        new = w.copy()
        new[j] -= (lr if np.isscalar(lr) else lr[j]) * np.sign(grad[j])
        return new

    return _iterate(step, w0, steps)


def steepest_sign(Z: Array, lr: float | Array, steps: int, w0: Array, loss: str = "exponential") -> Array:
    """``w - lr ||grad L||_1 sign(grad L)``."""

    def step(w: Array) -> Array:
        grad = loss_and_gradient(Z, w, loss)[1]
        return w - lr * np.abs(grad).sum() * np.sign(grad)

    return _iterate(step, w0, steps)


def steepest_coordinate(
    Z: Array, lr: float | Array, steps: int, w0: Array, loss: str = "exponential"
) -> Array:
    """``w - lr (grad L)_j e_j``, ``j = argmax |grad L|``."""

    def step(w: Array) -> Array:
        grad = loss_and_gradient(Z, w, loss)[1]
        return w - lr * np.where(np.abs(grad) == np.abs(grad).max(), grad, 0.0)

    return _iterate(step, w0, steps)


def steepest_p(p: float) -> Callable[..., Array]:
    """``w - lr ||g||_q^(2-q) sign(g) |g|^(q-1)``, ``g = grad L``, ``1/p + 1/q = 1``."""
    q = p / (p - 1)

    def path(Z: Array, lr: float | Array, steps: int, w0: Array, loss: str = "exponential") -> Array:
        def step(w: Array) -> Array:
            g = loss_and_gradient(Z, w, loss)[1]
            dual = (np.abs(g) ** q).sum() ** (1 / q)
            return w - lr * dual ** (2 - q) * np.sign(g) * np.abs(g) ** (q - 1)

        return _iterate(step, w0, steps)

    return path


def steepest_log(
    Z: Array, lr: float | Array, steps: int, w0: Array, loss: str = "exponential", longest: float = np.inf
) -> Array:
    """Sign descent on log L with steps of at most ``longest``: ``w - min(lr ||g||_1, longest) sign(g)``, ``g = grad L / L``."""

    def step(w: Array) -> Array:
        value, grad = loss_and_gradient(Z, w, loss)
        g = grad / value
        return w - np.minimum(lr * np.abs(g).sum(), longest) * np.sign(g)

    return _iterate(step, w0, steps)


def coordinate_averaged(
    Z: Array, lr: float | Array, steps: int, w0: Array, loss: str = "exponential", weight: float = 0.95
) -> Array:
    """A step of length lr along the largest entry of the running mean of ``grad L / L``."""
    path, mean = [np.array(w0, dtype=float)], None
    for _ in range(steps):
        value, grad = loss_and_gradient(Z, path[-1], loss)
        mean = grad / value if mean is None else weight * mean + (1 - weight) * grad / value
        unit = np.zeros_like(mean)
        j = int(np.argmax(np.abs(mean)))
        unit[j] = np.sign(mean[j])
        path.append(path[-1] - lr * unit)
    return np.array(path)


def adam(
    Z: Array,
    lr: float | Array,
    steps: int,
    w0: Array,
    loss: str = "exponential",
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
) -> Array:
    """Kingma and Ba's Algorithm 1 on L itself."""
    path = [np.array(w0, dtype=float)]
    m = v = np.zeros_like(path[0])
    for t in range(1, steps + 1):
        g = loss_and_gradient(Z, path[-1], loss)[1]
        m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g**2
        path.append(path[-1] - lr * (m / (1 - beta1**t)) / (np.sqrt(v / (1 - beta2**t)) + eps))
    return np.array(path)


def spectral(Z: Array, lr: float, steps: int, W0: Array) -> Array:
    """Matrix weights ``W [a, b]`` with margins ``<Z_i, W>``, ``Z [n, a, b]``: ``W - lr U V^T`` of ``grad L = U S V^T``.

    The polar factor comes from eigenvectors of ``G^T G``, not from an SVD routine.
    """

    def step(W: Array) -> Array:
        q = np.einsum("nab,ab->n", Z, W)
        G = -np.einsum("n,nab->ab", np.exp(-q), Z)
        values, V = np.linalg.eigh(G.T @ G)
        return W - lr * G @ (V / np.sqrt(values)) @ V.T

    return _iterate(step, W0, steps)


def margin(Z: Array, w: Array) -> float:
    """l2 margin, 0 at 0."""
    length = np.sqrt((w**2).sum())
    return float((Z @ w).min() / length) if length else 0.0
