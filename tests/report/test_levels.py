"""Other noise levels on the page of a cell: the numbers of the sweep, its chart, and the way there from the index."""

import html
import re

import pytest
from helpers.report_fixture import Cell, write_cell, write_verdict

from plantain.report.compare.write import write_compare
from plantain.report.figures.levels import levels_chart
from plantain.report.figures.style import plantain_style
from plantain.report.figures.write import write_figures
from plantain.report.page import sweep
from plantain.report.page.write import render
from plantain.report.result import load_result

SIGMAS = (1.0, 0.6, 0.2)


def by_measure(magnitude, direction, alive=600):
    def every(bounds):
        rest = {"alive": alive, "floor": 0.0078125, "delta": 2.345, "concept_information": 0.4321}
        return [
            {"sigma": sigma, "heads_lower_bound": bound, "p": 0.5 if bound == 0 else 0.0078125, **rest}
            for sigma, bound in zip(SIGMAS, bounds, strict=True)
        ]

    return {"direction": every(direction), "log_rms": every(magnitude)}


def found(**changes):
    return {
        "contrasts": {
            "paraphrase": by_measure((0, 0, 0), (0, 0, 0)),
            "target": by_measure((311, 222, 133), (44, 55, 66)),
        },
        "problems": {},
        "items": 10,
        "own": 1.0,
        "twins": {"tiny-untrained": {"target": by_measure((0, 0, 3), (0, 0, 0))}},
    } | changes  # fmt: skip


@pytest.fixture
def result(tmp_path):
    write_cell(tmp_path, Cell(controls=("paraphrase",)))
    return load_result(tmp_path, "otherview", "tiny")


def shown(result, **levels):
    write_verdict(result.root, levels=found(**levels))
    return load_result(result.root, "otherview", "tiny")


def section(result):
    text = render(result)
    (part,) = re.findall(r'<section id="noise-levels".*?</section>', text, re.DOTALL)
    assert '<a href="#noise-levels">Other noise levels</a>' in text
    return part


def cells(part, contrast):
    table = re.search(rf'data-contrast="{contrast}".*?</table>', part, re.DOTALL).group()
    rows = re.findall(r"<tr><th scope=\"row\".*?</tr>", table, re.DOTALL)
    return [
        [html.unescape(re.sub("<[^>]+>", "", cell)) for cell in re.findall(r"<t[hd].*?</t[hd]>", row)] for row in rows
    ]


def test_the_table_has_a_row_a_level_and_measure_with_the_twin_beside_it(result):
    part = section(shown(result))
    rows = cells(part, "target")
    assert [row[:3] for row in rows] == [
        ["1", "magnitude", "at least 311"], ["1", "direction", "at least 44"],
        ["0.6", "magnitude", "at least 222"], ["0.6", "direction", "at least 55"],
        ["0.2", "magnitude", "at least 133"], ["0.2", "direction", "at least 66"],
    ]  # fmt: skip
    assert rows[0][3:8] == ["600", "0.0078", "0.0078", "2.35", "0.432"]
    none = "none, p = 0.5"
    assert [row[8] for row in rows] == [none] * 4 + ["at least 3, p = 0.0078", none]
    assert [row[8] for row in cells(part, "paraphrase")] == ["\N{EN DASH}"] * 6, "the twin has no such contrast"
    assert part.index('data-contrast="target"') < part.index('data-contrast="paraphrase"')
    assert "the verdict does not rest on it" in part
    assert "nothing is corrected" in part


def test_the_chart_draws_the_bounds_and_the_twins_pale(result):
    with plantain_style():
        (axes,) = levels_chart(shown(result)).axes
    lines = [line for line in axes.lines if len(line.get_xdata()) == len(SIGMAS)]
    own = {line.get_label(): tuple(line.get_ydata()) for line in lines if not line.get_label().startswith("_")}
    assert own == {"magnitude": (311, 222, 133), "direction": (44, 55, 66)}
    assert {tuple(line.get_ydata()) for line in lines if line.get_label().startswith("_")} == {(0, 0, 3), (0, 0, 0)}
    assert all(tuple(line.get_xdata()) == SIGMAS for line in lines)
    pale = {line.get_alpha() for line in lines if line.get_label().startswith("_")}
    assert pale == {0.4}
    left, right = axes.get_xlim()
    assert (left > 1, right < 0) == (True, True), "from pure noise down, as sampling goes"


def test_the_page_and_the_folder_of_figures_have_the_chart(result, tmp_path):
    assert 'id="chart-levels"' in section(shown(result))
    assert "magnitude 311 at 1, 222 at 0.6, 133 at 0.2" in section(shown(result)), "for those who do not see it"
    assert {path.name for path in write_figures(shown(result), tmp_path / "f")} >= {"levels.png", "levels.svg"}


def test_a_stale_table_is_not_shown_and_says_why(result):
    why = "the study's sweep was made from other inputs (prompts)"
    opened = shown(result, contrasts={}, twins={}, problems={"target": why, "paraphrase": why})
    part = section(opened)
    assert f"Not shown for paraphrase, target: {why}." in html.unescape(part)
    assert "<table" not in part
    assert "<svg" not in part
    assert levels_chart(opened) is None


def test_without_a_sweep_the_page_says_how_to_make_one(result, tmp_path):
    write_verdict(result.root)
    opened = load_result(result.root, "otherview", "tiny")
    assert sweep.ABSENT.replace("`", "") in section(opened).replace("`", "")
    assert "levels.png" not in {path.name for path in write_figures(opened, tmp_path / "f")}
    assert "plantain run --study" in section(result), "nor without any verdict"


def test_the_index_leads_to_it_where_there_is_one(result, tmp_path):
    page = result.root / "reports" / "tiny" / "otherview" / "index.html"
    page.parent.mkdir(parents=True)
    page.write_text("")
    index = result.root / "reports" / "index.html"
    write_verdict(result.root)
    write_compare([load_result(result.root, "otherview", "tiny")], index)
    assert "#noise-levels" not in index.read_text()
    write_compare([shown(result)], index)
    assert '<a href="tiny/otherview/index.html#noise-levels">other noise levels</a>' in index.read_text()
