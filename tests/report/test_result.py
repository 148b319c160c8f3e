from pathlib import Path

import numpy as np
import polars as pl
import pytest
from helpers.report_fixture import TINY, Cell, item_ids, write_cell
from scipy import stats

from plantain.base.errors import InputError
from plantain.base.files import digest
from plantain.report.figures.grid import grids, limit
from plantain.report.payload import trend
from plantain.report.result import load_cells, load_result


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return write_cell(tmp_path_factory.mktemp("repository"), Cell())


def test_the_confirmatory_analysis_stands_first(root):
    result = load_result(root, "otherview", "tiny")
    assert result.main.label == "target.heads"
    assert result.card.label == "published.card"
    roles = [analysis.summary.role for analysis in result.analyses("heads")]
    assert roles == ["target", "published", "control", "control"]


def test_without_a_target_the_published_contrast_stands_first(tmp_path):
    write_cell(tmp_path, Cell(target=False, controls=()))
    result = load_result(tmp_path, "otherview", "tiny")
    assert (result.main.label, result.card.label) == ("published.heads", "published.card")


def test_the_prompt_set_digest_does_not_depend_on_order(root):
    result = load_result(root, "otherview", "tiny")
    path = root / "data" / "prompts" / "otherview.parquet"
    expected = digest(sorted(pl.read_parquet(path)["sha256"].reverse().to_list()))
    assert result.prompts_sha256 == expected


def test_a_missing_result_is_named_with_what_there_is(root):
    with pytest.raises(InputError, match="otherview@tiny"):
        load_result(root, "otherview", "other")


def test_a_broken_summary_names_the_file_and_the_field(tmp_path):
    write_cell(tmp_path, Cell(controls=()))
    path = tmp_path / "data" / "stats" / "tiny" / "otherview" / "summary.json"
    path.write_text(path.read_text().replace('"role": "published"', '"role": 7'))
    with pytest.raises(InputError, match=r"summary\.json.*role"):
        load_result(tmp_path, "otherview", "tiny")


def test_an_unknown_contrast_names_the_known_ones(root):
    with pytest.raises(InputError, match="published"):
        load_result(root, "otherview", "tiny").contrast("nothing")


def test_cells_come_in_the_order_of_the_run(root):
    path = root / "reports" / "cells.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text('{"cells": [{"probe": "otherview", "model": "tiny"}]}')
    assert [result.address for result in load_cells(root)] == ["otherview@tiny"]


def test_every_unit_sits_in_its_block_and_column(root):
    analysis = load_result(root, "otherview", "tiny").card
    joint, single = grids(analysis.table, "t")
    assert (joint.values.shape, single.values.shape) == ((5, 8), (20, 32))
    assert (joint.mlp_from, single.mlp_from) == (None, 8)
    groups = TINY.attention_groups * (1 + TINY.mlp_ratio)
    flat = analysis.table["t"].cast(pl.Float64).fill_null(np.nan).to_numpy()
    np.testing.assert_array_equal(joint.values.ravel(), flat[:40])
    np.testing.assert_array_equal(single.values[7], flat[40 + 7 * groups : 40 + 8 * groups])


def test_the_scale_ends_on_a_round_number_past_nearly_all_values():
    values = pl.Series([0.0, -7.1, 3.0, None, float("nan"), float("inf")])
    assert limit([values]) == 8.0
    assert limit([pl.Series([0.0, 0.0])]) == 1.0
    assert limit([pl.Series([0.013] * 50)]) == pytest.approx(0.015)


def test_the_trend_is_spearmans():
    rng = np.random.Generator(np.random.Philox(1))
    values = rng.standard_normal((12, 3)).round(1)
    values[:, 2] = 4.0
    ranks = rng.permutation(12).astype(float)
    found = trend(values, ranks)
    for unit in (0, 1):
        assert found[unit] == pytest.approx(stats.spearmanr(values[:, unit], ranks).statistic)
    assert np.isnan(found[2])


def test_item_ids_of_the_fixture_are_distinct():
    assert len(set(item_ids(Cell(items=30)))) == 30


@pytest.mark.parametrize("name", ["data/prompts/otherview.parquet", "data/prompts/otherview.references.json"])
def test_a_damaged_file_is_named_with_its_fix(tmp_path, name):
    write_cell(tmp_path, Cell(controls=()))
    (tmp_path / name).write_bytes(b"[1, 2")
    result = load_result(tmp_path, "otherview", "tiny")
    with pytest.raises(InputError, match=rf"{Path(name).name}.*dvc checkout"):
        _ = result.records, result.references


def test_a_damaged_list_of_cells_is_named_with_its_fix(tmp_path):
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports" / "cells.json").write_text('{"cells": [{"probe": 1}]}')
    with pytest.raises(InputError, match=r"cells\.json: cells\.0\.probe: .*dvc repro cells"):
        load_cells(tmp_path)
