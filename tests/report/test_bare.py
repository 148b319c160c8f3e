import inspect

from matplotlib.artist import Artist

from plantain.report.figures.bare import without_help


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
