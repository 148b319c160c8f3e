"""Which settings of an analysis cannot be met by a probe: known before any pass, and said then."""

from collections.abc import Iterator

from plantain.base.errors import InputError
from plantain.base.params import Params, Tokens
from plantain.probe.records import ExpandedContrast, Expansion, items_of
from plantain.probe.spec import MOST_ITEMS
from plantain.stats.flips.counting import Flips
from plantain.stats.flips.draw import DRAWN_BYTES, drawn_bytes
from plantain.stats.flips.exact import LARGEST_BITS


def always_feasible(params: Params) -> bool:
    """Whether these settings can be met by any probe, so that none needs to be read to know it."""
    entries = params.analyses.values()
    drawn = [one.flips for one in entries] + [one.split_flips for one in entries] + [params.verdict.flips]
    return not any(one.tokens is Tokens.reference for one in entries) and not any(
        _too_many(flips, MOST_ITEMS, unique=True) for flips in drawn
    )


def infeasible(expansion: Expansion, params: Params) -> Iterator[InputError]:
    """What ``analyze`` or ``verdict`` would refuse of ``expansion``, with the key of params.yaml to change."""
    items = len(items_of(expansion.records))
    for contrast in expansion.contrasts:
        signs = items if contrast.flip_blocks is None else len(set(contrast.flip_blocks))
        for name, one in params.analyses.items():
            place = f"analyses.{name}"
            yield from _flips(contrast, signs, one.flips, f"{place}.flips", unique=one.unique)
            yield from _flips(contrast, signs, one.split_flips, f"{place}.split_flips", unique=True)
            if one.tokens is Tokens.reference and not _has_references(expansion, contrast):
                problem = f"the contrast '{contrast.name}' of {expansion.probe} has no reference image."
                yield InputError(problem, file="params.yaml", field=f"{place}.tokens", fix="choose other tokens.")
        yield from _flips(contrast, signs, params.verdict.flips, "verdict.flips", unique=True)


def _flips(contrast: ExpandedContrast, signs: int, flips: Flips, field: str, *, unique: bool) -> Iterator[InputError]:
    if _too_many(flips, signs, unique=unique):
        what = f"all 2^{signs - 1}" if flips == "exact" else f"{flips:,}"
        problem = f"{what} flips of the {signs:,} signs of the contrast '{contrast.name}' are more than can be counted."
        yield InputError(problem, file="params.yaml", field=field, fix="use 10000, or fewer items.")


def _too_many(flips: Flips, signs: int, *, unique: bool) -> bool:
    """As `plantain.stats.flips` decides; the bound of LARGEST_BITS is that of two-sided tests."""
    if flips == "exact":
        return signs - 1 > LARGEST_BITS
    every = unique and 1 << (signs - 1) <= flips
    return not every and drawn_bytes(signs, flips) > DRAWN_BYTES


def _has_references(expansion: Expansion, contrast: ExpandedContrast) -> bool:
    sides = {*contrast.a, *contrast.b}
    return all(record.reference for record in expansion.records if record.condition in sides)
