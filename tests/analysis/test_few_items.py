"""Probes at the edges of what can be tested: two or three items, one flip block, more items than a float has powers."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from helpers.report_fixture import Cell as ReportCell
from helpers.report_fixture import write_cell
from helpers.verdict_cells import ANALYSIS, activations, cell, contrasts, groups, log_rms
from helpers.verdict_cells import FRAME as VERDICT

from plantain.analysis.cell import analyse_cell
from plantain.base.files import readable_json
from plantain.base.params import Measure, Tokens
from plantain.ladder.judge import judge
from plantain.records.summary import Summary
from plantain.report.figures.write import write_figures
from plantain.report.page.write import write_page
from plantain.report.result import load_result
from plantain.stats.signflip import ResolutionWarning, sign_flip_test

CARD = ANALYSIS.model_copy(
    update={
        "tokens": Tokens.all,
        "measure": Measure.rms,
        "flips": 201,
        "unique": False,
        "split_flips": 0,
        "permutations": 0,
    }
)
HALVED = ("split_half_r", "split_half_r_q25", "split_half_r_q75", "split_half_r_spearman_brown")

pytestmark = [
    pytest.mark.filterwarnings("ignore::plantain.stats.signflip.ResolutionWarning"),
    pytest.mark.filterwarnings("ignore:Mean of empty slice"),
    pytest.mark.filterwarnings("ignore:invalid value encountered in scalar divide"),
]


def analysed(items: int, blocks: tuple[str, ...] | None = None, **changes):
    known = contrasts(items=items)
    target = replace(known.contrasts[0], flip_blocks=blocks)
    known = replace(known, contrasts=(target,))
    analyses = {
        "heads": ANALYSIS.model_copy(update={"splits": 5, **changes}),
        "card": CARD.model_copy(update={"splits": 5}),
    }
    return analyse_cell(activations(log_rms(items=items)), groups(), known, analyses), known


def judged(items: int, result, known):
    return verdict_of(log_rms(items=items), result, known)


def summary_of(result) -> Summary:
    return Summary(probe="otherview", model="tiny", contrasts=result.summaries)


def told(result, contrast="target"):
    """The summary of one contrast as it stands in the file."""
    return json.loads(summary_of(result).to_bytes())["contrasts"][contrast]


def verdict_of(values, result, known):
    made = replace(cell(values), summary=summary_of(result), contrasts=known)
    return json.loads(judge(made, VERDICT).to_bytes())


@pytest.mark.parametrize("items", [2, 3])
def test_a_probe_of_two_or_three_items_is_analysed_and_judged(items):
    result, known = analysed(items)
    for name in ("heads", "card"):
        summary = told(result)[name]
        assert summary["split_half"]["null_p"] is summary["split_half"]["median"] is None
        assert summary["split_half"]["r"] == []
        assert "Split halves: not tested; each half needs at least 2 items." in summary["warnings"]
        assert not {*HALVED, "split_half_r_null_p"} & set(result.metrics["target"][name])
        assert result.tables[f"target.{name}"]["half_a_t"].null_count() == 60
        assert result.tables[f"target.{name}"]["t"].null_count() == 0
    assert readable_json(result.metrics)
    assert result.metrics["target"]["heads"]["template_count_p"] > 0
    record = judged(items, result, known)
    assert record["rung"] == 0
    assert "the smallest p that this design can give" in record["rungs"][0]["reason"]


def drawn(folder: Path, result, rank) -> tuple[set[str], str]:
    """The names of the figures, and the page, of a result that was analysed here and stands in a whole repository."""
    write_cell(folder, ReportCell(items=4, controls=()))
    stats = folder / "data/stats/tiny/otherview"
    shown = json.loads((stats / "summary.json").read_bytes())
    for name in ("heads", "card"):
        for stem in (f"target.{name}", f"target.{name}.null", f"target.{name}.differences"):
            if stem in result.tables:
                result.tables[stem].write_parquet(stats / f"{stem}.parquet")
        shown["contrasts"]["target"][name] = told(result)[name]
    (stats / "summary.json").write_bytes(readable_json(shown))
    records = folder / "data/prompts/otherview.parquet"
    pl.read_parquet(records).with_columns(rank=pl.lit(rank)).write_parquet(records)
    loaded = load_result(folder, "otherview", "tiny")
    names = {figure.name for figure in write_figures(loaded, folder / "figures", dpi=30)}
    write_page(loaded, folder / "index.html")
    return names, (folder / "index.html").read_text()


@pytest.mark.parametrize("items", [2, 3])
@pytest.mark.parametrize("rank", [7.5, "first"])
def test_a_probe_of_two_or_three_items_has_figures_and_a_page(tmp_path, items, rank):
    """Also where its ranks are all the same, or are words."""
    names, page = drawn(tmp_path, analysed(items)[0], rank)
    assert "target.heads.null.svg" in names
    assert not {"target.heads.split_half.svg", "target.heads.rank.svg"} & names
    assert "not tested: each half needs at least 2 items" in page


def test_one_flip_block_leaves_only_the_identity_and_says_so():
    result, known = analysed(5, ("one",) * 5)
    null = told(result)["heads"]["null"]
    assert (null["flips"], null["smallest_p"]) == (1, 1.0)
    assert null["mean"] == null["p99"] == {"t3": None, "t5": None}
    assert result.metrics["target"]["heads"]["count_p_t3"] == 1
    assert judged(5, result, known)["rung"] == 0


def test_halves_that_blocks_leave_too_small_are_not_tested():
    """Seven items in two blocks of six and one: one half would hold a single item."""
    result, _ = analysed(7, ("many",) * 6 + ("one",))
    assert told(result)["heads"]["split_half"]["r"] == []


@pytest.mark.long
@pytest.mark.parametrize(
    ("items", "space"), [(2, 2.0), (12, 2048.0), (1024, 2.0**1023), (1025, "2^1024"), (1500, "2^1499")]
)
def test_the_number_of_flips_is_a_float_as_far_as_one_goes_and_a_power_beyond(items, space):
    values = log_rms(items=items)[..., :4]
    known = contrasts(items=items)
    few = ANALYSIS.model_copy(update={"splits": 1, "split_flips": 0, "flips": 50, "permutations": 0})
    result = analyse_cell(activations(values), groups().head(4), known, {"heads": few})
    null = told(result)["heads"]["null"]
    assert null["flip_space"] == space
    assert null["smallest_p"] == max(1 / 50, 0.5 ** (items - 1)) if items > 6 else 0.5
    assert json.loads(readable_json(null))["flip_space"] == space


def test_a_warning_spells_a_space_that_has_no_digits_to_show():
    with pytest.warns(ResolutionWarning, match=r"allow 2\^15999 flips"):
        sign_flip_test(np.ones((16_000, 1)), flips=10)


def test_bounds_draw_flips_where_all_of_them_cannot_be_stored(monkeypatch):
    """All 512 flips of ten items are counted; where 400 can be stored, the bounds rest on as many drawn ones."""
    monkeypatch.setattr("plantain.analysis.findings.STORED_FLIPS", 400)
    result, _ = analysed(10, flips="exact")
    drawn, _ = analysed(10, flips=400)
    bound = "heads_differ_lower_bound"
    assert result.metrics["target"]["heads"][bound] == drawn.metrics["target"]["heads"][bound]
    assert told(result)["heads"]["null"]["flips"] == 512


def test_sides_without_any_difference_are_analysed_judged_and_drawn(tmp_path):
    """As where both sides hold the same prompts: every head is silent, and that is what is said."""
    known = contrasts(items=6)
    values = np.zeros_like(log_rms(items=6))
    result = analyse_cell(activations(values), groups(), known, {"heads": ANALYSIS, "card": CARD})
    assert result.metrics["target"]["heads"]["alive_units"] == 0
    record = verdict_of(values, result, known)
    assert record["rung"] == 0
    names, _ = drawn(tmp_path, result, 1)
    assert "target.heads.blocks.svg" in names
    assert "target.heads.top.svg" not in names
