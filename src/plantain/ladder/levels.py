"""Wordings at other noise levels: the tests of a sweep, and which of its numbers are those of a cell at hand.

A description beside the ladder. A bound holds at its own level, at 1 - alpha; over levels, measures and contrasts
nothing is corrected, and no rung rests on any of them.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from plantain.base.files import defined, six_digits
from plantain.base.params import VerdictParams, WordingMeasure
from plantain.ladder.beside import inputs_of
from plantain.ladder.rungs import compare_rows
from plantain.measure.plan import Comparison, plans
from plantain.measure.sides import sampled_records
from plantain.measure.vectors import Looked
from plantain.probe.records import ExpandedContrast, Record
from plantain.records.study_keys import Inputs, mismatch
from plantain.records.sweep import Levels, LevelTest, SweepTable, SweptContrast


def swept_records(
    records: Sequence[Record], contrasts: Sequence[ExpandedContrast], rules: VerdictParams
) -> tuple[Record, ...]:
    """What a sweep is run on: the sampled records, each with the first of its references."""
    return tuple(
        replace(record, reference=record.reference[:1]) for record in sampled_records(records, contrasts, rules)
    )


def tested(
    captures: Iterable[tuple[float, Mapping[WordingMeasure, Looked]]],
    contrasts: Sequence[ExpandedContrast],
    inputs: Mapping[str, Inputs],
    rules: VerdictParams,
) -> dict[str, SweptContrast]:
    """The contrasts that can be compared, tested at every level by every measure.

    Args:
        captures: noise level, and the model there by every measure; from pure noise down.
        contrasts: those of the probe.
        inputs: contrast name to what decided its numbers beside the level.
        rules: of the tests.
    """
    chosen = plans(contrasts, rules)
    found: dict[str, dict[WordingMeasure, list[LevelTest]]] = {plan.contrast.name: {} for plan in chosen}
    for sigma, measures in captures:
        for plan in chosen:
            for measure, looked in measures.items():
                found[plan.contrast.name].setdefault(measure, []).append(level_test(plan, looked, sigma, rules))
    return {
        plan.contrast.name: SweptContrast(
            inputs=inputs[plan.contrast.name],
            against=plan.control.name if plan.control else None,
            measures=found[plan.contrast.name],
        )
        for plan in chosen
    }


def level_test(plan: Comparison, looked: Looked, sigma: float, rules: VerdictParams) -> LevelTest:
    """The test of one contrast at one level: that of rung 3."""
    test = compare_rows(plan.rows(looked), None, rules)
    shifts = np.abs(test.delta[np.isfinite(test.delta)])
    return LevelTest(
        sigma=sigma,
        heads_lower_bound=test.lower_bound,
        alive=int(test.alive.sum()),
        p=six_digits(test.simes_p),
        floor=six_digits(test.floor_p),
        delta=defined(float(np.median(shifts))) if shifts.size else None,
        concept_information=six_digits(test.concept_information),
    )


def levels_of(table: SweepTable, wanted: Mapping[str, Inputs], own: float) -> Levels:
    """What a table says of a cell: the contrasts that were made from what the cell is made from, and what of others.

    Args:
        table: of the cell.
        wanted: contrast name to what decides its numbers now, for those that can be compared.
        own: noise level of the run.
    """
    problems = {name: problem for name, now in wanted.items() if (problem := _problem(table, name, now))}
    served = {name: table.contrasts[name].measures for name in wanted if name not in problems}
    return Levels(contrasts=served, problems=problems, items=len(table.items), own=own)


def wanted_inputs(
    contrasts: Sequence[ExpandedContrast],
    records: Sequence[Record],
    images: Mapping[str, str],
    settings: Inputs,
    rules: VerdictParams,
) -> dict[str, Inputs]:
    """What decides the numbers of every contrast of a sweep now; ``records`` are all of the probe."""
    chosen = swept_records(records, contrasts, rules)
    return {plan.contrast.name: inputs_of(plan, chosen, images, settings) for plan in plans(contrasts, rules)}


def _problem(table: SweepTable, name: str, wanted: Inputs) -> str:
    if name not in table.contrasts:
        return f"the study's sweep has no contrast '{name}'"
    other = mismatch(table.contrasts[name].inputs, wanted)
    return f"the study's sweep was made from other inputs ({other})" if other else ""
