"""What counts twice: items that are one item, and wordings that are one wording.

A copy of an item is no further evidence, and a test that takes it for an independent draw finds what is not there.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import combinations

from plantain.base.errors import InputError
from plantain.base.yaml import Key
from plantain.probe.records import ExpandedContrast, Expansion, Record
from plantain.probe.spec import Probe

Content = tuple[str, tuple[tuple[str | None, str | None], ...]]
"""What a record puts to the model: its prompt, and the prompt or the bytes of each reference. Names do not count."""

Table = Mapping[str, Mapping[str, Content]]
"""Content by item and condition."""


def contents(expansion: Expansion) -> Table:
    """What every record puts to the model."""
    images = {image.name: (image.prompt, image.file_sha256) for image in expansion.references}
    table: dict[str, dict[str, Content]] = {}
    for record in expansion.records:
        table.setdefault(record.item, {})[record.condition] = _content(record, images)
    return table


def _content(record: Record, images: Mapping[str, tuple[str | None, str | None]]) -> Content:
    return record.prompt, tuple(images[name] for name in record.reference)


def refuse_copies(probe: Probe, expansion: Expansion) -> None:
    """Refuse what would be counted twice.

    Raises:
        InputError: two items that are the same in every condition, or in every condition of a contrast where they do
            not share a flip block; or two conditions of one side with the same text for an item. Names both lines.
    """
    table = contents(expansion)
    _refuse_items(probe, table, tuple(probe.conditions), None)
    for contrast in expansion.contrasts:
        for side in (contrast.a, contrast.b):
            _refuse_wordings(probe, table, contrast, side)
        _refuse_items(probe, table, (*contrast.a, *contrast.b), contrast)


def _refuse_items(probe: Probe, table: Table, conditions: tuple[str, ...], contrast: ExpandedContrast | None) -> None:
    blocks = contrast.flip_blocks if contrast is not None else None
    seen: dict[tuple[Content, ...], list[int]] = {}
    for index, row in enumerate(table.values()):
        before = seen.setdefault(tuple(row[name] for name in conditions), [])
        for other in before[:1]:
            if blocks is None or blocks[other] != blocks[index]:
                raise _same_items(probe, other, index, contrast)
        before.append(index)


def _same_items(probe: Probe, first: int, second: int, contrast: ExpandedContrast | None) -> InputError:
    names = list(probe.items)
    where = "in every condition" if contrast is None else f"on both sides of the contrast '{contrast.name}'"
    problem = (
        f"the items '{names[first]}'{_place(probe, 'items', first)} and '{names[second]}' put the same prompts "
        f"{where}, so they are one item and would count as two."
    )
    fix = "remove one, or give it a field of its own that the templates use."
    if contrast is not None:
        fix = f"reword one, or give '{contrast.name}' a `flip_blocks:` field with one value for both."
    return _error(probe, problem, "items", second, fix=fix)


def _refuse_wordings(probe: Probe, table: Table, contrast: ExpandedContrast, side: tuple[str, ...]) -> None:
    for item, row in table.items():
        for first, second in _equal(row, side):
            problem = (
                f"'{second}' and '{first}'{_place(probe, 'conditions', first)} are on one side of the contrast "
                f"'{contrast.name}' with the same text for the item '{item}', so they are one wording."
            )
            raise _error(probe, problem, "conditions", second, fix="reword one, or take it out of the contrast.")


def _equal(row: Mapping[str, Content], side: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Pairs of conditions of a side with the same content, in order."""
    if len({row[name] for name in side}) < len(side):
        yield from ((first, second) for first, second in combinations(side, 2) if row[first] == row[second])


def shared_side(table: Table, contrast: ExpandedContrast, names: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """Pairs of items that share all texts of one side and no flip block: one prompt stands for two of the items."""
    wanted, blocks = tuple(names), contrast.flip_blocks
    seen: dict[tuple[Content, ...], tuple[str, int]] = {}
    found = []
    for index, (item, row) in enumerate(table.items()):
        other, place = seen.setdefault(tuple(row[name] for name in wanted), (item, index))
        if place != index and (blocks is None or blocks[place] != blocks[index]):
            found.append((other, item))
    return tuple(found)


def _place(probe: Probe, *keys: Key) -> str:
    return "" if probe.source is None else f" (line {probe.source.line(*keys)})"


def _error(probe: Probe, problem: str, *keys: Key, fix: str) -> InputError:
    if probe.source is not None:
        return probe.source.error(problem, *keys, fix=fix)
    return InputError(problem, fix=fix, field=".".join(str(key) for key in keys))
