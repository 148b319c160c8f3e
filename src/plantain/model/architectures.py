"""Architectures as rows of a table: what the modules of a transformer do not say about themselves (needs no torch).

Where heads are, the generic reader of :mod:`plantain.model.geometry` finds in the modules. A row adds what it cannot
know: which block lists are of which kind, in which order tokens stand, where text ends, whether text also enters the
modulation, and how one step is called. Each fact was read in diffusers 0.42.1, in the file that holds the class, and is
checked by running the classes (`docs/models.md`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from plantain.base.errors import InputError


class BlockKind(StrEnum):
    """What a block's attention sees."""

    joint = "joint"
    """Text and image tokens, each projected apart."""
    single = "single"
    """Text and image tokens in one projection."""
    cross = "cross"
    """Image queries, text keys: the projection sees image tokens alone."""
    text = "text"
    """Text tokens alone."""
    image = "image"
    """Image tokens alone."""


STREAMS: Final = {
    BlockKind.joint: ("image", "text"),
    BlockKind.single: ("all",),
    BlockKind.cross: ("image",),
    BlockKind.text: ("text",),
    BlockKind.image: ("image",),
}
"""What the projections of a block see, in the order of the group axis."""


@dataclass(frozen=True)
class BlockList:
    """A list of blocks of the transformer."""

    name: str
    """Its attribute, such as ``transformer_blocks``."""
    attentions: Mapping[str, BlockKind]
    """Attention modules of a block in the order in which they run, by attribute."""
    fused: bool = False
    """Whether one projection takes attention and MLP together; refused where it does not."""


class TextSpan(StrEnum):
    """What tells text from padding."""

    encoder = "encoder"
    """What the last text encoder was given: its attention mask, or its ids beside the padding token."""
    clip_t5 = "clip_t5"
    """The positions of CLIP up to its end token, then those of T5."""
    mask = "mask"
    """The mask that the transformer is given."""
    whole = "whole"
    """Nothing: the pipeline cuts the padding off, or there is none for one prompt."""


class ImageInput(StrEnum):
    """How the pipeline conditions on an image."""

    none = "none"
    tokens = "tokens"
    """Its latents are tokens behind those that are denoised."""
    vlm = "vlm"
    """The same, and the text encoder reads it too: text tokens are not text alone."""


class Clock(StrEnum):
    """What the transformer is told of a noise level sigma."""

    sigma = "sigma"
    thousand = "1000 sigma"
    reversed = "1 - sigma"
    steps = "step of 1000"
    """A step of the training schedule, whose noise level its variances give."""

    def told(self, sigma: float) -> float:
        """The timestep of a flow model at ``sigma``."""
        return {"sigma": sigma, "1000 sigma": 1000.0 * sigma, "1 - sigma": 1.0 - sigma}.get(self.value, 1000.0 * sigma)


class Predicts(StrEnum):
    """What the transformer gives."""

    velocity = "noise - clean"
    negated = "clean - noise"
    epsilon = "noise"


class Guidance(StrEnum):
    """How a checkpoint was made to be guided; one pass is one forward either way."""

    none = "none"
    """By a second pass without the prompt, which a measured pass leaves out."""
    embedded = "embedded"
    """By a number that the transformer is told."""
    distilled = "distilled"
    """Not at all: it was distilled to few steps."""


class LatentForm(StrEnum):
    """What the pipeline takes as ``latents``."""

    grid = "grid"
    """(1, channels, height, width)."""
    packed = "packed"
    """(1, positions, 4 x channels): 2 x 2 patches."""
    patched = "patched"
    """(1, 4 x channels, height / 2, width / 2): 2 x 2 patches that are packed later."""


