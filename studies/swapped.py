"""Rung 7 where the truth is known, simulated and on networks, and what it cannot tell: tables of docs/verdict.md.

python -m studies.swapped simulated     how often each test passes (3 minutes of one core)
python -m studies.swapped tests         the tests on trained and untrained networks (15 minutes)
python -m studies.swapped pictures      how many pictures of one step change with the heads (6 minutes)

The last two need `prompts/` alone. What is finished stays in `.plantain/swapped` and is not computed again.
"""

import argparse
import json as json_text
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import TypeAdapter

from plantain.base import places
from plantain.base.config import read_params
from plantain.base.files import digest, readable_json, remembered, write_atomic
from plantain.base.params import Method, Params, WordingMeasure
from plantain.base.yaml import read_yaml
from plantain.capture.cell import capture_cell
from plantain.capture.pictures.references import generate
from plantain.capture.progress import Silent
from plantain.causal.donors import kept_products, label_test
from plantain.causal.examine import choose, donate, single_mediation, swap_pairs
from plantain.causal.theatre import Theatre
from plantain.ladder.evidence import Family
from plantain.ladder.rungs import rank_p
from plantain.measure.vectors import MeasuredVectors
from plantain.model.resolve import resolve
from plantain.model.tiny import truth_path
from plantain.probe.expand import expand
from plantain.probe.halves import CausalDesign, causal_design
from plantain.probe.records import Expansion, Record
from plantain.probe.spec import read_probe
from plantain.records.keys import CAUSAL_VERSION, Pass, passes, reference_images
from plantain.records.lock import ModelLock
from plantain.stats.selection import selection_test
from plantain.stats.simulated.swaps import EVERY_TEST, POWERS, SIZES
from plantain.stats.validate import Floats
from studies.attacked import percent
from studies.swapped_pictures import Shown, pictures

PARENT = "tiny"
NETWORKS = ("tiny", "tiny-mention", "tiny-untrained")
FAMILY = "tiny-reinit"
DRAWS = 20
"""Each taken for the model in turn, and ranked among the others."""
ATTACKS = Path(__file__).with_name("probes") / "swapped"


@dataclass(frozen=True)
class Case:
    """Two sides whose heads are swapped."""

    file: Path
    contrast: str
    independent: bool = False
    """Whether every wording is read as evidence of its own, whatever words they share."""
    ranked: bool = False
    """Whether untrained draws are looked at as well."""
    thorough: bool = False
    """Whether the selection is tested of networks that do not pass the gate and the donors as well; of draws never."""
    pictured: bool = False
    """Whether its pictures can be read."""

    @property
    def name(self) -> str:
        """The probe and the contrast."""
        return f"{self.file.stem} {self.contrast}"


CASES = (
    Case(Path("prompts/otherview.yaml"), "target", ranked=True, thorough=True, pictured=True),
    Case(Path("prompts/dense.yaml"), "target", ranked=True, pictured=True),
    Case(Path("prompts/otherview.yaml"), "titles"),
    Case(Path("prompts/dense.yaml"), "archive"),
    Case(ATTACKS / "meaningless.yaml", "target", independent=True),
    Case(ATTACKS / "telling.yaml", "target", independent=True),
    Case(ATTACKS / "copied.yaml", "target", independent=True),
)
DATA_SETS = 400
RANKED = ("gate: p <= 5%", "donors: p <= 5%", "selection: p <= 5%", "rank: p <= 5%")


@dataclass(frozen=True)
class GateAndDonors:
    """The first two tests of one network."""

    weights: str
    """Digest of the transformer."""
    change: float
    """Relative change of the velocity between the sides."""
    gate: float
    """Statistic: the t that has the same p as the pseudo-F."""
    gate_p: float
    donors: float
    donors_p: float


@dataclass(frozen=True)
class Chosen:
    """The third test of one network."""

    statistic: float
    p: float


@dataclass(frozen=True)
class Examined:
    """What one network showed; the last is None where it was not asked for."""

    given: GateAndDonors
    chosen: Chosen | None


