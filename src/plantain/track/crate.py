"""A result as a Workflow Run RO-Crate: an archive that says how it was made, with large files by digest."""

import base64
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import plantain
from plantain.base.errors import InputError
from plantain.base.files import sha256_file
from plantain.records.receipt import FileRecord
from plantain.track.address import Found
from plantain.track.lineage import Step, chain, kind

if TYPE_CHECKING:
    from rocrate.rocrate import ROCrate

    from plantain.records.journal import Execution

RO_CRATE: Final = "1.1"
PROFILES: Final = {
    "https://w3id.org/ro/wfrun/process/0.5": "Process Run Crate",
    "https://w3id.org/ro/wfrun/workflow/0.5": "Workflow Run Crate",
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": "Workflow RO-Crate",
}
"""What the crate conforms to. Later run profiles renamed their terms, and validators for them are still rare."""
CONTEXT: Final = "https://w3id.org/ro/terms/workflow-run/context"
LICENCE: Final = "https://spdx.org/licenses/Apache-2.0"
LARGE: Final = 4_000_000
"""Bytes above which a file is named by its digest and not copied."""
_DECLARED: Final = ("params.yaml", "environment.yaml", "dvc.lock")
CARD: Final = "README.md"
"""Where the model card stands in a crate, by the name that archives show first."""
_ENCODINGS: Final = {
    ".md": "text/markdown",
    ".yaml": "application/yaml",
    ".lock": "application/yaml",
    ".json": "application/json",
    ".html": "text/html",
    ".png": "image/png",
    ".parquet": "application/vnd.apache.parquet",
    ".safetensors": "application/octet-stream",
}


def export(found: Found, journal: "list[Execution]", target: Path, card: str = "") -> Path:
    """Write the crate of a single result to ``target``, a new folder or a ``.zip`` file; ``card`` is its model card.

    Raises:
        InputError: the target exists, rocrate is not installed, or files of the result are missing.
    """
    if target.exists():
        raise InputError("it exists already.", file=target, fix="name a folder or .zip file that does not.")
    try:
        from rocrate.rocrate import ROCrate
    except ImportError:
        raise InputError("rocrate is not installed.", fix="pip install 'plantain-probes[archive]'.") from None
    with tempfile.TemporaryDirectory() as folder:
        builder = _Builder(ROCrate(version=RO_CRATE), found, journal, Path(folder))
        crate = builder.build(card)
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.suffix == ".zip":
            crate.write_zip(target)
        else:
            crate.write(target)
    return target


