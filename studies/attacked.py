"""What was tried to fool the test of wordings, what held, and by how much: the tables of docs/verdict.md.

python -m studies.attacked tests     the tests of wordings against what fools them (2 minutes of one core)
python -m studies.attacked draws     which number of a network to rank among untrained draws (4 minutes)
"""

import argparse
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from plantain.stats.both import both
from plantain.stats.bounds import item_calibration
from plantain.stats.dispersion import dispersion_test
from plantain.stats.multiplicity import holm
from plantain.stats.pivot import largest_pivot
from plantain.stats.signflip import Labels
from plantain.stats.simulated import attacks
from plantain.stats.simulated.scenarios import Random, factors, fresh
from plantain.stats.template import concept_information, template_test
from plantain.stats.validate import Floats
from studies.scoring import BETWEEN_ITEMS, FACTORS, HEADS, SHARED, SIDE, _network, pooled_t

DATA_SETS = 200
LEVEL = 0.05
CONCEPT = 2.5
SMALLER = 200
"""Heads where the test is slow."""
PERMUTATIONS = 100
"""Relabellings of a test, drawn anew for each data set, the observed one among them: valid, and quick."""
PROBES = 50
FAMILIES = 40

Draw = Callable[[Random], Mapping[str, float]]


@dataclass(frozen=True)
class Case:
    """One kind of data, and what is asked of each data set."""

    name: str
    draw: Draw


def passed(
    random: Random, values: Floats, first: int, *, clusters: Labels | None = None, frames: Labels | None = None
) -> float:
    seed = fresh(random)
    return attacks.passed(values, first, clusters=clusters, frames=frames, permutations=PERMUTATIONS, seed=seed)


def keyword(used: tuple[int, int], side: int = SIDE) -> Case:
    def draw(random: Random) -> Mapping[str, float]:
        values = attacks.keyword(random, HEADS, side, used, CONCEPT)
        tied = passed(random, values, side, clusters=attacks.tied(side, used))
        return {"as independent": passed(random, values, side), "tied by surplus": tied}

    return Case(f"a word of {CONCEPT} SD in {used[0]} of {side} wordings against {used[1]}", draw)


def copies(really: int, side: int = SIDE, correlation: float = 1.0) -> Case:
    def draw(random: Random) -> Mapping[str, float]:
        values = attacks.copies(random, HEADS, side, really, correlation)
        declared = passed(random, values, side, clusters=attacks.copied(side, really))
        return {"as independent": passed(random, values, side), "declared as clusters": declared}

    number = side / (1 + (side / really - 1) * correlation)
    said = f"correlation {correlation:g} (effective number {number:.1f})"
    return Case(f"{side} + {side} wordings that are {really} + {really}, {said}", draw)


def _repeated(random: Random) -> Mapping[str, float]:
    values, blocks = np.repeat(factors(random, 8, HEADS), 4, axis=0), np.repeat(np.arange(8), 4)
    apart = item_calibration(values, flips=PERMUTATIONS, seed=fresh(random)).lower_bound()
    whole = item_calibration(values, flips=PERMUTATIONS, blocks=blocks).lower_bound()
    return {"rung 1, as independent": float(apart > 0), "rung 1, declared as blocks": float(whole > 0)}


def spread(sides: tuple[int, int], ratio: float) -> Case:
    def draw(random: Random) -> Mapping[str, float]:
        values, first = attacks.unequal(random, SMALLER, sides, ratio), sides[0]
        tests = {
            name: _bound(random, values, first, studentised=welch) > 0
            for name, welch in (("pooled", False), ("studentised", True))
        }
        named = dispersion_test(values[:first], values[first:]).p <= LEVEL
        return {**tests, "dispersion p <= 5%": named, "studentised and not named": tests["studentised"] and not named}

    return Case(f"{sides[0]} + {sides[1]} wordings of one mean, SD ratio {ratio:g}", draw)


def _bound(random: Random, values: Floats, first: int, studentised: bool | None = None) -> int:
    return template_test(
        values[:first], values[first:], studentised=studentised, permutations=PERMUTATIONS, seed=fresh(random)
    ).lower_bound


def frames(size: float) -> Case:
    def draw(random: Random) -> Mapping[str, float]:
        values = attacks.framed(random, HEADS, 8, size)
        within = passed(random, values, 8, frames=list(range(8)) * 2)
        return {"exchanged freely": passed(random, values, 8), "exchanged within frames": within}

    return Case(f"8 frames, correlation {attacks.SHARED:g}, concept of {size:g} SD", draw)


