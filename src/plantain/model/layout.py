"""A pipeline folder as ``save_pretrained`` writes it: its parts, digests and refusals (needs no torch)."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from plantain.base.errors import InputError, refuse_pointer_at
from plantain.base.files import digest, sha256_bytes, sha256_file
from plantain.model.architectures import Architecture, architecture_calling
from plantain.model.weights import shapes
from plantain.records.lock import KLEIN_PIPELINE, Component

PIPELINE = KLEIN_PIPELINE
PARTS = ("scheduler", "text_encoder", "tokenizer", "transformer", "vae")
"""What every pipeline has; some have more encoders."""

_KLEIN = {
    "scheduler": ("FlowMatchEulerDiscreteScheduler",),
    "text_encoder": ("Qwen3ForCausalLM",),
    "tokenizer": ("Qwen2Tokenizer", "Qwen2TokenizerFast"),
    "transformer": ("Flux2Transformer2DModel",),
    "vae": ("AutoencoderKLFlux2",),
}
_ROLES = {
    "scheduler": ("FlowMatchEulerDiscreteScheduler", "DPMSolverMultistepScheduler"),
    "text_encoder": (
        "CLIPTextModel", "CLIPTextModelWithProjection", "T5EncoderModel", "UMT5EncoderModel", "Qwen3ForCausalLM",
        "Qwen3Model", "Qwen2_5_VLForConditionalGeneration", "Mistral3ForConditionalGeneration", "Gemma2Model",
        "GlmModel",
    ),
    "tokenizer": (
        "CLIPTokenizer", "CLIPTokenizerFast", "T5Tokenizer", "T5TokenizerFast", "Qwen2Tokenizer", "Qwen2TokenizerFast",
        "GemmaTokenizer", "GemmaTokenizerFast", "LlamaTokenizer", "LlamaTokenizerFast", "PreTrainedTokenizerFast",
        "TokenizersBackend", "PixtralProcessor",
    ),
    "processor": ("Qwen2VLProcessor", "Qwen2_5_VLProcessor"),
    "vae": ("AutoencoderKL", "AutoencoderKLFlux2", "AutoencoderKLQwenImage", "AutoencoderDC"),
}  # fmt: skip
"""The classes that a part may be of: nothing else is loaded, whatever ``model_index.json`` names."""

_WEIGHTED = ("text_encoder", "transformer", "vae")
_SINGLE = ("diffusion_pytorch_model.safetensors", "model.safetensors")
"""What diffusers and transformers call a weight file that is not one of several."""
_COMPLETE = "complete the folder."
_AGAIN = "fetch or save the model again; in the Hugging Face cache, remove this file first."
_VERSION_KEYS = ("_diffusers_version", "transformers_version", "_name_or_path")


@dataclass(frozen=True)
class Index:
    """What ``model_index.json`` says: the class of every part, and whether the pipeline is distilled."""

    classes: dict[str, str]
    """Parts in name order; those that the pipeline goes without are left out."""
    is_distilled: bool
    pipeline: str = PIPELINE
    """Its class."""


def read_index(folder: Path) -> Index:
    """Read ``model_index.json``.

    Raises:
        InputError: no such file, a pipeline without a row, or a missing or unexpected part.
    """
    path = folder / "model_index.json"
    if not path.exists():
        fix = "give the folder that `save_pretrained` of the whole pipeline wrote."
        raise InputError("no model_index.json, so this is not a pipeline folder.", file=folder, fix=fix)
    data = read_json(path)
    pipeline = str(data.get("_class_name"))
    try:
        row = architecture_calling(pipeline)
    except InputError as error:
        raise InputError(error.problem, file=path, fix=error.fix) from None
    # The flag is left out where it has its default, which is False in Flux2KleinPipeline.
    names = [*PARTS, *sorted(key for key in data if key not in PARTS and _listed(data[key]))]
    classes = {part: _class_name(path, data, part, row, pipeline) for part in sorted(names)}
    return Index(classes, bool(data.get("is_distilled", False)), pipeline)


def part_role(part: str) -> str:
    """What a part is: ``text_encoder`` for ``text_encoder_2``."""
    return re.sub(r"_\d+$", "", part)


def has_weights(part: str) -> bool:
    """Whether a part consists of weights."""
    return part_role(part) in _WEIGHTED


def _listed(entry: object) -> bool:
    """Whether an entry of ``model_index.json`` names a part: a library and a class, both empty where it has none."""
    return isinstance(entry, list) and len(entry) == 2 and entry[1] is not None


def components(
    folder: Path, index: Index, weight_digest: Callable[[Path], str] = sha256_file, *, skip_weights: str = ""
) -> dict[str, Component]:
    """Class, digests and size of every part of the pipeline in ``folder``.

    Args:
        folder: the pipeline folder.
        index: its :func:`read_index`.
        weight_digest: SHA-256 of a weight file; sources that already know it pass their own.
        skip_weights: a part whose weights are made in memory, and need not be there.

    Raises:
        InputError: a configuration or weight file is missing.
    """
    return {
        part: _component(folder / part, name, weight_digest, has_weights(part) and part != skip_weights)
        for part, name in index.classes.items()
    }


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of a part, in name order: those that its shard index names, or all that there are.

    Raises:
        InputError: there is none, or a shard is missing.
    """
    names = {name for path in sorted(folder.glob("*.safetensors.index.json")) for name in _shards(path)}
    files = [folder / name for name in sorted(names)] or sorted(folder.glob("*.safetensors"))
    missing = [path.name for path in files if not path.exists()]
    if missing or not files:
        what = f"weight file {', '.join(missing)} is missing" if missing else "there is no safetensors weight file"
        raise InputError(f"{what}.", file=folder, fix="complete the folder; other weight formats are not read.")
    if not names and not any(path.name in _SINGLE for path in files):
        raise InputError(f"no weight file is called {' or '.join(_SINGLE)}.", file=folder, fix="rename it.")
    return files


