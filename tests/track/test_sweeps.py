"""Other noise levels in MLflow: a run of curves below the cell's, and none where the table is not the cell's own."""

import pytest
from helpers.report_fixture import write_verdict
from helpers.track_helpers import empty, make_results, parameters, record, runs, write
from mlflow import MlflowClient

from plantain.base import places
from plantain.records.receipt import write_receipt
from plantain.records.sweep import Levels, LevelTest, SweepTable, SweptContrast
from plantain.track.audit.study import broken_tables
from plantain.track.mlflow.check import check_runs
from plantain.track.mlflow.projection import project
from plantain.track.mlflow.publish import publish
from plantain.track.results import FolderReader, read_results

CELLS = [("otherview", "tiny"), ("dense", "tiny")]
NAME = "sweep/target.log_rms.selective_heads_lower_bound"


def level(sigma, heads, delta=1.5):
    return LevelTest(sigma=sigma, heads_lower_bound=heads, alive=75, p=0.01, floor=0.01, delta=delta,
                 concept_information=0.5)  # fmt: skip


def sweep(root, probe="dense", heads=(60, 40, 20)):
    """A table of a cell with its receipt."""
    points = [level(1.0, heads[0]), level(0.6, heads[1]), level(0.2, heads[2], None)]
    entry = SweptContrast(inputs={"rules": [1]}, measures={"log_rms": points})
    table = SweepTable(
        model="tiny", probe=probe, items=["adult"], seed=0, sigmas=[1.0, 0.6, 0.2], contrasts={"target": entry}
    )
    path = places.sweep("tiny", probe)
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_bytes(table.to_bytes())
    made = {"probe": probe, "model": "tiny", "writes": [record(root, path.as_posix())]}
    made |= {"params": {"study": {"sigmas": [0.6, 0.2]}}, "notes": {"passes": 30}}
    write_receipt(root / path.with_suffix(".receipt.json"), empty("sweep", **made))
    return table


def judge(root, tables, problems=None):
    """Verdicts that have read the tables of these probes."""
    stats = [record(root, f"data/stats/tiny/{probe}/summary.json") for probe, _ in CELLS]
    writes = []
    for probe, table in tables.items():
        served = {} if problems else {name: one.measures for name, one in table.contrasts.items()}
        found = Levels(contrasts=served, problems=problems or {}, items=1, own=1.0)
        more = {"levels": found.model_dump(mode="json")}
        writes.append(record(root, write_verdict(root, probe, **more).relative_to(root).as_posix()))
    reads = [record(root, places.sweep("tiny", probe).as_posix()) for probe in tables]
    numbers = {probe: {"tiny": {"verdict_rung": 3.0}} for probe, _ in CELLS}
    write(root, empty("verdict", reads=[*stats, *reads], writes=writes, metrics=numbers))


@pytest.fixture
def swept(tracked):
    make_results(tracked)
    judge(tracked, {"dense": sweep(tracked), "otherview": sweep(tracked, "otherview", (70, 70, 69))})
    assert publish(tracked, parameters()).warning is None
    return tracked


def curve(root, run, metric=NAME):
    client = MlflowClient(f"sqlite:///{root}/mlflow/mlflow.db")
    points = client.get_metric_history(run.info.run_id, metric)
    return [(point.step, point.value) for point in sorted(points, key=lambda point: point.step)]


def children(root, probe="dense"):
    found = runs(root, f"tags.superseded = 'false' and tags.stage = 'sweep' and tags.probe = '{probe}'")
    return [run for run in found if run.info.run_name == "sweep"]