def control(pairs: int, concept: float) -> Case:
    name = "the words alone" if concept == 0 else f"a concept of {concept:g} SD beside the words"
    return Case(
        f"{pairs} + {pairs} frames of target and control, {name}",
        lambda random: {"told apart": attacks.control(random, HEADS, pairs, concept, permutations=PERMUTATIONS)},
    )


def power(independent: bool) -> Case:
    def draw(random: Random) -> Mapping[str, float]:
        number = SIDE if independent else 8
        values = factors(random, 2 * number, HEADS)
        values[:number] += attacks.shift(random, HEADS, CONCEPT)
        labels = None if independent else list(range(number)) * 2
        return {"passed": passed(random, values, number, frames=labels)}

    said = "6 + 6 independent wordings" if independent else "8 frames that share nothing, exchanged within frames"
    return Case(f"{said}, concept of {CONCEPT} SD in 60 of 600 heads", draw)


def joint(scatter: tuple[float, float], items: int) -> Case:
    def draw(random: Random) -> Mapping[str, float]:
        values = attacks.crossed(random, SMALLER, scatter, items)
        words = _bound(random, values.mean(axis=1), SIDE) > 0
        differences = values[:SIDE].mean(axis=0) - values[SIDE:].mean(axis=0)
        of_items = item_calibration(differences, flips=PERMUTATIONS, seed=fresh(random)).lower_bound() > 0
        found = both(values[:SIDE], values[SIDE:], draws=PERMUTATIONS, seed=fresh(random)).lower_bound > 0
        return {"items alone": of_items, "wordings alone": words, "both": found}

    return Case(f"{items} items: wordings scatter {scatter[0]:g}, sides of an item {scatter[1]:g}; no concept", draw)


TESTS = (
    *(keyword(used) for used in ((6, 0), (5, 1), (4, 2), (3, 2), (2, 1))),
    keyword((7, 0), 10),
    *(copies(really) for really in (3, 2, 1)),
    copies(3, correlation=0.9),
    copies(4, 12),
    copies(4, 12, correlation=0.9),
    Case("8 items, each four times", _repeated),
    *(spread((6, 6), ratio) for ratio in (1.0, 0.3, 0.1)),
    *(spread((8, 4), ratio) for ratio in (1.0, 0.3, 0.1, 3.0)),
    *(frames(size) for size in (0.0, 0.5, 1.0, 1.5)),
    *(control(pairs, concept) for pairs in (4, 6) for concept in (0.0, 2.5, 4.0)),
    power(independent=True),
    power(independent=False),
    *(joint(scatter, items) for items in (10, 30) for scatter in ((3.0, 0.0), (0.0, 3.0), (1.0, 3.0))),
)


def main() -> None:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("python -m studies.attacked", description=__doc__, formatter_class=raw)
    parser.add_argument("table", choices=["tests", "draws"])
    parser.add_argument("sets", nargs="?", type=int, default=DATA_SETS, help="data sets a row (%(default)s)")
    options = parser.parse_args()
    for line in tests(options.sets) if options.table == "tests" else draws(options.sets):
        print(line, flush=True)


def tests(sets: int) -> Iterator[str]:
    """A row a kind of data: how often each test passes."""
    yield "| data | passes, in % of data sets (SE) |"
    yield "|---|---|"
    for index, case in enumerate(TESTS):
        random = np.random.Generator(np.random.Philox([index, 1]))
        outcomes = [case.draw(random) for _ in range(sets)]
        rates = (f"{name} {percent([one[name] for one in outcomes])}" for name in outcomes[0])
        yield f"| {case.name} | {'; '.join(rates)} |"
    alone, corrected = many_probes(min(FAMILIES, sets))
    either = f"each at 5% {percent(alone)}; Holm {percent(corrected)}"
    yield f"| {PROBES} probes without a concept, one of which passes | {either} |"


def many_probes(families: int) -> tuple[list[float], list[float]]:
    """Whether one of `PROBES` null probes passes, at its own level and after Holm; 100 heads, 7 + 7 wordings."""
    random = np.random.Generator(np.random.Philox([0, 2]))
    alone, corrected = [], []
    for _ in range(families):
        p = np.array([_null_p(random) for _ in range(PROBES)])
        alone.append(float(p.min() <= LEVEL))
        corrected.append(float(holm(p).min() <= LEVEL))
    return alone, corrected


