"""How the index page and MLflow grow with probes: 10, 30 and 100 of them on three models.

    python benchmarks/growth_pages.py

The results are those of `otherview` of this checkout, which has to have been run, under as many names and three models:
files are linked, those of text written with the names, and receipts with the digests of these. Then the real stages
`compare` and `publish` run over all. All seconds are of processor time.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from growth_runs import MODELS, ROOT, ask, make, processor_seconds

from plantain.base import places as where
from plantain.base.files import canonical_json, sha256_file, write_atomic
from plantain.records.cells import cells_of
from plantain.records.holm import HolmTable, read_holm
from plantain.records.manifest import manifest_of

COUNTS: Final = (10, 30, 100)
PROBE: Final = "otherview"
FROM: Final = {"tiny": "tiny", "tiny-mention": "tiny", "tiny-untrained": "tiny-untrained"}
"""Whose results each model gets."""
TEXT: Final = (".json", ".yaml", ".csv", ".html")
MIB: Final = 1 << 20


def named(text: str, probe: str, model: str) -> str:
    """Text about the source as text about a probe and model; `tiny-untrained` keeps the name of its parent."""
    found = text.replace(PROBE, probe)
    return found if FROM[model] == model else found.replace('"tiny"', f'"{model}"').replace("/tiny/", f"/{model}/")


def sources(model: str) -> Iterator[Path]:
    """Every file of a cell, from the root of the checkout; files of a model and of a probe among them."""
    for folder in ("data", "receipts", "reports", "prompts", "models"):
        for path in sorted((ROOT / folder).rglob("*")):
            place = path.relative_to(ROOT)
            whose = [part for part in place.parts if part in MODELS]
            own = PROBE in place.as_posix() or folder == "models" or place.parts[1] == "model"
            if (
                path.is_file()
                and own
                and "manifests" not in place.parts
                and "study" not in place.parts
                and (not whose or FROM[model] in whose)
            ):
                yield place


def copy(folder: Path, probe: str, model: str) -> None:
    """The files of one cell under its names, receipts last."""
    places = sorted(sources(model), key=lambda place: place.parts[0] == "receipts")
    for place in places:
        target = folder / named(f"/{place}", probe, model)[1:].replace(
            f"model/{FROM[model]}.json", f"model/{model}.json"
        )
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists():
            continue
        if place.suffix not in TEXT:
            target.hardlink_to(ROOT / place)
            continue
        text = named((ROOT / place).read_text(encoding="utf-8"), probe, model)
        target.write_bytes(signed(folder, json.loads(text)) if place.parts[0] == "receipts" else text.encode())
    for made in (where.stats(model, probe), where.images(model, probe)):
        write_atomic(folder / where.manifest(made), manifest_of(folder / made).to_bytes())


def family(probes: list[str]) -> HolmTable:
    """What became of the claim of the source, under every name."""
    own = read_holm(ROOT / where.HOLM)
    claims = {model: own.of(PROBE, FROM[model]) for model in MODELS}
    found = {model: dict.fromkeys(probes, claim) for model, claim in claims.items() if claim is not None}
    return HolmTable(alpha=own.alpha, models=found)


def signed(folder: Path, receipt: dict[str, Any]) -> bytes:
    """A receipt with the digests of the files that it names, where they are there."""
    for record in (*receipt["reads"], *receipt["writes"]):
        path = folder / record["path"]
        if path.is_file():
            record |= {"sha256": sha256_file(path), "size": path.stat().st_size}
    return canonical_json(receipt)


def stage(folder: Path, name: str) -> float:
    """Processor seconds of a stage."""
    before = processor_seconds()
    command = [sys.executable, "-m", f"plantain.stages.{name}"]
    said = subprocess.run(command, cwd=folder, env={"PYTHONPATH": "src", "OMP_NUM_THREADS": "1"}, check=True,
                          stdout=subprocess.PIPE, text=True).stdout  # fmt: skip
    if "Warning" in said:
        raise SystemExit(said)
    return processor_seconds() - before


def main() -> None:
    print("| probes | `compare`, s | index page, kB | `publish`, all new | `publish`, unchanged | mlflow folder, MiB |")
    print("|---|---|---|---|---|---|")
    for count in COUNTS:
        with tempfile.TemporaryDirectory(dir=ROOT.parent) as temporary:  # links need one file system
            folder = Path(temporary)
            make(folder)
            probes = [f"p{number:03}" for number in range(1, count + 1)]
            for probe in probes:
                for model in MODELS:
                    copy(folder, probe, model)
            ask(folder, probes)
            (folder / "reports/cells.json").write_bytes(cells_of(probes, list(MODELS)).to_bytes())
            write_atomic(folder / where.HOLM, family(probes).to_bytes())
            compare, size = stage(folder, "compare"), (folder / "reports/index.html").stat().st_size
            new, again = stage(folder, "publish"), stage(folder, "publish")
            kept = sum(path.stat().st_size for path in (folder / "mlflow").rglob("*") if path.is_file())
            print(
                f"| {count} | {compare:.1f} | {size // 1000} | {new:.1f} | {again:.1f} | {kept / MIB:.0f} |", flush=True
            )


if __name__ == "__main__":
    main()
