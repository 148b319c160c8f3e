import errno
import json
import os
import runpy
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from plantain.base import places
from plantain.base.environment import observed_versions, write_declared
from plantain.base.errors import InputError, PlantainError
from plantain.base.params import RunParams
from plantain.base.yaml import read_plain, read_yaml
from plantain.records import journal
from plantain.records.receipt import read_receipt
from plantain.stages import basis
from plantain.stages.cells import stale_outs
from plantain.stages.frame import run, stage
from plantain.stages.pipelines import add_pipeline, check_pictures, follow, pipeline_text, renew
from plantain.stages.rooms import code_paths

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    for name in ("params.yaml", "environment.yaml"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    params = (tmp_path / "params.yaml").read_text()
    (tmp_path / "params.yaml").write_text(params.replace("probes: [otherview, dense]", "probes: [demo, otherview]"))
    (tmp_path / "input.txt").write_text("one")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    monkeypatch.delenv("PLANTAIN_CACHE", raising=False)
    return tmp_path


def copy_input():
    with stage("prompts", section="prompts", probe="demo") as current:
        text = current.read(Path("input.txt")).read_text()
        current.use("capture.seeds")
        current.out(Path("out/copy.txt")).write_text(text)


def test_a_receipt_says_what_was_read_written_and_used(workspace):
    copy_input()
    receipt = read_receipt(Path("receipts/prompts/demo.json"))
    assert Path("out/copy.txt").read_text() == "one"
    assert [record.path for record in receipt.reads] == ["input.txt"]
    assert [record.path for record in receipt.writes] == ["out/copy.txt"]
    assert receipt.reads[0].sha256 == receipt.writes[0].sha256
    assert receipt.params["capture.seeds"] == [0]
    assert set(receipt.packages) == {"polars", "ruamel.yaml", "snowballstemmer"}
    assert list(receipt.code) == sorted(path.as_posix() for path in code_paths("prompts"))


def test_equal_inputs_give_an_equal_receipt_and_a_journal_line_each(workspace):
    copy_input()
    first = Path("receipts/prompts/demo.json").read_bytes()
    time.sleep(0.01)
    copy_input()
    assert Path("receipts/prompts/demo.json").read_bytes() == first
    lines = journal.executions()
    assert len(lines) == 2
    assert lines[0].receipt_sha256 == lines[1].receipt_sha256
    assert lines[0].started < lines[1].started


@pytest.mark.parametrize("again", [False, True])
def test_an_input_edited_meanwhile_commits_nothing(workspace, again):
    Path("out").mkdir()
    Path("out/copy.txt").write_text("old")
    with (
        pytest.raises(PlantainError, match=r"input\.txt: changed while"),
        stage("prompts", section="prompts") as current,
    ):
        current.read(Path("input.txt"))
        current.out(Path("out/copy.txt")).write_text("new")
        Path("input.txt").write_text("two")
        if again:  # what was read first made numbers too
            current.read(Path("input.txt"))
    assert Path("out/copy.txt").read_text() == "old"
    assert sorted(path.name for path in Path("out").iterdir()) == ["copy.txt"]
    assert not Path("receipts").exists()
    assert journal.executions() == []


def fill(**files):
    with stage("reference", section="prompts", probe="demo", model="tiny") as current:
        folder = current.folder(places.images("tiny", "demo"))
        for name, text in files.items():
            (folder / f"{name}.png").write_text(text)


def test_a_folder_has_a_manifest_that_says_what_sha256sum_says(workspace):
    fill(one="first", two="second")
    path = Path("data/manifests/references/tiny/demo.json")
    said = subprocess.run(["sha256sum", "one.png", "two.png"], cwd="data/references/tiny/demo", check=True,
                          capture_output=True, text=True).stdout.split()  # fmt: skip
    assert json.loads(path.read_text())["files"] == dict(zip(said[1::2], said[::2], strict=True))
    assert path.as_posix() in [record.path for record in read_receipt(Path("receipts/reference/tiny/demo.json")).writes]
    before = path.read_bytes()
    fill(two="second", one="first")
    assert path.read_bytes() == before


@pytest.mark.parametrize("harm", [lambda path: path.write_text("changed by hand"), Path.unlink])
def test_a_stage_refuses_a_file_that_is_not_what_its_manifest_says(workspace, harm):
    fill(one="first", two="second")
    folder = places.images("tiny", "demo")
    with stage("capture", section="prompts") as current:
        current.read_listed(folder)
        read = [path.as_posix() for path in current.reads]
    assert read == ["data/manifests/references/tiny/demo.json", *(f"{folder}/{name}.png" for name in ("one", "two"))]
    harm(folder / "two.png")
    with pytest.raises(InputError) as caught, stage("capture", section="prompts") as current:
        current.read_listed(folder)
    assert (caught.value.file, bool(caught.value.fix)) == (folder / "two.png", True)
    with stage("capture", section="prompts") as current:
        current.read_listed(folder, "one.png")


@pytest.mark.parametrize("path", [places.PARAMS, places.ENVIRONMENT])
def test_a_stage_that_dvc_runs_refuses_settings_that_dvc_did_not_see(workspace, monkeypatch, path):
    monkeypatch.setenv("DVC_STAGE", "pipelines/demo/dvc.yaml:analyze@tiny")
    basis.main()
    unseen = {places.PARAMS: ("splits: 100", "splits: 99"), places.ENVIRONMENT: ("scipy: ", "scipy: 9")}[path]
    path.write_text(path.read_text().replace(*unseen))
    with pytest.raises(PlantainError, match="`dvc repro` again"), stage("analyze", section="prompts"):
        pytest.fail("it ran")
    with stage("reference", section="prompts") as current:
        assert current.name == "reference", "which stands on nothing of what changed"
    basis.main()
    with stage("analyze", section="prompts") as current:
        assert current.raw == read_yaml(places.PARAMS).data


def test_a_failed_stage_leaves_nothing_half_written(workspace):
    with pytest.raises(ZeroDivisionError), stage("prompts", section="prompts") as current:
        current.out(Path("out/folder")).mkdir()
        raise ZeroDivisionError
    assert list(Path("out").iterdir()) == []


@pytest.mark.parametrize(
    "refused", [OSError(errno.ENOSPC, "full"), RuntimeError("parquet: No space left on device (os error 28)")]
)
def test_a_full_disk_names_the_out_and_leaves_the_old_one(workspace, refused):
    copy_input()
    with pytest.raises(OSError, match="No space left") as caught, stage("prompts", section="prompts") as current:
        current.out(Path("out/copy.txt")).write_text("half")
        raise refused
    assert caught.value.filename == "out/copy.txt"
    assert Path("out/copy.txt").read_text() == "one"
    assert [path.name for path in Path("out").iterdir()] == ["copy.txt"]
    assert len(journal.executions()) == 1


def test_a_stage_says_in_one_sentence_that_the_disk_is_full(workspace, monkeypatch, capsys):
    def main():
        with stage("prompts", section="prompts", probe="demo") as current:
            current.out(Path("out/copy.txt")).write_text("new")

    def full(descriptor):
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SystemExit) as left:
        run(main)
    assert left.value.code == 1
    said = capsys.readouterr().err
    assert said.startswith("plantain: receipts/prompts/demo.json: cannot be read or written: no space left on device.")
    assert "Fix: free some space" in said
    assert said.count("\n") == 1


