"""One cell judged: its contrasts up the ladder, the trend over rank, and how much is there before the first block."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from plantain.base.files import digest, six_digits
from plantain.base.params import AnalysisParams, VerdictParams
from plantain.ladder.beside import Beside, Sources
from plantain.ladder.climb import SCHEMA, Ladder, climb
from plantain.ladder.evidence import Evidence, Reliability
from plantain.ladder.rungs import compare_templates
from plantain.measure.sides import Measured, strata_of, text_tokens, unequal_strata
from plantain.probe.records import Contrasts, ExpandedContrast, Record
from plantain.probe.spec import Role
from plantain.records.activations import Activations
from plantain.stats.trend import adjust_for_length, rank_trend
from plantain.stats.validate import Floats

RANK = "rank"
"""The item field that orders the items."""


@dataclass(frozen=True)
class Cell:
    """What one probe on one model left behind."""

    probe: str
    model: str
    activations: Activations
    groups: pl.DataFrame
    records: tuple[Record, ...]
    contrasts: Contrasts
    summary: Mapping[str, Any]
    """``summary.json`` of the analyze stage, for the split halves."""
    sources: Sources
    embeddings: Floats | None = None
    """Mean squares of the prompt embeddings over text tokens, (item, condition, slices); None where not captured."""


@dataclass(frozen=True)
class Frame:
    """What was fixed before looking."""

    name: str
    """The analysis that the verdict rests on."""
    analysis: AnalysisParams
    rules: VerdictParams


@dataclass(frozen=True)
class Judgement:
    """The record of a verdict, and the numbers for tables."""

    record: dict[str, Any]
    metrics: dict[str, float] = field(default_factory=dict)


def judge(cell: Cell, frame: Frame) -> Judgement:
    """Climb the ladder with every contrast; the one that the verdict rests on is the target."""
    measured = Measured.of(cell.activations, cell.groups, frame.analysis)
    main = confirmatory(cell.contrasts)
    climbs = {one.name: _climb(cell, measured, one, frame) for one in cell.contrasts.contrasts}
    ladder, beside = climbs[main.name]
    information = _information(cell, measured, main, beside, frame.rules)
    trend = _trend(cell, measured, main, frame.rules)
    metrics = ladder.metrics() | _named(information) | _trend_metrics(trend)
    record = {
        "schema": SCHEMA,
        "probe": cell.probe,
        "model": cell.model,
        "contrast": main.name,
        "analysis": frame.name,
        "rules_sha256": rules_digest(frame.rules),
        **ladder.record(),
        "metrics": metrics,
        "information": information,
        "trend": trend,
        "length": [_length(cell, measured, one, frame.rules) for one in cell.contrasts.contrasts],
        "exploratory": {
            name: found.record() | {"metrics": found.metrics()}
            for name, (found, _) in climbs.items()
            if name != main.name
        },
    }
    return Judgement(record, metrics)


def rules_digest(rules: VerdictParams) -> str:
    """Digest of the rules, so that a change of them shows in every verdict."""
    return digest({name: str(value) for name, value in vars(rules).items()})


def confirmatory(contrasts: Contrasts) -> ExpandedContrast:
    """The contrast that the verdict rests on: the target, else the published one, else the first."""
    by_role = {contrast.role: contrast for contrast in reversed(contrasts.contrasts)}
    return by_role.get(Role.target) or by_role.get(Role.published) or contrasts.contrasts[0]


def _climb(cell: Cell, measured: Measured, contrast: ExpandedContrast, frame: Frame) -> tuple[Ladder, Beside]:
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


def _reliability(cell: Cell, contrast: ExpandedContrast, frame: Frame) -> Reliability | None:
    """The split half that the analyze stage computed."""
    found = cell.summary["contrasts"][contrast.name][frame.name]["split_half"]
    flips = frame.analysis.split_flips
    if found["null_p"] is None or flips < 1:
        return None
    signs = len(set(contrast.flip_blocks or cell.activations.items))
    floor = max(1 / flips, 0.5 ** (signs - 1))
    reliability = found["spearman_brown"]
    return Reliability(float("nan") if reliability is None else float(reliability), float(found["null_p"]), floor)


def _information(
    cell: Cell, measured: Measured, contrast: ExpandedContrast, beside: Beside, rules: VerdictParams
) -> dict[str, Any]:
    """Concept information before the first block, in untrained draws and in the model, side by side."""
    sides = measured.sides(contrast)
    if min(len(sides.a), len(sides.b)) < rules.min_templates:
        return {}
    found: dict[str, Any] = {"model": six_digits(compare_templates(sides.a, sides.b, None, rules).concept_information)}
    found |= {method.value: six_digits(float(np.mean(values))) for method, values in beside.information.items()}
    if beside.items:
        found |= {"untrained_items": list(beside.items), "model_on_these": beside.own_information}
    if cell.embeddings is not None:
        a, b = (_embedded(cell, names) for names in (contrast.a, contrast.b))
        found["text"] = six_digits(compare_templates(a, b, None, rules).concept_information)
    # Where no head varies over wordings there is no information to give.
    return {key: value for key, value in found.items() if not isinstance(value, float) or np.isfinite(value)}


def _embedded(cell: Cell, names: tuple[str, ...]) -> Floats:
    """Template-level log RMS of the prompt embeddings, ``(templates, slices)``."""
    assert cell.embeddings is not None
    columns = [cell.activations.conditions.index(name) for name in names]
    return np.asarray(0.5 * np.log(cell.embeddings[:, columns].astype(np.float64)).mean(axis=0))


_INFORMATION = {
    "text": "concept_information_text",
    "reinit": "concept_information_untrained",
    "shuffle": "concept_information_shuffled",
}


def _named(information: Mapping[str, Any]) -> dict[str, float]:
    return {name: float(information[key]) for key, name in _INFORMATION.items() if key in information}


def _trend(cell: Cell, measured: Measured, contrast: ExpandedContrast, rules: VerdictParams) -> dict[str, Any] | None:
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
    adjusted = {"heads_over": found.count, "p": six_digits(found.count_p)} if found.identifiable else {}
    return {
        "field": RANK,
        "nuisance": "text tokens of the prompt",
        "threshold": found.threshold,
        "identifiable": found.identifiable,
        "inflation": six_digits(found.inflation) if np.isfinite(found.inflation) else None,
        "heads_over_unadjusted": found.count_unadjusted,
        **adjusted,
    }


def _trend_metrics(trend: Mapping[str, Any] | None) -> dict[str, float]:
    if trend is None or not trend["identifiable"]:
        return {}
    return {"trend_heads": float(trend["heads_over"]), "trend_p": float(trend["p"])}


def _length(cell: Cell, measured: Measured, contrast: ExpandedContrast, rules: VerdictParams) -> dict[str, Any]:
    """What is left at item level when the difference in tokens is held at 0, where that can be told."""
    a, b = (text_tokens(cell.activations, names).mean(axis=1) for names in (contrast.a, contrast.b))
    found = adjust_for_length(measured.sides(contrast).differences, a - b, threshold=rules.threshold)
    return {
        "contrast": contrast.name,
        "tokens_fewest": six_digits(found.fewest),
        "tokens_most": six_digits(found.most),
        "heads_over": found.count,
        "heads_over_adjusted": found.said if found.adjusted is None else found.adjusted,
    }
