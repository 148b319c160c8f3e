import re

import numpy as np
import polars as pl
import pytest
from helpers.browser import WELL_FORMED, Visit
from helpers.report_fixture import KLEIN, NASTY, Cell, write_cell, write_verdict
from matplotlib.colors import LinearSegmentedColormap
from PIL import Image

from plantain.base import places
from plantain.base.files import readable_json
from plantain.report import unit_measures
from plantain.report.family import write_family
from plantain.report.figures.grid import limit
from plantain.report.figures.style import LIGHT_STOPS
from plantain.report.page.write import write_page
from plantain.report.result import load_result

UNITS = "data/stats/klein/otherview/{}.parquet"
CAPTIONS = "all => all.map(e => [parseFloat(getComputedStyle(e).fontSize), e.getBoundingClientRect().right])"
HEIGHTS = "all => all.map(e => e.getBoundingClientRect().height)"
CENTRE = """(unit) => {
  const { index, column } = locate(state.entry, unit);
  return [map.left + (column + 0.5) * map.cell, map.top(index) + map.rowHeight / 2];
}"""


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = write_cell(tmp_path_factory.mktemp("repository"), Cell(geometry=KLEIN, model="klein", nasty=True))
    return write_cell(root, Cell(model="tiny-untrained", of="tiny", nasty=True))


@pytest.fixture(scope="module")
def page(root):
    path = root / "reports" / "klein" / "otherview" / "index.html"
    result = load_result(root, "otherview", "klein")
    write_page(result, path)
    write_family([result], root / places.HOLM_SCRIPT)
    return path


@pytest.fixture
def visit(opened, page):
    visit = Visit(opened, page)
    yield visit
    visit.page.close()


def facts(page):
    found = page.eval_on_selector_all("#facts dd", "all => all.map(e => [e.dataset.fact, e.textContent])")
    return {name: float(text.replace("−", "-")) for name, text in found if text != "–"}  # noqa: RUF001


def point(page, unit):
    x, y = page.evaluate(CENTRE, unit)
    box = page.locator("#map").bounding_box()
    return box["x"] + x, box["y"] + y


def pixel(page, unit):
    return page.evaluate(
        f"""(unit) => {{
          const [x, y] = ({CENTRE})(unit), ratio = devicePixelRatio;
          return [...map.canvas.getContext('2d').getImageData(x * ratio, y * ratio, 1, 1).data];
        }}""",
        unit,
    )


def expect(row):
    names = {"t": "t", "effect": "mean_difference", "d_z": "d_z", "p": "p", "p_fwer": "p_fwer", "q": "q_bh"}
    return {name: row[column] for name, column in names.items()}


def test_the_page_opens_without_network_and_without_complaint(visit, page):
    assert visit.outside() == [(page.parents[2] / "holm.js").as_uri()]
    assert visit.complaints == []
    assert page.stat().st_size < 5_000_000


def test_what_becomes_of_the_claim_among_all_probes_comes_from_the_file_beside_the_pages(opened, tmp_path):
    """As it stands there, where that is of the page's own verdict; else what the page says of its probe alone."""
    root = write_cell(tmp_path, Cell(controls=()))
    holm = {"probes": 12, "p": 0.01, "p_holm": 0.12, "survives": False, "rung": 0, "sentence": "Fails <Holm>."}
    write_verdict(root, sentence="Alone.", holm=holm)
    result = load_result(root, "otherview", "tiny")
    path, script = root / places.page("tiny", "otherview"), root / places.HOLM_SCRIPT
    write_page(result, path)
    alone = "Said of this probe alone."
    among = "Of 12 probes put to this model the claim does not survive Holm's correction (p = 0.01, corrected 0.12)."

    def seen():
        visit = Visit(opened, path)
        said = visit.page.inner_text("#verdict"), visit.page.inner_text("#among-probes")
        visit.page.close()
        return said

    without = seen()
    assert (without[0], without[1][: len(alone)]) == ("Alone.", alone)
    write_family([result], script)
    assert seen() == ("Fails <Holm>.", among)
    write_verdict(root, sentence="Judged anew.", holm=holm)
    write_family([load_result(root, "otherview", "tiny")], script)
    assert seen() == without


