"""From a declared model to its lock and its table of groups: what the model stage writes."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
from diffusers import AutoencoderKLFlux2
from torch import nn
from transformers import Qwen3Config

from plantain.base.errors import InputError, reading
from plantain.base.files import digest
from plantain.base.params import Method, ModelParams, Params, Source
from plantain.model import embedded, hub
from plantain.model.declared import declared
from plantain.model.geometry import geometry, group_table
from plantain.model.load import empty_transformer, make_transformer, tensors_digest, weights_digest
from plantain.model.materialise import Files, find_embedded, find_hub, find_local
from plantain.model.opening import AGAIN, open_parts
from plantain.model.untrained import reinitialised_tensors
from plantain.records.lock import Component, ModelLock

OUT_LAYERS = [9, 18, 27]
"""Encoder layers that the Klein pipeline reads unless told otherwise."""


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
    settings = entry.settings(base)
    settings["text_encoder_out_layers"] = list(settings["text_encoder_out_layers"] or OUT_LAYERS)
    with reading(files.folder / "transformer", "a transformer", AGAIN):
        empty = empty_transformer(files.folder / "transformer", settings["dtype"])
    maker = _Maker(files.folder / "transformer", settings["dtype"], entry.method, _start(of or name, base), empty)
    vae, encoder = open_parts(files.folder, empty if maker.reads_files else None)
    _check_settings(name, settings, vae, encoder, empty.config.joint_attention_dim)
    seeds = entry.draws()
    draws = [maker.digest(seed) for seed in seeds]
    width = params.capture.group_width
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
        is_distilled=False,
        group_width=width,
        components=files.components | {"transformer": _transformer(files, maker, draws)},
        files_sha256=files.sha256,
        draws=draws,
        geometry=geometry(empty, width),
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

    @property
    def reads_files(self) -> bool:
        """Whether there are weight files to start from."""
        return self.start is None and self.method is not Method.reinit

    def digest(self, seed: int) -> str:
        """Digest of one draw; without holding the model, where it is re-initialised."""
        if self.method is Method.reinit:
            return tensors_digest(reinitialised_tensors(self.empty, seed))
        return weights_digest(make_transformer(self.folder, self.dtype, self.start, seed))


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


def _check_settings(
    name: str, settings: dict[str, Any], vae: AutoencoderKLFlux2, encoder: Qwen3Config, joint_width: int
) -> None:
    """Refuse sizes and layers that the files cannot serve, before hours are spent."""
    step = 2 ** len(vae.config["block_out_channels"])
    for key in ("height", "width"):
        if settings[key] % step or settings[key] < step:
            fix = f"use a multiple of {step}."
            problem = f"{key} {settings[key]} does not fit the latent."
            raise InputError(problem, field=f"models.{name}.{key}", fix=fix)
    layers = settings["text_encoder_out_layers"]
    depth, wanted = encoder.num_hidden_layers, joint_width // encoder.hidden_size
    if len(layers) != wanted or not all(0 <= layer <= depth for layer in layers):
        fix = f"name {wanted} of the encoder's layers 0 to {depth}."
        raise InputError(f"text_encoder_out_layers are {layers}.", field=f"models.{name}", fix=fix)