def _shards(index: Path) -> set[str]:
    """The files that a shard index names."""
    listed = read_json(index).get("weight_map")
    names = list(listed.values()) if isinstance(listed, dict) else []
    if not names or not all(isinstance(name, str) and Path(name).name == name for name in names):
        raise InputError("its weight_map does not name files of this folder.", file=index, fix=_AGAIN)
    return set(names)


def _component(folder: Path, class_name: str, weight_digest: Callable[[Path], str], weighted: bool) -> Component:
    if not folder.is_dir():
        raise InputError("this part of the pipeline is missing.", file=folder, fix=_COMPLETE)
    files = weight_files(folder) if weighted else []
    shapes(files)  # nothing is hashed that cannot be opened
    digests = {path.name: weight_digest(path) for path in files}
    return Component(
        class_name=class_name,
        config_sha256=digest({path.name: _config_digest(path) for path in _config_files(folder)}),
        weights_sha256=next(iter(digests.values())) if len(digests) == 1 else digest(digests) if digests else "",
        bytes=sum(path.stat().st_size for path in files),
    )


def _config_files(folder: Path) -> list[Path]:
    kinds = {".json", ".txt", ".jinja"}
    broken = [path for path in sorted(folder.iterdir()) if path.is_symlink() and not path.exists()]
    if broken:
        raise InputError(f"{broken[0].name} is a link to a file that is not there.", file=folder, fix=_COMPLETE)
    return sorted(path for path in folder.iterdir() if path.suffix in kinds and path.is_file())


def _config_digest(path: Path) -> str:
    refuse_pointer_at(path)  # a large tokenizer.json is kept so where a model was cloned
    if path.name not in ("config.json", "tokenizer_config.json", "scheduler_config.json", "generation_config.json"):
        return sha256_file(path)
    kept = {key: value for key, value in read_json(path).items() if key not in _VERSION_KEYS}
    return sha256_bytes(json.dumps(kept, sort_keys=True).encode())


def _class_name(path: Path, data: dict[str, Any], part: str, row: Architecture, pipeline: str) -> str:
    entry = data.get(part)
    name = entry[1] if isinstance(entry, list) and len(entry) == 2 else None
    allowed = (row.transformer,) if part == "transformer" else _ROLES.get(part_role(part), ())
    allowed = _KLEIN.get(part, allowed) if pipeline == PIPELINE else allowed
    if not allowed:
        fix = "use the pipeline as it is published, without parts of another one."
        raise InputError(f"plantain does not load a {part} ({name}).", file=path, field=part, fix=fix)
    if name not in allowed:
        some = f"a {allowed[0]}" if len(allowed) == 1 else f"one of {', '.join(allowed)}"
        raise InputError(
            f"the {part} is {name or 'missing'}.", file=path, field=part, fix=f"use a pipeline whose {part} is {some}."
        )
    return str(name)


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in a file of a pipeline folder.

    Raises:
        InputError: it cannot be read, or is no object.
    """
    try:
        refuse_pointer_at(path)
        data = json.loads(path.read_bytes())
    except OSError as error:
        raise InputError(f"it cannot be read ({error.strerror}).", file=path, fix=_AGAIN) from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"not valid JSON ({error}).", file=path, fix=_AGAIN) from None
    if not isinstance(data, dict):
        raise InputError("not a JSON object.", file=path, fix=_AGAIN)
    return data
