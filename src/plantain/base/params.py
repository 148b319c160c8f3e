"""What params.yaml can declare: every section and field with its type, its default and the interval of its number.

The interval stands at the field and nowhere else: messages and documentation read it from there. What one field says
of another, and how the file is read, belongs in `plantain.base.config`.
"""

from enum import StrEnum
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, Strict

from plantain.base.least import LEAST_WORDINGS


class Source(StrEnum):
    """Where a model's weights come from."""

    hub = "hub"
    local = "local"
    embedded = "embedded"
    untrained = "untrained"


class Method(StrEnum):
    """How an untrained transformer is made: fresh weights, or the trained entries of each tensor shuffled."""

    reinit = "reinit"
    shuffle = "shuffle"


class CapturePath(StrEnum):
    """The transformer called directly, or the plain pipeline call."""

    fast = "fast"
    pipeline = "pipeline"


class AttentionKernel(StrEnum):
    """Which of torch's attention kernels computes; ``native`` leaves the choice to torch.

    ``auto`` is the fastest on the CUDA device at hand, measured there, and elsewhere what torch chooses.
    """

    native = "native"
    auto = "auto"
    cudnn = "cudnn"
    flash = "flash"
    efficient = "efficient"
    math = "math"


class Measure(StrEnum):
    """What is compared: the RMS magnitude of a unit, or its natural logarithm."""

    rms = "rms"
    log_rms = "log_rms"


class WordingMeasure(StrEnum):
    """What wordings are compared by: a head's magnitude, or vectors that its direction enters as well.

    ``log_rms`` over image tokens, ``direction`` over image tokens, ``profile``: direction item by item,
    ``text_direction``: over text tokens.
    """

    log_rms = "log_rms"
    direction = "direction"
    profile = "profile"
    text_direction = "text_direction"


class Tokens(StrEnum):
    """A set of token positions. ``image`` is noise + reference; ``all`` is everything a projection sees."""

    text = "text"
    pad = "pad"
    noise = "noise"
    reference = "reference"
    image = "image"
    all = "all"


class UnitKind(StrEnum):
    """The view that is tested: true attention heads, or the 16-channel groups that the cards call heads."""

    head = "head"
    group16 = "group16"


class CurveFamily(StrEnum):
    """The template of the simultaneous bound on true discoveries."""

    linear = "linear"
    beta = "beta"


class Section(BaseModel):
    """Part of params.yaml: fixed once read; unknown keys, text for a number and NaN are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


T = TypeVar("T")
Word = Annotated[T, Strict(False)]
"""One of a few words, which YAML has as text."""

Seed = Annotated[int, Field(ge=0, le=2**32 - 1, examples=[0])]
Layer = Annotated[int, Field(ge=0, le=1000, examples=[9])]
Threshold = Annotated[float, Field(gt=0, le=1000, examples=[3.0])]


class RunParams(Section):
    """The cells of a run: every probe on every model."""

    probes: list[str] = []
    models: list[str] = []


class Quantize(StrEnum):
    """How a transformer's weights are kept on the device; activations, which are what is measured, stay as they are."""

    int8 = "int8"
    """Eight bits a weight, with a scale for every output channel (torchao)."""


class LoraParams(Section):
    """A LoRA that is merged into the transformer as it is loaded: a file, or one of a repository."""

    path: str | None = None
    repo: str | None = None
    file: str | None = None
    """Name of the file in ``repo``."""
    revision: str | None = None
    scale: float = Field(default=1.0, ge=-100, le=100)


class ModelParams(Section):
    """One entry under ``models``. What an untrained model leaves out it takes from its ``of`` model."""

    source: Word[Source]
    repo: str | None = None
    revision: str | None = None
    path: str | None = None
    of: str | None = None
    method: Word[Method] | None = None
    seed: Seed | None = None
    seeds: int | None = Field(default=None, ge=1, le=1000, examples=[20])
    """Number of draws of an untrained family; its seeds are 0 to ``seeds - 1``."""
    device: str | None = None
    dtype: str | None = None
    height: int | None = Field(default=None, ge=16, le=8192, examples=[1024])
    width: int | None = Field(default=None, ge=16, le=8192, examples=[1024])
    max_sequence_length: int | None = Field(default=None, ge=1, le=32768, examples=[512])
    text_encoder_out_layers: list[Layer] | None = None
    lora: LoraParams | None = None
    quantize: Word[Quantize] | None = None
    offload: bool | None = None
    """Whether blocks wait in main memory until they run, for a GPU that does not hold the transformer."""
    device_map: str | dict[str, Any] | None = None
    """Known so that it can be refused with a reason."""

    def settings(self, base: "ModelParams") -> dict[str, Any]:
        """Device, dtype, sizes and layers, those that are left out taken from ``base``."""
        keys = ("device", "dtype", "height", "width", "max_sequence_length", "text_encoder_out_layers", "offload")
        return {key: getattr(base if getattr(self, key) is None else self, key) for key in keys}

    def draws(self) -> list[int]:
        """Seeds of the untrained draws; empty for a model with weights of its own."""
        if self.source is not Source.untrained:
            return []
        return list(range(self.seeds)) if self.seeds is not None else [int(self.seed or 0)]


class ReferenceParams(Section):
    """How conditioning images are generated."""

    steps: int = Field(default=14, ge=1, le=1000)
    guidance_scale: float = Field(default=4.0, ge=0, le=1000)
    seed: Seed = 0


