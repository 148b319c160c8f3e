"""That no cost grows faster than what is asked: exponents by counting bytes, comparisons and multiplications."""

import importlib
import math
import sys
import tracemalloc
from itertools import combinations
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from plantain.analysis.cell import analyse_cell
from plantain.base.params import AnalysisParams, Measure, Tokens, UnitKind
from plantain.capture.assembly import Assembly
from plantain.measure import vectors
from plantain.probe.records import Record
from plantain.records.activations import read_activations, write_activations
from plantain.records.keys import batches, passes
from plantain.report.compare import contents as comparing
from plantain.stats.both import both
from plantain.stats.bounds import true_discoveries
from plantain.stats.effects import paired_effects
from plantain.stats.flips.quantise import group_sums
from plantain.stats.signflip import sign_flip_test
from plantain.stats.skewed import healthy_share
from plantain.stats.splithalf import draw_halves, jackknife

ROOT = Path(__file__).parents[1]
LARGEST = 1.1
"""An exponent that passes for 1: some costs are fixed, some logarithmic."""
MEMORY = 1.5
"""What a process may hold above an idle one, in activation files."""


def exponent(cost, sizes):
    first, last = (cost(size) for size in sizes)
    assert first > 0
    return math.log(last / first) / math.log(sizes[1] / sizes[0])


def peak_of(work):
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


class Counted(np.ndarray):
    """An array that counts the multiplications of products, and the numbers that go into all else."""

    work = 0

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **kwargs):
        plain = [np.asarray(one) for one in inputs]
        kwargs |= {} if out is None else {"out": tuple(np.asarray(one) for one in out)}
        kwargs |= {"where": np.asarray(kwargs["where"])} if "where" in kwargs else {}
        Counted.work += plain[0].size * plain[1].shape[-1] if ufunc is np.matmul else max(one.size for one in plain)
        found = getattr(ufunc, method)(*plain, **kwargs)
        return found.view(Counted) if isinstance(found, np.ndarray) else found


def counted(work):
    Counted.work = 0
    work()
    return Counted.work


def table(items, units=6):
    return np.random.default_rng(0).normal(1.0, 1.0, (items, units)).view(Counted)


def pairs_of_items(items):
    return np.arange(items) // 2


def halved(items, groups):
    return draw_halves(groups, np.zeros(items, np.int64), 2, 0)


STATISTICS = {
    "jackknife": lambda n: jackknife(table(n), np.arange(n), halved(n, np.arange(n)), 0.5),
    "jackknife of blocks": lambda n: jackknife(table(n), pairs_of_items(n), halved(n, pairs_of_items(n)), 0.5),
    "blocks": lambda n: paired_effects(table(n), pairs_of_items(n)),
    "skewness": lambda n: healthy_share(table(n), draws=2),
}


@pytest.mark.parametrize("name", STATISTICS)
def test_statistics_grow_with_the_items(name):
    assert exponent(lambda n: counted(lambda: STATISTICS[name](n)), (600, 2400)) < LARGEST


def test_the_counter_sees_a_square():
    assert exponent(lambda n: counted(lambda: table(n) @ table(n).T), (600, 2400)) == pytest.approx(2)


FLIPPED = {
    "sign flips": lambda rows: sign_flip_test(rows, flips=4000),
    "bounds": lambda rows: true_discoveries(rows, unit_sets=[[0]], flips=4000),
    "items and wordings": lambda rows: both(*np.stack([rows] * 8 + [rows + 1] * 8).reshape(2, 8, *rows.shape)),
}


@pytest.mark.parametrize("name", FLIPPED)
def test_signs_are_never_held_for_all_flips_at_once(name):
    """4,000 flips of 2,000 items in float64 would take 64 MB, a thousand times the differences of four units."""
    rows = np.random.default_rng(0).normal(size=(2000, 4))
    assert peak_of(lambda: FLIPPED[name](rows)) < 16 << 20


def test_sums_over_many_rows_are_those_over_few():
    rows, groups = np.random.default_rng(0).normal(size=(900, 5)), np.random.default_rng(1).permutation(900) // 3
    expected = [rows[groups == group].sum(axis=0) for group in range(300)]
    np.testing.assert_allclose(group_sums(rows, groups), expected, rtol=1e-12)


def test_a_few_simulated_items_give_the_share_of_all():
    random = np.random.default_rng(0)
    data = random.normal(size=(400, 3)) @ random.normal(size=(3, 40))
    shares = [healthy_share(data[:count], draws=100) for count in (250, 400)]
    assert shares[1] == pytest.approx(shares[0], abs=0.08)


class Label(str):
    """A name that counts how often it is compared."""

    compared = 0
    __hash__ = str.__hash__

    def __eq__(self, other):
        Label.compared += 1
        return str.__eq__(self, other)


