"""The thirty creatures of ``prompts/otherview.yaml`` as bodies in the world: where they see from and how they look.

The order of heights is nature's where there is one (a cat sees from lower than a child, a bat flies under the ceiling);
values are spread so that a picture can tell creatures apart, and sides carry no meaning: they follow the golden ratio,
so that neighbours in height stand apart.
"""

import colorsys
from dataclasses import dataclass

GOLDEN = 0.6180339887498949


@dataclass(frozen=True)
class Creature:
    """One creature of the world."""

    id: str
    eye: float
    """Eye height over the floor in metres; the room is 3 m high."""
    field: float
    """Horizontal field of view in degrees."""
    width: float
    """Width of the body in metres, as drawn."""
    height: float
    """Height of the body in metres, as drawn."""
    base: float
    """Height of the body's lowest point: 0 on the floor, more for those that fly, swim or hang."""
    side: float
    """Where the creature looks from: metres to the right of the middle."""
    place: float
    """Where the creature is drawn: metres to the right of the middle, 2 m into the room."""
    colour: tuple[float, float, float]
    """RGB in [0, 1]."""


_TABLE = (
    # id, eye, field of view, width, height, base
    ("adult-human", 1.62, 66, 0.50, 1.75, 0.0),
    ("tall-person", 1.95, 66, 0.50, 2.05, 0.0),
    ("teenager", 1.47, 66, 0.45, 1.60, 0.0),
    ("child", 1.10, 66, 0.42, 1.20, 0.0),
    ("toddler", 0.78, 70, 0.40, 0.85, 0.0),
    ("infant", 0.46, 62, 0.45, 0.50, 0.0),
    ("chimpanzee", 0.97, 72, 0.60, 1.05, 0.0),
    ("small-dog", 0.40, 78, 0.55, 0.42, 0.0),
    ("cat", 0.34, 80, 0.52, 0.44, 0.00),
    ("rabbit", 0.28, 92, 0.46, 0.50, 0.00),
    ("mouse", 0.08, 88, 0.44, 0.36, 0.00),
    ("parrot", 1.80, 86, 0.44, 0.56, 1.40),
    ("pigeon", 2.10, 92, 0.50, 0.44, 1.80),
    ("lizard", 0.18, 84, 0.72, 0.32, 0.00),
    ("snake", 0.23, 74, 0.95, 0.30, 0.00),
    ("frog", 0.13, 82, 0.50, 0.42, 0.00),
    ("octopus", 0.52, 86, 0.70, 0.60, 0.0),
    ("spider", 2.40, 90, 0.54, 0.44, 1.75),
    ("ant", 0.03, 80, 0.40, 0.34, 0.00),
    ("fly", 2.25, 96, 0.42, 0.40, 1.55),
    ("dragonfly", 1.36, 96, 0.75, 0.36, 1.20),
    ("moth", 2.55, 88, 0.46, 0.40, 1.70),
    ("ultraviolet-bee", 1.23, 92, 0.46, 0.42, 1.05),
    ("mantis-shrimp", 0.31, 90, 0.56, 0.46, 0.05),
    ("echolocating-bat", 2.85, 76, 0.70, 0.36, 1.85),
    ("echolocating-dolphin", 0.87, 84, 1.00, 0.50, 0.55),
    ("electric-shark", 0.68, 88, 1.10, 0.44, 0.35),
    ("magnetic-sea-turtle", 0.58, 74, 0.80, 0.40, 0.30),
    ("thermal-creature", 1.71, 58, 0.60, 1.85, 0.0),
    ("alien", 2.70, 70, 0.46, 2.40, 0.0),
)


def _creature(number: int, row: tuple[str, float, float, float, float, float]) -> Creature:
    name, eye, field, width, height, base = row
    turn = (number * GOLDEN) % 1.0
    place = ((number * GOLDEN * GOLDEN + 0.35) * 2.0) % 1.0
    shade = (1.0, 0.62, 0.85)[number % 3]
    colour = colorsys.hsv_to_rgb((number * 7 % 30) / 30.0, (0.95, 0.7)[number % 2], shade)
    return Creature(name, eye, field, width, height, base, 3.2 * turn - 1.6, 2.0 * place - 1.0, colour)


CREATURES = tuple(_creature(number, row) for number, row in enumerate(_TABLE))
"""In the order of the probe's items."""

BY_ID = {creature.id: creature for creature in CREATURES}
