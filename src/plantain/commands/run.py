"""``plantain run``: a thin call of ``dvc repro`` for some probes and models, ending with ``publish``."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from filelock import FileLock, Timeout

from plantain.base import places
from plantain.base.config import read_params
from plantain.base.environment import declared_versions, observed_versions
from plantain.base.errors import CheckFailed, InputError
from plantain.base.params import Params, RunParams
from plantain.base.secrets import redacted
from plantain.stages.pipelines import follow
from plantain.stages.rooms import section_version
from plantain.stages.workspace.upgrade import renew_stages
from plantain.stages.workspace.writable import refuse_unwritable
from plantain.track import dvcbusy, lockcopy
from plantain.track.owned import refuse_damaged

Probes = Annotated[list[str] | None, typer.Argument(help="Probes to run; all of run.probes where none is named.")]
Models = Annotated[list[str] | None, typer.Option("--model", help="Only this model (may be repeated).")]
Study = Annotated[bool, typer.Option("--study", help="Then draw untrained models, seeds and images: minutes to hours.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Predict passes, hours, disk and memory; run nothing.")]


def run(probes: Probes = None, model: Models = None, study: Study = False, dry_run: DryRun = False) -> None:
    """Run the pipeline: everything, or the stages of some probes and models and then publish."""
    _look_at_files()
    params = read_params()
    cells = _chosen(params, probes, model)
    _refuse_other_versions()
    _refuse_infeasible(params, cells)
    if dry_run:
        from plantain.commands.forecast import print_forecast

        print_forecast(params, cells, study=study)
        return
    refuse_unwritable(cells)
    with _alone():
        code = _reproduce(params, cells, everything=not probes and not model, study=study)
    raise typer.Exit(CheckFailed.exit_code if code else 0)  # DVC ends with 255 where it fails


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


def _reproduce(params: Params, cells: list[tuple[str, str]], *, everything: bool, study: bool) -> int:
    """The code that DVC ends with, its notes and locks looked after before and behind it."""
    dvcbusy.forget_the_dead(Path())
    lockcopy.keep(Path())
    _follow(params.run)
    code = _run(cells, everything)
    if study and not code:
        from plantain.stages.study import study as run_study

        code = run_study(params, cells) or _run(cells, everything)
    if not code:
        lockcopy.keep(Path())
    return code


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
        return _dvc("repro")
    code = _dvc("repro", "cells", *_stages("analyze", cells))
    # From here on stages look at all cells at once: those alone are run, or every cell would be.
    beside = ["verdict", *_stages("report", cells), "compare", "publish"]
    return code or _dvc("repro", "--single-item", *beside)


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
        for error in infeasible(expand(read_probe(places.probe_file(probe)), Path()), params):
            raise error


def _chosen(params: Params, probes: list[str] | None, models: list[str] | None) -> list[tuple[str, str]]:
    for key, wanted, known in (("probes", probes, params.run.probes), ("models", models, params.run.models)):
        for name in wanted or []:
            if name not in known:
                fix = f"add it to run.{key}, or use one of: {', '.join(known)}."
                raise InputError(f"'{name}' is not in run.{key}.", file="params.yaml", fix=fix)
    return [(probe, model) for probe in probes or params.run.probes for model in models or params.run.models]


def _dvc(*arguments: str) -> int:
    return subprocess.run([sys.executable, "-m", "dvc", *arguments], check=False).returncode
