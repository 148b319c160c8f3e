import shutil
from pathlib import Path

import polars as pl
import pytest
from helpers.browser import WELL_FORMED, Visit
from helpers.report_fixture import Cell, write_cell, write_verdict

from plantain.report.compare.effects import effect_at
from plantain.report.compare.write import write_compare
from plantain.report.page.write import write_page
from plantain.report.result import load_result
from plantain.track.asked import CHANCE, Asked, write

LINKS = "all => all.map(e => [...e.querySelectorAll('a')].map(a => a.getAttribute('href')))"
TITLES = "all => all.map(e => [...e.querySelectorAll('h4')].map(h => h.textContent))"
CELLS = (
    Cell(nasty=True), Cell(model="tiny-untrained", of="tiny", seed=1, nasty=True),
    Cell(probe="dense", items=25, seed=2, nasty=True),
    Cell(probe="dense", items=25, seed=3, model="tiny-untrained", of="tiny", controls=(), nasty=True),
)  # fmt: skip


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("repository")
    for cell in CELLS:
        write_cell(root, cell)
    write_compare([load_result(root, cell.probe, cell.model) for cell in CELLS], root / "reports" / "index.html")
    write(root, {model: Asked(model, 2, 5, whole=True) for model in ("tiny", "tiny-untrained", "not-shown")})
    return root


@pytest.fixture(scope="module")
def visit(opened, root):
    return Visit(opened, root / "reports" / "index.html")


def test_the_page_opens_without_network_and_without_complaint(visit, root):
    assert visit.outside() == [(root / "reports" / "asked.js").as_uri()]
    assert visit.complaints == []
    assert visit.page.evaluate("typeof window.pwned") == "undefined"


def test_how_often_each_model_was_asked_comes_from_the_file_beside_the_page(visit):
    asked = "{0} was asked 2 probes in 5 prompt sets; "
    said = asked.format("tiny") + asked.format("tiny-untrained") + f"{CHANCE}."
    assert visit.page.inner_text("#asked") == said


def test_a_page_without_the_file_says_what_counts_and_works(opened, root, tmp_path):
    page = shutil.copy(root / "reports" / "index.html", tmp_path)
    visit = Visit(opened, Path(page))
    assert visit.page.inner_text("#asked") == (
        "How often each model was asked is counted by plantain compare, and not known to this page yet."
    )
    assert visit.page.locator("canvas[data-map='dense@tiny']").first.bounding_box()["height"] > 10
    visit.page.close()


def test_a_page_that_knows_the_count_asks_for_no_file(opened, root, tmp_path):
    results = [load_result(root, cell.probe, cell.model) for cell in CELLS[:2]]
    write_compare(results, tmp_path / "compare.html", "tiny was asked & answered")
    visit = Visit(opened, tmp_path / "compare.html")
    assert (visit.outside(), visit.complaints) == ([], [])
    assert visit.page.inner_text("#asked") == "tiny was asked & answered"
    visit.page.close()


def test_every_cell_of_the_first_tables_leads_to_a_page(visit, root):
    names = visit.page.evaluate("[...document.querySelectorAll('table')].slice(0, 2).map((table) => table.className)")
    assert names == ["grid", "verdicts"]
    grid = visit.page.eval_on_selector_all("table.grid td", LINKS)
    assert [path for paths in grid for path in paths] == [
        f"{cell.model}/{cell.probe}/index.html#ladder" for cell in CELLS
    ]  # fmt: skip
    cells = visit.page.locator("table.verdicts tbody > tr > *")
    links = visit.page.eval_on_selector_all("table.verdicts tbody > tr > *", LINKS)
    assert len(links) == cells.count() == 4 * 8
    assert {path.split("#")[0] for paths in links for path in paths} == {
        f"{cell.model}/{cell.probe}/index.html" for cell in CELLS
    }
    assert all(links)


def test_the_maps_stand_by_probe_with_the_difference_beside_them(visit):
    heads = visit.page.eval_on_selector_all(".overview", TITLES)
    assert heads == [["tiny", "tiny-untrained", "trained minus untrained"]] * 2
    scales = visit.page.eval_on_selector_all("#overview .scale-name", "all => all.map(e => e.textContent)")
    assert scales == [
        "δ over wordings (standard deviations between wordings)",
        "mean difference, trained minus untrained, sorted within each block (log RMS)",
    ]
    assert visit.page.locator("#overview .scale").first.locator(".ticks span").count() >= 3


def test_hovering_a_map_names_the_head_and_its_delta_and_a_click_opens_it(opened, root):
    visit = Visit(opened, root / "reports" / "index.html")
    page = visit.page
    canvas = page.locator("canvas[data-map='dense@tiny']").first
    canvas.scroll_into_view_if_needed()
    x, y = page.evaluate("""() => {
      const map = maps.find((one) => one.canvas.dataset.map === "dense@tiny");
      return [map.left + 2.5 * map.cell, map.top(1) + map.rowHeight / 2];
    }""")
    box = canvas.bounding_box()
    page.mouse.move(box["x"] + x, box["y"] + y)
    table = pl.read_parquet(root / "data/stats/tiny/dense/target.heads.parquet")
    row = table.filter(block_kind="joint", block=1, head=2).row(0, named=True)
    text = canvas.locator("xpath=following-sibling::p").first.inner_text()
    name, value = text.split(": ")
    assert name == "joint 1 · head 2"
    assert float(value.replace("−", "-")) == pytest.approx(row["template_delta"], rel=0.006)  # noqa: RUF001
    write_page(load_result(root, "dense", "tiny"), root / "reports" / "tiny" / "dense" / "index.html")
    page.mouse.click(box["x"] + x, box["y"] + y)
    page.wait_for_url("**/tiny/dense/index.html#*")
    page.wait_for_selector("html[data-ready='true']")
    assert page.inner_text("#unit-name") == "joint 1 · head 2"
    assert page.input_value("#measure") == "template_delta"
    page.close()


