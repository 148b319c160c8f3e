"""Several runs at once in one workspace: one works, the others say so, or all come through in turn."""

import random
import subprocess
from pathlib import Path

from tests.campaign.kills import undisturbed
from tests.campaign.small import Small
from tests.campaign.tally import Row, Tally

BUSY = ("Unable to acquire lock", "is busy, it is being blocked by", "already running")
"""How DVC says that somebody else works here, and how plantain does."""


def campaign(small: Small, count: int, seed: int, log: Path) -> Tally:
    """Start ``count`` runs at once from nothing, wait for all, then run once more and compare."""
    random.seed(seed)
    _, expected = undisturbed(small)
    small.reset()
    started = [_start(small, number) for number in range(count)]
    codes = [process.wait(3600) for process in started]
    said = [_said(small, number).read_text(errors="replace") for number in range(count)]
    left = small.snapshot()
    subprocess.run(small.command, cwd=small.path, env=small.environment(), capture_output=True, check=False)
    found = small.snapshot()
    losses = [f"run {n}: a traceback\n{text[-2500:]}" for n, text in enumerate(said) if "Traceback" in text]
    silent = [
        f"run {n} ended with {code} and did not say why\n{text[-1500:]}"
        for n, (code, text) in enumerate(zip(codes, said, strict=True))
        if code and not any(words in text for words in BUSY)
    ]
    differing = _differing(expected, found)
    with log.open("a") as stream:
        print(f"crowd: exit codes {codes}; {differing}", *(text[-600:] for text in said), sep="\n---\n", file=stream)
    none = [] if 0 in codes else [f"none of the runs succeeded: {codes}"]
    rows = [
        Row("runs at once in one workspace: a traceback", count, len(losses), f"{codes.count(0)} succeeded"),
        Row("runs that gave up and did not say that another works", count, len(silent), ""),
        Row("nobody succeeded", count, len(none), f"{len(_differing(expected, left))} files open when all had ended"),
        Row("files other than undisturbed, after one more run", len(expected), len(differing), ""),
    ]
    return Tally("crowd", rows, [*losses, *silent, *none, *differing])


def _differing(expected: dict[str, str], found: dict[str, str]) -> list[str]:
    return [name for name in sorted(expected.keys() | found.keys()) if found.get(name) != expected.get(name)]


def _said(small: Small, number: int) -> Path:
    return small.path / f".git/said-{number}"


def _start(small: Small, number: int) -> subprocess.Popen[bytes]:
    with _said(small, number).open("wb") as stream:
        return subprocess.Popen(small.command, cwd=small.path, env=small.environment(), stdout=stream, stderr=stream)
