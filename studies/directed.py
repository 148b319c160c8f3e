"""What magnitude, direction and profile find where the truth is known: the tables of docs/verdict.md.

python -m studies.directed planted      heads planted in untrained draws of `tiny` (2 minutes of one core)
python -m studies.directed networks     trained and untrained networks, taught and held-out wordings (3 minutes)
"""

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import mannwhitneyu

from plantain.base import places
from plantain.base.config import VERDICT_ANALYSIS, read_params
from plantain.base.params import Params, Tokens, WordingMeasure
from plantain.capture.cell import CaptureResult, capture_cell
from plantain.ladder.judge import confirmatory
from plantain.ladder.rungs import compare_rows
from plantain.measure.magnitude import item_level, measure
from plantain.measure.plan import Rows, frames_of, plan_of
from plantain.measure.sides import Measured
from plantain.measure.vectors import Looked, MeasuredVectors, every_measure
from plantain.model.resolve import resolve
from plantain.probe.records import ExpandedContrast
from plantain.probe.sampling import sampled_items
from plantain.probe.spec import Role
from plantain.probe.store import read_contrasts, read_records
from plantain.stats.signflip import sign_flip_test
from plantain.stats.template import TemplateTest, template_test
from plantain.stats.validate import Floats

CARD = "card"
DRAWS = 10
PARENT = "tiny"
FAMILY = "tiny-reinit"
TRAINED = ("tiny", "tiny-mention")
PROBE = "otherview"
PLANTED = 8
SIZE = 2.5
"""Wording SDs: root mean square distances of a wording from the mean of its side."""
HELD_OUT = ("viewpoint_9", "viewpoint_10"), ("mention_9", "mention_10")
MEASURES = (WordingMeasure.log_rms, WordingMeasure.direction, WordingMeasure.profile)

Network = Mapping[str, Looked]


@dataclass(frozen=True)
class Study:
    """One probe and what its wordings are compared by."""

    params: Params
    contrast: ExpandedContrast
    published: ExpandedContrast

    def captured(self, model: str, draws: int | None = None) -> list[Network]:
        """The target's wordings and the held-out ones on the sampled items, by every measure, for every draw."""
        params = self._params(model, draws)
        _, groups = resolve(model, params)
        analysis = params.analyses[VERDICT_ANALYSIS]
        found = self._capture(model, params)
        networks: list[Network] = []
        for draw in range(len(found.activations.draws)):
            by = every_measure(found.activations, groups, analysis, found.grams, draw)
            text = analysis.model_copy(update={"tokens": Tokens.text})
            over_text = Measured.of(found.activations, groups, text, draw)
            vectors = MeasuredVectors(found.grams, found.activations, WordingMeasure.text_direction, draw)
            own: dict[str, Looked] = {str(name): looked for name, looked in by.items()}
            networks.append(own | {"text": over_text, str(WordingMeasure.text_direction): vectors})
        return networks

    def _params(self, model: str, draws: int | None) -> Params:
        if draws is None:
            return self.params
        family = self.params.models[model].model_copy(update={"seeds": draws})
        return self.params.model_copy(update={"models": {**self.params.models, model: family}})

    def _capture(self, model: str, params: Params) -> CaptureResult:
        every = read_records(places.records(PROBE))
        items = sampled_items(list(dict.fromkeys(record.item for record in every)), params.verdict.items)
        wanted = {*self.contrast.a, *self.contrast.b, *HELD_OUT[0], *HELD_OUT[1]}
        records = [record for record in every if record.item in items and record.condition in wanted]
        lock, _ = resolve(model, params)
        return capture_cell(records, places.images(PARENT, PROBE), lock, params.capture)

    def cards(self, model: str, draws: int | None = None) -> list[Floats]:
        """Absolute t over items of every 16-channel group by the published pair, for every draw: the cards' measure."""
        params = self._params(model, draws)
        _, groups = resolve(model, params)
        card = params.analyses[CARD]
        activations = self._capture(model, params).activations
        found = []
        for draw in range(len(activations.draws)):
            values = measure(activations, groups, card.unit, card.tokens, card.measure, draw)
            differences = item_level(values, activations.conditions, self.published.a, self.published.b)
            finite = differences[:, np.isfinite(differences).all(axis=0)]
            found.append(np.abs(sign_flip_test(finite, flips=2).t))
        return found

    def test(self, rows: Rows) -> TemplateTest:
        """The wording-level test by the rules of the ladder."""
        return compare_rows(rows, None, self.params.verdict)

    def rows(self, looked: Looked) -> Rows:
        """The wordings of the target."""
        return Rows(*looked.rows(self.contrast), self.contrast.clusters, frames_of(self.contrast))


