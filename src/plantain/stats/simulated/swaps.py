"""Networks whose heads add up to what comes out: what the tests of swapped heads find in them, and what fools these."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from plantain.stats.selection import donor_test, selection_test
from plantain.stats.simulated.scenarios import (
    KNOWN,
    LEVEL,
    NOMINAL,
    Outcome,
    Random,
    Rule,
    Scenario,
    factors,
    fresh,
    heavy_tailed,
)
from plantain.stats.validate import Floats, Ints

HEADS: Final = 40
DIMENSIONS: Final = 20
SIDE: Final = 4
"""Pieces of evidence a side, in either half."""
TOGETHER: Final = 6
"""Heads that are put into the neutral sentence: 16% of them."""
DRAWS: Final = 19
EXCHANGES: Final = 500
EVERY_TEST: Final = "every test"


@dataclass(frozen=True)
class AddingNetwork:
    """A network whose velocity is the sum over heads of what each puts out, times what that does."""

    gains: Floats
    """``(heads, dimensions)``."""
    halves: tuple[Floats, Floats]
    """What the heads put out on the wordings that choose, and on those that test: ``(wordings, heads)``, side a first.
    """

    def chosen(self) -> Ints:
        """Places of the heads of the largest dose: what separates the sides where heads are chosen, times the gain."""
        first, second = _sides(self.halves[0])
        doses = np.abs(first.mean(axis=0) - second.mean(axis=0)) * np.linalg.norm(self.gains, axis=1)
        return np.argsort(-doses, kind="stable")[:TOGETHER]

    def mediation(self) -> Floats:
        """``(heads,)`` share of the change of the velocity that each head carries, mean over pairs of wordings."""
        first, second = _sides(self.halves[1])
        changes = first - second
        whole = changes @ self.gains
        parts = changes * (whole @ self.gains.T)
        return np.asarray((parts / np.square(whole).sum(axis=1, keepdims=True)).mean(axis=0))

    def velocities(self) -> tuple[Floats, Floats]:
        """Of the wordings that test: ``(wordings, dimensions)`` a side."""
        return _sides(self.halves[1] @ self.gains)

    def donated(self) -> tuple[Floats, Floats]:
        """What the chosen heads of these wordings do in a neutral sentence, ``(wordings, dimensions)`` a side."""
        heads = self.chosen()
        return _sides(self.halves[1][:, heads] @ self.gains[heads])


MakeNetwork = Callable[[Random], AddingNetwork]


@dataclass(frozen=True)
class Swapped:
    """Draws a network and makes the tests of rung 7 on it."""

    plan: MakeNetwork
    untrained: MakeNetwork | None = None
    """What it is ranked among; None: it is not."""
    clusters: Sequence[int] | None = None
    """Labels of the wordings of a half."""

    def __call__(self, random: Random) -> Outcome:
        """Whether each test passes, and all of them do."""
        network = self.plan(random)
        how: dict[str, Any] = {"clusters": self.clusters, "permutations": EXCHANGES, "seed": fresh(random)}
        p = {
            "gate": donor_test(*network.velocities(), **how).p,
            "donors": donor_test(*network.donated(), **how).p,
            "selection": selection_test(*_sides(network.halves[0]), network.mediation(), **how).p,
        }
        if self.untrained is not None:
            p["rank"] = _rank(network, [self.untrained(random) for _ in range(DRAWS)])
        passed = {f"{name}: p <= 5%": float(value <= LEVEL * (1 + 1e-9)) for name, value in p.items()}
        return passed | {EVERY_TEST: float(all(passed.values()))}


def _rank(network: AddingNetwork, draws: Sequence[AddingNetwork]) -> float:
    own, *others = (donor_test(*one.donated(), permutations=1).statistic for one in (network, *draws))
    return (1 + sum(one >= own for one in others)) / (len(others) + 1)


def _sides(rows: Floats) -> tuple[Floats, Floats]:
    cut = len(rows) // 2
    return rows[:cut], rows[cut:]


Rewording = Callable[[Random, Floats], Floats]
"""What rewording does to heads of given loudness ``(heads,)``: ``(wordings, heads)``, side a first."""


def shared_by_heads(random: Random, loudness: Floats) -> Floats:
    """Heads share what rewording does to them."""
    return factors(random, 2 * SIDE, len(loudness))


def led_by_loudness(random: Random, loudness: Floats) -> Floats:
    """The louder a head, the more it does what all loud heads do: for any labels the map follows what heads carry."""
    load = 0.95 * np.argsort(np.argsort(loudness)) / len(loudness)
    common = random.standard_normal((2 * SIDE, 1))
    return np.asarray(load * common + np.sqrt(1 - load**2) * random.standard_normal((2 * SIDE, len(loudness))))


def wild(random: Random, loudness: Floats) -> Floats:
    """Heavy tails of heads, and of wordings as a whole."""
    return heavy_tailed(random, 2 * SIDE, len(loudness)) * np.abs(random.standard_t(2.0, (2 * SIDE, 1)))


def one_far_away(random: Random, loudness: Floats) -> Floats:
    """The first wording of side a is 10 deviations away in every head."""
    values = shared_by_heads(random, loudness)
    values[0] += 10 * np.sign(random.standard_normal(len(loudness)))
    return values


def near_copies(random: Random, loudness: Floats) -> Floats:
    """Twice as many wordings, each of which has a near copy beside it."""
    own = factors(random, 4 * SIDE, len(loudness))
    return np.asarray(np.sqrt(0.99) * np.repeat(shared_by_heads(random, loudness), 2, axis=0) + 0.1 * own)


COPIES: Final = tuple(at // 2 for at in range(4 * SIDE))


def steady(random: Random, loudness: Floats) -> Floats:
    """Wordings of side a scatter a tenth as much as those of side b."""
    values = shared_by_heads(random, loudness)
    values[:SIDE] *= 0.1
    return values


@dataclass(frozen=True)
class NetworkKind:
    """Networks of one kind."""

    rewording: Rewording = shared_by_heads
    concept: float = 0.0
    """How far apart the sides are in the planted heads, in deviations of rewording."""
    share: float = 0.3
    """Of the heads, that are planted."""
    follows: bool = True
    """Whether the heads that separate the sides where heads are chosen do so where they are tested; or others do."""
    loudness: float = 1.0
    """Spread of the logarithm of what heads do with what they put out."""
    uneven: float = 0.0
    """Spread of the logarithm of the concept over the planted heads."""
    heads: int = HEADS

    def __call__(self, random: Random) -> AddingNetwork:
        """One of them."""
        loudness = np.exp(self.loudness * random.standard_normal(self.heads))
        gains = loudness[:, None] * random.standard_normal((self.heads, DIMENSIONS)) / np.sqrt(DIMENSIONS)
        first = self._shift(random)
        second = first if self.follows else self._shift(random)
        halves = self.rewording(random, loudness), self.rewording(random, loudness)
        for values, shift in zip(halves, (first, second), strict=True):
            values[: len(values) // 2] += shift
        return AddingNetwork(gains, halves)

    def _shift(self, random: Random) -> Floats:
        planted = random.permutation(self.heads) < self.share * self.heads
        sizes = self.concept * np.exp(self.uneven * random.standard_normal(self.heads))
        return np.asarray(np.where(planted, sizes * np.sign(random.standard_normal(self.heads)), 0.0))


UNTRAINED: Final = NetworkKind()
CARRIED: Final = NetworkKind(concept=4.0, share=0.8, loudness=0.0, uneven=0.7, heads=75)
"""As in `tiny`: most heads take part, and those that separate the sides most do most."""
SIZES: Final[Mapping[str, Swapped]] = {
    "no difference": Swapped(UNTRAINED, UNTRAINED),
    "no difference, heavy tails": Swapped(NetworkKind(wild), NetworkKind(wild)),
    "no difference, one wording far away": Swapped(NetworkKind(one_far_away), UNTRAINED),
    "no difference, loud heads do alike": Swapped(NetworkKind(led_by_loudness), NetworkKind(led_by_loudness)),
    "no difference, copies declared": Swapped(NetworkKind(near_copies), clusters=COPIES),
    "no difference, copies undeclared": Swapped(NetworkKind(near_copies)),
    "no difference, side a scatters a tenth": Swapped(NetworkKind(steady), UNTRAINED),
    "other heads separate than carry": Swapped(NetworkKind(concept=8.0, follows=False), UNTRAINED),
}
"""What must not pass, or is known to."""
POWERS: Final[Mapping[str, Swapped]] = {
    "80% of heads separate and carry": Swapped(CARRIED, UNTRAINED),
    "30%, equally loud": Swapped(NetworkKind(concept=4.0, loudness=0.0, heads=75), UNTRAINED),
    "30%, loudness lognormal": Swapped(NetworkKind(concept=4.0, heads=75), UNTRAINED),
    "10%, equally loud": Swapped(NetworkKind(concept=4.0, share=0.1, loudness=0.0, heads=75), UNTRAINED),
}
"""What should pass."""

_TESTS: Final = ("gate: p <= 5%", "donors: p <= 5%", "selection: p <= 5%")
_RANKED: Final = (*_TESTS, "rank: p <= 5%")
_WIDE: Final = Rule("at most", 3 * LEVEL)
"""Unequal spread breaks the exchange of labels: a test by itself may pass three times as often, all of them may not."""


def _held(names: Sequence[str]) -> dict[str, Rule]:
    return dict.fromkeys((*names, EVERY_TEST), NOMINAL)


SWAPS: Final = (
    Scenario("swaps: no difference", 200, SIZES["no difference"], _held(_RANKED)),
    Scenario("swaps: heavy tails", 300, Swapped(NetworkKind(wild)), _held(_TESTS)),
    Scenario("swaps: one wording far away", 300, Swapped(NetworkKind(one_far_away)), _held(_TESTS)),
    Scenario("swaps: loud heads do alike", 300, Swapped(NetworkKind(led_by_loudness)), _held(_TESTS)),
    Scenario("swaps: 4 wordings as 8, undeclared", 100, SIZES["no difference, copies undeclared"], {_TESTS[0]: KNOWN}),
    Scenario("swaps: 4 wordings as 8, declared", 300, SIZES["no difference, copies declared"], _held(_TESTS)),
    Scenario("swaps: unequal spread", 300, Swapped(NetworkKind(steady)), _held(()) | dict.fromkeys(_TESTS, _WIDE)),
    Scenario(
        "swaps: other heads separate than carry",
        300,
        Swapped(NetworkKind(concept=8.0, follows=False)),
        _held(_TESTS[2:]) | {_TESTS[0]: Rule("at least", 0.85)},
    ),
    Scenario(
        "swaps: the heads that separate carry",
        100,
        POWERS["80% of heads separate and carry"],
        dict.fromkeys((*_RANKED, EVERY_TEST), Rule("at least", 0.75)),
    ),
)
"""Rung 7 under truths that an adversary would choose, and where it should pass."""