@dataclass(frozen=True)
class Asked:
    """One case, ready to be run."""

    case: Case
    params: Params
    expansion: Expansion
    design: CausalDesign

    @classmethod
    def of(cls, case: Case, params: Params) -> "Asked":
        """Halve the wordings and items of a case."""
        expansion = expand(read_probe(case.file), Path())
        contrast = next(one for one in expansion.contrasts if one.name == case.contrast)
        if case.independent:
            contrast = replace(contrast, clusters=tuple(range(len(contrast.a) + len(contrast.b))))
        items = list(dict.fromkeys(record.item for record in expansion.records))
        design = causal_design(contrast, expansion.neutral, items, params.verdict.swapped_items)
        return cls(case, params, expansion, design)

    @property
    def records(self) -> tuple[Record, ...]:
        """What is run."""
        return self.design.records(self.expansion.records)

    @cached_property
    def passes(self) -> dict[tuple[str, str], Pass]:
        """Condition and item to the pass of the first noise seed."""
        return {(one.condition, one.item): one for one in passes(self.records, self.params.capture.seeds[:1])}

    def pass_of(self, condition: str, item: str) -> Pass:
        """The pass of a wording."""
        return self.passes[condition, item]

    def images(self, lock: ModelLock) -> Path:
        """The folder of the reference images, as the model drew them that the network was made from."""
        parent, _ = resolve(lock.files_model, self.params)
        folder = kept("images") / parent.name / self.expansion.probe
        generate(self.expansion.references, parent, self.params.reference, folder, Silent())
        return folder

    def maps(self, lock: ModelLock) -> Iterator[tuple[Floats, Floats]]:
        """The selection wordings of both sides by direction, on every second item, for each draw."""
        half = self.design.selection
        items = list(dict.fromkeys(record.item for record in self.expansion.records))[0::2]
        wanted = [one for one in self.expansion.records if one.condition in (*half.a, *half.b) and one.item in items]
        found = capture_cell(wanted, self.images(lock), lock, self.params.capture, Silent())
        for draw in range(len(found.activations.draws)):
            looked = MeasuredVectors(found.grams, found.activations, WordingMeasure.direction, draw)
            yield looked.wordings(half.a), looked.wordings(half.b)


def kept(name: str) -> Path:
    """Where finished parts are kept."""
    return places.state_dir() / "swapped" / name


@dataclass(frozen=True)
class Work:
    """One case on one lock; what is kept is not made again."""

    asked: Asked
    lock: ModelLock
    count: int
    """Draws that are looked at."""

    def given(self) -> list[GateAndDonors]:
        """The gate and the donors of every draw."""
        return [GateAndDonors(**self._kept("given", draw, self._given)) for draw in range(self.count)]

    def chosen(self, draw: int) -> Chosen:
        """The selection of one draw."""
        return Chosen(**self._kept("chosen", draw, self._chosen))

    def _kept(self, part: str, draw: int, make: Callable[[int], Any]) -> dict[str, Any]:
        path = kept(f"{digest([part, *identity(self.asked, self._weights(draw))])}.json")
        if not remembered(path):
            write_atomic(path, readable_json(asdict(make(draw))))
            print(f"{self.asked.case.name}, {self.lock.name} {draw}: {part}", file=sys.stderr, flush=True)
        return remembered(path)

    def _weights(self, draw: int) -> str:
        return self.lock.draws[draw] if self.lock.draws else self.lock.components["transformer"].weights_sha256

    def _given(self, draw: int) -> GateAndDonors:
        design, pass_of = self.asked.design, self.asked.pass_of
        theatre, rules = self._theatre(draw), self.asked.params.verdict
        chosen = choose(theatre, design.selection, pass_of, rules.swapped)
        found = donate(theatre, replace(design, decoys={}), pass_of, [chosen.heads])
        gate, donors = (label_test(kept_products(one), design.test, rules) for one in (found.plain, found.patched[0]))
        return GateAndDonors(self._weights(draw), found.change, gate.statistic, gate.p, donors.statistic, donors.p)

    def _chosen(self, draw: int) -> Chosen:
        design = self.asked.design
        mediation = single_mediation(self._theatre(draw), swap_pairs(design, self.asked.pass_of)).mean_m()
        found = selection_test(*self._maps[draw], mediation, clusters=design.selection.clusters, **self._how)
        return Chosen(found.statistic, found.p)

    def _theatre(self, draw: int) -> Theatre:
        return self._opened if draw == 0 else self._opened.drawn(draw)

    @cached_property
    def _opened(self) -> Theatre:
        images = reference_images(self.asked.records, self.asked.images(self.lock))
        asked = self.asked.passes.values()
        return Theatre.open(asked, images, self.lock, self.asked.params.capture, progress=Silent())

    @cached_property
    def _maps(self) -> list[tuple[Floats, Floats]]:
        return list(self.asked.maps(self.lock))

    @property
    def _how(self) -> dict[str, Any]:
        rules = self.asked.params.verdict
        return {"permutations": rules.permutations, "seed": rules.seed}


