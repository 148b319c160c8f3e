import os
import shutil
import signal
import subprocess
import sys

import pytest
from helpers.servers import free_port, wait_for
from helpers.track_helpers import make_cell, make_results, parameters, shown
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from plantain.track.mlflow.prompt_text import template_of
from plantain.track.mlflow.publish import publish
from plantain.track.mlflow.sync import sync

RUNS = "mlflow.prompt.run_ids"


def client_of(root):
    return MlflowClient(f"sqlite:///{root}/mlflow/mlflow.db")


def versions(client, name):
    found = client.search_model_versions(f"name = '{name}' AND tags.`mlflow.prompt.is_prompt` = 'true'")
    return sorted(found, key=lambda version: int(version.version))


def row(root, probe="dense"):
    return shown(root, f"attributes.run_name = '{probe}@tiny'")[0]


def test_a_prompt_set_is_a_version_of_its_probes_prompt_that_names_its_rows(published):
    client = client_of(published)
    (version,) = versions(client, "dense")
    assert version.tags["prompts_sha256"] == row(published).data.tags["prompts_sha256"]
    assert version.tags[RUNS] == row(published).info.run_id
    text = client.load_prompt("prompts:/dense/1").template
    assert "- viewpoint (the first of 3 prompts that share no template): dense viewpoint of adult" in text
    assert {prompt.name for prompt in client.search_prompts()} == {"dense", "otherview"}


def test_publishing_again_and_a_store_made_anew_give_no_second_version(published):
    publish(published, parameters())
    sync(published, parameters())
    assert len(versions(client_of(published), "dense")) == 1
    shutil.rmtree(published / "mlflow")
    sync(published, parameters())
    (version,) = versions(client_of(published), "dense")
    assert version.tags[RUNS] == row(published).info.run_id


def test_edited_prompts_are_the_next_version_and_the_old_ones_are_found_again(published):
    first = row(published).info.run_id
    make_cell(published, "dense", "tiny", seed=1.0, texts={"adult": "a T-pose"}, at=1_700_000_100.0)
    publish(published, parameters())
    client = client_of(published)
    assert [version.tags[RUNS] for version in versions(client, "dense")] == [first, row(published).info.run_id]
    make_cell(published, "dense", "tiny", executed=False)
    publish(published, parameters())
    oldest, _ = versions(client, "dense")
    assert oldest.tags[RUNS] == first


def test_twins_of_two_machines_are_merged(published):
    client = client_of(published)
    (version,) = versions(client, "dense")
    client.create_prompt_version("dense", "the same", tags={"prompts_sha256": version.tags["prompts_sha256"]})
    publish(published, parameters())
    assert [found.version for found in versions(client, "dense")] == [version.version]


def test_a_store_without_a_registry_costs_one_sentence(tracked, monkeypatch):
    def refuse(self, *arguments, **named):
        raise MlflowException("no such endpoint")

    monkeypatch.setattr(MlflowClient, "search_model_versions", refuse)
    make_results(tracked)
    report = publish(tracked, parameters())
    assert report.warning is None
    assert report.created == 21
    assert report.sentence().count("prompt registry: no such endpoint") == 1
    assert "no such endpoint" in sync(tracked, parameters()).remark


def test_a_model_of_the_same_name_is_left_alone(tracked):
    publish(tracked, parameters())
    client_of(tracked).create_registered_model("dense")
    make_results(tracked)
    report = publish(tracked, parameters())
    assert report.created == 21
    assert "dense" in report.remark
    assert not versions(client_of(tracked), "dense")


@pytest.fixture
def server(tracked, migrated_store):
    """A tracking server as a lab runs one."""
    shutil.copy2(migrated_store, tracked / "server.db")
    port = free_port()
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += [
        "--backend-store-uri",
        f"sqlite:///{tracked}/server.db",
        "--artifacts-destination",
        str(tracked / "kept"),
    ]
    environment = os.environ | {"DO_NOT_TRACK": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    process = subprocess.Popen(command, cwd=tracked, env=environment, start_new_session=True)
    try:
        wait_for(f"http://127.0.0.1:{port}/health", process)
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)


@pytest.mark.long
def test_a_server_holds_the_same(tracked, server):
    make_results(tracked)
    tracking = parameters(uri=server, timeout=30.0)
    for _ in range(2):
        report = publish(tracked, tracking)
        assert (report.warning, report.remark) == (None, "")
    client = MlflowClient(server)
    for probe in ("dense", "otherview"):
        (version,) = versions(client, probe)
        run = client.get_run(version.tags[RUNS])
        assert run.info.run_name == f"{probe}@tiny"
        assert run.data.tags["prompts_sha256"] == version.tags["prompts_sha256"]
    make_cell(tracked, "dense", "tiny", seed=5.0, threshold=4.0, at=1_700_000_100.0)
    assert publish(tracked, tracking).warning is None
    experiment = client.get_experiment_by_name("plantain").experiment_id
    assert len(client.search_runs([experiment], "attributes.run_name = 'dense@tiny'")) == 1


def rows(*prompts, **fields):
    return [
        {"item": at, "condition": "c", "prompt": prompt, **{name: values[at] for name, values in fields.items()}}
        for at, prompt in enumerate(prompts)
    ]


def test_a_template_has_a_variable_where_items_differ_and_nowhere_else():
    two = rows("A cat by a door", "A dog by a door", animal=["cat", "dog"], place=["door", "door"], rank=[1, 2])
    assert template_of(two) == "A {{animal}} by a door"
    both = rows("a cat on 1 mat", "a dog on 2 mat", animal=["cat", "dog"], count=[1, 2])
    assert template_of(both) == "a {{animal}} on {{count}} mat"
    assert template_of(rows("a catalogue", "a dogma", animal=["cat", "dog"])) is None
    assert template_of(rows("the same", "the same", animal=["cat", "dog"])) == "the same"
