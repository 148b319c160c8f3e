"""``params.yaml`` read: OmegaConf resolves, pydantic checks every field, and here is checked what fields say together.

What one field may be stands in `plantain.base.params`.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from plantain.base.params import AnalysisParams, CaptureParams, CapturePath, ModelParams, Params, Section, Source
from plantain.base.places import RESERVED
from plantain.base.secrets import user_info
from plantain.base.yaml import Key, YamlFile, read_yaml

NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
"""Probes, conditions, contrasts, analyses and references: no hyphen, since DVC joins matrix values with one."""

MODEL_NAME = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9_-])?")
"""Models, which name folders: Windows takes no notice of a dot or a blank at the end of a name."""

VERDICT_ANALYSIS = "heads"
"""The analysis that every verdict rests on."""

_PARAMS = TypeAdapter(Params)


def read_params(path: Path = Path("params.yaml")) -> Params:
    """Parse and validate ``path``.

    Raises:
        InputError: an unknown key, a wrong type or a value that cannot be; names line, field and fix.
    """
    return checked_params(read_yaml(path))


def checked_params(source: YamlFile) -> Params:
    """What a parsed ``params.yaml`` declares.

    Raises:
        InputError: as `read_params`.
    """
    _check_sections(source)
    _check_secrets(source)
    params = _typed(source)
    _check_run(source, params)
    for name in params.models:
        _check_model(source, params, name)
    _check_capture(source, params.capture)
    _check_study(source, params.study.sigmas, params.capture.sigma)
    for name, analysis in params.analyses.items():
        _check_analysis(source, name, analysis)
    if VERDICT_ANALYSIS not in params.analyses:
        fix = f"add `{VERDICT_ANALYSIS}:` there, as params.yaml has it in git."
        raise source.error(f"the verdict rests on the analysis '{VERDICT_ANALYSIS}'.", "analyses", fix=fix)
    return params


def _check_sections(source: YamlFile) -> None:
    """The file is a mapping that holds every section."""
    fix = "restore params.yaml with git."
    if not isinstance(source.data, dict):
        what = "the file is empty" if source.data is None else "this is no mapping of sections"
        raise source.error(f"{what}.", fix=fix)
    for section, field in Params.model_fields.items():
        if (field.is_required() or section in source.data) and not isinstance(source.data.get(section), dict):
            raise source.error(f"the section `{section}` is missing, or empty.", section, fix=fix)


def _check_secrets(source: YamlFile) -> None:
    """No value holds a password or a token: params.yaml is in git, and DVC copies what a stage reads to dvc.lock."""
    for keys, text in _texts(source.data, ()):
        user, secret = user_info(text)
        if secret or (user and text.startswith(_WEB)):
            fix = next((way for scheme, way in _INSTEAD.items() if text.startswith(scheme)), _ELSEWHERE)
            what = "a password or a token" if secret else "a user name"
            raise source.error(f"the address holds {what}, which git and DVC would keep.", *keys, fix=fix)


_WEB = ("http://", "https://")
_SERVER = (
    "write the address alone, and set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN."
)
_INSTEAD = {
    **dict.fromkeys(_WEB, _SERVER),
    "postgresql": "write `postgresql://USER@HOST/DATABASE`, and put the password into PGPASSWORD or ~/.pgpass.",
    "mysql": "write `mysql+pymysql://USER@HOST/DATABASE?read_default_file=/PATH/my.cnf`, the password in that file.",
}
_ELSEWHERE = "take the whole value from a variable of the environment: `${oc.env:NAME}`."


def _texts(node: Any, keys: tuple[Key, ...]) -> Iterator[tuple[tuple[Key, ...], str]]:
    """Every text below ``node``, with the keys that lead to it."""
    if isinstance(node, dict | list):
        for key, value in node.items() if isinstance(node, dict) else enumerate(node):
            yield from _texts(value, (*keys, key))
    elif isinstance(node, str):
        yield keys, node


def _typed(source: YamlFile) -> Params:
    """The file with its interpolations resolved, which may name a default, and every field of its type."""
    defaults = {name: own | source.data.get(name, {}) for name, own in _defaults().items()}
    whole = source.data | defaults
    return source.typed(_PARAMS, whole if _stands_as_it_is(whole) else _resolved(source, whole))


def _stands_as_it_is(node: Any) -> bool:
    """Whether nothing below ``node`` names another value, is missing (``???``), or is more than plain data.

    Importing OmegaConf takes longer than all that is read here, and each stage is a process of its own.
    """
    if isinstance(node, dict):
        return all(type(key) is str and _stands_as_it_is(value) for key, value in node.items())
    if isinstance(node, list):
        return all(map(_stands_as_it_is, node))
    return (type(node) is str and "${" not in node and "???" not in node) or type(node) in _PLAIN


_PLAIN = (int, float, bool, type(None))


def _resolved(source: YamlFile, whole: dict[str, Any]) -> Any:
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        return OmegaConf.to_container(OmegaConf.create(whole), resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        keys = _keys(str(error.full_key or ""))
        reason = str(error.msg or error).splitlines()[0].rstrip(".")
        fix = "see the comments in params.yaml for the keys and their types."
        raise source.error(f"{reason}.", *keys, fix=fix) from None


def _defaults() -> dict[str, Any]:
    """What the sections with fixed keys hold where the file says nothing."""
    kinds = {name: field.annotation for name, field in Params.model_fields.items()}
    return {
        name: kind().model_dump(mode="json")
        for name, kind in kinds.items()
        if isinstance(kind, type) and issubclass(kind, Section)
    }


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


_WORDS = {
    "device": (re.compile(r"auto|cpu|mps|cuda(:\d{1,2})?"), "use auto, cpu, cuda, cuda:N or mps."),
    "dtype": (re.compile(r"float32|bfloat16|float16"), "use float32, bfloat16 or float16."),
}

_LATENT = 16
"""Pixels a side of one image token of Klein and of the embedded models."""


def _check_model(source: YamlFile, params: Params, name: str) -> None:
    model = params.models[name]
    if not MODEL_NAME.fullmatch(name):
        fix = "use lower-case letters, digits, dots, hyphens and underscores, at most 64, with no dot first or last."
        raise source.error(f"'{name}' is not a model name.", "models", name, fix=fix)
    if name in RESERVED:
        fix = "choose another name."
        raise source.error(f"'{name}' is a place in reports/ of its own.", "models", name, fix=fix)
    for key in _NEEDS[model.source]:
        if getattr(model, key) is None:
            fix = f"add `{key}:` to models.{name}."
            raise source.error(f"a model of source {model.source} needs `{key}`.", "models", name, fix=fix)
    for key, (known, fix) in _WORDS.items():
        value = getattr(model, key)
        if value is not None and not known.fullmatch(value):
            raise source.error(f"'{value}' is not a {key}.", "models", name, key, fix=fix)
    if model.source is Source.untrained:
        _check_untrained(source, params, name, model)
    _check_adapted(source, name, model)
    base = params.models[str(model.of)] if model.source is Source.untrained else model
    for key in ("height", "width"):
        # A local pipeline can have another autoencoder; the model stage looks at its files.
        if base.source is not Source.local and (getattr(model, key) or 0) % _LATENT:
            problem = f"{getattr(model, key)} pixels do not fit the latent."
            raise source.error(problem, "models", name, key, fix=f"use a multiple of {_LATENT}.")


def _check_adapted(source: YamlFile, name: str, model: ModelParams) -> None:
    """What is done to a transformer as it is loaded."""
    if model.device_map is not None:
        fix = "leave it out; for a GPU that is too small use `offload: true`, for several GPUs several workers."
        problem = "a transformer that is spread over devices is not measured: its values depend on where it is cut."
        raise source.error(problem, "models", name, "device_map", fix=fix)
    for key in ("lora", "quantize"):
        if getattr(model, key) is not None and model.source not in (Source.hub, Source.local):
            fix = "declare it at a hub or local model; an untrained one takes it from its `of` model."
            raise source.error(f"a model of source {model.source} takes no {key}.", "models", name, key, fix=fix)
    lora = model.lora
    if lora is not None and (lora.path is None) == (lora.repo is None):
        fix = "give `path`, or `repo` with `file` and `revision`."
        raise source.error("exactly one of path and repo is needed.", "models", name, "lora", fix=fix)
    if lora is not None and lora.repo is not None and None in (lora.file, lora.revision):
        fix = "name the safetensors file in the repository, and a branch, tag or commit."
        raise source.error("a LoRA of a repository needs `file` and `revision`.", "models", name, "lora", fix=fix)


def _check_untrained(source: YamlFile, params: Params, name: str, model: ModelParams) -> None:
    parent = params.models.get(str(model.of))
    if parent is None or parent.source is Source.untrained:
        fix = "name a hub, local or embedded model."
        raise source.error(f"'{model.of}' is not a model with weights.", "models", name, "of", fix=fix)
    if (model.seed is None) == (model.seeds is None):
        fix = "give `seed: n` for one draw, or `seeds: n` for n draws."
        raise source.error("exactly one of seed and seeds is needed.", "models", name, fix=fix)


def _check_capture(source: YamlFile, capture: CaptureParams) -> None:
    if not capture.seeds or len(set(capture.seeds)) < len(capture.seeds):
        raise source.error("noise seeds must be distinct.", "capture", "seeds", fix="list each seed once.")
    if capture.path is CapturePath.pipeline and capture.kernels():
        fix = "set capture.path: fast, or leave attention and compile out."
        raise source.error("the plain pipeline path computes the plain way.", "capture", "path", fix=fix)


def _check_study(source: YamlFile, sigmas: list[float], own: float) -> None:
    """Levels are told apart by their steps of 1000, as MLflow's charts have them."""
    steps = [round(1000 * sigma) for sigma in sigmas]
    for index, sigma in enumerate(sigmas):
        if steps[index] in steps[:index] or (steps[index] == round(1000 * own) and sigma != own):
            problem = f"noise level {sigma:g} stands twice, to three decimals."
            fix = "list each level once; that of capture.sigma is added by itself."
            raise source.error(problem, "study", "sigmas", index, fix=fix)


def _check_analysis(source: YamlFile, name: str, analysis: AnalysisParams) -> None:
    if not NAME.fullmatch(name):
        fix = "use lower-case letters, digits and underscores, a letter first."
        raise source.error(f"'{name}' is not an analysis name.", "analyses", name, fix=fix)
    # A metric is named after its threshold to six digits, so no two may share a name.
    names = [f"{threshold:g}" for threshold in analysis.thresholds]
    if analysis.thresholds[:1] != [3.0] or len(set(names)) < len(names):
        problem = "thresholds are distinct, and the first is 3, which every headline counts."
        raise source.error(problem, "analyses", name, "thresholds", fix="use [3.0, 5.0].")