def pictured(tmp_path):
    """A cell whose first side is given a red picture and the second a blue one, under the same prompts."""
    root = write_cell(tmp_path, Cell(controls=()))
    path, folder = root / places.records("otherview"), root / places.images("tiny", "otherview")
    second = pl.col("condition").str.starts_with("mention")
    name = pl.when(second).then(pl.lit("blue")).otherwise(pl.lit("red"))
    pl.read_parquet(path).with_columns(prompt=pl.lit("Keep it"), reference=pl.concat_list(name)).write_parquet(path)
    told = [{"name": name, "prompt": name, "file": None, "file_sha256": None, "sha256": "0" * 64} for name in COLOURS]
    (root / places.references("otherview")).write_bytes(readable_json({"references": told}))
    for name, colour in COLOURS.items():
        Image.new("RGB", (64, 48), colour).save(folder / f"{name}.png")
    return root


COLOURS = {"red": (200, 0, 0), "blue": (0, 0, 200)}
COLOUR = """(image) => {
  const canvas = document.createElement("canvas"), brush = canvas.getContext("2d");
  brush.drawImage(image, 0, 0);
  return [...brush.getImageData(5, 5, 1, 1).data.slice(0, 3)];
}"""


def test_prompts_of_image_pairs_stand_beside_their_pictures(opened, tmp_path):
    root = pictured(tmp_path)
    path = root / "page.html"
    write_page(load_result(root, "otherview", "tiny"), path)
    visit = Visit(opened, path)
    for place in ("#asked .side-{}", "#side-{}"):
        for side, name in (("a", "red"), ("b", "blue")):
            images = visit.page.locator(f"{place.format(side)} blockquote img")
            assert images.count() == visit.page.locator(f"{place.format(side)} blockquote").count() > 0
            for at in range(images.count()):
                assert images.nth(at).evaluate(COLOUR) == pytest.approx(COLOURS[name], abs=8)
                assert images.nth(at).get_attribute("alt") == f"Reference image {name}"
    assert visit.page.evaluate(WELL_FORMED) == []
    visit.page.close()


def test_one_picture_for_both_sides_is_not_repeated_beside_every_prompt(visit):
    assert visit.page.locator("blockquote img").count() == 0


@pytest.mark.parametrize("unit", [0, 119, 120, 347, 599])
def test_hovering_a_head_shows_that_heads_numbers(visit, root, unit):
    visit.page.locator("#map").scroll_into_view_if_needed()
    visit.page.mouse.move(*point(visit.page, unit))
    row = pl.read_parquet(root / UNITS.format("target.heads")).row(unit, named=True)
    assert visit.page.inner_text("#unit-name") == f"{row['block_kind']} {row['block']} · head {row['head']}"
    shown = facts(visit.page)
    for name, value in expect(row).items():
        assert shown[name] == pytest.approx(value, rel=0.06 if abs(value) < 0.001 else 0.006)


def test_the_colour_of_a_head_is_its_t(visit, root):
    visit.page.select_option("#measure", "t")
    table = pl.read_parquet(root / UNITS.format("target.heads"))
    top = limit([table["t"]])
    colours = LinearSegmentedColormap.from_list("expected", LIGHT_STOPS)
    for unit in (5, 130, 411):
        expected = np.array(colours((np.clip(table["t"][unit] / top, -1, 1) + 1) / 2)[:3]) * 255
        np.testing.assert_allclose(pixel(visit.page, unit)[:3], expected, atol=6)
    assert table["t"][3] is None
    assert pixel(visit.page, 3)[:3] == [230, 233, 235]


def test_clicking_a_head_shows_its_pairs_and_their_prompts(visit, root):
    page = visit.page
    page.locator("#map").scroll_into_view_if_needed()
    page.mouse.click(*point(page, 200))
    page.mouse.move(1, 1)
    differences = pl.read_parquet(root / UNITS.format("target.heads.differences")).select("item", "200")
    rows = page.eval_on_selector_all("#pairs button", "all => all.map(e => [e.dataset.item, e.lastChild.textContent])")
    assert dict(differences.iter_rows()) == {
        item: pytest.approx(float(text.replace("−", "-")), rel=0.006)  # noqa: RUF001
        for item, text in rows
    }
    assert [item for item, _ in rows] == differences["item"].to_list()
    page.click("#pairs button[data-item='spider']")
    assert "Render this kitchen from the viewpoint of a spider" in page.inner_text("#side-a")
    assert "Render this kitchen with a spider in it" in page.inner_text("#side-b")
    assert "joint" not in page.inner_text("#unit-name")


def test_pairs_can_be_ordered_by_difference(visit, root):
    visit.page.select_option("#order", "value")
    rows = visit.page.eval_on_selector_all("#pairs b", "all => all.map(e => e.textContent)")
    values = [float(text.replace("−", "-")) for text in rows]  # noqa: RUF001
    assert values == sorted(values, reverse=True)


