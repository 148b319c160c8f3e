"""What all records share: they cannot be changed, are written exactly, and are read with tolerance for other revisions.

A record that one room writes and another reads is one class, used by both. A field that is renamed is then an error of
the type checker, not a blank on a page.
"""

from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, PlainSerializer, ValidationError, WrapValidator

from plantain.base.errors import InputError, refuse_pointer
from plantain.base.files import readable_json


class Frozen(BaseModel):
    """A record that cannot be changed. Whoever makes one may only name fields that it has."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def to_bytes(self) -> bytes:
        """The record as it stands on disk: sorted keys, two-space indent, final newline."""
        return readable_json(self.model_dump(mode="json", by_alias=True))


Kind = TypeVar("Kind", bound=Frozen)


def absent(value: object) -> bool:
    """For ``exclude_if`` of a field that is left out of the file where it has no value."""
    return value is None


def _as_it_is(value: Any, validate: Any) -> Any:
    return value if type(value) is int else validate(value)


ExactNumber = Annotated[float, WrapValidator(_as_it_is), PlainSerializer(lambda value: value)]
"""A number that stays whole where it is: 30 and 30.0 are different bytes."""


def read(source: Path | bytes, kind: type[Kind], *, what: str, fix: str, file: Path | str | None = None) -> Kind:
    """Read a record; fields that ``kind`` does not have are ignored, so that files of other revisions open.

    Args:
        source: The file, or its bytes where they came from elsewhere.
        kind: The record's class.
        what: What the file should be, for the error.
        fix: How to bring it back, for the error.
        file: What to call the file where ``source`` is bytes.

    Raises:
        InputError: the file is missing, is no JSON, or is not such a record; names the field.
    """
    place = source if isinstance(source, Path) else file
    try:
        content = source.read_bytes() if isinstance(source, Path) else source
    except OSError as error:
        raise InputError(f"not readable as {what} ({error.strerror}).", file=place, fix=fix) from None
    refuse_pointer(content, place or what)
    try:
        return kind.model_validate_json(content, extra="ignore")
    except ValidationError as error:
        first = error.errors()[0]
        field, said = ".".join(map(str, first["loc"])), first["msg"].removeprefix("Value error, ").rstrip(".")
        raise InputError(f"not readable as {what} ({said}).", file=place, field=field, fix=fix) from None
