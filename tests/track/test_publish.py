import json
import re
import shutil
from datetime import UTC, datetime

from helpers.track_helpers import ITEMS, make_cell, make_results, parameters, runs

from plantain.base.git import remote_url
from plantain.track.mlflow.publish import publish
from plantain.track.mlflow.sync import sync

PER_CELL = 1 + 4 + 4 + 1  # parent; model, prompts, reference, capture; two contrasts by two analyses; report


def one(root, query):
    found = runs(root, query)
    assert len(found) == 1, [run.info.run_name for run in found]
    return found[0]


def test_every_stage_and_analysis_has_its_run_under_one_parent_a_cell(published):
    assert len(runs(published)) == 2 * PER_CELL + 1
    for probe in ("otherview", "dense"):
        parent = next(run for run in runs(published) if run.info.run_name == f"{probe}@tiny")
        children = runs(published, f"tags.mlflow.parentRunId = '{parent.info.run_id}'")
        names = "model prompts reference capture report published.heads published.card target.heads target.card"
        assert sorted(run.info.run_name for run in children) == sorted(names.split())
    assert {run.info.status for run in runs(published)} == {"FINISHED"}


def test_the_parent_shows_the_confirmatory_numbers_plain_and_the_cards_with_a_prefix(published):
    parent = next(run for run in runs(published) if run.info.run_name == "dense@tiny")
    assert parent.data.metrics["heads_over_t3"] == 10.0
    assert parent.data.metrics["card.heads_over_t3"] == 99.0
    assert parent.data.params["capture.sigma"] == "1.0"


def test_runs_are_found_by_the_prompt_set(published):
    prompts = json.loads((published / "receipts/prompts/dense.json").read_text())["prompts"]["set_sha256"]
    parent = next(run for run in runs(published) if run.info.run_name == "dense@tiny")
    dataset = parent.inputs.dataset_inputs[0]
    assert (dataset.dataset.name, dataset.dataset.digest) == ("dense", prompts[:32])
    assert prompts in {tag.value for tag in dataset.tags}
    by_digest = runs(published, f"dataset.digest = '{prompts[:32]}' and tags.probe = 'dense'")
    by_tag = runs(published, f"tags.prompts_sha256 = '{prompts}'")
    assert len(by_digest) == PER_CELL - 1, "every run of the cell but the model's, which read no prompts"
    assert len(by_tag) == PER_CELL
    assert len(runs(published, "tags.probe = 'dense' and tags.analysis = 'card'")) == 2


def test_times_and_commit_come_from_the_journal(published):
    capture = one(published, "tags.probe = 'dense' and tags.stage = 'capture'")
    assert (capture.info.start_time, capture.info.end_time) == (1_700_000_000_000, 1_700_000_002_500)
    assert capture.data.tags["mlflow.source.git.commit"] == "c" * 40
    assert capture.data.tags["git_dirty"] == "false"
    assert "cached_from" not in capture.data.tags


def test_figures_page_prompts_and_card_are_in_the_parent(published, monkeypatch):
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{published}/mlflow/mlflow.db")
    parent = next(run for run in runs(published) if run.info.run_name == "otherview@tiny")
    folders = ("", "figures", "report", "images")
    paths = {entry.path for folder in folders for entry in client.list_artifacts(parent.info.run_id, folder)}
    assert {"prompts.json", "figures/heatmap.png", "report/index.html"} <= paths
    assert any(re.fullmatch(r"images/figures~heatmap\+step\+0.*\.png", path) for path in paths)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{published}/mlflow/mlflow.db")
    table = client.load_table(parent.info.experiment_id, "prompts.json", run_ids=[parent.info.run_id])
    assert set(table["item"]) == set(ITEMS)
    card = parent.data.tags["mlflow.note.content"]
    assert "| heads_over_t3 | 10 | 99 |" in card
    assert parent.data.tags["prompts_sha256"] in card
    assert "plantain audit otherview@tiny" in card


def test_publishing_again_adds_and_changes_nothing(published):
    before = {run.info.run_id: (run.data.tags, run.data.metrics, run.info.end_time) for run in runs(published)}
    report = publish(published, parameters())
    assert (report.created, report.updated) == (0, 0)
    assert {run.info.run_id: (run.data.tags, run.data.metrics, run.info.end_time) for run in runs(published)} == before


def test_a_lost_store_is_made_anew(published, monkeypatch):
    names = sorted(run.info.run_name for run in runs(published))
    copy = published.with_name("copy")
    shutil.copytree(published, copy, ignore=shutil.ignore_patterns("mlflow"))
    monkeypatch.chdir(copy)
    assert sync(copy, parameters()).created == len(names)
    assert sorted(run.info.run_name for run in runs(copy)) == names


def test_the_marker_and_the_ledger_are_the_same_on_every_machine(published):
    marker, ledger = (published / name for name in ("mlflow/published.json", "reports/ledger.json"))
    before = marker.read_bytes(), ledger.read_bytes()
    (published / ".plantain/executions.jsonl").unlink()
    marker.unlink()
    ledger.unlink()
    publish(published, parameters(), marker)
    assert (marker.read_bytes(), ledger.read_bytes()) == before
    make_cell(published, "dense", "tiny", seed=1.0)
    publish(published, parameters(), marker)
    assert marker.read_bytes() != before[0]


