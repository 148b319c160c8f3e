"""What a stage imports, by room, to compare with what it declares."""

from functools import cache
from pathlib import Path

import grimp

ROOT = Path(__file__).resolve().parents[2]


@cache
def _graph() -> grimp.ImportGraph:
    return grimp.build_graph("plantain", cache_dir=None)


@cache
def modules(stage: str) -> frozenset[str]:
    """Every module of plantain that ``plantain.stages.<stage>`` imports, lazily or not, itself included."""
    module = f"plantain.stages.{stage}"
    return frozenset({module} | _graph().find_upstream_modules(module))


def rooms(stage: str) -> set[str]:
    """The rooms that those modules are in; ``stages`` is none."""
    parts = (module.split(".") for module in modules(stage))
    return {part[1] for part in parts if len(part) > 1 and part[1] != "stages"}


def stage_modules(stage: str) -> set[str]:
    """The modules of ``stages`` among them."""
    return {module.split(".")[2] for module in modules(stage) if module.startswith("plantain.stages.")}


def sources(stage: str) -> list[Path]:
    """The files of those modules."""
    return [_file(module) for module in sorted(modules(stage))]


def _file(module: str) -> Path:
    stem = ROOT.joinpath("src", *module.split("."))
    return stem / "__init__.py" if stem.is_dir() else stem.with_suffix(".py")
