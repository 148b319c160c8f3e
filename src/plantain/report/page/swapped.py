"""The pictures of swapped heads on the page of a cell, each cut out of the contact sheet that lies beside the table."""

import base64
import io
from dataclasses import dataclass

from PIL import Image

from plantain.base import places
from plantain.base.files import sha256_bytes
from plantain.report.result import Result
from plantain.report.swaps import swap_table

GONE = "The pictures that belong to this table are not here: bring them back with `git checkout {0}`."


@dataclass(frozen=True)
class SwapPicture:
    """One picture."""

    column: str
    data: str
    """``data:`` address."""


@dataclass(frozen=True)
class PictureRow:
    """A recipient, a donor, and what swaps make of the recipient."""

    said: str
    pictures: tuple[SwapPicture, ...]


def picture_rows(result: Result) -> list[PictureRow]:
    """Every row of the contact sheet; empty where there is none, or it is not that of the table."""
    table, content = swap_table(result), _content(result)
    if table is None or table.pictures is None or content is None:
        return []
    kept = table.pictures
    with Image.open(io.BytesIO(content)) as sheet:
        return [
            PictureRow(
                said,
                tuple(
                    SwapPicture(name, _data(sheet.crop(kept.box(row, column))))
                    for column, name in enumerate(kept.columns)
                ),
            )
            for row, said in enumerate(kept.rows)
        ]


def missing_pictures(result: Result) -> str:
    """Why there are no pictures though there is a table; empty where there are."""
    table = swap_table(result)
    if table is None or table.pictures is None or _content(result) is not None:
        return ""
    return GONE.format(places.causal_pictures(result.model, result.probe).as_posix())


def _content(result: Result) -> bytes | None:
    table, path = swap_table(result), result.root / places.causal_pictures(result.model, result.probe)
    if table is None or table.pictures is None or not path.exists():
        return None
    content = path.read_bytes()
    return content if sha256_bytes(content) == table.pictures.sha256 else None


def _data(image: Image.Image) -> str:
    stream = io.BytesIO()
    image.convert("RGB").save(stream, "JPEG", quality=90)
    return f"data:image/jpeg;base64,{base64.b64encode(stream.getvalue()).decode()}"