def test_the_keyboard_reaches_every_head(visit):
    page = visit.page
    page.locator("#map").focus()
    for key in ("Home", *["ArrowUp"] * 30, *["ArrowDown"] * 6, "ArrowRight", "ArrowRight", "Enter"):
        page.keyboard.press(key)
    assert page.inner_text("#unit-name") == "single 1 · head 2"
    assert page.inner_text("#pairs-title") == "The pairs of single 1 · head 2"
    assert "single 1 · head 2: t" in page.inner_text("#live")
    page.keyboard.press("End")
    page.keyboard.press("Escape")
    assert page.inner_text("#unit-name") == "single 1 · head 2"


def test_the_groups_of_the_card_are_one_choice_away(visit, root):
    page = visit.page
    page.select_option("#analysis", "published.card")
    page.locator("#map").scroll_into_view_if_needed()
    unit = 960 + 3 * 768 + 500
    page.mouse.move(*point(page, unit))
    row = pl.read_parquet(root / UNITS.format("published.card")).row(unit, named=True)
    # A group is narrower than a pixel, so the pointer may land on its neighbour; the keyboard goes the last step.
    first = int(re.search(r"single 3 · MLP channels ([\d,]+)", page.inner_text("#unit-name")).group(1).replace(",", ""))
    steps = (row["first_channel"] - first) // 16
    assert abs(steps) <= 1
    page.locator("#map").focus()
    for _ in range(abs(steps)):
        page.keyboard.press("ArrowRight" if steps > 0 else "ArrowLeft")
    expected = f"single 3 · MLP channels {row['first_channel']:,} to {row['first_channel'] + 15:,}"
    assert page.inner_text("#unit-name") == expected
    assert facts(page)["t"] == pytest.approx(row["t"], rel=0.006)
    page.mouse.move(*point(page, 960 + 3 * 768 + 19))
    assert page.inner_text("#unit-name").startswith("single 3 · head 2, group")
    assert page.is_visible("#no-pairs")
    assert not page.is_visible("#side-by-side")
    assert not page.is_visible("#order")


def test_the_map_opens_on_wordings_where_they_were_compared(visit, root):
    page = visit.page
    table = pl.read_parquet(root / UNITS.format("target.heads"))
    assert page.input_value("#measure") == "template_t"
    strongest = table.drop_nulls("template_t").sort(pl.col("template_t").abs()).row(-1, named=True)
    assert facts(page)["template_t"] == pytest.approx(strongest["template_t"], rel=0.006)
    assert "Over wordings" in page.inner_text("#level")
    page.select_option("#analysis", "published.heads")
    assert page.input_value("#measure") == "effect"
    page.select_option("#measure", "t")
    assert page.inner_text("#level").startswith("Item level")


def test_the_table_holds_every_head_of_the_chosen_contrast(visit, root):
    page = visit.page
    page.select_option("#analysis", "paraphrase.heads")
    page.click("#all-units summary")
    page.wait_for_function("document.querySelectorAll('#top tbody tr').length === 600")
    heads = page.eval_on_selector_all("#top thead th", "all => all.map(e => e.textContent)")
    cells = page.eval_on_selector_all("#top tbody tr:nth-child(201) > *", "all => all.map(e => e.textContent)")
    row = pl.read_parquet(root / UNITS.format("paraphrase.heads")).row(200, named=True)
    assert cells[0] == f"{row['block_kind']} {row['block']} · head {row['head']}"
    shown = dict(zip(heads, cells, strict=True))
    assert float(shown["t over items"].replace("−", "-")) == pytest.approx(row["t"], rel=0.006)  # noqa: RUF001
    assert float(shown["mean difference"].replace("−", "-")) == pytest.approx(row["mean_difference"], rel=0.006)  # noqa: RUF001
    page.select_option("#analysis", "published.card")
    assert page.locator("#top tbody tr").count() == 600
    assert "of largest |t|" in page.inner_text("#all-units summary")


def test_another_measure_paints_and_scales_anew(visit, root):
    page = visit.page
    before = pixel(page, 200)
    page.select_option("#measure", "effect")
    table = pl.read_parquet(root / UNITS.format("target.heads"))
    ticks = page.eval_on_selector_all("#scale .ticks span", "all => all.map(e => e.textContent)")
    ends = [float(text.strip("≤≥ ").replace("−", "-")) for text in (ticks[0], ticks[-1])]  # noqa: RUF001
    assert ends == pytest.approx([-limit([table["mean_difference"]]), limit([table["mean_difference"]])])
    assert page.inner_text("#scale .scale-name") == "mean difference (log RMS)"
    page.check("#dim")
    faded = next(u for u in range(599) if u != 200 and table["t"][u] is not None and abs(table["t"][u]) < 3)
    assert pixel(page, faded)[3] < 255
    assert before[3] == 255


