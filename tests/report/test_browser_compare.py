import shutil
from pathlib import Path

import polars as pl
import pytest
from helpers.browser import WELL_FORMED, Visit
from helpers.report_fixture import Cell, write_cell

from plantain.report.compare.write import write_compare
from plantain.report.result import load_result
from plantain.track.asked import CHANCE, Asked, write

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


def test_the_overview_has_the_difference_first_and_links_to_every_report(visit):
    heads = visit.page.eval_on_selector_all(".overview thead th", "all => all.map(e => e.innerText.split('\\n')[0])")
    assert heads == ["probe", "trained minus untrained", "tiny", "tiny-untrained"]
    links = visit.page.eval_on_selector_all(".overview a", "all => all.map(e => e.getAttribute('href'))")
    assert sorted(links) == sorted(f"{cell.model}/{cell.probe}/index.html" for cell in CELLS)


def test_hovering_a_map_names_the_head_and_its_t(visit, root):
    page = visit.page
    canvas = page.locator("canvas[data-map='dense@tiny']").first
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + 8)
    table = pl.read_parquet(root / "data/stats/tiny/dense/target.heads.parquet")
    row = table.filter(block_kind="joint", block=1, head=2).row(0, named=True)
    text = canvas.locator("xpath=following-sibling::p").first.inner_text()
    name, value = text.split(": ")
    assert name == "joint 1 · head 2"
    assert float(value.replace("−", "-")) == pytest.approx(row["t"], rel=0.006)  # noqa: RUF001


@pytest.mark.parametrize(("scheme", "width"), [("light", 1200), ("dark", 1200), ("light", 420)])
def test_light_dark_and_narrow_pages_are_well_formed(opened, root, scheme, width):
    visit = Visit(opened, root / "reports" / "index.html", scheme=scheme, width=width)
    assert visit.page.evaluate(WELL_FORMED) == []
    visit.keep(f"compare-{scheme}-{width}")
    visit.page.close()
