"""How one hostile file was answered, counted."""

import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from plantain.base.errors import InputError
from tests.campaign.tally import Row, Tally

SLOW = 5.0
"""Seconds of this process that one small file may take."""


@dataclass
class Answers:
    """Counts of answers."""

    part: str
    parsed: int = 0
    refused: int = 0
    unnamed: int = 0
    other: int = 0
    slow: int = 0
    longest: float = 0.0
    reasons: Counter[str] = field(default_factory=Counter)
    losses: list[str] = field(default_factory=list)

    def ask(self, question: Callable[[], object], content: bytes, *names: Path) -> None:
        """Ask, and count the answer: anything but an InputError that names one of ``names`` is a loss."""
        began = time.process_time()
        try:
            question()
            self.parsed += 1
        except InputError as error:
            self._refused(error, content, names)
        except Exception:
            self.other += 1
            self._lost(traceback.format_exc(limit=-4), content)
        took = time.process_time() - began
        self.longest = max(self.longest, took)
        if took > SLOW:
            self.slow += 1
            self._lost(f"{took:.1f} s", content)

    def _refused(self, error: InputError, content: bytes, names: tuple[Path, ...]) -> None:
        self.refused += 1
        self.reasons[error.problem[:24]] += 1
        if error.file is None or Path(error.file) not in names or not error.fix:
            self.unnamed += 1
            self._lost(f"names no file, or no fix: {error}", content)

    def _lost(self, what: str, content: bytes) -> None:
        if len(self.losses) < 40:
            self.losses.append(f"{what}\n    {content[:2000]!r}")

    def tally(self, what: str) -> Tally:
        """The rows of the table."""
        tried = self.parsed + self.refused + self.other
        rows = [
            Row(f"{what}: another exception", tried, self.other, f"{self.parsed:,} read, {self.refused:,} refused"),
            Row("refused without the file's name or a fix", self.refused, self.unnamed, ""),
            Row(f"more than {SLOW:g} s", tried, self.slow, f"longest {self.longest:.2f} s"),
        ]
        return Tally(self.part, rows, self.losses, {"kinds of refusal": str(len(self.reasons))})
