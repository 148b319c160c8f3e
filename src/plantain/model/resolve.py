"""From a declared model to its lock and its table of groups: what the model stage writes."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import polars as pl
from torch import nn
from transformers import Qwen3Config

from plantain.base.errors import InputError, reading
from plantain.base.files import digest
from plantain.base.params import Method, ModelParams, Params, Source
from plantain.model import embedded, hub
from plantain.model.adapters import find_lora, locked_file, quantized_as
from plantain.model.architectures import Architecture, LatentForm, architecture_of
from plantain.model.declared import declared
from plantain.model.geometry import geometry, group_table
from plantain.model.layout import PIPELINE, read_index
from plantain.model.load import empty_transformer, make_transformer, tensors_digest, weights_digest
from plantain.model.materialise import Files, find_embedded, find_hub, find_local
from plantain.model.opening import AGAIN, open_named, open_parts
from plantain.model.untrained import reinitialised_tensors
from plantain.records.lock import Component, LoraLock, ModelLock, stored_width

OUT_LAYERS: Final = {"Flux2KleinPipeline": [9, 18, 27], "Flux2Pipeline": [10, 20, 30]}
"""Encoder layers that a pipeline reads unless told otherwise; the others have no choice."""


def resolve(name: str, params: Params) -> tuple[ModelLock, pl.DataFrame]:
    """Lock and table of groups of a declared model; downloads nothing.

    Args:
        name: a key of ``models`` in params.yaml.
        params: the parsed file.

    Raises:
        InputError: the model is not declared, its files are missing, or plantain cannot measure it.
    """
    entry = declared(name, params)
    of = entry.of if entry.source is Source.untrained else None
    base = declared(of, params) if of else entry
    files = _files(of or name, base, entry.method)
    index = read_index(files.folder)
    settings = entry.settings(base)
    layers = settings["text_encoder_out_layers"] or OUT_LAYERS.get(index.pipeline, [])
    settings["text_encoder_out_layers"] = list(layers)
    with reading(files.folder / "transformer", "a transformer", AGAIN):
        empty = empty_transformer(files.folder / "transformer", settings["dtype"])
    lora = None if base.lora is None or entry.method is Method.reinit else find_lora(base.lora, of or name)
    maker = _Maker(files.folder / "transformer", settings["dtype"], entry.method, _start(of or name, base), empty, lora)
    read = empty if maker.reads_files else None
    if index.pipeline == PIPELINE:
        vae, encoder = open_parts(files.folder, read)
        _check_layers(name, settings["text_encoder_out_layers"], encoder, empty.config.joint_attention_dim)
    else:
        vae = open_named(files.folder, index.classes, read)
    row = architecture_of(empty)
    pixels = pixels_a_position(row, vae.config, empty.config)
    _check_size(name, settings, pixels)
    _check_length(name, settings["max_sequence_length"], row)
    seeds = entry.draws()
    draws = [maker.digest(seed) for seed in seeds]
    width = params.capture.group_width
    shape = geometry(empty, width)
    lock = ModelLock(
        name=name,
        source=entry.source,
        base=base.source,
        repo=base.repo,
        revision=files.revision,
        path=base.path,
        of=of,
        method=entry.method,
        seeds=seeds,
        trained=not seeds and maker.start is None,
        family=entry.seeds is not None,
        position_pixels=pixels,
        lora=lora,
        quantized=quantized_as(base),
        group_width=stored_width(shape.kinds, width),
        components=files.components | {"transformer": _transformer(files, maker, draws)},
        files_sha256=files.sha256,
        draws=draws,
        geometry=shape,
        **row.facts(index.pipeline, empty.config, index.is_distilled),
        **settings,
    )
    return lock, group_table(empty, width)


@dataclass(frozen=True)
class _Maker:
    """How the transformer's weights come about where they are not simply read."""

    folder: Path
    dtype: str
    method: Method | None
    start: int | None
    """Draw of a transformer that has no weight files, before anything is done to it."""
    empty: nn.Module
    lora: LoraLock | None = None

    @property
    def reads_files(self) -> bool:
        """Whether there are weight files to start from."""
        return self.start is None and self.method is not Method.reinit

    def digest(self, seed: int) -> str:
        """Digest of one draw; without holding the model, where it is re-initialised."""
        if self.method is Method.reinit:
            return tensors_digest(reinitialised_tensors(self.empty, seed))
        merged = (None, 1.0) if self.lora is None else (locked_file(self.lora, ""), self.lora.scale)
        return weights_digest(make_transformer(self.folder, self.dtype, self.start, seed, *merged))


def _files(name: str, base: ModelParams, method: Method | None) -> Files:
    if base.source is Source.embedded:
        return find_embedded(name)
    if base.source is Source.local:
        return find_local(str(base.path), method)
    return find_hub(hub.Hub(name, str(base.repo), str(base.revision)), method)


def _start(name: str, base: ModelParams) -> int | None:
    return embedded.transformer_seed(name) if base.source is Source.embedded else None


def _transformer(files: Files, maker: _Maker, draws: list[str]) -> Component:
    found = files.components["transformer"]
    if draws:
        weights = draws[0] if len(draws) == 1 else digest(draws)
    elif maker.start is not None:
        weights = tensors_digest(reinitialised_tensors(maker.empty, maker.start))
    else:
        return found
    size = sum(parameter.numel() * parameter.element_size() for parameter in maker.empty.parameters())
    return found.model_copy(update={"weights_sha256": weights, "bytes": size})


def pixels_a_position(row: Architecture, vae: Mapping[str, Any], config: Mapping[str, Any]) -> int:
    """Pixels along a side of what one position of the transformer stands for.

    Args:
        row: the architecture.
        vae: configuration of the autoencoder, whose levels but the first halve each side.
        config: configuration of the transformer.
    """
    levels = next(len(vae[key]) for key in _LEVELS if vae.get(key))
    if row.latents is not LatentForm.grid:
        return int(2**levels)
    patch = config.get("patch_size") or config["all_patch_size"][0]
    return int(2 ** (levels - 1) * patch)


_LEVELS = ("block_out_channels", "encoder_block_out_channels", "dim_mult")
"""What autoencoders call the list that has an entry for each level."""


def _check_size(name: str, settings: dict[str, Any], step: int) -> None:
    """Refuse sizes that the latent cannot have, before hours are spent."""
    for key in ("height", "width"):
        if settings[key] % step or settings[key] < step:
            fix = f"use a multiple of {step}."
            problem = f"{key} {settings[key]} does not fit the latent."
            raise InputError(problem, field=f"models.{name}.{key}", fix=fix)


def _check_length(name: str, length: int, row: Architecture) -> None:
    """Refuse more text positions than the pipeline takes."""
    if row.longest is not None and length > row.longest:
        what = f"{length} text positions are declared, and the pipelines of {row.name} take {row.longest}."
        fix = f"use {row.longest} or fewer."
        raise InputError(what, field=f"models.{name}.max_sequence_length", fix=fix)


def _check_layers(name: str, layers: list[int], encoder: Qwen3Config, joint_width: int) -> None:
    """Refuse layers that the encoder does not have."""
    depth, wanted = encoder.num_hidden_layers, joint_width // encoder.hidden_size
    if len(layers) != wanted or not all(0 <= layer <= depth for layer in layers):
        fix = f"name {wanted} of the encoder's layers 0 to {depth}."
        raise InputError(f"text_encoder_out_layers are {layers}.", field=f"models.{name}", fix=fix)
