"""How far a long piece of work is: a bar on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars
from rich.text import Text

_QUIET_SECONDS = 30.0


class Progress(Protocol):
    """Told what goes on; never asked anything."""

    def phase(self, label: str, total: int, unit: str) -> None:
        """A new piece of ``total`` steps begins."""

    def advance(self, steps: int = 1) -> None:
        """Some steps of the current piece are done."""

    def note(self, sentence: str) -> None:
        """Something that a person should know."""


class Silent:
    """Says nothing."""

    def phase(self, label: str, total: int, unit: str) -> None:
        """Nothing is shown."""

    def advance(self, steps: int = 1) -> None:
        """Nothing is shown."""

    def note(self, sentence: str) -> None:
        """Nothing is shown."""


class Stopwatch:
    """Hands on what it is told, and times the steps of the current piece from its first report to its last.

    What comes before the first report (loading, compiling, the start of workers) is no part of a step.
    """

    def __init__(self, told: Progress) -> None:
        self._told = told
        self.steps = 0
        """Steps after the first report."""
        self._first = self._last = 0.0

    @property
    def seconds(self) -> float:
        """How long :attr:`steps` took."""
        return self._last - self._first

    def phase(self, label: str, total: int, unit: str) -> None:
        """Begin anew."""
        self.steps, self._first, self._last = 0, 0.0, 0.0
        self._told.phase(label, total, unit)

    def advance(self, steps: int = 1) -> None:
        """Take the time."""
        self._last = time.perf_counter()
        if self._first:
            self.steps += steps
        else:
            self._first = self._last
        self._told.advance(steps)

    def note(self, sentence: str) -> None:
        """Hand it on."""
        self._told.note(sentence)


class Lines:
    """Plain lines on stderr: the start and end of a phase, and where it stands every half minute."""

    def __init__(self) -> None:
        self._label, self._unit = "", ""
        self._total = self._done = 0
        self._began = self._spoke = 0.0

    def phase(self, label: str, total: int, unit: str) -> None:
        """Say what begins."""
        self._label, self._unit, self._total, self._done = label, unit, total, 0
        self._began = self._spoke = time.monotonic()
        self.note(f"{label}: {total} {unit}")

    def advance(self, steps: int = 1) -> None:
        """Say where it stands, if that was not said for a while, and when it ends."""
        self._done += steps
        now = time.monotonic()
        if self._done >= self._total or now - self._spoke >= _QUIET_SECONDS:
            self._spoke = now
            rate = self._done / max(now - self._began, 1e-9)
            left = (self._total - self._done) / max(rate, 1e-9)
            text = f"{self._label}: {self._done} of {self._total} {self._unit}, {rate:.3g} {self._unit} a second"
            self.note(text + (f", {left:.0f} s left" if left else ""))

    def note(self, sentence: str) -> None:
        """One line on stderr."""
        print(sentence, file=sys.stderr, flush=True)


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        unit = task.fields.get("unit", "steps")
        return Text(f"{task.speed:.3g} {unit}/s" if task.speed else "", style="progress.data.speed")


class _Bar:
    def __init__(self, bars: Bars) -> None:
        self._bars = bars
        self._task = None if not bars.tasks else bars.tasks[-1].id

    def phase(self, label: str, total: int, unit: str) -> None:
        self._task = self._bars.add_task(label, total=total, unit=unit)

    def advance(self, steps: int = 1) -> None:
        if self._task is not None:
            self._bars.advance(self._task, steps)

    def note(self, sentence: str) -> None:
        self._bars.console.print(sentence, highlight=False)


@contextmanager
def shown(progress: Progress | None) -> Iterator[Progress]:
    """``progress`` itself; where it is None, a bar if stderr is a terminal, else plain lines."""
    console = Console(stderr=True)
    if progress is not None:
        yield progress
    elif not console.is_terminal:
        yield Lines()
    else:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), _Rate(), TimeRemainingColumn())
        with Bars(*columns, console=console) as bars:
            yield _Bar(bars)