def study() -> Study:
    """The target of otherview as the workspace has it."""
    contrasts = read_contrasts(places.contrasts(PROBE))
    params = read_params()
    main = confirmatory(contrasts)
    assert not plan_of(main, contrasts.contrasts, params.verdict).problem
    published = next(one for one in contrasts.contrasts if one.role is Role.published)
    return Study(params, main, published)


def turned(rows: Rows, random: np.random.Generator) -> Rows:
    """Vectors of which the first side of some heads moved into a direction that no wording had: lengths aside."""
    heads = random.permutation(rows.a.shape[1])[:PLANTED]
    new = np.zeros(rows.a.shape[1])
    new[heads] = SIZE * spread(rows)[heads]
    a = np.concatenate([rows.a, np.broadcast_to(new[None, :, None], (*rows.a.shape[:2], 1))], axis=2)
    b = np.concatenate([rows.b, np.zeros((*rows.b.shape[:2], 1))], axis=2)
    return replace(rows, a=a, b=b)


def louder(rows: Rows, random: np.random.Generator) -> Rows:
    """Numbers of which the first side of some heads grew."""
    new = np.zeros(rows.a.shape[1])
    heads = random.permutation(rows.a.shape[1])[:PLANTED]
    new[heads] = SIZE * spread(rows)[heads]
    return replace(rows, a=rows.a + new)


def spread(rows: Rows) -> Floats:
    """Root mean square distance of a wording from the mean of its side, ``(heads,)``."""
    inside = [np.square(side - side.mean(axis=0)) for side in (rows.a, rows.b)]
    summed = sum(one.sum(axis=0) if one.ndim == 2 else one.sum(axis=(0, 2)) for one in inside)
    return np.asarray(np.sqrt(summed / (len(rows.a) + len(rows.b) - 2)))


Plant = Callable[[Rows, np.random.Generator], Rows]

PLANTS: Mapping[str, Mapping[str, Plant]] = {
    "nothing": {},
    "direction at constant norm": {"direction": turned, "profile": turned},
    "sign varies over items": {"profile": turned},
    "text tokens only": {"text": louder, "text_direction": turned},
}
"""What is planted, to the measures that it reaches; the others keep the rows of the draw."""


def planted() -> Iterator[str]:
    """A row a plant: by which measure at least one head was found, and the mean bound."""
    asked = study()
    networks = asked.captured(FAMILY, DRAWS)
    names = list(networks[0])
    yield f"| {PLANTED} heads planted at {SIZE} wording SD | " + " | ".join(names) + " |"
    yield "|---" * (len(names) + 1) + "|"
    for plant, reached in PLANTS.items():
        tests = {
            name: [_planted(asked, one, name, reached, seed) for seed, one in enumerate(networks)] for name in names
        }
        yield f"| {plant} | " + " | ".join(_found(tests[name]) for name in names) + " |"


def _planted(asked: Study, network: Network, name: str, reached: Mapping[str, Plant], seed: int) -> TemplateTest:
    rows = asked.rows(network[name])
    random = np.random.Generator(np.random.Philox(seed))
    return asked.test(reached[name](rows, random) if name in reached else rows)


