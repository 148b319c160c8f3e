"""The files of a run, laid out as MLflow's pages expect them, so that they go up in one piece."""

import io
import json
import uuid
from pathlib import Path
from typing import Any, Final

import polars as pl
from PIL import Image

from plantain.base.files import sha256_bytes
from plantain.track.mlflow.projection import RunSpec

_TABLE: Final = "prompts.json"
IMAGES: Final = "figures"
"""Section of the chart view that holds the figures; MLflow writes a key's slash as a tilde."""
_THUMBNAIL: Final = 256
"""Longer side of the small copy that MLflow's image grid loads first, in pixels."""


def tags(spec: RunSpec) -> dict[str, str]:
    """Tags that make MLflow show the run's table and image grid."""
    found = {}
    if spec.table is not None:
        found["mlflow.loggedArtifacts"] = json.dumps([{"path": _TABLE, "type": "table"}])
    if spec.grid:
        found["mlflow.loggedImages"] = "True"
    return found


def lay_out(spec: RunSpec, folder: Path) -> bool:
    """Write the artifacts of ``spec`` below ``folder``; whether there are any."""
    for path, target in spec.files.items():
        _put(_read(spec, path), folder / target / Path(path).name)
    for path in spec.images:
        _put(_read(spec, path), folder / "figures" / Path(path).name)
    for name, path in spec.grid.items():
        _put_in_grid(_read(spec, path), name, spec, folder / "images")
    if spec.table is not None:
        _put(_table(_read(spec, spec.table)), folder / _TABLE)
    return any(folder.iterdir())


def _put_in_grid(content: bytes | None, key: str, spec: RunSpec, folder: Path) -> None:
    """An image as ``MlflowClient.log_image`` names it, which the chart view lays side by side across runs."""
    if content is None:
        return
    identity = uuid.uuid5(uuid.NAMESPACE_OID, sha256_bytes(content))
    name = f"{IMAGES}~{key}+step+0+timestamp+{round(spec.ended * 1000)}+{identity}"
    _put(content, folder / f"{name}.png")
    with Image.open(io.BytesIO(content)) as image:
        scale = _THUMBNAIL / max(image.size)
        width, height = (max(1, round(side * scale)) for side in image.size)
        small = image.convert("RGB").resize((width, height))
        small.save(folder / f"{name}+compressed.webp")


def _read(spec: RunSpec, path: str) -> bytes | None:
    return spec.reader.read(path) if spec.reader else None


def _put(content: bytes | None, target: Path) -> None:
    if content is not None:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)


def _table(content: bytes | None) -> bytes | None:
    """The prompt table in the form of MLflow's table artifacts: column names, and rows of values."""
    if content is None:
        return None
    frame = pl.read_parquet(io.BytesIO(content))
    rows: list[list[Any]] = [list(row) for row in frame.iter_rows()]
    return json.dumps({"columns": frame.columns, "data": rows}, ensure_ascii=False).encode()
