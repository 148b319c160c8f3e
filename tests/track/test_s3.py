"""Results on a remote of S3: pushed, cloned, pulled, and the keys of the remote nowhere but where they were written."""

import json
import os
import subprocess
import zipfile

import pytest
from helpers.track_repo import make_repository, plantain
from helpers.workspace import Workspace, forget_outer_checkout

KEY, SECRET = "AKIAPLANTAIN0TEST0KEY", "wJalr-plantain-test-secret"


@pytest.fixture
def bucket(monkeypatch, tmp_path):
    """A bucket of a stand-in for S3 on loopback, that only this test can reach: its endpoint and a client."""
    import boto3
    from moto.server import ThreadedMotoServer

    for name in [name for name in os.environ if name.startswith("AWS_") or name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")  # no key but the one that is given
    (tmp_path / "aws").touch()
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "aws"))
    forget_outer_checkout(monkeypatch)
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    endpoint = "http://{}:{}".format(*server.get_host_and_port())
    keys = {"aws_access_key_id": KEY, "aws_secret_access_key": SECRET, "region_name": "us-east-1"}
    client = boto3.client("s3", endpoint_url=endpoint, **keys)
    client.create_bucket(Bucket="results")
    yield endpoint, client
    server.stop()


def give_keys(workspace):
    """As a person does: in the file that git does not see."""
    workspace.dvc("remote", "modify", "--local", "shelf", "access_key_id", KEY)
    workspace.dvc("remote", "modify", "--local", "shelf", "secret_access_key", SECRET)


def holds_key(content):
    return KEY.encode() in content or SECRET.encode() in content


def check_that_no_key_is_in(workspace):
    """No file below it holds one, the file that a person wrote apart, and no object of its history."""
    files = {path.relative_to(workspace.path).as_posix(): path for path in workspace.path.rglob("*") if path.is_file()}
    assert holds_key(files.pop(".dvc/config.local").read_bytes())
    assert {"receipts/capture/tiny/mini.json", "dvc.lock", "reports/ledger.json", "mlflow/mlflow.db"} <= files.keys()
    assert not [name for name, path in files.items() if holds_key(path.read_bytes())]
    command = ["git", "cat-file", "--batch", "--batch-all-objects"]
    history = subprocess.run(command, cwd=workspace.path, capture_output=True, check=True).stdout
    assert b"endpointurl" in history, "the address is in it"
    assert not holds_key(history)


def check_that_no_key_is_in_the_crate_of(workspace, archive):
    plantain(workspace, "export", "crate", "mini@tiny", "--out", str(archive))
    with zipfile.ZipFile(archive) as opened:
        members = {name: opened.read(name) for name in opened.namelist()}
    assert len(members) > 10
    assert not [name for name, content in members.items() if holds_key(content)]


@pytest.mark.long
def test_results_on_s3_are_whole_in_a_clone_and_no_key_is_in_anything_that_was_made(bucket, tmp_path):
    endpoint, client = bucket
    workspace = make_repository(tmp_path / "repository")
    workspace.dvc("remote", "add", "--default", "shelf", "s3://results/plantain")
    workspace.dvc("remote", "modify", "shelf", "endpointurl", endpoint)
    give_keys(workspace)
    workspace.dvc("repro")
    workspace.commit("Results")
    workspace.dvc("push")
    workspace.git("clone", "--quiet", str(workspace.path), str(tmp_path / "clone"))
    clone = Workspace(tmp_path / "clone")
    clone.environment["PYTHONPATH"] = "src"
    assert "Unable to locate credentials" in clone.dvc("pull", check=False), "the clone has the address, and no key"
    give_keys(clone)
    clone.dvc("pull")
    assert clone.repro() == ["publish"]
    assert "up to date" in clone.dvc("status")
    assert "Cache and remote 'shelf' are in sync" in clone.dvc("status", "--cloud")
    assert clone.git("status", "--porcelain") == ""
    answer = json.loads(plantain(clone, "audit", "--json"))
    assert answer["ok"], answer["first_broken"]
    for one in (workspace, clone):
        check_that_no_key_is_in(one)
    check_that_no_key_is_in_the_crate_of(clone, tmp_path / "crate.zip")
    objects = [entry["Key"] for entry in client.list_objects_v2(Bucket="results")["Contents"]]
    assert len(objects) > 10
    assert not [name for name in objects if holds_key(client.get_object(Bucket="results", Key=name)["Body"].read())]
