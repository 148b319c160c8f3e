"""Probe files by address: a probe's name, a path, or either at a git revision (``otherview@HEAD~1``)."""

import os
import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path

from plantain.errors import InputError
from plantain.files import sha256_bytes
from plantain.probe.expand import expand, expand_with
from plantain.probe.records import Expansion
from plantain.probe.spec import parse_probe
from plantain.yamlfile import YamlFile, read_yaml


def probe_path(name: str, root: Path) -> Path:
    """The file of a probe, given by name or by path."""
    named = root / "prompts" / f"{name}.yaml"
    return named if named.exists() or Path(name).suffix not in (".yaml", ".yml") else root / name


def load(address: str, root: Path) -> Expansion:
    """Expand the probe at ``address``.

    Raises:
        InputError: no such file or revision, or anything wrong in the file.
    """
    if probe_path(address, root).exists() or "@" not in address:
        return expand(parse_probe(read_yaml(probe_path(address, root))), root)
    name, revision = address.rsplit("@", 1)
    path = probe_path(name, root)
    source = _parse(_show(revision, path, root), f"{path}@{revision}")
    return expand_with(parse_probe(source), lambda file: sha256_bytes(_show_file(revision, root / file, root)))


def _parse(data: bytes, label: str) -> YamlFile:
    """Parse what git holds; errors name the revision in place of the temporary file."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, "probe.yaml")
        copy.write_bytes(data)
        try:
            return replace(read_yaml(copy), path=Path(label))
        except InputError as error:
            raise InputError(error.problem, fix=error.fix, file=label, line=error.line, field=error.field) from None


def _show(revision: str, path: Path, root: Path) -> bytes:
    try:
        return _show_file(revision, path, root)
    except OSError as error:
        fix = "check both with `git log -- PATH`; write PATH@REV."
        raise InputError(f"git has no such file ({error}).", file=f"{path}@{revision}", fix=fix) from None


def _show_file(revision: str, path: Path, root: Path) -> bytes:
    """The bytes of ``path`` at ``revision``. Raises OSError where git has none."""
    inside = Path(os.path.relpath(path, root)).as_posix()
    command = ["git", "-C", str(root), "show", "--end-of-options", f"{revision}:./{inside}"]
    answer = subprocess.run(command, capture_output=True, check=False)
    if answer.returncode:
        raise OSError(answer.stderr.decode(errors="replace").strip().splitlines()[0].removeprefix("fatal: "))
    return answer.stdout
