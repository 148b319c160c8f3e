"""What a person installs: the wheel, outside of any checkout."""

import email
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest
from helpers.workspace import GIT_IDENTITY

from plantain import __version__
from plantain.base.files import is_source
from plantain.stages.rooms import SECTIONS, section_version

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel of this repository, built from what git tracks; nothing is downloaded."""
    source, shelf = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    wanted = ("pyproject.toml", "README.md", "LICENSE", "src")
    listed = subprocess.run(["git", "ls-files", "-z", *wanted], cwd=ROOT, capture_output=True, text=True, check=True)
    for name in filter(None, listed.stdout.split("\0")):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, source / name)
    options = ["--quiet", "--no-build-isolation", "--no-deps", "--no-index", "--wheel-dir", str(shelf)]
    subprocess.run([sys.executable, "-m", "pip", "wheel", *options, str(source)], check=True)
    (found,) = shelf.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """Run a program with the wheel's plantain and this environment's libraries, and without this repository."""
    site = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("DVC_", "PLANTAIN_"))}
    environment |= GIT_IDENTITY | {"PYTHONPATH": str(site), "OMP_NUM_THREADS": "1"}
    environment["PATH"] = f"{sysconfig.get_path('scripts')}:{os.environ['PATH']}"

    def run(*command, cwd):
        done = subprocess.run(
            [sys.executable, *command], cwd=cwd, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


def test_the_distribution_has_its_own_name_and_the_command_is_plantain(wheel):
    assert wheel.name.startswith(f"plantain_probes-{__version__}-")
    with zipfile.ZipFile(wheel) as archive:
        (folder,) = {name.split("/")[0] for name in archive.namelist() if ".dist-info/" in name}
        metadata = email.message_from_bytes(archive.read(f"{folder}/METADATA"))
        entries = archive.read(f"{folder}/entry_points.txt").decode()
        assert {name.split("/")[0] for name in archive.namelist()} == {"plantain", folder}
    assert metadata["Name"] == "plantain-probes"
    assert "plantain = plantain.cli:main" in entries
    assert "plantain-probes[archive,bench,ray]" in str(metadata)


def test_every_file_of_the_package_is_in_the_wheel(wheel):
    package = ROOT / "src"
    wanted = {path.relative_to(package).as_posix() for path in (package / "plantain").rglob("*") if path.is_file()}
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if name.startswith("plantain/")}
    assert {name for name in wanted if is_source(name)} == held


def test_it_says_the_same_of_its_code_as_this_repository(installed, tmp_path):
    program = "from plantain.stages.rooms import *; print(PACKAGE); print(*(section_version(one) for one in SECTIONS))"
    place, versions = installed("-c", program, cwd=tmp_path).splitlines()
    assert not Path(place).is_relative_to(ROOT)
    assert versions.split() == [section_version(section) for section in SECTIONS]


@pytest.mark.long
def test_a_workspace_can_be_made_and_looked_at(installed, tmp_path):
    installed("-m", "plantain.cli", "init", "mine", cwd=tmp_path)
    said = installed("-m", "plantain.cli", "run", "--dry-run", cwd=tmp_path / "mine" / "prompts")
    assert "colours" in said
    listed = installed("-m", "plantain.cli", "probe", "list", cwd=tmp_path / "mine")
    assert all(name in listed for name in ("colours", "otherview", "dense"))
    installed("-m", "plantain.cli", "probe", "add", "otherview", cwd=tmp_path / "mine" / "prompts")
    assert (tmp_path / "mine/prompts/otherview.yaml").read_bytes() == (ROOT / "prompts/otherview.yaml").read_bytes()
    assert installed("-m", "dvc", "status", "--json", cwd=tmp_path / "mine").startswith("{")


@pytest.mark.long
def test_a_workspace_runs_from_nothing_to_published_and_audited(installed, tmp_path):
    installed("-m", "plantain.cli", "init", "mine", cwd=tmp_path)
    mine = tmp_path / "mine"
    installed("-m", "plantain.cli", "run", cwd=mine)
    assert "up to date" in installed("-m", "plantain.cli", "run", cwd=mine / "reports")
    assert "Every link holds" in installed("-m", "plantain.cli", "audit", cwd=mine)
    program = "import plantain; print([plantain.load(one).verdict.rung for one in plantain.results()])"
    assert installed("-c", program, cwd=mine / "prompts").startswith("[")
