"""Unit geometry, read from the modules: which projections are measured, and what their input channels are.

One reader serves every transformer of diffusers. An attention is a module with a ``processor``; how many heads it has,
it says itself, and how wide they are follows from what its output projection takes, never from a constant: with grouped
queries the output side has the query heads. Head stands after head; where the projection takes the MLP's hidden state
too, in FLUX.2's single blocks or in the ``proj_out`` of FLUX.1's, that comes behind the attention. What the modules do
not say, a row of :mod:`plantain.model.architectures` does.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, cast

import polars as pl
from torch import nn

from plantain.base.errors import InputError
from plantain.model.architectures import (
    STREAMS,
    Architecture,
    BlockKind,
    BlockList,
    architecture_of,
)
from plantain.records.lock import Geometry, HeadCount, stored_width
from plantain.records.units import SCHEMA

_COUNTS = ("heads", "num_heads", "n_heads", "num_attention_heads")
"""What attention modules call the number of their heads."""

_IMAGE_OUT, _TEXT_OUT = ("to_out", "out_layer", "img_attn_proj"), ("to_add_out", "to_out_t", "txt_attn_proj")
"""What they call their output projections."""


@dataclass(frozen=True)
class Projection:
    """An attention output projection: a pre-hook on ``module`` sees its input channels."""

    name: str
    """Name within the transformer, such as ``transformer_blocks.0.attn.to_out.0``."""
    module: nn.Linear
    block_kind: str
    """One of :class:`plantain.model.architectures.BlockKind`."""
    block: int
    """Place among the blocks of its kind."""
    stream: str
    """The tokens that it sees: ``image``, ``text`` or ``all``."""
    attention_width: int
    """Leading input channels that hold attention heads."""
    mlp_width: int
    """Input channels after those that hold the MLP's hidden state (0 where it is projected apart)."""
    head_width: int
    dead: bool = False
    """Whether no text can reach it: its heads see the same whatever the prompt."""

    @property
    def heads(self) -> int:
        """Number of attention heads."""
        return self.attention_width // self.head_width

    @property
    def width(self) -> int:
        """Number of input channels."""
        return self.attention_width + self.mlp_width


def projections(transformer: nn.Module) -> list[Projection]:
    """The projections to measure, in the order of the group axis.

    Args:
        transformer: of a class that has a row, on any device (the meta device serves).

    Raises:
        InputError: the class has no row, or the modules are not laid out as plantain measures them; the message says
            what was found.
    """
    row = _row(transformer)
    found = [projection for blocks in row.lists for projection in _in_list(transformer, blocks)]
    if not found:
        lists = " or ".join(blocks.name for blocks in row.lists)
        fix = f"use a {row.transformer} without changes to its blocks."
        raise InputError(f"no projection to measure was found in the {lists} of this model.", fix=fix)
    return list(_with_dead(_numbered(found), row.pooled_text))


def group_table(transformer: nn.Module, group_width: int) -> pl.DataFrame:
    """One row per group of adjacent input channels (columns: :data:`plantain.records.units.SCHEMA`).

    Groups are as wide as :func:`stored_width` says.

    Raises:
        InputError: see :func:`projections`.
    """
    found = projections(transformer)
    width = stored_width(found, group_width)
    rows = [row for projection in found for row in _groups(projection, width)]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def geometry(transformer: nn.Module, group_width: int) -> Geometry:
    """The counts that a model lock records."""
    found = projections(transformer)
    row = _row(transformer)
    main = next(one for one in found if not one.dead and one.stream != "text")
    return Geometry(
        joint_blocks=sum(one.block_kind == BlockKind.joint and one.stream == "image" for one in found),
        single_blocks=sum(one.block_kind == BlockKind.single for one in found),
        heads=main.heads,
        head_width=main.head_width,
        mlp_width=max(projection.mlp_width for projection in found),
        groups=sum(projection.module.in_features for projection in found) // stored_width(found, group_width),
        parameters=sum(parameter.numel() for parameter in transformer.parameters()),
        text_width=_text_width(cast(Any, transformer).config, row),
        counts=_counted(found),
    )


def _text_width(config: Mapping[str, Any], row: Architecture) -> int:
    """PixArt leaves it out where it is that of the keys."""
    return int(config.get(row.text_width) or config.get("cross_attention_dim") or 0)


