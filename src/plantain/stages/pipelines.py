"""The pipeline of each probe: a folder with its stages, whose text is one for all, and the lock that DVC keeps there.

DVC rewrites a lock whole after every stage, so that one lock for a hundred probes would cost hours. Plain ``dvc repro``
runs them all, since the stages over all cells in the top-level ``dvc.yaml`` depend on what they make.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.resources import files
from itertools import chain, takewhile
from pathlib import Path

from plantain.base import places
from plantain.base.errors import InputError
from plantain.base.files import remove, sha256_bytes, write_atomic
from plantain.base.git import git_objects, run_git
from plantain.base.params import RunParams
from plantain.base.yaml import read_plain
from plantain.probe.spec import read_probe
from plantain.stages.rooms import SOURCE

_NAME = "@PROBE@"
_FIRST = f"      - prompts/{_NAME}.yaml\n"
"""The first dependency of the first stage; pictures that the probe names follow it."""


_CODE = f"    deps:\n      - {SOURCE.as_posix()}\n"
"""The code, which one stage depends on."""
_PATH = f"PYTHONPATH={SOURCE.parts[0]} "
_WRITTEN = "# As plantain wrote it, by SHA-256: "


def pipeline_text(probe: str, pictures: Sequence[str] = (), *, checkout: bool | None = None) -> bytes:
    """The stages of ``probe``, as ``pipelines/<probe>/dvc.yaml`` holds them.

    Args:
        probe: The probe's name.
        pictures: What its ``prompts`` stage reads beside it, as YAML.
        checkout: Whether for a checkout of plantain, which holds the code that stages depend on; None: as it is here.
    """
    first = _FIRST.replace(_NAME, probe)
    text = files("plantain.stages").joinpath("pipeline.yaml").read_text(encoding="utf-8").replace(_NAME, probe)
    text = text.replace(first, first + "".join(f"      - {path}\n" for path in pictures), 1)
    return (text if (is_checkout() if checkout is None else checkout) else without_code(text)).encode()


def is_checkout() -> bool:
    """Whether the workspace holds plantain's own code."""
    return SOURCE.is_dir()


def without_code(text: str) -> str:
    """Stages for a workspace without code: they run what is installed, and environment.yaml says which that is.

    The last line holds a digest, by which a later plantain sees that it may write the stages anew.
    """
    body = text.replace(_CODE, "").replace(_PATH, "")
    return f"{body}{_WRITTEN}{sha256_bytes(body.encode())}\n"


def is_as_written(path: Path) -> bool:
    """Whether stages for a workspace without code are as some plantain wrote them."""
    body, mark, sha256 = path.read_text(encoding="utf-8").rpartition(_WRITTEN)
    return bool(mark) and sha256 == f"{sha256_bytes(body.encode())}\n"


def pictures_of(probe: str) -> list[str]:
    """What the ``prompts`` stage reads beside the probe: files of its references, or the folder of templated ones.

    Raises:
        InputError: see `plantain.probe.spec.read_probe`.
    """
    path = places.probe_file(probe)
    if not path.exists() or b"file:" not in path.read_bytes():
        return []
    named = [one.file for one in read_probe(path).references.values() if one.file]
    return sorted({_without_fields(name) for name in named})


def _without_fields(name: str) -> str:
    """The path up to the first part that depends on the item, in quotes."""
    parts = takewhile(lambda part: "{" not in part, Path(name).parts)
    return json.dumps(Path(*parts).as_posix(), ensure_ascii=False)


def check_pictures(probe: str, pictures: Iterable[Path]) -> None:
    """A picture that DVC does not watch may change unseen.

    Raises:
        InputError: one is no dependency of the ``prompts`` stage.
    """
    path = places.pipeline(probe)
    watched = {Path(name) for name in read_plain(path)["stages"]["prompts"]["deps"]} if path.exists() else set()
    for picture in pictures if path.exists() else ():
        if watched.isdisjoint((picture, *picture.parents[:-1])):
            fix = "run `plantain run` once, which writes it there; keep pictures in a folder."
            raise InputError(f"{picture} is no dependency of the stage 'prompts'.", file=path, fix=fix)


def add_pipeline(probe: str) -> Path:
    """Write the pipeline of ``probe``."""
    path = places.pipeline(probe)
    write_atomic(path, pipeline_text(probe, pictures_of(probe)))
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
    renew(run)
    for probe in new:
        add_pipeline(probe)
    for probe in gone:
        remove_pipeline(probe)
    return new, gone


def renew(run: RunParams) -> None:
    """Write pipelines of the run anew that nobody edited and that would be written otherwise now."""
    for probe in run.probes:
        if places.pipeline(probe).exists() and _is_outdated(probe):
            add_pipeline(probe)


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


def _is_ours(probe: str) -> bool:
    """Whether a pipeline is as it was written, whatever pictures it names."""
    if not is_checkout():
        return is_as_written(places.pipeline(probe))
    text = places.pipeline(probe).read_text(encoding="utf-8")
    now = files("plantain.stages").joinpath("pipeline.yaml").read_text(encoding="utf-8")
    return any(_is_written_from(template, probe, text) for template in chain([now], _earlier_templates()))


def _is_written_from(template: str, probe: str, text: str) -> bool:
    """Whether ``text`` is ``template`` for this probe, with any pictures behind its first dependency."""
    head, first, tail = re.split(r"^( +- prompts/.*\n)", template.replace(_NAME, probe), maxsplit=1, flags=re.MULTILINE)
    form = re.escape(head + first) + r"(?:      - \".*\"\n)*" + re.escape(tail)
    return re.fullmatch(form, text) is not None


def _earlier_templates() -> Iterator[str]:
    """The text of all pipelines in the history of a checkout, the latest first."""
    path = (SOURCE / "stages" / "pipeline.yaml").as_posix()
    commits = run_git(Path(), "log", "--format=%H", "--", path).decode().split()
    for found in git_objects(Path(), [f"{commit}:./{path}" for commit in commits]):
        if found is not None:
            yield found[1].decode()


def _is_outdated(probe: str) -> bool:
    """Whether a pipeline is as it was written, and would be written otherwise now: other pictures, a later plantain."""
    wanted = pipeline_text(probe, pictures_of(probe))
    return _is_ours(probe) and places.pipeline(probe).read_bytes() != wanted


def _check_untouched(probe: str) -> None:
    path = places.pipeline(probe)
    if not _is_ours(probe):
        fix = f"add '{probe}' to run.probes again, or remove the folder yourself."
        raise InputError("the pipeline of a probe that is not in run.probes was edited.", file=path, fix=fix)
