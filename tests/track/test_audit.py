import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest
from helpers.track_helpers import runs
from helpers.track_repo import make_repository, plantain
from helpers.workspace import Workspace, forget_outer_checkout

from plantain.report.columns import WIDTH


@pytest.fixture(scope="session")
def ran(tmp_path_factory):
    """A repository in which everything ran once and was committed."""
    workspace = make_repository(tmp_path_factory.mktemp("ran"))
    workspace.dvc("repro")
    workspace.commit("Results")
    return workspace


@pytest.fixture(autouse=True)
def outside(monkeypatch):
    """Nothing of the outer checkout in the environment."""
    forget_outer_checkout(monkeypatch)


def copy_of(workspace, target):
    """A copy with the same journal and the same store."""
    shutil.copytree(workspace.path, target, symlinks=True)
    copy = Workspace(target)
    copy.environment["PYTHONPATH"] = "src"
    return copy


@pytest.fixture
def repository(ran, tmp_path):
    return copy_of(ran, tmp_path / "repository")


@pytest.fixture(scope="session")
def measured(ran, tmp_path_factory):
    """A second commit, with another measure."""
    workspace = copy_of(ran, tmp_path_factory.mktemp("measured") / "repository")
    workspace.replace("params.yaml", "measure: log_rms", "measure: rms")
    workspace.dvc("repro")
    workspace.commit("Another measure")
    return workspace


