"""How much faster two processes are than one: forked workers, spawned processes, and actors of a Ray cluster here.

    python benchmarks/cluster.py                 # whole captures of otherview's passes by the model `tiny`
    python benchmarks/cluster.py --items 10 --rounds 3

Prompts are encoded once before any clock starts, and every capture starts from a store without passes. Each way
captures all items and half of them. *Steady* is the rate of the other half, by the difference of the two times, since
both hold the start of processes; *whole* is all that a run would wait for. Ways take turns, and the best round counts:
other work on the machine only ever slows.
"""

import argparse
import itertools
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from grams import noise_images, records_of

from plantain.base.config import read_params
from plantain.base.params import CaptureParams
from plantain.capture import cell as capture
from plantain.capture.cell import capture_cell
from plantain.capture.elsewhere.devices import Devices
from plantain.capture.levels import prompt_levels
from plantain.capture.progress import Silent
from plantain.model.resolve import resolve
from plantain.probe.records import Record
from plantain.records.lock import ModelLock

WAYS = ("forked workers", "spawned processes", "actors")


@contextmanager
def way(name: str, processes: int) -> Iterator[None]:
    """Captures go this way while it lasts."""
    kept = capture.crew_for
    os.environ |= {"PLANTAIN_WORKERS": str(processes), "PLANTAIN_RAY": "auto" if name == "actors" else ""}
    if name == "spawned processes":
        capture.crew_for = lambda _: Devices(processes, "cpu")
    try:
        yield
    finally:
        capture.crew_for = kept
        os.environ["PLANTAIN_RAY"] = ""


def seconds(records: Sequence[Record], images: Path, lock: ModelLock) -> float:
    """What one capture takes by the clock, from a store without passes."""
    for kind in ("shards", "vectors", "grams"):
        shutil.rmtree(Path(os.environ["PLANTAIN_CACHE"]) / kind, ignore_errors=True)
    began = time.perf_counter()
    capture_cell(records, images, lock, CaptureParams(), Silent())
    return time.perf_counter() - began


def main() -> None:
    import ray

    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--items", type=int, default=30)
    asked.add_argument("--rounds", type=int, default=2)
    options = asked.parse_args()
    if options.items < 2:
        asked.error("--items: half of them is captured too, so two or more.")
    records = records_of("otherview", options.items)
    half = records_of("otherview", options.items // 2)
    lock = resolve("tiny", read_params())[0]
    os.environ["RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"] = "0"
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, _node_ip_address="127.0.0.1")
    best: dict[tuple[str, int], list[float]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["PLANTAIN_CACHE"] = scratch
        images = noise_images(Path(scratch), records, lock)
        prompt_levels(records, lock, Silent())
        for _ in range(options.rounds):
            for name, processes in itertools.product(WAYS, (1, 2)):
                with way(name, processes):
                    took = [seconds(some, images, lock) for some in (half, records)]
                best[name, processes] = [*map(min, took, best.get((name, processes), took))]
    print(f"{len(records)} passes\n\n| way | processes | steady, passes/s | whole, passes/s |\n|---|---:|---:|---:|")
    steady = {key: (len(records) - len(half)) / (whole - part) for key, (part, whole) in best.items()}
    for (name, processes), (_, whole) in best.items():
        print(f"| {name} | {processes} | {steady[name, processes]:.1f} | {len(records) / whole:.1f} |")
    for name in WAYS:
        print(f"two {name} against one, steady: {steady[name, 2] / steady[name, 1]:.2f}")


if __name__ == "__main__":
    main()
