"""A new probe file: a skeleton, or sentence pairs from a table (columns ``a``, ``b`` and, if wanted, ``id``)."""

import csv
import io
import tempfile
from importlib.resources import files
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.representer import RoundTripRepresenter
from ruamel.yaml.util import load_yaml_guess_indent

from plantain.base import places
from plantain.base.config import NAME, read_params
from plantain.base.errors import InputError
from plantain.base.files import normalise, write_atomic
from plantain.probe.expand import expand
from plantain.probe.node import text_problem
from plantain.probe.spec import ITEM_ID, read_probe

PairRow = dict[str, str]


def probe_from_pairs(name: str, path: Path) -> bytes:
    """The YAML of a probe whose items are the rows of ``path``: whole sentences in place of templates.

    Raises:
        InputError: not UTF-8, wrong columns, an empty cell, an id that is not valid or occurs twice; names the line.
    """
    data: dict[str, Any] = {
        "probe": name,
        "title": f"Side a versus side b of {path.name}",
        "conditions": {"a": {"prompt": "{a}"}, "b": {"prompt": "{b}"}},
        "contrasts": {"target": {"a": "a", "b": "b", "role": "target"}},
        "items": read_pairs(path),
    }
    writer = YAML()
    writer.width = 1 << 16
    writer.indent(mapping=2, sequence=4, offset=2)
    stream = io.BytesIO()
    writer.dump(data, stream)
    return stream.getvalue()


def read_pairs(path: Path) -> list[PairRow]:
    """The rows of ``path`` as items; rows without an ``id`` column are numbered."""
    rows = _rows(path)
    if not rows:
        raise _error(path, "the file is empty.", 1, "write a header line `a,b` or `id,a,b`.")
    header, pairs = rows[0][1], rows[1:]
    if len(set(header)) < len(header) or set(header) not in ({"a", "b"}, {"a", "b", "id"}):
        problem = f"the columns are {', '.join(header)}."
        raise _error(path, problem, 1, "name them a, b and, if wanted, id, parted by commas.")
    if not pairs:
        raise _error(path, "there is no pair.", 1, "add a line for each pair below the header.")
    width = len(str(len(pairs)))
    items = [
        _item(path, line, header, cells, f"pair-{number:0{width}}") for number, (line, cells) in enumerate(pairs, 1)
    ]
    _check_ids(path, [line for line, _ in pairs], items)
    return items


def _rows(path: Path) -> list[tuple[int, list[str]]]:
    """The rows that are not blank, each with the line it starts on."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise InputError("no such file.", file=path, fix="check the path.") from None
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        raise _error(path, f"byte {error.start} is not valid UTF-8.", line, "save the file as UTF-8.") from None
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows, start = [], 1
    try:
        for cells in reader:
            if any(cells):
                rows.append((start, [normalise(cell) for cell in cells]))
            start = reader.line_num + 1
    except csv.Error as error:
        raise _error(path, f"not valid CSV ({error}).", start, "close the quotes; write a quote as two.") from None
    return rows


def _item(path: Path, line: int, header: list[str], cells: list[str], default_id: str) -> PairRow:
    if len(cells) != len(header):
        problem = f"{len(cells)} cells stand under {len(header)} columns."
        raise _error(path, problem, line, "put sentences with commas in quotes.")
    row = dict(zip(header, cells, strict=True))
    for column, text in row.items():
        if problem := text_problem(text):
            raise _error(path, problem, line, "write visible text in every cell.", column)
    item = {"id": row.get("id", default_id), "a": row["a"], "b": row["b"]}
    if not ITEM_ID.fullmatch(item["id"]):
        fix = "use lower-case letters, digits, dots, hyphens and underscores, at most 64 characters."
        raise _error(path, f"'{item['id']}' is not a valid id.", line, fix, "id")
    if item["a"] == item["b"]:
        raise _error(path, "both sides are the same sentence.", line, "write two that differ.")
    return item


def _check_ids(path: Path, lines: list[int], items: list[PairRow]) -> None:
    seen: set[str] = set()
    for line, item in zip(lines, items, strict=True):
        if item["id"] in seen:
            raise _error(path, f"the id '{item['id']}' occurs twice.", line, "give every row an id of its own.", "id")
        seen.add(item["id"])


def _error(path: Path, problem: str, line: int, fix: str, field: str = "") -> InputError:
    return InputError(problem, fix=fix, file=path, line=line, field=field)


def new_probe(name: str, root: Path, pairs: Path | None = None) -> Path:
    """Create ``prompts/<name>.yaml`` (an example, or the rows of ``pairs``) and add ``name`` to ``run.probes``.

    Raises:
        InputError: a name that is not valid or is taken, or a table that cannot be a probe. Nothing is written then.
    """
    target, params = root / places.probe_file(name), root / places.PARAMS
    _check_name(name, target, params)
    content = probe_from_pairs(name, pairs) if pairs else _skeleton(name)
    _check_content(name, content, root)
    changed = _with_probe(params, name)
    write_atomic(target, content)
    try:
        write_atomic(params, changed)
    except BaseException:
        target.unlink()
        raise
    return target


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
    text = files("plantain.probe.authoring").joinpath("skeleton.yaml").read_text(encoding="utf-8")
    return text.replace("NAME", name).encode()


def _check_content(name: str, content: bytes, root: Path) -> None:
    """Read the probe back as a stage would, before anything stands in the repository."""
    with tempfile.TemporaryDirectory() as folder:
        candidate = Path(folder, f"{name}.yaml")
        candidate.write_bytes(content)
        expand(read_probe(candidate), root)


class _Representer(RoundTripRepresenter):
    """Writes null as it stands in params.yaml, where ruamel.yaml would leave the place empty."""


_Representer.add_representer(
    type(None), lambda representer, _: representer.represent_scalar("tag:yaml.org,2002:null", "null")
)


def _with_probe(params: Path, name: str) -> bytes:
    """``params.yaml`` with ``name`` added, its comments, quotes and indentation kept."""
    text = params.read_text(encoding="utf-8")
    _, indent, offset = load_yaml_guess_indent(text)
    writer = YAML()
    writer.Representer = _Representer
    writer.preserve_quotes = True
    writer.width = 1 << 16
    writer.indent(mapping=2, sequence=indent or 2, offset=offset or 0)
    tree = writer.load(text)
    tree["run"]["probes"].append(name)
    stream = io.BytesIO()
    writer.dump(tree, stream)
    return stream.getvalue()
