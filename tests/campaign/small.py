"""The smallest workspace that runs the whole pipeline, and what is compared of it afterwards."""

import hashlib
import os
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.helpers.workspace import Workspace, copy_repository

KEPT = ("data", "models", "receipts", "reports", "dvc.lock", "pipelines", "mlflow/published.json", "params.yaml")
"""What has to be the same bytes, whatever happened on the way."""

PARAMS = {
    "models": "[tiny]", "steps": "1", "flips": "100", "permutations": "100", "splits": "10", "split_flips": "20",
    "dpi": "40",
}  # fmt: skip
"""Keys of params.yaml and the least that they may say."""

CAUSES = ("DVC_", "PLANTAIN_", "MLFLOW_", "STRIKE_")


@dataclass(frozen=True)
class Small:
    """A workspace, and how its programs are started."""

    workspace: Workspace
    command: tuple[str, ...]
    """What is killed and resumed: it makes everything that is compared."""
    whole: bool
    """Whether that is everything that plantain makes."""

    @property
    def path(self) -> Path:
        """The root of the workspace."""
        return self.workspace.path

    def environment(self, **more: str) -> dict[str, str]:
        """The workspace's own sources first on the path, those of the strike among them."""
        return self.workspace.environment | {"PYTHONPATH": str(self.path / "src"), **more}

    def reset(self) -> None:
        """As it was committed: no result, no cache, no note of DVC; compiled Python stays."""
        self.workspace.git("clean", "-qxdff", "--exclude=__pycache__")
        self.workspace.git("checkout", "--quiet", ".")
        for name in ("cache", "tmp"):
            shutil.rmtree(self.path / ".dvc" / name, ignore_errors=True)

    def snapshot(self) -> dict[str, str]:
        """SHA-256 by path of everything that is compared."""
        files = (file for name in KEPT for file in _files(self.path / name))
        return {
            file.relative_to(self.path).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
            for file in files
            if not is_left_over(file)
        }

    def left_overs(self) -> list[str]:
        """Files that were being written when their writer was killed; neither git nor DVC looks at them."""
        return [str(file) for name in (*KEPT, ".plantain") for file in _files(self.path / name) if is_left_over(file)]


def is_left_over(file: Path) -> bool:
    """Whether a file, or a folder around it, carries a temporary name."""
    return any(part.startswith(".") and part.endswith((".tmp", ".partial")) for part in file.parts)


def _files(path: Path) -> list[Path]:
    return sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path] * path.is_file()


def whole(folder: Path) -> Small:
    """A workspace whose command is all of ``plantain run``: three items, two wordings, one image, one model."""
    return _made(folder, ("-m", "plantain.cli", "run"), whole=True)


def brief(folder: Path) -> Small:
    """A workspace whose command is the two stages that need no model."""
    return _made(folder, ("-m", "dvc", "repro", "cells", "pipelines/mini/dvc.yaml:prompts"), whole=False)


def _made(folder: Path, command: tuple[str, ...], *, whole: bool) -> Small:
    for name in [name for name in os.environ if name.startswith(CAUSES)]:
        del os.environ[name]
    workspace = copy_repository(folder)
    params = folder / "params.yaml"
    text = params.read_text()
    for key, value in PARAMS.items():
        text = re.sub(rf"^(  (?:  )?{key}: )(?!0 |201 |\n)(\[.*\]|[^\s#]+)", rf"\g<1>{value}", text, flags=re.MULTILINE)
    params.write_text(text)
    probe = folder / "prompts/mini.yaml"
    probe.write_text("".join(line for line in probe.read_text().splitlines(True) if "rank: 4" not in line))
    shutil.copy2(Path(__file__).with_name("strike.py"), folder / "src/sitecustomize.py")
    workspace.commit("As small as it can be")
    return Small(workspace, (sys.executable, *command), whole)
