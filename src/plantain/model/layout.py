"""A pipeline folder as ``save_pretrained`` writes it: its parts, digests and refusals (needs no torch)."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from plantain.base.errors import InputError, refuse_pointer_at
from plantain.base.files import digest, sha256_bytes, sha256_file
from plantain.model.weights import shapes
from plantain.records.lock import Component

PIPELINE = "Flux2KleinPipeline"
PARTS = ("scheduler", "text_encoder", "tokenizer", "transformer", "vae")

_EXPECTED = {
    "scheduler": ("FlowMatchEulerDiscreteScheduler",),
    "text_encoder": ("Qwen3ForCausalLM",),
    "tokenizer": ("Qwen2Tokenizer", "Qwen2TokenizerFast"),
    "transformer": ("Flux2Transformer2DModel",),
    "vae": ("AutoencoderKLFlux2",),
}
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
    is_distilled: bool


def read_index(folder: Path) -> Index:
    """Read ``model_index.json``.

    Raises:
        InputError: no such file, another pipeline, a missing or unexpected part, or a distilled model.
    """
    path = folder / "model_index.json"
    if not path.exists():
        fix = "give the folder that `save_pretrained` of the whole pipeline wrote."
        raise InputError("no model_index.json, so this is not a pipeline folder.", file=folder, fix=fix)
    data = read_json(path)
    if data.get("_class_name") != PIPELINE:
        fix = "use an undistilled FLUX.2 Klein, such as black-forest-labs/FLUX.2-klein-base-4B."
        raise InputError(f"the pipeline is a {data.get('_class_name')}, not a {PIPELINE}.", file=path, fix=fix)
    # The flag is left out where it has its default, which is False in Flux2KleinPipeline.
    if data.get("is_distilled", False) is not False:
        fix = "use the base model of the family, such as black-forest-labs/FLUX.2-klein-base-4B."
        raise InputError(
            "the pipeline is distilled (is_distilled is true): guidance would be ignored.", file=path, fix=fix
        )
    return Index({part: _class_name(path, data, part) for part in PARTS}, is_distilled=False)


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
        part: _component(folder / part, name, weight_digest, part in _WEIGHTED and part != skip_weights)
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


def _class_name(path: Path, data: dict[str, Any], part: str) -> str:
    entry = data.get(part)
    name = entry[1] if isinstance(entry, list) and len(entry) == 2 else None
    if name not in _EXPECTED[part]:
        fix = f"use a pipeline whose {part} is a {_EXPECTED[part][0]}."
        raise InputError(f"the {part} is {name or 'missing'}.", file=path, field=part, fix=fix)
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
