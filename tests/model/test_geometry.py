import re
from collections import Counter
from pathlib import Path

import diffusers
import polars as pl
import pytest
import torch
from diffusers import Flux2Transformer2DModel
from diffusers.models.transformers.transformer_flux2 import (
    Flux2KVAttnProcessor,
    Flux2KVParallelSelfAttnProcessor,
)
from torch import nn

from docs import draw_models
from plantain.base.errors import InputError
from plantain.model import architectures
from plantain.model.architectures import ARCHITECTURES, architecture_calling, architecture_of
from plantain.model.geometry import geometry, group_table, projections
from plantain.model.known import KNOWN

SMALL = {
    "num_layers": 2,
    "num_single_layers": 3,
    "attention_head_dim": 32,
    "num_attention_heads": 2,
    "joint_attention_dim": 24,
    "in_channels": 8,
    "axes_dims_rope": (8, 8, 8, 8),
    "timestep_guidance_channels": 16,
    "guidance_embeds": False,
}


def build(config: dict) -> Flux2Transformer2DModel:
    with torch.device("meta"):
        return Flux2Transformer2DModel(**config)


@pytest.fixture
def small() -> Flux2Transformer2DModel:
    return build(SMALL)


CASES = [
    # repository, joint, single, heads, 16-channel groups with and without the text stream
    ("black-forest-labs/FLUX.2-klein-base-4B", 5, 20, 24, 17_280, 16_320),
    ("black-forest-labs/FLUX.2-klein-base-9B", 8, 24, 32, 28_672, 26_624),
    ("black-forest-labs/FLUX.2-dev", 8, 48, 48, 79_872, 76_800),
]


@pytest.mark.parametrize("case", CASES, ids=[case[0] for case in CASES])
def test_published_models(case):
    repo, joint, single, heads, groups, card_groups = case
    transformer = build(KNOWN[repo])
    found = projections(transformer)
    units = group_table(transformer, 16)
    card = units.filter(pl.col("stream") != "text")
    true_heads = card.filter(pl.col("part") == "attention").select("block_kind", "block", "head").n_unique()
    assert len(found) == 2 * joint + single
    assert sum(projection.stream != "text" for projection in found) == joint + single
    assert (len(units), len(card), true_heads) == (groups, card_groups, (joint + single) * heads)
    read = geometry(transformer, 16)
    assert (read.joint_blocks, read.single_blocks, read.heads, read.head_width) == (joint, single, heads, 128)
    assert (read.mlp_width, read.groups) == (3 * heads * 128, groups)


def test_klein_4b_in_the_terms_of_the_cards():
    transformer = build(KNOWN["black-forest-labs/FLUX.2-klein-base-4B"])
    units = group_table(transformer, 16)
    card = units.filter(pl.col("stream") != "text")
    assert (card["block_kind"] == "joint").sum() == 5 * 192
    assert (card["block_kind"] == "single").sum() == 20 * 768
    assert card["part"].value_counts(sort=True).rows() == [("mlp", 11_520), ("attention", 4_800)]
    assert geometry(transformer, 16).parameters == 3_875_544_576


def test_each_projection_is_the_module_of_its_name(small):
    for projection in projections(small):
        assert small.get_submodule(projection.name) is projection.module
        assert projection.attention_width + projection.mlp_width == projection.module.in_features


def test_channels_are_the_heads_of_a_real_pass():
    torch.manual_seed(0)
    transformer = Flux2Transformer2DModel(**SMALL).eval()
    seen: dict[str, torch.Tensor] = {}
    found = projections(transformer)
    for projection in found:
        projection.module.register_forward_pre_hook(lambda _, args, n=projection.name: seen.update({n: args[0]}))
    values = transformer(
        hidden_states=torch.randn(1, 4, 8),
        encoder_hidden_states=torch.randn(1, 6, 24),
        timestep=torch.ones(1),
        img_ids=torch.zeros(1, 4, 4),
        txt_ids=torch.zeros(1, 6, 4),
    )
    assert values is not None
    tokens = {"image": 4, "text": 6, "all": 10}
    for projection in found:
        assert seen[projection.name].shape == (1, tokens[projection.stream], projection.module.in_features)


def test_table_covers_every_channel_once_in_order(small):
    units = group_table(small, 16)
    assert units["block_kind"].unique(maintain_order=True).to_list() == ["joint", "single"]
    first_block = units.filter((pl.col("block_kind") == "joint") & (pl.col("block") == 0))
    assert first_block["stream"].to_list() == ["image"] * 4 + ["text"] * 4
    assert first_block["head"].to_list() == [0, 0, 1, 1] * 2
    single = units.filter((pl.col("block_kind") == "single") & (pl.col("block") == 2))
    assert single["first_channel"].to_list() == list(range(0, 256, 16))
    assert single["head"].to_list() == [0, 0, 1, 1] + [None] * 12
    assert single["part"].to_list() == ["attention"] * 4 + ["mlp"] * 12


