"""What params.yaml can declare, as types.

The dataclasses are not frozen because OmegaConf refuses to merge into frozen ones; nobody writes to them.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


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
    """Which of torch's attention kernels computes; ``native`` leaves the choice to torch."""

    native = "native"
    cudnn = "cudnn"
    flash = "flash"
    efficient = "efficient"
    math = "math"


class Measure(StrEnum):
    """What is compared: the RMS magnitude of a unit, or its natural logarithm."""

    rms = "rms"
    log_rms = "log_rms"


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


class Family(StrEnum):
    """The template of the simultaneous bound on true discoveries."""

    linear = "linear"
    beta = "beta"


@dataclass
class RunParams:
    """The cells of a run: every probe on every model."""

    probes: list[str] = field(default_factory=list)
    models: list[str] = field(default_factory=list)


@dataclass
class ModelParams:
    """One entry under ``models``. What an untrained model leaves out it takes from its ``of`` model."""

    source: Source
    repo: str | None = None
    revision: str | None = None
    path: str | None = None
    of: str | None = None
    method: Method | None = None
    seed: int | None = None
    seeds: int | None = None
    """Number of draws of an untrained family; its seeds are 0 to ``seeds - 1``."""
    device: str | None = None
    dtype: str | None = None
    height: int | None = None
    width: int | None = None
    max_sequence_length: int | None = None
    text_encoder_out_layers: list[int] | None = None

    def settings(self, base: "ModelParams") -> dict[str, Any]:
        """Device, dtype, sizes and layers, those that are left out taken from ``base``."""
        keys = ("device", "dtype", "height", "width", "max_sequence_length", "text_encoder_out_layers")
        return {key: getattr(base if getattr(self, key) is None else self, key) for key in keys}

    def draws(self) -> list[int]:
        """Seeds of the untrained draws; empty for a model with weights of its own."""
        if self.source is not Source.untrained:
            return []
        return list(range(self.seeds)) if self.seeds is not None else [int(self.seed or 0)]


@dataclass
class ReferenceParams:
    """How conditioning images are generated."""

    steps: int = 14
    guidance_scale: float = 4.0
    seed: int = 0


@dataclass
class CaptureParams:
    """How one pass is measured."""

    path: CapturePath = CapturePath.fast
    sigma: float = 1.0
    """Effective noise level in (0, 1]; 1 is pure noise."""
    seeds: list[int] = field(default_factory=lambda: [0])
    batch_size: Any = 1
    """A positive integer, or ``auto``."""
    group_width: int = 16
    attention: AttentionKernel = AttentionKernel.native
    compile: bool = False
    """Whether the transformer's blocks are compiled."""

    def kernels(self) -> dict[str, Any]:
        """What keys say of how is computed: nothing where it is the plain way, as before there was another."""
        plain = self.attention is AttentionKernel.native and not self.compile
        return {} if plain else {"attention": str(self.attention), "compile": self.compile}


@dataclass
class AnalysisParams:
    """A named choice of unit, tokens, measure, flips and thresholds."""

    unit: UnitKind
    tokens: Tokens
    measure: Measure
    flips: Any = 10_000
    """Number of sign flips, the identity counted, or ``exact``."""
    unique: bool = True
    thresholds: list[float] = field(default_factory=lambda: [3.0, 5.0])
    effect_threshold: float = 0.8
    splits: int = 100
    split_flips: int = 1_000
    permutations: int = 10_000
    confidence: float = 0.95
    family: Family = Family.linear
    shift: int = 0
    seed: int = 0