class CaptureParams(Section):
    """How one pass is measured."""

    path: Word[CapturePath] = CapturePath.fast
    sigma: float = Field(default=1.0, gt=0, le=1)
    """Effective noise level; 1 is pure noise."""
    seeds: list[Seed] = [0]
    batch_size: Annotated[int, Field(ge=1, le=65536)] | Literal["auto"] = 1
    """Passes at a time; ``auto`` fits them to the free memory of an accelerator."""
    group_width: int = Field(default=16, ge=1, le=4096)
    attention: Word[AttentionKernel] = AttentionKernel.native
    compile: bool = False
    """Whether the transformer's blocks are compiled."""
    grams: bool = True
    """Whether Gram matrices of the heads' mean vectors are kept too; no part of any key, since it changes no other
    result."""

    def kernels(self) -> dict[str, Any]:
        """What keys say of how is computed: nothing where it is the plain way, as before there was another.

        A choice that is left open says nothing either: what it came to is in the keys of shards.
        """
        plain = self.attention in (AttentionKernel.native, AttentionKernel.auto) and not self.compile
        return {} if plain else {"attention": str(self.attention), "compile": self.compile}


class AnalysisParams(Section):
    """A named choice of unit, tokens, measure, flips and thresholds."""

    unit: Word[UnitKind]
    tokens: Word[Tokens]
    measure: Word[Measure]
    flips: Annotated[int, Field(ge=2, le=2_000_000)] | Literal["exact"] = 10_000
    """Number of sign flips, the identity counted, or ``exact``."""
    unique: bool = True
    thresholds: list[Threshold] = [3.0, 5.0]
    effect_threshold: float = Field(default=0.8, gt=0, le=1000)
    splits: int = Field(default=100, ge=1, le=100_000)
    split_flips: int = Field(default=1_000, ge=0, le=1_000_000)
    permutations: int = Field(default=10_000, ge=0, le=1_000_000)
    confidence: float = Field(default=0.95, gt=0, lt=1)
    family: Word[CurveFamily] = CurveFamily.linear
    shift: int = Field(default=0, ge=0, le=1_000_000)
    seed: Seed = 0


class VerdictParams(Section):
    """The rules of the ladder of claims. Bounds hold with confidence ``1 - alpha``."""

    alpha: float = Field(default=0.05, gt=0, lt=1)
    """Level of every rung; rungs are tested in a fixed order, so that none needs a correction."""
    family: Word[CurveFamily] = CurveFamily.linear
    shift: int = Field(default=0, ge=0, le=1_000_000)
    flips: int = Field(default=10_000, ge=20, le=1_000_000)
    """Sign flips of items, the identity counted."""
    permutations: int = Field(default=10_000, ge=20, le=1_000_000)
    """Label permutations of templates, and permutations of items for the trend."""
    threshold: Threshold = 3.0
    """Preset |t| over templates above which a head counts; untrained draws are saturated by these counts."""
    measure: Literal["log_rms", "direction", "profile"] = "log_rms"
    """What the confirmatory climb compares wordings by; climbs by the others are exploratory."""
    min_templates: int = Field(default=LEAST_WORDINGS, ge=2, le=64)
    """Least number of rows a side: wordings, or what remains of them where several are one piece of evidence."""
    untrained_draws: int = Field(default=19, ge=1, le=1000)
    """Least number of draws of each way to untrain."""
    saturation: float = Field(default=0.9, gt=0, lt=1)
    """Median share of heads over the threshold beyond which untrained draws leave no room to exceed them."""
    seeds: int = Field(default=3, ge=1, le=1000)
    references: int = Field(default=2, ge=1, le=1000)
    seeds_alone: int = Field(default=6, ge=1, le=1000)
    """Least number of noise seeds where the probe has no reference image."""
    swapped: float = Field(default=0.16, gt=0, lt=1)
    """Share of the heads that are swapped together at rung 7: those of the largest dose."""
    swapped_items: int = Field(default=10, ge=2, le=1_000)
    """Items that heads are chosen on, and others that they are tested on, at most so many each."""
    items: int = Field(default=10, ge=2, le=1_000_000)
    """Items that untrained draws and further seeds and references are run on, evenly spaced over the probe."""
    seed: Seed = 0


NoiseLevel = Annotated[float, Field(ge=0.001, le=1, examples=[0.8])]


class StudyParams(Section):
    """What ``plantain run --study`` looks at beside what the verdict needs."""

    sigmas: list[NoiseLevel] = []
    """Noise levels of the sweep; the run's own is added, and an empty list is no sweep."""

    def levels(self, own: float) -> tuple[float, ...]:
        """Every level of the sweep from pure noise down, the run's ``own`` among them; none where there is no sweep."""
        return tuple(sorted({own, *self.sigmas}, reverse=True)) if self.sigmas else ()


class ReportParams(Section):
    """How pictures are drawn."""

    dpi: int = Field(default=160, ge=30, le=600)


class TrackingParams(Section):
    """Where results are published."""

    uri: str | None = None
    experiment: str = "plantain"
    live: bool = False
    timeout: float = Field(default=10.0, gt=0, le=86400)
    """Seconds that a server may take."""


class Params(Section):
    """The whole of ``params.yaml``."""

    run: RunParams
    models: dict[str, ModelParams]
    reference: ReferenceParams
    capture: CaptureParams
    analyses: dict[str, AnalysisParams]
    verdict: VerdictParams
    report: ReportParams
    tracking: TrackingParams
    study: StudyParams = StudyParams()
    """Left out in the files of workspaces that were made before there was a sweep."""
