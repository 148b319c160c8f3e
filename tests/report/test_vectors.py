"""Direction and profile beside magnitude: the tables, the pages, the figure, the terminal."""

import base64
import io
import json
import re

import numpy as np
import polars as pl
import pytest
from helpers.browser import WELL_FORMED, Visit
from helpers.report_fixture import Cell, write_cell, write_verdict
from rich.console import Console

from plantain.base import places
from plantain.base.errors import InputError
from plantain.commands.show import as_data
from plantain.report.by_measure import NO_GRAMS, by_measure, rests_on
from plantain.report.columns import WIDTH
from plantain.report.compare.write import write_compare
from plantain.report.family import write_family
from plantain.report.figures.directions import directions
from plantain.report.figures.grid import grids
from plantain.report.figures.style import plantain_style
from plantain.report.figures.write import write_figures
from plantain.report.markdown import run_card
from plantain.report.page import sections
from plantain.report.page.write import write_page
from plantain.report.result import load_result
from plantain.report.text import headlines, models, show
from plantain.report.vectors import vector_analysis, with_vectors

STATS = "data/stats/tiny/otherview"
CLIMB = {"rung": 3, "rungs": [], "sentence": "Rung 3 of 7.", "metrics": {}}
LEXICAL = {"contrast": "decoy", "decides": "words", "outcome": "lexical", "p": 0.9, "floor": 0.01, "number": 0,
           "own_p": 0.01, "reason": "told"}  # fmt: skip


def made(root, **verdict):
    write_cell(root, Cell(vectors=True))
    measures = {"direction": CLIMB, "profile": CLIMB | {"rung": 1, "controls": [LEXICAL]}}
    write_verdict(root, rung=4, **({"measures": measures} | verdict))
    return load_result(root, "otherview", "tiny")


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    return made(tmp_path_factory.mktemp("repository"))


@pytest.fixture(scope="module")
def page(result):
    path = result.root / "reports/tiny/otherview/index.html"
    write_page(result, path)
    write_family([result], result.root / places.HOLM_SCRIPT)
    return path


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """A result whose capture kept no vectors."""
    root = write_cell(tmp_path_factory.mktemp("plain"), Cell(controls=()))
    result = load_result(root, "otherview", "tiny")
    metrics = result.main.summary.metrics | {"selective_heads_lower_bound": 3.0, "template_simes_p": 0.01}
    summary = json.loads((root / STATS / "summary.json").read_text())
    summary["contrasts"]["target"]["heads"]["metrics"] = metrics
    (root / STATS / "summary.json").write_text(json.dumps(summary))
    return load_result(root, "otherview", "tiny")


def stored(result, name):
    return pl.read_parquet(result.root / STATS / f"target.{name}.parquet")


def data(path):
    text = path.read_text(encoding="utf-8")
    return json.loads(re.search(r'id="data">(.*?)</script>', text, re.DOTALL).group(1))


def values(entry, key):
    (measure,) = [one for one in entry["measures"] if one["key"] == key]
    return np.frombuffer(base64.b64decode(measure["values"]), "<f4")


def entry_of(path, label):
    (entry,) = [one for one in data(path)["analyses"] if one["label"] == label]
    return entry


@pytest.mark.parametrize("measure", ["direction", "profile"])
@pytest.mark.parametrize("number", ["t", "delta", "p"])
def test_the_map_of_heads_has_the_numbers_of_the_vector_tables(result, page, measure, number):
    wanted = stored(result, measure)[f"template_{number}"].cast(pl.Float64).fill_null(np.nan).to_numpy()
    np.testing.assert_allclose(values(entry_of(page, "target.heads"), f"{measure}_{number}"), wanted, rtol=1e-6)


def test_heads_are_joined_by_their_place_and_not_by_their_order(tmp_path):
    result = made(tmp_path)
    path = tmp_path / STATS / "target.direction.parquet"
    before = with_vectors(result, result.main)
    table = pl.read_parquet(path)
    table.reverse().with_columns(pl.Series("unit", range(len(table)), pl.UInt32)).write_parquet(path)
    assert with_vectors(load_result(tmp_path, "otherview", "tiny"), result.main).equals(before)


def test_heads_that_are_others_are_refused(tmp_path):
    result = made(tmp_path)
    path = tmp_path / STATS / "target.direction.parquet"
    pl.read_parquet(path).with_columns(pl.col("block") + 1).write_parquet(path)
    with pytest.raises(InputError, match=r"target\.direction\.parquet: its heads are not those of the analysis"):
        with_vectors(result, result.main)