def test_a_cell_has_a_run_whose_curves_have_a_step_a_level(swept):
    (run,), (other,) = children(swept), children(swept, "otherview")
    parent = runs(swept, f"attributes.run_id = '{run.data.tags['mlflow.parentRunId']}'")[0]
    assert parent.info.run_name == "dense@tiny"
    assert curve(swept, run) == [(200, 20.0), (600, 40.0), (1000, 60.0)]
    assert curve(swept, other) == [(200, 69.0), (600, 70.0), (1000, 70.0)], "two cells, one chart"
    assert curve(swept, run, "sweep/target.log_rms.delta") == [(600, 1.5), (1000, 1.5)], "no number where there is none"
    assert run.data.metrics[NAME] == 60.0, "the table shows pure noise"
    assert run.data.metrics["passes"] == 30.0
    assert run.data.params["study.sigmas"] == "[0.6,0.2]"
    files = MlflowClient(f"sqlite:///{swept}/mlflow/mlflow.db").list_artifacts(run.info.run_id, "study")
    assert [one.path for one in files] == ["study/dense.json"]


def test_publishing_again_changes_nothing(swept):
    before = {run.info.run_id for run in runs(swept)}
    assert publish(swept, parameters()).warning is None
    assert {run.info.run_id for run in runs(swept)} == before
    assert len(curve(swept, children(swept)[0])) == 3


def test_a_sweep_made_anew_takes_the_place_of_the_old_one(swept):
    old = children(swept)[0]
    judge(swept, {"dense": sweep(swept, heads=(9, 8, 7))})
    publish(swept, parameters())
    (run,) = children(swept)
    assert run.info.run_id != old.info.run_id
    assert curve(swept, run) == [(200, 7.0), (600, 8.0), (1000, 9.0)]
    gone = MlflowClient(f"sqlite:///{swept}/mlflow/mlflow.db").get_run(old.info.run_id)
    assert gone.data.tags["superseded"] == "true"


def test_a_stale_sweep_loses_its_curves_and_says_why(swept):
    table = sweep(swept)
    judge(swept, {"dense": table}, problems={"target": "the study's sweep was made from other inputs (rules)"})
    publish(swept, parameters())
    (run,) = children(swept)
    assert not [name for name in run.data.metrics if name.startswith("sweep/")]
    assert run.data.tags["mlflow.note.content"] == "target: the study's sweep was made from other inputs (rules)"
    judge(swept, {"dense": table})
    publish(swept, parameters())
    (run,) = children(swept)
    assert len(curve(swept, run)) == 3
    assert "part of no verdict" in run.data.tags["mlflow.note.content"]


def test_a_table_that_no_verdict_has_read_has_no_curves(swept):
    sweep(swept, heads=(1, 1, 1))
    publish(swept, parameters())
    (run,) = children(swept)
    assert curve(swept, run) == []
    assert "dvc repro" in run.data.tags["mlflow.note.content"]


def test_an_edited_table_has_no_run(swept):
    path = swept / places.sweep("tiny", "dense")
    path.write_text(path.read_text().replace("60", "75"))
    reader = FolderReader(swept)
    found = [run for run in project(read_results(reader), reader, [], swept) if run.name == "sweep"]
    assert [run.tags["probe"] for run in found] == ["otherview"]


def test_a_number_that_mlflow_holds_otherwise_is_found(swept):
    client = MlflowClient(f"sqlite:///{swept}/mlflow/mlflow.db")
    client.log_metric(children(swept)[0].info.run_id, NAME, 75.0, step=1000)
    reader = FolderReader(swept)
    broken, why = check_runs(project(read_results(reader), reader, [], swept), parameters().tracking)
    assert why is None
    assert [found.problem.split(",")[0] for found in broken] == [f"{NAME} of sweep is 75.0"]


def test_the_audit_follows_the_table_and_its_receipt(swept):
    def problems():
        return {one.path: one.problem for one in broken_tables(FolderReader(swept))}

    path = places.sweep("tiny", "dense")
    assert problems() == {}
    (swept / path).write_text((swept / path).read_text().replace("60", "75"))
    assert "not those that its receipt names" in problems()[path.as_posix()]
    (swept / path).unlink()
    assert "missing" in problems()[path.as_posix()]
    (swept / path.with_suffix(".receipt.json")).unlink()
    assert problems() == {}