class _Builder:
    """Puts one crate together."""

    def __init__(self, crate: "ROCrate", found: Found, journal: "list[Execution]", folder: Path) -> None:
        self._crate = crate
        self._found = found
        self._cell = found.cells[0]
        self._steps = chain(self._cell, journal)
        self._folder = folder
        self._entities: dict[str, Any] = {}

    def build(self, card: str = "") -> "ROCrate":
        """The whole crate, with the text of a model card where there is one."""
        self._crate.metadata.extra_contexts.append(CONTEXT)
        workflow = self._workflow()
        self._describe()
        inputs = [self._file(record) for record in self._inputs()]
        results = [self._file(record) for record in self._outputs()]
        for name in _DECLARED:
            inputs += [self._copied(name)] if self._found.reader.digests(name) else []
        for step in self._steps:
            results.append(self._copied(step.held.path))
        if card:
            self._card(card)
        self._crate.root_dataset.append_to("mentions", self._action(workflow, inputs, results))
        return self._crate

    def _card(self, text: str) -> None:
        """What the result says, for people: it is about the whole crate, and made with it."""
        source = self._folder / CARD
        source.write_text(text, encoding="utf-8")
        about = {"name": CARD, "description": "model card", "about": {"@id": "./"}}
        measured = {"sha256": sha256_file(source), "contentSize": str(source.stat().st_size)}
        self._crate.add_file(str(source), CARD, properties=about | measured | {"encodingFormat": _ENCODINGS[".md"]})

    def _workflow(self) -> Any:
        language = self._add("https://dvc.org", "ComputerLanguage", name="DVC", url={"@id": "https://dvc.org"})
        content = self._content("dvc.yaml")
        workflow = self._crate.add_workflow(str(content), "dvc.yaml", main=True)
        self._crate.delete(workflow["programmingLanguage"])  # rocrate assumes CWL
        workflow["programmingLanguage"] = language
        workflow["name"] = "plantain: from prompts to numbers"
        workflow["license"] = {"@id": LICENCE}
        workflow["encodingFormat"] = _ENCODINGS[".yaml"]
        workflow["version"] = plantain.__version__
        return workflow

    def _describe(self) -> None:
        root, prompts = self._crate.root_dataset, self._cell.prompts
        asked = f" Prompt set {prompts.set_sha256}, {len(prompts.records)} records." if prompts else ""
        root["name"] = f"plantain result {self._cell.name}"
        root["description"] = f"Probe '{self._cell.probe}' on model '{self._cell.model}'.{asked}"
        root["datePublished"] = self._moment(max(self._times(), default=0.0))
        root["license"] = self._add(LICENCE, "CreativeWork", name="Apache License 2.0", identifier=LICENCE)
        profiles = [
            self._add(url, "CreativeWork", name=name, version=url.rsplit("/", 1)[-1]) for url, name in PROFILES.items()
        ]
        root["conformsTo"] = profiles

    def _action(self, workflow: Any, inputs: list[Any], results: list[Any]) -> Any:
        times, named = self._times(), dict[str, str]()
        if times:
            started = min(step.execution.started for step in self._steps if step.execution)
            named = {"startTime": self._moment(started), "endTime": self._moment(max(times))}
        named["name"] = f"dvc repro, {self._cell.name}"
        action = self._add(f"#run-{self._cell.capture_key}", "CreateAction", **named)
        action["instrument"] = workflow
        action["description"] = "Every stage of the pipeline that this result rests on."
        action["object"] = inputs + self._numbers("params")
        action["result"] = results + self._numbers("metrics")
        action["actionStatus"] = "http://schema.org/CompletedActionStatus"
        return action

    def _numbers(self, what: str) -> list[Any]:
        analyze = self._cell.held["analyze"].receipt
        if what == "params":
            capture = self._cell.held["capture"].receipt.params
            return [self._value(f"param/{name}", name, value) for name, value in sorted(capture.items())]
        return [
            self._value(f"metric/{contrast}.{analysis}.{name}", f"{contrast}.{analysis}.{name}", value)
            for contrast, analyses in sorted(analyze.metrics.items())
            for analysis, metrics in sorted(analyses.items())
            for name, value in sorted(metrics.items())
        ]

    def _value(self, identity: str, name: str, value: Any) -> Any:
        return self._add(f"#{identity}", "PropertyValue", name=name, value=value if _is_plain(value) else str(value))

    def _inputs(self) -> Iterator[FileRecord]:
        """What came from outside: files that a stage of the cell read and none wrote."""
        written = {record.path for step in self._steps for record in step.held.receipt.writes}
        yield from _once(self._steps, "reads", lambda record: record.path not in written)

    def _outputs(self) -> Iterator[FileRecord]:
        yield from _once(self._steps, "writes", lambda record: True)

    def _file(self, record: FileRecord) -> Any:
        if record.size <= LARGE:
            return self._copied(record.path, record)
        if record.path not in self._entities:
            name = base64.urlsafe_b64encode(bytes.fromhex(record.sha256)).decode().rstrip("=")
            properties = self._properties(record) | {"alternateName": record.path}
            self._entities[record.path] = self._add(f"ni:///sha-256;{name}", "File", **properties)
            self._crate.root_dataset.append_to("hasPart", self._entities[record.path])
        return self._entities[record.path]

    def _copied(self, path: str, record: FileRecord | None = None) -> Any:
        if path not in self._entities:
            found = self._found.reader.digests(path)
            size, sha256 = (found.size, found.sha256) if found else (0, "")
            properties = self._properties(record or FileRecord(path=path, sha256=sha256, size=size))
            self._entities[path] = self._crate.add_file(str(self._content(path)), path, properties=properties)
        return self._entities[path]

    def _content(self, path: str) -> Path:
        if self._found.reader.folder is not None:
            source = self._found.reader.folder / path
            if source.is_file():
                return source
        content = self._found.reader.read(path)
        if content is None:
            fix = "run `dvc pull` where a remote holds it, else `dvc repro`."
            raise InputError("the crate needs this file, and it is missing.", file=path, fix=fix)
        copy = self._folder / path
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(content)
        return copy

    def _properties(self, record: FileRecord) -> dict[str, Any]:
        encoding = _ENCODINGS.get(Path(record.path).suffix, "application/octet-stream")
        named = {"name": record.path, "description": kind(record.path), "encodingFormat": encoding}
        return named | {"sha256": record.sha256, "contentSize": str(record.size)}

    def _add(self, identity: str, type_: str, **properties: Any) -> Any:
        from rocrate.model.contextentity import ContextEntity

        return self._crate.add(ContextEntity(self._crate, identity, properties={"@type": type_, **properties}))

    def _times(self) -> list[float]:
        return [step.execution.ended for step in self._steps if step.execution]

    @staticmethod
    def _moment(seconds: float) -> str:
        return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def _once(steps: tuple[Step, ...], side: str, wanted: Any) -> Iterator[FileRecord]:
    found: dict[str, FileRecord] = {}
    for step in steps:
        for record in getattr(step.held.receipt, side):
            if wanted(record):
                found.setdefault(record.path, record)
    yield from found.values()


def _is_plain(value: Any) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool)