def test_analyses_that_were_not_compared_by_vectors_keep_their_columns(result):
    for other in (result.card, result.contrast("paraphrase")):
        assert with_vectors(result, other).columns == other.table.columns
    assert with_vectors(result, result.main)[result.main.table.columns].equals(result.main.table)


def test_over_text_tokens_the_rows_are_those_of_the_text_stream(result, page):
    entry = entry_of(page, "target.text_direction")
    assert [row["label"] for row in entry["rows"]][:7] == ["j0t", "j1t", "j2t", "j3t", "j4t", "s0", "s1"]
    wanted = stored(result, "text_direction")["template_delta"].cast(pl.Float64).fill_null(np.nan).to_numpy()
    np.testing.assert_allclose(values(entry, "text_direction_delta"), wanted, rtol=1e-6)


def test_streams_of_a_block_are_grids_of_their_own(result):
    text = vector_analysis(result, "target", "text_direction").table
    columns = ["block_kind", "block", "stream", "part", "column", "template_t"]
    both = pl.concat([result.main.table.select(columns), text.filter(stream="text").select(columns)])
    found = {(one.kind, one.stream): one.values for one in grids(both, "template_t")}
    assert {place: one.shape for place, one in found.items()} == {
        ("joint", "image"): (5, 4), ("joint", "text"): (5, 4), ("single", "all"): (20, 4),
    }  # fmt: skip
    assert found["joint", "text"][3].tolist() == text.filter(stream="text", block=3)["template_t"].to_list()


def test_every_measure_has_its_row_and_one_of_them_is_confirmatory(result):
    told = [(one.name, one.heads, one.p, one.delta, one.information, one.rung, one.role) for one in by_measure(result)]
    assert told == [
        ("magnitude", "≥ 29 of 99", "0.02", "6.50", "1.75", "rung 4", "confirmatory"),
        ("direction", "≥ 31 of 99", "0.011", "7.25", "2.5", "rung 3", "exploratory"),
        ("profile", "≥ 32 of 99", "0.012", "8.25", "3.5", "rung 1 (words: lexical)", "exploratory"),
        ("text direction", "≥ 33 of 99", "0.013", "9.25", "4.5", "–", "description"),  # noqa: RUF001
    ]  # fmt: skip


def test_the_verdict_may_rest_on_direction(tmp_path):
    result = made(tmp_path, measure="direction", measures={"log_rms": CLIMB})
    assert {one.name: (one.rung, one.role) for one in by_measure(result)[:2]} == {
        "magnitude": ("rung 3", "exploratory"), "direction": ("rung 4", "confirmatory"),
    }  # fmt: skip
    assert rests_on(result).name == "direction"
    tile = sections.tiles(result)[0]
    assert (tile.value, tile.label.split(", ")[-1]) == ("≥ 31", "by direction")


def test_a_contrast_that_the_verdict_does_not_rest_on_is_exploratory_and_climbs_by_one_measure(tmp_path):
    result = made(tmp_path, contrast="paraphrase", exploratory={"target": CLIMB})
    assert [(one.rung, one.role) for one in by_measure(result)] == [
        ("rung 3", "exploratory"), ("–", "exploratory"), ("–", "exploratory"), ("–", "description"),  # noqa: RUF001
    ]  # fmt: skip


def test_no_measure_of_a_contrast_that_is_not_the_verdicts_is_confirmatory(result):
    other = load_result(result.root, "otherview", "tiny")
    other.__dict__["main"] = other.contrast("paraphrase")
    assert by_measure(other) == []
    assert sections.tiles(other)[0].note.startswith("not tested")


def test_without_vectors_one_sentence_says_so_and_nothing_else(plain, tmp_path):
    write_page(plain, tmp_path / "page.html")
    html = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert html.count(NO_GRAMS) == 1
    assert 'id="by-measure"' not in html
    assert "direction_t" not in html.split("<script>")[0]
    assert data(tmp_path / "page.html")["overlay"] is None
    assert [row["label"] for row in data(tmp_path / "page.html")["analyses"]] == [
        "target.heads", "published.heads", "published.card",
    ]  # fmt: skip
    assert directions(plain) is None
    write_figures(plain, tmp_path / "figures", 40)
    assert not (tmp_path / "figures/directions.png").exists()
    assert NO_GRAMS in run_card(plain).replace("\\", "")


