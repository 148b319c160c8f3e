import polars as pl
import pytest
import torch
from diffusers import Flux2Transformer2DModel
from diffusers.models.transformers.transformer_flux2 import (
    Flux2KVAttnProcessor,
    Flux2KVParallelSelfAttnProcessor,
)
from torch import nn

from plantain.base.errors import InputError
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


def test_widths_that_straddle_heads_are_refused(small):
    assert len(group_table(small, 32)) == 2 * 2 * 2 + 3 * 8
    for width in (48, 64):
        with pytest.raises(InputError, match=f"groups of {width} channels do not divide heads of 32"):
            group_table(small, width)


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
    with pytest.raises(InputError, match="no projection to measure was found in a Linear"):
        projections(nn.Linear(2, 2))
