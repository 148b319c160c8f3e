"""What changed between two prompt sets, record by record."""

from dataclasses import dataclass, replace

from plantain.probe.records import ExpandedContrast, Expansion, Record, items_of


@dataclass(frozen=True)
class Edit:
    """One record before and after. Records are the same when item and condition are."""

    before: Record
    after: Record


@dataclass(frozen=True)
class SetDiff:
    """The difference between two expansions."""

    before_sha256: str
    after_sha256: str
    added: tuple[Record, ...]
    removed: tuple[Record, ...]
    edited: tuple[Edit, ...]
    contrasts: tuple[str, ...]
    """Contrasts that were added, removed or edited. They belong to no record: no pass runs again for them."""

    @property
    def empty(self) -> bool:
        """Whether nothing changed."""
        return not (self.added or self.removed or self.edited or self.contrasts)


def diff(before: Expansion, after: Expansion) -> SetDiff:
    """Compare two expansions; a reordering is no difference."""
    old = {(record.item, record.condition): record for record in before.records}
    new = {(record.item, record.condition): record for record in after.records}
    contrasts_before, contrasts_after = _contrasts(before), _contrasts(after)
    names = dict.fromkeys((*contrasts_before, *contrasts_after))
    return SetDiff(
        before_sha256=before.set_sha256,
        after_sha256=after.set_sha256,
        added=tuple(record for key, record in new.items() if key not in old),
        removed=tuple(record for key, record in old.items() if key not in new),
        edited=tuple(Edit(old[key], new[key]) for key in new if key in old and old[key].sha256 != new[key].sha256),
        contrasts=tuple(name for name in names if contrasts_before.get(name) != contrasts_after.get(name)),
    )


def _contrasts(expansion: Expansion) -> dict[str, tuple[ExpandedContrast, dict[str, str]]]:
    """Every contrast with its flip-block labels by item, so that the order of items does not count."""
    items = list(items_of(expansion.records))
    return {
        contrast.name: (
            replace(contrast, flip_blocks=None),
            dict(zip(items, contrast.flip_blocks or (), strict=False)),
        )
        for contrast in expansion.contrasts
    }
