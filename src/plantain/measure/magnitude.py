"""What a unit measures under a wording: from stored mean squares to a number, of all wordings or of one at a time.

A group measure of a whole cell takes half of what its file does, in float64. No more of it is held than is asked for:
files are looked at a few items at a time, and sides are summed wording by wording.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from plantain.base.errors import InputError
from plantain.base.params import Measure, Tokens, UnitKind
from plantain.measure.views import UnitView, unit_view
from plantain.records.activations import Activations

Floats = NDArray[np.float64]
BLOCK_VALUES = 1 << 19
"""Values of one temporary: 4 MiB."""
_SETS = {
    Tokens.text: ("text",),
    Tokens.pad: ("pad",),
    Tokens.noise: ("noise",),
    Tokens.reference: ("reference",),
    Tokens.image: ("noise", "reference"),
    Tokens.all: ("text", "pad", "noise", "reference"),
}


def measure(
    activations: Activations,
    groups: pl.DataFrame,
    kind: UnitKind | UnitView,
    tokens: Tokens,
    measure: Measure,
    draw: int = 0,
) -> Floats:
    """The measure of every unit, (item, condition, reference, seed, unit); see :class:`Magnitude`.

    Raises:
        InputError: the groups are not those of the activations.
    """
    return Magnitude.of(activations, groups, kind, tokens, measure, draw).everything()


@dataclass(frozen=True)
class Magnitude:
    """The measure of every unit of one draw, computed where it is asked for.

    Mean squares are averaged over the token sets that a unit's projection sees, weighted by token counts, then over
    its channels. ``log_rms`` is the natural logarithm, minus infinity where a unit is exactly silent. NaN where no
    token of the set is seen.
    """

    activations: Activations
    members: NDArray[np.int64]
    """Positions on the group axis of what belongs to a unit, units in order, (members,)."""
    starts: NDArray[np.int64]
    """Where each unit begins among ``members``, (units,)."""
    width: Floats
    """Channels of every member, (members,)."""
    tokens: Tokens
    measure: Measure
    draw: int

    @classmethod
    def of(
        cls,
        activations: Activations,
        groups: pl.DataFrame,
        kind: UnitKind | UnitView,
        tokens: Tokens,
        measure: Measure,
        draw: int = 0,
    ) -> "Magnitude":
        """Look at units of ``kind``.

        Raises:
            InputError: the groups are not those of the activations.
        """
        held = activations.mean_square.shape[-1]
        view = kind if isinstance(kind, UnitView) else unit_view(groups, kind)
        if groups.height != held:
            fix = "run `dvc repro`: units.parquet and the activations come from different models or group widths."
            raise InputError(f"the unit table has {groups.height} groups, the activations {held}.", fix=fix)
        width = groups["width"].to_numpy()[view.groups].astype(np.float64)
        return cls(activations, view.groups, view.starts, width, tokens, measure, draw)

    def everything(self) -> Floats:
        """Every wording, (item, condition, reference, seed, unit)."""
        found = np.empty((*self.activations.mean_square.shape[1:5], self.starts.size))
        for items, block in self._blocks(slice(None)):
            found[items] = block
        return found

    def wording(self, name: str) -> Floats:
        """One wording averaged over its references and seeds, absent alternatives left out, (items, units).

        Raises:
            InputError: it was not captured.
        """
        place = _place(self.activations.conditions, name)
        found = np.empty((len(self.activations.items), self.starts.size))
        for items, block in self._blocks(slice(place, place + 1)):
            found[items] = _averaged(block[:, 0])
        return found

    def item_level(self, a: Sequence[str], b: Sequence[str]) -> Floats:
        """As :func:`item_level`, (items, units)."""
        return _between(_mean(map(self.wording, a)), _mean(map(self.wording, b)))

    def template_level(self, names: Sequence[str]) -> Floats:
        """As :func:`template_level`, (wordings, units)."""
        return np.stack([self.wording(name).mean(axis=0) for name in names])

    def _blocks(self, conditions: slice) -> Iterator[tuple[slice, Floats]]:
        """A few items after the other, and what they measure, (item, condition, reference, seed, unit)."""
        held = self.activations.mean_square[self.draw, :, conditions]
        size = max(1, BLOCK_VALUES // (int(np.prod(held.shape[1:4])) * self.members.size))
        for start in range(0, len(held), size):
            items = slice(start, start + size)
            yield items, self._measured(held[items], self.activations.token_count[items, conditions])

    def _measured(self, values: NDArray[np.float32], counts: NDArray[np.int32]) -> Floats:
        summed = np.add.reduceat(self._over_tokens(values, counts) * self.width, self.starts, axis=-1)
        mean_square = summed / np.add.reduceat(self.width, self.starts)
        if self.measure is Measure.rms:
            return np.sqrt(mean_square)
        with np.errstate(divide="ignore"):
            return np.asarray(0.5 * np.log(mean_square))

    def _over_tokens(self, values: NDArray[np.float32], counts: NDArray[np.int32]) -> Floats:
        total = np.zeros((*values.shape[:4], self.members.size))
        weight = np.zeros_like(total)
        for name in _SETS[self.tokens]:
            index = self.activations.tokens.index(name)
            squares = values[:, :, :, :, index, :][..., self.members].astype(np.float64)
            count = counts[:, :, :, index].astype(np.float64)[..., None, None]
            seen = ~np.isnan(squares)
            total += np.where(seen, squares, 0.0) * count
            weight += seen * count
        return np.where(weight > 0, total / np.where(weight > 0, weight, 1.0), np.nan)


def item_level(values: Floats, conditions: Sequence[str], a: Sequence[str], b: Sequence[str]) -> Floats:
    """Side ``a`` minus side ``b`` for every item, (items, units).

    A wording is averaged over its references and seeds, absent alternatives left out; a side is the plain mean of
    its wordings, so that each weighs the same however many references it has.

    Args:
        values: a measure, (item, condition, reference, seed, unit).
        conditions: labels of the condition axis.
        a: wordings of one side.
        b: wordings of the other.
    """
    sides = (_mean(_template(values, conditions, name) for name in side) for side in (a, b))
    return _between(*sides)


def template_level(values: Floats, conditions: Sequence[str], names: Sequence[str]) -> Floats:
    """Each wording's measure averaged over references, seeds and items, (wordings, units)."""
    return np.stack([_template(values, conditions, name).mean(axis=0) for name in names])


