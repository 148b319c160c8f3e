"""Simulated cells with a known truth, at the geometry of FLUX.2 Klein, to see where the ladder stops.

Measured on an untrained Klein 4B at full size: means over items of 600 heads have about 4.5 to 5 effective dimensions
(participation ratio of their covariance over 12 wordings), and wordings differ 2.9 times as much as one wording does
between items. A cell is drawn from a factor model with those two numbers.
"""

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from plantain.base.files import six_digits
from plantain.base.params import Method, VerdictParams
from plantain.ladder.climb import Ladder, climb
from plantain.ladder.evidence import Evidence, Family, Reliability, Replica
from plantain.ladder.rungs import compare_templates, ranked, replica_p
from plantain.measure.plan import Rows
from plantain.stats.pivot import largest_pivot
from plantain.stats.splithalf import split_half
from plantain.stats.validate import Floats

HEADS = 600
ITEMS = 30
SIDE = 6
STRATA = tuple(label for _ in "ab" for label in ("six", "six", "seven", "seven", "eight", "eight"))
FACTORS = 0.75 ** np.arange(24)
"""Variances of the factors; the sample participation ratio over 12 wordings is then 4.5 to 5."""
BETWEEN_ITEMS = 1 / 2.9
"""Standard deviation of a wording between items, in standard deviations between wordings."""
SHARED = 0.9
"""Share of the variance between wordings that all networks take from the text, whose encoder is never untrained; 0.9 to
0.95 in re-initialised draws of `tiny` (from the linear CKA of their means over items, 0.91 to 0.95)."""
BETWEEN_CELLS = 0.3
"""Standard deviation of a wording between noise seeds and references; assumed."""


@dataclass(frozen=True)
class Truth:
    """What is planted. Sizes are in a head's standard deviations between wordings."""

    name: str
    says: str
    stops: tuple[int, ...]
    """Rungs at which the ladder should stop."""
    templates: float = 1.0
    """Standard deviation between wordings."""
    concept: float = 0.0
    concept_heads: int = 0
    untrained_too: bool = False
    """Whether untrained draws hold the same concept shift, in heads of their own."""
    outlier: float = 0.0
    """Standard deviation over heads of the shift of one wording of side a."""
    longer: bool = False
    """Side a is longer throughout, and the concept shift is really one of length."""

    shared: float = SHARED
    """Share of the variance between wordings that all networks have in common."""

    @property
    def strata(self) -> tuple[str, ...]:
        """Wordings of equal token count; where side a is longer, none is as long as one of side b."""
        return ("longer",) * SIDE + ("shorter",) * SIDE if self.longer else STRATA


_ANY = (0, 1, 2, 3, 4)

MIXED = ("long",) * 4 + ("short",) * 2 + ("long",) * 2 + ("short",) * 4
"""Strata of wordings of which side a has more long ones: length and side go together, though not wholly."""
LENGTH_HEADS, LENGTH_EFFECT = 300, 5.0
"""Heads that answer to length, and by how many SD between wordings."""

TRUTHS = (
    Truth("nothing", "the two sides do not differ", (0,), templates=0.0),
    Truth("sentences", "each sentence has a shift of its own", (1,)),
    Truth("one wording", "one sentence differs from all others", (1,), outlier=8.0),
    Truth("keyword", "a shared word acts alike with and without training", (3,), 1.0, 3.0, 120, untrained_too=True),
    Truth("length", "one side is a token longer, and only length matters", _ANY, 1.0, 2.5, 60, longer=True),
    Truth("concept", "2.5 SD between wordings in 60 of 600 heads, by training only", (6,), 1.0, 2.5, 60),
)

HARDER = replace(TRUTHS[-1], name="concept, unrelated wordings", says="as above, nothing shared", shared=0.0)
"""Untrained draws then scatter more, and fewer concepts exceed all of them; real draws share the text."""


def simulate(truth: Truth, rules: VerdictParams, seed: int) -> Evidence:
    """Draw the evidence of one cell.

    Args:
        truth: what is planted.
        rules: numbers of draws, seeds and references.
        seed: of the cell.
    """
    rng = np.random.Generator(np.random.Philox(seed))
    text = rng.normal(size=(2 * SIDE, len(FACTORS)))
    draw = _network(rng, truth.shared)
    templates = truth.templates * draw(2 * SIDE, text) + _planted(truth, rng, trained=True)
    noise = BETWEEN_ITEMS * np.stack([draw(2 * SIDE) for _ in range(ITEMS)])
    passes = templates + noise
    means = passes.mean(axis=0)
    differences = passes[:, :SIDE].mean(axis=1) - passes[:, SIDE:].mean(axis=1)
    sampled = passes[: rules.items].mean(axis=0)
    own = ranked(compare_templates(sampled[:SIDE], sampled[SIDE:], None, rules))
    cells = [(s, f"image {r}") for s in range(rules.seeds) for r in range(rules.references)]
    replicas = tuple(_replica(means + BETWEEN_CELLS * draw(2 * SIDE), truth, rules, *cell) for cell in cells)
    families = tuple(
        Family(f"drawn by {method}", method, own, *_untrained(truth, rules, rng, text)) for method in Method
    )
    return Evidence(
        differences=differences,
        a=means[:SIDE],
        b=means[SIDE:],
        reliability=_reliability(differences, rules),
        strata=truth.strata,
        families=families,
        replicas=replicas,
        has_reference=True,
    )


