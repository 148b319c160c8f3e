"""What a declared model would measure, from its configuration alone: no weights, and nothing downloaded."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import torch
from diffusers import Flux2Transformer2DModel
from huggingface_hub import try_to_load_from_cache
from huggingface_hub.errors import HFValidationError

from plantain.base.errors import InputError, reading
from plantain.base.params import ModelParams, Params, Source
from plantain.model import local
from plantain.model.declared import declared
from plantain.model.embedded import transformer_seed
from plantain.model.geometry import geometry, group_table
from plantain.model.hub import Hub, misnamed
from plantain.model.known import KLEIN_4B, KNOWN
from plantain.model.layout import read_json
from plantain.model.materialise import find_embedded
from plantain.model.opening import AGAIN
from plantain.records.lock import Geometry


@dataclass(frozen=True)
class Description:
    """Geometry of a model, and where it was read."""

    name: str
    source: str
    configuration: str
    """Where the transformer's configuration was read."""
    geometry: Geometry
    units: pl.DataFrame
    """The table of groups."""

    @property
    def counts(self) -> dict[str, int]:
        """How many units of each kind one capture serves."""
        units, one = self.units, pl.col("stream") != "text"
        head = ["block_kind", "block", "stream", "head"]
        attention = units.filter(pl.col("part") == "attention")
        wide = self.geometry.single_blocks * self.geometry.mlp_width // self.geometry.head_width
        return {
            "projections": units.filter(one).select("block_kind", "block").n_unique(),
            "heads": attention.filter(one).select(head).n_unique(),
            "head_streams": attention.select(head).n_unique(),
            "mlp_slices": wide,
            "groups": units.filter(one).height,
            "groups_with_text_stream": units.height,
            "attention_groups": attention.filter(one).height,
            "mlp_groups": units.filter(pl.col("part") == "mlp").height,
        }


def describe(name: str, params: Params) -> Description:
    """Geometry of a declared model, or of a published repository such as ``black-forest-labs/FLUX.2-dev``.

    Raises:
        InputError: neither; or its configuration is not on this machine and not known to plantain.
    """
    if name in KNOWN and name not in params.models:
        return _describe(name, "hub", KNOWN[name], "published configuration", params.capture.group_width)
    entry = declared(name, params)
    base = declared(entry.of, params) if entry.of else entry
    config, where = _configuration(entry.of or name, base)
    return _describe(name, entry.source.value, config, where, params.capture.group_width)


def _describe(name: str, source: str, config: dict[str, Any], where: str, width: int) -> Description:
    with reading(Path(where), "the configuration of a transformer", AGAIN), torch.device("meta"):
        transformer = Flux2Transformer2DModel.from_config(config)
    return Description(name, source, where, geometry(transformer, width), group_table(transformer, width))


def _configuration(name: str, entry: ModelParams) -> tuple[dict[str, Any], str]:
    if entry.source is Source.embedded and transformer_seed(name) is not None:
        return KLEIN_4B, "published configuration"
    if entry.source is Source.embedded:
        return _read(find_embedded(name).folder)
    if entry.source is Source.local:
        return _read(local.folder(str(entry.path)))
    repo = str(entry.repo)
    try:
        cached = try_to_load_from_cache(repo, "transformer/config.json", revision=entry.revision)
    except HFValidationError:
        raise misnamed(Hub(name, repo, str(entry.revision))) from None
    if isinstance(cached, str):
        return _read(Path(cached).parent.parent)
    if repo in KNOWN:
        return KNOWN[repo], "published configuration (nothing fetched yet)"
    fix = f"run `plantain model fetch {name}`."
    raise InputError(f"the configuration of {repo} is not on this machine.", fix=fix)


def _read(folder: Path) -> tuple[dict[str, Any], str]:
    path = folder / "transformer" / "config.json"
    return read_json(path), str(path)
