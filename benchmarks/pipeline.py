"""Where the time of `dvc repro` goes: a cold default run in a fresh clone, a repeated one, and seconds per stage.

Run with ``python benchmarks/pipeline.py``. Wall and processor time of whole runs, and the journal's seconds per stage.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def repro(folder: Path) -> tuple[float, float]:
    """Wall and processor seconds of one `dvc repro` in ``folder``, its stages included."""
    started, before = time.perf_counter(), _processor_seconds()
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    subprocess.run([sys.executable, "-m", "dvc", "repro", "--quiet"], cwd=folder, env=environment, check=True)
    return time.perf_counter() - started, _processor_seconds() - before


def _processor_seconds() -> float:
    times = os.times()
    return times.children_user + times.children_system


def stage_seconds(journal: Path) -> dict[str, list[float]]:
    """Seconds inside every execution, by stage; start-up of the interpreter is not counted."""
    seconds = defaultdict(list)
    for line in journal.read_text().splitlines():
        entry = json.loads(line)
        seconds[entry["stage"]].append(entry["ended"] - entry["started"])
    return seconds


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder, "plantain")
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        cold, again = repro(clone), [repro(clone) for _ in range(3)]
        print(f"cold run      {cold[0]:7.1f} s by the clock, {cold[1]:7.1f} s of processor time")
        wall, processor = sorted(again)[1]
        print(f"repeated run  {wall:7.2f} s by the clock, {processor:7.2f} s of processor time (median of 3)")
        for stage, values in stage_seconds(clone / ".plantain" / "executions.jsonl").items():
            print(f"{stage:12s}  {sum(values):7.1f} s in {len(values)} executions")


if __name__ == "__main__":
    main()
