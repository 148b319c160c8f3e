"""``plantain run``: a thin call of ``dvc repro`` for some probes and models, ending with ``publish``."""

import itertools
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final

import typer
from filelock import FileLock, Timeout

from plantain.base import places
from plantain.base.config import read_params
from plantain.base.environment import declared_versions, observed_versions
from plantain.base.errors import CheckFailed, InputError
from plantain.base.files import is_source
from plantain.base.params import Params, RunParams
from plantain.base.secrets import redacted
from plantain.probe.authoring.shelf import shelved, source_of, take
from plantain.records import journal
from plantain.stages.pipelines import follow
from plantain.stages.rooms import SOURCE, section_version
from plantain.stages.workspace.upgrade import renew_stages
from plantain.stages.workspace.writable import refuse_unwritable
from plantain.track import dvcbusy, lockcopy
from plantain.track.owned import refuse_damaged

Probes = Annotated[list[str] | None, typer.Argument(help="Probes to run; all of run.probes where none is named.")]
Models = Annotated[list[str] | None, typer.Option("--model", help="Only this model (may be repeated).")]
Study = Annotated[
    bool, typer.Option("--study", help="Then untrained draws, further seeds, images, noise levels: minutes to hours.")
]
Suite = Annotated[bool, typer.Option("--suite", help="Every probe of the shelf, added to the workspace where missing.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Predict passes, hours, disk and memory; run nothing.")]
Device = Annotated[str | None, typer.Option("--device", help="With --dry-run: as on cpu or cuda, be it here or not.")]

Ray = Annotated[str | None, typer.Option("--ray", help="Passes on a Ray cluster: auto, HOST:PORT or local.")]
Mixed = Annotated[
    bool, typer.Option("--mixed-devices", help="A cell may meet several kinds of device; receipts say so.")
]


def run(
    probes: Probes = None,
    model: Models = None,
    study: Study = False,
    suite: Suite = False,
    dry_run: DryRun = False,
    device: Device = None,
    ray: Ray = None,
    mixed_devices: Mixed = False,
) -> None:
    """Run the pipeline: everything, or the stages of some probes and models and then publish."""
    if suite and probes:
        raise InputError("--suite names every probe of the shelf.", fix="leave out the names, or --suite.")
    _look_at_files()
    params = read_params()
    cells = _chosen(params, shelved() if suite else probes, model, planned=dry_run, suite=suite)
    _refuse_other_versions()
    _refuse_infeasible(params, cells)
    if dry_run:
        from plantain.commands.forecast import print_forecast

        print_forecast(_as_on(device, params), cells, studied=_studied(cells, named=bool(probes)) if study else [])
        return
    if device is not None:
        fix = "leave it out, or set `device:` of the model in params.yaml."
        raise InputError("--device is for a forecast, and goes with --dry-run alone.", fix=fix)
    refuse_unwritable(cells)
    _share_out(ray, mixed=mixed_devices)
    with _alone():
        params = _with_suite(params) if suite else params
        print(_announced(cells), flush=True)
        everything = set(cells) >= {*itertools.product(params.run.probes, params.run.models)}
        code = _reproduce(params, cells, everything=everything)
        if study and not code:
            code = _study(params, _studied(cells, named=bool(probes)), everything=everything)
    raise typer.Exit(CheckFailed.exit_code if code else 0)  # DVC ends with 255 where it fails


def _share_out(ray: str | None, *, mixed: bool) -> None:
    """Tell the stages who computes, by variables of their environment: it is no setting that a result depends on.

    Raises:
        InputError: there is no such cluster.
    """
    if mixed:
        os.environ["PLANTAIN_MIXED_DEVICES"] = "1"
    if ray is not None:
        from plantain.capture.elsewhere.cluster import crew_at

        crew_at(ray).leave()
        os.environ["PLANTAIN_RAY"] = ray


def _with_suite(params: Params) -> Params:
    """The settings with every probe of the shelf in the run, those that were missing copied into the workspace."""
    missing = [name for name in shelved() if name not in params.run.probes]
    if not missing:
        return params
    take(missing, Path())
    print(f"plantain: taken from the shelf into {places.PROMPTS}/ and run.probes: {', '.join(missing)}.")
    return read_params()


