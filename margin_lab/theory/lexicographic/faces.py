"""Faces of the l1 and linf balls, and the coordinates in which a face's loss can be seen level by level."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from margin_lab.theory.lexicographic.levels import DUST
from margin_lab.theory.lexicographic.newton import graded_minimum
from margin_lab.theory.lexicographic.ruler import LexicographicMargin


@dataclass(frozen=True)
class Face:
    """A face of the ball of radius rho, by its signs.

    l1: ``signs[j]`` is the sign of ``w_j`` on the face, 0 where ``w_j = 0``. linf: ``w_j = signs[j] rho``; 0 where w_j is free.
    """

    norm: str
    signs: np.ndarray

    @property
    def moving(self) -> np.ndarray:
        """Columns in which the face extends ``[d]``."""
        moving: np.ndarray = self.signs != 0 if self.norm == "l1" else self.signs == 0
        return moving

    def basis(self) -> np.ndarray:
        """Directions along the face ``[d, m]``; in l1 each takes from one coordinate what it gives to another."""
        E = np.eye(len(self.signs))
        columns = np.flatnonzero(self.moving)
        if self.norm == "linf":
            return E[:, columns]
        r, rest = columns[0], columns[1:]
        return E[:, rest] - np.outer(E[r], self.signs[r] * self.signs[rest])

    def with_sign(self, j: int, sign: float) -> Face:
        """The face with another sign at column j."""
        signs = self.signs.copy()
        signs[j] = sign
        return Face(self.norm, signs)

    def room(self, w: np.ndarray, rho: float) -> np.ndarray:
        """Distance of each moving column from where the face ends."""
        T = self.moving
        return self.signs[T] * w[T] if self.norm == "l1" else rho - np.abs(w[T])

    def reach(self, w: np.ndarray, step: np.ndarray, rho: float) -> np.ndarray:
        """The multiple of ``step`` at which each column meets the face's end, inf where it never does ``[d]``."""
        toward = self.signs * step < 0 if self.norm == "l1" else self.moving & (step != 0)
        ahead = np.abs(w) if self.norm == "l1" else rho - np.sign(step) * w
        return np.where(toward, ahead / np.where(toward, np.abs(step), 1.0), np.inf)

    def departures(self) -> list[tuple[int, float, np.ndarray]]:
        """Directions off the face that stay in the ball: ``(column, its sign on the new face, direction [d])``."""
        E, found = np.eye(len(self.signs)), []
        for j in np.flatnonzero(~self.moving):
            if self.norm == "linf":
                found.append((int(j), 0.0, -self.signs[j] * E[j]))
            else:
                r = int(np.flatnonzero(self.moving)[0])
                found += [(int(j), s, s * E[j] - self.signs[r] * E[r]) for s in (1.0, -1.0)]
        return found


