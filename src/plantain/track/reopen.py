"""A result opened by its address: from the workspace, or brought from a revision."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from plantain.base import places
from plantain.base.config import read_params
from plantain.base.errors import InputError
from plantain.base.params import Params
from plantain.report.result import Result, load_result
from plantain.track.address import Address, RunId, find
from plantain.track.history import RevisionReader, resolve_revision
from plantain.track.results import Reader


def open_result(root: Path, address: Address | RunId, folder: Path) -> Result:
    """The result at ``address`` in the workspace ``root``; one of a revision is brought into ``folder``.

    Raises:
        InputError: there is none; says what keeps the address from having one.
    """
    if isinstance(address, Address) and address.rev is None:
        if not (root / places.summary(address.model, address.probe)).exists():
            _expect(root, address, read_params(root / places.PARAMS))
        return _chosen(load_result(root, address.probe, address.model), address.contrast)
    found = find(root, address, read_params(root / places.PARAMS).tracking)
    cell = found.cells[0]
    if found.reader.folder is not None:
        return _chosen(load_result(found.reader.folder, cell.probe, cell.model), found.contrast)
    bring_result(found.reader, cell.probe, cell.model, folder)
    named = address.rev if isinstance(address, Address) else None
    rev = named or str(found.rev)[:10]
    return _chosen(load_result(folder, cell.probe, cell.model, rev), found.contrast)


def _expect(root: Path, address: Address, params: Params) -> None:
    """Say what keeps ``address`` from having a result, as far as params.yaml and the probes tell.

    Raises:
        InputError: there is no such probe or model, or the model has no results of its own.
    """
    probe, model = address.probe, address.model
    probes = sorted(path.stem for path in (root / places.PROMPTS).glob("*.yaml"))
    if probe not in probes:
        fix = f"use one of: {', '.join(probes)}; `plantain probe new {probe}` begins one."
        raise InputError(f"there is no probe '{probe}'.", file=places.PROMPTS, fix=fix)
    file = places.PARAMS
    declared = params.models.get(model)
    if declared is None:
        fix = f"use one of: {', '.join(params.models)}."
        raise InputError(f"there is no model '{model}'.", file=file, field="models", fix=fix)
    if declared.seeds is not None:
        fix = f"`plantain run --study` makes its tables, reports/study/nulls/{model}; show {probe}@{declared.of}."
        problem = f"'{model}' is a family of untrained draws, which has no result of its own."
        raise InputError(problem, file=file, field=f"models.{model}.seeds", fix=fix)
    for key, name, chosen in (("probes", probe, params.run.probes), ("models", model, params.run.models)):
        if name not in chosen:
            fix = f"add it there, then `plantain run {probe} --model {model}`."
            raise InputError(f"'{name}' is not run.", file=file, field=f"run.{key}", fix=fix)


def _chosen(result: Result, contrast: str | None) -> Result:
    if contrast:
        result.contrast(contrast)
    return replace(result, chosen=contrast)


def reader_of(root: Path, rev: str) -> Reader:
    """The repository at a revision.

    Raises:
        InputError: git knows no such revision.
    """
    return RevisionReader(root, resolve_revision(root, rev))


def bring(reader: Reader, paths: Iterable[str], folder: Path) -> None:
    """Copy ``paths`` into ``folder``; what the revision lacks is left out."""
    for path in paths:
        content = reader.read(path)
        if content is not None:
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)


def bring_result(reader: Reader, probe: str, model: str, folder: Path) -> None:
    """Copy what a report of a result reads into ``folder``."""
    paths = [
        places.model_lock(model).as_posix(),
        places.probe_file(probe).as_posix(),
        places.records(probe).as_posix(),
        places.references(probe).as_posix(),
        places.verdict(model, probe).as_posix(),
        places.HOLM.as_posix(),
        places.receipt("analyze", model=model, probe=probe).as_posix(),
        *reader.names(places.stats(model, probe).as_posix()),
        *reader.names(places.PUBLISHED.as_posix()),
    ]
    bring(reader, paths, folder)