def test_a_journal_line_cut_by_a_full_disk_spoils_no_other(workspace, monkeypatch):
    copy_input()
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:20]))
    with pytest.raises(OSError, match="No space left") as caught:
        journal.append(journal.executions()[0])
    assert caught.value.filename == str(journal.journal_path())
    monkeypatch.setattr(os, "write", write)
    journal.append(journal.executions()[0])
    assert len(journal.executions()) == 2


def test_a_missing_input_names_the_file_and_the_fix(workspace):
    with pytest.raises(InputError, match=r"nowhere\.txt: .*dvc repro"), stage("prompts", section="prompts") as current:
        current.read(Path("nowhere.txt"))


def test_another_version_than_declared_is_refused_by_name(workspace):
    path = places.ENVIRONMENT
    path.write_text(path.read_text().replace("scipy: 1.17.1", "scipy: 0.0.1"))
    with pytest.raises(InputError) as caught:
        observed_versions("analyze")
    assert caught.value.field == "analyze.scipy"
    assert "0.0.1 is declared" in caught.value.problem
    assert "scipy: 0.0.1" in path.read_text().splitlines()[caught.value.line - 1]


def test_doctor_declares_what_the_constraints_pin(workspace):
    Path("constraints.txt").write_text("SciPy==9.9.9\nnumpy==8.8.8  # why\n")
    before = places.ENVIRONMENT.read_text()
    write_declared(Path("constraints.txt"))
    after = places.ENVIRONMENT.read_text()
    assert "scipy: 9.9.9" in after
    assert after.count("numpy: 8.8.8") == 3
    assert after.splitlines()[0] == before.splitlines()[0]


def test_the_declared_versions_are_those_of_the_constraints(workspace):
    declared = places.ENVIRONMENT.read_bytes()
    write_declared(ROOT / "constraints.txt")
    assert places.ENVIRONMENT.read_bytes() == declared


def test_a_torn_journal_line_is_left_out(workspace):
    copy_input()
    with journal.journal_path().open("a") as stream:
        stream.write('{"receipt_sha256": "ab')
    assert len(journal.executions()) == 1


