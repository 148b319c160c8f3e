"""Where token sets stand, for any order, against a label written on every position."""

import itertools

import numpy as np
import pytest

from plantain.capture.any_pipeline import layout_of
from plantain.capture.means.token_sets import Layout
from plantain.model.architectures import ARCHITECTURES
from plantain.records.activations import TOKENS

MASKS = {
    "right": [1, 1, 1, 0, 0],
    "left": [0, 0, 1, 1, 1],
    "whole": [1, 1, 1, 1],
    "two": [1, 1, 0, 0, 1, 0],
    "none": [0, 0, 0],
}


def labelled(row, mask, noise, reference):
    """Every position of each stream by the token set that it belongs to; None for what belongs to none."""
    text = [None] * row.ahead + ["text" if real else "pad" for real in mask]
    text += ["pad"] * (-len(text) % row.multiple)
    image = ["noise"] * noise + ["reference"] * reference
    image += [None] * (-len(image) % row.multiple)
    seen = [label for label in text if label != "pad"] if row.trimmed else text
    return {"text": text, "image": image, "all": seen + image if row.order[0] == "text" else image + seen}


def cases():
    for row, (name, mask), reference in itertools.product(ARCHITECTURES, MASKS.items(), (0, 3)):
        if not (row.trimmed and name in ("left", "two", "none")):
            yield pytest.param(row, mask, reference, id=f"{row.name}-{name}-{reference}")


@pytest.mark.parametrize(("row", "mask", "reference"), list(cases()))
def test_every_position_belongs_to_the_set_of_its_label(row, mask, reference):
    layout = layout_of(row, np.array(mask, dtype=bool), 4, reference)
    labels = labelled(row, mask, 4, reference)
    whole = labels["text"] + labels["image"]
    assert layout.counts() == [[whole.count(name) for name in TOKENS]]
    for stream, expected in labels.items():
        assert layout.length(stream) == len(expected)
        found = [None] * len(expected)
        for index, spans in layout.spans(0, stream).items():
            for first, last in spans:
                assert found[first:last] == [None] * (last - first), "no position is in two sets"
                found[first:last] = [TOKENS[index]] * (last - first)
        assert found == expected
        weights = layout.weights(stream)
        offset = 2 if stream == "image" else 0
        for place, values in enumerate(weights[0]):
            inside = np.array([label == TOKENS[place + offset] for label in expected])
            np.testing.assert_allclose(values, inside / max(1, inside.sum()))


def test_padding_before_the_text_is_refused_where_it_would_be_trimmed():
    row = next(row for row in ARCHITECTURES if row.trimmed)
    with pytest.raises(ValueError, match="the padding stands before the text"):
        layout_of(row, np.array([False, True]), 4, 0)


def test_rows_of_a_batch_keep_their_own_text():
    layout = Layout(((0, 2), (1, 4)), 4, 3, 0)
    assert layout.counts() == [[2, 2, 3, 0], [3, 1, 3, 0]]
    assert layout.spans(1, "all") == {0: ((1, 4),), 1: ((0, 1),), 2: ((4, 7),)}