@dataclass(frozen=True)
class Architecture:
    """One row."""

    name: str
    transformer: str
    """Class of the transformer in diffusers."""
    pipelines: tuple[str, ...]
    """Pipeline classes that plantain calls for it."""
    lists: tuple[BlockList, ...]
    """In the order in which they run."""
    encoders: tuple[str, ...] = ("text_encoder",)
    """Text encoders, the one that makes the transformer's text tokens last."""
    text_width: str = "joint_attention_dim"
    """Key of the transformer's configuration that holds the width of a prompt embedding."""
    order: tuple[str, str] = ("text", "image")
    """Of the tokens in a single block; a reference stands behind the image that is denoised."""
    text: TextSpan = TextSpan.encoder
    longest: int | None = None
    """Most text positions that the pipeline takes."""
    ahead: int = 0
    """Positions before the text that hold none, such as registers; they belong to no token set."""
    multiple: int = 1
    """Text and image are each filled up to a multiple of so many positions; what fills the image belongs to no set."""
    trimmed: bool = False
    """Whether a single block sees the text without its padding."""
    pooled_text: bool = False
    """Whether text enters the modulation of every block too."""
    picture: ImageInput = ImageInput.none
    edits: tuple[str, ...] = ()
    """Those of :attr:`pipelines` that take an image."""
    predicts: Predicts = Predicts.velocity
    clock: Clock = Clock.sigma
    latents: LatentForm = LatentForm.packed
    dated: bool = False
    """Whether the call makes its own steps where it is told noise levels alone, and has to be told both."""
    call: Mapping[str, Any] = field(default_factory=dict)
    """Arguments of the pipeline call by which a pass is one forward of one row, without changes to prompt or size."""
    guided_by: str = "guidance_scale"
    """Argument of the pipeline call that guides a picture."""
    guidance: float | None = None
    """What a transformer with embedded guidance is told: the default of its pipeline."""
    unguided: Guidance = Guidance.none
    """What a checkpoint without embedded guidance is."""
    fast: bool = False
    """Whether the transformer can be called without its pipeline (``capture.path: fast``)."""

    def guidance_of(self, config: Mapping[str, Any], is_distilled: bool) -> Guidance:
        """How a checkpoint is guided, from its transformer's configuration and its pipeline's flag."""
        if is_distilled:
            return Guidance.distilled
        return Guidance.embedded if config.get("guidance_embeds") else self.unguided

    def facts(self, pipeline: str, config: Mapping[str, Any], is_distilled: bool) -> dict[str, Any]:
        """What a lock records of the row, for one checkpoint: fields of :class:`plantain.records.lock.ModelLock`."""
        guidance = self.guidance_of(config, is_distilled)
        return {
            "is_distilled": guidance is Guidance.distilled,
            "pipeline": pipeline,
            "architecture": self.name,
            "guidance": str(guidance),
            "guidance_scale": self.guidance if guidance is Guidance.embedded else None,
            "fast": self.fast,
            "takes_image": pipeline in self.edits,
            "pooled_text": self.pooled_text,
        }


_JOINT: Final = BlockList("transformer_blocks", {"attn": BlockKind.joint})
_FUSED: Final = BlockList("single_transformer_blocks", {"attn": BlockKind.single}, fused=True)
_CROSSED: Final = BlockList("transformer_blocks", {"attn1": BlockKind.image, "attn2": BlockKind.cross})

