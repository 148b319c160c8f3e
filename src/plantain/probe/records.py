"""What a probe expands to: a record a (item, condition), a record a reference, and the contrasts between conditions."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from plantain.base.files import digest
from plantain.probe.node import Field
from plantain.probe.spec import Decides, Role


@dataclass(frozen=True)
class Record:
    """One item put to the model in one wording. ``prompt`` is exactly the string that is hashed and run."""

    item: str
    condition: str
    prompt: str
    reference: tuple[str, ...]
    """Names of the alternative conditioning images; empty where there is none."""
    sha256: str
    fields: dict[str, Field]


@dataclass(frozen=True)
class ReferenceRecord:
    """One conditioning image: generated from ``prompt``, or the bytes of ``file``."""

    name: str
    prompt: str | None
    file: str | None
    file_sha256: str | None
    sha256: str
    """Over name, prompt and file bytes: where the file lies does not count."""


class Reason(StrEnum):
    """Why wordings of one side are one piece of evidence."""

    word = "word"
    """They share a word that the other side uses in fewer wordings, by two or more."""
    copy = "copy"
    """Their words are the same, or nearly so."""
    frame = "frame"
    """They declare one frame."""


@dataclass(frozen=True)
class Tie:
    """Wordings of one side that are one piece of evidence, and why."""

    reason: Reason
    wordings: tuple[str, ...]
    shared: str
    """The word as the side writes it, or the frame; empty for copies."""
    opposite: int = 0
    """Wordings of the other side that use the word."""


@dataclass(frozen=True)
class ExpandedContrast:
    """Side ``a`` minus side ``b``."""

    name: str
    a: tuple[str, ...]
    b: tuple[str, ...]
    role: Role
    strata: tuple[str | None, ...]
    """The stratum of each wording of ``a``, then of ``b``; ``None`` where a wording has none."""
    flip_blocks: tuple[str, ...] | None
    """A label an item, in item order; items of one label share one sign. ``None``: each its own."""
    frames: tuple[str | None, ...] = ()
    """The frame of each wording of ``a``, then of ``b``; where left out, none has one."""
    clusters: tuple[int, ...] = ()
    """Which wordings are one piece of evidence: a label each, of ``a`` then ``b``, none on both sides; where left out,
    each is its own. See :mod:`plantain.probe.clusters`."""
    ties: tuple[Tie, ...] = ()
    """Why."""
    decides: Decides | None = None

    def __post_init__(self) -> None:
        """Fill in what older files do not hold."""
        wordings = len(self.a) + len(self.b)
        object.__setattr__(self, "frames", self.frames or (None,) * wordings)
        object.__setattr__(self, "clusters", self.clusters or tuple(range(wordings)))


@dataclass(frozen=True)
class Contrasts:
    """The contrasts of a probe, with its items in order and their fields (``rank`` and the like)."""

    probe: str
    items: tuple[str, ...]
    fields: tuple[dict[str, Field], ...]
    contrasts: tuple[ExpandedContrast, ...]
    neutral: tuple[str, ...] = ()
    """Conditions that belong to no side."""


@dataclass(frozen=True)
class Expansion:
    """A whole probe, expanded: records in item order, and in condition order within an item."""

    probe: str
    records: tuple[Record, ...]
    references: tuple[ReferenceRecord, ...]
    contrasts: tuple[ExpandedContrast, ...]
    set_sha256: str
    neutral: tuple[str, ...] = ()
    """Conditions that belong to no side. They are run as all others."""


def set_digest(records: Iterable[Record]) -> str:
    """The digest of a prompt set: over its sorted record digests, so the order of records does not count."""
    return digest(sorted(record.sha256 for record in records))


def record_digest(
    item: str, condition: str, prompt: str, references: Iterable[ReferenceRecord], fields: dict[str, Field]
) -> str:
    """The digest of one record. It holds its references' digests, so a changed image is a changed record."""
    return digest(
        {
            "item": item,
            "condition": condition,
            "prompt": prompt,
            "reference": [{"name": reference.name, "sha256": reference.sha256} for reference in references],
            "fields": fields,
        }
    )


def items_of(records: Iterable[Record]) -> dict[str, dict[str, Field]]:
    """The fields of every item, by item id in order of appearance."""
    items: dict[str, dict[str, Field]] = {}
    for record in records:
        items.setdefault(record.item, record.fields)
    return items
