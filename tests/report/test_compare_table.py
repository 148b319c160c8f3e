"""The comparison for programs: CSV and JSON of one table, and the effect at equal N with its interval."""

import csv
import io
import json

import numpy as np
import polars as pl
import pytest
from helpers.command_line import plantain
from helpers.report_fixture import Cell, write_cell, write_verdict

from plantain.base.files import readable_json
from plantain.report.compare.effects import effect_at, equal_effect
from plantain.report.compare.table import claim_rows, table_csv, table_data
from plantain.report.result import load_result

CONTROLS = [
    {"contrast": "titles", "decides": "words", "outcome": "differs", "p": 0.01, "floor": 0.01, "number": 7,
     "own_p": 0.5, "reason": "told"},
    {"contrast": "sketch", "decides": "picture", "outcome": "fails", "p": 0.4, "floor": 0.01, "number": 0,
     "own_p": 0.4, "reason": "told"},
]  # fmt: skip
HOLM = {"probes": 2, "p": 0.01, "p_holm": 0.02, "survives": True, "rung": 6}
CELLS = (
    Cell(vectors=True), Cell(model="tiny-untrained", of="tiny", seed=1), Cell(probe="dense", items=25, seed=2),
)  # fmt: skip


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("repository")
    for cell in CELLS:
        write_cell(root, cell)
    write_verdict(root, rung=6, controls=CONTROLS, holm=HOLM)
    write_verdict(root, model="tiny-untrained", rung=1)
    cells = [{"probe": cell.probe, "model": cell.model} for cell in CELLS]
    (root / "reports").mkdir(exist_ok=True)
    (root / "reports" / "cells.json").write_bytes(readable_json({"cells": cells}))
    return root


@pytest.fixture(scope="module")
def results(root):
    return [load_result(root, cell.probe, cell.model) for cell in CELLS]


def test_a_row_says_what_the_result_may_claim(results):
    pages = {"otherview@tiny": "tiny/otherview/index.html"}
    first, twin, other = json.loads(readable_json(table_data(claim_rows(results, pages), results)))["rows"]
    assert (first["result"], first["rung"], first["rung_name"]) == ("otherview@tiny", 6, "every seed and reference")
    assert first["controls"] == [
        {"control": "titles", "decides": "words", "outcome": "differs"},
        {"control": "sketch", "decides": "picture", "outcome": "fails"},
    ]
    assert first["holm"] == HOLM | {"reason": ""}
    (beside,) = first["twins"]
    assert (beside["model"], beside["rung"], beside["effect"]) == ("tiny-untrained", 1, twin["effect"])
    assert (first["page"], twin["page"], twin["of"], twin["twins"]) == (pages["otherview@tiny"], None, "tiny", [])
    assert (first["untrained"], twin["untrained"]) == (False, True)
    assert first["heads_by_direction"] == results[0].summary.vectors["target"]["direction"].metrics[
        "selective_heads_lower_bound"
    ]  # fmt: skip
    assert (other["rung"], other["holm"], other["claim"][:20]) == (None, None, "Verdict: not tested.")
    assert (other["pairs"], first["pairs"], first["effect"]["pairs"]) == (25, 30, 25)


def test_every_effect_is_that_of_the_fewest_pairs(results):
    rows = claim_rows(results)
    values = results[0].main.differences.drop("item").to_numpy()
    alive = values[:, (values != 0).any(0)]
    rng = np.random.default_rng(3)
    drawn = [np.median(np.abs(alive[rng.choice(30, 25, replace=False)].mean(0))) for _ in range(2000)]
    assert rows[0].effect.value == pytest.approx(np.mean(drawn), abs=5 * np.std(drawn) / np.sqrt(200))
    assert rows[2].effect.value == pytest.approx(
        results[2].main.table.filter("alive")["mean_difference"].abs().median(), rel=1e-5
    )


def test_csv_and_json_say_the_same(results):
    rows = claim_rows(results)
    told = table_data(rows, results)
    table = list(csv.DictReader(io.StringIO(table_csv(rows).decode())))
    assert [row["result"] for row in table] == [row["result"] for row in told["rows"]]
    for flat, deep in zip(table, told["rows"], strict=True):
        assert flat["rung"] == ("" if deep["rung"] is None else str(deep["rung"]))
        assert [float(flat[name]) for name in ("effect", "effect_low", "effect_high")] == pytest.approx(
            [deep["effect"][name] for name in ("value", "low", "high")]
        )
        assert flat["equal_pairs"] == str(told["equal_pairs"]) == "25"
        assert flat["claim"] == deep["claim"]
    assert table[0]["controls"] == "titles (words): differs; sketch (picture): fails"
    assert (table[0]["holm_p_corrected"], table[0]["holm_survives"], table[2]["holm_p"]) == ("0.02", "true", "")
    assert (table[0]["twins"], table[0]["twin_rungs"]) == ("tiny-untrained", "1")
    assert pl.read_csv(table_csv(rows))["rung"].dtype == pl.Int64


