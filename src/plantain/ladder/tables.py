"""From measures to study tables and back: statistics of untrained draws, and the evidence that a table gives."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from plantain.base.files import defined, six_digits
from plantain.base.params import VerdictParams, WordingMeasure
from plantain.ladder.evidence import Family, Replica
from plantain.ladder.rungs import compare_rows, ranked
from plantain.measure.plan import Comparison, plans
from plantain.measure.vectors import Looked
from plantain.probe.records import ExpandedContrast
from plantain.records.study import Drawn, DrawnContrast, NullTable, ReplicatedCells
from plantain.records.study_keys import Inputs
from plantain.stats.dispersion import effective_rows


def drawn(
    draws: Iterable[Mapping[WordingMeasure, Looked]],
    contrasts: Sequence[ExpandedContrast],
    inputs: Mapping[str, Inputs],
    rules: VerdictParams,
) -> dict[str, DrawnContrast]:
    """The contrasts of a null table that can be compared.

    Args:
        draws: each draw on the sampled records, by every measure.
        contrasts: those of the probe.
        inputs: contrast name to what decided its numbers.
        rules: threshold and least number of rows.
    """
    chosen = plans(contrasts, rules)
    found: dict[str, dict[WordingMeasure, list[_OfDraw]]] = {plan.contrast.name: {} for plan in chosen}
    for draw in draws:
        for plan in chosen:
            for measure, looked in draw.items():
                found[plan.contrast.name].setdefault(measure, []).append(_of_draw(plan, looked, rules))
    return {name: _entry(by_measure, inputs[name]) for name, by_measure in found.items()}


class _OfDraw(NamedTuple):
    """The numbers of one draw."""

    over: int
    pivot: float
    information: float
    effective: float | None


def _of_draw(plan: Comparison, looked: Looked, rules: VerdictParams) -> _OfDraw:
    rows = plan.rows(looked)
    test = compare_rows(rows, None, rules)
    effective = min(effective_rows(rows.a), effective_rows(rows.b))
    return _OfDraw(test.count, ranked(test), six_digits(test.concept_information), defined(effective))


def _entry(by_measure: Mapping[WordingMeasure, Sequence[_OfDraw]], inputs: Inputs) -> DrawnContrast:
    every = {measure: _listed(draws) for measure, draws in by_measure.items()}
    magnitude = every.pop(WordingMeasure.log_rms)
    return DrawnContrast(inputs=inputs, vectors=every, **magnitude.model_dump())


def _listed(draws: Sequence[_OfDraw]) -> Drawn:
    return Drawn(
        counts=[one.over for one in draws],
        pivots=[one.pivot for one in draws],
        concept_information=[one.information for one in draws],
        effective_wordings=[one.effective for one in draws],
    )


def family_of(table: NullTable, entry: Drawn, own: float, heads: int, weights: str) -> Family:
    """The draws of a table beside a model, without the draw that the model itself is.

    Args:
        table: matched beforehand, see :func:`plantain.records.study_keys.mismatch`.
        entry: the numbers of its draws for one contrast by one measure.
        own: largest pivot of the model, on the table's items and noise.
        heads: heads of the model.
        weights: digest of the model's transformer weights.
    """
    others = [at for at, made in enumerate(table.draws) if made != weights]
    pivots, counts = ([values[at] for at in others] for values in (entry.pivots, entry.counts))
    left_out = len(table.draws) - len(others)
    return Family(table.family, table.method, own, tuple(pivots), heads, tuple(map(int, counts)), itself=left_out)


def replicas_of(cells: ReplicatedCells) -> tuple[Replica, ...]:
    """The cells of a replicated contrast as the ladder takes them."""
    return tuple(Replica(*cell) for cell in cells)
