"""What a study of many probes costs: the whole shelf on three models, a run with nothing to do, and one probe more.

    python benchmarks/suite.py                 # the shelf as it is shipped: hours
    python benchmarks/suite.py --items 4       # fourteen probes of four items each, cut from the shelf: half an hour

In a fresh clone. Wall and processor time are of `plantain run` with everything that it starts; memory is the largest
sum over its processes of what each holds alone (USS, pages that are shared with others left out), sampled.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import yaml

from plantain.probe.authoring.shelf import shelf_file, shelved

ROOT = Path(__file__).resolve().parent.parent
MODELS = ("tiny", "tiny-mention", "tiny-untrained")
MANY = 14
SAMPLED = 1.0
"""Seconds between two looks at the memory."""
WORDS = (
    "today", "tonight", "here", "outside", "again", "indoors", "twice", "alone", "slowly", "quietly", "nearby",
    "upstairs", "downtown", "abroad", "tomorrow", "once",
)  # fmt: skip
"""One ends every prompt of a cut probe: no two share a prompt, so what is stored of one helps no other."""


@dataclass(frozen=True)
class Cost:
    """What one command took."""

    wall: float
    processor: float
    memory: float
    """MiB."""

    def __str__(self) -> str:
        return f"{self.wall:9.2f} s by the clock  {self.processor:9.2f} s of processor time  {self.memory:7.0f} MiB"


@contextmanager
def watched(pid: int) -> Iterator[list[float]]:
    """The most MiB that a process and all below it held at once, in a list of one."""
    most, ended = [0.0], threading.Event()

    def look() -> None:
        while not ended.wait(SAMPLED):
            most[0] = max(most[0], held(pid))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield most
    finally:
        ended.set()
        thread.join()


def held(pid: int) -> float:
    """MiB that a process and all below it hold by themselves."""
    try:
        family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0.0
    total = 0
    for one in family:
        try:
            total += one.memory_full_info().uss
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return total / (1 << 20)


def plantain(folder: Path, *arguments: str) -> Cost:
    """Run a command of plantain in ``folder``."""
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(folder / "src"),
    }
    started, before = time.perf_counter(), _processor_seconds()
    command = [sys.executable, "-m", "plantain.cli", *arguments]
    process = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL)
    with watched(process.pid) as most:
        code = process.wait()
    if code:
        raise SystemExit(f"plantain {' '.join(arguments)} ended with {code}")
    return Cost(time.perf_counter() - started, _processor_seconds() - before, most[0])


def _processor_seconds() -> float:
    times = os.times()
    return times.children_user + times.children_system


def cut(folder: Path, name: str, like: str, items: int, word: str) -> None:
    """A probe like one of the shelf, with its first items alone and a word more in every prompt."""
    probe = yaml.safe_load(shelf_file(like).read_text(encoding="utf-8"))
    probe |= {"probe": name, "items": probe["items"][:items]}
    for condition in probe["conditions"].values():
        condition["prompt"] += f" {word}"
    (folder / "prompts" / f"{name}.yaml").write_text(yaml.safe_dump(probe, sort_keys=False), encoding="utf-8")


def ask(folder: Path, probes: Sequence[str]) -> None:
    """Put ``probes`` and the models into the settings."""
    path = folder / "params.yaml"
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    run = {"  probes:": f"  probes: [{', '.join(probes)}]\n", "  models:": f"  models: [{', '.join(MODELS)}]\n"}
    path.write_text("".join(run.get(line[:9], line) for line in lines), encoding="utf-8")


def told(what: str, cost: Cost) -> None:
    print(f"{what:58}{cost}", flush=True)


def idle(folder: Path, probes: int) -> None:
    costs = sorted((plantain(folder, "run") for _ in range(3)), key=lambda cost: cost.wall)
    told(f"nothing to do, {probes} probes on {len(MODELS)} models (median of 3)", costs[1])


def small(folder: Path, items: int) -> None:
    """Fourteen cut probes; the third and the fifteenth are of one kind."""
    likes = [*shelved() * MANY][: MANY + 1]
    likes[2] = likes[MANY] = likes[0]
    names = [f"p{place:02}" for place in range(1, MANY + 2)]
    for name, like, word in zip(names, likes, WORDS, strict=False):
        cut(folder, name, like, items, word)
    for count, what in ((2, "two probes, from nothing"), (3, "the third"), (MANY, f"{MANY - 3} more")):
        ask(folder, names[:count])
        told(what, plantain(folder, "run"))
    idle(folder, MANY)
    ask(folder, names)
    told("the fifteenth", plantain(folder, "run"))


def full(folder: Path) -> None:
    """The shelf; the third and the fifteenth are cut from one of its probes."""
    for name, word in (("third", WORDS[0]), ("fifteenth", WORDS[1])):
        cut(folder, name, "otherview", 10, word)
    ask(folder, ["otherview", "dense"])
    told("the two default probes, from nothing", plantain(folder, "run"))
    ask(folder, ["otherview", "dense", "third"])
    told("a third, of ten items", plantain(folder, "run"))
    told("its removal", plantain(folder, "probe", "rm", "third"))
    told(f"`plantain run --suite`, {len(shelved()) - 2} more", plantain(folder, "run", "--suite"))
    idle(folder, len(shelved()))
    ask(folder, [*shelved(), "fifteenth"])
    told("a fifteenth, of ten items", plantain(folder, "run"))


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--items", type=int, help="cut probes of so many items in place of the shelf")
    asked.add_argument("--folder", type=Path, help="where to work, and what to keep; a temporary folder if left out")
    options = asked.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = (options.folder or Path(temporary)) / "plantain"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True)
        small(folder, options.items) if options.items else full(folder)


if __name__ == "__main__":
    main()