def test_kill_in_mid_stage_leaves_no_out_and_the_next_run_is_whole(workspace):
    script = textwrap.dedent("""
        import time
        from pathlib import Path
        from plantain.stages.frame import stage
        with stage("prompts", section="prompts", probe="demo") as current:
            current.out(Path("out/copy.txt")).write_text("half")
            print("writing", flush=True)
            time.sleep(60)
    """)
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, env=os.environ, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "writing\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not Path("out/copy.txt").exists()
    copy_input()
    assert sorted(path.name for path in Path("out").iterdir()) == ["copy.txt"]


def test_a_stage_of_a_probe_that_left_the_run_stops_before_any_work(workspace):
    with (
        pytest.raises(InputError, match=r"params\.yaml:\d+: run\.probes: 'dense' .*`plantain probe rm dense`"),
        stage("capture", section="capture", probe="dense", model="tiny"),
    ):
        pytest.fail("it ran")


TOP_LOCK = """
stages:
  model@old-model: {outs: [{path: models/old-model/model.lock.json}]}
  model@tiny: {outs: [{path: models/tiny/model.lock.json}]}
  compare: {outs: [{path: reports/index.html}]}
"""
PROBE_LOCK = """
stages:
  report@old-model: {outs: [{path: reports/old-model/kept/index.html}, {path: receipts/report/old-model/kept.json}]}
  report@tiny: {outs: [{path: reports/tiny/kept/index.html}]}
  prompts: {outs: [{path: data/prompts/kept.parquet}]}
"""


@pytest.fixture
def locked(workspace):
    add_pipeline("kept")
    places.LOCK.write_text(TOP_LOCK)
    places.pipeline_lock("kept").write_text(PROBE_LOCK)


def test_only_outs_of_models_that_left_the_run_are_stale(locked):
    assert [path.as_posix() for path in stale_outs(RunParams(probes=["kept"], models=["tiny"]))] == [
        "models/old-model/model.lock.json",
        "receipts/report/old-model/kept.json",
        "reports/old-model/kept/index.html",
    ]


def test_pipelines_follow_run_probes_and_results_of_a_probe_that_left_go_with_its_own(locked):
    page, shared = Path("reports/tiny/kept/index.html"), Path("reports/index.html")
    for path in (page, shared):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("a page")
    assert follow(RunParams(probes=["kept", "fresh"], models=["tiny"])) == (["fresh"], [])
    assert places.pipeline("fresh").read_bytes() == pipeline_text("fresh")
    assert follow(RunParams(probes=["fresh"], models=["tiny"])) == ([], ["kept"])
    assert (page.exists(), shared.exists(), places.pipeline("kept").parent.exists()) == (False, True, False)


PICTURED = """
probe: kept
references:
  plain: {file: prompts/pictures/one.png}
  "{event}_before": {file: "more/{event}/before.png"}
conditions:
  a: {prompt: "Show {event}", reference: plain}
  b: {prompt: "Show {event} before", reference: "{event}_before"}
contrasts:
  target: {a: a, b: b, role: target}
items:
  - {id: flood, event: flood}
  - {id: fire, event: fire}
"""


def test_dvc_watches_the_pictures_that_a_probe_names(locked):
    run = RunParams(probes=["kept"], models=["tiny"])
    places.probe_file("kept").parent.mkdir(exist_ok=True)
    places.probe_file("kept").write_text(PICTURED)
    pictures = [Path("prompts/pictures/one.png"), Path("more/flood/before.png")]
    with pytest.raises(InputError, match="no dependency"):
        check_pictures("kept", pictures)
    follow(run)
    check_pictures("kept", pictures)
    stages = read_plain(places.pipeline("kept"))["stages"]
    assert stages["prompts"]["deps"][:3] == ["prompts/kept.yaml", "more", "prompts/pictures/one.png"]
    places.probe_file("kept").write_text(PICTURED.replace("more/{event}", "other/{event}"))
    follow(run)
    assert '- "other"' in places.pipeline("kept").read_text()
    follow(RunParams(probes=["fresh"], models=["tiny"]))
    assert not places.pipeline("kept").exists()


def test_a_pipeline_that_a_checkout_wrote_earlier_is_written_anew(workspace):
    template = Path("src/plantain/stages/pipeline.yaml")
    template.parent.mkdir(parents=True)
    template.write_text("# of earlier\nvars: ['probe: @PROBE@']\ndeps:\n      - prompts/${probe}.yaml\nmore: {}\n")
    earlier = template.read_text().replace("@PROBE@", "kept").replace("more:", '      - "pictures"\nmore:')
    git = ("git", "-c", "user.name=Test", "-c", "user.email=test@example.org")
    subprocess.run(["git", "init", "--quiet"], check=True)
    subprocess.run(["git", "add", str(template)], check=True)
    subprocess.run([*git, "commit", "--quiet", "--message", "Earlier"], check=True)
    path = places.pipeline("kept")
    path.parent.mkdir(parents=True)
    for text in (f"{earlier}edited: {{}}\n", earlier):
        path.write_text(text)
        renew(RunParams(probes=["kept"], models=["tiny"]))
        assert (path.read_bytes() == pipeline_text("kept")) == (text == earlier)


