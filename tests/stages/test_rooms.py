import json
from pathlib import Path

import pytest
from helpers.closure import ROOT, rooms, sources, stage_modules
from ruamel.yaml import YAML

from plantain.stages import basis
from plantain.stages.pipelines import pipeline_text
from plantain.stages.rooms import ROOMS, SHARED, code_digests, code_paths

LOADER = YAML(typ="safe")
STAGES = LOADER.load(ROOT / "dvc.yaml")["stages"] | LOADER.load(pipeline_text("otherview", checkout=True))["stages"]
NO_MODEL = ["prompts", "cells", "compare", "analyze", "verdict", "report"]


@pytest.mark.parametrize("stage", sorted(ROOMS))
def test_a_stage_stands_on_the_rooms_that_it_imports(stage):
    missing, needless = rooms(stage) - set(ROOMS[stage]), set(ROOMS[stage]) - rooms(stage)
    assert not missing, f"{stage} imports {missing}: add it to ROOMS and to its deps"
    assert not needless, f"{stage} imports nothing of {needless}"
    # A room that a stage imports lazily through `rooms` itself is none of its own.
    assert stage_modules(stage) <= {*SHARED.get(stage, ()), "frame", "rooms", stage}


def test_dvc_credits_a_stage_with_its_rooms_and_modules(tmp_path, monkeypatch):
    assert STAGES["basis"]["deps"] == ["src/plantain"]
    for name in ("params.yaml", "environment.yaml", "src"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    basis.main()
    for stage in STAGES.keys() - {"basis"}:
        (named,) = [dep for dep in STAGES[stage]["deps"] if dep.startswith(("src/", *STAGES["basis"]["outs"]))]
        held = json.loads(Path(named).read_text())["code"]
        assert list(held) == sorted(path.as_posix() for path in code_paths(stage))


@pytest.mark.parametrize("stage", NO_MODEL)
def test_a_stage_without_a_model_does_not_import_torch(stage):
    named_exception = ROOT / "src/plantain/stats/flips/device.py"  # imported only where a device is asked for
    text = "\n".join(path.read_text() for path in sources(stage) if path != named_exception)
    for heavy in ("torch", "diffusers", "transformers", "mlflow"):
        assert f"\nimport {heavy}" not in text
        assert f"\nfrom {heavy}" not in text


def test_every_pipeline_is_the_one_text():
    for path in sorted((ROOT / "pipelines").glob("*/dvc.yaml")):
        assert path.read_bytes() == pipeline_text(path.parent.name, checkout=True), "the shipped probes name no picture"


def test_plots_name_no_probe_and_no_model():
    text = (ROOT / "dvc.yaml").read_text()
    assert not [name for name in ("otherview", "dense", "tiny") if name in text]


def test_digests_cover_every_file_of_a_room_and_nothing_that_python_makes(tmp_path, monkeypatch):
    package = tmp_path / "package"
    for name in ("base/one.py", "probe/two.py", "records/three.yaml", "stages/frame.py", "stages/rooms.py"):
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text(name)
    (package / "stages" / "prompts.py").write_text("prompts")
    monkeypatch.setattr("plantain.stages.rooms.PACKAGE", package)
    before = code_digests("prompts", tmp_path)
    (package / "base/__pycache__").mkdir()
    (package / "base/__pycache__/one.pyc").write_text("made by Python")
    assert code_digests("prompts", tmp_path) == before
    (package / "records/three.yaml").write_text("changed")
    changed = code_digests("prompts", tmp_path)
    assert [name for name in before if before[name] != changed[name]] == ["records"]