def test_groups_never_straddle_heads(small):
    assert len(group_table(small, 32)) == 2 * 2 * 2 + 3 * 8
    for asked, stored in ((48, 32), (64, 32), (31, 16), (12, 8)):
        units = group_table(small, asked)
        assert units["width"].unique().to_list() == [stored]
        assert geometry(small, asked).groups == len(units)


class Wrapped(nn.Module):
    def __init__(self, base_layer: nn.Module) -> None:
        super().__init__()
        self.base_layer = base_layer


def wrap(model):
    attention = model.transformer_blocks[1].attn
    attention.to_out[0] = Wrapped(attention.to_out[0])


def wrap_single(model):
    attention = model.single_transformer_blocks[0].attn
    attention.to_out = Wrapped(attention.to_out)


def fuse(model):
    model.transformer_blocks[0].attn.fused_projections = True


def shard(model):
    model.single_transformer_blocks[0].attn.to_out = nn.Linear(128, 64, device="meta")


def shard_heads(model):
    model.transformer_blocks[0].attn.heads = 1


def quantise(model):
    class Quantised(nn.Linear):
        pass

    model.transformer_blocks[0].attn.to_out[0] = Quantised(64, 64, device="meta")


def unfuse_mlp(model):
    model.single_transformer_blocks[1].attn = model.transformer_blocks[0].attn


def cache_keys(model):
    model.transformer_blocks[0].attn.processor = Flux2KVAttnProcessor()


def cache_keys_single(model):
    model.single_transformer_blocks[2].attn.processor = Flux2KVParallelSelfAttnProcessor()


REFUSALS = [
    (wrap, r"transformer_blocks\.1\.attn\.to_out\.0 it found a Wrapped wrapped around the projection, such as a LoRA"),
    (wrap_single, r"single_transformer_blocks\.0\.attn\.to_out it found a Wrapped wrapped"),
    (fuse, r"transformer_blocks\.0\.attn it found fused query, key and value projections"),
    (shard, r"128 input channels where the attention module declares 64 attention and 192 MLP channels"),
    (shard_heads, r"1 heads of 32 channels in an inner width of 64: one shard of a tensor-parallel"),
    (quantise, r"a Quantised instead of a plain Linear layer"),
    (unfuse_mlp, r"a Flux2Attention whose MLP is not fused into its output projection"),
    (cache_keys, r"a KV-cache processor \(Flux2KVAttnProcessor\)"),
    (cache_keys_single, r"a KV-cache processor \(Flux2KVParallelSelfAttnProcessor\)"),
]


@pytest.mark.parametrize(("change", "message"), REFUSALS, ids=[case[0].__name__ for case in REFUSALS])
def test_changed_models_are_refused_with_what_was_found(small, change, message):
    change(small)
    with pytest.raises(InputError, match=message):
        projections(small)


def test_a_model_without_blocks_is_refused():
    with pytest.raises(InputError, match=r"no row for the transformer class Linear.*No projection was found") as caught:
        projections(nn.Linear(2, 2))
    assert "add a row" in caught.value.fix
    empty = build(SMALL | {"num_layers": 0, "num_single_layers": 0})
    with pytest.raises(InputError, match="no projection to measure was found in the transformer_blocks"):
        projections(empty)