def identity(asked: Asked, network: str) -> list[Any]:
    """What decides the numbers of a case on a network."""
    rules, design = asked.params.verdict, asked.design
    halves = [[*half.a, *half.b, *half.items, *map(str, half.clusters)] for half in (design.selection, design.test)]
    how = [CAUSAL_VERSION, rules.swapped, rules.permutations, rules.seed, list(design.recipients)]
    return [asked.expansion.set_sha256, network, *halves, how]


def locks(params: Params) -> Iterator[tuple[ModelLock, int]]:
    """The lock of every network and of the family, with how many draws of it are looked at."""
    yield from ((resolve(name, params)[0], 1) for name in NETWORKS)
    family = params.models[FAMILY].model_copy(update={"seeds": DRAWS})
    less = params.model_copy(update={"models": {**params.models, FAMILY: family}})
    yield resolve(FAMILY, less)[0], DRAWS


@dataclass(frozen=True)
class Judged:
    """One network beside the draws."""

    tested: Examined
    rank: float | None
    """p of the donors' statistic among the draws that it is not; None where there are none."""
    among: int

    @classmethod
    def of(cls, tested: Examined, draws: Sequence[Examined]) -> "Judged":
        """Rank a network among the draws, itself left out."""
        weights, own = tested.given.weights, tested.given.donors
        others = tuple(one.given.donors for one in draws if one.given.weights != weights)
        family = Family(FAMILY, Method.reinit, own, others, 0)
        return cls(tested, rank_p(family) if others else None, len(others))

    def failing(self, alpha: float) -> str:
        """The first test that is not passed, in the order in which they count; empty where all that were made are."""
        chosen = self.tested.chosen
        p = {"gate": self.tested.given.gate_p, "donors": self.tested.given.donors_p}
        p |= {"selection": chosen.p} if chosen else {}
        p |= {"rank": self.rank} if self.rank is not None else {}
        return next((name for name, value in p.items() if value > alpha * (1 + 1e-9)), "")


Found = dict[str, dict[str, list[Judged]]]
"""Case and network to what it showed; a list, since a family has many draws."""


def tests(cases: Sequence[Case]) -> Found:
    """Every test of the networks, and of the draws those that a case asks for."""
    params = read_params()
    known = list(locks(params))
    works = {
        case: [Work(Asked.of(case, params), *one) for one in known[: None if case.ranked else -1]] for case in cases
    }
    # What ranks comes first: the selection takes most of the time.
    for some in works.values():
        for work in some:
            work.given()
    return {case.name: _judged(some, params.verdict.alpha, case.thorough) for case, some in works.items()}


def _judged(works: Sequence[Work], alpha: float, thorough: bool) -> dict[str, list[Judged]]:
    tested = {work.lock.name: list(_tested(work, alpha, thorough and work.lock.name != FAMILY)) for work in works}
    draws = tested.get(FAMILY, [])
    return {name: [Judged.of(one, draws) for one in some] for name, some in tested.items()}


def _tested(work: Work, alpha: float, thorough: bool) -> Iterator[Examined]:
    for draw, given in enumerate(work.given()):
        both = max(given.gate_p, given.donors_p) <= alpha
        yield Examined(given, work.chosen(draw) if thorough or both else None)


def truths() -> dict[tuple[str, str], str]:
    """Network and case to what is true of it."""
    return {
        (model, f"{probe} {contrast}"): str(truth)
        for model, probes in read_yaml(truth_path()).data.items()
        for probe, contrasts in probes.items()
        for contrast, truth in contrasts.items()
    }


def table(found: Found, alpha: float) -> Iterator[str]:
    """A row a case and network; then how many draws pass each test."""
    known = truths()
    yield "| sides | network | truth | change | gate | donors | selection | rank | rung 7 |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for case, shown in found.items():
        for name in NETWORKS:
            (one,) = shown[name]
            truth = known.get((name, case), "null" if name == "tiny-untrained" else "a word")
            yield f"| {case} | `{name}` | {truth} | {_cells(one, alpha)} |"
        if FAMILY in shown:
            yield f"| {case} | {DRAWS} draws | null | {_counts(shown[FAMILY], alpha)} |"


def _cells(one: Judged, alpha: float) -> str:
    given, chosen, failing = one.tested.given, one.tested.chosen, one.failing(alpha)
    parts = [f"{given.change:.2g}", _shown(given.gate, given.gate_p), _shown(given.donors, given.donors_p)]
    parts.append(_shown(chosen.statistic, chosen.p) if chosen else "")
    parts.append(f"p = {one.rank:.2g}" if one.rank is not None else "")
    return " | ".join([*parts, f"no: {failing}" if failing else "**passes**"])


