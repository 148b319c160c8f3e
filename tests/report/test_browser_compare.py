import polars as pl
import pytest
from helpers.browser import WELL_FORMED, Visit
from helpers.report_fixture import Cell, write_cell

from plantain.report.compare.write import write_compare
from plantain.report.result import load_result

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
    return root


@pytest.fixture(scope="module")
def visit(opened, root):
    return Visit(opened, root / "reports" / "index.html")


def test_the_page_opens_without_network_and_without_complaint(visit):
    assert visit.outside() == []
    assert visit.complaints == []
    assert visit.page.evaluate("typeof window.pwned") == "undefined"


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
