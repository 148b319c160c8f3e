"""Upgrading plantain in a workspace re-runs what its versions say, and no more."""

import json
import re

import pytest
from helpers.command_line import plantain
from helpers.workspace import Workspace, forget_outer_checkout

import plantain as package
from plantain.base import places
from plantain.base.config import read_params
from plantain.base.environment import declared_versions
from plantain.base.errors import InputError
from plantain.base.files import readable_json, sha256_bytes
from plantain.base.yaml import read_plain
from plantain.commands.doctor import CHECKS
from plantain.stages import basis, rooms
from plantain.stages.frame import guard, stage
from plantain.stages.pipelines import add_pipeline, is_as_written, renew
from plantain.stages.workspace import keep
from plantain.stages.workspace.make import make_workspace
from plantain.stages.workspace.template import STARTER, top_text
from plantain.stages.workspace.upgrade import declare_installed, renew_stages

STAGES = {
    "prompts": {f"{STARTER}:prompts"},
    "capture": {"model@tiny", f"{STARTER}:reference@tiny", f"{STARTER}:capture@tiny", "verdict"},
    "analyze": {f"{STARTER}:analyze@tiny", "verdict"},
    "report": {f"{STARTER}:report@tiny", "compare"},
    "cells": {"cells"},
    "publish": {"publish"},
}
"""The stages that name each section of environment.yaml; a verdict names two."""


@pytest.fixture
def versions(tmp_path, monkeypatch):
    """Say that the code of sections last changed in these versions, and all other code in 1.0."""

    def say(**changed):
        table = {
            section: {"version": changed.get(section, "1.0"), "code": rooms.section_digest(section)}
            for section in rooms.SECTIONS
        }
        path = tmp_path / "changed.json"
        path.write_bytes(readable_json(table))
        monkeypatch.setattr(rooms, "CHANGED", path)
        rooms.section_version.cache_clear()

    yield say
    rooms.section_version.cache_clear()


@pytest.fixture
def workspace(tmp_path, monkeypatch, versions):
    """A workspace made by plantain 1.0."""
    forget_outer_checkout(monkeypatch)
    versions()
    made = Workspace(make_workspace(tmp_path / "mine").path)
    made.replace("params.yaml", "models: [tiny, tiny-untrained]", "models: [tiny]")
    monkeypatch.chdir(made.path)
    return made


def make_outs(workspace):
    """A file for every out of every stage, so that DVC can be told that they are what the stages made."""
    for path in (places.PIPELINE, places.pipeline(STARTER)):
        for stage_name, entry in read_plain(path)["stages"].items():
            if stage_name == "basis":
                basis.main()
                continue
            for out in [*entry["outs"], *entry.get("metrics", [])]:
                name = out if isinstance(out, str) else next(iter(out))
                name = name.replace("${item.model}", "tiny")
                target = workspace.path / name
                target = target if target.suffix else target / "tiny" / f"{STARTER}.json"
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text("{}")


def to_run(workspace):
    """The stages that `dvc repro` would run for what changed in what they stand on."""
    basis.main()
    found = json.loads(workspace.dvc("status", "--json"))
    return {re.sub(r"^pipelines/(\w+)/dvc\.yaml", r"\1", name) for name in found} - {"basis"}


def test_an_upgrade_runs_the_stages_of_the_sections_that_changed(workspace, versions):
    make_outs(workspace)
    workspace.dvc("commit", "--force")
    assert to_run(workspace) == set()
    for section in ("report", "publish"):
        versions(**{section: "1.1"})
        declare_installed()
        assert to_run(workspace) == STAGES[section], section
        assert {name for name, declared in declared_versions().items() if declared["plantain"] == "1.1"} == {section}


@pytest.mark.parametrize("section", STAGES)
def test_the_stages_of_a_section_are_those_that_depend_on_it(workspace, section):
    basis.main()
    names = {path.stem for path in places.BASIS.iterdir() if section in json.loads(path.read_text())["versions"]}
    assert names == {re.sub(r"^\w+:|@tiny$", "", name) for name in STAGES[section]}
    assert set(rooms.SECTIONS[section]) <= names


