import numpy as np
import polars as pl
import pytest
from scipy import stats

from plantain.analysis.cell import analyse_cell
from plantain.base.params import AnalysisParams, Measure, Tokens, UnitKind
from plantain.probe.records import Contrasts, ExpandedContrast
from plantain.probe.spec import Role
from plantain.records.activations import Activations

ITEMS, HEADS, BLOCKS = 10, 4, 3
CONDITIONS = tuple(f"{side}_{n}" for side in "ab" for n in range(4))
HEADS_PARAMS = AnalysisParams(
    unit=UnitKind.head, tokens=Tokens.image, measure=Measure.log_rms, flips=400, splits=20, split_flips=50
)
CARD_PARAMS = AnalysisParams(
    unit=UnitKind.group16, tokens=Tokens.all, measure=Measure.rms, flips=201, unique=False, splits=20, split_flips=0,
    permutations=0,
)  # fmt: skip


def groups() -> pl.DataFrame:
    rows = [
        {"block_kind": "single", "block": block, "stream": "all", "part": "attention", "head": group // 2}
        | {"first_channel": 16 * group, "width": 16}
        for block in range(BLOCKS)
        for group in range(2 * HEADS)
    ]
    return pl.DataFrame(rows)


@pytest.fixture
def activations():
    random = np.random.default_rng(3)
    shape = (1, ITEMS, len(CONDITIONS), 1, 2, 4, BLOCKS * HEADS * 2)
    return Activations(
        mean_square=random.uniform(0.5, 2.0, shape).astype(np.float32),
        token_count=np.full((ITEMS, len(CONDITIONS), 1, 4), [5, 3, 16, 16], np.int32),
        items=tuple(f"item-{n}" for n in range(ITEMS)),
        conditions=CONDITIONS,
        references=("room",),
        seeds=(0, 1),
        draws=(0,),
        header={"group_width": 16},
    )


CONTRASTS = Contrasts(
    probe="demo",
    items=tuple(f"item-{n}" for n in range(ITEMS)),
    fields=tuple({} for _ in range(ITEMS)),
    contrasts=(ExpandedContrast("target", CONDITIONS[:4], CONDITIONS[4:], Role.target, (None,) * 8, None),),
)


def brute_force(activations, unit):
    """log RMS over 16 noise and 16 reference tokens of the two groups of a head, sides averaged over templates."""
    groups = slice(2 * unit, 2 * unit + 2)
    square = activations.mean_square[0, :, :, 0, :, 2:4, groups].astype(float).mean(axis=(-1, -2))
    logs = 0.5 * np.log(square).mean(axis=2)
    return logs[:, :4].mean(axis=1) - logs[:, 4:].mean(axis=1)


def test_a_head_is_measured_and_tested_as_by_hand(activations):
    result = analyse_cell(activations, groups(), CONTRASTS, {"heads": HEADS_PARAMS})
    table = result.tables["target.heads"]
    assert table.height == BLOCKS * HEADS
    for unit in range(table.height):
        expected = stats.ttest_1samp(brute_force(activations, unit), 0.0)
        assert table["t"][unit] == pytest.approx(expected.statistic, rel=1e-10)
        stored = result.tables["target.heads.differences"][str(unit)].to_numpy()
        np.testing.assert_allclose(stored, brute_force(activations, unit), rtol=1e-10)


def test_a_silent_head_is_left_out_counted_and_changes_nothing_else(activations):
    whole = analyse_cell(activations, groups(), CONTRASTS, {"heads": HEADS_PARAMS})
    broken = activations.mean_square.copy()
    broken[0, 4, 2, :, :, :, 6:8] = 0.0
    silent = analyse_cell(
        Activations(**{**activations.__dict__, "mean_square": broken}), groups(), CONTRASTS, {"heads": HEADS_PARAMS}
    )
    summary = silent.summaries["target"]["heads"]
    assert silent.metrics["target"]["heads"]["units"] == 12
    assert silent.metrics["target"]["heads"]["alive_units"] == 11
    assert any("no finite measure" in warning and "unit 3" in warning for warning in summary.warnings)
    before, after = (result.tables["target.heads"].filter(pl.col("unit") != 3) for result in (whole, silent))
    assert before["t"].to_list() == after["t"].to_list()
    assert silent.tables["target.heads"]["t"][3] is None


def test_the_published_protocol_makes_no_claim_of_its_own(activations):
    result = analyse_cell(activations, groups(), CONTRASTS, {"card": CARD_PARAMS})
    numbers = result.metrics["target"]["card"]
    assert numbers["units"] == BLOCKS * HEADS * 2
    assert not {"heads_differ_lower_bound", "selective_heads_lower_bound", "split_half_r_null_p"} & set(numbers)
    assert result.summaries["target"]["card"].exploratory


def test_every_prompt_has_its_token_count(activations):
    counts = activations.token_count.copy()
    counts[2, 3, 0, 0] = 9
    changed = Activations(**{**activations.__dict__, "token_count": counts})
    table = analyse_cell(changed, groups(), CONTRASTS, {"heads": HEADS_PARAMS}).tables["tokens"]
    assert table.height == ITEMS * len(CONDITIONS)
    assert table.filter(item="item-2", condition="a_3")["tokens"].to_list() == [9]
    assert table.filter(item="item-3", condition="a_3")["tokens"].to_list() == [5]


def test_only_target_heads_is_confirmatory(activations):
    result = analyse_cell(activations, groups(), CONTRASTS, {"card": CARD_PARAMS, "heads": HEADS_PARAMS})
    flags = {name: entry.exploratory for name, entry in result.summaries["target"].items()}
    assert flags == {"card": True, "heads": False}


def test_block_rows_add_up_to_the_whole(activations):
    result = analyse_cell(activations, groups(), CONTRASTS, {"heads": HEADS_PARAMS})
    summary = result.summaries["target"]["heads"]
    assert sum(row.units for row in summary.blocks) == summary.metrics["alive_units"]
    assert sum(row.over_t3 for row in summary.blocks) == summary.metrics["heads_over_t3"]
