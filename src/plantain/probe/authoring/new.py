"""A new probe file: a skeleton, sentence pairs from two columns of a table, or one column under templates."""

import io
import tempfile
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from plantain.base import places
from plantain.base.config import NAME, read_params
from plantain.base.errors import InputError
from plantain.base.files import write_atomic
from plantain.probe.authoring.listing import with_probes
from plantain.probe.authoring.rows import Columns, items_of_column, pairs_of
from plantain.probe.authoring.table import SourceTable, read_table
from plantain.probe.expand import expand
from plantain.probe.spec import read_probe


def new_probe(
    name: str,
    root: Path,
    source: Path | None = None,
    columns: Columns | None = None,
    tell: Callable[[str], None] | None = None,
) -> Path:
    """Create ``prompts/<name>.yaml`` and add ``name`` to ``run.probes``.

    Args:
        name: The probe's name.
        root: The workspace.
        source: A table whose rows become items; None for an example.
        columns: Which of its columns hold the sides, or the items.
        tell: Called with a sentence for what was left out of the table.

    Raises:
        InputError: a name that is not valid or is taken, or a table that cannot be a probe. Nothing is written then.
    """
    target, params = root / places.probe_file(name), root / places.PARAMS
    _check_name(name, target, params)
    table = read_table(source) if source else None
    content = _skeleton(name) if table is None else _probe_of(name, table, columns or Columns())
    _check_content(target, content, root)
    changed = with_probes(params, name)
    write_atomic(target, content)
    try:
        write_atomic(params, changed)
    except BaseException:
        target.unlink()
        raise
    if tell and table is not None and table.blank:
        tell(_left_out(table))
    return target


def _left_out(table: SourceTable) -> str:
    lines = ", ".join(map(str, table.blank[:10])) + (", …" if len(table.blank) > 10 else "")
    return f"Left out: {len(table.blank)} blank rows of {table.path} (line {lines})."


def _probe_of(name: str, table: SourceTable, columns: Columns) -> bytes:
    if columns.items is None:
        return _pairs(name, table, columns)
    if columns.a is not None or columns.b is not None:
        raise InputError("--items stands beside --a or --b.", fix="name two sides, or one column of items.")
    items = {"items": items_of_column(table, columns.items)}
    lead = _template("skeleton_items.yaml").replace("NAME", name).replace("SOURCE", table.path.name.replace("\n", " "))
    return lead.encode() + _yaml(items)


def _pairs(name: str, table: SourceTable, columns: Columns) -> bytes:
    """The YAML of a probe whose items are pairs: whole sentences in place of templates."""
    return _yaml(
        {
            "probe": name,
            "title": f"Side a versus side b of {table.path.name}",
            "conditions": {"a": {"prompt": "{a}"}, "b": {"prompt": "{b}"}},
            "contrasts": {"target": {"a": "a", "b": "b", "role": "target"}},
            "items": pairs_of(table, columns),
        }
    )


def _yaml(data: dict[str, Any]) -> bytes:
    writer = YAML()
    writer.width = 1 << 16
    writer.indent(mapping=2, sequence=4, offset=2)
    stream = io.BytesIO()
    writer.dump(data, stream)
    return stream.getvalue()


def _check_name(name: str, target: Path, params: Path) -> None:
    if not NAME.fullmatch(name):
        fix = "use lower-case letters, digits and underscores, a letter first, at most 40."
        raise InputError(f"'{name}' is not a probe name.", fix=fix)
    if target.exists():
        raise InputError("the probe exists already.", file=target, fix="choose another name, or edit that file.")
    if name in read_params(params).run.probes:
        fix = "choose another name, or remove it there."
        raise InputError(f"'{name}' is listed already.", file=params, field="run.probes", fix=fix)


def _skeleton(name: str) -> bytes:
    return _template("skeleton.yaml").replace("NAME", name).encode()


def _template(file: str) -> str:
    return files("plantain.probe.authoring").joinpath(file).read_text(encoding="utf-8")


def _check_content(target: Path, content: bytes, root: Path) -> None:
    """Read the probe back as a stage would, before anything stands in the repository."""
    with tempfile.TemporaryDirectory() as folder:
        candidate = Path(folder, target.name)
        candidate.write_bytes(content)
        try:
            expand(read_probe(candidate), root)
        except InputError as error:
            raise InputError(error.problem, fix=error.fix, file=target, line=error.line, field=error.field) from None