class LastFace:
    """The face on which the constrained path ends, in coordinates made for large rho.

    ``w = rho u + B a`` with u the lexicographic solution. The directions along the face are split into blocks: B_1 moves the
    samples of the first level, B_2 those of the second but none of the first, and so on. What a block does not move it
    multiplies by an exact 0, so that light samples are not drowned in the rounding errors of heavy ones: "subtract the first
    level analytically".

    Args:
        Z: ``[n, d]``. solution: its lexicographic solution in l1 or linf.
    """

    def __init__(self, Z: np.ndarray, solution: LexicographicMargin):
        self.Z, self.u = Z, solution.w
        self.size = float(np.abs(Z).max())
        self.levels = [level.samples for level in solution.levels]
        self.margins = Z @ self.u
        for level in solution.levels:
            self.margins[level.samples] = level.margin
        if solution.norm == "l1":
            signs = np.where(np.abs(self.u) > DUST, np.sign(self.u), 0.0)
        else:
            signs = np.where(np.abs(self.u) > 1 - DUST, np.sign(self.u), 0.0)
        self.face = Face(solution.norm, signs)
        self._exits: dict[bytes, list[tuple[int, float, np.ndarray]]] = {}
        self._blocks: dict[bytes, tuple[np.ndarray, np.ndarray, list[np.ndarray]]] = {}

    def solve(self, rho: float) -> tuple[Face, np.ndarray, np.ndarray] | None:
        """The minimiser at ``rho``, its face and its margins, if they can be reached from the last face; optimal level by level.

        None where w has to leave a bound that u keeps its distance from: rho is not yet large.
        """
        face = self.face
        for _ in range(2 * len(self.u) + 5):
            B, C, blocks = self._coordinates(face)
            a, change = graded_minimum(C, rho * self.margins, np.zeros(B.shape[1]), blocks)
            w = rho * self.u + B @ a
            if not (np.isfinite(w).all() and change < 1e-9):
                return None
            room = np.full(len(w), np.inf)
            room[face.moving] = face.room(w, rho)
            j = int(np.argmin(room))
            if room[j] < 0:
                at_end = self.u[j] == 0 if face.norm == "l1" else abs(self.u[j]) == 1
                if not at_end:
                    return None
                face = face.with_sign(j, 0.0 if face.norm == "l1" else np.sign(self.u[j]))
                continue
            q = rho * self.margins + C @ a
            better = self._departure(face, q, C, blocks)
            if better is None:
                return face, w, q
            face = face.with_sign(*better)
        return None

    def _coordinates(self, face: Face) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
        """``B [d, m]``, ``C = ZB [n, m]`` with its exact zeros, and the columns of each level's block."""
        key = face.signs.tobytes()
        if key not in self._blocks:
            rest, columns, parts, sizes = face.basis(), [], [], []
            frozen = np.zeros(len(self.Z), bool)
            for samples in [
                *self.levels,
                np.flatnonzero(~np.isin(np.arange(len(self.Z)), np.concatenate(self.levels))),
            ]:
                if rest.shape[1] == 0 or len(samples) == 0:
                    continue
                _, s, Vt = np.linalg.svd(self.Z[samples] @ rest)
                rank = int((s > DUST * self.size).sum())
                part = self.Z @ rest @ Vt[:rank].T
                part[frozen] = 0.0
                part[np.abs(part) < 1e-13 * self.size] = 0.0
                columns.append(rest @ Vt[:rank].T)
                parts.append(part)
                sizes.append(rank)
                rest = rest @ Vt[rank:].T
                frozen[samples] = True
            empty = np.zeros((len(self.u), 0)), np.zeros((len(self.Z), 0))
            blocks = np.split(np.arange(sum(sizes)), np.cumsum(sizes)[:-1]) if sizes else []
            self._blocks[key] = (np.hstack([empty[0], *columns]), np.hstack([empty[1], *parts]), blocks)
        return self._blocks[key]

    def _departure(
        self, face: Face, q: np.ndarray, C: np.ndarray, blocks: list[np.ndarray]
    ) -> tuple[int, float] | None:
        """A direction off the face along which the loss falls, as ``(column, sign)``: the optimality test, level by level."""
        key = face.signs.tobytes()
        if key not in self._exits:
            self._exits[key] = [(j, sign, self._seen(d, C, blocks)) for j, sign, d in face.departures()]
        for j, sign, seen in self._exits[key]:
            moved = np.abs(seen) > DUST * self.size
            if not moved.any():
                continue
            weights = np.exp(np.minimum(q[moved].min() - q, 0.0)) * moved
            if float(weights @ seen) > DUST * self.size:
                return j, sign
        return None

    def _seen(self, direction: np.ndarray, C: np.ndarray, blocks: list[np.ndarray]) -> np.ndarray:
        """How a departure moves the samples, after moves along the face have undone what they can, level by level.

        At a minimum along the face these moves do not change the loss to first order, so that they change no sign; and what is
        undone exactly is an exact 0 in the sum.
        """
        seen = self.Z @ direction
        frozen = np.zeros(len(self.Z), bool)
        for samples, block in zip(self.levels, blocks, strict=False):
            part = C[np.ix_(samples, block)]
            trial = seen + C[:, block] @ np.linalg.lstsq(part, -seen[samples], rcond=None)[0]
            if np.abs(trial[samples]).max() > DUST * self.size:
                break
            seen, frozen[samples] = trial, True
            seen[frozen] = 0.0
        return seen
