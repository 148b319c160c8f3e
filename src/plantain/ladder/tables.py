"""From measures to study tables and back: statistics of untrained draws, and the evidence that a table gives."""

from collections.abc import Iterable, Mapping, Sequence

from plantain.base.files import defined, six_digits
from plantain.base.params import VerdictParams
from plantain.ladder.evidence import Family, Replica
from plantain.ladder.rungs import compare_rows, ranked
from plantain.measure.plan import plans
from plantain.measure.sides import Measured
from plantain.probe.records import ExpandedContrast
from plantain.records.study import DrawnContrast, NullTable, ReplicatedContrast
from plantain.records.study_keys import Inputs
from plantain.stats.dispersion import effective_rows


def drawn(
    draws: Iterable[Measured],
    contrasts: Sequence[ExpandedContrast],
    inputs: Mapping[str, Inputs],
    rules: VerdictParams,
) -> dict[str, DrawnContrast]:
    """The contrasts of a null table that can be compared.

    Args:
        draws: each draw's measure on the sampled records.
        contrasts: those of the probe.
        inputs: contrast name to what decided its numbers.
        rules: threshold and least number of rows.
    """
    chosen = plans(contrasts, rules)
    counts: dict[str, list[int]] = {plan.contrast.name: [] for plan in chosen}
    pivots: dict[str, list[float]] = {name: [] for name in counts}
    information: dict[str, list[float]] = {name: [] for name in counts}
    effective: dict[str, list[float | None]] = {name: [] for name in counts}
    for draw in draws:
        for plan in chosen:
            rows, name = plan.rows(draw), plan.contrast.name
            test = compare_rows(rows, None, rules)
            counts[name].append(test.count)
            pivots[name].append(ranked(test))
            information[name].append(six_digits(test.concept_information))
            effective[name].append(defined(min(effective_rows(rows.a), effective_rows(rows.b))))
    return {
        name: DrawnContrast(
            inputs=inputs[name],
            counts=counts[name],
            pivots=pivots[name],
            concept_information=information[name],
            effective_wordings=effective[name],
        )
        for name in counts
    }


def family_of(table: NullTable, contrast: str, own: float, heads: int, weights: str) -> Family:
    """The draws of a table beside a model, without the draw that the model itself is.

    Args:
        table: matched beforehand, see :func:`plantain.records.study_keys.mismatch`.
        contrast: its name.
        own: largest pivot of the model, on the table's items and noise.
        heads: heads of the model.
        weights: digest of the model's transformer weights.
    """
    entry = table.contrasts[contrast]
    others = [at for at, made in enumerate(table.draws) if made != weights]
    pivots, counts = ([values[at] for at in others] for values in (entry.pivots, entry.counts))
    left_out = len(table.draws) - len(others)
    return Family(table.family, table.method, own, tuple(pivots), heads, tuple(map(int, counts)), itself=left_out)


def replicas_of(entry: ReplicatedContrast) -> tuple[Replica, ...]:
    """The cells of a replicated contrast as the ladder takes them."""
    return tuple(Replica(*cell) for cell in entry.cells)
