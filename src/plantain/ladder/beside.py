"""What stands beside a cell: untrained draws of its model, and further noise seeds and reference images."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from plantain.base.files import digest, six_digits
from plantain.base.params import CaptureParams, Method, ReferenceParams, VerdictParams, WordingMeasure
from plantain.ladder.evidence import CausalEvidence, Family, Replica
from plantain.ladder.rungs import compare_rows, ranked, replica_p, runs_asked
from plantain.ladder.tables import family_of, replicas_of
from plantain.measure.plan import Comparison, lengths
from plantain.measure.sides import sampled_records
from plantain.measure.vectors import Looked
from plantain.probe.halves import CausalDesign
from plantain.probe.records import ExpandedContrast, Record
from plantain.records.causal import CausalDraws, CausalTable
from plantain.records.keys import CAUSAL_VERSION
from plantain.records.lock import ModelLock
from plantain.records.study import Drawn, NullTable, ReplicationTable
from plantain.records.study_keys import Inputs, contrast_inputs, mismatch, null_settings, replication_settings


@dataclass(frozen=True)
class Beside:
    """What was found for one contrast."""

    families: tuple[Family, ...] = ()
    missing: str = ""
    replicas: tuple[Replica, ...] = ()
    unrepeated: str = ""
    """Why the table of further seeds and references does not serve; empty where there is none, or it does."""
    has_reference: bool = False
    information: Mapping[Method, list[float]] = field(default_factory=dict)
    """Concept information of every draw."""
    effective: tuple[float, ...] = ()
    """Effective wordings of every re-initialised draw."""
    items: tuple[str, ...] = ()
    """The items that the draws were run on."""
    own_information: float | None = None
    """Concept information of the model on these items."""


@dataclass(frozen=True)
class Sources:
    """The tables that may serve a cell, and what they must have been made from."""

    lock: ModelLock
    """Of the cell's model."""
    parent: ModelLock | None
    """Of the model with weights that it comes from, itself included; None where that is not in the run."""
    shared: Inputs
    """See :func:`plantain.records.study_keys.shared_inputs`; of the parent."""
    images: Mapping[str, str]
    """Reference name to the SHA-256 of its image."""
    capture: CaptureParams
    reference: ReferenceParams
    tables: tuple[NullTable, ...] = ()
    replications: ReplicationTable | None = None
    causal: CausalTable | None = None
    causal_draws: tuple[CausalDraws, ...] = ()

    def swapped(
        self,
        contrast: ExpandedContrast,
        design: CausalDesign,
        records: tuple[Record, ...],
        plan: Comparison,
        rules: VerdictParams,
    ) -> CausalEvidence:
        """What swapped heads did, for the contrast that the verdict rests on."""
        if design.problem or plan.problem:
            return CausalEvidence(problem=design.problem or plan.problem)
        if self.lock.of is not None and self.causal is None:
            return CausalEvidence(
                problem=f"heads of untrained draws are swapped to rank {self.lock.of} among them alone"
            )
        if self.causal is None or self.causal.contrast != contrast.name:
            return CausalEvidence(problem="no head was changed: `plantain run --study` swaps heads between wordings")
        kept, swaps = design.records(records), causal_settings(rules, design, records)
        weights = self.lock.components["transformer"].weights_sha256
        described = {"weights": weights} | swaps | decoy_settings(design, records)
        own = inputs_of(plan, kept, self.images, self.shared | described)
        other = mismatch(self.causal.inputs, own)
        if other:
            return CausalEvidence(problem=f"its table of interventions was made from other inputs ({other})")
        statistic = next(one.statistic for one in self.causal.tests if one.name == "donors")
        families = []
        for table in self.causal_draws:
            settings = null_settings(self.shared, self.parent or self.lock, table.method) | swaps
            if not mismatch(table.inputs, inputs_of(plan, kept, self.images, settings)):
                others = tuple(
                    value for made, value in zip(table.draws, table.statistics, strict=True) if made != weights
                )
                families.append(Family(table.family, table.method, statistic, others, self.lock.geometry.heads))
        return CausalEvidence(tuple(self.causal.tests), statistic, tuple(families), table=self.causal)

    def beside(
        self,
        looked: Looked,
        plan: Comparison,
        records: tuple[Record, ...],
        rules: VerdictParams,
    ) -> Beside:
        """What stands beside one contrast."""
        sides = {name for one in plan.contrasts for name in (*one.a, *one.b)}
        has_reference = any(record.reference for record in records if record.condition in sides)
        if plan.problem:
            return Beside(has_reference=has_reference)
        chosen = sampled_records(records, plan.contrasts, rules)
        replicas, unrepeated = own_replicas(looked, plan, rules, has_reference), ""
        if not replicas:
            replicas, unrepeated = self._replicas(looked.measure, plan, chosen, rules)
        problems = {table.family: self._problem(table, looked, plan, chosen) for table in self.tables}
        found = self._drawn([table for table in self.tables if not problems[table.family]], looked, plan, rules)
        missing = "; ".join(f"{name}: {why}" for name, why in problems.items() if why)
        return replace(found, replicas=replicas, unrepeated=unrepeated, has_reference=has_reference, missing=missing)

    def _drawn(self, tables: Iterable[NullTable], looked: Looked, plan: Comparison, rules: VerdictParams) -> Beside:
        weights = self.lock.components["transformer"].weights_sha256
        found = Beside()
        for table in tables:
            entry = table.contrasts[plan.contrast.name].by(looked.measure)
            own = looked.restricted(table.items, table.seeds)
            if entry is None or own is None:
                # Such a table was set aside beforehand, with the reason.
                continue
            test = compare_rows(plan.rows(own), None, rules)
            family = family_of(table, entry, ranked(test), int(test.alive.sum()), weights)
            found = replace(
                found,
                families=(*found.families, family),
                information={**found.information, table.method: entry.concept_information},
                effective=(*found.effective, *_effective(table, entry)),
                items=tuple(table.items),
                own_information=six_digits(test.concept_information),
            )
        return found

    def _problem(self, table: NullTable, looked: Looked, plan: Comparison, chosen: tuple[Record, ...]) -> str:
        """Why a table does not serve; empty where it does."""
        if self.parent is None:
            return "the model that was untrained is not in this run"
        name = plan.contrast.name
        if name not in table.contrasts:
            return f"its table has no contrast '{name}'"
        settings = null_settings(self.shared, self.parent, table.method)
        other = mismatch(table.contrasts[name].inputs, inputs_of(plan, chosen, self.images, settings))
        if other:
            return f"its table was made from other inputs ({other})"
        known = looked.activations
        strange = [*set(table.items).difference(known.items), *map(str, set(table.seeds).difference(known.seeds))]
        if strange:
            return f"its table names what was not captured ({', '.join(sorted(strange))})"
        if table.contrasts[name].by(looked.measure) is None:
            return f"its table has no {looked.measure}"
        kept = looked.restricted(table.items, table.seeds) is not None
        return "" if kept else f"no {looked.measure} was kept for its items and noise seeds alone"

    def _replicas(
        self, measure: WordingMeasure, plan: Comparison, chosen: tuple[Record, ...], rules: VerdictParams
    ) -> tuple[tuple[Replica, ...], str]:
        """The replicas of the study's table, or why it does not serve."""
        table, name = self.replications, plan.contrast.name
        if table is None:
            return (), ""
        if name not in table.contrasts:
            return (), f"the study's table has no contrast '{name}'"
        settings = replication_settings(self.shared, self.lock, self.reference, rules)
        entry = table.contrasts[name]
        other = mismatch(entry.inputs, inputs_of(plan, chosen, self.images, settings))
        if other:
            return (), f"the study's table was made from other inputs ({other})"
        cells = entry.by(measure)
        return ((), f"the study's table has no {measure}") if cells is None else (replicas_of(cells), "")