def _counted(found: Sequence[Projection]) -> list[HeadCount]:
    """Projections alike are counted together as long as they stand at even steps."""
    runs: dict[tuple[Any, ...], list[list[int]]] = {}
    for place, one in enumerate(found):
        key = (one.block_kind, one.stream, one.heads, one.head_width, one.mlp_width, one.dead)
        mine = runs.setdefault(key, [])
        if mine and (len(mine[-1]) < 2 or place - mine[-1][-1] == mine[-1][1] - mine[-1][0]):
            mine[-1].append(place)
        else:
            mine.append([place])
    counts = [
        HeadCount(
            block_kind=kind, stream=stream, blocks=len(run), heads=heads, head_width=width, mlp_width=mlp, dead=dead,
            first=run[0], step=run[1] - run[0] if len(run) > 1 else 1,
        )
        for (kind, stream, heads, width, mlp, dead), some in runs.items()
        for run in some
    ]  # fmt: skip
    return sorted(counts, key=lambda count: count.first)


def _in_list(transformer: nn.Module, blocks: BlockList) -> Iterator[Projection]:
    for index, block in enumerate(getattr(transformer, blocks.name, None) or ()):
        where = f"{blocks.name}.{index}"
        present = {name: kind for name, kind in blocks.attentions.items() if hasattr(block, name)}
        if next(iter(blocks.attentions)) not in present:
            raise _refusal(
                where, f"a {type(block).__name__} without an attention module `{next(iter(blocks.attentions))}`"
            )
        for name, kind in present.items():
            attention = getattr(block, name)
            if attention is not None:
                yield from _of_attention(f"{where}.{name}", attention, block, kind, index, blocks.fused)


class _Found(NamedTuple):
    """An output projection before it is checked."""

    name: str
    module: object
    mlp: int