def test_a_prompt_with_markup_stays_text(visit):
    page = visit.page
    page.click("#pairs button[data-item='adult-human']")
    assert NASTY in page.inner_text("#side-a")
    assert NASTY in page.inner_text("h1")
    for details in page.query_selector_all("#prompts details"):
        details.evaluate("e => e.open = true")
    assert NASTY in page.inner_text("#prompts")
    assert page.evaluate("typeof window.pwned") == "undefined"
    assert page.locator("img[src=x]").count() == 0


def test_injected_script_would_not_run(visit):
    visit.page.evaluate("""() => {
      const script = document.createElement('script');
      script.textContent = 'window.pwned = 1';
      document.body.append(script);
    }""")
    assert visit.page.evaluate("typeof window.pwned") == "undefined"
    assert any("Content Security Policy" in text for text in visit.complaints)


def test_the_panel_shows_first_what_the_map_shows(visit, root):
    page = visit.page
    table = pl.read_parquet(root / UNITS.format("target.heads"))
    for key, column, name, unit in (
        ("template_delta", "template_delta", "δ over wordings", "standard deviations between wordings"),
        ("effect", "mean_difference", "mean difference", "log RMS"),
    ):
        page.select_option("#measure", key)
        page.locator("#map").scroll_into_view_if_needed()
        page.mouse.move(*point(page, 200))
        terms = page.eval_on_selector_all("#facts dt", "all => all.map(e => e.innerText.split('\\n'))")
        assert terms[0] == [name, unit]
        assert next(iter(facts(page))) == key
        assert facts(page)[key] == pytest.approx(table[column][200], rel=0.006)
        assert len(terms) == len({term[0] for term in terms}) == 10


def reopened(opened, address):
    page = opened.new_page(viewport={"width": 1200, "height": 900})
    page.goto(address)
    page.wait_for_selector("html[data-ready='true']")
    return page


def chosen(page):
    return page.inner_text("#pairs-title"), page.input_value("#analysis"), page.input_value("#measure")


def test_an_address_chooses_head_contrast_and_measure_and_choosing_changes_the_address(opened, visit):
    page = visit.page
    page.select_option("#analysis", "paraphrase.heads")
    page.select_option("#measure", "d_z")
    page.locator("#map").scroll_into_view_if_needed()
    page.mouse.click(*point(page, 200))
    address = page.evaluate("location.href")
    assert address.split("#")[1] == "head=s3.h8&contrast=paraphrase&measure=d_z"
    assert page.evaluate("document.getElementById('permalink').href") == address
    again = reopened(opened, address)
    assert chosen(again) == chosen(page) == ("The pairs of single 3 · head 8", "paraphrase.heads", "d_z")
    assert again.evaluate("document.getElementById('map-section').getBoundingClientRect().top") < 50
    again.evaluate("location.hash = '#head=d3.h5&contrast=target&measure=template_t'")
    again.wait_for_selector("#permalink[href*='head=j3.h5']")
    assert chosen(again) == ("The pairs of joint 3 · head 5", "target.heads", "template_t")
    again.close()


def test_an_address_reaches_the_groups_of_the_card_too(opened, visit):
    page = visit.page
    page.select_option("#analysis", "published.card")
    page.locator("#map").focus()
    for key in ("Home", "ArrowRight", "ArrowRight", "Enter"):
        page.keyboard.press(key)
    address = page.evaluate("location.href")
    assert "contrast=published&analysis=card" in address
    again = reopened(opened, address)
    assert chosen(again) == chosen(page)
    assert again.inner_text("#unit-name") == page.inner_text("#unit-name")
    again.close()


@pytest.mark.parametrize(
    "fragment", ["#head=j99.h1&contrast=nothing&measure=none", "#head=<img src=x onerror=pwned=1>", "#ladder", "#=&&="]
)
def test_an_address_that_names_nothing_leaves_the_page_as_it_opens(opened, page, visit, fragment):
    again = reopened(opened, page.resolve().as_uri() + fragment)
    assert chosen(again) == chosen(visit.page)
    assert again.evaluate("typeof window.pwned") == "undefined"
    again.close()


