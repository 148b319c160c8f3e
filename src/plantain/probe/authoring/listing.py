"""``run.probes`` of params.yaml, changed by a program: comments, quotes and indentation stay as people wrote them."""

import io
from collections.abc import Callable
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedSeq
from ruamel.yaml.representer import RoundTripRepresenter
from ruamel.yaml.util import load_yaml_guess_indent


class _Representer(RoundTripRepresenter):
    """Writes null as it stands in params.yaml, where ruamel.yaml would leave the place empty."""


_Representer.add_representer(
    type(None), lambda representer, _: representer.represent_scalar("tag:yaml.org,2002:null", "null")
)


def with_probes(params: Path, *names: str) -> bytes:
    """``params.yaml`` with ``names`` added."""
    return _changed(params, lambda probes: probes.extend(names))


def without_probe(params: Path, name: str) -> bytes:
    """``params.yaml`` with ``name`` taken out."""
    return _changed(params, lambda probes: probes.remove(name))


def _changed(params: Path, change: Callable[[CommentedSeq], None]) -> bytes:
    text = params.read_text(encoding="utf-8")
    _, indent, offset = load_yaml_guess_indent(text)
    writer = YAML()
    writer.Representer = _Representer
    writer.preserve_quotes = True
    writer.width = 1 << 16
    writer.indent(mapping=2, sequence=indent or 2, offset=offset or 0)
    tree = writer.load(text)
    change(tree["run"]["probes"])
    stream = io.BytesIO()
    writer.dump(tree, stream)
    return stream.getvalue()
