import io
import re
import subprocess
import sys
import xml.etree.ElementTree as ET

import numpy as np
import polars as pl
import pytest
from helpers.report_fixture import Cell, write_cell
from PIL import Image

from plantain.report.compare.plots import block_profile, null_histogram, write_plots
from plantain.report.figures.charts import blocks, rank_scores
from plantain.report.figures.heatmaps import Panel, draw_map, hero
from plantain.report.figures.style import (
    DARK_STOPS,
    LIGHT_STOPS,
    THEME,
    caption,
    colormap,
    new_figure,
    plantain_style,
    themed_svg,
)
from plantain.report.figures.write import write_figures
from plantain.report.result import load_result


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    root = write_cell(tmp_path_factory.mktemp("repository"), Cell())
    return load_result(root, "otherview", "tiny")


@pytest.fixture(scope="module")
def drawn(result, tmp_path_factory):
    folder = tmp_path_factory.mktemp("figures")
    write_figures(result, folder, 160)
    return folder


def test_every_question_has_its_picture(drawn):
    stems = {path.stem for path in drawn.glob("*.png")}
    both = {"maps", "blocks", "split_half", "null"}
    expected = {f"target.heads.{name}" for name in both | {"rank", "top"}} | {f"published.card.{name}" for name in both}
    assert stems == expected | {"heatmap", "controls.heads"}
    assert {path.stem for path in drawn.glob("*.svg")} == stems


def test_pictures_fit_a_readme_and_are_not_empty(drawn):
    for path in drawn.glob("*.png"):
        with Image.open(path) as image:
            assert image.width in (512, 800)
            assert len(image.convert("RGB").getcolors(1 << 20)) > 20
    for path in drawn.glob("*.svg"):
        assert ET.parse(path).getroot().tag.endswith("svg")


def test_equal_inputs_give_equal_bytes(result, drawn, tmp_path):
    write_figures(result, tmp_path, 160)
    for path in sorted(drawn.iterdir()):
        assert path.read_bytes() == (tmp_path / path.name).read_bytes(), path.name


def test_files_carry_no_date_and_no_version(drawn):
    for path in drawn.glob("*.svg"):
        assert not re.search(rb"dc:date|Matplotlib v", path.read_bytes())
    for path in drawn.glob("*.png"):
        assert b"Software" not in path.read_bytes()


def test_a_colour_in_the_heatmap_is_the_t_of_its_head(result):
    with plantain_style():
        figure = new_figure(3)
        image = draw_map(figure, figure.add_gridspec(1, 1)[0], Panel(result.main, "t", 15.0))
    values = result.main.table.filter(block_kind="single", block=7)["t"].to_numpy()
    np.testing.assert_array_equal(np.asarray(image.get_array())[7], values)
    assert image.get_clim() == (-15.0, 15.0)


@pytest.mark.parametrize(
    ("name", "column", "title"),
    [("main", "template_t", "t over wordings of every head"), ("card", "t", "t over items")],
)
def test_the_picture_of_a_result_is_over_wordings_where_those_were_compared(result, name, column, title):
    analysis = getattr(result, name)
    with plantain_style():
        figure = hero(result, analysis)
        maps = [
            axes.images[0] for axes in figure.axes if axes.images and np.asarray(axes.images[0].get_array()).ndim == 2
        ]
    values = analysis.table.filter(block_kind="single", block=7)[column].cast(pl.Float64).to_numpy()
    np.testing.assert_array_equal(np.asarray(maps[1].get_array())[7], values)
    assert title in caption(figure).title


def test_a_caption_stands_in_a_figure_or_beside_it(result):
    shown = {}
    for beside in (False, True):
        with plantain_style(captions_beside=beside):
            figure = blocks(result, result.main)
            shown[beside] = themed_svg(figure, "bars")
        assert caption(figure).title == "otherview on tiny: where in depth"
    assert ["where in depth" in shown[beside] for beside in (False, True)] == [True, False]


def test_the_map_is_centred_on_zero_and_told_apart_without_red_and_green():
    low, middle, high = (np.array(colormap()(value)[:3]) for value in (0.0, 0.5, 1.0))
    assert middle.min() > 0.93
    # Deuteranopes tell colours by brightness and by blue against yellow: the two halves differ in the latter.
    assert low[2] - low[0] > 0.2
    assert high[0] - high[2] > 0.2
    assert len(LIGHT_STOPS) == len(DARK_STOPS)


def test_dead_units_are_grey_not_zero(result):
    assert result.main.table["t"][3] is None
    grey = colormap()(np.ma.masked_invalid([np.nan]))[0]
    assert not np.allclose(grey, colormap()(0.5))


def test_inline_svg_follows_the_theme():
    with plantain_style():
        figure = new_figure(1)
        figure.text(0.1, 0.1, "words")
        text = themed_svg(figure, "a &quot;label&quot;")
    assert "var(--ink)" in text
    assert not any(colour in text for colour in THEME)
    assert 'aria-label="a &quot;label&quot;"' in text


def test_a_rank_score_leaves_the_item_out_of_the_mean(result):
    scores = rank_scores(result, result.main)
    values = result.main.differences.drop("item").to_numpy()
    other = np.delete(values, 4, axis=0).mean(0)
    assert scores["rank"].to_list() == list(range(1, 31))
    assert scores["score"][4] == pytest.approx(values[4] @ other / (other @ other))


def test_plot_data_says_what_the_summary_says(result, tmp_path):
    write_plots([result], tmp_path)
    profile = pl.read_csv(tmp_path / "block_profile.csv")
    assert set(profile["cell"]) == {f"{result.probe}@{result.model}"}
    assert profile["label"].to_list() == [f"j{i}" for i in range(5)] + [f"s{i}" for i in range(20)]
    row = result.main.summary.blocks[6]
    assert profile["share_over_t3"][6] == pytest.approx(row.over_t3 / row.units, abs=1e-6)
    assert len(pl.read_csv(tmp_path / "heatmap.csv")) == 100
    assert pl.read_csv(tmp_path / "sign_flips.csv")["flips"].sum() == 200
    assert block_profile(result.card)["part"].to_list().count("mlp") == 20


def test_the_observed_pattern_is_not_part_of_the_null():
    null = pl.DataFrame({"flip": [0, 1, 2], "t3": [500, 1, 1], "t5": [9, 0, 0]})
    assert null_histogram(null).to_dicts() == [{"heads_over_t3": 1, "flips": 2}]


def test_the_callers_matplotlib_settings_change_nothing(result, drawn, tmp_path):
    code = (
        "import matplotlib; matplotlib.rcParams.update({'font.size': 30, 'savefig.dpi': 20, 'svg.fonttype': 'path'})\n"
        "from pathlib import Path; import sys\n"
        "from plantain.report.result import load_result; from plantain.report.figures.heatmaps import hero\n"
        "from plantain.report.figures.style import plantain_style, save\n"
        "result = load_result(Path(sys.argv[1]), 'otherview', 'tiny')\n"
        "with plantain_style(): save(hero(result, result.main), Path(sys.argv[2]), 'heatmap', 160)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(result.root), str(tmp_path)], check=True)
    for name in ("heatmap.png", "heatmap.svg"):
        assert (tmp_path / name).read_bytes() == (drawn / name).read_bytes()
    assert Image.open(io.BytesIO((tmp_path / "heatmap.png").read_bytes())).width == 800
