import inspect

import pytest
from matplotlib.artist import Artist
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.font_manager import FontProperties

from plantain.report.figures.bare import measured_once, without_help


def test_artists_that_are_imported_without_help_work_and_later_ones_have_it():
    with without_help():

        class Bare(Artist):
            pass

    class Usual(Artist):
        pass

    assert "alpha" not in inspect.signature(Bare.set).parameters
    assert "alpha" in inspect.signature(Usual.set).parameters
    artist = Bare()
    artist.set(alpha=0.5)
    assert artist.get_alpha() == 0.5


def test_texts_are_measured_once_for_each_font_and_resolution(monkeypatch):
    asked, plain = [], RendererAgg.get_text_width_height_descent
    cases = [
        (dpi, text, FontProperties(size=size), math)
        for dpi in (72, 160)
        for text, math in (("j0", False), ("$10^2$", True), ("$10^2$", False))
        for size in (6, 7)
    ]
    wanted = [plain(RendererAgg(10, 10, dpi), *case) for dpi, *case in cases]

    def counted(self, *case):
        asked.append(case)
        return plain(self, *case)

    monkeypatch.setattr(RendererAgg, "get_text_width_height_descent", counted)
    monkeypatch.setattr("plantain.report.figures.bare._MEASURED", {})
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), measured_once():
            for _ in range(2):
                found = [RendererAgg(10, 10, dpi).get_text_width_height_descent(*case) for dpi, *case in cases]
            assert found == wanted
            raise ZeroDivisionError
    assert RendererAgg.get_text_width_height_descent is counted
    assert len(asked) == len(cases)
