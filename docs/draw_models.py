"""Bring the table of architectures in docs/models.md up to date.

    python docs/draw_models.py

It comes from the rows in the code alone. Equal code gives equal bytes.
"""

import re
from pathlib import Path

from plantain.model.architectures import ARCHITECTURES, Architecture, Guidance, ImageInput

PAGE = Path(__file__).resolve().parent / "models.md"
TABLE = re.compile(r"(?<=<!-- made by docs/draw_models\.py -->\n)(.*?)(?=<!-- end -->)", re.DOTALL)

_IMAGES = {
    ImageInput.none: "no",
    ImageInput.tokens: "tokens",
    ImageInput.vlm: "tokens, and the text encoder reads it",
}


def markdown() -> str:
    """A row an architecture."""
    rows = [
        "| architecture | pipelines | blocks, in the order in which they run | single block | text in the modulation | image | told, predicts | one pass |",  # noqa: E501
        "|---|---|---|---|---|---|---|---|",
    ]
    rows += [f"| {' | '.join(_cells(row))} |" for row in ARCHITECTURES]
    return "\n".join(rows) + "\n"


def _cells(row: Architecture) -> list[str]:
    takes = f"{_IMAGES[row.picture]} ({', '.join(row.edits)})" if row.edits else _IMAGES[row.picture]
    call = ", ".join(f"`{name}={value}`" for name, value in row.call.items())
    return [
        row.name + (" (fast path)" if row.fast else ""),
        ", ".join(row.pipelines),
        "; ".join(_blocks(row)),
        _order(row),
        "yes" if row.pooled_text else "no",
        takes,
        f"{row.clock.value}; {row.predicts.value}",
        call + _guided(row),
    ]


def _blocks(row: Architecture) -> list[str]:
    return [
        f"`{blocks.name}.{{i}}.{name}` {kind}" + (", MLP fused" if blocks.fused else "")
        for blocks in row.lists
        for name, kind in blocks.attentions.items()
    ]


def _order(row: Architecture) -> str:
    if not any(kind == "single" for blocks in row.lists for kind in blocks.attentions.values()):
        return "none"
    more = [
        f"{row.ahead} registers first" if row.ahead else "",
        f"each filled up to a multiple of {row.multiple}" if row.multiple > 1 else "",
        "without padding" if row.trimmed else "",
    ]
    return ", ".join([*row.order, *filter(None, more)])


def _guided(row: Architecture) -> str:
    told = f"; told {row.guidance:g} where guidance is embedded" if row.guidance is not None else ""
    return told + ("; without it, distilled" if row.unguided is Guidance.distilled else "")


def main() -> None:
    """Write the table into the page."""
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(TABLE.sub(lambda _: markdown(), text), encoding="utf-8")


if __name__ == "__main__":
    main()