def test_another_analysis_supersedes_and_a_restored_one_says_where_it_was_computed(published):
    make_cell(published, "dense", "tiny", seed=5.0, threshold=4.0, at=1_700_000_100.0)
    report = publish(published, parameters())
    assert report.created == PER_CELL, "another parent, with all its children: both settings can be compared"
    query = "tags.probe = 'dense' and tags.contrast = 'target' and tags.analysis = 'heads'"
    old = one(published, f"{query} and tags.superseded = 'true'")
    new = one(published, f"{query} and tags.superseded = 'false'")
    assert (old.data.metrics["heads_over_t3"], new.data.metrics["heads_over_t3"]) == (10.0, 15.0)
    parents = {run.data.tags["superseded"]: run for run in runs(published, "attributes.run_name = 'dense@tiny'")}
    assert {name: run.data.metrics["heads_over_t3"] for name, run in parents.items()} == {"true": 10.0, "false": 15.0}
    threshold = "analyses.heads.thresholds"
    assert {name: run.data.params[threshold] for name, run in parents.items()} == {"true": "[3.0]", "false": "[4.0]"}

    make_cell(published, "dense", "tiny", executed=False)
    report = publish(published, parameters())
    assert report.created == 0, "what stood before stands again"
    back = one(published, f"{query} and tags.superseded = 'false'")
    assert back.info.run_id == old.info.run_id
    moment = datetime.fromtimestamp(1_700_000_000, UTC).isoformat()
    assert back.data.tags["cached_from"] == f"execution of {moment} at commit {'c' * 40}"
    current = "attributes.run_name = 'dense@tiny' and tags.superseded = 'false'"
    assert one(published, current).data.metrics["heads_over_t3"] == 10.0

    make_cell(published, "dense", "tiny")
    publish(published, parameters())
    assert "cached_from" not in one(published, f"{query} and tags.superseded = 'false'").data.tags


def test_a_pulled_result_says_that_it_was_computed_elsewhere(tracked):
    make_results(tracked, executed=False)
    publish(tracked, parameters())
    assert all("another checkout" in run.data.tags["cached_from"] for run in runs(tracked))


def test_edited_prompts_get_a_parent_of_their_own_and_the_old_one_stays(published):
    make_cell(published, "dense", "tiny", seed=1.0, texts={"adult": "a T-pose"}, at=1_700_000_100.0)
    publish(published, parameters())
    parents = {run.data.tags["superseded"]: run for run in runs(published, "attributes.run_name = 'dense@tiny'")}
    assert set(parents) == {"true", "false"}
    digests = {run.inputs.dataset_inputs[0].dataset.digest for run in parents.values()}
    assert len(digests) == 2


def test_a_number_altered_in_mlflow_is_set_right(published):
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{published}/mlflow/mlflow.db")
    child = one(published, "tags.probe = 'dense' and tags.contrast = 'target' and tags.analysis = 'card'")
    client.log_metric(child.info.run_id, "heads_over_t3", 12345.0)
    sync(published, parameters())
    child = one(published, "tags.probe = 'dense' and tags.contrast = 'target' and tags.analysis = 'card'")
    assert child.data.metrics["heads_over_t3"] == 99.0
    assert len(runs(published)) == 2 * PER_CELL + 1


def test_duplicates_of_two_machines_are_merged(published):
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{published}/mlflow/mlflow.db")
    capture = one(published, "tags.probe = 'dense' and tags.stage = 'capture'")
    for _ in range(2):
        twin = client.create_run(capture.info.experiment_id, tags=capture.data.tags)
        client.set_terminated(twin.info.run_id)
    ids = [run.info.run_id for run in runs(published, "tags.probe = 'dense' and tags.stage = 'capture'")]
    assert len(ids) == 3
    assert sync(published, parameters()).merged == 2
    assert one(published, "tags.probe = 'dense' and tags.stage = 'capture'").info.run_id == min(ids)


def test_a_moved_repository_keeps_its_artifacts(published, monkeypatch):
    from mlflow import MlflowClient

    moved = published.with_name("moved")
    published.rename(moved)
    monkeypatch.chdir(moved)
    assert publish(moved, parameters()).created == 0
    client = MlflowClient(f"sqlite:///{moved}/mlflow/mlflow.db")
    parent = next(run for run in runs(moved) if run.info.run_name == "dense@tiny")
    assert "prompts.json" in {entry.path for entry in client.list_artifacts(parent.info.run_id)}


def test_names_that_mlflow_refuses_are_kept_apart():
    from plantain.track.mlflow.projection import flat

    names = flat({"a@b": 1, "a=b": 2, "a:40:b": 3, "c": {"d": [1, 2]}})
    assert len(names) == 4
    assert names["c.d"] == "[1,2]"
    assert all(re.fullmatch(r"[\w\-. /:]+", name) for name in names)


def test_credentials_of_the_remote_appear_nowhere(tracked, git):
    git("remote", "add", "origin", "https://someone:hunter2token@example.org/x/y.git")
    make_results(tracked)
    publish(tracked, parameters(), tracked / "mlflow/published.json")
    assert remote_url(tracked) == "https://example.org/x/y.git"
    assert {run.data.tags["mlflow.source.git.repoURL"] for run in runs(tracked)} == {"https://example.org/x/y.git"}
    written = [path for path in tracked.rglob("*") if path.is_file() and ".git" not in path.parts]
    assert len(written) > 40
    assert not [path for path in written if b"hunter2token" in path.read_bytes()]
