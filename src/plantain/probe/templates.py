"""Plain field substitution: ``{field}`` is replaced, ``{{`` and ``}}`` stand for braces, nothing else has a meaning."""

import re
from collections.abc import Mapping

from plantain.config import NAME

_PIECE = re.compile(r"\{\{|\}\}|\{[^{}]*\}|[{}]")


class TemplateError(ValueError):
    """A template that is not plain field substitution."""


def fields(template: str) -> tuple[str, ...]:
    """The fields of ``template``, each once, in order of appearance.

    Raises:
        TemplateError: a lone brace, or braces that hold anything but a field name (no attributes, no formats).
    """
    return tuple(dict.fromkeys(piece[1:-1] for piece in _pieces(template) if _is_field(piece)))


def substitute(template: str, values: Mapping[str, object]) -> str:
    """``template`` with its fields replaced. Braces inside a value are text and are not expanded again."""
    return _PIECE.sub(lambda match: _replacement(match[0], values), template)


def _pieces(template: str) -> list[str]:
    pieces = _PIECE.findall(template)
    for piece in pieces:
        if piece in ("{", "}"):
            raise TemplateError(f"a single '{piece}' has no meaning in a template.")
        if piece not in ("{{", "}}") and not _is_field(piece):
            raise TemplateError(f"'{piece}' is not a plain field.")
    return pieces


def _is_field(piece: str) -> bool:
    return NAME.fullmatch(piece[1:-1]) is not None


def _replacement(piece: str, values: Mapping[str, object]) -> str:
    return str(values[piece[1:-1]]) if _is_field(piece) else piece[0]