def wordings_by_item(values: Floats, conditions: Sequence[str], names: Sequence[str]) -> Floats:
    """Each wording's measure averaged over references and seeds, (wordings, items, units)."""
    return np.stack([_template(values, conditions, name) for name in names])


def _between(a: Floats, b: Floats) -> Floats:
    with np.errstate(invalid="ignore"):
        # Silent on both sides: the difference of two minus infinities is NaN, which is meant.
        return np.subtract(a, b, out=a)


def _mean(tables: Iterable[Floats]) -> Floats:
    """The mean of tables of which two are held at once; they are summed in order, as `numpy.mean` does."""
    ordered = iter(tables)
    total, number = next(ordered), 1
    for table in ordered:
        np.add(total, table, out=total)
        number += 1
    return np.divide(total, number, out=total)


def _template(values: Floats, conditions: Sequence[str], name: str) -> Floats:
    return _averaged(values[:, _place(conditions, name)])


def _place(conditions: Sequence[str], name: str) -> int:
    if name not in conditions:
        fix = f"captured are: {', '.join(conditions)}; run `dvc repro` after editing a probe."
        raise InputError(f"condition '{name}' is not among the activations.", fix=fix)
    return conditions.index(name)


def _averaged(chosen: Floats) -> Floats:
    """Mean over the references and seeds of one wording, (item, reference, seed, unit), absent ones left out."""
    present = ~np.isnan(chosen)
    count = present.sum(axis=(1, 2))
    total = np.where(present, chosen, 0.0).sum(axis=(1, 2))
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
