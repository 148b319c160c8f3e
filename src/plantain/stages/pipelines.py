"""The pipeline of each probe: a folder with its stages, whose text is one for all, and the lock that DVC keeps there.

DVC rewrites a lock whole after every stage, so that one lock for a hundred probes would cost hours. Plain ``dvc repro``
runs them all, since the stages over all cells in the top-level ``dvc.yaml`` depend on what they make.
"""

from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

from plantain.base import places
from plantain.base.errors import InputError
from plantain.base.files import remove, write_atomic
from plantain.base.params import RunParams
from plantain.base.yaml import read_plain

_NAME = "@PROBE@"


def pipeline_text(probe: str) -> bytes:
    """The stages of ``probe``, as ``pipelines/<probe>/dvc.yaml`` holds them."""
    return files("plantain.stages").joinpath("pipeline.yaml").read_bytes().replace(_NAME.encode(), probe.encode())


def add_pipeline(probe: str) -> Path:
    """Write the pipeline of ``probe``."""
    path = places.pipeline(probe)
    write_atomic(path, pipeline_text(probe))
    return path


def piped() -> list[str]:
    """The probes that have a pipeline."""
    return sorted(path.parent.name for path in places.PIPELINES.glob(f"*/{places.PIPELINE}"))


def follow(run: RunParams) -> tuple[list[str], list[str]]:
    """Give every probe of the run a pipeline, and take it from those that left the run.

    Returns:
        The probes whose pipeline was written, and those whose pipeline and results were removed; both come back with
        git and from DVC's cache.

    Raises:
        InputError: the pipeline of a probe that left was edited by hand.
    """
    gone = [probe for probe in piped() if probe not in run.probes]
    for probe in gone:
        _check_untouched(probe)
    new = [probe for probe in run.probes if not places.pipeline(probe).exists()]
    for probe in new:
        add_pipeline(probe)
    for probe in gone:
        remove_pipeline(probe)
    return new, gone


def remove_pipeline(probe: str) -> None:
    """Remove a probe's stages, their lock and the results that the lock names; DVC's cache keeps those."""
    for path in outs_of(places.pipeline_lock(probe)):
        remove(path)
    remove(places.pipeline(probe).parent)


def outs_of(lock: Path, wanted: Callable[[str], bool] = lambda stage: True) -> list[Path]:
    """The outs of the stages that are ``wanted``, as a lock file names them; none where there is no such file."""
    held = (read_plain(lock).get("stages") or {}) if lock.exists() else {}
    outs = {out["path"] for stage, entry in held.items() if wanted(stage) for out in entry.get("outs", [])}
    return sorted(map(Path, outs))


def _check_untouched(probe: str) -> None:
    path = places.pipeline(probe)
    if path.read_bytes() != pipeline_text(probe):
        fix = f"add '{probe}' to run.probes again, or remove the folder yourself."
        raise InputError("the pipeline of a probe that is not in run.probes was edited.", file=path, fix=fix)
