"""What a workspace begins with. The files of this repository are the template, and a test holds the copies to them."""

import re
from importlib.resources import files
from typing import Final

import yaml

from plantain.base import places
from plantain.base.environment import OWN, public_version
from plantain.stages.pipelines import pipeline_text, without_code
from plantain.stages.rooms import SECTIONS, section_version

STARTER: Final = "colours"
"""The probe that a workspace begins with: the example of `plantain probe new`."""

COPIES: Final = {
    "stages.yaml": "dvc.yaml",
    "params.yaml": "params.yaml",
    "environment.yaml": "environment.yaml",
    "gitignore": ".gitignore",
    "gitattributes": ".gitattributes",
    "dvcignore": ".dvcignore",
    "dvc_config": ".dvc/config",
    "dvc_gitignore": ".dvc/.gitignore",
    "plots/cells.json": ".dvc/plots/cells.json",
    "plots/heads.json": ".dvc/plots/heads.json",
    "reports_gitignore": "reports/.gitignore",
}
"""File of the template to the file of this repository, and of a workspace, that it is a copy of.

They have other names here, since git and DVC read files of such names wherever they lie.
"""

ON_SHELF: Final = {"otherview.yaml": "prompts/otherview.yaml", "dense.yaml": "prompts/dense.yaml"}
"""File of the shelf to the file of this repository that it is a copy of; the shelf's other probes are there alone."""

_HEAD = """\
# Public versions of the packages that can change numbers, by the stages that depend on them; `plantain` is the version
# in which the code of these stages last changed. A stage refuses to run where another version is installed;
# `plantain doctor --fix` declares what is installed, and the next run makes anew what that changes.
"""


def top_text() -> str:
    """The stages over all cells, as dvc.yaml of a workspace holds them."""
    return without_code(_read("stages.yaml"))


def environment_text() -> str:
    """The declaration of what is installed now."""
    packages: dict[str, dict[str, str]] = yaml.safe_load(_read("environment.yaml"))
    declared = {section: {OWN: section_version(section)} for section in SECTIONS}
    for section, names in packages.items():
        declared[section] |= {name: public_version(name) or str(wanted) for name, wanted in names.items()}
    return _HEAD + yaml.safe_dump(declared, sort_keys=False)


def workspace_files() -> dict[str, bytes]:
    """Every file of a new workspace, by its path there."""
    found = {target: _read(name) for name, target in COPIES.items()}
    found["dvc.yaml"], found["environment.yaml"] = top_text(), environment_text()
    found["params.yaml"] = re.sub(r"(?m)^  probes: .*$", f"  probes: [{STARTER}]", found["params.yaml"], count=1)
    skeleton = files("plantain.probe.authoring").joinpath("skeleton.yaml").read_text(encoding="utf-8")
    found[places.probe_file(STARTER).as_posix()] = skeleton.replace("NAME", STARTER)
    found[places.pipeline(STARTER).as_posix()] = pipeline_text(STARTER, checkout=False).decode()
    found["README.md"] = _read("README.md").replace("STARTER", STARTER)
    found[f"{places.PUBLISHED}/README.md"] = _read("published.md")
    found[f"{places.STUDY}/README.md"] = _read("study.md")
    return {path: text.encode() for path, text in found.items()}


def _read(name: str) -> str:
    return files("plantain.stages.workspace").joinpath("files", name).read_text(encoding="utf-8")