def stop(truth: Truth, rules: VerdictParams, seed: int) -> Ladder:
    """The ladder of one simulated cell."""
    return climb(simulate(truth, rules, seed), rules)


def rung_five_alone(rules: VerdictParams, seed: int) -> bool:
    """Whether labels permuted within strata find a head where only length matters, and side a has more long sentences.

    The ladder seldom gets there, since rung 3 stops it; this asks for the error of rung 5 by itself.
    """
    rng = np.random.Generator(np.random.Philox(seed))
    noise = BETWEEN_ITEMS / np.sqrt(ITEMS)
    draw = _network(rng)
    long = np.array([label == "long" for label in MIXED])[:, None]
    heads = LENGTH_EFFECT * (rng.permutation(HEADS) < LENGTH_HEADS)
    means = draw(2 * SIDE) + noise * draw(2 * SIDE) + long * heads
    return compare_templates(means[:SIDE], means[SIDE:], MIXED, rules).lower_bound >= 1


def participation_ratio(templates: Floats) -> float:
    """(sum of eigenvalues)^2 / sum of their squares, of the covariance of heads over ``(wordings, heads)``."""
    centred = templates - templates.mean(axis=0)
    values = np.linalg.eigvalsh(centred @ centred.T)
    return float(values.sum() ** 2 / np.square(values).sum())


class _Draw(Protocol):
    def __call__(self, number: int, text: Floats | None = None) -> Floats: ...


def _network(rng: np.random.Generator, shared: float = SHARED) -> _Draw:
    """Loadings of one network; each call draws rows of heads with unit variance, partly from the text's own scores."""
    loadings = rng.normal(size=(len(FACTORS), HEADS)) * np.sqrt(FACTORS)[:, None]
    loadings /= np.sqrt(np.square(loadings).sum(axis=0))

    def rows(number: int, text: Floats | None = None) -> Floats:
        scores = rng.normal(size=(number, len(FACTORS)))
        if text is not None:
            scores = np.sqrt(shared) * text + np.sqrt(1 - shared) * scores
        return np.asarray(scores @ loadings)

    return rows


def _planted(truth: Truth, rng: np.random.Generator, *, trained: bool) -> Floats:
    """What is added to the wordings of a, then b, ``(wordings, heads)``."""
    planted = np.zeros((2 * SIDE, HEADS))
    if trained or truth.untrained_too:
        heads = rng.choice(HEADS, truth.concept_heads, replace=False)
        planted[:SIDE, heads] += truth.concept * rng.choice((-1.0, 1.0), truth.concept_heads)
    if trained:
        planted[0] += truth.outlier * rng.normal(size=HEADS)
    return planted


def _untrained(
    truth: Truth, rules: VerdictParams, rng: np.random.Generator, text: Floats
) -> tuple[tuple[float, ...], int, tuple[int, ...]]:
    """The largest pivot of every draw, how many heads there are, and how many of each draw are over the threshold."""
    pivots, counts = [], []
    for _ in range(rules.untrained_draws):
        noise = BETWEEN_ITEMS / np.sqrt(rules.items)
        draw = _network(rng, truth.shared)
        means = truth.templates * draw(2 * SIDE, text) + noise * draw(2 * SIDE) + _planted(truth, rng, trained=False)
        t = pooled_t(means[:SIDE], means[SIDE:])
        counts.append(int(np.count_nonzero(np.abs(t) > rules.threshold)))
        pivots.append(six_digits(largest_pivot(t, 2 * SIDE - 2)))
    return tuple(pivots), HEADS, tuple(counts)


def pooled_t(a: Floats, b: Floats) -> Floats:
    """Two-sample t with pooled variance for every head, ``(heads,)``."""
    inside = np.square(a - a.mean(axis=0)).sum(axis=0) + np.square(b - b.mean(axis=0)).sum(axis=0)
    error = np.sqrt(inside / (len(a) + len(b) - 2) * (1 / len(a) + 1 / len(b)))
    return np.asarray((a.mean(axis=0) - b.mean(axis=0)) / error)


def _replica(means: Floats, truth: Truth, rules: VerdictParams, seed: int, reference: str) -> Replica:
    strata = None if truth.longer else truth.strata
    return Replica(seed, reference, replica_p(Rows(means[:SIDE], means[SIDE:]), strata, rules))


def _reliability(differences: Floats, rules: VerdictParams) -> Reliability:
    flips = min(rules.flips, 200)
    found = split_half(differences, splits=20, flips=flips, seed=rules.seed)
    return Reliability(found.spearman_brown, found.null_p, 1 / flips)