@dataclass
class VerdictParams:
    """The rules of the ladder of claims. Bounds hold with confidence ``1 - alpha``."""

    alpha: float = 0.05
    """Level of every rung; rungs are tested in a fixed order, so that none needs a correction."""
    family: Family = Family.linear
    shift: int = 0
    flips: int = 10_000
    """Sign flips of items, the identity counted."""
    permutations: int = 10_000
    """Label permutations of templates, and permutations of items for the trend."""
    threshold: float = 3.0
    """Preset |t| over templates above which a head counts in the comparison with untrained draws."""
    reliability: float = 0.7
    """Least split-half reliability after Spearman and Brown."""
    min_templates: int = 4
    untrained_draws: int = 19
    """Least number of draws of each way to untrain."""
    saturation: float = 0.9
    """Median share of heads over the threshold beyond which untrained draws leave no room to exceed them."""
    seeds: int = 3
    references: int = 2
    seeds_alone: int = 6
    """Least number of noise seeds where the probe has no reference image."""
    items: int = 10
    """Items that untrained draws and further seeds and references are run on, evenly spaced over the probe."""
    seed: int = 0


@dataclass
class ReportParams:
    """How pictures are drawn."""

    dpi: int = 160


@dataclass
class TrackingParams:
    """Where results are published."""

    uri: str | None = None
    experiment: str = "plantain"
    live: bool = False
    timeout: float = 10.0


@dataclass
class Params:
    """The whole of ``params.yaml``."""

    run: RunParams
    models: dict[str, ModelParams]
    reference: ReferenceParams
    capture: CaptureParams
    analyses: dict[str, AnalysisParams]
    verdict: VerdictParams
    report: ReportParams
    tracking: TrackingParams


_SEED = ("[0, 4294967295]", 0)

SPANS: dict[str, tuple[str, float]] = {
    "models.*.seed": _SEED,
    "models.*.seeds": ("[1, 1000]", 20),
    "models.*.height": ("[16, 8192]", 1024),
    "models.*.width": ("[16, 8192]", 1024),
    "models.*.max_sequence_length": ("[1, 32768]", 512),
    "models.*.text_encoder_out_layers.*": ("[0, 1000]", 9),
    "reference.steps": ("[1, 1000]", 14),
    "reference.guidance_scale": ("[0, 1000]", 4.0),
    "reference.seed": _SEED,
    "capture.sigma": ("(0, 1]", 1.0),
    "capture.seeds.*": _SEED,
    "capture.batch_size": ("[1, 65536]", 1),
    "capture.group_width": ("[1, 4096]", 16),
    "analyses.*.flips": ("[2, 2000000]", 10_000),
    "analyses.*.thresholds.*": ("(0, 1000]", 3.0),
    "analyses.*.effect_threshold": ("(0, 1000]", 0.8),
    "analyses.*.splits": ("[1, 100000]", 100),
    "analyses.*.split_flips": ("[0, 1000000]", 1_000),
    "analyses.*.permutations": ("[0, 1000000]", 10_000),
    "analyses.*.confidence": ("(0, 1)", 0.95),
    "analyses.*.shift": ("[0, 1000000]", 0),
    "analyses.*.seed": _SEED,
    "verdict.alpha": ("(0, 1)", 0.05),
    "verdict.shift": ("[0, 1000000]", 0),
    "verdict.flips": ("[20, 1000000]", 10_000),
    "verdict.permutations": ("[20, 1000000]", 10_000),
    "verdict.threshold": ("(0, 1000]", 3.0),
    "verdict.reliability": ("(0, 1)", 0.7),
    "verdict.min_templates": ("[2, 64]", 4),
    "verdict.untrained_draws": ("[1, 1000]", 19),
    "verdict.saturation": ("(0, 1)", 0.9),
    "verdict.seeds": ("[1, 1000]", 3),
    "verdict.references": ("[1, 1000]", 2),
    "verdict.seeds_alone": ("[1, 1000]", 6),
    "verdict.items": ("[2, 1000000]", 10),
    "verdict.seed": _SEED,
    "report.dpi": ("[30, 600]", 160),
    "tracking.timeout": ("(0, 86400]", 10.0),
}
"""The interval of every number, a parenthesis leaving its end out, and what to use where nothing speaks against it.

A star stands for a name, or a place in a list. Neither NaN nor an infinite number lies in any of them.
"""


def within(value: float, interval: str) -> bool:
    """Whether ``value`` lies in an interval such as ``(0, 1]``."""
    low, high = (float(end) for end in interval[1:-1].split(", "))
    return low < value < high or (interval[0] == "[" and value == low) or (interval[-1] == "]" and value == high)
