"""``params.yaml`` as types: parsed and validated once, then trusted.

The dataclasses are not frozen because OmegaConf refuses to merge into frozen ones; nobody writes to them.
"""

import re
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from plantain.yamlfile import Key, YamlFile, read_yaml

NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
"""Probes, conditions, contrasts, analyses and references: no hyphen, since DVC joins matrix values with one."""

MODEL_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


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


def read_params(path: Path = Path("params.yaml")) -> Params:
    """Parse and validate ``path``.

    Raises:
        InputError: an unknown key, a wrong type or a value that cannot be; names line, field and fix.
    """
    source = read_yaml(path)
    if not isinstance(source.data, dict):
        raise source.error("the file is empty.", fix="restore params.yaml from git.")
    params = _typed(source)
    _check_run(source, params)
    for name in params.models:
        _check_model(source, params, name)
    _check_capture(source, params.capture)
    for name, analysis in params.analyses.items():
        _check_analysis(source, name, analysis)
    _check_verdict(source, params.verdict)
    return params


def _typed(source: YamlFile) -> Params:
    try:
        merged = OmegaConf.merge(OmegaConf.structured(Params), OmegaConf.create(source.data))
        typed = OmegaConf.to_object(merged)
    except OmegaConfBaseException as error:
        keys = _keys(str(error.full_key or ""))
        reason = str(error.msg or error).splitlines()[0].rstrip(".")
        fix = "see the comments in params.yaml for the keys and their types."
        raise source.error(f"{reason}.", *keys, fix=fix) from None
    assert isinstance(typed, Params)
    return typed


def _keys(full_key: str) -> list[Key]:
    parts = re.findall(r"[^.\[\]]+", full_key)
    return [int(part) if part.isdigit() else part for part in parts]


def _check_run(source: YamlFile, params: Params) -> None:
    for index, probe in enumerate(params.run.probes):
        if not NAME.fullmatch(probe):
            fix = "use lower-case letters, digits and underscores, a letter first, at most 40."
            raise source.error(f"'{probe}' is not a probe name.", "run", "probes", index, fix=fix)
    for index, model in enumerate(params.run.models):
        if model not in params.models:
            fix = f"add it under models, or use one of: {', '.join(params.models)}."
            raise source.error(f"model '{model}' is not declared.", "run", "models", index, fix=fix)
    for key, names in (("probes", params.run.probes), ("models", params.run.models)):
        if not names or len(set(names)) < len(names):
            raise source.error("names must be distinct, and at least one.", "run", key, fix="list each name once.")


_NEEDS = {
    Source.hub: ("repo", "revision", "device", "dtype", "height", "width", "max_sequence_length"),
    Source.local: ("path", "device", "dtype", "height", "width", "max_sequence_length"),
    Source.embedded: ("device", "dtype", "height", "width", "max_sequence_length"),
    Source.untrained: ("of", "method"),
}


def _check_model(source: YamlFile, params: Params, name: str) -> None:
    model = params.models[name]
    if not MODEL_NAME.fullmatch(name):
        fix = "use lower-case letters, digits, dots, hyphens and underscores."
        raise source.error(f"'{name}' is not a model name.", "models", name, fix=fix)
    for key in _NEEDS[model.source]:
        if getattr(model, key) is None:
            fix = f"add `{key}:` to models.{name}."
            raise source.error(f"a model of source {model.source} needs `{key}`.", "models", name, fix=fix)
    if model.source is Source.untrained:
        _check_untrained(source, params, name, model)


def _check_untrained(source: YamlFile, params: Params, name: str, model: ModelParams) -> None:
    parent = params.models.get(str(model.of))
    if parent is None or parent.source is Source.untrained:
        fix = "name a hub, local or embedded model."
        raise source.error(f"'{model.of}' is not a model with weights.", "models", name, "of", fix=fix)
    if (model.seed is None) == (model.seeds is None):
        fix = "give `seed: n` for one draw, or `seeds: n` for n draws."
        raise source.error("exactly one of seed and seeds is needed.", "models", name, fix=fix)
    if model.seeds is not None and model.seeds < 1:
        raise source.error("a family needs at least one draw.", "models", name, "seeds", fix="use 1 or more.")


def _check_capture(source: YamlFile, capture: CaptureParams) -> None:
    if not 0.0 < capture.sigma <= 1.0:
        raise source.error("sigma lies outside (0, 1].", "capture", "sigma", fix="1.0 is pure noise.")
    if not capture.seeds or len(set(capture.seeds)) < len(capture.seeds):
        raise source.error("noise seeds must be distinct.", "capture", "seeds", fix="list each seed once.")
    size = capture.batch_size
    if size != "auto" and (not isinstance(size, int) or isinstance(size, bool) or size < 1):
        raise source.error(f"{size!r} is not a batch size.", "capture", "batch_size", fix="use 1 or more, or auto.")
    if capture.group_width < 1:
        raise source.error("a group has at least one channel.", "capture", "group_width", fix="use 16.")


def _check_analysis(source: YamlFile, name: str, analysis: AnalysisParams) -> None:
    if not NAME.fullmatch(name):
        fix = "use lower-case letters, digits and underscores, a letter first."
        raise source.error(f"'{name}' is not an analysis name.", "analyses", name, fix=fix)
    flips = analysis.flips
    if flips != "exact" and (not isinstance(flips, int) or isinstance(flips, bool) or flips < 1):
        raise source.error(
            f"{flips!r} is not a number of flips.", "analyses", name, "flips", fix="use 10000, or exact."
        )
    if not 0.0 < analysis.confidence < 1.0:
        raise source.error("confidence lies in (0, 1).", "analyses", name, "confidence", fix="use 0.95.")
    if not analysis.thresholds or min(analysis.thresholds) <= 0:
        raise source.error("thresholds are positive.", "analyses", name, "thresholds", fix="use [3.0, 5.0].")


_LEAST = {"flips": 20, "permutations": 20, "min_templates": 2, "untrained_draws": 1, "items": 2}


def _check_verdict(source: YamlFile, verdict: VerdictParams) -> None:
    for key in ("alpha", "reliability", "saturation"):
        if not 0.0 < getattr(verdict, key) < 1.0:
            raise source.error(f"{key} lies in (0, 1).", "verdict", key, fix="restore the rule from git.")
    for key, least in _LEAST.items():
        if getattr(verdict, key) < least:
            raise source.error(f"{key} is at least {least}.", "verdict", key, fix="restore the rule from git.")
    for key in ("seeds", "references", "seeds_alone"):
        if getattr(verdict, key) < 1:
            raise source.error(f"{key} is at least 1.", "verdict", key, fix="restore the rule from git.")
    if verdict.threshold <= 0 or verdict.shift < 0:
        fix = "use threshold: 3.0 and shift: 0."
        raise source.error("the threshold is positive, the shift not negative.", "verdict", fix=fix)
