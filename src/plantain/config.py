"""``params.yaml`` read: parsed and validated once, then trusted."""

import re
from pathlib import Path

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from plantain.declared import (
    AnalysisParams,
    AttentionKernel,
    CaptureParams,
    CapturePath,
    Family,
    Measure,
    Method,
    ModelParams,
    Params,
    ReferenceParams,
    ReportParams,
    RunParams,
    Source,
    Tokens,
    TrackingParams,
    UnitKind,
    VerdictParams,
)
from plantain.yamlfile import Key, YamlFile, read_yaml

__all__ = [
    "MODEL_NAME",
    "NAME",
    "AnalysisParams",
    "AttentionKernel",
    "CaptureParams",
    "CapturePath",
    "Family",
    "Measure",
    "Method",
    "ModelParams",
    "Params",
    "ReferenceParams",
    "ReportParams",
    "RunParams",
    "Source",
    "Tokens",
    "TrackingParams",
    "UnitKind",
    "VerdictParams",
    "read_params",
]

NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
"""Probes, conditions, contrasts, analyses and references: no hyphen, since DVC joins matrix values with one."""

MODEL_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


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
    if capture.path is CapturePath.pipeline and capture.kernels():
        fix = "set capture.path: fast, or leave attention and compile out."
        raise source.error("the plain pipeline path computes the plain way.", "capture", "path", fix=fix)
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
    if analysis.thresholds[:1] != [3.0] or min(analysis.thresholds) <= 0:
        problem = "thresholds are positive, and the first is 3, which every headline counts."
        raise source.error(problem, "analyses", name, "thresholds", fix="use [3.0, 5.0].")


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