def _null_p(random: Random) -> float:
    values = factors(random, 14, 100)
    return template_test(values[:7], values[7:]).simes_p


def percent(outcomes: list[float]) -> str:
    share = float(np.mean(outcomes))
    return f"{100 * share:.3g} ({100 * math.sqrt(share * (1 - share) / len(outcomes)):.2g})"


@dataclass(frozen=True)
class Plant:
    """What the trained network has and the draws have not."""

    size: float
    heads: int
    shared: float
    """Share of the variance between wordings that all networks have in common."""


PLANTS = tuple(
    Plant(size, heads, shared)
    for shared in (SHARED, 0.0)
    for size, heads in ((10, 3), (10, 10), (10, 60), (2.5, 60), (0, 0))
)
DF = 2 * SIDE - 2
BOUNDED = 10
"""The lower bound is slow, and asked of one data set in so many, with the fewer draws."""
FEWER, MORE = 19, 39


def numbers(values: Floats, *, bound: bool) -> dict[str, float]:
    """The numbers of one network that it could be ranked by."""
    t = pooled_t(values[:SIDE], values[SIDE:])
    found = {
        "largest pivot": largest_pivot(t, DF),
        "count over 3": float(np.count_nonzero(np.abs(t) > 3)),
        "largest t": float(np.abs(t).max()),
        "information": concept_information(t, DF),
    }
    return found | ({"lower bound": float(template_test(values[:SIDE], values[SIDE:]).lower_bound)} if bound else {})


def networks(plant: Plant, number: int, random: Random) -> Iterator[Floats]:
    """The trained network and draws that are not, wordings ``(2 SIDE, heads)``."""
    text = random.normal(size=(2 * SIDE, len(FACTORS)))
    for at in range(number + 1):
        draw = _network(random, plant.shared)
        values = draw(2 * SIDE, text) + BETWEEN_ITEMS / math.sqrt(10) * draw(2 * SIDE)
        if at == 0 and plant.heads:
            heads = random.choice(HEADS, plant.heads, replace=False)
            values[:SIDE, heads] += plant.size * random.choice((-1.0, 1.0), plant.heads)
        yield values


def draws(sets: int) -> Iterator[str]:
    """How often each number of a network ranks among the largest 5%, with 19 and 39 draws."""
    yield "| planted | wording noise shared | draws | ranked among the largest 5%, in % of data sets (SE) |"
    yield "|---|---|---|---|"
    for index, plant in enumerate(PLANTS):
        random = np.random.Generator(np.random.Philox([index, 3]))
        found = [_network_numbers(plant, random, bound=at < sets // BOUNDED) for at in range(sets)]
        for number in (FEWER, MORE):
            ranked = [ranked_high(one, number) for one in found]
            rates = (f"{name} {percent([one[name] for one in ranked if name in one])}" for name in ranked[0])
            yield f"| {plant.size:g} SD in {plant.heads} heads | {plant.shared:g} | {number} | {'; '.join(rates)} |"


def _network_numbers(plant: Plant, random: Random, *, bound: bool) -> list[dict[str, float]]:
    drawn = enumerate(networks(plant, MORE, random))
    return [numbers(values, bound=bound and at <= FEWER) for at, values in drawn]


def ranked_high(found: list[dict[str, float]], number: int) -> dict[str, float]:
    """Which numbers rank p <= 5%; also three of them combined: the smallest of their ranks, ranked in turn.

    Args:
        found: numbers of the trained network, then of its draws.
        number: draws to rank among.
    """
    known = [name for name in found[0] if name in found[number]]
    ranks = {name: _ranks(np.array([one[name] for one in found[: number + 1]])) for name in known}
    least = np.min([ranks[name] for name in ("largest t", "count over 3", "information")], axis=0)
    ranks["smallest of three ranks"] = _ranks(-least)
    return {name: float(rank[0] <= LEVEL * (1 + 1e-9)) for name, rank in ranks.items()}


def _ranks(values: Floats) -> Floats:
    """Share of networks, itself counted, that reach each network."""
    return np.asarray((values[:, None] <= values).mean(axis=1))


if __name__ == "__main__":
    main()
