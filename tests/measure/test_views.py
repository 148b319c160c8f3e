import itertools

import numpy as np
import polars as pl
import pytest

from plantain.base.errors import InputError
from plantain.base.params import Measure, Tokens, UnitKind
from plantain.measure.magnitude import item_level, measure, template_level
from plantain.measure.views import group16, head_streams, heads, mlp_slices, unit_table
from plantain.records.activations import TOKENS, Activations

HEADS, HEAD, MLP = 2, 32, 64
COUNTS = {"text": 5, "pad": 3, "noise": 4, "reference": 6}
SPANS = {"text": (0, 5), "pad": (5, 8), "noise": (8, 12), "reference": (12, 18)}
SEEN = {"image": ("noise", "reference"), "text": ("text", "pad"), "all": TOKENS}


def projections() -> list[tuple[str, int, str, int]]:
    joint = [("joint", b, s, HEADS * HEAD) for b in range(2) for s in ("image", "text")]
    return joint + [("single", b, "all", HEADS * HEAD + MLP) for b in range(3)]


def groups(width: int) -> pl.DataFrame:
    rows = []
    for kind, block, stream, channels in projections():
        for first in range(0, channels, width):
            attention = first < HEADS * HEAD
            part = "attention" if attention else "mlp"
            rows.append((kind, block, stream, part, first // HEAD if attention else None, first, width))
    names = ["block_kind", "block", "stream", "part", "head", "first_channel", "width"]
    return pl.DataFrame(rows, schema=names, orient="row")


def raw() -> dict[tuple[int, int, int, int], dict[tuple[str, int, str], np.ndarray]]:
    """Activations as a projection sees them, by (item, condition, reference, seed) and by projection."""
    random = np.random.default_rng(3)
    found = {}
    for cell in itertools.product(range(2), range(3), range(2), range(2)):
        found[cell] = {(k, b, s): random.normal(size=(18, c)) for k, b, s, c in projections()}
    return found


RAW = raw()


def activations(width: int) -> Activations:
    count = groups(width).height
    values = np.full((1, 2, 3, 2, 2, 4, count), np.nan, dtype=np.float32)
    for cell, by_projection in RAW.items():
        start = 0
        for kind, block, stream, channels in projections():
            x = by_projection[kind, block, stream]
            for name in SEEN[stream]:
                first, last = SPANS[name]
                squares = (x[first:last] ** 2).reshape(last - first, channels // width, width).mean(axis=(0, 2))
                values[(0, *cell, TOKENS.index(name), slice(start, start + channels // width))] = squares
            start += channels // width
    counts = np.broadcast_to(np.array([COUNTS[name] for name in TOKENS], dtype=np.int32), (2, 3, 2, 4)).copy()
    labels = (("i", "j"), ("a", "b", "c"), ("r", "s"), (0, 1), (0,))
    return Activations(values, counts, *labels)


SETS = {
    Tokens.text: ("text",),
    Tokens.pad: ("pad",),
    Tokens.noise: ("noise",),
    Tokens.reference: ("reference",),
    Tokens.image: ("noise", "reference"),
    Tokens.all: TOKENS,
}


def brute(unit: dict, tokens: Tokens, cell: tuple[int, int, int, int]) -> float:
    x = RAW[cell][unit["block_kind"], unit["block"], unit["stream"]]
    rows = [i for name in SETS[tokens] if name in SEEN[unit["stream"]] for i in range(*SPANS[name])]
    first = unit["first_channel"]
    picked = x[rows, first : first + unit["width"]]
    return float(np.sqrt((picked**2).mean())) if rows else float("nan")


@pytest.mark.parametrize("width", [4, 8, 16])
@pytest.mark.parametrize("tokens", list(Tokens))
@pytest.mark.parametrize("view", [heads, group16, head_streams, lambda g: mlp_slices(g, 32)])
def test_units_equal_the_rms_of_the_raw_activations(width, tokens, view):
    table = groups(width)
    units = view(table)
    values = measure(activations(width), table, units, tokens, Measure.rms)
    assert values.shape == (2, 3, 2, 2, units.table.height)
    for cell in [(0, 0, 0, 0), (1, 2, 1, 1)]:
        expected = [brute(unit, tokens, cell) for unit in units.table.iter_rows(named=True)]
        np.testing.assert_allclose(values[cell], expected, rtol=1e-6)


def test_log_rms_is_the_logarithm_and_a_silent_unit_has_no_difference():
    table = groups(16)
    loud = activations(16)
    rms = measure(loud, table, UnitKind.head, Tokens.image, Measure.rms)
    np.testing.assert_allclose(measure(loud, table, UnitKind.head, Tokens.image, Measure.log_rms), np.log(rms))
    silent = Activations(loud.mean_square * 0, loud.token_count, ("i", "j"), ("a", "b", "c"), ("r", "s"), (0, 1), (0,))
    logs = measure(silent, table, UnitKind.head, Tokens.image, Measure.log_rms)
    assert np.isneginf(logs).all()
    assert not np.isfinite(item_level(logs, ("a", "b", "c"), ("a",), ("b",))).any()


def test_unit_tables_say_where_units_are():
    table = groups(8)
    found = unit_table(table, UnitKind.head)
    assert found.height == 5 * HEADS
    assert found["unit"].to_list() == list(range(10))
    assert found["head"].to_list() == [0, 1] * 5
    assert found["stream"].unique().sort().to_list() == ["all", "image"]
    assert found["first_channel"].to_list() == [0, 32] * 5
    assert found["width"].unique().to_list() == [HEAD]
    cards = unit_table(table, UnitKind.group16)
    assert cards.height == 2 * 4 + 3 * 8
    assert cards.filter(pl.col("part") == "mlp")["head"].null_count() == 3 * 4
    assert cards.filter(pl.col("block_kind") == "single")["index_in_block"].to_list() == list(range(8)) * 3
    assert cards.filter(pl.col("part") == "attention")["head"].to_list() == [0, 0, 1, 1] * 5
    assert head_streams(table).table.height == 7 * HEADS
    assert mlp_slices(table, 32).table["first_channel"].to_list() == [64, 96] * 3


def test_klein_has_the_counts_of_the_cards():
    rows = []
    for block in range(5):
        for stream in ("image", "text"):
            rows += [("joint", block, stream, "attention", f // 128, f, 16) for f in range(0, 3072, 16)]
    for block in range(20):
        for f in range(0, 12288, 16):
            head = f // 128 if f < 3072 else None
            rows.append(("single", block, "all", "mlp" if head is None else "attention", head, f, 16))
    klein = pl.DataFrame(rows, schema=groups(16).columns, orient="row")
    assert unit_table(klein, UnitKind.group16).height == 16_320
    assert unit_table(klein, UnitKind.head).height == 600
    assert head_streams(klein).table.height == 720
    assert mlp_slices(klein).table.height == 1_440


def test_widths_that_make_no_whole_units_are_refused():
    with pytest.raises(InputError, match="units of 16"):
        group16(groups(32))
    with pytest.raises(InputError, match="units of 48"):
        mlp_slices(groups(16), 48)
    with pytest.raises(InputError, match="groups"):
        measure(activations(16), groups(8), UnitKind.head, Tokens.all, Measure.rms)


def test_items_and_templates_are_plain_means():
    table = groups(16)
    values = measure(activations(16), table, UnitKind.head, Tokens.noise, Measure.log_rms)
    labels = ("a", "b", "c")
    side_a = values[:, [0, 2]].mean(axis=(1, 2, 3))
    np.testing.assert_allclose(item_level(values, labels, ["a", "c"], ["b"]), side_a - values[:, 1].mean(axis=(1, 2)))
    np.testing.assert_allclose(template_level(values, labels, ["c", "a"]), values[:, [2, 0]].mean(axis=(0, 2, 3)))
    with pytest.raises(InputError, match="'d'"):
        item_level(values, labels, ["a"], ["d"])


def test_an_absent_alternative_is_left_out_of_a_template():
    values = measure(activations(16), groups(16), UnitKind.head, Tokens.noise, Measure.rms)
    values[:, 1, 1] = np.nan
    found = item_level(values, ("a", "b", "c"), ["a"], ["b"])
    np.testing.assert_allclose(found, values[:, 0].mean(axis=(1, 2)) - values[:, 1, 0].mean(axis=1))
    unseen = measure(activations(16), groups(16), UnitKind.group16, Tokens.text, Measure.rms)
    assert np.isnan(item_level(unseen, ("a", "b", "c"), ["a"], ["b"])[:, :8]).all()