def _found(tests: Sequence[TemplateTest]) -> str:
    bounds = [test.lower_bound for test in tests]
    return f"{np.mean([bound > 0 for bound in bounds]):.0%}, bound {np.mean(bounds):.1f}"


def networks() -> Iterator[str]:
    """A row a number, a column a measure: bounds, concept information, and how far heads tell networks apart."""
    asked = study()
    trained = {model: asked.captured(model)[0] for model in TRAINED}
    draws = asked.captured(FAMILY, DRAWS)
    yield "| | " + " | ".join(MEASURES) + " |"
    yield "|---" * (len(MEASURES) + 1) + "|"
    for model, network in trained.items():
        tests = [asked.test(asked.rows(network[name])) for name in MEASURES]
        yield (
            f"| `{model}`, bound of {len(tests[0].alive)} heads | "
            + " | ".join(f"{one.lower_bound}" for one in tests)
            + " |"
        )
        yield f"| `{model}`, nats a head | " + " | ".join(f"{one.concept_information:.2f}" for one in tests) + " |"
    found = {name: [asked.test(asked.rows(one[name])) for one in draws] for name in MEASURES}
    yield (
        f"| {DRAWS} untrained draws, largest bound | "
        + " | ".join(f"{max(one.lower_bound for one in found[name])}" for name in MEASURES)
        + " |"
    )
    yield (
        f"| {DRAWS} untrained draws, largest nats a head | "
        + " | ".join(f"{max(one.concept_information for one in found[name]):.3f}" for name in MEASURES)
        + " |"
    )
    yield from _areas(asked, trained, draws)
    yield from _cards(asked)


def _areas(asked: Study, trained: Mapping[str, Network], draws: Sequence[Network]) -> Iterator[str]:
    for said, sides in (("the taught wordings", None), ("held-out wordings", HELD_OUT)):
        for model, network in trained.items():
            areas = [area(asked, network[name], [one[name] for one in draws], sides) for name in MEASURES]
            yield (
                f"| area under the curve, heads of `{model}` against untrained, {said} | "
                + " | ".join(f"{one:.3f}" for one in areas)
                + " |"
            )


def _cards(asked: Study) -> Iterator[str]:
    """The published protocol, which has one wording a side and knows items alone."""
    others = asked.cards(FAMILY, DRAWS)
    shares = [np.mean(one > 3) for one in others]
    yield f"\nPublished protocol: {np.mean(shares):.0%} of groups over |t| 3 in untrained draws (mean of {DRAWS})."
    for model in TRAINED:
        (own,) = asked.cards(model)
        found = _greater(own, np.concatenate(others))
        share = f"{np.mean(own > 3):.0%} of groups over |t| 3"
        yield f"Published protocol, `{model}`: {share}, area against untrained {found:.3f}."


def area(
    asked: Study, own: Looked, others: Sequence[Looked], sides: tuple[tuple[str, ...], tuple[str, ...]] | None
) -> float:
    """The chance that a head of one network has the larger absolute t than one of the untrained draws."""
    first = statistics(asked, own, sides)
    second = np.concatenate([statistics(asked, one, sides) for one in others])
    return _greater(first, second)


def _greater(first: Floats, second: Floats) -> float:
    """The area under the curve that tells the first from the second."""
    return float(mannwhitneyu(first, second).statistic / (len(first) * len(second)))


def statistics(asked: Study, looked: Looked, sides: tuple[tuple[str, ...], tuple[str, ...]] | None) -> Floats:
    """Absolute t of every alive head."""
    if sides is None:
        test = asked.test(asked.rows(looked))
    else:
        contrast = ExpandedContrast("held out", *sides, asked.contrast.role, (None,) * 4, None)
        test = template_test(*looked.rows(contrast), permutations=20)
    return np.abs(test.t[test.alive])


def main() -> None:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("python -m studies.directed", description=__doc__, formatter_class=raw)
    parser.add_argument("table", choices=["planted", "networks"])
    for line in (planted if parser.parse_args().table == "planted" else networks)():
        print(line, flush=True)


if __name__ == "__main__":
    main()
