"""The model lock: everything needed to bring back the weights that made a number (needs no torch)."""

from collections.abc import Iterable
from math import gcd
from pathlib import Path
from typing import Final, Protocol

from pydantic import Field

from plantain.base.errors import InputError
from plantain.base.files import sha256_bytes
from plantain.base.params import Method, Source
from plantain.records.base import Frozen, absent, read

NOT_FETCHED: Final = "not fetched"
"""What a forecast has for a digest where the files are not on this machine; no lock that is written down has it."""

KLEIN_PIPELINE: Final = "Flux2KleinPipeline"


class Component(Frozen):
    """One part of the pipeline."""

    class_name: str
    config_sha256: str
    """Digest of its configuration files, library versions left out."""
    weights_sha256: str
    """Digest of its weight files; of the state where the weights are made in memory; empty where there are none."""
    bytes: int
    """Size of the weights."""


class HeadCount(Frozen):
    """Projections that are alike, at even steps in the order of the group axis."""

    block_kind: str
    """joint, single, cross, text or image."""
    stream: str
    """The tokens that they see: image, text or all."""
    blocks: int
    heads: int
    """Attention heads per block."""
    head_width: int
    mlp_width: int
    """MLP channels that enter the projection behind the heads."""
    dead: bool = False
    """Whether no text can reach them."""
    first: int
    """Place of the first among all projections."""
    step: int
    """From one to the next."""

    @property
    def places(self) -> range:
        """Where they stand among all projections."""
        return range(self.first, self.first + self.blocks * self.step, self.step)


class Widths(Protocol):
    """What a projection reads."""

    @property
    def head_width(self) -> int:
        """Channels of a head."""

    @property
    def mlp_width(self) -> int:
        """Channels of an MLP beside the heads."""


def stored_width(found: Iterable[Widths], most: int) -> int:
    """Channels of a stored group: the largest divisor of every head's and MLP's width that is at most ``most``."""
    common = gcd(*(width for one in found for width in (one.head_width, one.mlp_width)))
    return max(width for width in range(1, most + 1) if common % width == 0)


class Geometry(Frozen):
    """What the transformer consists of, in the terms of the unit table."""

    joint_blocks: int
    single_blocks: int
    heads: int
    """Attention heads per block; where blocks differ, of the first that text reaches."""
    head_width: int
    """Channels of such a head."""
    mlp_width: int
    """MLP channels that enter a single block's output projection."""
    groups: int
    """Rows of the unit table, the text stream of the joint blocks included."""
    counts: list[HeadCount] = Field(default=[])
    """Every kind of projection with its own heads; empty in locks of revisions that knew FLUX.2 alone."""
    parameters: int
    text_width: int
    """Channels of one position of a prompt embedding: the encoder's width times the layers that are read."""

    @property
    def kinds(self) -> list[HeadCount]:
        """:attr:`counts`; those of FLUX.2 where the lock has none."""
        flux = [
            ("joint", "image", self.joint_blocks, 0, 0, 2),
            ("joint", "text", self.joint_blocks, 0, 1, 2),
            ("single", "all", self.single_blocks, self.mlp_width, 2 * self.joint_blocks, 1),
        ]
        return self.counts or [
            HeadCount(
                block_kind=kind, stream=stream, blocks=blocks, heads=self.heads, head_width=self.head_width,
                mlp_width=mlp, first=first, step=step,
            )
            for kind, stream, blocks, mlp, first, step in flux
            if blocks
        ]  # fmt: skip

    @property
    def in_order(self) -> list[HeadCount]:
        """The kind of every projection, in the order of the group axis."""
        placed = {place: one for one in self.kinds for place in one.places}
        return [placed[place] for place in sorted(placed)]

    @property
    def dead_heads(self) -> int:
        """Heads that no text can reach, by design."""
        return sum(one.blocks * one.heads for one in self.kinds if one.dead)


