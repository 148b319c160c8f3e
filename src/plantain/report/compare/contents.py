"""What may be compared, and how: fairness, counts at equal N, overlap with chance, prompt differences.

Heads of two initialisations do not correspond, so two networks are compared only by numbers that do not change when
the units of a block are reordered; per head only within one model.
"""

import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, islice

import numpy as np
import polars as pl

from plantain.report import words as wording
from plantain.report.result import Analysis, Result

SUBSETS = 200
MOST_PAIRS = 12
TOP_SHARE = 0.05


@dataclass(frozen=True)
class EqualN:
    """Units over |t| 3 if there were only ``pairs`` pairs: mean and 5 to 95% range over random subsets."""

    pairs: int
    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        if self.low == self.high == self.mean:
            return wording.number(self.mean)
        return f"{self.mean:.0f} [{self.low:.0f} to {self.high:.0f}]"


@dataclass(frozen=True)
class Overlap:
    """How many of the ``size`` units of largest |t| two results share, and what chance gives."""

    size: int
    shared: int
    expected: float
    at_most: int
    """95% of random picks share no more than this."""


@dataclass(frozen=True)
class PromptDiff:
    """Records that two prompt sets share, change, or hold alone."""

    same: int
    changed: list[tuple[str, str, str, str]]
    """(item, condition, prompt in the first, prompt in the second)"""
    only_a: int
    only_b: int


def pairs(results: Sequence[Result]) -> list[tuple[Result, Result]]:
    """All pairs of up to three; beyond, each model against its untrained twin and each model's probes."""
    if len(results) <= 3:
        every = list(combinations(results, 2))
    else:
        siblings = (pair for pair in _within(results, lambda r: r.digests["model lock"]) if _siblings(*pair))
        every = [pair for pair in _within(results, lambda r: r.probe) if twins(*pair)]
        every += islice(siblings, MOST_PAIRS)
    return sorted(every, key=lambda pair: not twins(*pair))[:MOST_PAIRS]


def _within(results: Sequence[Result], key: Callable[[Result], str]) -> Iterator[tuple[Result, Result]]:
    """Pairs of results that share a key, in their order; all pairs would be as many as the square of the results."""
    left = {name: deque(group) for name, group in _grouped(results, key).items()}
    for result in results:
        group = left[key(result)]
        group.popleft()
        yield from ((result, other) for other in group)


def _grouped(results: Sequence[Result], key: Callable[[Result], str]) -> dict[str, list[Result]]:
    found: dict[str, list[Result]] = {}
    for result in results:
        found.setdefault(key(result), []).append(result)
    return found


def twins(a: Result, b: Result) -> bool:
    """One probe on a model and on its untrained version."""
    return a.probe == b.probe and a.model == b.lock.of


def same_model(a: Result, b: Result) -> bool:
    """The very same weights: only then do heads correspond."""
    return a.digests["model lock"] == b.digests["model lock"]


def _siblings(a: Result, b: Result) -> bool:
    return a.probe != b.probe and same_model(a, b) and not a.lock.of


def same_geometry(a: Result, b: Result) -> bool:
    """Maps of equal shape."""
    columns = ["block_kind", "block", "column"]
    return bool(a.main.table.select(columns).equals(b.main.table.select(columns)))


def unfair(results: Sequence[Result]) -> list[str]:
    """Why the results cannot simply be read side by side; empty where they can."""
    found = []
    for probe, group in _grouped(results, lambda r: r.probe).items():
        digests = {result.prompts_sha256 for result in group}
        if len(digests) > 1:
            found.append(f"The prompt sets of {probe} differ: {', '.join(sorted(d[:12] for d in digests))}.")
    found += [
        f"{a.address} and {b.address} give the very same numbers: they are one network, and no control for each other."
        for a, b in _within(results, lambda r: r.probe)
        if a.model != b.model and a.main.table["t"].equals(b.main.table["t"])
    ]
    found += _differing(results, "Probes", lambda r: r.probe, "other prompts give other counts")
    found += _differing(results, "Contrasts", lambda r: r.main.contrast, "they ask different things")
    trained = [result for result in results if not result.lock.of]
    found += _differing(trained, "Models", lambda r: r.model, "their heads do not correspond")
    found += _differing(results, "Numbers of pairs", lambda r: f"{r.main.metrics['pairs']:.0f}",
                        "counts grow with the square root of N, so read them at equal N")  # fmt: skip
    found += _differing(results, "Analyses", _settings, "counts of different measures say nothing about each other")
    found += _differing(results, "Captures", _capture, "precision, size and noise change every number")
    return found


