"""Swapped heads on the page of a cell and in the terminal: tests, pictures, curve, rows, and why there are none."""

import base64
import html
import io
import re

import numpy as np
import pytest
from helpers.report_fixture import Cell, write_cell, write_verdict
from helpers.swaps_fixture import CASES, COLUMNS, judged, shade, write_swaps
from PIL import Image
from rich.console import Console

from plantain.base import places
from plantain.report import words as wording
from plantain.report.figures.style import plantain_style
from plantain.report.figures.swaps import swap_curve
from plantain.report.figures.write import write_figures
from plantain.report.page.write import render
from plantain.report.result import load_result
from plantain.report.swaps import swaps_lines
from plantain.report.text import show


@pytest.fixture
def result(tmp_path):
    write_cell(tmp_path, Cell(controls=("paraphrase",)))
    return load_result(tmp_path, "otherview", "tiny")


TITLES = {"contrast": "titles", "decides": "words", "outcome": "differs", "p": 0.01, "floor": 0.01, "number": 3,
          "own_p": 0.5, "reason": "words alone do not"}  # fmt: skip


def shown(result, rung=6, p=0.05, **table):
    swaps = judged(write_swaps(result.root, **table), p=p)
    write_verdict(result.root, rung=rung, swaps=swaps, controls=[TITLES])
    return load_result(result.root, "otherview", "tiny")


def without(result, problem):
    write_verdict(result.root, swaps=judged(problem=problem))
    return load_result(result.root, "otherview", "tiny")


def section(result):
    text = render(result)
    (part,) = re.findall(r'<section id="swaps".*?</section>', text, re.DOTALL)
    assert '<a href="#swaps">What the heads do</a>' in text
    return part


def rows(part, name):
    (table,) = re.findall(rf'<table id="{name}">.*?</table>', part, re.DOTALL)
    lines = re.findall(r"<tr[^>]*><th scope=\"row\">.*?</tr>", table, re.DOTALL)
    return [
        [html.unescape(re.sub(r"<[^>]+>", "", cell)) for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", line)]
        for line in lines
    ]


def test_every_test_has_a_line_with_p_and_what_it_asks(result):
    found = rows(section(shown(result)), "swap-tests")
    assert [line[0] for line in found] == ["Output gate", "Donor labels", "Selection", "Untrained draws"]
    assert [line[2:] for line in found] == [["0.029", "0.029"]] * 3 + [["0.05", "0.05"]]
    assert all("?" in line[1] and "Held:" in line[1] for line in found)
    assert "19 untrained draws of tiny-reinit" in found[3][1]
    assert "none reaches" in found[3][1]


def test_a_test_that_was_not_passed_says_so(result):
    found = rows(section(shown(result, gate=0.4, p=0.1)), "swap-tests")
    assert found[0][2] == "0.4"
    assert "Not shown: that they do was not shown" in found[0][1]
    assert "Held" in found[1][1]
    assert "one reaches" in found[3][1]


def test_the_section_says_what_became_of_the_rung(result):
    rung = {"rung": 7, "name": "causal", "status": "not tested", "reason": "19 untrained draws are needed, 0 are here"}
    write_verdict(result.root, swaps=judged(write_swaps(result.root)), rungs=[rung])
    part = section(load_result(result.root, "otherview", "tiny"))
    assert "Rung 7, causal: not tested, since 19 untrained draws are needed, 0 are here." in part
    assert "Rung 7" not in section(shown(result)).replace("that of rung 7", "")


def test_the_pictures_are_those_of_the_sheet(result):
    part = section(shown(result))
    assert re.findall(r"<figcaption>(adult.*?)</figcaption>", part) == CASES
    images = re.findall(r'<img src="data:image/jpeg;base64,([^"]+)" alt="([^"]+)"', part)
    expected = [(row, column) for row in range(2) for column in range(5)]
    assert [alt for _, alt in images] == [f"{CASES[row]}: {COLUMNS[column]}" for row, column in expected]
    for (data, _), (row, column) in zip(images, expected, strict=True):
        pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))
        assert pixels.shape == (8, 8, 3)
        assert np.abs(pixels.astype(int) - shade(row, column)).max() <= 2


