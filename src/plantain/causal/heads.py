"""Heads as units of intervention: where their outputs stand, and sets of them (needs no torch).

A head is named by the projection that reads it, counted as :func:`plantain.model.geometry.projections` does: image and
text stream of every joint block, then the single blocks.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

from plantain.base.errors import InputError
from plantain.base.files import digest
from plantain.records.lock import Geometry


class TokenRoute(StrEnum):
    """The token positions at which a head's output is swapped."""

    image = "image"
    """noise and reference"""
    noise = "noise"
    reference = "reference"
    text = "text"
    """text and padding"""

    @property
    def streams(self) -> tuple[str, str]:
        """What the projections that see these tokens may be: those of one kind of joint stream, and all tokens."""
        return ("text" if self is TokenRoute.text else "image"), "all"


class Head(NamedTuple):
    """One attention head."""

    projection: int
    """Position in the list of projections."""
    head: int
    """Position within its block."""


@dataclass(frozen=True)
class HeadSet:
    """Heads that are swapped together, each once, in order: whoever names them in another order names the same set."""

    heads: tuple[Head, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "heads", tuple(sorted({Head(*pair) for pair in self.heads})))

    @classmethod
    def of(cls, heads: Iterable[tuple[int, int]]) -> "HeadSet":
        """The set of some (projection, head)."""
        return cls(tuple(Head(*pair) for pair in heads))

    def __len__(self) -> int:
        return len(self.heads)

    def __iter__(self) -> Iterator[Head]:
        return iter(self.heads)

    def __contains__(self, head: object) -> bool:
        return head in self.heads

    def without(self, others: Iterable[tuple[int, int]]) -> "HeadSet":
        """The set less ``others``."""
        left = set(self.heads) - {Head(*pair) for pair in others}
        return HeadSet(tuple(left))

    def runs(self, projection: int) -> tuple[tuple[int, int], ...]:
        """First and past-the-last of every run of adjacent heads of one projection."""
        found: list[tuple[int, int]] = []
        for place, head in self.heads:
            if place != projection:
                continue
            if found and found[-1][1] == head:
                found[-1] = (found[-1][0], head + 1)
            else:
                found.append((head, head + 1))
        return tuple(found)

    @property
    def projections(self) -> tuple[int, ...]:
        """The projections that read some of these heads, in order."""
        return tuple(dict.fromkeys(head.projection for head in self.heads))

    @property
    def digest(self) -> str:
        """SHA-256 of the set."""
        return digest([list(head) for head in self.heads])


KINDS: Final = ("joint", "single")


def all_heads(geometry: Geometry, tokens: TokenRoute) -> HeadSet:
    """Every head whose projection sees ``tokens``; at image tokens in the order of ``measure.views.heads``."""
    joint = geometry.joint_blocks
    stream = 1 if tokens is TokenRoute.text else 0
    places = [2 * block + stream for block in range(joint)]
    places += [2 * joint + block for block in range(geometry.single_blocks)]
    return HeadSet(tuple(Head(place, head) for place in places for head in range(geometry.heads)))


def kind_of(head: Head, geometry: Geometry) -> str:
    """The kind of the block that a head is in: one of :data:`KINDS`."""
    return KINDS[head.projection >= 2 * geometry.joint_blocks]


def block_of(projection: int, geometry: Geometry) -> int:
    """The place of a projection's block among all blocks, the joint ones first."""
    joint = geometry.joint_blocks
    return projection // 2 if projection < 2 * joint else projection - joint


def first_block(heads: HeadSet, geometry: Geometry) -> int:
    """The first block that has one of ``heads``.

    Raises:
        InputError: there are none.
    """
    if not len(heads):
        raise InputError("a swap names no head.", fix="give it at least one.")
    return block_of(heads.projections[0], geometry)


def blocks_in(geometry: Geometry) -> int:
    """How many blocks there are."""
    return geometry.joint_blocks + geometry.single_blocks


def moved_to(heads: HeadSet, tokens: TokenRoute, geometry: Geometry) -> HeadSet:
    """The same heads, named at image tokens, where their output at ``tokens`` is read."""
    joint = 2 * geometry.joint_blocks
    shift = 1 if tokens is TokenRoute.text else 0
    return HeadSet(tuple(Head(place + shift if place < joint else place, head) for place, head in heads))