def shown(page):
    """Addresses of the rows of verdicts, cards of maps and pairs that are to be seen."""
    found = page.evaluate("""() => {
      const all = (selector) => [...document.querySelectorAll(selector)].filter((e) => e.getBoundingClientRect().width);
      return [
        all("table.verdicts tbody tr").map((e) => e.dataset.result), all("#overview canvas").map((e) => e.dataset.map),
        all("section.pair").map((e) => e.querySelector("h2").textContent),
      ];
    }""")
    return tuple(found)


def test_the_filter_hides_what_is_about_no_result_that_was_asked_for(opened, root):
    visit = Visit(opened, root / "reports" / "index.html")
    page = visit.page
    everything = shown(page)
    assert len(everything[0]) == 4
    page.select_option("#filter-probe", "dense")
    rows, maps, pairs = shown(page)
    assert rows == ["dense@tiny", "dense@tiny-untrained"]
    assert maps == ["dense@tiny", "dense@tiny-untrained", "dense@tiny - dense@tiny-untrained"]
    assert "otherview@tiny beside otherview@tiny-untrained" not in pairs
    assert "dense@tiny beside dense@tiny-untrained" in pairs
    page.select_option("#filter-model", "tiny-untrained")
    assert shown(page)[0] == ["dense@tiny-untrained"]
    assert page.inner_text("#filter-count") == "1 of 4 results"
    address = page.evaluate("location.href")
    page.select_option("#filter-model", "")
    page.select_option("#filter-probe", "")
    page.fill("#filter-text", "PARAPHRASE perspective-taking")
    assert shown(page)[0] == ["otherview@tiny", "otherview@tiny-untrained", "dense@tiny"]
    page.fill("#filter-text", "nothing is like this")
    assert (shown(page)[0], page.is_visible("#nothing")) == ([], True)
    page.fill("#filter-text", "")
    assert shown(page) == everything
    page.goto("about:blank")
    page.goto(address)
    page.wait_for_selector("html[data-ready='true']")
    assert shown(page)[0] == ["dense@tiny-untrained"]
    page.close()


def test_the_rows_are_sorted_by_any_column_and_the_address_remembers(opened, root):
    write_verdict(root, "otherview", "tiny", rung=3)
    write_verdict(root, "dense", "tiny", rung=6)
    page = None
    try:
        path = root / "reports" / "sorted.html"
        write_compare([load_result(root, cell.probe, cell.model) for cell in CELLS], path)
        page = Visit(opened, path).page
        in_order = shown(page)[0]
        assert in_order == [f"{cell.probe}@{cell.model}" for cell in CELLS]
        page.click("[data-sort=rung] button")
        first = shown(page)[0]
        assert first[:2] == ["dense@tiny", "otherview@tiny"], "the untrained ones have no verdict, and go last"
        assert page.get_attribute("[data-sort=rung]", "aria-sort") == "descending"
        page.click("[data-sort=rung] button")
        assert shown(page)[0][:2] == ["otherview@tiny", "dense@tiny"]
        assert shown(page)[0][2:] == first[2:]
        page.focus("[data-sort=probe] button")
        page.keyboard.press("Enter")
        assert [address.split("@")[0] for address in shown(page)[0]] == ["dense", "dense", "otherview", "otherview"]
        assert page.get_attribute("[data-sort=rung]", "aria-sort") is None
        page.select_option("#filter-sort", "-effect")
        effects = [effect_at(load_result(root, *name.split("@")), 25).value for name in shown(page)[0]]
        assert effects == sorted(effects, reverse=True)
        page.select_option("#filter-probe", "dense")
        address = page.evaluate("location.href")
        kept = shown(page)[0]
        page.goto("about:blank")
        page.goto(address)
        page.wait_for_selector("html[data-ready='true']")
        assert (shown(page)[0], page.input_value("#filter-sort")) == (kept, "-effect")
        assert page.locator("table.grid tbody tr:visible").count() == 1
        page.select_option("#filter-probe", "")
        page.select_option("#filter-sort", "")
        assert shown(page)[0] == in_order
    finally:
        for model in ("tiny",):
            for probe in ("otherview", "dense"):
                (root / "data" / "verdicts" / model / f"{probe}.json").unlink()
        if page is not None:
            page.close()


def test_without_script_everything_is_shown_and_no_filter_that_does_nothing(opened, root):
    context = opened.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((root / "reports" / "index.html").as_uri())
    assert not page.is_visible("#filter")
    assert page.locator("table.verdicts tbody tr").count() == 4
    assert all(row.is_visible() for row in page.locator("table.verdicts tbody tr").all())
    assert page.is_visible("text=The maps and the filter need their script")
    context.close()


@pytest.mark.parametrize(("scheme", "width"), [("light", 1200), ("dark", 1200), ("light", 390)])
def test_light_dark_and_narrow_pages_are_well_formed(opened, root, scheme, width):
    visit = Visit(opened, root / "reports" / "index.html", scheme=scheme, width=width)
    assert visit.page.evaluate(WELL_FORMED) == []
    visit.keep(f"compare-{scheme}-{width}")
    visit.page.close()