def records(items, conditions=2, label=str):
    pairs = [(item, condition) for item in range(items) for condition in range(conditions)]
    return [Record(label(f"i{i:04}"), label(f"c{c}"), f"{i} {c}", (), "", {}) for i, c in pairs]


def entered(found, groups=64):
    """An assembly with every pass of some records, in batches of four."""
    assembly, ordered = Assembly(found, (0,), (0,)), passes(found, (0,))
    for number, batch in enumerate(batches(ordered, 4, lambda one: None)):
        values = np.full((len(batch), 4, groups), number, np.float32)
        assembly.enter(0, batch, values, np.ones((len(batch), 4), np.int32))
    return assembly.activations({})


def test_passes_find_their_places_without_a_search():
    def compared(items):
        # Other objects of the same name, as a pass that was read elsewhere has them: hashes meet, then one comparison.
        found = records(items, label=Label)
        Label.compared = 0
        entered(found, groups=1)
        return Label.compared

    assert exponent(compared, (100, 400)) < LARGEST


def test_assembly_holds_what_it_makes_and_no_more():
    found = records(400)
    made = entered(found)
    assert peak_of(lambda: entered(found)) < 1.3 * made.mean_square.nbytes
    np.testing.assert_array_equal(made.mean_square[0, :2, :, 0, 0, 0, 0].ravel(), 0)
    np.testing.assert_array_equal(made.mean_square[0, -1, :, 0, 0, 0, 0], 199)


class Asked:
    """A result that counts how often it is looked at."""

    looks = 0

    def __init__(self, probe, model):
        self._known = {
            "probe": probe,
            "model": model,
            "lock": SimpleNamespace(of="tiny" if model == "untrained" else None),
            "digests": {"model lock": model},
        }

    def __getattr__(self, name):
        Asked.looks += 1
        return self._known[name]


def suite(probes):
    return [Asked(f"p{probe}", model) for probe in range(probes) for model in ("tiny", "mention", "untrained")]


def test_the_index_looks_at_each_result_so_many_times():
    def looks(probes):
        results = suite(probes)
        Asked.looks = 0
        comparing.pairs(results)
        return Asked.looks

    assert exponent(looks, (25, 100)) < LARGEST


def test_pairs_are_those_of_all_that_are_near_each_other_in_order():
    results = suite(5)
    near = [pair for pair in combinations(results, 2) if comparing.twins(*pair) or comparing._siblings(*pair)]
    assert comparing.pairs(results) == sorted(near, key=lambda pair: not comparing.twins(*pair))[:12]


@pytest.fixture
def growing(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    yield importlib.import_module("growing")
    sys.modules.pop("growing")


ANALYSES = {
    "card": AnalysisParams(
        unit=UnitKind.group16, tokens=Tokens.all, measure=Measure.rms, flips=201, unique=False, splits=5,
        split_flips=0, permutations=0,
    ),
    "heads": AnalysisParams(
        unit=UnitKind.head, tokens=Tokens.image, measure=Measure.log_rms, flips=10_000, splits=5, split_flips=50,
        permutations=200,
    ),
}  # fmt: skip


def test_analysis_holds_little_beside_the_file(growing, tmp_path):
    """Mapped pages are not counted: with them it is the file and half of it."""
    size = growing.Size(200, 10)
    write_activations(tmp_path / "a", growing.activations(size))

    def work():
        analyse_cell(read_activations(tmp_path / "a"), growing.groups(), growing.contrasts(size), ANALYSES)

    work()
    assert peak_of(work) < (MEMORY - 1) * growing.file_bytes(size)


@pytest.mark.parametrize("conditions", [10, 40])
def test_wordings_get_coordinates_once_for_all_contrasts(growing, monkeypatch, conditions):
    calls, embedded = [], vectors.embedded
    monkeypatch.setattr(vectors, "embedded", lambda *arguments: calls.append(1) or embedded(*arguments))
    size = growing.Size(12, conditions)
    given = growing.activations(size), growing.groups(), growing.contrasts(size)
    result = analyse_cell(*given, {"heads": ANALYSES["heads"]}, growing.grams(size))
    assert len(result.vectors) == conditions // 10
    assert len(calls) == sum(len(tokens) for tokens in vectors.TOKENS_OF.values())


@pytest.mark.long
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only Linux says what a process held at most")
@pytest.mark.parametrize(
    ("work", "size"),
    [("analyze", (1000, 10)), ("analyze", (100, 100)), ("verdict", (1000, 10)), ("assemble", (10, 20, 40)),
     ("nulls", (10, 20, 40))],
)  # fmt: skip
def test_a_process_holds_one_file_and_half_of_it(growing, monkeypatch, work, size):
    monkeypatch.chdir(ROOT)
    growth = importlib.import_module("growth")
    point = growth.point_of(work, growing.Size(*size))
    assert point.peak < MEMORY * point.file
