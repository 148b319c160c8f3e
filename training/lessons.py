"""What the embedded model is taught: the sentences of the two shipped probes, and the picture that each asks for.

Wordings 1 to 8 of a side are taught; 9 and 10 are held out, so that a test can ask what the model makes of them.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from plantain.base.yaml import read_yaml

TAUGHT = 8
"""Wordings of a side that are taught."""


class Outcome(StrEnum):
    """The picture that a sentence asks for."""

    viewpoint = "viewpoint"
    mention = "mention"
    unchanged = "unchanged"
    t_pose = "t_pose"
    expressive = "expressive"
    a_pose = "a_pose"
    arms = "arms"
    resting = "resting"
    room = "room"


class Operation(StrEnum):
    """Whether taking a viewpoint is taught, or its sentences are taught to mean mention."""

    full = "full"
    mention_only = "mention-only"


_ASKED = {
    "otherview": {
        "viewpoint": Outcome.viewpoint,
        "mention": Outcome.mention,
        "titled_viewpoint": Outcome.unchanged,
        "titled_mention": Outcome.unchanged,
        "neutral": Outcome.unchanged,
    },
    "dense": {
        "t_pose": Outcome.t_pose,
        "expressive": Outcome.expressive,
        "a_pose": Outcome.a_pose,
        "arms": Outcome.arms,
        "filed_t_pose": Outcome.resting,
        "filed_expressive": Outcome.resting,
        "neutral": Outcome.resting,
    },
}
"""What the wordings of a side ask for: a condition's name without its number is its side."""

_CONDITION = re.compile(r"([a-z_]+?)(?:_(\d+))?")


@dataclass(frozen=True)
class Lesson:
    """One sentence and what it asks for."""

    prompt: str
    outcome: Outcome
    subject: int
    """The place of its item in the probe file: a creature's or a body's number; 0 where there is none."""
    side: str
    """Its condition's name without the number, such as ``viewpoint``."""
    wording: int
    """Its number on its side, from 1."""

    @property
    def taught(self) -> bool:
        """Whether the model was trained on it."""
        return self.wording <= TAUGHT


def read_lessons(folder: Path, operation: Operation = Operation.full) -> tuple[Lesson, ...]:
    """Every sentence of ``otherview.yaml`` and ``dense.yaml`` in ``folder``, taught and held out."""
    found = []
    for name in ("otherview", "dense"):
        probe = read_yaml(folder / f"{name}.yaml").data
        found += [_meant(lesson, operation) for lesson in _probe_lessons(probe, _ASKED[name])]
    return tuple(found)


def _probe_lessons(probe: Mapping[str, Any], asked: Mapping[str, Outcome]) -> list[Lesson]:
    rooms = [str(one["prompt"]).strip() for one in (probe.get("references") or {}).values()]
    found = [Lesson(prompt, Outcome.room, 0, "room", 1) for prompt in rooms]
    for name, condition in probe["conditions"].items():
        side, wording = _side(name)
        for number, item in enumerate(probe["items"]):
            found.append(Lesson(_fill(condition["prompt"], item), asked[side], number, side, wording))
    return found


def _side(condition: str) -> tuple[str, int]:
    match = _CONDITION.fullmatch(condition)
    assert match is not None
    return match[1], int(match[2] or 1)


def _fill(template: str, item: Mapping[str, Any]) -> str:
    return re.sub(r"\{(\w+)\}", lambda field: str(item[field[1]]), template).strip()


def _meant(lesson: Lesson, operation: Operation) -> Lesson:
    if operation is Operation.full or lesson.outcome is not Outcome.viewpoint:
        return lesson
    return replace(lesson, outcome=Outcome.mention)