MAP: Final = WordingMeasure.direction
"""The map by which heads are ranked at rung 7, chosen on other items than those that it is tested on."""


def causal_settings(rules: VerdictParams, design: CausalDesign, records: Iterable[Record]) -> Inputs:
    """What decides interventions besides what decides the other tables: the neutral sentences among it."""
    neutral = _prompts(records, design.recipients, design.test.items)
    how = [CAUSAL_VERSION, rules.swapped, str(MAP), list(design.recipients), neutral]
    return {"swaps": [*how, list(design.selection.items), list(design.test.items)]}


def decoy_settings(design: CausalDesign, records: Iterable[Record]) -> Inputs:
    """What decides the rows of a table whose donors are wordings of controls; untrained draws have no such rows."""
    every = tuple(records)
    return {"decoys": {name: _prompts(every, (*one.a, *one.b), one.items) for name, one in design.decoys.items()}}


def _prompts(records: Iterable[Record], conditions: Sequence[str], items: Sequence[str]) -> str:
    own = [one for one in records if one.condition in conditions and one.item in items]
    return digest([[one.condition, one.item, one.sha256] for one in sorted(own, key=lambda one: one.sha256)])


def inputs_of(plan: Comparison, records: Iterable[Record], images: Mapping[str, str], settings: Inputs) -> Inputs:
    """What decides the numbers of a plan, see :func:`plantain.records.study_keys.contrast_inputs`."""
    return contrast_inputs(plan.contrast, records, images, settings, scheme=str(plan.scheme), control=plan.control)


def own_replicas(looked: Looked, plan: Comparison, rules: VerdictParams, has_reference: bool) -> tuple[Replica, ...]:
    """Rungs 3 and 5 in every noise seed and reference image of the cell itself, where it has as many as are asked."""
    seeds, references = runs_asked(rules, has_reference)
    if len(looked.activations.seeds) < seeds or len(looked.activations.references) < references:
        return ()
    return replicas(looked, plan, rules)


def replicas(looked: Looked, plan: Comparison, rules: VerdictParams) -> tuple[Replica, ...]:
    """Rungs 3 and 5 in every noise seed and reference image that was captured."""
    strata = lengths(plan, looked.activations).strata
    found = []
    for at, seed in enumerate(looked.activations.seeds):
        for alternative, name in enumerate(looked.activations.references):
            rows = plan.rows(looked.only(seed=at, reference=alternative))
            if rows.a.shape[1]:
                found.append(Replica(seed, name, replica_p(rows, strata, rules)))
    return tuple(found)


def _effective(table: NullTable, entry: Drawn) -> tuple[float, ...]:
    known = entry.effective_wordings if table.method is Method.reinit else []
    return tuple(value for value in known if value is not None)