# Class defaults of diffusers, or what its conversion scripts make; see the research that the table rests on.
DEFAULTS = [
    # class, changes, streams of each kind: (kind, stream, blocks, heads, head width, MLP width, dead)
    ("FluxTransformer2DModel", {}, [("joint", "image", 19, 24, 128, 0, False), ("joint", "text", 19, 24, 128, 0, False),
                                    ("single", "all", 38, 24, 128, 12288, False)]),
    ("QwenImageTransformer2DModel", {"num_layers": 3}, [("joint", "image", 3, 24, 128, 0, False),
                                                        ("joint", "text", 3, 24, 128, 0, False)]),
    ("ZImageTransformer2DModel", {"n_layers": 3}, [("image", "image", 2, 30, 128, 0, True),
                                                   ("text", "text", 2, 30, 128, 0, False),
                                                   ("single", "all", 3, 30, 128, 0, False)]),
    ("Lumina2Transformer2DModel", {"num_layers": 3}, [("text", "text", 2, 24, 96, 0, False),
                                                      ("image", "image", 2, 24, 96, 0, True),
                                                      ("single", "all", 3, 24, 96, 0, False)]),
    ("SD3Transformer2DModel", {"num_layers": 4, "num_attention_heads": 24, "dual_attention_layers": (0, 1)},
     [("joint", "image", 4, 24, 64, 0, False), ("joint", "text", 3, 24, 64, 0, False),
      ("image", "image", 2, 24, 64, 0, False)]),
    ("PixArtTransformer2DModel", {"num_layers": 3}, [("image", "image", 1, 16, 72, 0, True),
                                                     ("cross", "image", 3, 16, 72, 0, False),
                                                     ("image", "image", 2, 16, 72, 0, False)]),
    ("SanaTransformer2DModel", {"num_layers": 2}, [("image", "image", 1, 70, 32, 0, True),
                                                   ("cross", "image", 2, 20, 112, 0, False),
                                                   ("image", "image", 1, 70, 32, 0, False)]),
    ("AuraFlowTransformer2DModel", {"num_single_dit_layers": 3}, [("joint", "image", 4, 12, 256, 0, False),
                                                                  ("joint", "text", 4, 12, 256, 0, False),
                                                                  ("single", "all", 3, 12, 256, 0, False)]),
    ("CogView4Transformer2DModel", {"num_layers": 3}, [("single", "all", 3, 64, 40, 0, False)]),
    ("ChromaTransformer2DModel", {"num_layers": 2, "num_single_layers": 3},
     [("joint", "image", 2, 24, 128, 0, False), ("joint", "text", 2, 24, 128, 0, False),
      ("single", "all", 3, 24, 128, 12288, False)]),
]  # fmt: skip


@pytest.mark.parametrize(("name", "changes", "counts"), DEFAULTS, ids=[case[0] for case in DEFAULTS])
def test_every_row_is_read_from_its_modules(name, changes, counts):
    with torch.device("meta"):
        transformer = getattr(diffusers, name)(**changes)
    read = geometry(transformer, 16)
    found = Counter()
    for one in read.counts:
        found[one.block_kind, one.stream, one.heads, one.head_width, one.mlp_width, one.dead] += one.blocks
    assert found == {(kind, stream, *rest): blocks for kind, stream, blocks, *rest in counts}
    in_order = [(one.block_kind, one.stream, one.heads, one.dead) for one in read.in_order]
    assert in_order == [(one.block_kind, one.stream, one.heads, one.dead) for one in projections(transformer)]
    units = group_table(transformer, 16)
    assert len(units) == read.groups
    assert read.dead_heads == sum(c[2] * c[3] for c in counts if c[6])
    narrowest = min(c[4] for c in counts)
    assert units["width"].unique().to_list() == [16 if narrowest % 16 == 0 else {72: 12, 40: 10}[narrowest]]
    for projection in projections(transformer):
        assert transformer.get_submodule(projection.name) is projection.module


def test_rows_name_classes_of_diffusers_once():
    assert len({row.transformer for row in ARCHITECTURES}) == len(ARCHITECTURES) == len({r.name for r in ARCHITECTURES})
    for row in ARCHITECTURES:
        for pipeline in row.pipelines:
            assert issubclass(getattr(diffusers, pipeline), diffusers.DiffusionPipeline)
            assert architecture_calling(pipeline) is row
        kind = getattr(diffusers, row.transformer)
        assert architecture_of(kind) is architecture_of({"_class_name": row.transformer}) is row


def test_a_class_without_a_row_is_described():
    with torch.device("meta"):
        transformer = diffusers.WanTransformer3DModel(num_layers=2)
    with pytest.raises(InputError, match=r"no row for the transformer class WanTransformer3DModel") as caught:
        projections(transformer)
    assert "blocks.{i}.attn1.to_out.0 x 2: 40 heads of 128 in 5120 channels" in caught.value.problem


def test_the_row_that_the_documentation_shows_is_the_one_in_the_table():
    page = (Path(__file__).parents[2] / "docs" / "models.md").read_text()
    (block,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert len(block.splitlines()) < 30
    assert eval(block, vars(architectures)) == architecture_of("CogView4Transformer2DModel")


def test_the_table_of_architectures_is_that_of_the_code():
    made = draw_models.TABLE.search(draw_models.PAGE.read_text()).group(1)
    assert made == draw_models.markdown(), "run `python docs/draw_models.py`"


def test_how_a_checkpoint_is_guided_follows_from_its_files():
    flux, flux2, sd3 = (architecture_of(name) for name in ("FluxTransformer2DModel", "Flux2Transformer2DModel",
                                                           "SD3Transformer2DModel"))  # fmt: skip
    assert flux.guidance_of({"guidance_embeds": True}, False) == "embedded"
    assert flux.guidance_of({"guidance_embeds": False}, False) == "distilled"
    assert flux2.guidance_of({"guidance_embeds": False}, False) == "none"
    assert flux2.guidance_of({"guidance_embeds": False}, True) == "distilled"
    assert sd3.guidance_of({}, False) == "none"
