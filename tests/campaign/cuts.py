"""Cut short every file that plantain or DVC owns, and ask the commands that people would ask then."""

import contextlib
import os
import random
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from plantain.commands import doctor
from tests.campaign.kills import Strike, attempt
from tests.campaign.small import Small
from tests.campaign.tally import Row, Tally
from tests.helpers.command_line import plantain

KINDS = (
    *("dvc.lock", "pipelines/*/dvc.lock", "dvc.yaml", "pipelines/*/dvc.yaml", ".dvc/config", ".dvc/tmp/rwlock"),
    *("params.yaml", "environment.yaml", "prompts/mini.yaml", ".plantain/executions.jsonl"),
    *("receipts/**/*.json", "reports/cells.json", "reports/ledger.json", "reports/verdicts.json"),
    *("reports/*/*/metrics.json", "models/*/model.lock.json", "models/*/units.parquet", "data/prompts/*"),
    *("data/references/**/*.*", "data/activations/**/*.safetensors", "data/embeddings/**/*.safetensors"),
    *("data/grams/**/*.safetensors", ".plantain/grams/**/*.safetensors"),
    *("data/stats/**/*.*", "data/verdicts/**/*.json", "mlflow/published.json", "mlflow/mlflow.db"),
    *(".plantain/shards/**/*.safetensors", ".plantain/embeddings/**/*.safetensors", ".plantain/lock-copies/**/*.lock"),
    *("reports/published/*.json", "reports/study/**/*.json", "reports/index.html", "reports/plots/*"),
    ".dvc/cache/files/md5/*/*",
)
"""Files, by who owns them for what; cuts are spread over the kinds."""

ASKED = (("doctor",), ("audit",), ("run", "--dry-run"), ("show", "mini@tiny"))
WRITTEN = ("dvc.yaml", "pipelines/*/dvc.yaml", "params.yaml", "environment.yaml", "prompts/mini.yaml", ".dvc/config")
"""What people write: cut at the end of a line it may be whole, and no run puts it back."""
HEALED = 2
"""How many cuts of a kind that no command named are followed by a whole run."""


@dataclass
class Counts:
    """What became of the cuts."""

    cuts: int = 0
    named: int = 0
    harmless: int = 0
    healed: int = 0
    asked: int = 0
    unhealed: int = 0
    raised: int = 0
    unnamed: Counter[str] = field(default_factory=Counter)
    losses: list[str] = field(default_factory=list)

    def tally(self) -> Tally:
        """The rows of the table."""
        rows = [
            Row("files cut short: a traceback, or an exit code beyond 2", self.asked, self.raised, "answers"),
            Row("… named by a command", self.named, 0, ""),
            Row("… named by none, and read as they are", self.harmless, 0, ""),
            Row("… of these a whole run after it: files other than before", self.healed, self.unhealed, ""),
        ]
        notes = {f"unnamed {kind}": str(count) for kind, count in sorted(self.unnamed.items())}
        return Tally("cuts", rows, self.losses, {"cuts": str(self.cuts), **notes})


def campaign(small: Small, count: int, seed: int, log: Path, minutes: float = 1e9) -> Tally:
    """Cut ``count`` times in a workspace whose command has run; begin none after ``minutes``."""
    began = time.time()
    small.reset()
    made = attempt(small, Strike())
    assert made.code == 0, made.output
    small.workspace.commit("Results")
    draw, counts, expected = random.Random(seed), Counts(), small.snapshot()
    kinds = [kind for kind in KINDS if list(small.path.glob(kind))]
    draw.shuffle(kinds)
    for number in range(count):
        if time.time() - began > 60 * minutes:
            break
        kind = kinds[number % len(kinds)]
        path = draw.choice(sorted(file for file in small.path.glob(kind) if file.stat().st_size > 1))
        _cut(small, kind, path, draw, expected, counts)
        with log.open("a") as stream:
            place = path.relative_to(small.path)
            print(f"cut {number + 1}: {place}, {counts.named} named, {len(counts.losses)} losses", file=stream)
    return counts.tally()


def _cut(small: Small, kind: str, path: Path, draw: random.Random, expected: dict[str, str], counts: Counts) -> None:
    """Cut one file, ask, and put everything back."""
    whole, mode = path.read_bytes(), path.stat().st_mode
    at = draw.choice((0, draw.randrange(len(whole)), draw.randrange(len(whole))))
    place = f"{path.relative_to(small.path)} after {at} of {len(whole)} bytes"
    path.chmod(0o644)
    path.write_bytes(whole[:at])
    counts.cuts += 1
    said = "\n".join(_asked(small, kind, place, counts))
    if path.relative_to(small.path).as_posix() in said:
        counts.named += 1
    else:
        counts.unnamed[kind] += 1
        counts.harmless += 1
        if counts.unnamed[kind] <= HEALED and kind not in WRITTEN and small.whole:
            _heal(small, place, expected, counts)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.write_bytes(whole)
    path.chmod(mode)


def _asked(small: Small, kind: str, place: str, counts: Counts) -> Iterator[str]:
    """What each command says; one that raises, or ends with another code than 0, 1 or 2, is a loss."""
    with _here(small, whole_cache=small.whole and "dvc" in kind):
        for words in ASKED:
            counts.asked += 1
            try:
                answer = plantain(*words)
                said = answer.output + answer.errors
                wrong = answer.code not in (0, 1, 2) or "Traceback" in said
            except Exception:
                said, wrong = traceback.format_exc(limit=-5), True
            if wrong:
                counts.raised += 1
                counts.losses.append(f"{place}: `plantain {' '.join(words)}`\n{said[-2500:]}")
            yield said


@contextlib.contextmanager
def _here(small: Small, *, whole_cache: bool) -> Iterator[None]:
    """In the workspace. DVC is asked about its cache in a process of its own, where the cut concerns it."""
    asked = doctor.CHECKS["cache"]
    if not whole_cache:
        doctor.CHECKS["cache"] = lambda fix: doctor.Diagnosis("cache", True, "not asked")
    before = dict(os.environ)
    os.environ.update({"PYTHONPATH": str(small.path / "src"), "GIT_CEILING_DIRECTORIES": str(small.path.parent)})
    try:
        with contextlib.chdir(small.path):
            yield
    finally:
        doctor.CHECKS["cache"] = asked
        os.environ.clear()
        os.environ.update(before)


def _heal(small: Small, place: str, expected: dict[str, str], counts: Counts) -> None:
    """What no command named is either harmless or made anew: after a run everything is as it was."""
    counts.healed += 1
    made = attempt(small, Strike())
    found = small.snapshot()
    differing = [name for name in sorted(expected.keys() | found.keys()) if found.get(name) != expected.get(name)]
    if made.code or "Traceback" in made.output or differing:
        counts.unhealed += 1
        counts.losses.append(f"{place}: after a run (exit code {made.code}) {differing[:5]}\n{made.output[-2500:]}")
        if made.code == 0:
            small.workspace.git("checkout", "--quiet", ".")