def test_the_page_has_the_table_by_measure_and_links_to_its_files(result, page):
    html = page.read_text(encoding="utf-8")
    row = html.split('<tr data-measure="direction"')[1].split("</tr>")[0]
    cells = re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row)
    assert cells == ["direction", "≥ 31 of 99", "0.011", "7.25", "2.5", "rung 3", "exploratory"]
    assert NO_GRAMS not in html
    for name in ("direction", "profile", "text_direction"):
        assert f'href="../../../{STATS}/target.{name}.parquet"' in html


def test_the_figure_shows_sizes_of_every_measure_on_one_scale(result):
    with plantain_style():
        figure = directions(result)
    images = [axes.images[0] for axes in figure.axes if axes.images]
    assert len({image.get_clim() for image in images}) == 1
    assert images[0].get_clim()[0] == 0
    shown = [np.asarray(image.get_array())[7] for image in images if image.get_array().shape == (20, 4)]
    wanted = [stored(result, name).filter(block_kind="single", block=7)["template_t"].abs().to_list()
              for name in ("heads", "direction", "profile", "text_direction")]  # fmt: skip
    np.testing.assert_array_equal(shown, wanted)
    labels = [text.get_text() for axes in figure.axes for text in axes.get_yticklabels()]
    assert {"j0", "j4", "j0t", "j4t"} <= set(labels)


@pytest.mark.long
def test_equal_inputs_give_equal_pictures(result, tmp_path):
    for name in ("one", "two"):
        write_figures(result, tmp_path / name, 60)
    for kind in ("png", "svg"):
        one, two = (tmp_path / name / f"directions.{kind}" for name in ("one", "two"))
        assert one.read_bytes() == two.read_bytes()


def printed(result):
    stream = io.StringIO()
    Console(file=stream, width=WIDTH, highlight=False).print(show(result))
    return stream.getvalue()


def test_a_terminal_has_a_line_a_measure_within_its_columns(result):
    for said in (printed(result), "\n".join(headlines([result])), "\n".join(models([result]))):
        assert max(map(len, said.splitlines())) <= WIDTH
        for bound, name in ((31, "direction"), (32, "profile"), (33, "text direction")):
            own = [line for line in said.splitlines() if f"≥ {bound} of 99" in line]
            assert [f" {name}" in f" {line}" for line in own] == [True]
    assert "| direction | ≥ 31 of 99 | 0.011 | 7.25 | 2.5 | rung 3 | exploratory |" in run_card(result)


def test_programs_get_every_measure(result):
    told = as_data(result)["measures"]
    assert {name: (one["role"], one["rung"]) for name, one in told.items()} == {
        "log_rms": ("confirmatory", 4), "direction": ("exploratory", 3), "profile": ("exploratory", 1),
        "text_direction": ("description", None),
    }  # fmt: skip
    assert told["direction"]["metrics"]["selective_heads_lower_bound"] == 31
    assert json.loads(json.dumps(told)) == told


def test_no_head_is_said_in_which_measure(result):
    assert "By magnitude, at least 29 heads" in " ".join(" ".join(headlines([result])).split())
    label = sections.tiles(result)[0].label
    assert label.endswith("by magnitude")


@pytest.fixture
def visit(opened, page):
    visit = Visit(opened, page)
    yield visit
    visit.page.close()


def chosen(page):
    return page.inner_text("#unit-name"), page.input_value("#analysis"), page.input_value("#measure")


def test_direction_is_one_choice_away_and_an_address_brings_it_back(opened, result, visit):
    page = visit.page
    page.select_option("#measure", "direction_t")
    assert "farther apart" in page.inner_text("#colours")
    assert page.inner_text("#scale .ticks").split()[0] == "0"
    assert "direction of output over image tokens" in page.inner_text("#phrase")
    page.locator("#map").focus()
    for key in ("Home", *["ArrowUp"] * 30, "ArrowDown", "ArrowRight", "ArrowRight", "Enter"):
        page.keyboard.press(key)
    row = stored(result, "direction").row(6, named=True)
    shown = page.inner_text("#facts dd[data-fact='direction_t']")
    assert float(shown) == pytest.approx(row["template_t"], rel=0.006)
    address = page.evaluate("location.href")
    assert address.endswith("#head=j1.h2&contrast=target&measure=direction_t")
    again = opened.new_page()
    again.goto(address)
    again.wait_for_selector("html[data-ready='true']")
    assert chosen(again) == chosen(page) == ("joint 1 · head 2", "target.heads", "direction_t")
    again.close()
    page.select_option("#measure", "template_t")
    assert page.inner_text("#colours").startswith("Orange: stronger on the first side")
    assert visit.complaints == []


