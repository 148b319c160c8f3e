"""Where the time of `dvc repro` goes: a cold default run in a fresh clone, a repeated one, and seconds per stage.

Run with ``python benchmarks/pipeline.py``. Times come from the execution journal and the wall clock.
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


def repro(folder: Path) -> float:
    """Seconds of one `dvc repro` in ``folder``."""
    started = time.perf_counter()
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    subprocess.run([sys.executable, "-m", "dvc", "repro", "--quiet"], cwd=folder, env=environment, check=True)
    return time.perf_counter() - started


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
        print(f"cold run      {cold:7.1f} s")
        print(f"repeated run  {sorted(again)[1]:7.2f} s (median of 3)")
        for stage, values in stage_seconds(clone / ".plantain" / "executions.jsonl").items():
            print(f"{stage:12s}  {sum(values):7.1f} s in {len(values)} executions")


if __name__ == "__main__":
    main()
