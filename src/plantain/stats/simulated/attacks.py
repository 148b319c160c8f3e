"""Data made to fool the tests of wordings: what they hold against, and what has to be declared for that."""

from collections.abc import Sequence

import numpy as np

from plantain.stats.both import both
from plantain.stats.bounds import item_calibration
from plantain.stats.control import control_test
from plantain.stats.dispersion import dispersion_test
from plantain.stats.exchange import plan_exchange
from plantain.stats.signflip import Labels
from plantain.stats.simulated.scenarios import (
    FLIPS,
    KNOWN,
    LEVEL,
    NOMINAL,
    UNITS,
    Outcome,
    Random,
    Rule,
    Scenario,
    factors,
    fresh,
)
from plantain.stats.template import template_test
from plantain.stats.validate import Floats

LEAST_ROWS = 4
"""Rows a side that a claim about a concept asks for."""
SURPLUS = 2
"""A word that one side uses in so many wordings more than the other ties them together."""
PLANTED = 0.1
"""Share of units that answer to a concept or word."""
SHARED = 0.9
"""Correlation of the wordings of one frame."""
DRAWN = 500
FOUND = Rule("at least", 0.85)


def shift(random: Random, units: int, size: float) -> Floats:
    """What a concept or word adds, ``(units,)``: `size` deviations between wordings, either way, in the first units."""
    planted = np.arange(units) < PLANTED * units
    return np.asarray(np.where(planted, size * np.sign(random.standard_normal(units)), 0.0))


def keyword(random: Random, units: int, side: int, used: tuple[int, int], size: float) -> Floats:
    """Wordings ``(2 side, units)`` without a concept; `used` of a and of b hold a word that moves units."""
    values, word = factors(random, 2 * side, units), shift(random, units, size)
    values[: used[0]] += word
    values[side : side + used[1]] += word
    return values


def tied(side: int, used: tuple[int, int]) -> list[object]:
    """Clusters by the rule of surplus: the wordings of side a that hold the word, where it is theirs."""
    return ["word" if at < used[0] and used[0] - used[1] >= SURPLUS else at for at in range(2 * side)]


def copies(random: Random, units: int, side: int, really: int, correlation: float = 1.0) -> Floats:
    """Wordings ``(2 side, units)`` without a concept, of which a side has only so many that are not much the same."""
    shared = factors(random, 2 * really, units)[np.array(copied(side, really))]
    own = factors(random, 2 * side, units)
    return np.asarray(np.sqrt(correlation) * shared + np.sqrt(1 - correlation) * own)


