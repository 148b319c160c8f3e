"""One cell judged: its contrasts up the ladder, the trend over rank, and how much is there before the first block."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import polars as pl

from plantain.base.files import defined, digest, six_digits
from plantain.base.params import AnalysisParams, Method, VerdictParams, WordingMeasure
from plantain.ladder.beside import Beside, Sources
from plantain.ladder.climb import Ladder, climb
from plantain.ladder.evidence import CausalEvidence, ControlEvidence, Evidence, Reliability
from plantain.ladder.rungs import compare_rows, rank_p, smallest_p
from plantain.measure.plan import Comparison, RowScheme, against, deciding, few, lengths, plan_of, wordings
from plantain.measure.sides import Measured, text_tokens
from plantain.measure.vectors import Looked, every_measure
from plantain.probe.halves import causal_design
from plantain.probe.records import Contrasts, ExpandedContrast, Record, Tie
from plantain.probe.speaking import speaking
from plantain.probe.spec import Decides
from plantain.records.activations import Activations
from plantain.records.grams import Grams
from plantain.records.summary import Summary
from plantain.records.verdict import (
    DesignRecord,
    Information,
    LengthRecord,
    RankRecord,
    SwapsRecord,
    TieRecord,
    TrendRecord,
    Verdict,
)
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
    grams: Grams
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


def judge(cell: CellEvidence, frame: FixedRules) -> Verdict:
    """Climb the ladder with every contrast; the one that the verdict rests on is the target.

    The target climbs by every measure. One of them is confirmatory, fixed in the rules; it is magnitude where the
    capture kept nothing else. Nothing of this depends on other probes; what becomes of the claim among theirs is
    :func:`plantain.ladder.holm.corrected`.
    """
    measures = every_measure(cell.activations, cell.groups, frame.analysis, cell.grams)
    measured = measures[WordingMeasure.log_rms]
    assert isinstance(measured, Measured)
    main = confirmatory(cell.contrasts)
    chosen = WordingMeasure(frame.rules.measure)
    chosen = chosen if chosen in measures else WordingMeasure.log_rms
    climbs = {one.name: _climb(cell, measured, measures[chosen], one, frame) for one in cell.contrasts.contrasts}
    ladder, beside = climbs[main.name]
    others = {name: _climb(cell, measured, by, main, frame)[0] for name, by in measures.items() if name is not chosen}
    information = _information(cell, measures[chosen], main, beside, frame.rules)
    trend = _trend(cell, measured, main, frame.rules)
    metrics = ladder.metrics() | _named(information) | _trend_metrics(trend) | _by_measure(others)
    climbed = ladder.record()
    return Verdict(
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
        design=climbed.design,
        spread=climbed.spread,
        controls=climbed.controls,
        both=climbed.both,
        exploratory={name: found.record() for name, (found, _) in climbs.items() if name != main.name},
        untrained=dict(cell.untrained),
        measure=chosen,
        measures={name: found.record() for name, found in others.items()},
        swaps=_swaps(cell, main, frame.rules),
    )


def _swaps(cell: CellEvidence, main: ExpandedContrast, rules: VerdictParams) -> SwapsRecord:
    """What swapped heads did, for the page."""
    found = _causal(cell, plan_of(main, cell.contrasts.contrasts, rules), rules)
    ranks = [
        RankRecord(
            family=one.name,
            draws=len(one.draws),
            largest=six_digits(max(one.draws, default=0.0)),
            p=six_digits(rank_p(one)),
        )
        for one in found.families
    ]
    return SwapsRecord(alpha=rules.alpha, problem=found.problem, table=found.table, ranks=ranks)


def _by_measure(ladders: Mapping[WordingMeasure, Ladder]) -> dict[str, float]:
    """The numbers of the exploratory climbs of the target, ``<measure>.<metric>``."""
    return {f"{name}.{metric}": value for name, one in ladders.items() for metric, value in one.metrics().items()}


def rules_digest(rules: VerdictParams) -> str:
    """Digest of the rules, so that a change of them shows in every verdict."""
    return digest({name: str(value) for name, value in rules.model_dump().items()})


def confirmatory(contrasts: Contrasts) -> ExpandedContrast:
    """The contrast that the verdict rests on."""
    by_name = {contrast.name: contrast for contrast in contrasts.contrasts}
    return by_name[str(speaking(by_name))]


def _climb(
    cell: CellEvidence, measured: Measured, looked: Looked, contrast: ExpandedContrast, frame: FixedRules
) -> tuple[Ladder, Beside]:
    """One contrast up the ladder: items by magnitude, wordings by the measure that ``looked`` is."""
    rules = frame.rules
    plan = plan_of(contrast, cell.contrasts.contrasts, rules)
    rows = wordings(looked, contrast) if plan.problem else plan.rows(looked)
    crossed = plan.crossed(looked) if isinstance(looked, Measured) and not plan.problem else None
    length = lengths(plan, cell.activations)
    beside = cell.sources.beside(looked, plan, cell.records, rules)
    evidence = Evidence(
        differences=measured.sides(contrast).differences,
        a=rows.a,
        b=rows.b,
        reliability=_reliability(cell, contrast, frame),
        measure=looked.measure,
        clusters=rows.clusters,
        frames=rows.frames,
        few=plan.problem,
        against=plan.control.name if plan.control else "",
        crossed=(crossed.a, crossed.b) if crossed else None,
        design=design_record(plan, rules),
        controls=controls_of(looked, contrast, cell.contrasts.contrasts, rules),
        strata=length.strata,
        equal=length.equal,
        unequal=length.problem,
        flip_blocks=contrast.flip_blocks,
        families=beside.families,
        missing=beside.missing,
        replicas=beside.replicas,
        unrepeated=beside.unrepeated,
        has_reference=beside.has_reference,
        causal=_causal(cell, plan, frame.rules) if contrast == confirmatory(cell.contrasts) else None,
    )
    return climb(evidence, rules), beside


def _causal(cell: CellEvidence, plan: Comparison, rules: VerdictParams) -> CausalEvidence:
    """What swapped heads did, of the contrast that the verdict rests on."""
    known = cell.contrasts
    most, every = rules.swapped_items, known.contrasts
    design = causal_design(plan.contrast, known.neutral, known.items, most, contrasts=every, records=cell.records)
    return cell.sources.swapped(plan.contrast, design, cell.records, plan, rules)


def design_record(plan: Comparison, rules: VerdictParams) -> DesignRecord:
    """What is compared, as it is written down."""
    contrast = plan.contrast
    return DesignRecord(
        scheme=str(plan.scheme),
        wordings=[len(contrast.a), len(contrast.b)],
        rows=list(plan.sizes),
        floor=None if plan.problem else six_digits(smallest_p(plan.labels, None, rules)),
        control=plan.control.name if plan.control else None,
        ties=[_tie(tie) for tie in contrast.ties],
        problem=plan.problem,
    )


def _tie(tie: Tie) -> TieRecord:
    return TieRecord(reason=str(tie.reason), wordings=list(tie.wordings), shared=tie.shared)


def controls_of(
    looked: Looked, contrast: ExpandedContrast, contrasts: Sequence[ExpandedContrast], rules: VerdictParams
) -> tuple[ControlEvidence, ...]:
    """The controls that decide about a contrast, with their rows."""
    found = []
    for kind in Decides:
        for control in deciding(contrast, contrasts, kind):
            own_problem = few(control, rules)
            own = None if own_problem else wordings(looked, control)
            made = ControlEvidence(control.name, kind, own=own, own_problem=own_problem)
            found.append(_with_words(made, looked, contrast, control, rules) if kind is Decides.words else made)
    return tuple(found)


def _with_words(
    made: ControlEvidence,
    looked: Looked,
    contrast: ExpandedContrast,
    control: ExpandedContrast,
    rules: VerdictParams,
) -> ControlEvidence:
    """With the frames of target and control, where they can be compared."""
    problem = against(contrast, control, rules)
    if problem:
        return replace(made, problem=problem)
    rows = Comparison(contrast, RowScheme.control, control).rows(looked)
    return replace(made, target=rows.a, control=rows.b)


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
    cell: CellEvidence, looked: Looked, contrast: ExpandedContrast, beside: Beside, rules: VerdictParams
) -> Information:
    """Concept information before the first block, in untrained draws and in the model, side by side."""
    plan = plan_of(contrast, cell.contrasts.contrasts, rules)
    if plan.problem:
        return Information()
    drawn = {method: float(np.mean(values)) for method, values in beside.information.items()}
    return Information(
        model=defined(compare_rows(plan.rows(looked), None, rules).concept_information),
        text=_before_the_first_block(cell, plan, rules),
        reinit=defined(drawn.get(Method.reinit)),
        shuffle=defined(drawn.get(Method.shuffle)),
        untrained_items=list(beside.items) or None,
        model_on_these=beside.own_information,
        effective_wordings=defined(float(np.mean(beside.effective))) if beside.effective else None,
    )


def _before_the_first_block(cell: CellEvidence, plan: Comparison, rules: VerdictParams) -> float | None:
    """Concept information of the log RMS of the prompt embeddings, slices in the place of heads."""
    if cell.embeddings is None:
        return None
    values = 0.5 * np.log(cell.embeddings.astype(np.float64))[:, :, None, None]
    return defined(compare_rows(plan.rows(Measured(values, cell.activations)), None, rules).concept_information)


def _named(information: Information) -> dict[str, float]:
    named = {
        "concept_information_text": information.text,
        "concept_information_untrained": information.reinit,
        "concept_information_shuffled": information.shuffle,
        "effective_wordings_untrained": information.effective_wordings,
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
