"""Results by address for the commands that show them: from the workspace, or brought from a revision."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from plantain.config import read_params
from plantain.places import root
from plantain.report.data import Result, load_result
from plantain.track.address import Address, RunId, parse
from plantain.track.find import find
from plantain.track.results import Reader


@contextmanager
def opened(addresses: Sequence[str]) -> Iterator[list[Result]]:
    """The results at ``addresses``; those of revisions lie in a folder that is gone after the context."""
    with tempfile.TemporaryDirectory(prefix="plantain-") as folder:
        yield [_open(parse(text), Path(folder, str(index))) for index, text in enumerate(addresses)]


def _open(address: Address | RunId, folder: Path) -> Result:
    if isinstance(address, Address) and address.rev is None:
        return _chosen(load_result(root(), address.probe, address.model), address.contrast)
    found = find(root(), address, read_params(root() / "params.yaml").tracking)
    cell = found.cells[0]
    if found.reader.folder is not None:
        return _chosen(load_result(found.reader.folder, cell.probe, cell.model), found.contrast)
    _bring(found.reader, cell.probe, cell.model, folder)
    named = address.rev if isinstance(address, Address) else None
    rev = named or str(found.rev)[:10]
    return _chosen(load_result(folder, cell.probe, cell.model, rev), found.contrast)


def _chosen(result: Result, contrast: str | None) -> Result:
    if contrast:
        result.contrast(contrast)
    return replace(result, chosen=contrast)


def _bring(reader: Reader, probe: str, model: str, folder: Path) -> None:
    """Copy what a report reads into ``folder``; what the revision lacks is left out."""
    files = [
        f"models/{model}/model.lock.json",
        f"prompts/{probe}.yaml",
        f"data/prompts/{probe}.parquet",
        f"data/prompts/{probe}.references.json",
        f"data/verdicts/{model}/{probe}.json",
        f"receipts/analyze/{model}/{probe}.json",
        *reader.names(f"data/stats/{model}/{probe}"),
        *reader.names("reports/published"),
    ]
    for path in files:
        content = reader.read(path)
        if content is not None:
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