def unfair_within(results: Sequence[Result]) -> list[str]:
    """Why results of one probe cannot be read side by side; that probes differ is for the sections that mix them."""
    reasons = [unfair(group) for group in _grouped(results, lambda r: r.probe).values()]
    return list(dict.fromkeys(reason for found in reasons for reason in found))


def _differing(results: Sequence[Result], what: str, key: Callable[[Result], str], why: str) -> list[str]:
    values = list(dict.fromkeys(key(result) for result in results))
    return [f"{what} differ ({'; '.join(values)}): {why}."] if len(values) > 1 else []


def _settings(result: Result) -> str:
    main = result.main
    return f"{main.name}: {wording.units_noun(main)}, {wording.measure_phrase(main)}"


def _capture(result: Result) -> str:
    lock = result.lock
    return f"{lock.dtype}, {lock.height} by {lock.width} pixels, {lock.max_sequence_length} text positions"


def equal_n(analysis: Analysis, count: int) -> EqualN | None:
    """Count over |t| 3 with ``count`` of the pairs, over random subsets; None where differences are not stored."""
    if analysis.differences is None:
        return None
    values = analysis.differences.drop("item").to_numpy()
    if len(values) <= count:
        exact = float(analysis.metrics.get("heads_over_t3", np.nan))
        return EqualN(len(values), exact, exact, exact)
    rng = np.random.Generator(np.random.Philox(count))
    counts = [_over(values[rng.permutation(len(values))[:count]]) for _ in range(SUBSETS)]
    low, high = np.quantile(counts, (0.05, 0.95))
    return EqualN(count, float(np.mean(counts)), float(low), float(high))


def _over(values: np.ndarray, threshold: float = 3.0) -> int:
    spread = values.std(0, ddof=1)
    mean = np.abs(values.mean(0)) * np.sqrt(len(values))
    return int((mean > threshold * spread).sum())


def overlap(a: Analysis, b: Analysis) -> Overlap:
    """Of the largest |t|, how many are shared; chance is the hypergeometric distribution."""
    units = min(len(a.table.drop_nulls("t")), len(b.table.drop_nulls("t")))
    size = max(1, round(TOP_SHARE * units))
    tops = [
        set(x.table.drop_nulls("t").sort(pl.col("t").abs(), "unit", descending=[True, False]).head(size)["unit"])
        for x in (a, b)
    ]
    return Overlap(size, len(tops[0] & tops[1]), size * size / units, shared_by_chance(units, size))


def shared_by_chance(units: int, size: int) -> int:
    """The fewest that two random sets of ``size`` of the units share at most with a probability of 95% or more.

    Counted in whole numbers, by the ratio of each to the next: SciPy's distributions take longer to import.
    """
    shared = max(0, 2 * size - units)
    ways = math.comb(size, shared) * math.comb(units - size, size - shared)
    so_far, needed = ways, 19 * math.comb(units, size)
    while 20 * so_far < needed:
        ways = ways * (size - shared) ** 2 // ((shared + 1) * (units - 2 * size + shared + 1))
        shared += 1
        so_far += ways
    return shared


def map_difference(a: Result, b: Result) -> tuple[pl.Series, str]:
    """Mean difference of ``a`` minus that of ``b``: head by head within one model, else sorted by size in each block.

    It is in the measure's own units in both. A t is not: its denominator is another in every network.
    """
    if same_model(a, b):
        said = "Mean difference of the first minus that of the second, head by head."
        return a.main.table["mean_difference"] - b.main.table["mean_difference"], said
    ordered = [_sorted(result.main.table) for result in (a, b)]
    said = (
        "Sizes of the mean difference sorted within each block, largest first, then subtracted: "
        "heads of two networks do not correspond."
    )
    return ordered[0] - ordered[1], said


def _sorted(table: pl.DataFrame) -> pl.Series:
    size = pl.col("mean_difference").abs().fill_null(0.0)
    ordered = size.sort(descending=True).over("block_kind", "block", "part", mapping_strategy="group_to_rows")
    return table.select(ordered.alias("size"))["size"]


def prompt_diff(a: Result, b: Result) -> PromptDiff:
    """Records by item and condition."""
    keys = ["item", "condition"]
    both = a.records.select(*keys, "prompt", "sha256").join(
        b.records.select(*keys, "prompt", "sha256"), on=keys, how="full", coalesce=True, suffix="_b",
        maintain_order="left_right",
    )  # fmt: skip
    shared = both.filter(pl.col("sha256").is_not_null() & pl.col("sha256_b").is_not_null())
    changed = shared.filter(pl.col("sha256") != pl.col("sha256_b"))
    only_a, only_b = both["sha256_b"].null_count(), both["sha256"].null_count()
    rows = list(changed.select(*keys, "prompt", "prompt_b").iter_rows())
    return PromptDiff(len(shared) - len(changed), rows, only_a, only_b)