def test_the_text_streams_are_reached_by_menu_and_by_address(opened, visit):
    page = visit.page
    page.select_option("#analysis", "target.text_direction")
    assert page.input_value("#measure") == "text_direction_t"
    page.locator("#map").focus()
    for key in ("Home", *["ArrowUp"] * 30, "ArrowRight", "Enter"):
        page.keyboard.press(key)
    assert page.inner_text("#unit-name") == "joint 0 (text) · head 1"
    assert "no differences of single pairs" in page.inner_text("#no-pairs")
    page.click("#all-units summary")
    page.wait_for_selector("#top tbody tr:nth-child(100)")
    address = page.evaluate("location.href")
    assert "#head=j0t.h1&contrast=target&analysis=text_direction&measure=text_direction_t" in address
    again = opened.new_page()
    again.goto(address)
    again.wait_for_selector("html[data-ready='true']")
    assert chosen(again) == chosen(page)
    again.close()
    page.select_option("#analysis", "target.heads")
    assert page.inner_text("#unit-name") != "joint 0 · head 1"
    assert visit.complaints == []


def test_a_head_is_kept_when_the_contrast_changes(visit):
    page = visit.page
    page.evaluate("location.hash = '#head=s3.h1&contrast=target'")
    page.wait_for_selector("#permalink[href*='head=s3.h1']")
    page.select_option("#analysis", "target.text_direction")
    assert page.inner_text("#unit-name") == "single 3 · head 1"


def test_the_maps_by_measure_share_one_scale(visit, result):
    shown = visit.page.evaluate("overlaid.map((one) => [one.canvas.dataset.measure, one.scale, [...one.values]])")
    assert [key for key, _, _ in shown] == ["template_t", "direction_t", "profile_t"]
    assert shown[0][1] == shown[1][1] == shown[2][1]
    assert shown[0][1]["kind"] == "rising"
    sizes = stored(result, "heads")["template_t"].abs().fill_null(np.nan).to_numpy()
    np.testing.assert_allclose(shown[0][2], sizes, rtol=1e-6)


@pytest.mark.parametrize(("scheme", "width"), [("light", 1440), ("dark", 390)])
def test_pages_with_vectors_are_well_formed(opened, page, scheme, width):
    visit = Visit(opened, page, scheme=scheme, width=width)
    assert visit.page.evaluate(WELL_FORMED) == []
    assert visit.complaints == []
    visit.page.close()


@pytest.fixture(scope="module")
def index(result):
    root = result.root
    write_cell(root, Cell(model="tiny-untrained", of="tiny", seed=1))
    path = root / "reports/index.html"
    write_compare([result, load_result(root, "otherview", "tiny-untrained")], path, asked="Once.")
    return path


def test_the_index_says_what_is_reached_by_direction(index):
    html = index.read_text(encoding="utf-8")
    cells = re.findall(r'<td data-label="heads beyond rewording[^"]*">(.*?)</td>', html)
    found = [re.findall("by direction ([^<]+)", cell) for cell in cells]
    assert found == [["at least 31; rung 3"], []]


def test_the_maps_of_the_index_can_be_compared_by_direction(opened, index, result):
    visit = Visit(opened, index)
    page = visit.page
    page.select_option("#choice", "direction_delta")
    shown = page.evaluate("maps.filter((one) => 'choice' in one.canvas.dataset).map((one) => [...one.values])")
    wanted = stored(result, "direction")["template_delta"].fill_null(np.nan).to_numpy()
    np.testing.assert_allclose(shown[0], wanted, rtol=1e-6)
    assert all(value is None or np.isnan(value) for value in shown[1]), "it has none"
    assert "δ by direction" in page.inner_text("#choice-scale")
    assert "farther apart" in page.inner_text("#colours")
    page.select_option("#choice", "template_delta")
    back = page.evaluate("maps.filter((one) => 'choice' in one.canvas.dataset).map((one) => [...one.values])")
    np.testing.assert_allclose(
        back[0], stored(result, "heads")["template_delta"].fill_null(np.nan).to_numpy(), rtol=1e-6
    )
    assert visit.complaints == []
    assert page.evaluate(WELL_FORMED) == []
    page.close()
