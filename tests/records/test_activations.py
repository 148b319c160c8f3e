import json

import numpy as np
import pytest
from safetensors.numpy import load_file

from plantain.base.errors import InputError
from plantain.records.activations import Activations, read_activations, write_activations


def made(draws: tuple[int, ...] = (0,), **header) -> Activations:
    random = np.random.default_rng(0)
    values = random.random((len(draws), 2, 3, 1, 2, 4, 7), dtype=np.float32)
    values[:, 0, 0, :, :, 3] = np.nan
    counts = random.integers(0, 9, (2, 3, 1, 4), dtype=np.int32)
    return Activations(values, counts, ("i", "j"), ("a", "b", "c"), ("kitchen",), (0, 7), draws, header=header)


@pytest.mark.parametrize(("draws", "family"), [((0,), False), ((0,), True), ((0, 1, 2), True)])
def test_round_trip(tmp_path, draws, family):
    path = tmp_path / "a.safetensors"
    before = made(draws, family=family, capture_key="k")
    write_activations(path, before)
    after = read_activations(path)
    np.testing.assert_array_equal(after.mean_square, before.mean_square)
    np.testing.assert_array_equal(after.token_count, before.token_count)
    for name in ("items", "conditions", "references", "seeds", "draws", "tokens"):
        assert getattr(after, name) == getattr(before, name)
    assert after.header["capture_key"] == "k"
    assert load_file(path)["mean_square"].ndim == (7 if family else 6)


def test_equal_activations_give_equal_bytes(tmp_path):
    for name in ("a", "b"):
        write_activations(tmp_path / name, made(z=1, b=2, a="x"))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_labels_must_fit():
    with pytest.raises(ValueError, match="mean_square"):
        Activations(np.zeros((1, 1, 1, 1, 1, 4, 2), np.float32), np.zeros((1, 1, 1, 4), np.int32), ("i", "j"), ("a",),
                    ("r",), (0,), (0,))  # fmt: skip


@pytest.mark.parametrize("damage", [lambda d: d[:20], lambda d: b"\xff" * 8 + d[8:], lambda d: b""])
def test_a_torn_file_is_an_error_for_people(tmp_path, damage):
    path = tmp_path / "a.safetensors"
    write_activations(path, made())
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(InputError, match="readable"):
        read_activations(path)


def test_a_missing_file_or_another_schema(tmp_path):
    with pytest.raises(InputError, match="no such"):
        read_activations(tmp_path / "none")
    path = tmp_path / "a.safetensors"
    write_activations(path, made())
    path.write_bytes(path.read_bytes().replace(b"plantain.activations/1", b"plantain.activations/9"))
    with pytest.raises(InputError, match="schema"):
        read_activations(path)


def with_header(data: bytes, header: object) -> bytes:
    """The file with another header, its tensors as they were."""
    length = int.from_bytes(data[:8], "little")
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data[8 + length :]


def with_note(change):
    """Damage to what plantain keeps in the header."""

    def damaged(data: bytes) -> bytes:
        length = int.from_bytes(data[:8], "little")
        header = json.loads(data[8 : 8 + length])
        note = change(json.loads(header["__metadata__"]["plantain"]))
        header["__metadata__"]["plantain"] = json.dumps(note)
        return with_header(data, header)

    return damaged


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda data: with_header(data, [1, 2, 3]), "of another kind"),
        (lambda data: with_header(data, {}), "__metadata__"),
        (with_note(lambda note: [1, 2, 3]), "no mapping"),
        (with_note(lambda note: {k: v for k, v in note.items() if k != "items"}), "'items'"),
        (with_note(lambda note: note | {"items": 5}), "of another kind"),
        (with_note(lambda note: note | {"items": ["one"]}), "mean_square has shape"),
        (lambda data: data[:-5], "not readable as activations"),
    ],
)
def test_a_damaged_header_names_file_and_fix(tmp_path, damage, words):
    path = tmp_path / "a.safetensors"
    write_activations(path, made())
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(InputError) as caught:
        read_activations(path)
    assert words in caught.value.problem
    assert caught.value.file == path
    assert f"`dvc checkout --force {path}`" in caught.value.fix
