"""What every stage does around its work: guard, hash inputs as read, re-check them, commit outs, write the receipt.

DVC records the hash of a dependency after the command has ended, so an input edited meanwhile would be credited with
numbers that it did not make (DVC issue 11058). A stage therefore hashes what it reads as it reads it and looks again
before it commits its outs.
"""

import gc
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from plantain.base import places
from plantain.base.config import checked_params
from plantain.base.environment import declared_versions, observed_versions
from plantain.base.errors import InputError, PlantainError, disk_error, restored
from plantain.base.files import name_disk_error, remembered, remove, sha256_file
from plantain.base.git import git_state
from plantain.base.params import Params
from plantain.base.secrets import redacted
from plantain.base.yaml import YamlFile, read_yaml
from plantain.records import journal
from plantain.records.cells import read_cells
from plantain.records.manifest import manifest_of, read_manifest
from plantain.records.receipt import FileRecord, Metrics, PromptSet, Receipt, write_receipt
from plantain.stages.rooms import SETTINGS, code_digests, section_version, told_to, value_at

_SELDOM: Final = 10_000
"""New objects that the collector waits for; records are many small ones, and few of them rings."""
RINGS: Final = 1_000_000
"""The same for figures and rows of a database, which are all rings and go with the process: 30 MiB of a cell."""


@dataclass
class Stage:
    """One execution of one stage: what it has read, what it will commit, and what its receipt will say."""

    name: str
    probe: str | None
    model: str | None
    section: str
    """The section of environment.yaml that this stage depends on."""
    params: Params
    raw: dict[str, Any]
    reads: dict[Path, FileRecord] = field(default_factory=dict)
    pending: dict[Path, Path] = field(default_factory=dict)
    """Final path to the temporary path that holds its content."""
    listed: list[Path] = field(default_factory=list)
    """Folders among them that get a manifest."""
    used: dict[str, Any] = field(default_factory=dict)
    seeds: dict[str, list[int]] = field(default_factory=dict)
    prompts: PromptSet | None = None
    model_lock_sha256: str | None = None
    capture_key: str | None = None
    device: str | None = None
    dtype: str | None = None
    metrics: Metrics = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)

    def read(self, path: Path) -> Path:
        """Record ``path`` (a file, or every file below a folder) as an input and return it."""
        if not path.exists():
            fix = "run `dvc repro`, or `dvc pull` where a remote holds it."
            raise InputError(f"the stage {self.name} needs this input, and it is missing.", file=path, fix=fix)
        for file in _files(path):
            if file not in self.reads:  # a change since then is found before anything is committed
                self.reads[file] = _record(file)
        return path

    def out(self, path: Path) -> Path:
        """A temporary path to write; it takes the name ``path`` when the stage commits."""
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.partial")
        remove(temporary)
        self.pending[path] = temporary
        return temporary

    def read_listed(self, folder: Path, *names: str) -> Path:
        """Record the files ``names`` of a folder with a manifest, or all that it lists, as inputs; return ``folder``.

        Raises:
            InputError: the manifest or a file is missing, or a file is not what the stage that made it wrote.
        """
        place = self.read(places.manifest(folder))
        said = read_manifest(place).files
        for name in names or said:
            file = self.read(folder / name)
            if self.reads[file].sha256 != said.get(name):
                raise InputError(f"it is not what {place} says was written.", file=file, fix=restored(folder))
        return folder

    def folder(self, path: Path) -> Path:
        """A temporary folder to fill; it takes the name ``path`` when the stage commits, and gets a manifest."""
        temporary = self.out(path)
        temporary.mkdir()
        self.listed.append(path)
        return temporary

    def use(self, *keys: str) -> None:
        """Record sections of params.yaml, by dotted key, as read."""
        for key in keys:
            self.used[key] = value_at(self.raw, key)

    def recheck(self) -> None:
        """Fail if an input is no longer what was read."""
        for path, record in self.reads.items():
            if not path.exists() or sha256_file(path) != record.sha256:
                fix = "nothing was committed; run `dvc repro` again."
                raise PlantainError(f"{path}: changed while the stage {self.name} read it. Fix: {fix}")

    def commit(self) -> list[FileRecord]:
        """Rename every out to its final name; the records of what was written."""
        for path in self.listed:
            manifest = manifest_of(self.pending[path])
            self.out(places.manifest(path)).write_bytes(manifest.to_bytes())
        for path, temporary in self.pending.items():
            remove(path)
            temporary.replace(path)
        return [_record(file) for path in self.pending for file in _files(path)]

    def discard(self) -> None:
        """Remove what was not committed."""
        for temporary in self.pending.values():
            remove(temporary)

    def receipt(self, writes: list[FileRecord]) -> Receipt:
        """The receipt of this execution."""
        return Receipt(
            stage=self.name,
            probe=self.probe,
            model=self.model,
            reads=sorted(self.reads.values(), key=lambda record: record.path),
            writes=sorted(writes, key=lambda record: record.path),
            params=self.used,
            seeds=self.seeds,
            prompts=self.prompts,
            model_lock_sha256=self.model_lock_sha256,
            capture_key=self.capture_key,
            code=code_digests(self.name),
            packages=observed_versions(self.section, own=section_version),
            device=self.device,
            dtype=self.dtype,
            metrics=self.metrics,
            notes=self.notes,
        )