def test_pictures_of_another_table_are_not_shown(result):
    opened = shown(result)
    path = result.root / places.causal_pictures("tiny", "otherview")
    path.write_bytes(path.read_bytes() + b" ")
    part = section(opened)
    assert "<img" not in part
    assert "git checkout reports/study/causal/tiny/otherview.png" in part


def test_rows_say_what_sets_donors_and_tokens_do(result):
    part = section(shown(result))
    sets = {line[0]: line[1:] for line in rows(part, "swap-sets")}
    assert sets["the set, chosen by dose"] == ["12", "12", "0.85", "0.75", "0.80", "0.17", "0.63", "0.21", "1.00"]
    assert sets["other heads of like dose (3 draws)"][4:7] == ["0.24 to 0.28", "0.02", "0.22 to 0.26"]
    assert sets["the set of dense"][5:7] == [wording.DASH] * 2
    assert sets["the set, from another wording of the same side"][2:5] == ["0.00", "0.00", "0.00"]
    donors = {line[0]: line[1:] for line in rows(part, "swap-donors")}
    assert donors["the set, chosen by dose"] == ["90", "0.029", "0.029", "1"]
    assert donors["the set; donors from the control titles (the same words elsewhere)"] == [
        "0.57",
        "0.6",
        "0.029",
        "0.0035",
    ]
    assert rows(part, "swap-routes")[1] == ["text and padding", "0.10", "0.02"]
    assert "1.47 in sum" in part
    assert "whole circuit" in part


def test_the_curve_is_that_of_the_table(result, tmp_path):
    opened = shown(result)
    with plantain_style():
        (axes,) = swap_curve(opened).axes
        drawn = {line.get_label(): line.get_xydata().tolist() for line in axes.lines if len(line.get_xdata()) == 4}
    assert drawn["sufficiency: these swapped"] == [[1, 0.05], [8, 0.6], [32, 0.85], [75, 1.0]]
    assert drawn["necessity: all others swapped"][2] == [32, 0.41]
    assert drawn["random heads swapped"][1] == [8, 0.13]
    assert axes.get_xscale() == "log"
    assert 'id="chart-swaps"' in section(opened)
    assert {path.name for path in write_figures(opened, tmp_path / "f")} >= {"swaps.png", "swaps.svg"}


def test_another_contrast_than_the_verdicts_has_no_curve(result):
    shown(result)
    other = load_result(result.root, "otherview", "tiny")
    assert swap_curve(type(other)(other.root, "otherview", "tiny", other.summary, chosen="paraphrase")) is None


@pytest.mark.parametrize("why", ["8 independent wordings a side are needed", "its table was made from other inputs"])
def test_where_no_head_was_swapped_one_sentence_says_why(result, why):
    part = section(without(result, why))
    assert f"<p>Not tested: {why}.</p>" in part
    assert "<table" not in part
    assert swaps_lines(without(result, why)) == [f"swapped heads: not tested: {why}."]
    assert swap_curve(without(result, why)) is None


def test_an_older_verdict_says_nothing_of_swaps(result):
    write_verdict(result.root)
    opened = load_result(result.root, "otherview", "tiny")
    assert "of a revision that swapped no heads" in section(opened)


def test_the_terminal_has_the_tests_in_two_lines(result):
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(show(shown(result)))
    text = " ".join(console.export_text().split())
    assert "output gate held (p = 0.029); donor labels held (p = 0.029); selection held (p = 0.029)" in text
    assert "12 heads carry 80% of the change between the sides, others of like dose 24% to 28%" in text


def test_what_is_not_shown_follows_what_was_swapped(result):
    assert "Nothing was switched off or changed" in " ".join(wording.not_shown(without(result, "no wordings")))
    assert "not all tests of rung 7 were passed" in " ".join(wording.not_shown(shown(result)))
    assert "whole circuit" in " ".join(wording.not_shown(shown(result, rung=7)))


def test_equal_tables_give_equal_pages(result):
    assert render(shown(result)) == render(shown(result))
