"""Unit geometry, read from the modules: which projections are measured, and what their input channels are.

Channel layout of FLUX.2 in diffusers: a joint block's ``attn.to_out.0`` takes the attention output of the image
tokens and ``attn.to_add_out`` that of the text tokens, head after head; a single block's ``attn.to_out`` takes the
attention output followed by the SwiGLU output of the MLP, for all tokens.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import polars as pl
from torch import nn

from plantain.base.errors import InputError
from plantain.records.lock import Geometry
from plantain.records.units import SCHEMA


@dataclass(frozen=True)
class Projection:
    """An attention output projection: a pre-hook on ``module`` sees its input channels."""

    name: str
    """Name within the transformer, such as ``transformer_blocks.0.attn.to_out.0``."""
    module: nn.Linear
    block_kind: str
    """``joint`` or ``single``."""
    block: int
    stream: str
    """The tokens that it sees: ``image``, ``text`` or ``all``."""
    attention_width: int
    """Leading input channels that hold attention heads."""
    mlp_width: int
    """Input channels after those that hold the MLP's hidden state (0 in joint blocks)."""
    head_width: int

    @property
    def heads(self) -> int:
        """Number of attention heads."""
        return self.attention_width // self.head_width


def projections(transformer: nn.Module) -> list[Projection]:
    """The projections to measure, in the order of the group axis.

    Args:
        transformer: a ``Flux2Transformer2DModel``, on any device (the meta device serves).

    Raises:
        InputError: the modules are not laid out as plantain measures them; the message says what was found.
    """
    joint = [_joint(index, block.attn) for index, block in _blocks(transformer, "transformer_blocks")]
    single = [_single(index, block.attn) for index, block in _blocks(transformer, "single_transformer_blocks")]
    found = [projection for pair in joint for projection in pair] + single
    if not found:
        fix = "use a FLUX.2 transformer (Flux2Transformer2DModel) without changes to its blocks."
        raise InputError(f"no projection to measure was found in a {type(transformer).__name__}.", fix=fix)
    return found


def group_table(transformer: nn.Module, group_width: int) -> pl.DataFrame:
    """One row per group of ``group_width`` adjacent input channels (columns: :data:`plantain.records.units.SCHEMA`).

    Raises:
        InputError: see :func:`projections`; or groups of this width would straddle two heads.
    """
    found = projections(transformer)
    _check_width(found, group_width)
    rows = [row for projection in found for row in _groups(projection, group_width)]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def geometry(transformer: nn.Module, group_width: int) -> Geometry:
    """The counts that a model lock records."""
    found = projections(transformer)
    _check_width(found, group_width)
    first = found[0]
    return Geometry(
        joint_blocks=sum(projection.stream == "image" for projection in found),
        single_blocks=sum(projection.stream == "all" for projection in found),
        heads=first.heads,
        head_width=first.head_width,
        mlp_width=max(projection.mlp_width for projection in found),
        groups=sum(projection.module.in_features for projection in found) // group_width,
        parameters=sum(parameter.numel() for parameter in transformer.parameters()),
        text_width=int(cast(Any, transformer).config.joint_attention_dim),
    )


def _blocks(transformer: nn.Module, key: str) -> Iterator[tuple[int, Any]]:
    for index, block in enumerate(getattr(transformer, key, ())):
        if not isinstance(getattr(block, "attn", None), nn.Module):
            raise _refusal(f"{key}.{index}", f"a {type(block).__name__} without an attention module `attn`")
        yield index, block


def _joint(index: int, attention: Any) -> tuple[Projection, Projection]:
    where = f"transformer_blocks.{index}.attn"
    _check_attention(where, attention)
    outs = getattr(attention, "to_out", None)
    if not isinstance(outs, nn.ModuleList) or not outs:
        raise _refusal(f"{where}.to_out", f"a {type(outs).__name__} instead of a list whose first entry projects")
    image = _linear(f"{where}.to_out.0", outs[0], attention, 0)
    text = _linear(f"{where}.to_add_out", getattr(attention, "to_add_out", None), attention, 0)
    inner, head = int(attention.inner_dim), int(attention.head_dim)
    return (
        Projection(f"{where}.to_out.0", image, "joint", index, "image", inner, 0, head),
        Projection(f"{where}.to_add_out", text, "joint", index, "text", inner, 0, head),
    )