def test_the_command_prints_the_table_of_the_last_run_or_of_what_is_named(root, monkeypatch):
    for mark in ("params.yaml", "dvc.yaml", "environment.yaml"):
        (root / mark).write_text("")
    monkeypatch.setattr("plantain.commands.compare._asked", lambda results: [])
    answer = plantain("compare", "--csv", folder=root)
    assert answer.code == 0, answer.errors
    rows = list(csv.DictReader(io.StringIO(answer.output)))
    assert [row["result"] for row in rows] == ["otherview@tiny", "otherview@tiny-untrained", "dense@tiny"]
    named = plantain("compare", "dense@tiny", "otherview@tiny", "--json", folder=root)
    told = json.loads(named.output)
    assert [row["result"] for row in told["table"]["rows"]] == ["dense@tiny", "otherview@tiny"]
    assert [one["result"] for one in told["results"]] == ["dense@tiny", "otherview@tiny"]
    both = plantain("compare", "--csv", "--json", folder=root)
    assert (both.code, "two answers" in both.errors) == (2, True)
    page = plantain("compare", "--out", "side.html", folder=root)
    assert page.code == 0, page.errors
    assert (root / "side.csv").read_bytes().decode().splitlines()[0].startswith("result,probe,")
    assert json.loads((root / "side.json").read_bytes())["rows"][0]["page"] is None


def test_items_of_one_flip_block_count_once(root, results):
    """Two copies of every item tell nothing new: the interval is as wide as without them."""
    values = np.random.default_rng(0).standard_normal((20, 60)) + 0.4
    alone = equal_effect(values, 20, np.arange(20))
    doubled = np.repeat(values, 2, axis=0)
    widths = [
        found.high - found.low
        for found in (alone, equal_effect(doubled, 40, np.arange(40) // 2), equal_effect(doubled, 40, np.arange(40)))
    ]
    assert widths[1] == pytest.approx(widths[0], rel=0.25)
    assert widths[2] < 0.8 * widths[0]


def test_the_blocks_are_those_that_the_probe_declares(tmp_path):
    root = write_cell(tmp_path, Cell())
    result = load_result(root, "otherview", "tiny")
    before = effect_at(result, 30)
    path = root / "data" / "prompts" / "otherview.parquet"
    frame = pl.read_parquet(path).with_columns(pair=(pl.col("rank") - 1) // 2)
    frame.write_parquet(path)
    declared = load_result(root, "otherview", "tiny")
    declared.declared["contrasts"] = {"target": {"flip_blocks": "pair"}}
    values = declared.main.differences.drop("item").to_numpy()
    assert effect_at(declared, 30) == equal_effect(values, 30, np.arange(30) // 2) != before


@pytest.mark.parametrize(
    ("items", "count", "strength", "tails"), [(30, 30, 1.0, "normal"), (30, 20, 0.0, "normal"), (30, 25, 0.5, "heavy")]
)
def test_the_interval_holds_what_so_many_pairs_give_on_average(items, count, strength, tails):
    """Nominal 95%; it may hold more often than that, never less. 100 rounds: two standard errors are 4.4%."""
    rng = np.random.default_rng(7)
    units, rounds = 60, 100
    mean, load = strength * rng.standard_normal(units), 0.4 * rng.standard_normal((3, units))

    def draw(number):
        noise = (lambda *shape: rng.standard_t(3, shape)) if tails == "heavy" else lambda *s: rng.standard_normal(s)
        return mean + noise(number, 3) @ load + noise(number, units)

    truth = np.mean([np.median(np.abs(draw(count).mean(0))) for _ in range(2000)])
    held = 0
    for _ in range(rounds):
        found = equal_effect(draw(items), count, np.arange(items))
        held += found.low <= truth <= found.high
    assert held / rounds >= 0.95 - 2 * np.sqrt(0.95 * 0.05 / rounds)


def test_an_interval_is_no_wider_than_its_number_of_items_asks():
    """One that held everything would pass the test above."""
    rng = np.random.default_rng(8)
    widths = []
    for items in (12, 48):
        found = [equal_effect(rng.standard_normal((items, 60)) + 1, items, np.arange(items)) for _ in range(20)]
        widths.append(np.mean([one.high - one.low for one in found]))
    assert widths[1] < 0.65 * widths[0]
    assert widths[1] < 0.5


def test_nothing_is_said_where_nothing_differs_or_items_are_too_few():
    assert equal_effect(np.zeros((5, 4)), 5, np.arange(5)) is None
    few = equal_effect(np.ones((3, 4)), 3, np.arange(3))
    assert (few.value, few.low, few.high) == (1.0, None, None)
