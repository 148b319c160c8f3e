"""A new probe: its file, and its name under ``run.probes``, both or neither."""

import io
import tempfile
from importlib.resources import files
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.representer import RoundTripRepresenter
from ruamel.yaml.util import load_yaml_guess_indent

from plantain.config import NAME, read_params
from plantain.errors import InputError
from plantain.files import write_atomic
from plantain.probe.expand import expand
from plantain.probe.pairs import probe_from_pairs
from plantain.probe.spec import read_probe


def new_probe(name: str, root: Path, pairs: Path | None = None) -> Path:
    """Create ``prompts/<name>.yaml`` (an example, or the rows of ``pairs``) and add ``name`` to ``run.probes``.

    Raises:
        InputError: a name that is not valid or is taken, or a table that cannot be a probe. Nothing is written then.
    """
    target, params = root / "prompts" / f"{name}.yaml", root / "params.yaml"
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
    text = files("plantain.probe").joinpath("skeleton.yaml").read_text(encoding="utf-8")
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
