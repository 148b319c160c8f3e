"""What a model would measure, from its configuration alone: no weights are read, and none downloaded."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import diffusers
import polars as pl
import torch
from huggingface_hub import try_to_load_from_cache
from huggingface_hub.errors import HFValidationError

from plantain.base.errors import InputError, reading
from plantain.base.params import ModelParams, Params, Source
from plantain.model import local
from plantain.model.architectures import Architecture, architecture_of
from plantain.model.declared import declared
from plantain.model.embedded import transformer_seed
from plantain.model.fetching import fetch_configurations
from plantain.model.geometry import geometry, group_table, projections
from plantain.model.hub import Hub, misnamed
from plantain.model.known import KLEIN_4B, PUBLISHED, PublishedModel
from plantain.model.layout import PIPELINE, read_json
from plantain.model.materialise import find_embedded
from plantain.model.opening import AGAIN
from plantain.records.lock import Geometry, stored_width

_INDEX = "model_index.json"


@dataclass(frozen=True)
class Description:
    """Geometry of a model, and where it was read."""

    name: str
    source: str
    configuration: str
    """Where the transformer's configuration was read."""
    pipeline: str | None
    """Class of the pipeline; None where a transformer stands alone."""
    guidance: str
    """How it is guided: none (by a second pass), embedded or distilled."""
    architecture: Architecture
    geometry: Geometry
    group_width: int
    """Channels of a stored group."""
    units: pl.DataFrame
    """The table of groups."""

    @property
    def counts(self) -> dict[str, int]:
        """How many units of each kind one capture serves; heads that no text can reach are counted apart."""
        seen = self.units.filter(pl.col("stream") != "text")
        kinds = self.geometry.kinds
        alive = [one for one in kinds if not one.dead]
        return {
            "projections": sum(one.blocks for one in kinds if one.stream != "text"),
            "heads": sum(one.blocks * one.heads for one in alive if one.stream != "text"),
            "head_streams": sum(one.blocks * one.heads for one in alive),
            "dead_heads": self.geometry.dead_heads,
            "mlp_slices": sum(one.blocks * one.mlp_width // one.head_width for one in kinds),
            "groups": seen.height,
            "groups_with_text_stream": self.units.height,
            "attention_groups": seen.filter(pl.col("part") == "attention").height,
            "mlp_groups": seen.filter(pl.col("part") == "mlp").height,
        }

    @property
    def facts(self) -> dict[str, Any]:
        """What the row of the architecture says, as far as one reads it before measuring."""
        row = self.architecture
        return {
            "token_order": list(row.order),
            "positions_ahead_of_text": row.ahead,
            "text_ends_by": str(row.text),
            "pooled_text": row.pooled_text,
            "conditions_on_image": str(row.picture) if self._takes_image() else "none",
            "guidance": self.guidance,
            "predicts": str(row.predicts),
            "clock": str(row.clock),
            "paths": ["fast", "pipeline"] if row.fast else ["pipeline"],
        }

    def record(self) -> dict[str, Any]:
        """All of it, for programs."""
        return {
            "name": self.name,
            "source": self.source,
            "configuration": self.configuration,
            "pipeline": self.pipeline,
            "architecture": self.architecture.name,
            "transformer": self.architecture.transformer,
            "facts": self.facts,
            "group_width": self.group_width,
            "geometry": self.geometry.model_dump(),
            "counts": self.counts,
        }

    def _takes_image(self) -> bool:
        return self.pipeline is None or self.pipeline in self.architecture.edits


class _Read(NamedTuple):
    """A configuration of a transformer, and where it was read."""

    config: Mapping[str, Any]
    where: str
    pipeline: str | None
    is_distilled: bool = False


def describe(name: str, params: Params) -> Description:
    """Geometry of a model.

    Args:
        name: a declared model, a folder with a pipeline's or a transformer's configuration, or a repository of the Hub,
            ``owner/name`` or ``owner/name@revision``, of which a few kilobytes are fetched where they are not here.
        params: the parsed file; a name that it declares comes first.

    Raises:
        InputError: none of these; its configuration cannot be had; or its class has no row, and then the message says
            what was found in it.
    """
    width = params.capture.group_width
    if name in params.models:
        entry = declared(name, params)
        base = declared(entry.of, params) if entry.of else entry
        return _describe(name, entry.source.value, _declared(entry.of or name, base), width)
    folder = Path(name).expanduser()
    if folder.is_dir():
        return _describe(name, "folder", _in_folder(folder), width)
    repo, _, revision = name.partition("@")
    if "/" not in repo or repo.startswith((".", "~", "/")):
        fix = f"use a model of params.yaml ({', '.join(params.models)}), a folder, or a repository owner/name."
        raise InputError(f"'{name}' is not declared, and no folder or repository.", fix=fix)
    return _describe(name, "hub", _in_repository(Hub(name, repo, revision or "main")), width)


def empty_of(name: str, config: Mapping[str, Any], where: str) -> Any:
    """The transformer of a configuration, on the meta device.

    Raises:
        InputError: diffusers has no such class, or it does not take the configuration.
    """
    kind: Any = getattr(diffusers, name, None)
    if not (isinstance(kind, type) and issubclass(kind, diffusers.ModelMixin)):
        what = f"diffusers {diffusers.__version__} has no model of the class {name}."
        raise InputError(what, file=where, fix="use a transformer of diffusers; code of repositories is not run.")
    with reading(Path(where), f"the configuration of a {name}", AGAIN), torch.device("meta"):
        made: Any = kind.from_config(dict(config))  # type: ignore[attr-defined]  # of ConfigMixin, which all have
        return made


def _describe(name: str, source: str, read: _Read, width: int) -> Description:
    transformer = empty_of(str(read.config.get("_class_name")), read.config, read.where)
    found, row = projections(transformer), architecture_of(transformer)
    return Description(
        name=name,
        source=source,
        configuration=read.where,
        pipeline=read.pipeline,
        guidance=str(row.guidance_of(transformer.config, read.is_distilled)),
        architecture=row,
        geometry=geometry(transformer, width),
        group_width=stored_width(found, width),
        units=group_table(transformer, width),
    )


def _declared(name: str, entry: ModelParams) -> _Read:
    if entry.source is Source.embedded and transformer_seed(name) is not None:
        return _Read({"_class_name": "Flux2Transformer2DModel"} | KLEIN_4B, "published configuration", PIPELINE)
    if entry.source is Source.embedded:
        return _in_folder(find_embedded(name).folder)
    if entry.source is Source.local:
        return _in_folder(local.folder(str(entry.path)))
    return _in_repository(Hub(name, str(entry.repo), str(entry.revision)))


def _in_folder(folder: Path) -> _Read:
    """A pipeline folder, or that of a transformer alone."""
    index = folder / _INDEX
    if not index.exists():
        return _Read(_config(folder / "config.json"), str(folder / "config.json"), None)
    data, path = read_json(index), folder / "transformer" / "config.json"
    config, listed = _config(path), data.get("transformer")
    if isinstance(listed, list) and len(listed) == 2:  # the index decides which class is loaded
        config |= {"_class_name": listed[1]}
    return _Read(config, str(path), str(data.get("_class_name")), bool(data.get("is_distilled", False)))


def _config(path: Path) -> dict[str, Any]:
    if not path.exists():
        fix = "give a folder with model_index.json and transformer/config.json, or with a transformer's config.json."
        raise InputError("no such file, so there is no transformer to show.", file=path, fix=fix)
    return read_json(path)


def _in_repository(source: Hub) -> _Read:
    """What is in the cache; else what is known of a published model; else the configurations alone, from the Hub."""
    folder = cached_configurations(source)
    if folder is None and source.repo in PUBLISHED:
        return _published(PUBLISHED[source.repo])
    try:
        return _in_folder(folder or fetch_configurations(source))
    except InputError as error:
        if folder is not None:
            raise
        what = f"the configuration of {source.repo} is not on this machine: {error.problem}"
        raise InputError(what, field=error.field, fix=error.fix) from None


def cached_configurations(source: Hub) -> Path | None:
    """The snapshot of a repository, where the configuration of its transformer is in the cache."""
    try:
        found = [try_to_load_from_cache(source.repo, one, revision=source.revision) for one in _NEEDED]
    except HFValidationError:
        raise misnamed(source) from None
    return Path(str(found[0])).parent if all(isinstance(one, str) for one in found) else None


_NEEDED = (_INDEX, "transformer/config.json")


def _published(known: PublishedModel) -> _Read:
    where = "published configuration (nothing fetched yet)"
    return _Read({"_class_name": known.transformer, **known.config}, where, known.pipeline, known.is_distilled)
