"""A world small enough to know: rooms, a camera and creatures, drawn at 64 x 64 pixels by casting one ray a pixel.

Lengths are metres. The room spans x -2.5 to 2.5, y 0 (floor) to 3, z -1 to 5; the camera stands at z = 0 and looks at
the point (0, 0.9, 3.2), wherever it stands. Colours are RGB in [0, 1]. Pictures are (items, 64, 64, 3) float32.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.creatures import CREATURES, Creature
from training.raycast import draw

SIZE = 64
PIECES = 3
"""Pieces of furniture in a room."""

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Rooms:
    """Rooms: ``furniture`` (items, 3, 6) as low and high corners, ``colours`` (items, 3, 3), ``wall`` and ``floor``."""

    furniture: Floats
    colours: Floats
    wall: Floats
    floor: Floats

    def __len__(self) -> int:
        return len(self.wall)

    def take(self, rows: NDArray[np.int64]) -> "Rooms":
        """The rooms at ``rows``, in that order."""
        return Rooms(self.furniture[rows], self.colours[rows], self.wall[rows], self.floor[rows])


@dataclass(frozen=True)
class Shots:
    """What is photographed: ``camera`` (items, 3) as side, eye height and field of view; ``body`` (items, 8) or zeros.

    A body is centre x, base y, width, height, red, green, blue and whether it is there.
    """

    camera: Floats
    body: Floats


DOORWAY = (0.0, 1.4, 70.0)
"""The camera of every reference picture: in the middle, 1.4 m high, 70 degrees wide."""


def _floats(values: Sequence[float] | Sequence[Sequence[float]]) -> Floats:
    return np.array(values, dtype=np.float32)


_WOOD = _floats([[0.62, 0.42, 0.24], [0.93, 0.95, 0.96], [0.45, 0.27, 0.14]])
_PLASTER = _floats([0.86, 0.80, 0.66])
_TILES = _floats([0.66, 0.52, 0.42])
"""A kitchen's counter, refrigerator and table; its walls; its floor."""


def sample_rooms(count: int, rng: np.random.Generator, kitchens: float = 0.5) -> Rooms:
    """``count`` rooms, a share ``kitchens`` of them with a kitchen's colours, the rest with any."""
    uniform = rng.random((count, 40), dtype=np.float32)
    kitchen = uniform[:, :1] < kitchens
    furniture = np.stack([_piece(k, uniform[:, 1 + 5 * k : 6 + 5 * k]) for k in range(PIECES)], axis=1)
    pieces = uniform[:, 16:25].reshape(count, PIECES, 3)
    colours = np.where(kitchen[:, :, None], _near(_WOOD, pieces), pieces)
    wall = np.where(kitchen, _near(_PLASTER, uniform[:, 25:28]), 0.4 + 0.5 * uniform[:, 25:28])
    floor = np.where(kitchen, _near(_TILES, uniform[:, 28:31]), 0.2 + 0.5 * uniform[:, 28:31])
    return Rooms(furniture, *(np.clip(one, 0, 1).astype(np.float32) for one in (colours, wall, floor)))


def _near(colour: Floats, uniform: Floats) -> Floats:
    """``colour`` with a little of each channel more or less."""
    return (colour + 0.16 * (uniform - 0.5)).astype(np.float32)


def _piece(kind: int, uniform: Floats) -> Floats:
    """A counter on one side, a refrigerator on the other, a table between: (items, 6) corners."""
    width = (1.1, 0.6, 0.75)[kind] + 0.3 * uniform[:, 0]
    height = (0.85, 1.5, 0.5)[kind] + (0.25, 0.5, 0.3)[kind] * uniform[:, 1]
    centre = (-1.3, 1.35, 0.0)[kind] + 0.9 * (uniform[:, 2] - 0.5)
    depth = (3.3, 3.0, 2.6)[kind] + 0.8 * uniform[:, 3]
    low = [centre - width / 2, np.zeros_like(width), depth - 0.3]
    high = [centre + width / 2, height, depth + 0.3]
    return np.stack([*low, *high], axis=1).astype(np.float32)


def doorway(count: int) -> Shots:
    """The reference picture of ``count`` rooms."""
    return Shots(np.tile(_floats(DOORWAY), (count, 1)), np.zeros((count, 8), dtype=np.float32))


def seen_by(creatures: list[Creature]) -> Shots:
    """Each room as its creature sees it."""
    camera = np.array([(one.side, one.eye, one.field) for one in creatures], dtype=np.float32)
    return Shots(camera.reshape(-1, 3), np.zeros((len(creatures), 8), dtype=np.float32))


def with_body(creatures: list[Creature]) -> Shots:
    """Each room from the doorway, its creature in it."""
    rows = [(one.place, one.base, one.width, one.height, *one.colour, 1.0) for one in creatures]
    return Shots(doorway(len(creatures)).camera, np.array(rows, dtype=np.float32).reshape(-1, 8))


def render(rooms: Rooms, shots: Shots) -> Floats:
    """Pictures (items, 64, 64, 3) of ``rooms`` by ``shots``."""
    out = np.empty((len(rooms), SIZE, SIZE, 3), dtype=np.float32)
    draw(rooms.furniture, rooms.colours, rooms.wall, rooms.floor, shots.camera, shots.body, out)
    return out


def height_shots(creature: Creature, heights: Floats) -> Shots:
    """``creature``'s view, but from each of ``heights``: what a camera height is read back with."""
    rows = np.array([(creature.side, height, creature.field) for height in heights], dtype=np.float32)
    return Shots(rows, np.zeros((len(rows), 8), dtype=np.float32))


def everyone(room: Rooms) -> Floats:
    """All pictures that the operation can ask for in one room: (2 roles, 30 creatures, 64, 64, 3)."""
    rooms = room.take(np.zeros(len(CREATURES), dtype=np.int64))
    crowd = list(CREATURES)
    return np.stack([render(rooms, seen_by(crowd)), render(rooms, with_body(crowd))])