class LoraLock(Frozen):
    """A LoRA that is merged into the transformer as it is loaded."""

    path: str | None = None
    repo: str | None = None
    file: str | None = None
    revision: str | None = None
    """The commit of ``repo``."""
    scale: float
    sha256: str
    """Digest of the file."""


class ModelLock(Frozen):
    """A resolved model. Deterministic: it records what was declared and digests, nothing about a machine."""

    name: str
    source: Source
    """Of the model itself; an untrained one takes its other parts from the source in ``base``."""
    base: Source
    """Where the files come from: ``source``, or for an untrained model that of its ``of`` model."""
    repo: str | None = None
    revision: str | None = None
    """The commit that the declared revision resolved to."""
    path: str | None = None
    of: str | None = None
    method: Method | None = None
    trained: bool
    """Whether the transformer's weights came from training, not from a seed."""
    seeds: list[int] = Field(default=[])
    """The draws of an untrained model; empty for a model with weights."""
    family: bool = False
    """Declared with ``seeds: n``: activations keep their draw axis."""
    device: str
    dtype: str
    height: int
    width: int
    max_sequence_length: int
    text_encoder_out_layers: list[int]
    is_distilled: bool
    """Whether it was distilled to few steps, as its pipeline or its architecture says."""
    pipeline: str = KLEIN_PIPELINE
    """Class of the pipeline that is called."""
    architecture: str = "FLUX.2"
    """Name of its row in the table of architectures."""
    guidance: str = "none"
    """How it is guided: by a second pass (none), by a number that it is told (embedded), or not at all (distilled)."""
    guidance_scale: float | None = None
    """The number that it is told where guidance is embedded."""
    fast: bool = True
    """Whether passes may call the transformer without its pipeline (``capture.path: fast``)."""
    position_pixels: int = 16
    """Pixels along a side of what one image position stands for."""
    takes_image: bool = True
    """Whether the pipeline conditions on an image."""
    pooled_text: bool = False
    """Whether text enters the modulation of every block besides attention."""
    lora: LoraLock | None = Field(default=None, exclude_if=absent)
    quantized: str | None = Field(default=None, exclude_if=absent)
    """How the transformer's weights are kept, and by which version of which package; None for plain weights."""
    offload: bool | None = Field(default=None, exclude_if=absent)
    """Whether blocks wait in main memory until they run."""
    group_width: int
    components: dict[str, Component]
    files_sha256: str
    """Digest over all parts as they lie in files; differs from ``components`` where the transformer is untrained."""
    draws: list[str] = Field(default=[])
    """Digest of the transformer's weights for each of ``seeds``."""
    geometry: Geometry

    @property
    def changes(self) -> dict[str, str]:
        """What is done to the transformer's weights between files and measurement."""
        lora = {} if self.lora is None else {"lora": f"{self.lora.sha256} {self.lora.scale}"}
        return lora | ({} if self.quantized is None else {"quantized": self.quantized})

    @property
    def klein(self) -> bool:
        """Whether it is an undistilled FLUX.2 Klein, which the published protocol is about."""
        return self.pipeline == KLEIN_PIPELINE and not self.is_distilled

    @property
    def reference_model(self) -> str:
        """The model whose conditioning images this one is shown: its ``of`` model, or itself."""
        return self.of or self.name

    @property
    def files_model(self) -> str:
        """The declared model whose files hold everything but an untrained transformer."""
        return self.of or self.name

    @property
    def sha256(self) -> str:
        """Digest of the lock's bytes."""
        return sha256_bytes(self.to_bytes())


def read_lock(path: Path) -> ModelLock:
    """Read and validate a lock.

    Raises:
        InputError: the file is missing, or not a lock of this version of plantain.
    """
    fix = f"run `dvc repro -f model@{path.parent.name}`, or `dvc pull` where the results came from elsewhere."
    if not path.exists():
        raise InputError("the model is not resolved yet: no such file.", file=path, fix=fix)
    return read(path, ModelLock, what="a model lock", fix=fix)
