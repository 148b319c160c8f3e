"""Bring a workspace without code up to the plantain that is installed: what it declares, and the text of its stages."""

from pathlib import Path

from plantain.base import places
from plantain.base.config import read_params
from plantain.base.files import write_atomic
from plantain.stages.pipelines import is_as_written, is_checkout, renew
from plantain.stages.workspace.template import environment_text, top_text


def declare_installed() -> None:
    """Write environment.yaml anew, and the stages that nobody edited. A section that says the same re-runs nothing."""
    write_atomic(places.ENVIRONMENT, environment_text().encode())
    renew_stages()
    renew(read_params().run)


def renew_stages() -> Path | None:
    """Write dvc.yaml as this plantain does; None where it is so already, was edited, or is a checkout's own."""
    path, wanted = places.PIPELINE, top_text()
    if is_checkout() or not path.exists() or not is_as_written(path) or path.read_text(encoding="utf-8") == wanted:
        return None
    write_atomic(path, wanted.encode())
    return path
