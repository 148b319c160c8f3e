"""A lock of a published model that was not fetched: enough to forecast what it would cost, and never written down."""

import torch
from diffusers import Flux2Transformer2DModel

from plantain.base.params import Params, Source
from plantain.model.declared import declared
from plantain.model.geometry import geometry
from plantain.model.known import KNOWN, TEXT_ENCODERS, VAE_PARAMETERS
from plantain.model.resolve import OUT_LAYERS
from plantain.records.lock import NOT_FETCHED, Component, ModelLock

_PUBLISHED_ITEM = 2
"""Bytes a parameter in the published files."""


def unfetched_lock(name: str, params: Params) -> ModelLock | None:
    """The lock of a declared hub model, or of its untrained draws, from its published configuration.

    Args:
        name: a key of ``models`` in params.yaml.
        params: the parsed file.

    Returns:
        None where the model is none of the hub, or its configuration is not known to plantain. Sizes are true; digests
        and the commit are not known, and say so.
    """
    entry = declared(name, params)
    of = entry.of if entry.source is Source.untrained else None
    base = declared(of, params) if of else entry
    repo = str(base.repo)
    if base.source is not Source.hub or repo not in KNOWN or KNOWN[repo]["joint_attention_dim"] not in TEXT_ENCODERS:
        return None
    with torch.device("meta"):
        transformer = Flux2Transformer2DModel.from_config(KNOWN[repo])
    shape = geometry(transformer, params.capture.group_width)
    settings = entry.settings(base)
    settings["text_encoder_out_layers"] = list(settings["text_encoder_out_layers"] or OUT_LAYERS["Flux2KleinPipeline"])
    sizes = {
        "scheduler": 0,
        "text_encoder": TEXT_ENCODERS[KNOWN[repo]["joint_attention_dim"]],
        "tokenizer": 0,
        "transformer": shape.parameters,
        "vae": VAE_PARAMETERS,
    }
    return ModelLock(
        name=name,
        source=entry.source,
        base=base.source,
        repo=repo,
        revision=base.revision,
        of=of,
        method=entry.method,
        seeds=entry.draws(),
        trained=not entry.draws(),
        family=entry.seeds is not None,
        is_distilled=False,
        group_width=params.capture.group_width,
        components={part: _component(count) for part, count in sizes.items()},
        files_sha256=NOT_FETCHED,
        geometry=shape,
        **settings,
    )


def _component(parameters: int) -> Component:
    size = parameters * _PUBLISHED_ITEM
    return Component(class_name="", config_sha256=NOT_FETCHED, weights_sha256=NOT_FETCHED, bytes=size)
