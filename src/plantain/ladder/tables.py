"""Null tables: what untrained draws of a model score on a probe, kept so that a verdict need not draw them again.

A table is addressed by what it was made from. A verdict uses it only where prompts, reference images, encoder, capture
and analysis are those of the cell at hand; otherwise the rung that needs it is not tested.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from plantain.base.errors import InputError, reading
from plantain.base.files import digest, readable_json, six_digits
from plantain.base.params import AnalysisParams, CaptureParams, Method, VerdictParams
from plantain.ladder.evidence import Family, Replica
from plantain.ladder.rungs import compare_templates
from plantain.measure.sides import Measured, judged
from plantain.probe.records import ExpandedContrast, Record
from plantain.records.keys import CAPTURE_VERSION, EMBEDDING_VERSION
from plantain.records.lock import ModelLock

Inputs = dict[str, Any]


class Frozen(BaseModel):
    """A record that refuses unknown fields and cannot be changed."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class DrawnContrast(Frozen):
    """One contrast, one entry a draw."""

    inputs: Inputs
    """What decided the numbers, by name."""
    counts: list[Annotated[int, Field(ge=0)]]
    """Heads over the threshold over templates."""
    concept_information: list[Annotated[float, Field(allow_inf_nan=False)]]


class NullTable(Frozen):
    """``reports/nulls/<family>/<probe>.json``."""

    schema_: Literal["plantain.null/1"] = Field(default="plantain.null/1", alias="schema")
    family: str
    method: Method
    of: str
    probe: str
    items: list[str]
    seeds: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)]
    """Noise seeds."""
    draws: Annotated[list[str], Field(min_length=1)]
    """Digest of each draw's transformer weights."""
    contrasts: dict[str, DrawnContrast]

    @model_validator(mode="after")
    def _whole(self) -> Self:
        """Every contrast has a number of every draw, and no item stands twice."""
        for name, one in self.contrasts.items():
            if {len(one.counts), len(one.concept_information)} != {len(self.draws)}:
                sizes = f"{len(one.counts)} counts and {len(one.concept_information)} values of information"
                raise ValueError(f"contrast {name} has {sizes} for {len(self.draws)} draws")
        if len(set(self.items)) < len(self.items) or (self.contrasts and not self.items):
            raise ValueError("its items are none, or one stands twice")
        return self


class ReplicatedContrast(Frozen):
    """One contrast in every cell of noise seed and reference image."""

    inputs: Inputs
    cells: list[tuple[Annotated[int, Field(ge=0)], str, Annotated[float, Field(gt=0, le=1)]]]
    """Noise seed, reference label, and the larger p of rungs 3 and 5."""

    @property
    def replicas(self) -> tuple[Replica, ...]:
        """The cells as the ladder takes them."""
        return tuple(Replica(*cell) for cell in self.cells)


class ReplicationTable(Frozen):
    """``reports/replications/<model>/<probe>.json``."""

    schema_: Literal["plantain.replication/1"] = Field(default="plantain.replication/1", alias="schema")
    model: str
    probe: str
    items: list[str]
    contrasts: dict[str, ReplicatedContrast]


Table = NullTable | ReplicationTable
Read = TypeVar("Read", NullTable, ReplicationTable)
SHUFFLED: Final = "shuffled_weights"
"""The input that only a shuffled family has: the trained weights that were shuffled."""


def table_bytes(table: Table) -> bytes:
    """The table as it stands on disk."""
    return readable_json(table.model_dump(mode="json", by_alias=True))


def read_null(path: Path) -> NullTable:
    """Read a null table.

    Raises:
        InputError: it is not one of this version.
    """
    return _read(path, NullTable)


def read_replications(path: Path) -> ReplicationTable:
    """Read a table of replications.

    Raises:
        InputError: it is not one of this version.
    """
    return _read(path, ReplicationTable)


def contrast_inputs(
    contrast: ExpandedContrast, records: Iterable[Record], images: Mapping[str, str], settings: Inputs
) -> Inputs:
    """What decides the template-level numbers of a contrast.

    Args:
        contrast: the two sides.
        records: the sampled records of the probe.
        images: reference name to the SHA-256 of its image.
        settings: what all contrasts of the table share, see :func:`shared_inputs`.
    """
    sides = {*contrast.a, *contrast.b}
    own = [record for record in records if record.condition in sides]
    names = sorted({name for record in own for name in record.reference})
    return {
        "a": list(contrast.a),
        "b": list(contrast.b),
        "prompts": digest(sorted(record.sha256 for record in own)),
        "references": digest({name: images[name] for name in names}),
        **settings,
    }


def shared_inputs(
    lock: ModelLock, capture: CaptureParams, analysis: AnalysisParams, rules: VerdictParams, versions: Mapping[str, str]
) -> Inputs:
    """What all contrasts of a table share.

    Args:
        lock: the model with weights that was untrained; its transformer weights do not count.
        capture: the first of its noise seeds counts.
        analysis: unit, tokens and measure count.
        rules: the threshold counts.
        versions: declared versions of the packages that capture.
    """
    parts = {name: [part.class_name, part.config_sha256] for name, part in lock.components.items()}
    parts |= {
        name: [*parts[name], part.weights_sha256] for name, part in lock.components.items() if name != "transformer"
    }
    sizes = [lock.dtype, lock.device, lock.height, lock.width, lock.max_sequence_length, lock.text_encoder_out_layers]
    ways = [
        CAPTURE_VERSION,
        EMBEDDING_VERSION,
        str(capture.path),
        float(capture.sigma),
        capture.seeds[0],
        capture.batch_size,
        capture.group_width,
    ]
    ways += sorted(capture.kernels().items())
    return {
        "model": digest([parts, sizes]),
        "capture": digest(ways),
        "measure": [str(analysis.unit), str(analysis.tokens), str(analysis.measure), float(rules.threshold)],
        "versions": digest(dict(versions)),
    }


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
        table: matched beforehand, see :func:`mismatch`.
        contrast: its name.
        own: heads of the model over the threshold, on the table's items and noise.
        heads: heads of the model.
        weights: digest of the model's transformer weights.
    """
    entry = table.contrasts[contrast]
    others = [count for count, made in zip(entry.counts, table.draws, strict=True) if made != weights]
    return Family(table.family, table.method, own, tuple(others), heads, itself=len(table.draws) - len(others))


def mismatch(made: Inputs, wanted: Inputs) -> str:
    """Which inputs of a table are not those of the cell at hand; empty where all are."""
    names = [name for name in sorted({*made, *wanted}) if made.get(name) != wanted.get(name)]
    return ", ".join(name.replace("_", " ") for name in names)


def _read(path: Path, kind: type[Read]) -> Read:
    fix = f"bring it back with `git checkout {path}`, or make it anew with `plantain run --study`."
    with reading(path, "a table of the study", fix):
        try:
            return kind.model_validate_json(path.read_bytes())
        except ValidationError as error:
            first = error.errors()[0]
            field, said = ".".join(map(str, first["loc"])), first["msg"].removeprefix("Value error, ")
            raise InputError(f"not a table of this version: {said}.", file=path, field=field, fix=fix) from None
