"""Where the token sets of a pass stand among the positions that a projection sees."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plantain.records.activations import TOKENS

Span = tuple[int, int]
"""First and past-the-last position."""

Spans = tuple[Span, ...]


SEEN = {"text": slice(0, 2), "image": slice(2, 4), "all": slice(0, 4)}
"""Positions in :data:`TOKENS` of what projections of a stream see."""


@dataclass(frozen=True)
class Layout:
    """Where each token set stands in a pass: [text and pad | noise | reference] unless told otherwise."""

    text: tuple[Span, ...]
    """Real text among the text positions, one span a row of the batch."""
    text_length: int
    """Text positions, padding included."""
    noise: int
    reference: int
    """Positions of the image to be denoised and of the conditioning image."""
    later: tuple[Spans, ...] = ()
    """Further spans of real text of every row, where a second encoder's tokens follow the first's."""
    image_first: bool = False
    """Whether the image stands before the text where a projection sees both."""
    ahead: int = 0
    """Positions before the text that belong to no set."""
    multiple: int = 1
    """Text and image are each filled up to a multiple of so many: what fills the text is padding, what fills the image
    belongs to no set."""
    trimmed: bool = False
    """Whether a projection that sees image and text sees no padding."""

    def counts(self) -> list[list[int]]:
        """Positions in each token set, (rows, tokens)."""
        real = [sum(last - first for first, last in self._real(row)) for row in range(len(self.text))]
        return [[n, self._texts - self.ahead - n, self.noise, self.reference] for n in real]

    def length(self, stream: str) -> int:
        """Positions that a projection of ``stream`` sees."""
        text = 0 if stream == "image" else self._trim if self.trimmed and stream == "all" else self._texts
        return text + (self._images if stream != "text" else 0)

    def spans(self, row: int, stream: str) -> dict[int, Spans]:
        """Position in :data:`TOKENS` to the spans that a projection of ``stream`` sees; empty sets are left out."""
        both = stream == "all"
        found: dict[int, Spans] = {}
        if stream != "image":
            start = self.ahead + (self._images if both and self.image_first else 0)
            real = self._real(row)
            rest = () if both and self.trimmed else _gaps(real, self._texts - self.ahead)
            found = {0: _moved(real, start), 1: _moved(rest, start)}
        if stream != "text":
            start = self.length("all") - self._images if both and not self.image_first else 0
            middle = start + self.noise
            found |= {2: ((start, middle),), 3: ((middle, middle + self.reference),)}
        filled = {index: tuple(span for span in spans if span[1] > span[0]) for index, spans in found.items()}
        return {index: spans for index, spans in filled.items() if spans}

    def weights(self, stream: str) -> NDArray[np.float32]:
        """What averages what a projection of ``stream`` sees over the token sets among it, (rows, tokens, positions).

        0 throughout for empty sets.
        """
        seen = range(len(TOKENS))[SEEN[stream]]
        found = np.zeros((len(self.text), len(seen), self.length(stream)), dtype=np.float32)
        for row in range(len(self.text)):
            for index, spans in self.spans(row, stream).items():
                for first, last in spans:
                    found[row, index - seen.start, first:last] = 1.0 / sum(end - start for start, end in spans)
        return found

    def _real(self, row: int) -> Spans:
        return (self.text[row], *(self.later[row] if self.later else ()))

    @property
    def _texts(self) -> int:
        return _filled(self.ahead + self.text_length, self.multiple)

    @property
    def _images(self) -> int:
        return _filled(self.noise + self.reference, self.multiple)

    @property
    def _trim(self) -> int:
        return self.ahead + max(row[0] for row in self.counts())


def _filled(length: int, multiple: int) -> int:
    return -(-length // multiple) * multiple


def _moved(spans: Spans, by: int) -> Spans:
    return tuple((first + by, last + by) for first, last in spans)


def _gaps(spans: Spans, length: int) -> Spans:
    """What ``spans`` leave of ``length`` positions."""
    edges = [0, *(edge for span in spans for edge in span), length]
    return tuple(zip(edges[::2], edges[1::2], strict=True))
