"""What a reader looks at first in two results: how far each verdict got, and the numbers that stand first."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import zip_longest
from typing import Final

from plantain.base.config import VERDICT_ANALYSIS
from plantain.probe.speaking import repeating, speaking
from plantain.records.verdict import NAMES, Climb
from plantain.track.sides import Metrics, Side

FIRST: Final = (
    "heads_over_t3", "heads_over_t5", "null_mean_t3", "null_p99_t3", "max_abs_t", "split_half_r", "effect",
    "selective_heads_lower_bound", "delta", "concept_information",
)  # fmt: skip
_OF_CARD: Final = ("heads_over_t3", "null_p99_t3", "split_half_r")


@dataclass(frozen=True)
class Headline:
    """A number on both sides; None where a side does not have it."""

    name: str
    """``contrast.analysis.metric``; of both contrasts where they differ."""
    before: float | None
    after: float | None
    of: tuple[float | None, float | None] = (None, None)
    """``alive_units`` of a count."""


@dataclass(frozen=True)
class RungChange:
    """A rung that fared otherwise."""

    rung: int
    name: str
    before: str
    after: str
    """``passed``, ``failed``, ``not tested`` or ``reported``."""
    reason: str
    """Why it is as it is afterwards; empty where it was passed."""


@dataclass(frozen=True)
class VerdictChange:
    """How far the ladder was climbed on both sides; None for a side that was not judged."""

    before: int | None
    after: int | None
    rungs: tuple[RungChange, ...]

    def __str__(self) -> str:
        if self.before == self.after:
            return f"rung {self.after} on both sides ({_name(self.after)})"
        if self.before is not None and self.after is not None:
            return f"rung {self.before} -> {self.after} ({_name(self.before)} -> {_name(self.after)})"
        left, right = ("none" if one is None else f"rung {one} ({_name(one)})" for one in (self.before, self.after))
        return f"{left} -> {right}"


def verdict_change(before: Side, after: Side, contrast: str | None) -> VerdictChange | None:
    """The two verdicts, of one contrast or of those that speak for their cells; None where neither was judged."""
    old, new = before.climb(contrast), after.climb(contrast)
    rungs = before.rung(contrast), after.rung(contrast)
    if rungs == (None, None):
        return None
    return VerdictChange(*rungs, tuple(_moved(old, new)) if old and new else ())


def headlines_of(before: Side, after: Side, contrast: str | None) -> list[Headline]:
    """The numbers that stand first in either result, moved or not."""
    left, right = before.metrics(contrast), after.metrics(contrast)
    return [
        *_rows(left, right, speaking, VERDICT_ANALYSIS, FIRST),
        *_rows(left, right, repeating, "card", _OF_CARD),
    ]


def _rows(
    left: Metrics,
    right: Metrics,
    choose: Callable[[Iterable[str]], str | None],
    analysis: str,
    names: tuple[str, ...],
) -> Iterator[Headline]:
    contrasts = [choose(side) for side in (left, right)]
    old, new = (
        side.get(contrast or "", {}).get(analysis, {}) for side, contrast in zip((left, right), contrasts, strict=True)
    )
    place = " / ".join(dict.fromkeys(contrast for contrast in contrasts if contrast))
    for name in names:
        if name in old or name in new:
            of = (old.get("alive_units"), new.get("alive_units")) if name.startswith("heads_") else (None, None)
            yield Headline(f"{place}.{analysis}.{name}", old.get(name), new.get(name), of)


def _moved(old: Climb, new: Climb) -> Iterator[RungChange]:
    for left, right in zip_longest(old.rungs, new.rungs):
        if left and right and left.status != right.status:
            yield RungChange(right.rung, right.name, left.status.value, right.status.value, right.reason)


def _name(rung: int | None) -> str:
    return NAMES[rung - 1] if rung else "none passed"
