"""Heads whose output turns rather than grows: what magnitude, direction and profile find of what was planted."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np

from plantain.stats.simulated.scenarios import LEVEL, NOMINAL, Outcome, Random, Rule, Scenario, overstated
from plantain.stats.template import template_test
from plantain.stats.validate import Floats

Plant = Literal["nothing", "direction", "sign varies over items", "text tokens"]

HEADS: Final = 50
PLANTED: Final = 4
FRAMES: Final = 8
ITEMS: Final = 6
DIMENSIONS: Final = 12
FACTORS: Final = 5
NORM: Final = 20.0
"""Length of a head's output, in deviations of its wordings: these turn it by a few degrees."""
SIZE: Final = 2.5
"""How far apart the planted sides are, in root mean square distances of a wording from its own side."""
FOUND: Final = Rule("at least", 0.85)


@dataclass(frozen=True)
class Outputs:
    """Mean vectors of heads by token set, each ``(wordings, items, heads, dimensions)``; side a first."""

    image: Floats
    text: Floats

    def measures(self) -> dict[str, Floats]:
        """Rows for the test of wordings by every measure: numbers, or vectors."""
        means = self.image.mean(axis=1)
        wordings, items, heads, _ = self.image.shape
        every_item = self.image.transpose(0, 2, 1, 3).reshape(wordings, heads, -1) / np.sqrt(items)
        return {
            "log RMS": _log_norm(self.image),
            "direction": means,
            "profile": every_item,
            "log RMS of text": _log_norm(self.text),
            "direction of text": self.text.mean(axis=1),
        }


def outputs(random: Random, plant: Plant, size: float = SIZE) -> Outputs:
    """Outputs of heads that share what wordings do, and a plant in the first `PLANTED`, which leaves lengths alone."""
    plain = Outputs(_plain(random), _plain(random))
    if plant == "nothing":
        return plain
    if plant == "text tokens":
        return replace(plain, text=_turned(random, plain.text, np.ones(ITEMS), size))
    signs = np.ones(ITEMS) if plant == "direction" else random.permutation(np.resize([1.0, -1.0], ITEMS))
    return replace(plain, image=_turned(random, plain.image, signs, size))


def _plain(random: Random) -> Floats:
    """Wordings scatter in directions of unequal weight, by factors that heads share and by noise of each pass."""
    weights = 1 / np.sqrt(np.arange(1.0, DIMENSIONS + 1))
    weights /= np.sqrt(np.square(weights).sum())
    base = random.standard_normal((HEADS, DIMENSIONS))
    base *= NORM / np.linalg.norm(base, axis=1, keepdims=True)
    loads = random.standard_normal((FACTORS, HEADS, DIMENSIONS)) / np.sqrt(FACTORS)
    shared = np.tensordot(random.standard_normal((2 * FRAMES, FACTORS)), loads, axes=1)
    own = random.standard_normal((2 * FRAMES, HEADS, DIMENSIONS))
    frames = np.tile(random.standard_normal((FRAMES, HEADS, DIMENSIONS)), (2, 1, 1))
    wordings = (np.sqrt(0.6) * shared + np.sqrt(0.4) * own + frames) * weights
    passes = random.standard_normal((2 * FRAMES, ITEMS, HEADS, DIMENSIONS)) * weights
    return np.asarray(base + wordings[:, None] + passes)


def _turned(random: Random, values: Floats, signs: Floats, size: float) -> Floats:
    """Side a moved in the planted heads, by one direction a head and a sign an item; every vector keeps its length."""
    found = values.copy()
    direction = random.standard_normal((PLANTED, DIMENSIONS))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    moved = found[:FRAMES, :, :PLANTED] + size * signs[:, None, None] * direction
    lengths = np.linalg.norm(found[:FRAMES, :, :PLANTED], axis=-1, keepdims=True)
    found[:FRAMES, :, :PLANTED] = moved * lengths / np.linalg.norm(moved, axis=-1, keepdims=True)
    return found


def _log_norm(values: Floats) -> Floats:
    return np.asarray(np.log(np.linalg.norm(values, axis=-1)).mean(axis=1))


@dataclass(frozen=True)
class Tested:
    """Draws a data set and tests it by every measure, labels exchanged within frames."""

    plant: Plant
    size: float = SIZE

    def __call__(self, random: Random) -> Outcome:
        """``bound > 0`` of every measure, and whether any bound of a vector measure is too high."""
        frames = [*range(FRAMES)] * 2
        rows = outputs(random, self.plant, self.size).measures()
        tests = {name: template_test(table[:FRAMES], table[FRAMES:], frames=frames) for name, table in rows.items()}
        said = {f"{name}: bound > 0": float(test.lower_bound > 0) for name, test in tests.items()}
        true = {name: PLANTED if name in _MEETS[self.plant] else 0 for name in tests}
        high = any(overstated(test.calibration, true[name]) for name, test in tests.items())
        return said | {"any bound too high": float(high)}


_MEETS: Final[Mapping[Plant, tuple[str, ...]]] = {
    "nothing": (),
    "direction": ("direction", "profile"),
    "sign varies over items": ("profile",),
    "text tokens": ("direction of text",),
}
"""The measures that a plant is true of."""

_MEASURES: Final = ("log RMS", "direction", "profile", "log RMS of text", "direction of text")


def _scenario(name: str, datasets: int, plant: Plant) -> Scenario:
    """What is planted is found by the measures that it is true of, and by no other more often than the level allows."""
    rules = {f"{one}: bound > 0": FOUND if one in _MEETS[plant] else NOMINAL for one in _MEASURES}
    return Scenario(name, datasets, Tested(plant), rules | {"any bound too high": _HIGH})


_HIGH: Final = Rule("at most", len(_MEASURES) * LEVEL)
"""Five measures are looked at, each with its own confidence."""

DIRECTIONS: Final = (
    _scenario("vectors without a concept", 500, "nothing"),
    _scenario("heads that turn at constant length", 200, "direction"),
    _scenario("heads that turn one way or the other", 200, "sign varies over items"),
    _scenario("heads that turn over text tokens", 200, "text tokens"),
)
"""Plants that magnitude does not see."""