def _shown(statistic: float, p: float) -> str:
    return f"{statistic:.3g}, p = {p:.2g}"


def _counts(draws: Sequence[Judged], alpha: float) -> str:
    """How many draws pass each test, and every one that was made."""
    given = [one.tested.given for one in draws]
    columns = [[one.gate_p for one in given], [one.donors_p for one in given]]
    columns.append([one.tested.chosen.p for one in draws if one.tested.chosen])
    columns.append([one.rank for one in draws if one.rank is not None])
    parts = [f"{sum(p <= alpha * (1 + 1e-9) for p in column)} of {len(column)}" if column else "" for column in columns]
    changes = [one.change for one in given]
    passing = sum(not one.failing(alpha) for one in draws)
    return " | ".join([f"{min(changes):.2g} to {max(changes):.2g}", *parts, f"{passing} of {len(draws)} pass"])


def behaviour(cases: Sequence[Case]) -> dict[str, dict[str, Shown]]:
    """Case and network to what became of its pictures."""
    params, found = read_params(), {}
    for case in cases:
        asked = Asked.of(case, params)
        found[case.name] = {name: _pictured(asked, resolve(name, params)[0]) for name in NETWORKS}
    return found


def _pictured(asked: Asked, lock: ModelLock) -> Shown:
    path = kept(f"{digest(['pictures', *identity(asked, lock.sha256)])}.json")
    known = remembered(path)
    if not known:
        records, share = asked.expansion.records, asked.params.verdict.swapped
        made = pictures(lock, asked.params.capture, asked.design, records, share, kept("rooms")).shown()
        write_atomic(path, readable_json(asdict(made)))
        print(f"{asked.case.name}, {lock.name}: {made}", file=sys.stderr, flush=True)
        known = remembered(path)
    return TypeAdapter(Shown).validate_python(known)


def picture_table(found: dict[str, dict[str, Shown]]) -> Iterator[str]:
    """A row a case, network and set of heads: of how many pictures how many flip."""
    yield "| sides | network | drawn as asked | heads | flip | are read otherwise | a into neutral | b into neutral |"
    yield "|---|---|---|---|---|---|---|---|"
    for case, shown in found.items():
        for name, one in shown.items():
            for heads in one.pairs:
                pairs, from_a, from_b = one.pairs[heads], one.from_a[heads], one.from_b[heads]
                cells = [f"{pairs.flipped} of {pairs.pictures}", f"{pairs.changed}"]
                cells += [f"{some.flipped} of {some.pictures}" for some in (from_a, from_b)]
                said = f"{one.right[1]} of {one.right[0]}"
                yield f"| {case} | `{name}` | {said} | {heads} | {' | '.join(cells)} |"


def simulated(sets: int) -> Iterator[str]:
    """A row a kind of network: how often each test passes."""
    yield "| networks | gate | donors | selection | rank | every test |"
    yield "|---|---|---|---|---|---|"
    for index, (name, draw) in enumerate({**SIZES, **POWERS}.items()):
        random = np.random.Generator(np.random.Philox([index, 4]))
        outcomes = [draw(random) for _ in range(sets)]
        cells = (
            percent([one[check] for one in outcomes]) if check in outcomes[0] else "" for check in (*RANKED, EVERY_TEST)
        )
        yield f"| {name} | {' | '.join(cells)} |"


def main() -> None:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("python -m studies.swapped", description=__doc__, formatter_class=raw)
    parser.add_argument("table", choices=["simulated", "tests", "pictures"])
    parser.add_argument("sets", nargs="?", type=int, default=DATA_SETS, help="simulated data sets a row (%(default)s)")
    parser.add_argument("--json", action="store_true", help="print the numbers of networks in place of the table")
    options = parser.parse_args()
    for line in lines(options.table, options.sets, json=options.json):
        print(line, flush=True)


def lines(name: str, sets: int, *, json: bool) -> Iterator[str]:
    """A table, line by line, or its numbers."""
    if name == "simulated":
        yield from simulated(sets)
    elif name == "tests":
        found = tests(CASES)
        yield from [_plain(found)] if json else table(found, read_params().verdict.alpha)
    else:
        shown = behaviour([case for case in CASES if case.pictured])
        yield from [_plain(shown)] if json else picture_table(shown)


def _plain(found: Found | dict[str, dict[str, Shown]]) -> str:
    return json_text.dumps(found, default=asdict, indent=2)


if __name__ == "__main__":
    main()
