"""One ray a pixel, in compiled loops: the inside of the room, boxes, and one creature. Lengths are metres."""

import numba
import numpy as np

# mypy: disable-error-code="no-untyped-def, no-untyped-call"
# Compiled by numba, which types the functions itself.


_AIM_HEIGHT, _AIM_DEPTH = 0.9, 3.2
_LOW = np.array([-2.5, 0.0, -1.0])
_HIGH = np.array([2.5, 3.0, 5.0])
_WINDOW_HALF, _WINDOW_LOW, _WINDOW_HIGH = 0.7, 1.3, 2.3
_SKY = (0.6, 0.8, 1.0)
_PARALLEL = 1e-6
BODY_DEPTH = 2.0
"""How far into the room a mentioned creature stands."""


@numba.njit(cache=True)
def draw(furniture, colours, wall, floor, camera, body, out):  # pragma: no cover
    """Fill ``out`` (items, rows, columns, 3) with the pictures of ``training.world.render``."""
    size = out.shape[1]
    origin, ray = np.zeros(3), np.zeros(3)
    for item in range(out.shape[0]):
        origin[0], origin[1] = camera[item, 0], camera[item, 1]
        spread = np.tan(np.radians(camera[item, 2]) / 2)
        pitch = np.arctan2(_AIM_HEIGHT - origin[1], _AIM_DEPTH)
        yaw = np.arctan2(-origin[0], _AIM_DEPTH)
        for row in range(size):
            up = (1 - (row + 0.5) / size * 2) * spread
            ahead = np.cos(pitch) - up * np.sin(pitch)
            ray[1] = up * np.cos(pitch) + np.sin(pitch)
            for column in range(size):
                right = ((column + 0.5) / size * 2 - 1) * spread
                ray[0] = right * np.cos(yaw) + ahead * np.sin(yaw)
                ray[2] = ahead * np.cos(yaw) - right * np.sin(yaw)
                pixel = out[item, row, column]
                best = _shell(origin, ray, wall[item], floor[item], pixel)
                best = _pieces(origin, ray, furniture[item], colours[item], best, pixel)
                _being(origin, ray, body[item], best, pixel)


@numba.njit(cache=True)
def _shell(origin, ray, wall, floor, pixel):  # pragma: no cover
    """Walls, window, tiled floor and ceiling; returns how far along the ray they are."""
    best, axis = 1e9, 0
    for k in range(3):
        step = ray[k] if abs(ray[k]) > _PARALLEL else _PARALLEL
        hit = max((_LOW[k] - origin[k]) / step, (_HIGH[k] - origin[k]) / step)
        if hit < best:
            best, axis = hit, k
    x, y, z = origin[0] + ray[0] * best, origin[1] + ray[1] * best, origin[2] + ray[2] * best
    shade = 0.75 if axis == 0 else 1.0
    glass = axis == 2 and abs(x) < _WINDOW_HALF and _WINDOW_LOW < y < _WINDOW_HIGH
    tile = 1.0 if (np.floor(x) + np.floor(z)) % 2 else 0.75
    for c in range(3):
        if axis == 1:
            pixel[c] = 0.95 if ray[1] > 0 else floor[c] * tile
        else:
            pixel[c] = _SKY[c] if glass else wall[c] * shade
    return best


@numba.njit(cache=True)
def _pieces(origin, ray, furniture, colours, best, pixel):  # pragma: no cover
    """Boxes nearer than ``best``; returns the distance of the nearest."""
    for piece in range(furniture.shape[0]):
        near, far, axis = -1e9, 1e9, 0
        for k in range(3):
            step = ray[k] if abs(ray[k]) > _PARALLEL else _PARALLEL
            first = (furniture[piece, k] - origin[k]) / step
            second = (furniture[piece, k + 3] - origin[k]) / step
            if min(first, second) > near:
                near, axis = min(first, second), k
            far = min(far, max(first, second))
        if near < far and 1e-3 < near < best:
            best = near
            shade = 0.7 if axis == 0 else (1.0 if axis == 1 else 0.85)
            for c in range(3):
                pixel[c] = colours[piece, c] * shade
    return best


@numba.njit(cache=True)
def _being(origin, ray, body, best, pixel):  # pragma: no cover
    """An upright ellipse that faces the doorway, its head darker."""
    if body[7] == 0 or ray[2] < _PARALLEL or BODY_DEPTH / ray[2] >= best:
        return
    hit = BODY_DEPTH / ray[2]
    across = (origin[0] + ray[0] * hit - body[0]) / (body[2] / 2)
    along = (origin[1] + ray[1] * hit - body[1]) / body[3] * 2 - 1
    if across * across + along * along <= 1.0:
        for c in range(3):
            pixel[c] = body[4 + c] * (0.55 if along > 0.4 else 1.0)