def test_a_pipeline_that_was_edited_is_never_removed(locked):
    places.pipeline("kept").write_text("stages: {}")
    with pytest.raises(InputError, match="edited"):
        follow(RunParams(probes=["fresh"], models=["tiny"]))
    assert places.pipeline("kept").exists()
    assert not places.pipeline("fresh").exists()


@pytest.mark.parametrize(
    ("arguments", "takes", "given"),
    [
        (["report"], "PROBE MODEL", "nothing was given"),
        (["report", "otherview"], "PROBE MODEL", "otherview was given"),
        (["analyze", "otherview", "tiny", "more"], "PROBE MODEL", "otherview tiny more was given"),
        (["prompts"], "PROBE", "nothing was given"),
        (["compare", "tiny"], "no arguments", "tiny was given"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*found in sys.modules:RuntimeWarning")
def test_a_stage_without_its_arguments_says_its_usage(tmp_path, monkeypatch, capsys, arguments, takes, given):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", arguments)
    with pytest.raises(SystemExit) as ended:
        runpy.run_module(f"plantain.stages.{arguments[0]}", run_name="__main__")
    assert ended.value.code == 2
    usage = f"python -m plantain.stages.{arguments[0]}" + ("" if takes == "no arguments" else f" {takes}")
    fix = f"Fix: run `{usage}`, or `dvc repro`, which knows them."
    assert capsys.readouterr().err == f"plantain: this stage takes {takes}, and {given}. {fix}\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("used", "problem", "given", "field", "words"),
    [
        (["analyses"], "Shift 900 does not fit 75 alive units.", "shift", "analyses.heads.shift", "    shift: 900"),
        (["verdict"], "Shift 800 does not fit 75 alive units.", "shift", "verdict.shift", "  shift: 800"),
        (
            ["analyses"],
            "16777216 flips are too many to calibrate.",
            "flips",
            "analyses.heads.flips",
            "    flips: exact",
        ),
        (
            ["capture"],
            "groups of 16 channels, not 8.",
            "capture.group_width",
            "capture.group_width",
            "  group_width: 8",
        ),
        (["models"], "height 72 does not fit the latent.", "models.tiny", "models.tiny", "  tiny:"),
    ],
)
def test_an_error_about_a_parameter_says_where_it_stands(workspace, used, problem, given, field, words):
    text = places.PARAMS.read_text().replace("    shift: 0", "    shift: 900", 1)
    text = text.replace("    flips: 10000", "    flips: exact", 1).replace("group_width: 16", "group_width: 8", 1)
    places.PARAMS.write_text(text.replace("  shift: 0\n", "  shift: 800\n", 1))
    with pytest.raises(InputError) as caught, stage("analyze", section="analyze") as current:
        current.use(*used)
        raise InputError(problem, field=given)
    assert caught.value.field == field
    assert caught.value.file == places.PARAMS
    assert places.PARAMS.read_text().splitlines()[caught.value.line - 1].startswith(words)
    assert caught.value.problem == problem
    assert caught.value.fix


def test_an_error_about_something_else_stays_as_it_is(workspace):
    for error in (InputError("no.", field="--kind"), InputError("no.", file="a", field="verdict.shift")):
        with pytest.raises(InputError) as caught, stage("analyze", section="analyze") as current:
            current.use("verdict")
            raise error
        assert str(caught.value) == str(error)


@pytest.mark.parametrize(
    ("how", "asked", "threads"),
    [
        (["-m", "plantain.stages.rooms"], {}, "1"),
        (["-m", "plantain.stages.rooms"], {"OPENBLAS_NUM_THREADS": "3"}, "3"),
        (["-c", "import plantain.stages.rooms"], {}, "None"),
    ],
)
def test_a_stage_alone_keeps_openblas_from_waiting_in_loops(how, asked, threads, tmp_path):
    """Who imports the stages, as the command line and notebooks do, keeps the threads that they had."""
    said = "import atexit, os; atexit.register(lambda: print(os.environ.get('OPENBLAS_NUM_THREADS')))"
    (tmp_path / "sitecustomize.py").write_text(said)
    inherited = {name: value for name, value in os.environ.items() if name != "OPENBLAS_NUM_THREADS"}
    paths = os.pathsep.join([str(tmp_path), *sys.path])
    found = subprocess.run(
        [sys.executable, *how],
        env=inherited | asked | {"PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.split() == [threads]
