"""What Gram matrices add to a capture: whole cells with and without them, in pairs.

    python benchmarks/grams.py                   the embedded model of params.yaml, its own way: one thread, one worker
    python benchmarks/grams.py --threads 2       the same transformer on two threads

A capture here is all that the stage does for the passes of a cell: embeddings read, passes run, shards and vectors
written, vectors read and reduced. Prompts are encoded once before the clock starts. Both ways take turns and start from
a store without passes; which of them begins changes from pair to pair. Times are those of the processor, which other
work on the machine disturbs least; the fastest capture of each way is disturbed least of all.
"""

import argparse
import os
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from plantain.base.config import read_params
from plantain.base.params import CaptureParams
from plantain.capture import cell as capture
from plantain.capture.cell import capture_cell
from plantain.capture.levels import prompt_levels
from plantain.capture.progress import Silent
from plantain.model.resolve import resolve
from plantain.probe.expand import expand
from plantain.probe.records import Record
from plantain.probe.sampling import item_subsets
from plantain.probe.spec import read_probe
from plantain.records.lock import ModelLock


def main() -> None:
    options = _options()
    params = read_params()
    lock = resolve(options.model, params)[0]
    records = records_of(options.probe, options.items)
    with tempfile.TemporaryDirectory() as scratch:
        os.environ |= {"PLANTAIN_CACHE": scratch, "PLANTAIN_WORKERS": "1"}
        images = noise_images(Path(scratch), records, lock)
        prompt_levels(records, lock, Silent())
        # The rule of the capture itself is one thread for a small model.
        capture.set_threads_for = lambda *_: torch.set_num_threads(options.threads)  # type: ignore[assignment]
        seconds = np.array(
            [_pair(turn, records, images, lock, params.verdict.items) for turn in range(options.pairs + 1)]
        )
    print("\n".join(_table(seconds[1:], lock, records, options)))


def _pair(turn: int, records: tuple[Record, ...], images: Path, lock: ModelLock, sampled: int) -> list[float]:
    """Processor seconds without and with Gram matrices; a first pair only warms up."""
    found, items = {}, list(dict.fromkeys(record.item for record in records))
    for grams in (False, True) if turn % 2 else (True, False):
        for kind in ("shards", "vectors", "grams"):
            shutil.rmtree(Path(os.environ["PLANTAIN_CACHE"]) / kind, ignore_errors=True)
        began = time.process_time()
        capture_cell(records, images, lock, CaptureParams(grams=grams), Silent(), subsets=item_subsets(items, sampled))
        found[grams] = time.process_time() - began
    return [found[False], found[True]]


def records_of(probe: str, items: int) -> tuple[Record, ...]:
    """The records of a probe's first items."""
    records = expand(read_probe(Path("prompts", f"{probe}.yaml")), Path()).records
    chosen = list(dict.fromkeys(record.item for record in records))[:items]
    return tuple(record for record in records if record.item in chosen)


def noise_images(folder: Path, records: tuple[Record, ...], lock: ModelLock) -> Path:
    """Noise for every reference that the records name: what is on a picture costs nothing."""
    generator = np.random.default_rng(0)
    for name in sorted({name for record in records for name in record.reference}):
        pixels = generator.integers(0, 255, (lock.height, lock.width, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{name}.png")
    return folder


def _table(seconds: np.ndarray, lock: ModelLock, records: tuple[Record, ...], options: argparse.Namespace) -> list[str]:
    without, with_grams = seconds.min(axis=0) / len(records) * 1e3
    ratios = seconds[:, 1] / seconds[:, 0]
    low, high = np.quantile(ratios, [0.25, 0.75])
    return [
        f"{lock.name}, {options.probe}: {len(records)} passes a capture, {options.threads} threads; processor time of "
        f"{options.pairs} pairs",
        "",
        "| | ms a pass, fastest capture |",
        "|---|---|",
        f"| mean squares alone | {without:.2f} |",
        f"| with Gram matrices | {with_grams:.2f} |",
        "",
        f"- Gram matrices add {100 * (with_grams / without - 1):+.1f}% to the fastest capture; of all pairs "
        f"{100 * (np.median(ratios) - 1):+.1f}%, quartiles {100 * (low - 1):+.1f}% and {100 * (high - 1):+.1f}%.",
    ]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--model", default="tiny", help="a model of params.yaml")
    parser.add_argument("--probe", default="dense", help="a probe of prompts/")
    parser.add_argument("--items", type=int, default=2, help="items of the probe")
    parser.add_argument("--threads", type=int, default=1, help="threads of a pass")
    parser.add_argument("--pairs", type=int, default=15, help="pairs after the first, which is not counted")
    return parser.parse_args()


if __name__ == "__main__":
    main()