def _announced(cells: list[tuple[str, str]]) -> str:
    """What is about to happen, and how long it may take, before the first seconds are spent on it."""
    probes, models = (", ".join(dict.fromkeys(names)) for names in zip(*cells, strict=True))
    seconds = _longest(cells)
    whole = "`plantain run --dry-run` forecasts it" if seconds is None else f"up to {_spoken(seconds)} here so far"
    return (
        f"plantain: {probes} on {models}. DVC compares first, which takes some seconds, and then runs what changed; "
        f"everything: {whole}."
    )


def _longest(cells: list[tuple[str, str]]) -> float | None:
    """Seconds of the longest execution of every stage of these cells; None where one was never captured here."""
    taken: dict[str, float] = {}
    for one in journal.executions():
        taken[one.receipt_path] = max(taken.get(one.receipt_path, 0.0), one.ended - one.started)
    captures = [_receipts(cell, ("capture",)) for cell in cells]
    if not all(path in taken for (path,) in captures):
        return None
    paths = {path for cell in cells for path in _receipts(cell, ("reference", "capture", "analyze", "report"))}
    paths |= {str(places.receipt("model", model=model)) for _, model in cells}
    paths |= {str(places.receipt("prompts", probe=probe)) for probe, _ in cells}
    return sum(
        taken.get(path, 0.0) for path in paths | {str(places.receipt(stage)) for stage in ("verdict", "compare")}
    )


def _receipts(cell: tuple[str, str], stages: tuple[str, ...]) -> list[str]:
    return [str(places.receipt(stage, probe=cell[0], model=cell[1])) for stage in stages]


