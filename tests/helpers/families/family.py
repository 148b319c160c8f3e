"""What a tiny pipeline is built by, and how it is called."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Family:
    """One architecture at the size of a test: real classes, seeded weights."""

    name: str
    make: Callable[[], Any]
    """Makes the pipeline in memory, float32 on the CPU."""
    published: str
    """The repository whose architecture it has."""
    call: Mapping[str, Any] = field(default_factory=dict)
    """What its pipeline is called with for one pass of one step, beside prompt, size and steps."""
    edits: bool = False
    """Whether its pipeline takes an image as a condition."""