@contextmanager
def stage(
    name: str, *, section: str, probe: str | None = None, model: str | None = None, receipt: Path | None = None
) -> Iterator[Stage]:
    """Run a stage's body; commit its outs, receipt and journal line only if all went well.

    ``receipt`` says where the receipt goes instead of ``receipts/``: that of a result in git stands beside it.
    """
    started = time.time()
    state = git_state(Path())
    source = read_yaml(places.PARAMS)
    params = checked_params(source)
    if probe and probe not in params.run.probes:
        raise _not_asked(probe, source)
    _refuse_other_basis(name, source)
    current = Stage(name, probe, model, section, params, source.data)
    current.used[f"environment.{section}"] = observed_versions(section, own=section_version)
    try:
        yield current
        current.recheck()
        written = current.receipt(current.commit())
    except InputError as error:
        raise _placed(error, source, current.used) from None
    except Exception as error:
        # Most libraries do not say which file did not fit on the disk: it is the out begun last.
        named = name_disk_error(error, next(reversed(current.pending), Path()))
        if named is None:
            raise
        raise named from error
    finally:
        current.discard()
    path = receipt or places.receipt(name, model=model, probe=probe)
    write_receipt(path, written)
    journal.append(
        journal.Execution(
            receipt_sha256=written.sha256,
            receipt_path=path.as_posix(),
            stage=name,
            started=started,
            ended=time.time(),
            host=socket.gethostname(),
            pid=os.getpid(),
            commit=state.commit,
            dirty=state.dirty,
            diff_sha256=state.diff_sha256,
            dvc_stage=os.environ.get("DVC_STAGE"),
            experiment=places.experiment(),
        )
    )
    if params.tracking.live and probe and model:
        # In a process of its own: mlflow is no import of a stage, and its failure is no failure of the stage.
        subprocess.run([sys.executable, "-m", "plantain.track.mlflow.live", name, probe, model], check=False)


def guard(section: str) -> None:
    """Refuse another plantain than is declared, for a stage without receipt; a checkout declares none for it.

    Raises:
        InputError: see `plantain.base.environment.observed_versions`.
    """
    if places.ENVIRONMENT.exists() and section in declared_versions():
        observed_versions(section, own=section_version)


