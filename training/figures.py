"""The bodies of ``prompts/dense.yaml`` as stick figures: one colour, one setting and five poses for each.

Pictures are 64 x 64; lengths are in units of the picture's side, angles in degrees from straight down, so that an arm
at 90 stretches out to the side and one at 180 points up.
"""

import colorsys
from collections.abc import Sequence
from enum import StrEnum

import numba
import numpy as np
from numpy.typing import NDArray

from training.creatures import GOLDEN

Floats = NDArray[np.float32]
SIZE = 64
BODIES = 25
"""In the order of the probe's items."""


class Pose(StrEnum):
    """What a prompt asks a body to do."""

    t_pose = "t_pose"
    a_pose = "a_pose"
    arms = "arms"
    expressive = "expressive"
    resting = "resting"


_STANDING = (0.0, -10.0, -10.0, 10.0, 10.0)
"""Lean of the trunk; left thigh and shin, right thigh and shin."""

_EXPRESSIVE_SEED, _ARMS_SEED = 20_251, 20_252


def _floats(values: Sequence[float]) -> Floats:
    return np.array(values, dtype=np.float32)


def angles(body: int, pose: Pose) -> Floats:
    """Nine angles: upper and lower arm, left then right; lean; thigh and shin, left then right.

    The canonical poses and the one at rest are the same for all; a body's expressive pose, and what its arms do
    alone, are its own.
    """
    if pose is Pose.t_pose:
        return _floats([-90, -90, 90, 90, *_STANDING])
    if pose is Pose.a_pose:
        return _floats([-40, -40, 40, 40, *_STANDING])
    if pose is Pose.resting:
        return _floats([-12, -6, 12, 6, *_STANDING])
    rng = np.random.Generator(np.random.Philox([_ARMS_SEED if pose is Pose.arms else _EXPRESSIVE_SEED, body]))
    if pose is Pose.arms:
        upper = np.array([-1.0, 1.0]) * (115 + 55 * rng.random(2))
        lower = upper + np.array([-1.0, 1.0]) * (80 * rng.random(2) - 50)
        return _floats([upper[0], lower[0], upper[1], lower[1], *_STANDING])
    arm = np.array([-1.0, 1.0]) * (100 + 70 * rng.random(2))
    bend = arm + 90 * (rng.random(2) - 0.5)
    lean = (15 + 25 * rng.random()) * (1 if rng.random() < 0.5 else -1)
    thigh = np.array([-1.0, 1.0]) * (25 + 60 * rng.random(2))
    shin = thigh * (0.2 - 0.8 * rng.random(2))
    return _floats([arm[0], bend[0], arm[1], bend[1], lean, thigh[0], shin[0], thigh[1], shin[1]])


def draw_figures(bodies: NDArray[np.int64], poses: list[Pose]) -> Floats:
    """Pictures (items, 64, 64, 3) of each body in its pose."""
    pictures = [_picture(int(body), pose) for body, pose in zip(bodies, poses, strict=True)]
    return np.stack(pictures)


def _picture(body: int, pose: Pose) -> Floats:
    out = _setting(body)
    colour = _floats(colorsys.hsv_to_rgb((body * GOLDEN) % 1.0, 0.85, (0.95, 0.55)[body % 2]))
    _paint(_limbs(angles(body, pose), 0.9 + 0.2 * ((body * 7) % BODIES) / BODIES), colour, out)
    return out


def _setting(body: int) -> Floats:
    """Wall above, ground below, both pale: what stands for the place."""
    out = np.empty((SIZE, SIZE, 3), dtype=np.float32)
    out[:] = colorsys.hsv_to_rgb((body * 11 % BODIES) / BODIES, 0.25, 0.92)
    out[round(0.86 * SIZE) :] = colorsys.hsv_to_rgb((body * 4 % BODIES) / BODIES, 0.40, 0.66)
    return out


def _limbs(degrees: Floats, scale: float) -> Floats:
    """Segments (10, 5): start x and y, end x and y, half width; the last is the head."""
    turn = np.radians(degrees.astype(np.float64))
    step = np.stack([np.sin(turn), np.cos(turn)], axis=1) * 0.16 * scale
    hip = np.array([0.5, 0.57])
    shoulder = hip - np.array([-np.sin(turn[4]), np.cos(turn[4])]) * 0.24 * scale
    neck = shoulder + (shoulder - hip) * 0.45
    chains = [(shoulder, step[0], step[1]), (shoulder, step[2], step[3])]
    chains += [(hip, step[5] * 1.05, step[6] * 1.05), (hip, step[7] * 1.05, step[8] * 1.05)]
    rows = [[*start, *(start + a), 0.026] for start, a, _ in chains]
    rows += [[*(start + a), *(start + a + b), 0.026] for start, a, b in chains]
    rows += [[*hip, *shoulder, 0.036], [*neck, *neck, 0.062]]
    return np.array(rows, dtype=np.float32)


@numba.njit(cache=True)
def _paint(limbs, colour, out):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Blend every pixel by its distance to the nearest limb, one pixel soft at the edge."""
    size = out.shape[0]
    for row in range(size):
        for column in range(size):
            x, y = (column + 0.5) / size, (row + 0.5) / size
            cover = 0.0
            for limb in range(limbs.shape[0]):
                ax, ay, bx, by, half = limbs[limb]
                length = (bx - ax) ** 2 + (by - ay) ** 2
                part = ((x - ax) * (bx - ax) + (y - ay) * (by - ay)) / length if length > 0 else 0.0
                part = min(max(part, 0.0), 1.0)
                gap = np.sqrt((x - ax - part * (bx - ax)) ** 2 + (y - ay - part * (by - ay)) ** 2)
                cover = max(cover, min(max((half - gap) * size + 0.5, 0.0), 1.0))
            for c in range(3):
                out[row, column, c] = cover * colour[c] + (1 - cover) * out[row, column, c]