def _of_attention(
    where: str, attention: Any, block: Any, kind: BlockKind, index: int, fused: bool
) -> Iterator[Projection]:
    heads = _check_attention(where, attention)
    parts = _outputs(where, attention, block)
    if fused and not any(part.mlp for part in parts):
        raise _refusal(where, f"a {type(attention).__name__} whose MLP is not fused into its output projection")
    streams = STREAMS[kind]
    if not parts or len(parts) > len(streams):
        named = ", ".join(part.name for part in parts) or "no output projection"
        raise _refusal(where, f"{named} where a {kind} block has one for each of: {', '.join(streams)}")
    for part, stream in zip(parts, streams, strict=False):
        module = _linear(part, attention)
        width = module.in_features - part.mlp
        if width % heads:
            raise _refusal(part.name, f"{heads} heads in {width} attention channels, which they do not divide")
        yield Projection(part.name, module, str(kind), index, stream, width, part.mlp, width // heads)


def _outputs(where: str, attention: Any, block: Any) -> list[_Found]:
    """The projections of an attention's own, image before text; where it has none, its block's."""
    own = [_entry(where, attention, names) for names in (_IMAGE_OUT, _TEXT_OUT)]
    if own[0] is not None:
        first = own[0]._replace(mlp=_mlp_width(attention) if own[0].name.endswith(".to_out") else 0)
        return [first, *(part for part in own[1:] if part is not None)]
    out = getattr(block, "proj_out", None)
    if out is None:
        return []
    mlp = _mlp_width(block) or int(getattr(getattr(block, "proj_mlp", None), "out_features", 0))
    return [_Found(f"{where.rpartition('.')[0]}.proj_out", out, mlp)]


def _mlp_width(module: Any) -> int:
    found = getattr(module, "mlp_hidden_dim", None)
    return found if isinstance(found, int) else 0


def _entry(where: str, attention: Any, names: Sequence[str]) -> _Found | None:
    """The first of ``names`` that the attention has; of a list its first entry, since the list itself never runs."""
    for name in names:
        module = getattr(attention, name, None)
        if isinstance(module, nn.ModuleList):
            return _Found(f"{where}.{name}.0", module[0], 0) if len(module) else None
        if module is not None:
            return _Found(f"{where}.{name}", module, 0)
    return None


def _check_attention(where: str, attention: Any) -> int:
    """The number of heads."""
    if not hasattr(attention, "processor"):
        raise _refusal(where, f"a {type(attention).__name__}, which is no attention module with a `processor`")
    processor = type(attention.processor).__name__
    if "KV" in processor:
        what = f"a KV-cache processor ({processor}), which attends differently from the plain pipeline"
        raise _refusal(where, what, "load the model through its plain pipeline, with its default processors.")
    if getattr(attention, "fused_projections", False):
        raise _refusal(where, "fused query, key and value projections", "call `unfuse_qkv_projections()` first.")
    heads = _head_count(attention)
    if not heads:
        raise _refusal(where, f"a {type(attention).__name__} that does not say how many heads it has")
    width, inner = getattr(attention, "head_dim", None), getattr(attention, "inner_dim", None)
    if isinstance(width, int) and isinstance(inner, int) and heads * width != inner:
        sizes = f"{heads} heads of {width} channels in an inner width of {inner}"
        raise _refusal(where, f"{sizes}: one shard of a tensor-parallel model, or another layout")
    return heads


def _head_count(attention: Any) -> int:
    return next((found for key in _COUNTS if isinstance(found := getattr(attention, key, None), int)), 0)


def _linear(part: _Found, attention: Any) -> nn.Linear:
    where, module = part.name, part.module
    if hasattr(module, "base_layer"):
        what = f"a {type(module).__name__} wrapped around the projection, such as a LoRA adapter"
        raise _refusal(where, what, "merge the adapter (`fuse_lora`) and unload it, or load the model without it.")
    if type(module) is not nn.Linear:
        raise _refusal(where, f"a {type(module).__name__} instead of a plain Linear layer")
    inner, weight = getattr(attention, "inner_dim", None), module.weight
    if hasattr(weight, "placements"):
        raise _refusal(where, "a weight distributed over devices (tensor parallel)")
    declared = module.in_features if not isinstance(inner, int) else inner + part.mlp
    if module.in_features != declared or weight.shape[1] != module.in_features:
        expected = f"{inner} attention" + (f" and {part.mlp} MLP" if part.mlp else "") + " channels"
        what = f"{weight.shape[1]} input channels where the attention module declares {expected}"
        raise _refusal(where, f"{what}: one shard of a tensor-parallel model, or another layout")
    return module


def _numbered(found: Sequence[Projection]) -> list[Projection]:
    """Blocks of one kind counted through, where several lists hold some."""
    places: dict[str, dict[str, int]] = {}
    numbered = []
    for one in found:
        blocks = places.setdefault(one.block_kind, {})
        key = one.name.split(f".{one.block}.")[0] + f".{one.block}"
        numbered.append(replace(one, block=blocks.setdefault(key, len(blocks))))
    return numbered


def _with_dead(found: Sequence[Projection], pooled_text: bool) -> Iterator[Projection]:
    """Image blocks that run before any attention to text see no prompt, unless it is in the modulation."""
    reached = pooled_text
    for one in found:
        yield replace(one, dead=not reached and one.block_kind == BlockKind.image)
        reached = reached or one.block_kind not in (BlockKind.image, BlockKind.text)


def _refusal(where: str, what: str, fix: str = "load the whole, unchanged model on one device.") -> InputError:
    return InputError(f"plantain cannot measure this model: at {where} it found {what}.", fix=fix)


def _row(transformer: nn.Module) -> Architecture:
    try:
        return architecture_of(transformer)
    except InputError as error:
        found, name = unnamed_projections(transformer), type(transformer).__name__
        what = f"The reader found: {'; '.join(found)}." if found else f"No projection was found in this {name} either."
        raise InputError(f"{error.problem} {what}", fix=error.fix) from None


def unnamed_projections(transformer: nn.Module) -> list[str]:
    """What the reader finds in a transformer without a row: one line for projections that are alike.

    ``transformer_blocks.{i}.attn.to_out.0 x 12: 24 heads of 128 in 3072 channels``
    """
    alike: dict[tuple[str, str], int] = {}
    for name, attention in transformer.named_modules():
        heads = _head_count(attention) if hasattr(attention, "processor") else 0
        if heads:
            block = transformer.get_submodule(name.rpartition(".")[0])
            for part in _outputs(name, attention, block):
                key = (_pattern(part.name), _sizes(part, heads))
                alike[key] = alike.get(key, 0) + 1
    return [f"{name} x {count}: {sizes}" for (name, sizes), count in alike.items()]


def _pattern(name: str) -> str:
    first = next((piece for piece in name.split(".") if piece.isdigit()), None)
    return name if first is None else name.replace(f".{first}.", ".{i}.", 1)


def _sizes(part: _Found, heads: int) -> str:
    channels = getattr(part.module, "in_features", None)
    if not isinstance(channels, int):
        return f"{heads} heads in a {type(part.module).__name__}"
    width = channels - part.mlp
    sizes = f"{heads} heads of {width // heads}" if width % heads == 0 else f"{heads} heads that do not divide {width}"
    return f"{sizes} in {channels} channels" + (f", {part.mlp} of them the MLP's" if part.mlp else "")


def _groups(projection: Projection, width: int) -> Iterator[tuple[str, int, str, str, int | None, int, int, bool]]:
    for first in range(0, projection.width, width):
        attention = first < projection.attention_width
        head = first // projection.head_width if attention else None
        part = "attention" if attention else "mlp"
        kind, block, stream = projection.block_kind, projection.block, projection.stream
        yield kind, block, stream, part, head, first, width, projection.dead