def test_another_plantain_is_refused_until_it_is_declared(workspace, versions):
    versions(report="1.1", publish="1.1")
    with pytest.raises(InputError) as caught, stage("report", section="report"):
        pass
    assert caught.value.field == "report.plantain"
    assert caught.value.problem == "plantain 1.1 is installed, and 1.0 is declared."
    assert "plantain doctor --fix" in caught.value.fix
    with pytest.raises(InputError, match=r"publish\.plantain"):
        guard("publish")
    guard("cells")
    run = plantain("run", "--dry-run")
    assert (run.code, "plantain 1.1 is installed" in run.errors) == (2, True), "before anything runs"
    look = CHECKS["versions"]
    assert "plantain 1.1 is installed and 1.0 declared" in look(False).found
    assert look(True).ok
    guard("publish")


def test_a_section_that_an_older_plantain_did_not_have_is_added(workspace):
    text = places.ENVIRONMENT.read_text()
    places.ENVIRONMENT.write_text(text[: text.index("publish:")])
    with pytest.raises(InputError, match=r"section is missing.*plantain doctor --fix"), stage("x", section="publish"):
        pass
    CHECKS["versions"](True)
    assert places.ENVIRONMENT.read_text() == text


def test_stages_that_an_older_plantain_wrote_are_written_anew_and_edited_ones_are_kept(workspace):
    body = "# older stages\nstages: {}\n"
    older = f"{body}# As plantain wrote it, by SHA-256: {sha256_bytes(body.encode())}\n"
    for path in (places.PIPELINE, places.pipeline(STARTER)):
        path.write_text(older)
        assert is_as_written(path)
    assert renew_stages() == places.PIPELINE
    assert places.PIPELINE.read_text() == top_text()
    assert renew_stages() is None
    renew(read_params().run)
    written = places.pipeline(STARTER).read_bytes()
    add_pipeline(STARTER)
    assert places.pipeline(STARTER).read_bytes() == written
    edited = top_text().replace("All cells side by side", "Every cell beside every other")
    places.PIPELINE.write_text(edited)
    assert renew_stages() is None
    assert places.PIPELINE.read_text() == edited


def test_declaring_what_is_installed_removes_no_results(workspace):
    Workspace(workspace.path).replace("params.yaml", f"probes: [{STARTER}]", "probes: [other]")
    before = places.pipeline(STARTER).read_bytes()
    declare_installed()
    assert places.pipeline(STARTER).read_bytes() == before, "only a run takes a probe's pipeline away"
    assert not places.pipeline("other").exists()


def test_the_table_holds_for_the_code_of_a_release():
    if not rooms.is_unreleased():
        noted = json.loads(rooms.CHANGED.read_text())
        assert noted == keep.table(), "run `python -m plantain.stages.workspace.keep` before a release"


def test_code_that_changed_takes_the_version_at_hand_and_other_code_keeps_its_own(versions, monkeypatch):
    versions(report="0.9")
    digest = rooms.section_digest
    for module in (rooms, keep):
        monkeypatch.setattr(module, "section_digest", lambda name: "f" * 64 if name == "report" else digest(name))
    monkeypatch.setattr(package, "__version__", "1.1")
    assert {one: rooms.section_version(one) for one in ("prompts", "report")} == {"prompts": "1.0", "report": "1.1"}
    assert keep.table()["report"] == {"version": "1.1", "code": "f" * 64}
    assert keep.table()["prompts"]["version"] == "1.0"
    rooms.section_version.cache_clear()
    monkeypatch.setattr(package, "__version__", "1.2.dev0")
    assert rooms.section_version("report") == "1.2.dev0+ffffffff"
    assert rooms.section_version("prompts") == "1.0"


@pytest.mark.parametrize("section", rooms.SECTIONS)
def test_a_section_changes_with_the_code_of_its_stages_and_with_no_other(section, monkeypatch):
    before = rooms.section_digest(section)
    real = rooms._digest
    everything = {path for name in rooms.ROOMS for path in rooms.code_paths(name)}
    own = {path for name in rooms.SECTIONS[section] for path in rooms.code_paths(name)}
    for path in sorted(everything):
        monkeypatch.setattr(rooms, "_digest", lambda at, hit=path: "0" * 64 if at == rooms.PACKAGE / hit else real(at))
        assert (rooms.section_digest(section) != before) == (path in own), path


def test_receipts_name_the_plantain_that_ran(workspace):
    with stage("prompts", section="prompts") as current:
        current.out(places.records("mine")).write_text("x")
    receipt = json.loads(places.receipt("prompts").read_text())
    assert receipt["packages"]["plantain"] == "1.0"
    assert receipt["code"] == rooms.code_digests("prompts")