def _single(index: int, attention: Any) -> Projection:
    where = f"single_transformer_blocks.{index}.attn"
    _check_attention(where, attention)
    mlp = getattr(attention, "mlp_hidden_dim", None)
    if not isinstance(mlp, int):
        raise _refusal(where, f"a {type(attention).__name__} whose MLP is not fused into its output projection")
    out = _linear(f"{where}.to_out", getattr(attention, "to_out", None), attention, mlp)
    inner, head = int(attention.inner_dim), int(attention.head_dim)
    return Projection(f"{where}.to_out", out, "single", index, "all", inner, mlp, head)


def _check_attention(where: str, attention: Any) -> None:
    processor = type(getattr(attention, "processor", None)).__name__
    if "KV" in processor:
        what = f"a KV-cache processor ({processor}), which attends differently from the plain pipeline"
        raise _refusal(where, what, "load the model as a Flux2KleinPipeline, with its default processors.")
    if getattr(attention, "fused_projections", False):
        raise _refusal(where, "fused query, key and value projections", "call `unfuse_qkv_projections()` first.")
    missing = [key for key in ("heads", "head_dim", "inner_dim") if not isinstance(getattr(attention, key, None), int)]
    if missing:
        raise _refusal(where, f"a {type(attention).__name__} without {', '.join(missing)}")
    if attention.heads * attention.head_dim != attention.inner_dim:
        sizes = f"{attention.heads} heads of {attention.head_dim} channels in an inner width of {attention.inner_dim}"
        raise _refusal(where, f"{sizes}: one shard of a tensor-parallel model, or another layout")


def _linear(where: str, module: object, attention: Any, mlp: int) -> nn.Linear:
    if hasattr(module, "base_layer"):
        what = f"a {type(module).__name__} wrapped around the projection, such as a LoRA adapter"
        raise _refusal(where, what, "merge the adapter (`fuse_lora`) and unload it, or load the model without it.")
    if type(module) is not nn.Linear:
        raise _refusal(where, f"a {type(module).__name__} instead of a plain Linear layer")
    inner, weight = int(attention.inner_dim), module.weight
    if hasattr(weight, "placements"):
        raise _refusal(where, "a weight distributed over devices (tensor parallel)")
    if module.in_features != inner + mlp or weight.shape[1] != module.in_features:
        expected = f"{inner} attention" + (f" and {mlp} MLP" if mlp else "") + " channels"
        what = f"{weight.shape[1]} input channels where the attention module declares {expected}"
        raise _refusal(where, f"{what}: one shard of a tensor-parallel model, or another layout")
    return module


def _refusal(where: str, what: str, fix: str = "load the whole, unchanged model on one device.") -> InputError:
    return InputError(f"plantain cannot measure this model: at {where} it found {what}.", fix=fix)


def _check_width(found: Sequence[Projection], group_width: int) -> None:
    for projection in found:
        if projection.head_width % group_width or projection.mlp_width % group_width:
            sizes = f"heads of {projection.head_width} and an MLP of {projection.mlp_width} channels"
            fix = "set capture.group_width to a divisor of both, such as 16."
            raise InputError(f"groups of {group_width} channels do not divide {sizes}.", fix=fix)


def _groups(projection: Projection, width: int) -> Iterator[tuple[str, int, str, str, int | None, int, int]]:
    for first in range(0, projection.attention_width + projection.mlp_width, width):
        attention = first < projection.attention_width
        head = first // projection.head_width if attention else None
        part = "attention" if attention else "mlp"
        yield projection.block_kind, projection.block, projection.stream, part, head, first, width
