"""A small two-layer ReLU network in the plane, trained in many ways at once: what the initialization-scale widget runs.

What ``sweep_network`` computes with ``MLP([2, NEURONS, 1], bias="first")`` and ``method="steepest", rule="relative"``, in a
tenth of the time: the gradient of this one architecture is written out, so that a live slider can afford thousands of steps.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

NEURONS = 48
FALL = 10.0  # a step lowers log L by at most FALL * lr, to first order
NORMS = {"gd": "l2", "coordinate": "l1", "sign": "linf"}
AVERAGE = 0.9  # coordinate descent's running mean of gradients, without which it jams at kinks
_TINY = np.finfo(float).tiny


@cache
def start(seed: int = 0) -> np.ndarray:
    """``theta [4 NEURONS]`` of length 1: input weights ``[NEURONS, 2]``, biases, output weights, in this order.

    Random directions, ``|a_j| = ||(w_j, b_j)||``, and every neuron twice, with both signs of ``a_j``: f is 0 everywhere.
    """
    half = np.random.default_rng(seed).standard_normal((NEURONS // 2, 3))
    inner, size = np.concatenate([half, half]), np.linalg.norm(half, axis=1)
    theta = np.concatenate([inner[:, :2].ravel(), inner[:, 2], size, -size])
    return theta / np.linalg.norm(theta)


def split(theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Input weights with the bias as third column ``[..., NEURONS, 3]``, and output weights ``[..., NEURONS]``."""
    plane, bias, outer = np.split(theta, [2 * NEURONS, 3 * NEURONS], axis=-1)
    return np.concatenate([plane.reshape(*bias.shape, 2), bias[..., None]], axis=-1), outer


@dataclass(frozen=True)
class Trace:
    """Batched runs: ``log_loss``, ``q_min``, ``norms[name]`` ``[B, T]`` at the recorded steps, ``theta [B, P]`` at the end."""

    log_loss: np.ndarray
    q_min: np.ndarray
    norms: dict[str, np.ndarray]
    theta: np.ndarray


def train(
    X: np.ndarray,
    y: np.ndarray,
    algorithm: str,
    lr: Sequence[float],
    scale: Sequence[float],
    record: np.ndarray,
) -> Trace:
    """Steepest descent on the log of the summed exponential loss, row b with ``lr[b]`` from ``scale[b] * start()``.

    ``theta <- theta + length * u`` with u the unit steepest direction in the algorithm's norm and
    ``length = lr min(||theta||, FALL / ||grad log L||_*)``. A row whose numbers leave the finite ones stays where it is.
    """
    theta = start() * np.asarray(scale)[:, None]
    rate, mean, norm = np.asarray(lr)[:, None], None, NORMS[algorithm]
    inputs, rows, wanted = np.column_stack([X, np.ones(len(X))]), np.arange(len(theta)), set(record.tolist())
    recorded: list[tuple[np.ndarray, ...]] = []
    for t in range(int(record[-1]) + 1):
        inner, outer = split(theta)
        before = inner @ inputs.T
        active = np.maximum(before, 0)
        q = y * (outer[:, None] @ active)[:, 0]
        q_min = q.min(1, keepdims=True)
        p = np.exp(q_min - q)
        total = p.sum(1, keepdims=True)
        if t in wanted:
            recorded.append((np.log(total)[:, 0] - q_min[:, 0], q_min[:, 0], *_sizes(theta).values()))
        if t == record[-1]:
            break
        pull = p / total * y
        by_outer = (active @ pull[:, :, None])[:, :, 0]
        by_inner = (((before > 0) * pull[:, None]) @ inputs) * outer[:, :, None]
        g = np.concatenate([by_inner[:, :, :2].reshape(len(theta), -1), by_inner[:, :, 2], by_outer], axis=1)
        if algorithm == "coordinate":
            g = mean = g if mean is None else AVERAGE * mean + (1 - AVERAGE) * g
        dual, unit = _steepest(norm, g, rows)
        length = rate * np.minimum(_sizes(theta)[norm][:, None], FALL / np.maximum(dual, _TINY))
        new = theta + length * unit
        theta = np.where(np.isfinite(new).all(1, keepdims=True), new, theta)
    log_loss, least, *norms = (np.stack(column, axis=1) for column in zip(*recorded, strict=True))
    return Trace(log_loss, least, dict(zip(("l1", "l2", "linf"), norms, strict=True)), theta)


def _steepest(norm: str, g: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``||g||_*`` ``[B, 1]`` and the unit direction of steepest ascent along g."""
    if norm == "l2":
        dual = np.sqrt((g * g).sum(1, keepdims=True))
        return dual, g / np.maximum(dual, _TINY)
    size = np.abs(g)
    if norm == "linf":
        return size.sum(1, keepdims=True), np.sign(g)
    largest = size.argmax(1)
    unit = np.zeros_like(g)
    unit[rows, largest] = np.sign(g[rows, largest])
    return size[rows, largest][:, None], unit


def _sizes(theta: np.ndarray) -> dict[str, np.ndarray]:
    size = np.abs(theta)
    return {"l1": size.sum(1), "l2": np.sqrt((theta * theta).sum(1)), "linf": size.max(1)}


def carriers(theta: np.ndarray, share: float = 0.9) -> np.ndarray:
    """Input weights ``[k, 3]`` of the fewest neurons that hold this share of ``sum_j |a_j| ||(w_j, b_j)||``, heaviest first."""
    inner, outer = split(theta)
    weight = np.abs(outer) * np.linalg.norm(inner, axis=1)
    order = np.argsort(-weight)
    count = int(np.searchsorted(np.cumsum(weight[order]), share * weight.sum())) + 1
    heaviest: np.ndarray = inner[order[: min(count, NEURONS)]]
    return heaviest


def outputs(theta: np.ndarray, points: np.ndarray) -> np.ndarray:
    """``f`` at ``points [..., 2]``."""
    inner, outer = split(theta)
    f: np.ndarray = np.maximum(points @ inner[:, :2].T + inner[:, 2], 0) @ outer
    return f


def ring(inside: int = 7, outside: int = 7, noise: float = 0.1) -> tuple[np.ndarray, np.ndarray]:
    """Seven points of class +1 around the origin, seven of class -1 around them: ``X [14, 2]``, ``y [14]``."""
    turns = (np.arange(inside) / inside * 2 * math.pi + 0.4, np.arange(outside) / outside * 2 * math.pi)
    circles = [r * np.stack([np.cos(a), np.sin(a)], axis=1) for r, a in zip((0.35, 1.0), turns, strict=True)]
    X = np.concatenate(circles)
    X = X + noise * np.random.default_rng(0).standard_normal(X.shape)
    return X, np.repeat([1.0, -1.0], [inside, outside])
