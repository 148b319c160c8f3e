"""Pictures and pairs for training, made on the fly: equal seeds give equal pictures."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training import figures, world
from training.creatures import CREATURES
from training.lessons import Outcome

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]

POSES = (
    figures.Pose.t_pose,
    figures.Pose.expressive,
    figures.Pose.a_pose,
    figures.Pose.arms,
    figures.Pose.resting,
)


def generator(*key: int) -> np.random.Generator:
    """A local generator for ``key``, the same on every machine."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(key)))


@dataclass(frozen=True)
class Pairs:
    """A reference picture and what became of it, both (items, 64, 64, 3)."""

    reference: Floats
    target: Floats
    outcome: tuple[Outcome, ...]
    subject: Integers


def draw_outcome(rooms: world.Rooms, outcome: Outcome, subjects: Integers) -> Floats:
    """The pictures (items, 64, 64, 3) of ``rooms`` that ``outcome`` asks for."""
    crowd = [CREATURES[number] for number in subjects]
    if outcome is Outcome.viewpoint:
        return world.render(rooms, world.seen_by(crowd))
    if outcome is Outcome.mention:
        return world.render(rooms, world.with_body(crowd))
    return world.render(rooms, world.doorway(len(rooms)))


def pairs(counts: dict[Outcome, int], rng: np.random.Generator) -> Pairs:
    """``counts`` pairs of each outcome, every pair in a room of its own."""
    total = sum(counts.values())
    rooms = world.sample_rooms(total, rng)
    subjects = rng.integers(len(CREATURES), size=total)
    targets, start = [], 0
    for outcome, count in counts.items():
        rows = np.arange(start, start + count)
        targets.append(draw_outcome(rooms.take(rows), outcome, subjects[rows]))
        start += count
    outcomes = tuple(outcome for outcome, count in counts.items() for _ in range(count))
    return Pairs(world.render(rooms, world.doorway(total)), np.concatenate(targets), outcomes, subjects)


def all_figures() -> Floats:
    """Every body in every pose: (5 poses, 25 bodies, 64, 64, 3), poses in the order of ``POSES``."""
    bodies = np.arange(figures.BODIES)
    return np.stack([figures.draw_figures(bodies, [pose] * len(bodies)) for pose in POSES])


def mixed_pictures(count: int, rng: np.random.Generator, drawn: Floats) -> Floats:
    """``count`` pictures of all kinds, for the autoencoder; ``drawn`` is ``all_figures()``."""
    kinds = rng.choice(3, size=count, p=(0.5, 0.35, 0.15))
    viewpoints, mentions, bodies = (int((kinds == kind).sum()) for kind in range(3))
    seen = pairs({Outcome.viewpoint: viewpoints, Outcome.mention: mentions}, rng).target
    chosen = drawn.reshape(-1, *drawn.shape[2:])[rng.integers(drawn.shape[0] * drawn.shape[1], size=bodies)]
    return np.concatenate([seen, chosen])
