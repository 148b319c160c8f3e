"""From measures to study tables and back: statistics of untrained draws, and the evidence that a table gives."""

from collections.abc import Iterable, Mapping, Sequence

from plantain.base.files import six_digits
from plantain.base.params import VerdictParams
from plantain.ladder.evidence import Family, Replica
from plantain.ladder.rungs import compare_templates
from plantain.measure.sides import Measured, judged
from plantain.probe.records import ExpandedContrast
from plantain.records.study import DrawnContrast, NullTable, ReplicatedContrast
from plantain.records.study_keys import Inputs


def drawn(
    draws: Iterable[Measured],
    contrasts: Sequence[ExpandedContrast],
    inputs: Mapping[str, Inputs],
    rules: VerdictParams,
) -> dict[str, DrawnContrast]:
    """The contrasts of a null table.

    Args:
        draws: each draw's measure on the sampled records.
        contrasts: those of the probe.
        inputs: contrast name to what decided its numbers.
        rules: threshold and least number of templates.
    """
    chosen = judged(contrasts, rules)
    counts: dict[str, list[int]] = {one.name: [] for one in chosen}
    information: dict[str, list[float]] = {one.name: [] for one in chosen}
    for draw in draws:
        for one in chosen:
            sides = draw.sides(one)
            test = compare_templates(sides.a, sides.b, None, rules)
            counts[one.name].append(test.count)
            information[one.name].append(six_digits(test.concept_information))
    return {
        name: DrawnContrast(inputs=inputs[name], counts=counts[name], concept_information=information[name])
        for name in counts
    }


def family_of(table: NullTable, contrast: str, own: int, heads: int, weights: str) -> Family:
    """The draws of a table beside a model, without the draw that the model itself is.

    Args:
        table: matched beforehand, see :func:`plantain.records.study_keys.mismatch`.
        contrast: its name.
        own: heads of the model over the threshold, on the table's items and noise.
        heads: heads of the model.
        weights: digest of the model's transformer weights.
    """
    entry = table.contrasts[contrast]
    others = [count for count, made in zip(entry.counts, table.draws, strict=True) if made != weights]
    return Family(table.family, table.method, own, tuple(others), heads, itself=len(table.draws) - len(others))


def replicas_of(entry: ReplicatedContrast) -> tuple[Replica, ...]:
    """The cells of a replicated contrast as the ladder takes them."""
    return tuple(Replica(*cell) for cell in entry.cells)