def test_a_further_measure_has_its_place_in_menu_panel_scale_and_address_by_its_row_alone(
    opened, tmp_path, monkeypatch
):
    root = write_cell(tmp_path, Cell(controls=()))
    path = root / "data/stats/tiny/otherview/target.heads.parquet"
    frame = pl.read_parquet(path)
    frame.with_columns((pl.col("unit") / 100).alias("direction_share")).write_parquet(path)
    rule = unit_measures.ScaleRule(unit_measures.ScaleKind.rising)
    row = unit_measures.UnitMeasure(
        "direction", "direction_share", "direction", "share", "over wordings", "It turns.", rule
    )
    monkeypatch.setattr(unit_measures, "UNIT_MEASURES", (*unit_measures.UNIT_MEASURES, row))
    write_page(load_result(root, "otherview", "tiny"), root / "page.html")
    page = reopened(opened, (root / "page.html").as_uri() + "#head=s1.h2&measure=direction")
    assert chosen(page) == ("The pairs of single 1 · head 2", "target.heads", "direction")
    assert page.inner_text("#measure optgroup[label='over wordings'] option[value='direction']") == "direction"
    assert page.inner_text("#level") == "It turns."
    assert page.inner_text("#scale .scale-name") == "direction (share)"
    assert page.inner_text("#scale .ticks").split() == ["0", "1"]
    assert (next(iter(facts(page))), facts(page)["direction"]) == ("direction", 0.26)
    assert pixel(page, 0)[:3] == pytest.approx([247, 247, 244], abs=4)
    high = np.array(LinearSegmentedColormap.from_list("expected", LIGHT_STOPS)((0.99 + 1) / 2)[:3]) * 255
    np.testing.assert_allclose(pixel(page, 99)[:3], high, atol=8)
    page.close()


def test_the_contents_stay_in_view_on_a_wide_screen(visit):
    page = visit.page
    links = page.eval_on_selector_all(".toc a", "all => all.map(e => e.getAttribute('href'))")
    sections = page.eval_on_selector_all("main > section", "all => all.map(e => `#${e.id}`)")
    assert links == sections
    page.click(".toc a[href='#controls']")
    page.wait_for_selector(".toc a[href='#controls'][aria-current='true']")
    box = page.locator(".toc").bounding_box()
    assert 0 <= box["y"] < 100
    assert page.locator("#controls").bounding_box()["x"] > box["x"] + box["width"]


def test_captions_are_text_that_a_narrow_screen_can_show_whole(opened, page):
    visit = Visit(opened, page, width=390)
    captions = visit.page.eval_on_selector_all(".figures figcaption", CAPTIONS)
    assert len(captions) >= 4
    assert all(size >= 13 and right <= 390 for size, right in captions)
    small = visit.page.eval_on_selector_all(
        ".figures svg text", "all => all.map(e => e.getBoundingClientRect().height)"
    )
    assert min(height for height in small if height) > 8
    visit.page.close()


def test_the_map_of_the_page_can_be_taken_away_as_a_table(visit, root):
    page = visit.page
    page.select_option("#analysis", "paraphrase.heads")
    with page.expect_download() as found:
        page.click("#csv")
    frame = pl.read_csv(found.value.path())
    table = pl.read_parquet(root / UNITS.format("paraphrase.heads"))
    assert found.value.suggested_filename == "otherview.klein.paraphrase.heads.csv"
    assert frame["unit"][200] == "s3.h8"
    np.testing.assert_allclose(frame["t"].to_numpy(), table["t"].to_numpy(), rtol=1e-5)


@pytest.mark.parametrize(("scheme", "width"), [("light", 1200), ("dark", 1200), ("light", 390)])
def test_light_dark_and_narrow_pages_are_well_formed(opened, page, scheme, width):
    visit = Visit(opened, page, scheme=scheme, width=width)
    assert visit.page.evaluate(WELL_FORMED) == []
    assert visit.keep(f"report-{scheme}-{width}").stat().st_size > 50_000
    ground = visit.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == ("rgb(18, 21, 24)" if scheme == "dark" else "rgb(246, 247, 246)")
    visit.page.close()


def test_an_untrained_model_is_called_so_at_the_top(opened, root, tmp_path):
    path = tmp_path / "index.html"
    write_page(load_result(root, "otherview", "tiny-untrained"), path)
    visit = Visit(opened, path)
    assert "untrained" in visit.page.inner_text("#untrained")
    assert visit.page.locator("#untrained").bounding_box()["y"] < 700
    assert "not tested" in visit.page.inner_text("#verdict")
    visit.page.close()
