"""A team's server: MLflow with PostgreSQL behind it."""

import pytest
from helpers.servers import mlflow_server, postgres, postgres_binaries
from helpers.track_helpers import parameters, runs

from plantain.track.mlflow.publish import publish
from plantain.track.mlflow.sync import sync

BINARIES = postgres_binaries()


@pytest.fixture
def cluster(monkeypatch):
    pytest.importorskip("psycopg2")
    with postgres(BINARIES) as started:
        monkeypatch.setenv("PGPASSWORD", started.password)
        yield started


def make_database(cluster, name):
    import psycopg2

    connection = psycopg2.connect(host="127.0.0.1", port=cluster.port, user="plantain", dbname="postgres")
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
    connection.close()
    return cluster.uri(name)


def parents(root, uri=None):
    """What the runs without a parent say, by name."""
    return {
        run.info.run_name: (
            run.info.status,
            run.info.start_time,
            run.data.metrics,
            run.data.params,
            {key: value for key, value in run.data.tags.items() if not key.startswith("mlflow.")},
            {one.dataset.digest for one in run.inputs.dataset_inputs},
        )
        for run in runs(root, uri=uri)
        if "mlflow.parentRunId" not in run.data.tags
    }


def artifacts(root, uri):
    from mlflow import MlflowClient

    parent = next(run for run in runs(root, uri=uri) if run.info.run_name == "dense@tiny")
    return {file.path for file in MlflowClient(uri).list_artifacts(parent.info.run_id)}


@pytest.mark.long
@pytest.mark.skipif(BINARIES is None, reason="PostgreSQL (initdb, pg_ctl) is not installed")
def test_a_server_on_postgresql_holds_what_sqlite_holds_and_is_rebuilt_by_sync(published, cluster, tmp_path):
    expected = parents(published)
    assert expected.keys() == {"otherview@tiny", "dense@tiny", "compare"}
    for name, fill in (("first", publish), ("rebuilt", sync)):
        folder = tmp_path / name
        folder.mkdir()
        database = make_database(cluster, name)
        with mlflow_server(folder, database) as (address, _):
            report = fill(published, parameters(uri=address, timeout=30.0))
            assert report.created == 21
            assert getattr(report, "warning", None) is None
            assert parents(published, address) == expected
            assert "prompts.json" in artifacts(published, address)
            assert fill(published, parameters(uri=address, timeout=30.0)).created == 0
    assert sync(published, parameters(uri=database, timeout=30.0)).created == 0, "the database itself, with no server"
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(written) > 40
    assert not [path for path in written if cluster.password.encode() in path.read_bytes()]