def _spoken(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


def _as_on(device: str | None, params: Params) -> Params:
    """The declared models on another device.

    Raises:
        InputError: there is no device of that kind.
    """
    if device is None:
        return params
    if device not in ("cpu", "cuda", "mps"):
        raise InputError(f"'{device}' is no device.", field="--device", fix="use cpu, cuda or mps.")
    moved = {name: entry.model_copy(update={"device": device}) for name, entry in params.models.items()}
    return params.model_copy(update={"models": moved})


@contextmanager
def _alone() -> Iterator[None]:
    """In turn: of two runs at once DVC would stop the later wherever both want the same stage."""
    path = Path(".plantain", "run.lock")
    path.parent.mkdir(exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        print("plantain: another run works in this workspace; this one begins when it has ended.", file=sys.stderr)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _reproduce(params: Params, cells: list[tuple[str, str]], *, everything: bool) -> int:
    """The code that DVC ends with, its notes and locks looked after before and behind it."""
    dvcbusy.forget_the_dead(Path())
    lockcopy.keep(Path())
    _follow(params.run)
    code = _run(cells, everything)
    if not code:
        lockcopy.keep(Path())
    return code


def _study(params: Params, cells: list[tuple[str, str]], *, everything: bool) -> int:
    """The code of the first job that failed, or of the run that takes up what the study made."""
    from plantain.stages.study import study

    if not cells:
        return 0
    code = study(params, cells) or _run(cells, everything)
    if not code:
        lockcopy.keep(Path())
    return code


def _studied(cells: list[tuple[str, str]], *, named: bool) -> list[tuple[str, str]]:
    """The cells that a study is made of: all that were named, else those whose rung it can raise."""
    from plantain.stages.study import worth_studying

    if named:
        return cells
    worth, idle = worth_studying(cells)
    if idle:
        print(
            f"plantain: no study of {', '.join(idle)}: on no model here is the target told apart more than rewording "
            "does (rung 3), so it could raise no rung. Name a probe to have it studied all the same.",
            flush=True,
        )
    return worth


def _follow(run: RunParams) -> None:
    """Bring the pipelines into step with ``run.probes`` and the installed plantain, and say so."""
    if renewed := renew_stages():
        print(f"{renewed} was written anew, as this plantain does it.")
    new, gone = follow(run)
    for probe in new:
        print(f"{probe} is new in run.probes: {places.pipeline(probe)} was written.")
    for probe in gone:
        print(f"{probe} left run.probes: its pipeline and results were removed; git and DVC's cache keep them.")


def _look_at_files() -> None:
    """Refuse a damaged file that no run makes anew, and name those that this one does."""
    for sentence in refuse_damaged(Path()):
        print(f"plantain: {redacted(sentence)} This run makes it anew.", file=sys.stderr)


def _refuse_other_versions() -> None:
    """Refuse what the stages would, before the first of them."""
    for section in declared_versions() if places.ENVIRONMENT.exists() else ():
        observed_versions(section, own=section_version)


def _run(cells: list[tuple[str, str]], everything: bool) -> int:
    if everything:
        return 0 if _looks_done() and _is_done() else _dvc("repro")
    code = _dvc("repro", "cells", *_stages("analyze", cells))
    # From here on stages look at all cells at once: those alone are run, or every cell would be.
    beside = ["verdict", *_stages("report", cells), "compare", "publish"]
    return code or _dvc("repro", "--single-item", *beside)


def _looks_done() -> bool:
    """Whether no question, setting or code is newer than the lock at the top, which the last stage of a run writes.

    A guess, to choose what DVC is asked first; it alone decides.
    """
    if not places.LOCK.exists() or not places.PIPELINE.exists():
        return False
    asked = [places.PARAMS, places.ENVIRONMENT, places.PIPELINE, *places.PIPELINES.glob(f"*/{places.PIPELINE}")]
    below = (path for folder in (places.PROMPTS, SOURCE) for path in folder.rglob("*"))
    asked += [path for path in below if path.is_file() and is_source(path.as_posix())]
    written = places.LOCK.stat().st_mtime_ns
    return all(path.stat().st_mtime_ns <= written for path in asked)


def _is_done() -> bool:
    """Whether `dvc status` finds nothing to do: it looks as `dvc repro` does, without taking hold of every stage."""
    done = _dvc("status", "--quiet") == 0
    if done:
        print("Data and pipelines are up to date.")
    return done


def _stages(stage: str, cells: list[tuple[str, str]]) -> list[str]:
    """DVC's names of a stage of these cells."""
    return [f"{places.pipeline(probe)}:{stage}@{model}" for probe, model in cells]


def _refuse_infeasible(params: Params, cells: list[tuple[str, str]]) -> None:
    """Refuse what the last stages would, before the first; probes are read only where the settings are unusual."""
    from plantain.analysis.feasible import always_feasible, infeasible
    from plantain.probe.expand import expand
    from plantain.probe.spec import read_probe

    if always_feasible(params):
        return
    for probe in dict.fromkeys(probe for probe, _ in cells):
        for error in infeasible(expand(read_probe(source_of(probe)), Path()), params):
            raise error


def _chosen(
    params: Params, probes: list[str] | None, models: list[str] | None, *, planned: bool = False, suite: bool = False
) -> list[tuple[str, str]]:
    """The cells that were asked for; what is only planned may be any declared model and any probe of the shelf."""
    ready = [*params.models] if planned else params.run.models
    asked = [*params.run.probes, *(shelved() if planned or suite else ())]
    for key, wanted, known in (("probes", probes, asked), ("models", models, ready)):
        for name in wanted or []:
            if name not in known:
                fix = f"add it to run.{key}, or use one of: {', '.join(dict.fromkeys(known))}."
                if key == "probes" and name in shelved():
                    fix = f"take it from the shelf: `plantain probe add {name}`."
                raise InputError(f"'{name}' is not in run.{key}.", file="params.yaml", fix=fix)
    return [(probe, model) for probe in probes or params.run.probes for model in models or params.run.models]


_DVC: Final = """\
import gc, sys
gc.set_threshold(100_000)
sys.argv[0] = "dvc"
from dvc.cli import main
sys.exit(main(sys.argv[1:]))
"""
"""DVC as it is. Of the many small objects that it makes few are ever garbage, and looking through them is a sixth of
the time in which it finds nothing to do."""


def _dvc(*arguments: str) -> int:
    return subprocess.run([sys.executable, "-c", _DVC, *arguments], check=False).returncode
