"""Kill the pipeline again and again until it is through, and compare what it made with a run that nobody disturbed."""

import os
import random
import re
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from tests.campaign.small import Small
from tests.campaign.tally import Row, Tally

LIMIT = 600
"""Seconds that one attempt may take."""
REACH = 0.2
"""The largest share of a whole run that passes before a kill: so the kills fall on every stage."""
RUNNING = re.compile(r"Running stage '(?:[^']*:)?(\w+)[^']*'")


@dataclass(frozen=True)
class Strike:
    """When to kill: after ``seconds``, or at a change of a file (``soon`` seconds after it began)."""

    seconds: float = LIMIT
    change: int = 0
    soon: float = 0.0


@dataclass(frozen=True)
class Attempt:
    """What one start of the command came to."""

    code: int
    output: str
    changes: int
    seconds: float

    @property
    def killed(self) -> bool:
        """Whether the kill came before the end."""
        return self.code == -signal.SIGKILL

    @property
    def stage(self) -> str:
        """The last stage that had begun."""
        found = RUNNING.findall(self.output)
        return found[-1] if found else "no stage yet"


@dataclass
class Record:
    """What happened over all chains."""

    kills: int = 0
    by_clock: int = 0
    chains: int = 0
    seconds: float = 0.0
    stages: Counter[str] = field(default_factory=Counter)
    tracebacks: list[str] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)
    differing: list[str] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    left_overs: int = 0

    def tally(self) -> Tally:
        """The rows of the table."""
        resumed = f"{self.kills} kills, resumed in {self.chains} chains"
        return Tally(
            "kills",
            [
                Row("SIGKILL to the whole process group", self.kills, len(self.stuck), "resume refused"),
                Row("… of them at a moment of the clock", self.by_clock, 0, ""),
                Row("… of them at a change of a file", self.kills - self.by_clock, 0, ""),
                Row("tracebacks shown", self.kills + self.chains, len(self.tracebacks), "shown"),
                Row(f"{resumed}: files other than undisturbed", self.chains, len(self.differing), "differ"),
                Row("journal: results without a line, or torn lines", self.chains, len(self.unread), "lost"),
                Row("temporary files that stayed behind, ignored", self.chains, 0, f"{self.left_overs} stayed"),
            ],
            [*self.stuck, *self.tracebacks, *self.differing, *self.unread],
            {"seconds": f"{self.seconds:.0f}", **{f"killed in {name}": str(n) for name, n in self.stages.items()}},
        )


def campaign(small: Small, kills: int, seed: int, log: Path, minutes: float = 1e9) -> Tally:
    """Kill ``kills`` times in chains of kill and resume, each from nothing to the end; begin none after ``minutes``."""
    began, record, draw = time.time(), Record(), random.Random(seed)
    measured, expected = undisturbed(small)
    while record.kills < kills and time.time() - began < 60 * minutes:
        small.reset()
        _chain(small, measured, kills, draw, record, log)
        _compare(small, expected, record)
        with log.open("a") as stream:
            lost = f"{len(record.differing)} files differ, {len(record.unread)} lines lost, {len(record.stuck)} refused"
            print(f"{time.time() - began:.0f} s: {record.kills} kills, {record.chains} chains, {lost}", file=stream)
    record.seconds = time.time() - began
    return record.tally()


@cache
def undisturbed(small: Small) -> tuple[Attempt, dict[str, str]]:
    """A run from nothing, and the bytes that it made; the first of a long one, unmeasured, compiles Python."""
    small.reset()
    if small.whole:
        attempt(small, Strike())
        small.reset()
    measured = attempt(small, Strike())
    assert measured.code == 0, measured.output
    return measured, small.snapshot()


def _chain(small: Small, measured: Attempt, most: int, draw: random.Random, record: Record, log: Path) -> None:
    """From nothing to the end, killed on the way as often as it happens."""
    while True:
        by_clock = draw.random() < 0.5
        found = attempt(small, _strike(measured, by_clock, draw) if record.kills < most else Strike())
        record.stages[found.stage] += found.killed
        record.kills += found.killed
        record.by_clock += found.killed and by_clock
        if "Traceback" in found.output:
            record.tracebacks.append(found.output[-3000:])
        if not found.killed and found.code:
            record.stuck.append(f"exit code {found.code}: {found.output[-1500:]}")
            with log.open("a") as stream:
                print(record.stuck[-1], file=stream)
            found = attempt(small, Strike())
            if found.code:
                record.stuck.append(f"a second time: {found.output[-1500:]}")
        if not found.killed:
            record.chains += 1
            return


def _strike(measured: Attempt, by_clock: bool, draw: random.Random) -> Strike:
    if by_clock:
        return Strike(seconds=draw.uniform(0, REACH * measured.seconds))
    change = draw.randint(1, max(1, round(REACH * measured.changes)))
    return Strike(change=change, soon=draw.choice((0.0, 1e-5, 1e-4, 1e-3)))


def attempt(small: Small, strike: Strike) -> Attempt:
    """Start the command in a session of its own, and kill all of that session when the strike says so."""
    counter = small.path / ".git/strike"
    counter.unlink(missing_ok=True)
    wanted = {"COUNTER": str(counter), "AT": str(strike.change), "SOON": str(strike.soon), "ROOT": str(small.path)}
    environment = small.environment(**{f"STRIKE_{key}": value for key, value in wanted.items()})
    said, began = small.path / ".git/said", time.time()
    with said.open("wb") as stream:
        process = subprocess.Popen(
            small.command, cwd=small.path, env=environment, stdout=stream, stderr=stream, start_new_session=True
        )
        try:
            process.wait(strike.seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    _await(process.pid)
    changes = counter.stat().st_size if counter.exists() else 0
    return Attempt(process.returncode, said.read_text(errors="replace"), changes, time.time() - began)


def _await(session: int) -> None:
    """Until no process of ``session`` is left: the leader's end does not wait for those that were killed with it."""
    while any(True for _ in _of(session)):
        time.sleep(0.005)


def _of(session: int) -> Iterator[int]:
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            state, _, _, found = (entry / "stat").read_text().rpartition(")")[2].split()[:4]
        except (OSError, ValueError):
            continue
        if int(found) == session and state != "Z":
            yield int(entry.name)


def _compare(small: Small, expected: dict[str, str], record: Record) -> None:
    found = small.snapshot()
    for path in sorted(expected.keys() | found.keys()):
        if found.get(path) != expected.get(path):
            record.differing.append(f"{path}: {'missing' if path not in found else 'other bytes'}")
    record.left_overs += len(small.left_overs())
    record.unread += _unread(small)


def _unread(small: Small) -> list[str]:
    """Receipts of which the journal does not say when they were made, and lines of it that cannot be read."""
    from plantain.records import journal

    path = small.path / ".plantain/executions.jsonl"
    torn = [f"{path}: a torn line"] * journal.torn_lines(path)
    known = {line.receipt_path for line in journal.executions(path)}
    made = [file.relative_to(small.path).as_posix() for file in (small.path / "receipts").rglob("*.json")]
    return torn + [f"{name}: no line in the journal" for name in made if name not in known]
