"""A lock of a hub model whose weights are not here: enough to forecast what it would cost, and never written down."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers

from plantain.base.errors import reading
from plantain.base.params import Params, Source
from plantain.model.architectures import architecture_of
from plantain.model.declared import declared
from plantain.model.describe import cached_configurations, empty_of
from plantain.model.geometry import geometry
from plantain.model.hub import Hub
from plantain.model.known import PUBLISHED, PublishedModel
from plantain.model.layout import has_weights, read_index, read_json
from plantain.model.opening import AGAIN, empty_part
from plantain.model.resolve import OUT_LAYERS, pixels_a_position
from plantain.records.lock import NOT_FETCHED, Component, ModelLock, stored_width

_PUBLISHED_ITEM = 2
"""Bytes a parameter that is reckoned with; a forecast goes by the declared dtype, and by nothing of the files."""


@dataclass(frozen=True)
class _Sizes:
    """What the cost of a pipeline follows from."""

    transformer: Any
    """On the meta device."""
    pipeline: str
    is_distilled: bool
    parts: Mapping[str, int]
    """Parameters of the other parts."""
    pixels: int
    """Along a side of what a position of the transformer stands for."""


def unfetched_lock(name: str, params: Params) -> ModelLock | None:
    """The lock of a declared hub model, or of its untrained draws, from configurations.

    Those in the cache are read; else what is known of a published repository.

    Args:
        name: a key of ``models`` in params.yaml.
        params: the parsed file.

    Returns:
        None where the model is none of the hub, or its configurations are neither here nor known to plantain. Sizes
        are true; digests and the commit are not known, and say so.

    Raises:
        InputError: a configuration in the cache cannot be read, or its class has no row.
    """
    entry = declared(name, params)
    of = entry.of if entry.source is Source.untrained else None
    base = declared(of, params) if of else entry
    if base.source is not Source.hub:
        return None
    found = _sizes(Hub(of or name, str(base.repo), str(base.revision)))
    if found is None:
        return None
    row = architecture_of(found.transformer)
    width = params.capture.group_width
    shape = geometry(found.transformer, width)
    settings = entry.settings(base) | {"position_pixels": found.pixels}
    layers = settings["text_encoder_out_layers"] or OUT_LAYERS.get(found.pipeline, [])
    settings["text_encoder_out_layers"] = list(layers)
    sizes = {**found.parts, "transformer": shape.parameters}
    return ModelLock(
        name=name,
        source=entry.source,
        base=base.source,
        repo=base.repo,
        revision=base.revision,
        of=of,
        method=entry.method,
        seeds=entry.draws(),
        trained=not entry.draws(),
        family=entry.seeds is not None,
        group_width=stored_width(shape.kinds, width),
        components={part: _component(sizes[part]) for part in sorted(sizes)},
        files_sha256=NOT_FETCHED,
        geometry=shape,
        **row.facts(found.pipeline, found.transformer.config, found.is_distilled),
        **settings,
    )


def _sizes(source: Hub) -> _Sizes | None:
    folder = cached_configurations(source)
    if folder is not None and (found := _in_cache(folder)) is not None:
        return found
    return _published(PUBLISHED[source.repo]) if source.repo in PUBLISHED else None


def _published(known: PublishedModel) -> _Sizes:
    transformer = empty_of(known.transformer, known.config, "published configuration")
    return _Sizes(transformer, known.pipeline, known.is_distilled, known.parts(), known.pixels)


def _in_cache(folder: Path) -> _Sizes | None:
    """From configurations alone; None where those of a part are missing."""
    index = read_index(folder)
    weighted = [part for part in index.classes if has_weights(part)]
    if not all((folder / part / "config.json").exists() for part in weighted):
        return None
    where = folder / "transformer" / "config.json"
    transformer = empty_of(index.classes["transformer"], read_json(where), str(where))
    with reading(folder / "vae", "an autoencoder", AGAIN):
        vae = empty_part(folder / "vae", index.classes["vae"])
    pixels = pixels_a_position(architecture_of(transformer), vae.config, transformer.config)
    encoders = [part for part in weighted if part not in ("transformer", "vae")]
    sizes = {part: _parameters(_encoder(folder / part, index.classes[part])) for part in encoders}
    rest = dict.fromkeys(set(index.classes) - set(weighted), 0)
    return _Sizes(transformer, index.pipeline, index.is_distilled, sizes | rest | {"vae": _parameters(vae)}, pixels)


def _encoder(folder: Path, name: str) -> Any:
    """A text encoder on the meta device."""
    kind = getattr(transformers, name)
    with reading(folder, "a text encoder", AGAIN), torch.device("meta"):
        return kind(kind.config_class.from_pretrained(folder, local_files_only=True))


def _parameters(module: Any) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def _component(parameters: int) -> Component:
    size = parameters * _PUBLISHED_ITEM
    return Component(class_name="", config_sha256=NOT_FETCHED, weights_sha256=NOT_FETCHED, bytes=size)