@pytest.fixture(scope="session")
def edited(ran, tmp_path_factory):
    """One creature changed; the first attempt was killed in mid-capture. Gives the workspace and what that left."""
    workspace = copy_of(ran, tmp_path_factory.mktemp("edited") / "repository")
    workspace.replace("prompts/mini.yaml", "a parrot", "a grey parrot")
    receipt = workspace.path / "receipts/capture/tiny/mini.json"
    options = {"cwd": workspace.path, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    environment = workspace.environment | {"STAND_IN_WAITS": "300"}
    command = [sys.executable, "-m", "dvc", "repro"]
    process = subprocess.Popen(command, env=environment, start_new_session=True, **options)
    deadline = time.monotonic() + 240
    while receipt.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    left = receipt.exists(), plantain(workspace, "audit", "--level", "hashes", check=False)
    workspace.dvc("repro")
    return workspace, left


def audit(workspace, *arguments):
    """Whether all links hold, and the answer for programs."""
    output = plantain(workspace, "audit", "--json", *arguments, check=False)
    answer = json.loads(output[output.index("{") :])
    return answer["ok"], answer


def first(workspace, level="hashes"):
    ok, answer = audit(workspace, "--level", level)
    assert not ok
    return answer["first_broken"]


def test_every_link_of_a_fresh_result_holds_and_leads_to_its_prompts(repository):
    ok, answer = audit(repository)
    assert ok, answer["first_broken"]
    assert answer["mlflow"] == "checked"
    (result,) = answer["results"]
    assert [step["stage"] for step in result["chain"]] == [
        "model",
        "prompts",
        "reference",
        "capture",
        "analyze",
        "report",
    ]
    prompts = next(step for step in result["chain"] if step["stage"] == "prompts")
    assert [read["path"] for read in prompts["reads"]] == ["prompts/mini.yaml"]
    assert prompts["execution"]["commit"] == repository.git("rev-parse", "HEAD~1").strip()
    assert len(result["prompts"]["records"]) == 10
    stated = json.loads((repository.path / "reports/tiny/mini/metrics.json").read_text())
    assert result["numbers"] == stated
    assert repository.git("status", "--porcelain") == ""


def flip(path, at=-1):
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.unlink()
    path.write_bytes(data)


def test_rules_changed_after_looking_and_an_edited_table_show(repository):
    folder = repository.path / "reports" / "nulls" / "tiny-reinit"
    folder.mkdir(parents=True)
    (folder / "mini.json").write_text("{}")
    (repository.path / "reports/verdicts.json").write_text("{}")
    repository.commit("Verdicts")
    repository.replace("params.yaml", "saturation: 0.9", "saturation: 0.1")
    output = plantain(repository, "audit", "--level", "hashes", check=False)
    said = "NOTE rules of the verdict changed after verdicts were published (not committed yet): saturation 0.9 -> 0.1"
    assert said in " ".join(output.split())
    ok, answer = audit(repository, "--level", "hashes")
    assert answer["rule_changes"][0]["rules"] == {"saturation": [0.9, 0.1]}
    assert not ok
    assert answer["first_broken"]["path"] == "reports/nulls/tiny-reinit/mini.json"
    assert "there is no receipt beside it" in answer["first_broken"]["problem"]


def test_wordings_dropped_after_looking_and_the_number_of_questions_show(repository):
    (set_sha256,) = json.loads((repository.path / "reports/ledger.json").read_text())["prompt_sets"]
    dropped = "Render this kitchen with {creature} in it"
    repository.replace("prompts/mini.yaml", dropped, "A kitchen with {creature} in it")
    output = plantain(repository, "audit", "mini@tiny", "--level", "hashes", check=False)
    commit = repository.git("log", "-1", "--format=%H", "--", "reports/ledger.json").strip()
    said = f"wordings dropped since set {set_sha256[:12]} whose numbers were published (commit {commit[:10]})"
    flat = " ".join(output.split())
    assert f'NOTE mini@tiny: {said}: published b: mention "{dropped}"' in flat
    assert "NOTE tiny was asked 1 probe in 1 prompt set; where there is nothing to find" in flat
    assert "BROKEN" in flat
    assert all(len(line) <= WIDTH for line in output.splitlines())
    _, answer = audit(repository, "mini@tiny", "--level", "hashes")
    assert answer["asked"] == {"tiny": {"model": "tiny", "probes": 1, "prompt_sets": 1, "whole": True}}
    (found,) = answer["results"][0]["dropped_wordings"]
    assert (found["prompts_sha256"], [one["contrast"] for one in found["sides"]]) == (set_sha256, ["published"])


def test_a_flipped_byte_of_the_activations_is_named_with_the_numbers_it_undermines(repository):
    flip(repository.path / "data/activations/tiny/mini.safetensors")
    broken = first(repository)
    assert (broken["link"], broken["path"]) == ("activations", "data/activations/tiny/mini.safetensors")
    assert (broken["cell"], broken["numbers"] > 30) == ("mini@tiny", True)
    text = plantain(repository, "audit", "--level", "hashes", check=False)
    assert "undermines" in text
    assert "mini@tiny" in text


def test_tampering_is_caught_at_the_right_link(repository):
    root = repository.path
    cases = {
        "prompts/mini.yaml": ("probe file", lambda text: text.replace("a parrot", "a carrot")),
        "data/prompts/mini.contrasts.json": ("prompts", lambda text: text.replace('"published"', '"publishes"', 1)),
        "data/references/tiny/mini/kitchen.png": ("reference", lambda text: text + "!"),
        "receipts/analyze/tiny/mini.json": (
            "receipt",
            lambda text: re.sub(r'("max_abs_t": )[\d.]+', r"\g<1>99.5", text),
        ),
        "src/plantain/analysis/summary.py": ("code", lambda text: text + "\n"),
        "reports/ledger.json": ("ledger", lambda text: re.sub(r'("heads_over_t3": )[\d.]+', r"\g<1>77.0", text)),
    }
    for name, (link, change) in cases.items():
        path = root / name
        before = path.read_bytes()
        path.unlink()
        path.write_text(change(before.decode("latin-1")), encoding="latin-1")
        assert path.read_bytes() != before
        broken = first(repository)
        assert (broken["link"], broken["path"]) == (link, "src/plantain/analysis" if link == "code" else name)
        path.write_bytes(before)
    assert audit(repository, "--level", "hashes")[0]


def test_an_altered_number_is_named(repository):
    path = repository.path / "reports/tiny/mini/metrics.json"
    path.write_text(re.sub(r'("pairs": )[\d.]+', r"\g<1>6.0", path.read_text(), count=1))
    ok, answer = audit(repository, "--level", "hashes")
    problems = [broken["problem"] for broken in answer["results"][0]["broken"] if broken["link"] == "metrics"]
    assert not ok
    assert any("published.card.pairs is 6.0, and the receipt says 5" in problem for problem in problems)


def test_numbers_that_no_activations_give_fail_the_audit_though_every_hash_agrees(repository):
    """A forger who writes receipt, metrics, lock and ledger alike is caught by computing again."""
    root = repository.path
    for name in ("receipts/analyze/tiny/mini.json", "reports/tiny/mini/metrics.json"):
        path = root / name
        text = re.sub(r'("heads_over_t3": )[\d.]+', r"\g<1>4.0", path.read_text())
        path.unlink()
        path.write_text(text)
    forge = """
import hashlib, json, pathlib
receipt = json.loads(pathlib.Path("receipts/analyze/tiny/mini.json").read_text())
for record in receipt["writes"]:
    content = pathlib.Path(record["path"]).read_bytes()
    record |= {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
from plantain.records.receipt import Receipt, write_receipt
write_receipt(pathlib.Path("receipts/analyze/tiny/mini.json"), Receipt.model_validate(receipt))
"""
    repository.run(sys.executable, "-c", forge)
    repository.dvc("commit", "--force", "pipelines/mini/dvc.yaml:analyze@tiny")
    repository.dvc("repro")
    assert audit(repository, "--level", "hashes")[0]
    broken = first(repository, "stats")
    assert broken["link"] == "statistics"
    assert "heads_over_t3 is 4.0" in broken["problem"]


def test_an_input_that_dvc_credits_after_an_edit_while_the_stage_ran_is_caught(repository):
    """What DVC does when an input changes before it hashes: it records the new bytes for the old numbers."""
    path = repository.path / "prompts/mini.yaml"
    path.write_text(path.read_text().replace("a parrot", "a grey parrot"))
    repository.dvc("commit", "--force", "pipelines/mini/dvc.yaml:prompts")
    broken = first(repository)
    assert (broken["link"], broken["path"]) == ("probe file", "prompts/mini.yaml")
    assert "edited while the stage ran" in broken["problem"]


@pytest.mark.long
def test_a_kill_in_mid_stage_leaves_no_receipt_and_the_next_repro_all_of_it(edited):
    workspace, (had_receipt, said) = edited
    assert not had_receipt
    assert "receipts/capture: there is no receipt" in said
    assert {run.info.status for run in runs(workspace.path)} == {"FINISHED"}
    ok, answer = audit(workspace, "--level", "hashes")
    assert ok, answer["first_broken"]


def max_abs_t(text):
    return json.loads(text)["published"]["heads"]["max_abs_t"]


def before_and_after(workspace):
    path = "reports/tiny/mini/metrics.json"
    return max_abs_t(workspace.git("show", f"HEAD:{path}")), max_abs_t((workspace.path / path).read_text())


def test_one_changed_creature_is_named_with_the_numbers_that_moved(edited):
    workspace, _ = edited
    text = plantain(workspace, "diff", "--every")
    assert 'item parrot edited: creature "a parrot" -> "a grey parrot"' in text
    assert "condition " not in text, "no template was edited"
    assert "possible causes: prompts mini" in text
    old, new = before_and_after(workspace)
    assert f"published.heads.max_abs_t: {old:g} -> {new:g}" in text
    found = json.loads(plantain(workspace, "diff", "mini@tiny@HEAD", "mini@tiny", "--json"))[0]
    assert {change["record"] for change in found["prompts"]} == {"parrot/viewpoint", "parrot/mention"}


def test_a_result_of_an_older_revision_is_audited_without_checking_it_out(edited):
    workspace, _ = edited
    ok, answer = audit(workspace, "mini@tiny@HEAD", "--level", "stats")
    assert ok, answer["first_broken"]
    assert answer["results"][0]["numbers"]["published"]["heads"]["max_abs_t"] == before_and_after(workspace)[0]


def numbers(workspace, *arguments):
    return json.loads(plantain(workspace, "audit", "--json", *arguments))["numbers"]


def test_a_prompt_set_leads_to_its_numbers_in_history_and_to_no_others(edited):
    workspace, _ = edited
    old, new = before_and_after(workspace)
    sides = [numbers(workspace, "--prompts", name) for name in ("prompts/mini.yaml@HEAD", "prompts/mini.yaml")]
    values = [{one["value"] for one in side if one["metric"] == "max_abs_t"} for side in sides]
    assert old in values[0] - values[1]
    assert new in values[1] - values[0]


def test_a_single_prompt_leads_to_the_numbers_that_it_entered(edited):
    workspace, _ = edited
    head = workspace.git("rev-parse", "HEAD").strip()
    assert {one["where"] for one in numbers(workspace, "--prompt", "cat")} == {"workspace", head}
    only = numbers(workspace, "--prompt", "Render this kitchen with a parrot in it")
    assert {(one["where"], *one["records"]) for one in only} == {(head, "parrot/mention")}
    receipt = json.loads((workspace.path / "receipts/prompts/mini.json").read_text())
    sha256 = receipt["prompts"]["records"]["parrot/viewpoint"]
    assert {one["where"] for one in numbers(workspace, "--prompt", sha256)} == {"workspace"}
    assert "no number" in plantain(workspace, "audit", "--prompt", "never asked", check=False)


def test_a_number_leads_to_the_result_that_reports_it(edited):
    workspace, _ = edited
    old, _ = before_and_after(workspace)
    found = numbers(workspace, "--metric", f"max_abs_t={old}")
    assert {(one["probe"], one["model"], one["contrast"]) for one in found} == {("mini", "tiny", "published")}
    assert {one["where"] for one in found} == {workspace.git("rev-parse", "HEAD").strip()}


def test_a_changed_analysis_is_told_from_changed_prompts(measured):
    found = json.loads(plantain(measured, "diff", "HEAD~1", "HEAD", "--json"))[0]
    assert found["same_activations"]
    assert not found["prompts"]
    causes = {number["name"].split(".")[1]: set(number["causes"]) for number in found["numbers"]}
    assert causes == {"heads": {"params analyses.heads.measure"}}


def test_a_result_restored_by_dvc_says_where_it_was_computed(measured, tmp_path):
    repository = copy_of(measured, tmp_path / "repository")
    repository.replace("params.yaml", "measure: rms,", "measure: log_rms,")
    output = repository.dvc("repro")
    assert re.findall(r"Running stage '([^']+)'", output) == ["publish"]
    query = "tags.contrast = 'published' and tags.analysis = 'heads'"
    found = {run.data.tags["superseded"]: run.data.tags for run in runs(repository.path, query)}
    assert set(found) == {"true", "false"}
    assert found["false"]["cached_from"].startswith("execution of 20")
    assert "cached_from" not in found["true"]


def test_a_lost_store_is_whole_again_after_sync_also_with_history(measured, tmp_path):
    repository = copy_of(measured, tmp_path / "repository")
    before = {run.data.tags["plantain.identity"] for run in runs(measured.path)}
    shutil.rmtree(repository.path / "mlflow")
    plantain(repository, "sync")
    assert {run.data.tags["plantain.identity"] for run in runs(repository.path)} < before
    answer = json.loads(plantain(repository, "sync", "--all", "--json"))
    assert answer["revisions"] == 2
    assert not answer["skipped"]
    found = runs(repository.path)
    assert {run.data.tags["plantain.identity"] for run in found} == before
    old = [run for run in found if run.data.tags["superseded"] == "true" and run.data.tags.get("stage") == "analyze"]
    assert {run.data.tags["recorded_in"] for run in old} == {repository.git("rev-parse", "HEAD~1").strip()}
    assert json.loads(plantain(repository, "sync", "--all", "--json"))["created"] == 0
    run = next(run for run in old if run.data.tags["analysis"] == "heads")
    ok, answer = audit(repository, run.info.run_id, "--level", "hashes")
    assert ok, answer["first_broken"]
    assert answer["rev"] == repository.git("rev-parse", "HEAD~1").strip()


def parents(repository):
    """The rows that stand, by experiment; the workspace's has no name."""
    found = runs(repository.path, "attributes.run_name = 'mini@tiny' and tags.superseded = 'false'")
    return {run.data.tags.get("experiment", ""): run for run in found}


@pytest.mark.long
def test_no_experiment_takes_the_row_of_the_workspace(repository):
    before = parents(repository)[""]
    repository.dvc("exp", "run", "--temp", "--name", "other-measure", "-S", "analyses.heads.measure=rms")
    repository.dvc("exp", "run", "--queue", "--name", "queued", "-S", "analyses.heads.flips=16")
    repository.dvc("queue", "start")
    repository.dvc("queue", "logs", "queued", "--follow")
    assert repository.git("status", "--porcelain") == ""
    rows = parents(repository)
    assert set(rows) == {"", "other-measure", "queued"}
    assert (rows[""].info.run_id, rows[""].data.metrics) == (before.info.run_id, before.data.metrics)
    assert rows["other-measure"].data.metrics["effect"] != before.data.metrics["effect"]
    ok, answer = audit(repository)
    assert ok, answer["first_broken"]
    ok, answer = audit(repository, "mini@tiny@other-measure", "--level", "hashes")
    assert ok, answer["first_broken"]
    text = plantain(repository, "diff", "HEAD", "other-measure")
    assert "params analyses.heads.measure: log_rms -> rms" in text
    assert json.loads(plantain(repository, "sync", "--all", "--json"))["created"] == 0

    repository.dvc("exp", "branch", "queued", "kept")
    repository.dvc("exp", "apply", "other-measure")
    repository.repro()
    applied = parents(repository)
    assert applied[""].data.metrics == rows["other-measure"].data.metrics
    ok, answer = audit(repository)
    assert ok, answer["first_broken"]
    plantain(repository, "sync", "--all")
    assert set(parents(repository)) == {"", "other-measure", "queued"}


@pytest.mark.long
def test_a_clone_answers_from_the_ledger_and_verifies_after_a_pull(repository, tmp_path):
    repository.dvc("remote", "add", "--local", "--default", "shelf", str(tmp_path / "shelf"))
    repository.dvc("push")
    repository.git("clone", "--quiet", str(repository.path), str(tmp_path / "clone"))
    clone = Workspace(tmp_path / "clone")
    clone.environment["PYTHONPATH"] = "src"
    metrics = json.loads((clone.path / "reports/tiny/mini/metrics.json").read_text())
    value = metrics["published"]["heads"]["max_abs_t"]
    assert "mini@tiny  published.heads" in plantain(clone, "audit", "--metric", f"max_abs_t={value}")
    broken = first(clone)
    assert broken["link"] == "receipt"
    assert "dvc pull" in broken["problem"]
    clone.dvc("remote", "add", "--local", "--default", "shelf", str(tmp_path / "shelf"))
    clone.dvc("pull")
    ok, answer = audit(clone)
    assert ok, answer["first_broken"]
    assert "plantain sync" in answer["mlflow"]
    assert re.findall(r"Running stage '([^']+)'", clone.dvc("repro")) == ["publish"]
    assert {"another checkout" in run.data.tags["cached_from"] for run in runs(clone.path)} == {True}
    assert clone.git("status", "--porcelain") == ""


def test_prompts_saved_with_other_line_ends_are_the_same_set(repository):
    path = repository.path / "prompts/mini.yaml"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert {one["where"] for one in numbers(repository, "--prompts", "prompts/mini.yaml")} == {"workspace"}


@pytest.mark.long
def test_a_run_makes_damaged_records_anew_and_puts_a_damaged_lock_down_to_its_copy(repository):
    records = ("receipts/analyze/tiny/mini.json", "reports/cells.json", "reports/ledger.json")
    whole = {name: (repository.path / name).read_bytes() for name in (*records, "dvc.lock")}
    for name in records:
        (repository.path / name).write_bytes(whole[name][:40])
    command = (sys.executable, "-m", "plantain.cli")
    said = repository.run(*command, "run")
    for name in records:
        assert f"plantain: {name}" in said
        assert (repository.path / name).read_bytes() == whole[name]
    (repository.path / "dvc.lock").write_bytes(whole["dvc.lock"][:901])
    said = repository.run(*command, "run", check=False)
    assert "plantain: dvc.lock: not readable as a lock of DVC" in said
    assert "Running stage" not in said
    repository.run(*command, "doctor", "--fix", check=False)
    assert (repository.path / "dvc.lock").read_bytes() == whole["dvc.lock"]
    assert "Running stage" not in repository.run(*command, "run")


def test_a_damaged_receipt_comes_back_as_its_error_says(repository):
    path = repository.path / "receipts/analyze/tiny/mini.json"
    whole = path.read_bytes()
    path.write_bytes(whole[:40])
    said = repository.run(sys.executable, "-m", "plantain.cli", "audit", check=False)
    way = re.search(r"`(dvc checkout[^`]*)`", said)
    repository.dvc(*way[1].split()[1:])
    assert path.read_bytes() == whole
