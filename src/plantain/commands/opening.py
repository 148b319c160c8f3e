"""Results by address for the commands that show them, from the workspace or from a revision; and groups of commands."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import typer

from plantain.base import places
from plantain.base.config import read_params
from plantain.base.errors import InputError
from plantain.base.params import Params
from plantain.report.result import Result, load_result, stats_folder
from plantain.track.address import Address, RunId, find, parse
from plantain.track.results import Reader


def group(about: str, *, no_args_is_help: bool = True) -> typer.Typer:
    """An empty group; ``about`` is its help."""
    return typer.Typer(
        help=about,
        no_args_is_help=no_args_is_help,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )


@contextmanager
def opened(addresses: Sequence[str]) -> Iterator[list[Result]]:
    """The results at ``addresses``; those of revisions lie in a folder that is gone after the context."""
    with tempfile.TemporaryDirectory(prefix="plantain-") as folder:
        yield [_open(parse(text), Path(folder, str(index))) for index, text in enumerate(addresses)]


def _open(address: Address | RunId, folder: Path) -> Result:
    if isinstance(address, Address) and address.rev is None:
        if not (stats_folder(Path(), address.probe, address.model) / "summary.json").exists():
            _expect(address, read_params(places.PARAMS))
        return _chosen(load_result(Path(), address.probe, address.model), address.contrast)
    found = find(Path(), address, read_params(places.PARAMS).tracking)
    cell = found.cells[0]
    if found.reader.folder is not None:
        return _chosen(load_result(found.reader.folder, cell.probe, cell.model), found.contrast)
    _bring(found.reader, cell.probe, cell.model, folder)
    named = address.rev if isinstance(address, Address) else None
    rev = named or str(found.rev)[:10]
    return _chosen(load_result(folder, cell.probe, cell.model, rev), found.contrast)


def _expect(address: Address, params: Params) -> None:
    """Say what keeps ``address`` from having a result, as far as params.yaml and the probes tell.

    Raises:
        InputError: there is no such probe or model, or the model has no results of its own.
    """
    probe, model = address.probe, address.model
    probes = sorted(path.stem for path in places.PROMPTS.glob("*.yaml"))
    if probe not in probes:
        fix = f"use one of: {', '.join(probes)}; `plantain probe new {probe}` begins one."
        raise InputError(f"there is no probe '{probe}'.", file=places.PROMPTS, fix=fix)
    file = places.PARAMS
    declared = params.models.get(model)
    if declared is None:
        fix = f"use one of: {', '.join(params.models)}."
        raise InputError(f"there is no model '{model}'.", file=file, field="models", fix=fix)
    if declared.seeds is not None:
        fix = f"`plantain run --study` makes its tables, reports/nulls/{model}; show {probe}@{declared.of}."
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


def _bring(reader: Reader, probe: str, model: str, folder: Path) -> None:
    """Copy what a report reads into ``folder``; what the revision lacks is left out."""
    files = [
        places.model_lock(model).as_posix(),
        places.probe_file(probe).as_posix(),
        places.records(probe).as_posix(),
        places.references(probe).as_posix(),
        places.verdict(model, probe).as_posix(),
        places.receipt("analyze", model=model, probe=probe).as_posix(),
        *reader.names(places.stats(model, probe).as_posix()),
        *reader.names(places.PUBLISHED.as_posix()),
    ]
    for path in files:
        content = reader.read(path)
        if content is not None:
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
