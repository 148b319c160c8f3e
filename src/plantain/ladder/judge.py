"""One cell judged: its contrasts up the ladder, the trend over rank, and how much is there before the first block."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from plantain.base.files import defined, digest, six_digits
from plantain.base.params import AnalysisParams, Method, VerdictParams
from plantain.ladder.beside import Beside, Sources
from plantain.ladder.climb import Ladder, climb
from plantain.ladder.evidence import Evidence, Reliability
from plantain.ladder.rungs import compare_templates
from plantain.measure.sides import Measured, strata_of, text_tokens, unequal_strata
from plantain.probe.records import Contrasts, ExpandedContrast, Record
from plantain.probe.speaking import speaking
from plantain.records.activations import Activations
from plantain.records.summary import Summary
from plantain.records.verdict import Information, LengthRecord, TrendRecord, Verdict
from plantain.stats.trend import adjust_for_length, rank_trend
from plantain.stats.validate import Floats

RANK = "rank"
"""The item field that orders the items."""


@dataclass(frozen=True)
class CellEvidence:
    """What one probe on one model left behind."""

    probe: str
    model: str
    activations: Activations
    groups: pl.DataFrame
    records: tuple[Record, ...]
    contrasts: Contrasts
    summary: Summary
    """Of the analyze stage, for the split halves."""
    sources: Sources
    embeddings: Floats | None = None
    """Mean squares of the prompt embeddings over text tokens, (item, condition, slices); None where not captured."""
    untrained: Mapping[str, dict[str, dict[str, float]]] = field(default_factory=dict)
    """Metrics of the published protocol on untrained versions of the model, by model and contrast."""


@dataclass(frozen=True)
class FixedRules:
    """What was fixed before looking."""

    name: str
    """The analysis that the verdict rests on."""
    analysis: AnalysisParams
    rules: VerdictParams


@dataclass(frozen=True)
class Judgement:
    """The record of a verdict, and the numbers for tables."""

    record: Verdict
    metrics: dict[str, float]


def judge(cell: CellEvidence, frame: FixedRules) -> Judgement:
    """Climb the ladder with every contrast; the one that the verdict rests on is the target."""
    measured = Measured.of(cell.activations, cell.groups, frame.analysis)
    main = confirmatory(cell.contrasts)
    climbs = {one.name: _climb(cell, measured, one, frame) for one in cell.contrasts.contrasts}
    ladder, beside = climbs[main.name]
    information = _information(cell, measured, main, beside, frame.rules)
    trend = _trend(cell, measured, main, frame.rules)
    metrics = ladder.metrics() | _named(information) | _trend_metrics(trend)
    climbed = ladder.record()
    record = Verdict(
        probe=cell.probe,
        model=cell.model,
        contrast=main.name,
        analysis=frame.name,
        rules_sha256=rules_digest(frame.rules),
        rung=climbed.rung,
        sentence=climbed.sentence,
        rungs=climbed.rungs,
        metrics=metrics,
        information=information,
        trend=trend,
        length=[_length(cell, measured, one, frame.rules) for one in cell.contrasts.contrasts],
        exploratory={name: found.record() for name, (found, _) in climbs.items() if name != main.name},
        untrained=dict(cell.untrained),
    )
    return Judgement(record, metrics)


def rules_digest(rules: VerdictParams) -> str:
    """Digest of the rules, so that a change of them shows in every verdict."""
    return digest({name: str(value) for name, value in rules.model_dump().items()})


def confirmatory(contrasts: Contrasts) -> ExpandedContrast:
    """The contrast that the verdict rests on."""
    by_name = {contrast.name: contrast for contrast in contrasts.contrasts}
    return by_name[str(speaking(by_name))]


def _climb(
    cell: CellEvidence, measured: Measured, contrast: ExpandedContrast, frame: FixedRules
) -> tuple[Ladder, Beside]:
    sides = measured.sides(contrast)
    beside = cell.sources.beside(measured, contrast, cell.records, frame.rules)
    evidence = Evidence(
        differences=sides.differences,
        a=sides.a,
        b=sides.b,
        reliability=_reliability(cell, contrast, frame),
        strata=strata_of(contrast),
        unequal=unequal_strata(cell.activations, contrast),
        flip_blocks=contrast.flip_blocks,
        families=beside.families,
        missing=beside.missing,
        replicas=beside.replicas,
        unrepeated=beside.unrepeated,
        has_reference=beside.has_reference,
    )
    return climb(evidence, frame.rules), beside


def _reliability(cell: CellEvidence, contrast: ExpandedContrast, frame: FixedRules) -> Reliability | None:
    """The split half that the analyze stage computed."""
    found = cell.summary.contrasts[contrast.name][frame.name].split_half
    flips = frame.analysis.split_flips
    if found.null_p is None or flips < 1:
        return None
    signs = len(set(contrast.flip_blocks or cell.activations.items))
    floor = max(1 / flips, 0.5 ** (signs - 1))
    reliability = found.spearman_brown
    return Reliability(float("nan") if reliability is None else reliability, found.null_p, floor)


def _information(
    cell: CellEvidence, measured: Measured, contrast: ExpandedContrast, beside: Beside, rules: VerdictParams
) -> Information:
    """Concept information before the first block, in untrained draws and in the model, side by side."""
    sides = measured.sides(contrast)
    if min(len(sides.a), len(sides.b)) < rules.min_templates:
        return Information()
    drawn = {method: float(np.mean(values)) for method, values in beside.information.items()}
    return Information(
        model=defined(compare_templates(sides.a, sides.b, None, rules).concept_information),
        text=_before_the_first_block(cell, contrast, rules),
        reinit=defined(drawn.get(Method.reinit)),
        shuffle=defined(drawn.get(Method.shuffle)),
        untrained_items=list(beside.items) or None,
        model_on_these=beside.own_information,
    )


def _before_the_first_block(cell: CellEvidence, contrast: ExpandedContrast, rules: VerdictParams) -> float | None:
    if cell.embeddings is None:
        return None
    a, b = (_embedded(cell, names) for names in (contrast.a, contrast.b))
    return defined(compare_templates(a, b, None, rules).concept_information)


def _embedded(cell: CellEvidence, names: tuple[str, ...]) -> Floats:
    """Template-level log RMS of the prompt embeddings, ``(templates, slices)``."""
    assert cell.embeddings is not None
    columns = [cell.activations.conditions.index(name) for name in names]
    return np.asarray(0.5 * np.log(cell.embeddings[:, columns].astype(np.float64)).mean(axis=0))


def _named(information: Information) -> dict[str, float]:
    named = {
        "concept_information_text": information.text,
        "concept_information_untrained": information.reinit,
        "concept_information_shuffled": information.shuffle,
    }
    return {name: value for name, value in named.items() if value is not None}


def _trend(
    cell: CellEvidence, measured: Measured, contrast: ExpandedContrast, rules: VerdictParams
) -> TrendRecord | None:
    """The trend over the items' rank with their token count as nuisance; None where items have no rank."""
    ranks = [fields.get(RANK) for fields in cell.contrasts.fields]
    numbers = [float(rank) for rank in ranks if isinstance(rank, int | float)]
    if len(numbers) < len(ranks) or len(set(numbers)) < 4:
        return None
    tokens = text_tokens(cell.activations, (*contrast.a, *contrast.b)).mean(axis=1)
    differences = measured.sides(contrast).differences
    found = rank_trend(
        differences,
        numbers,
        tokens,
        permutations=rules.permutations,
        threshold=rules.threshold,
        seed=rules.seed,
    )
    known = found.identifiable
    return TrendRecord(
        field=RANK,
        nuisance="text tokens of the prompt",
        threshold=found.threshold,
        identifiable=known,
        inflation=defined(found.inflation),
        heads_over_unadjusted=found.count_unadjusted,
        heads_over=found.count if known else None,
        p=six_digits(found.count_p) if known else None,
    )


def _trend_metrics(trend: TrendRecord | None) -> dict[str, float]:
    if trend is None or trend.heads_over is None or trend.p is None:
        return {}
    return {"trend_heads": float(trend.heads_over), "trend_p": trend.p}


def _length(cell: CellEvidence, measured: Measured, contrast: ExpandedContrast, rules: VerdictParams) -> LengthRecord:
    """What is left at item level when the difference in tokens is held at 0, where that can be told."""
    a, b = (text_tokens(cell.activations, names).mean(axis=1) for names in (contrast.a, contrast.b))
    found = adjust_for_length(measured.sides(contrast).differences, a - b, threshold=rules.threshold)
    return LengthRecord(
        contrast=contrast.name,
        tokens_fewest=six_digits(found.fewest),
        tokens_most=six_digits(found.most),
        heads_over=found.count,
        heads_over_adjusted=found.said if found.adjusted is None else found.adjusted,
    )