def _refuse_other_basis(name: str, source: YamlFile) -> None:
    """Refuse settings that DVC does not know of: it would credit a result with those that it began with."""
    path = places.basis(name)
    if "DVC_STAGE" not in os.environ or name not in SETTINGS or not path.exists():
        return
    said, found = remembered(path), told_to(name, source.data, declared_versions())
    if any(said.get(part) != value for part, value in found.items()):
        changed = f"{places.PARAMS} or {places.ENVIRONMENT} changed since DVC looked"
        raise PlantainError(f"{changed}, and the stage {name} reads what changed. Fix: run `dvc repro` again.")


def _not_asked(probe: str, source: YamlFile) -> InputError:
    """A probe that left ``run.probes`` has stages until its pipeline goes too; none of them may cost hours."""
    fix = f"add it there, or remove {places.pipeline(probe).parent} with `plantain probe rm {probe}`."
    return source.error(f"'{probe}' has a pipeline and is not in run.probes.", "run", "probes", fix=fix)


def cells_with_results(current: Stage) -> list[tuple[str, str]]:
    """The cells of this run, (probe, model) each; after `plantain run PROBE` in a fresh clone some have no results."""
    named = read_cells(current.read(places.CELLS)).names
    return [(probe, model) for probe, model in named if places.manifest(places.stats(model, probe)).exists()]


def run(main: Callable[[], None], seldom: int = _SELDOM) -> None:
    """Run a stage as a program: errors for people go to stderr without a traceback, with their exit code.

    ``main``'s docstring holds the command line between double backquotes, its arguments in capitals. The collector
    waits for ``seldom`` new objects.
    """
    try:
        _check_arguments((main.__doc__ or "").partition("``")[2].partition("``")[0])
        # Modules stay: they are not looked through again and again, nor once more at the end, which takes seconds.
        gc.freeze()
        gc.set_threshold(seldom)
        main()
        gc.freeze()
    except PlantainError as error:
        print(f"plantain: {redacted(str(error))}", file=sys.stderr)
        raise SystemExit(error.exit_code) from None
    except KeyboardInterrupt:
        print("plantain: interrupted; finished work is kept.", file=sys.stderr)
        raise SystemExit(130) from None
    except Exception as error:
        said = disk_error(error)
        if said is None:
            raise
        print(f"plantain: {said}", file=sys.stderr)
        raise SystemExit(said.exit_code) from None


def _check_arguments(usage: str) -> None:
    """Refuse a number of arguments that is not that of ``usage``; empty where docstrings were stripped."""
    wanted = [word for word in usage.split() if word.isupper()]
    if usage and len(sys.argv) - 1 != len(wanted):
        given = " ".join(sys.argv[1:]) or "nothing"
        problem = f"this stage takes {' '.join(wanted) or 'no arguments'}, and {given} was given."
        raise InputError(problem, fix=f"run `{usage}`, or `dvc repro`, which knows them.")


def _placed(error: InputError, source: YamlFile, used: dict[str, Any]) -> InputError:
    """The error with file, line and whole key, where it is about a value of params.yaml that the stage used.

    Models name such a value by its key (``models.tiny``), statistics by its name alone (``shift``): the number that the
    message holds, or a word in a number's place, says in which analysis.
    """
    if error.file is not None or not error.field:
        return error
    words = re.findall(r"-?\w+(?:\.\w+)*", error.problem)
    for key in (error.field, *_keys_of(error.field, used)):
        parts = key.split(".")
        found = value_at(source.data, key)
        if found is not None and (isinstance(found, dict | str) or str(found) in words):
            return source.error(error.problem, *parts, fix=error.fix or "choose another value, or leave the key out.")
    return error


def _keys_of(name: str, used: dict[str, Any]) -> Iterator[str]:
    """Dotted keys that end in ``name`` in the sections that were used."""
    for section, value in used.items():
        yield f"{section}.{name}"
        yield from (f"{section}.{key}.{name}" for key in (value if isinstance(value, dict) else ()))


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        return sorted(file for file in path.rglob("*") if file.is_file())
    return [path]


def _record(path: Path) -> FileRecord:
    return FileRecord(path=path.as_posix(), sha256=sha256_file(path), size=path.stat().st_size)
