"""Swapped heads in MLflow and in the searches: a run with the numbers of the table, and the pictures on the cell's."""

import pytest
from helpers.report_fixture import write_verdict
from helpers.swaps_fixture import judged, write_swaps
from helpers.track_helpers import empty, make_results, parameters, record, runs, write
from mlflow import MlflowClient

from plantain.base import places
from plantain.records.receipt import write_receipt
from plantain.track.audit.study import broken_tables
from plantain.track.mlflow.publish import publish
from plantain.track.results import FolderReader
from plantain.track.search.values import by_value

CELL = ("tiny", "otherview")


def study(root, **more):
    """A table of the cell with its pictures and its receipt."""
    table = write_swaps(root, **more)
    paths = [places.causal(*CELL), places.causal_pictures(*CELL)]
    made = {"probe": "otherview", "model": "tiny", "writes": [record(root, path.as_posix()) for path in paths]}
    receipt = empty("intervene", **made, notes={"passes": 4954})
    write_receipt(root / paths[0].with_suffix(".receipt.json"), receipt)
    return table


def judge(root, table, problem=""):
    """A verdict that has looked at the table."""
    swaps = judged(None if problem else table, problem)
    path = write_verdict(root, swaps=swaps).relative_to(root).as_posix()
    stats = [record(root, f"data/stats/tiny/{probe}/summary.json") for probe in ("otherview", "dense")]
    numbers = {probe: {"tiny": {"verdict_rung": 3.0}} for probe in ("otherview", "dense")}
    write(root, empty("verdict", reads=stats, writes=[record(root, path)], metrics=numbers))


@pytest.fixture
def tables(tracked):
    make_results(tracked)
    judge(tracked, study(tracked))
    assert publish(tracked, parameters()).warning is None
    return tracked


def child(root):
    (run,) = runs(root, "tags.superseded = 'false' and tags.stage = 'intervene'")
    return run


def parent(root):
    (run,) = runs(root, f"attributes.run_id = '{child(root).data.tags['mlflow.parentRunId']}'")
    return run


def artifacts(root, run, folder):
    return [
        one.path for one in MlflowClient(f"sqlite:///{root}/mlflow/mlflow.db").list_artifacts(run.info.run_id, folder)
    ]


def test_a_cell_has_a_run_with_the_numbers_of_its_table(tables):
    run = child(tables)
    assert run.data.metrics["swaps/donors.p"] == 0.0285714
    assert run.data.metrics["swaps/set.sufficiency"] == 0.8
    assert run.data.metrics["swaps/dose.3.sufficiency"] == 0.28
    assert run.data.metrics["swaps/probe.dense.sufficiency"] == 0.25
    assert run.data.metrics["swaps/donors.decoy.titles.statistic"] == 0.57
    assert run.data.metrics["passes"] == 4954
    assert "decide nothing" in run.data.tags["mlflow.note.content"]
    assert artifacts(tables, run, "study") == ["study/otherview.json"]


def test_the_pictures_are_images_of_the_cells_run(tables):
    run = parent(tables)
    assert run.info.run_name == "otherview@tiny"
    assert run.data.tags["mlflow.loggedImages"] == "True"
    named = [path for path in artifacts(tables, run, "images") if "figures~swaps+" in path and path.endswith(".png")]
    assert len(named) == 1
    assert artifacts(tables, run, "swaps") == ["swaps/otherview.png"]


def test_other_pictures_are_laid_out_anew(tables):
    before = artifacts(tables, parent(tables), "images")
    path = tables / places.causal_pictures(*CELL)
    path.write_bytes(path.read_bytes() + b" ")
    table = study(tables)  # writes the sheet as it was
    assert publish(tables, parameters()).updated == 0
    judge(tables, table.model_copy(update={"additivity": 1.5}))
    publish(tables, parameters())
    assert "run `dvc repro`" in child(tables).data.tags["mlflow.note.content"]
    assert not [name for name in child(tables).data.metrics if name.startswith("swaps/")]
    judge(tables, table)
    publish(tables, parameters())
    assert child(tables).data.metrics["swaps/additivity"] == 1.47
    assert set(before) <= set(artifacts(tables, parent(tables), "images"))


def test_a_stale_table_has_a_run_that_says_why(tables):
    judge(tables, study(tables), problem="its table of interventions was made from other inputs (prompts)")
    publish(tables, parameters())
    run = child(tables)
    assert not [name for name in run.data.metrics if name.startswith("swaps/")]
    assert "other inputs (prompts)" in run.data.tags["mlflow.note.content"]


def test_numbers_of_a_table_are_found_again(tables):
    (found,) = by_value(tables, "donors.decoy.titles.apart=0.00349").now
    assert (found.result, found.analysis) == ("otherview@tiny", "swaps")
    assert found.receipt_sha256
    assert [one.metric for one in by_value(tables, "89.98").now] == ["donors.statistic"]
    with pytest.raises(Exception, match="no number is called"):
        by_value(tables, "swaps.nothing=1")


def test_numbers_of_a_table_that_was_replaced_are_found_in_history(tables, git):
    git("add", "-A")
    git("commit", "-qm", "a study")
    study(tables, gate=0.0571429)
    (found,) = by_value(tables, "additivity=1.47").now
    assert not by_value(tables, "gate.p=0.0285714").now
    (found,) = by_value(tables, "gate.p=0.0285714").earlier
    assert (found.result, found.analysis, found.where) == ("otherview@tiny", "swaps", git("rev-parse", "HEAD"))


def test_pictures_that_are_not_those_of_the_receipt_are_a_broken_link(tables):
    assert list(broken_tables(FolderReader(tables))) == []
    path = tables / places.causal_pictures(*CELL)
    path.write_bytes(path.read_bytes() + b" ")
    (one,) = broken_tables(FolderReader(tables))
    assert one.path == "reports/study/causal/tiny/otherview.png"
    path.unlink()
    (one,) = broken_tables(FolderReader(tables))
    assert "missing" in one.problem
