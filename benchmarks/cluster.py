"""How much faster two processes are than one: forked workers, spawned processes, and actors of a Ray cluster here.

    python benchmarks/cluster.py                 # whole captures of otherview's passes by the model `tiny`
    python benchmarks/cluster.py --items 10 --rounds 3

Prompts are encoded once before any clock starts, and every capture starts from a store without passes. *Steady* is the
rate from the first finished pass to the last, which the start of processes is no part of; *whole* is all that a run
would wait for. Ways take turns; the best round of each is shown, since other work on the machine only ever slows.
"""

import argparse
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

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


class Rate(NamedTuple):
    """Passes a second."""

    steady: float
    whole: float


class Clock(Silent):
    """When passes came back."""

    def __init__(self) -> None:
        self._passes = False
        self.came: list[tuple[float, int]] = []

    def phase(self, label: str, total: int, unit: str) -> None:
        """Only passes are timed."""
        self._passes = unit == "passes"

    def advance(self, steps: int = 1) -> None:
        """Now."""
        if self._passes:
            self.came.append((time.perf_counter(), steps))


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


def captured(records: tuple[Record, ...], images: Path, lock: ModelLock) -> Rate:
    """One capture from a store without passes."""
    for kind in ("shards", "vectors", "grams"):
        shutil.rmtree(Path(os.environ["PLANTAIN_CACHE"]) / kind, ignore_errors=True)
    clock, began = Clock(), time.perf_counter()
    capture_cell(records, images, lock, CaptureParams(), clock)
    ended, (first, _) = time.perf_counter(), clock.came[0]
    steady = sum(steps for _, steps in clock.came[1:]) / (clock.came[-1][0] - first)
    return Rate(steady, sum(steps for _, steps in clock.came) / (ended - began))


def main() -> None:
    import ray

    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--items", type=int, default=30)
    asked.add_argument("--rounds", type=int, default=2)
    options = asked.parse_args()
    records = records_of("otherview", options.items)
    lock = resolve("tiny", read_params())[0]
    os.environ["RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"] = "0"
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, _node_ip_address="127.0.0.1")
    found: dict[tuple[str, int], list[Rate]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["PLANTAIN_CACHE"] = scratch
        images = noise_images(Path(scratch), records, lock)
        prompt_levels(records, lock, Silent())
        for _ in range(options.rounds):
            for name in WAYS:
                for processes in (1, 2):
                    with way(name, processes):
                        found.setdefault((name, processes), []).append(captured(records, images, lock))
    print(f"{len(records)} passes\n\n| way | processes | steady, passes/s | whole, passes/s |\n|---|---:|---:|---:|")
    for (name, processes), rates in found.items():
        best = Rate(*(max(column) for column in zip(*rates, strict=True)))
        print(f"| {name} | {processes} | {best.steady:.1f} | {best.whole:.1f} |")
    for name in WAYS:
        one, two = ([rate.steady for rate in found[name, processes]] for processes in (1, 2))
        print(f"two {name} against one, steady: {max(two) / max(one):.2f}")


if __name__ == "__main__":
    main()
