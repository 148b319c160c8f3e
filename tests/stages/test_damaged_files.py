"""Files of the pipeline that a full disk, an editor or a merge damaged: one sentence that names file and fix."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from safetensors.numpy import save

from plantain.base import places
from plantain.base.errors import InputError
from plantain.base.files import write_atomic
from plantain.base.yaml import read_yaml
from plantain.probe.expand import expand
from plantain.probe.spec import parse_probe
from plantain.probe.store import read_contrasts, read_records, read_references, write_expansion
from plantain.records.manifest import manifest_of
from plantain.records.study import (
    DrawnContrast,
    NullTable,
    ReplicatedContrast,
    ReplicationTable,
    read_null,
    read_replications,
)
from plantain.stages.frame import Stage, cells_with_results
from plantain.stages.verdict import _embeddings, _summary

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def folder(tmp_path):
    write_expansion(expand(parse_probe(read_yaml(ROOT / "prompts/otherview.yaml")), ROOT), tmp_path)
    return tmp_path


@pytest.fixture
def current(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return Stage("verdict", None, None, "analyze", None, {})


def assert_refused(read, path, *words):
    """The error of reading a damaged file: it names the file and the fix in one line."""
    with pytest.raises(InputError) as caught:
        read()
    error = caught.value
    assert error.exit_code == 2
    assert str(path) in str(error)
    for word in words:
        assert word in str(error)
    assert "\n" not in str(error)
    return error


def edited(path, change):
    data = json.loads(path.read_bytes())
    change(data)
    path.write_text(json.dumps(data))


TORN = [b"", b"garbage" * 40, b"PAR1" + b"\xff" * 60 + b"PAR1"]


@pytest.mark.parametrize("data", TORN)
def test_prompts_that_are_no_parquet_file(folder, data):
    path = folder / "otherview.parquet"
    path.write_bytes(data)
    assert_refused(
        lambda: read_records(path), path, "not readable as the prompts", f"`dvc checkout --force {path}`", "`dvc repro`"
    )


def test_half_a_parquet_file(folder):
    path = folder / "otherview.parquet"
    path.write_bytes(path.read_bytes()[:-200])
    assert_refused(lambda: read_records(path), path, "dvc checkout")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda table: table.drop("prompt"), "prompt"),
        (lambda table: table.with_columns(prompt=pl.lit(3)), "its columns are"),
        (lambda table: table.with_columns(sha256=pl.lit(None, pl.String)), "lacks a value"),
        (lambda table: table.head(0), "with 0 rows"),
    ],
)
def test_a_table_of_other_columns_is_no_prompts(folder, change, words):
    path = folder / "otherview.parquet"
    change(pl.read_parquet(path)).write_parquet(path)
    assert_refused(lambda: read_records(path), path, words, "dvc checkout")


@pytest.mark.parametrize("data", [b"", b"{", b"[1, 2, 3]", b"\xff\xfe", b"{}", b'"x"'])
def test_contrasts_and_references_that_are_no_such_records(folder, data):
    for name, read in (("contrasts", read_contrasts), ("references", read_references)):
        path = folder / f"otherview.{name}.json"
        path.write_bytes(data)
        assert_refused(lambda read=read, path=path: read(path), path, f"not readable as the {name}", "dvc checkout")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda data: data.update(contrasts=5), "tuple"),
        (lambda data: data.update(items=[{"id": "cat"}]), "'fields'"),
        (lambda data: data["contrasts"][0].update(role="x"), "0.role"),
        (lambda data: data["contrasts"][0].update(a="words"), "0.a"),
        (lambda data: data["contrasts"][0].update(a=[]), "a side without templates"),
        (lambda data: data["contrasts"][0].update(strata=[]), "a template without stratum"),
        (lambda data: data["contrasts"][0].update(flip_blocks=["one"]), "1 flip blocks for 30 items"),
    ],
)
def test_a_contrast_with_a_damaged_part_names_it(folder, change, words):
    path = folder / "otherview.contrasts.json"
    edited(path, change)
    assert_refused(lambda: read_contrasts(path), path, words, "dvc checkout")


@pytest.mark.parametrize("data", [b"", b"zz", b"[]", b"{}", b'{"cells": [1]}', b'{"cells": [{"probe": "a"}]}'])
def test_a_damaged_list_of_cells(current, data):
    path = places.CELLS
    path.parent.mkdir()
    path.write_bytes(data)
    assert_refused(lambda: cells_with_results(current), path, "the cells of the run", "`dvc repro cells`")


@pytest.mark.parametrize("data", [b"", b"{}", b'{"contrasts": []}', b'{"contrasts": {"a": {"card": {"role": "x"}}}}'])
def test_a_damaged_summary(current, data):
    path = Path("data/stats/tiny/demo/summary.json")
    path.parent.mkdir(parents=True)
    path.write_bytes(data)
    write_atomic(places.manifest(path.parent), manifest_of(path.parent).to_bytes())
    assert_refused(
        lambda: _summary(current, "demo", "tiny"), path, "the summary of a cell", f"checkout --force {path}`"
    )


WHOLE = save({"mean_square": np.ones((2, 3, 4), np.float32)})


@pytest.mark.parametrize(
    "data", [b"", b"junk", WHOLE[:-8], save({"other": np.ones(2)}), save({"mean_square": np.ones(2, np.float32)})]
)
def test_damaged_embeddings(current, data):
    assert _embeddings(current, "demo", "tiny") is None
    path = Path("data/embeddings/tiny/demo.safetensors")
    path.parent.mkdir(parents=True)
    path.write_bytes(WHOLE)
    assert _embeddings(current, "demo", "tiny").shape == (2, 3, 4)
    path.write_bytes(data)
    assert_refused(lambda: _embeddings(current, "demo", "tiny"), path, "prompt embeddings", f"checkout --force {path}`")


NULL = NullTable(
    family="f", method="reinit", of="tiny", probe="demo", items=["cat", "ant"], seeds=[0], draws=["a", "b"],
    contrasts={"target": DrawnContrast(inputs={}, counts=[0, 3], concept_information=[0.1, 0.2])},
)  # fmt: skip
REPLICATIONS = ReplicationTable(
    model="tiny", probe="demo", items=["cat"],
    contrasts={"target": ReplicatedContrast(inputs={}, cells=[(0, "kitchen", 0.01), (1, "kitchen", 1.0)])},
)  # fmt: skip


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda data: data["contrasts"]["target"]["counts"].pop(), "target has 1 counts, 2 values of inf"),
        (lambda data: data["contrasts"]["target"]["concept_information"].append(1), "2 counts, 3 values of inf"),
        (lambda data: data["contrasts"]["target"]["counts"].__setitem__(0, -1), "contrasts.target.counts.0"),
        (lambda data: data.update(draws=[]), "draws"),
        (lambda data: data.update(items=[]), "items"),
        (lambda data: data.update(items=["cat", "cat"]), "one stands twice"),
        (lambda data: data.update(seeds=[]), "seeds"),
        (lambda data: data.update(seeds=[-1]), "seeds.0"),
        (lambda data: data.pop("of"), "of"),
    ],
)
def test_a_damaged_null_table(tmp_path, change, words):
    path = tmp_path / "demo.json"
    path.write_bytes(NULL.to_bytes())
    assert read_null(path) == NULL
    edited(path, change)
    assert_refused(lambda: read_null(path), path, words, f"`git checkout {path}`", "`plantain run --study`")


@pytest.mark.parametrize("p", [-7, 0, 1.5, None, "x"])
def test_a_replication_whose_p_is_none(tmp_path, p):
    path = tmp_path / "demo.json"
    path.write_bytes(REPLICATIONS.to_bytes())
    assert read_replications(path) == REPLICATIONS
    edited(path, lambda data: data["contrasts"]["target"]["cells"][1].__setitem__(2, p))
    assert_refused(lambda: read_replications(path), path, "contrasts.target.cells.1.2", f"`git checkout {path}`")


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b"[]"])
def test_tables_that_are_no_json(tmp_path, data):
    path = tmp_path / "demo.json"
    path.write_bytes(data)
    for read in (read_null, read_replications):
        assert_refused(lambda read=read: read(path), path, "git checkout", "plantain run --study")


def test_a_table_that_is_missing(tmp_path):
    path = tmp_path / "demo.json"
    assert_refused(lambda: read_null(path), path, "No such file", "git checkout")
