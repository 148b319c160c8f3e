"""matplotlib for less: no help where nobody reads it, and no text measured again in the next figure."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

_Size = tuple[float, float, float]
_MEASURED: dict[tuple[Any, ...], _Size] = {}
_MOST: Final = 10_000
"""Sizes that are kept."""


@contextmanager
def without_help() -> Iterator[None]:
    """Import matplotlib inside of it: its artists' setters get no help and no signature, half of what it costs.

    Nothing else changes, and setters of artists that are imported later have both.
    """
    from matplotlib.artist import Artist

    artist: Any = Artist
    name = "_update_set_signature_and_docstring"
    describe = artist.__dict__.get(name)
    if describe is not None:  # else this matplotlib does it by other means
        setattr(artist, name, classmethod(lambda _: None))
    try:
        yield
    finally:
        if describe is not None:
            setattr(artist, name, describe)


@contextmanager
def measured_once() -> Iterator[None]:
    """Draw inside of it, with settings that never differ: figures share what they learn of the size of a text.

    matplotlib remembers it for one drawing of one figure; laying out every tick anew is a tenth of what a figure costs.
    """
    from matplotlib.backends.backend_agg import RendererAgg
    from matplotlib.backends.backend_svg import RendererSVG

    renderers: tuple[Any, ...] = (RendererAgg, RendererSVG)
    own = [renderer.get_text_width_height_descent for renderer in renderers]
    for renderer, measure in zip(renderers, own, strict=True):
        renderer.get_text_width_height_descent = _remembering(measure)
    try:
        yield
    finally:
        for renderer, measure in zip(renderers, own, strict=True):
            renderer.get_text_width_height_descent = measure


def _remembering(measure: Callable[..., _Size]) -> Callable[..., _Size]:
    """The method ``measure`` of a renderer, asked once for each text, font, and resolution."""

    def measured(renderer: Any, s: str, prop: Any, ismath: Any) -> _Size:
        key = (type(renderer), getattr(renderer, "dpi", None), s, prop.copy(), ismath)
        if key not in _MEASURED:
            if len(_MEASURED) >= _MOST:
                _MEASURED.clear()
            _MEASURED[key] = measure(renderer, s, prop, ismath)
        return _MEASURED[key]

    return measured
