"""What becomes of the pictures of one step when heads are swapped: the behaviour that `truth.yaml` is judged by.

Every creature stands in a room of its own, which no training used, so that a picture can be compared with all renders
of that room; a body is compared with its five poses. A picture flips where it showed the recipient's own side without
the swap and shows the donor's with it: the very creature in the very role, or the pose. Readings that change among
wrong ones are counted apart: those of pictures that show nothing change at the least touch.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from plantain.base.params import CaptureParams
from plantain.capture.progress import Silent
from plantain.causal.clean import CleanPass
from plantain.causal.examine import choose, swap_pairs
from plantain.causal.heads import HeadSet
from plantain.causal.pictures import Darkroom
from plantain.causal.sets import dose_matched
from plantain.causal.swaps import Swap
from plantain.causal.theatre import Theatre
from plantain.probe.halves import CausalDesign
from plantain.probe.records import Record
from plantain.records.keys import Pass, passes
from plantain.records.lock import ModelLock
from training import behaviour, figures, world
from training.creatures import BY_ID, CREATURES

Picture = NDArray[np.float32]
ROOMS: Final = 4_242
"""The seed of the rooms that `training.examination` examines in as well."""
MATCHED: Final = 3
"""Random sets of like doses."""
ANOTHER: Final = "another"
"""What a picture shows that is nearest to something that was not asked for."""


class Reader(Protocol):
    """Says what a picture shows."""

    def shown(self, item: str, picture: Picture) -> str:
        """What it is nearest to, among everything that could have been drawn."""

    def reading(self, item: str, picture: Picture) -> str:
        """The nearest role or pose, right or wrong."""

    def reference(self, item: str) -> Picture | None:
        """The picture that the model is given."""


class Rooms:
    """Reads roles of creatures, each in a room of its own."""

    roles = ("viewpoint", "mention")

    def __init__(self) -> None:
        """Sample the rooms."""
        self._rooms = behaviour.fresh_rooms(ROOMS)
        self._candidates: dict[str, Picture] = {}

    def shown(self, item: str, picture: Picture) -> str:
        """The role with the creature itself, the reference unchanged, or another creature."""
        candidates, reference = self._renders(item), self.reference(item)
        if behaviour.distances(picture, reference) < behaviour.distances(picture, candidates).min():
            return "neutral"
        found = behaviour.read(picture, candidates)
        return self.roles[found.role] if CREATURES[found.creature].id == item else ANOTHER

    def reading(self, item: str, picture: Picture) -> str:
        """The role of the nearest render, whatever the creature."""
        return self.roles[behaviour.read(picture, self._renders(item)).role]

    def reference(self, item: str) -> Picture:
        """The empty room from the doorway."""
        rendered: Picture = world.render(self._room(item), world.doorway(1))[0]
        return rendered

    def _room(self, item: str) -> world.Rooms:
        return self._rooms.take(np.array([CREATURES.index(BY_ID[item])]))

    def _renders(self, item: str) -> Picture:
        if item not in self._candidates:
            self._candidates[item] = world.everyone(self._room(item))
        return self._candidates[item]


class Poses:
    """Reads poses of bodies, numbered as the items of the probe."""

    def __init__(self, items: Sequence[str]) -> None:
        """Number the bodies."""
        self._numbers = {item: number for number, item in enumerate(items)}

    def shown(self, item: str, picture: Picture) -> str:
        """The pose."""
        found = behaviour.read_pose(picture, self._numbers[item])
        return "neutral" if found is figures.Pose.resting else str(found)

    def reading(self, item: str, picture: Picture) -> str:
        """The same."""
        return self.shown(item, picture)

    def reference(self, item: str) -> None:
        """None is given."""


@dataclass(frozen=True)
class Flips:
    """Pictures of one kind of swap."""

    pictures: int = 0
    flipped: int = 0
    """Showed the recipient's side before and show the donor's after."""
    changed: int = 0
    """Are read as another role or pose than before."""

    def __add__(self, other: "Flips") -> "Flips":
        return Flips(self.pictures + other.pictures, self.flipped + other.flipped, self.changed + other.changed)


@dataclass(frozen=True)
class Shown:
    """What the pictures of one network did, on the items that test. Sets of heads are called by name."""

    right: tuple[int, int]
    """Of how many clean pictures how many show what their sentence asks for."""
    pairs: dict[str, Flips]
    """Each wording put into one of the other side, both ways."""
    from_a: dict[str, Flips]
    """Every wording of side a put into the neutral sentences."""
    from_b: dict[str, Flips]
    dose: float
    """Doses of the matched random sets over those of the chosen one, on average."""


Way = tuple[CleanPass, CleanPass]
"""Recipient and donor."""


@dataclass(frozen=True)
class Pictures:
    """One probe on one network, with what reads its pictures."""

    theatre: Theatre
    darkroom: Darkroom
    reader: Reader
    design: CausalDesign
    share: float
    """Of the heads, that are swapped together."""
    passes: Mapping[tuple[str, str], Pass]
    _clean: dict[Pass, CleanPass] = field(default_factory=dict)
    _before: dict[Pass, Picture] = field(default_factory=dict)

    def shown(self) -> Shown:
        """Swap, develop and read."""
        test, (sets, dose) = self.design.test, self._sets()
        wordings = [(name, item) for item in test.items for name in (*test.a, *test.b, *self.design.recipients)]
        right = sum(self._shows(self.clean(*one)) == side_of(one[0]) for one in wordings)
        pairs = [(self._of(one), self._of(other)) for one, other in swap_pairs(self.design, self._asked)]
        return Shown(
            right=(len(wordings), right),
            pairs=self._over([*pairs, *((other, one) for one, other in pairs)], sets),
            from_a=self._over(self._into_neutral(test.a), sets),
            from_b=self._over(self._into_neutral(test.b), sets),
            dose=dose,
        )

    def clean(self, condition: str, item: str) -> CleanPass:
        """The pass of a wording."""
        return self._of(self._asked(condition, item))

    def _asked(self, condition: str, item: str) -> Pass:
        return self.passes[condition, item]

    def _of(self, one: Pass) -> CleanPass:
        if one not in self._clean:
            self._clean[one] = self.theatre.clean(one)
        return self._clean[one]

    def _into_neutral(self, donors: Sequence[str]) -> list[Way]:
        return [
            (self.clean(recipient, item), self.clean(donor, item))
            for item in self.design.test.items
            for recipient in self.design.recipients
            for donor in donors
        ]

    def _over(self, ways: Sequence[Way], sets: Mapping[str, Sequence[HeadSet]]) -> dict[str, Flips]:
        return {
            name: sum((self._flips(way, heads) for way in ways for heads in some), Flips())
            for name, some in sets.items()
        }

    def _flips(self, way: Way, heads: HeadSet) -> Flips:
        recipient, donor = way
        item, before = recipient.asked.item, self._undisturbed(recipient)
        after = self._developed(recipient, self.theatre.swapped(recipient, [Swap(donor, heads)])[0])
        sides = [side_of(one.asked.condition) for one in way]
        flipped = [self.reader.shown(item, one) for one in (before, after)] == sides
        changed = self.reader.reading(item, before) != self.reader.reading(item, after)
        return Flips(1, int(flipped), int(changed))

    def _shows(self, one: CleanPass) -> str:
        return self.reader.shown(one.asked.item, self._undisturbed(one))

    def _undisturbed(self, one: CleanPass) -> Picture:
        if one.asked not in self._before:
            self._before[one.asked] = self._developed(one, one.velocity)
        return self._before[one.asked]

    def _developed(self, one: CleanPass, velocity: Tensor) -> Picture:
        return np.asarray(self.darkroom.develop(self.theatre, one.asked, velocity)[0] / 255, dtype=np.float32)

    def _sets(self) -> tuple[dict[str, list[HeadSet]], float]:
        """All heads, those of the largest dose on the selection half, random ones of like doses, and how like."""
        every, geometry = self.theatre.heads(), self.theatre.lock.geometry
        found = choose(self.theatre, self.design.selection, self._asked, self.share)
        drawn = [dose_matched(every, found.doses, found.heads, geometry, seed) for seed in range(MATCHED)]
        named = {"all": [every], "chosen": [found.heads], "matched": [one.heads for one in drawn]}
        return named, float(np.mean([one.dose for one in drawn]))


def side_of(condition: str) -> str:
    """What a sentence asks for: the name of its condition without the number."""
    return _NUMBER.sub("", condition)


_NUMBER: Final = re.compile(r"_\d+$")


def pictures(
    lock: ModelLock, capture: CaptureParams, design: CausalDesign, records: Sequence[Record], share: float, folder: Path
) -> Pictures:
    """One probe on one network, every item with its own reference where the probe has one.

    Args:
        lock: the network.
        capture: noise level and seed.
        design: halves and recipients.
        records: the probe, all items in order.
        share: of the heads, that are swapped together.
        folder: where references are written.
    """
    items = list(dict.fromkeys(one.item for one in records))
    reader: Reader = Rooms() if records[0].reference else Poses(items)
    wanted = design.records(records)
    images = {name: path for one in wanted for name, path in _reference(reader, one.item, folder).items()}
    placed = [replace(one, reference=tuple(_reference(reader, one.item, folder))) for one in wanted]
    ordered = passes(placed, capture.seeds[:1])
    theatre = Theatre.open(ordered, images, lock, capture, progress=Silent())
    darkroom = Darkroom.open(lock, str(theatre.target.device))
    named = {(one.condition, one.item): one for one in ordered}
    return Pictures(theatre, darkroom, reader, design, share, named)


def _reference(reader: Reader, item: str, folder: Path) -> dict[str, Path]:
    picture = reader.reference(item)
    if picture is None:
        return {}
    name = f"room_{item.replace('-', '_')}"
    path = folder / f"{name}.png"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        behaviour.to_image(picture).save(path)
    return {name: path}