def copied(side: int, really: int) -> list[int]:
    """Which wording each copy is one of, of a then b."""
    return [place + at * really // side for place in (0, really) for at in range(side)]


def framed(random: Random, units: int, frames: int, size: float = 0.0) -> Floats:
    """Wordings ``(2 frames, units)`` of which those of one frame correlate `SHARED`, and a concept."""
    shared = np.tile(factors(random, frames, units), (2, 1))
    values = np.sqrt(SHARED) * shared + np.sqrt(1 - SHARED) * factors(random, 2 * frames, units)
    values[:frames] += shift(random, units, size)
    return np.asarray(values)


def unequal(random: Random, units: int, sides: tuple[int, int], ratio: float) -> Floats:
    """Wordings of one mean, those of side a scattered `ratio` times as much as those of side b."""
    values = factors(random, sum(sides), units)
    values[: sides[0]] *= ratio
    return values


def crossed(random: Random, units: int, scatter: tuple[float, float], items: int = 10, side: int = 6) -> Floats:
    """Passes ``(2 side, items, units)`` without a concept: wordings, and what sides do to an item, scatter so much."""
    noise = random.standard_normal((2 * side, items, units)) + random.standard_normal((items, units))
    values = noise + scatter[0] * factors(random, 2 * side, units)[:, None]
    apart = scatter[1] / 2 * factors(random, items, units)
    values[:side] += apart
    values[side:] -= apart
    return values


def passed(
    values: Floats,
    first: int,
    *,
    clusters: Labels | None = None,
    frames: Labels | None = None,
    permutations: int = DRAWN,
    seed: int = 0,
) -> float:
    """1 where the test of wordings would pass: rows enough, and a bound of 1 unit or more."""
    sides = first, len(values) - first
    if min(plan_exchange(sides, clusters=clusters, frames=frames).sides) < LEAST_ROWS:
        return 0.0
    test = template_test(
        values[:first], values[first:], clusters=clusters, frames=frames, permutations=permutations, seed=seed
    )
    return float(test.lower_bound > 0)


def control(
    random: Random, units: int, pairs: int, concept: float, *, word: float = 2.5, permutations: int = DRAWN
) -> float:
    """1 where a target is told from its control: both answer to the words, the target to a concept as well."""
    words, idea = shift(random, units, word), shift(random, units, concept)
    target, other = (framed(random, units, pairs) for _ in range(2))
    differences = [values[:pairs] - values[pairs:] + words for values in (target, other)]
    scatter = np.sqrt(2 * (1 - SHARED))  # of a difference within a frame, over that of a wording
    target_differences = differences[0] + scatter * idea
    found = control_test(target_differences, differences[1], permutations=permutations, seed=fresh(random))
    return float(found.lower_bound > 0)


def _keyword(random: Random) -> Outcome:
    values = keyword(random, UNITS, 10, (7, 0), 4.0)
    return {"untied: bound > 0": passed(values, 10), "tied: bound > 0": passed(values, 10, clusters=tied(10, (7, 0)))}


def _copies(random: Random) -> Outcome:
    values = copies(random, UNITS, 12, 4)
    declared = passed(values, 12, clusters=copied(12, 4))
    return {"undeclared: bound > 0": passed(values, 12), "declared: bound > 0": declared}


def _repeated(random: Random) -> Outcome:
    values, blocks = np.repeat(factors(random, 8, UNITS), 4, axis=0), np.repeat(np.arange(8), 4)
    apart = item_calibration(values, flips=FLIPS, seed=fresh(random)).lower_bound()
    whole = item_calibration(values, flips=FLIPS, blocks=blocks).lower_bound()
    return {"without blocks: bound > 0": float(apart > 0), "with blocks: bound > 0": float(whole > 0)}


def scattered(random: Random, units: int, sides: tuple[int, int], ratio: float) -> Sequence[float]:
    """1 where the test of wordings passes, and 1 where the test of dispersion names the reason."""
    values, first = unequal(random, units, sides, ratio), sides[0]
    named = dispersion_test(values[:first], values[first:]).p <= LEVEL
    return passed(values, first, clusters=range(len(values))), float(named)


def _spread(random: Random) -> Outcome:
    passing, named = scattered(random, UNITS, (8, 4), 0.1)
    return {
        "8 + 4, ratio .1: wordings: bound > 0": passing,
        "8 + 4, ratio .1: dispersion p <= 5%": named,
        "6 + 6, ratio .3: dispersion p <= 5%": scattered(random, UNITS, (6, 6), 0.3)[1],
        "6 + 6, ratio 1: dispersion p <= 5%": scattered(random, UNITS, (6, 6), 1.0)[1],
    }


def _frames(random: Random) -> Outcome:
    null, concept, labels = framed(random, UNITS, 8), framed(random, UNITS, 8, 1.0), list(range(8)) * 2
    return {
        "no concept, within frames: bound > 0": passed(null, 8, frames=labels),
        "no concept, freely: bound > 0": passed(null, 8),
        "1 SD, within frames: bound > 0": passed(concept, 8, frames=labels),
    }


def _control(random: Random) -> Outcome:
    return {
        "words alone: bound > 0": control(random, UNITS, 6, 0.0),
        "concept of 4 SD: bound > 0": control(random, UNITS, 6, 4.0),
    }


def generalised(random: Random, units: int, scatter: tuple[float, float]) -> float:
    """1 where the bound over items and wordings together is above 0."""
    values = crossed(random, units, scatter)
    return float(both(values[:6], values[6:], draws=DRAWN, seed=fresh(random)).lower_bound > 0)


def _both(random: Random) -> Outcome:
    return {
        "only wordings vary: joint bound > 0": generalised(random, UNITS, (3.0, 0.0)),
        "only items vary: joint bound > 0": generalised(random, UNITS, (0.0, 3.0)),
        "both vary: joint bound > 0": generalised(random, UNITS, (1.0, 3.0)),
    }


def _held(known: Sequence[str], nominal: Sequence[str], found: Sequence[str] = ()) -> dict[str, Rule]:
    return dict.fromkeys(known, KNOWN) | dict.fromkeys(nominal, NOMINAL) | dict.fromkeys(found, FOUND)


ATTACKS = (
    Scenario("a word in 7 of 10 wordings", 250, _keyword, _held(["untied: bound > 0"], ["tied: bound > 0"])),
    Scenario("4 wordings as 12", 300, _copies, _held(["undeclared: bound > 0"], ["declared: bound > 0"])),
    Scenario("8 items as 32", 500, _repeated, _held(["without blocks: bound > 0"], ["with blocks: bound > 0"])),
    Scenario(
        "unequal spread, equal means",
        250,
        _spread,
        _held(
            ["8 + 4, ratio .1: wordings: bound > 0"],
            ["6 + 6, ratio 1: dispersion p <= 5%"],
            ["8 + 4, ratio .1: dispersion p <= 5%", "6 + 6, ratio .3: dispersion p <= 5%"],
        ),
    ),
    Scenario(
        "wordings in 8 frames",
        600,
        _frames,
        _held(
            [],
            ["no concept, within frames: bound > 0", "no concept, freely: bound > 0"],
            ["1 SD, within frames: bound > 0"],
        ),
    ),
    Scenario(
        "a control of the same words",
        500,
        _control,
        _held([], ["words alone: bound > 0"], ["concept of 4 SD: bound > 0"]),
    ),
    Scenario(
        "new items and new wordings",
        300,
        _both,
        _held(
            [],
            [
                "only wordings vary: joint bound > 0",
                "only items vary: joint bound > 0",
                "both vary: joint bound > 0",
            ],
        ),
    ),
)
"""What was tried to fool the tests, and what they need to be told to hold."""
