"""A small copy of this repository, with real git and real dvc, that tests may run and break."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from plantain.stages.pipelines import pipeline_text

ROOT = Path(__file__).resolve().parents[2]

MINI = """
probe: mini
title: A probe small enough to run in a test
hypothesis: None; it exercises the pipeline.
references:
  kitchen: {prompt: A photographic kitchen scene}
conditions:
  viewpoint: {prompt: "Render this kitchen from the viewpoint of {creature}", reference: kitchen}
  mention: {prompt: "Render this kitchen with {creature} in it", reference: kitchen}
contrasts:
  published: {a: viewpoint, b: mention, role: published}
items:
  - {id: cat, creature: a cat, rank: 1}
  - {id: small-dog, creature: a small dog, rank: 2}
  - {id: parrot, creature: a parrot, rank: 3}
  - {id: snake, creature: a snake, rank: 4}
  - {id: ant, creature: an ant, rank: 5}
"""

GIT_IDENTITY = {
    "GIT_AUTHOR_NAME": "Test",
    "GIT_AUTHOR_EMAIL": "test@example.org",
    "GIT_COMMITTER_NAME": "Test",
    "GIT_COMMITTER_EMAIL": "test@example.org",
}


def forget_outer_checkout(patch: pytest.MonkeyPatch) -> None:
    """Take what names another checkout, cache or store out of the environment."""
    for name in [name for name in os.environ if name.startswith(("DVC_", "PLANTAIN_", "MLFLOW_TRACKING"))]:
        patch.delenv(name)


class Workspace:
    """A checkout under test."""

    def __init__(self, path: Path) -> None:
        self.path = path
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(("DVC_", "PLANTAIN_"))}
        binaries = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        self.environment = inherited | GIT_IDENTITY | {"PATH": binaries, "OMP_NUM_THREADS": "1"}

    def run(self, *command: str, check: bool = True, timeout: float = 500) -> str:
        """Output of a command, standard error included."""
        done = subprocess.run(
            command, cwd=self.path, env=self.environment, capture_output=True, text=True, check=False, timeout=timeout
        )
        output = done.stdout + done.stderr
        assert not check or done.returncode == 0, f"{command} gave {done.returncode}:\n{output}"
        return output

    def dvc(self, *arguments: str, check: bool = True) -> str:
        return self.run(sys.executable, "-m", "dvc", *arguments, check=check)

    def git(self, *arguments: str) -> str:
        return self.run("git", *arguments)

    def repro(self) -> list[str]:
        """Run `dvc repro`; the stages that were executed, those of a probe as ``probe:stage@model``."""
        ran = re.findall(r"Running stage '([^']+)'", self.dvc("repro"))
        return [re.sub(r"^pipelines/(\w+)/dvc\.yaml", r"\1", name) for name in ran]

    def commit(self, message: str) -> None:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)

    def replace(self, name: str, old: str, new: str) -> None:
        path = self.path / name
        text = path.read_text()
        assert old in text, f"{old!r} is not in {name}"
        path.write_text(text.replace(old, new, 1))


def copy_repository(target: Path) -> Workspace:
    """The tracked files of this repository, without results, with the probe ``mini`` alone, committed."""
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, tracked.split("\0")):
        elsewhere = name.startswith(("tests/", "docs/", "benchmarks/", "pipelines/"))
        if elsewhere or name == "dvc.lock" or not (ROOT / name).exists():
            continue
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, target / name)
    workspace = Workspace(target)
    (target / "prompts" / "mini.yaml").write_text(MINI)
    (target / "pipelines" / "mini").mkdir(parents=True)
    (target / "pipelines" / "mini" / "dvc.yaml").write_bytes(pipeline_text("mini", checkout=True))
    workspace.replace("params.yaml", "probes: [otherview, dense]", "probes: [mini]")
    workspace.replace("params.yaml", "flips: 10000", "flips: 500")
    for stale in target.glob("reports/*/*/metrics.json"):
        stale.unlink()
    workspace.git("init", "--quiet")
    workspace.commit("A small probe")
    return workspace