ARCHITECTURES: Final = (
    Architecture(
        name="FLUX.2",
        transformer="Flux2Transformer2DModel",
        pipelines=("Flux2KleinPipeline", "Flux2Pipeline"),
        lists=(_JOINT, _FUSED),
        picture=ImageInput.tokens,
        edits=("Flux2KleinPipeline", "Flux2Pipeline"),
        latents=LatentForm.patched,
        call={"guidance_scale": 1.0},
        guidance=4.0,
        fast=True,
    ),
    Architecture(
        name="FLUX.1",
        transformer="FluxTransformer2DModel",
        pipelines=("FluxPipeline", "FluxKontextPipeline"),
        lists=(_JOINT, _FUSED),
        encoders=("text_encoder", "text_encoder_2"),
        pooled_text=True,
        picture=ImageInput.tokens,
        edits=("FluxKontextPipeline",),
        longest=512,
        call={"true_cfg_scale": 1.0},
        guidance=3.5,
        unguided=Guidance.distilled,
    ),
    Architecture(
        name="Chroma",
        transformer="ChromaTransformer2DModel",
        pipelines=("ChromaPipeline",),
        lists=(_JOINT, _FUSED),
        longest=512,
        call={"guidance_scale": 1.0},
    ),
    Architecture(
        name="Qwen-Image",
        transformer="QwenImageTransformer2DModel",
        pipelines=("QwenImagePipeline", "QwenImageEditPipeline", "QwenImageEditPlusPipeline"),
        lists=(_JOINT,),
        text=TextSpan.whole,
        picture=ImageInput.vlm,
        edits=("QwenImageEditPipeline", "QwenImageEditPlusPipeline"),
        longest=1024,
        call={"true_cfg_scale": 1.0},
        guided_by="true_cfg_scale",
        guidance=1.0,
    ),
    Architecture(
        name="Z-Image",
        transformer="ZImageTransformer2DModel",
        pipelines=("ZImagePipeline",),
        lists=(
            BlockList("noise_refiner", {"attention": BlockKind.image}),
            BlockList("context_refiner", {"attention": BlockKind.text}),
            BlockList("layers", {"attention": BlockKind.single}),
        ),
        text_width="cap_feat_dim",
        order=("image", "text"),
        text=TextSpan.whole,
        multiple=32,
        predicts=Predicts.negated,
        clock=Clock.reversed,
        latents=LatentForm.grid,
        call={"guidance_scale": 0.0},
    ),
    Architecture(
        name="Lumina-Image 2",
        transformer="Lumina2Transformer2DModel",
        pipelines=("Lumina2Pipeline",),
        lists=(
            BlockList("context_refiner", {"attn": BlockKind.text}),
            BlockList("noise_refiner", {"attn": BlockKind.image}),
            BlockList("layers", {"attn": BlockKind.single}),
        ),
        text_width="cap_feat_dim",
        text=TextSpan.mask,
        trimmed=True,
        predicts=Predicts.negated,
        clock=Clock.reversed,
        latents=LatentForm.grid,
        longest=512,
        call={"guidance_scale": 1.0},
    ),
    Architecture(
        name="Stable Diffusion 3",
        transformer="SD3Transformer2DModel",
        pipelines=("StableDiffusion3Pipeline",),
        lists=(BlockList("transformer_blocks", {"attn": BlockKind.joint, "attn2": BlockKind.image}),),
        encoders=("text_encoder", "text_encoder_2", "text_encoder_3"),
        text=TextSpan.clip_t5,
        pooled_text=True,
        clock=Clock.thousand,
        latents=LatentForm.grid,
        longest=512,
        call={"guidance_scale": 1.0},
    ),
    Architecture(
        name="PixArt-Sigma",
        transformer="PixArtTransformer2DModel",
        pipelines=("PixArtSigmaPipeline",),
        lists=(_CROSSED,),
        text_width="caption_channels",
        text=TextSpan.mask,
        predicts=Predicts.epsilon,
        clock=Clock.steps,
        latents=LatentForm.grid,
        call={"guidance_scale": 1.0, "clean_caption": False, "use_resolution_binning": False},
    ),
    Architecture(
        name="Sana",
        transformer="SanaTransformer2DModel",
        pipelines=("SanaPipeline",),
        lists=(_CROSSED,),
        text_width="caption_channels",
        text=TextSpan.mask,
        clock=Clock.thousand,
        latents=LatentForm.grid,
        call={"guidance_scale": 1.0, "clean_caption": False, "use_resolution_binning": False},
    ),
    Architecture(
        name="AuraFlow",
        transformer="AuraFlowTransformer2DModel",
        pipelines=("AuraFlowPipeline",),
        lists=(
            BlockList("joint_transformer_blocks", {"attn": BlockKind.joint}),
            BlockList("single_transformer_blocks", {"attn": BlockKind.single}),
        ),
        ahead=8,
        latents=LatentForm.grid,
        call={"guidance_scale": 1.0},
    ),
    Architecture(
        name="CogView4",
        transformer="CogView4Transformer2DModel",
        pipelines=("CogView4Pipeline",),
        lists=(BlockList("transformer_blocks", {"attn1": BlockKind.single}),),
        text_width="text_embed_dim",
        clock=Clock.thousand,
        latents=LatentForm.grid,
        dated=True,
        call={"guidance_scale": 1.0},
    ),
)
"""Every architecture that plantain measures."""

ROW_GUIDE: Final = (
    "add a row to ARCHITECTURES in src/plantain/model/architectures.py, as docs/models.md shows in under 30 lines."
)


def architecture_of(transformer: Any) -> Architecture:
    """The row of a transformer: an object, its class, the name of its class, or its configuration.

    Raises:
        InputError: there is none.
    """
    names = _class_names(transformer)
    row = next((row for name in names for row in ARCHITECTURES if row.transformer == name), None)
    if row is None:
        known = ", ".join(row.transformer for row in ARCHITECTURES)
        raise InputError(
            f"there is no row for the transformer class {names[0]}; there are rows for {known}.", fix=ROW_GUIDE
        )
    return row


def architecture_calling(pipeline: str) -> Architecture:
    """The row that a pipeline class belongs to.

    Raises:
        InputError: none.
    """
    row = next((row for row in ARCHITECTURES if pipeline in row.pipelines), None)
    if row is None:
        known = ", ".join(name for row in ARCHITECTURES for name in row.pipelines)
        raise InputError(f"there is no row for a {pipeline}; plantain calls {known}.", fix=ROW_GUIDE)
    return row


def _class_names(transformer: Any) -> list[str]:
    if isinstance(transformer, str):
        return [transformer]
    if isinstance(transformer, Mapping):
        return [str(transformer.get("_class_name"))]
    kind = transformer if isinstance(transformer, type) else type(transformer)
    return [one.__name__ for one in kind.__mro__]
