"""What each stage stands on: the rooms that its receipt holds digests of, settings, and sections of versions.

The stage ``basis`` writes them down, a file a stage.

A room is the unit in which DVC sees that code changed. What a stage happened to import, which depends on what was
cached, is never written down: equal inputs give equal receipts.

A workspace that is no checkout holds no code. There a stage depends on a version instead: that of plantain in which the
code of its section of environment.yaml last changed, which `changed.json` beside this module remembers.
"""

from functools import cache
from pathlib import Path
from typing import Any, Final

import plantain
from plantain.base.config import VERDICT_ANALYSIS
from plantain.base.errors import InputError
from plantain.base.files import digest, is_source, remembered, sha256_file, tree_digest

PACKAGE: Final = Path(plantain.__file__).parent
SOURCE: Final = Path("src", "plantain")
"""The package in a workspace that is a checkout of it."""

_CAPTURE: Final = ("base", "probe", "records", "model", "capture")
_VERDICT: Final = ("base", "probe", "records", "measure", "stats", "ladder")
_STUDY: Final = (*_CAPTURE, "measure", "stats", "ladder")
_REPORT: Final = ("base", "probe", "records", "report")

ROOMS: Final[dict[str, tuple[str, ...]]] = {
    "model": ("base", "probe", "records", "model"),
    "prompts": ("base", "probe", "records", "stats", "analysis"),
    "reference": _CAPTURE,
    "capture": _CAPTURE,
    "analyze": ("base", "probe", "records", "measure", "stats", "analysis"),
    "verdict": _VERDICT,
    "report": _REPORT,
    "compare": _REPORT,
    "cells": ("base", "probe", "records"),
    "publish": (*_REPORT, "track"),
    "nulls": _STUDY,
    "replicate": _STUDY,
    "intervene": (*_CAPTURE, "measure", "stats", "ladder", "causal"),
    "sweep": _STUDY,
}
"""Rooms of each stage, in the order of data flow. A test compares them with what the stage imports."""

SHARED: Final[dict[str, tuple[str, ...]]] = {
    "cells": ("pipelines",),
    "prompts": ("pipelines",),
    "verdict": ("beside",),
    "nulls": ("beside",),
    "replicate": ("beside",),
    "intervene": ("beside",),
    "sweep": ("beside",),
}
"""Modules beside its own that a stage shares with others; every stage has ``frame`` and this one."""

SECTIONS: Final[dict[str, tuple[str, ...]]] = {
    "prompts": ("prompts",),
    "capture": ("model", "reference", "capture"),
    "analyze": ("analyze", "verdict"),
    "report": ("report", "compare"),
    "cells": ("cells",),
    "publish": ("publish",),
}
"""The stages that depend on each section of a workspace's environment.yaml."""

SETTINGS: Final[dict[str, tuple[str, ...]]] = {
    "prompts": (),
    "model": ("models", "capture.group_width"),
    "reference": ("reference",),
    "capture": ("capture", "verdict.items"),
    "analyze": ("analyses",),
    "verdict": ("models", "reference", "capture", f"analyses.{VERDICT_ANALYSIS}", "verdict"),
    "report": ("report",),
    "compare": ("run",),
    "cells": ("run",),
    "publish": ("tracking",),
}
"""The keys of params.yaml that each stage of the pipeline reads, dotted."""

_MORE_VERSIONS: Final = {"verdict": ("capture",)}
"""Sections of environment.yaml that a stage depends on beside its own."""

CHANGED: Final = PACKAGE / "stages" / "changed.json"
"""Section to the released version in which its code last changed, and the digest of that code."""


def code_paths(stage: str) -> tuple[Path, ...]:
    """What a stage depends on below the package: its rooms, then its own modules."""
    modules = (*SHARED.get(stage, ()), "frame", "rooms", stage)
    return (*map(Path, ROOMS[stage]), *(Path("stages", f"{module}.py") for module in modules))


def code_digests(stage: str, workspace: Path = Path()) -> dict[str, str]:
    """Digest of every entry of :func:`code_paths`.

    Raises:
        InputError: the code differs from the workspace's own, as an editable install does in DVC's copy of it.
    """
    source = workspace / SOURCE
    elsewhere = source.exists() and not source.samefile(PACKAGE)
    digests = {}
    for path in code_paths(stage):
        digests[path.as_posix()] = _digest(PACKAGE / path)
        if elsewhere and _digest(source / path) != digests[path.as_posix()]:
            fix = "run stages as dvc.yaml does, with PYTHONPATH=src."
            raise InputError(f"{PACKAGE / path} ran, which is not the workspace's code.", file=source / path, fix=fix)
    return digests


def told_to(stage: str, raw: dict[str, Any], declared: dict[str, dict[str, str]]) -> dict[str, Any]:
    """What params.yaml and environment.yaml say to a stage; a section that a checkout lacks is left out.

    Args:
        stage: One of `SETTINGS`.
        raw: The data of params.yaml.
        declared: The sections of environment.yaml.
    """
    own = (section for section, stages in SECTIONS.items() if stage in stages)
    sections = [section for section in (*own, *_MORE_VERSIONS.get(stage, ())) if section in declared]
    return {
        "settings": {key: value_at(raw, key) for key in SETTINGS[stage]},
        "versions": {section: declared[section] for section in sections},
    }


def value_at(raw: dict[str, Any], key: str) -> Any:
    """The value at a dotted key; None where there is none."""
    node: Any = raw
    for part in key.split("."):
        node = node.get(part) if isinstance(node, dict) else None
    return node


@cache
def section_version(section: str) -> str:
    """The version of plantain in which the code of a section's stages last changed.

    Code that is not what the table says changed in the version at hand. Two states of an unreleased version are told
    apart by their code.
    """
    noted, code = remembered(CHANGED).get(section, {}), section_digest(section)
    if noted.get("code") == code:
        return str(noted["version"])
    return f"{plantain.__version__}+{code[:8]}" if is_unreleased() else plantain.__version__


def section_digest(section: str) -> str:
    """Digest of the code of all stages of a section."""
    paths = {path for stage in SECTIONS[section] for path in code_paths(stage)}
    return digest({path.as_posix(): _digest(PACKAGE / path) for path in paths})


def is_unreleased() -> bool:
    """Whether the code at hand is on its way to a version."""
    return ".dev" in plantain.__version__


def _digest(path: Path) -> str:
    """SHA-256 of a file, or of the names and digests of all files of a folder."""
    if path.is_file():
        return sha256_file(path)
    names = {file.relative_to(path).as_posix(): file for file in path.rglob("*") if file.is_file()}
    return tree_digest({name: sha256_file(file) for name, file in names.items() if is_source(name)})
