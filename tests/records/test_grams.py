import json

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file

from plantain.base.errors import InputError
from plantain.records.grams import Grams, View, read_grams, views_of, write_grams

SUBSETS = {"all": ("j", "i"), "sampled": ("j",), "even": ("i",)}


def made(**header) -> Grams:
    random = np.random.default_rng(0)
    views = views_of((0, 7), ("kitchen",))
    mean = {name: random.random((2, 3, 3, 4, 6), dtype=np.float32) for name in ("text", "noise")}
    profile = {name: random.random((2, 3, 2, 4, 6), dtype=np.float32) for name in ("text", "noise")}
    mean["noise"][0, 0, 0, 0, 0] = np.nan
    heads = {"text": (2, 3, 4, 5), "noise": (0, 1, 4, 5)}
    names = ("c", "a", "b")
    return Grams(mean, profile, heads, names, SUBSETS, views, (0, 1), header, profile_subsets=("all", "sampled"))


def test_round_trip(tmp_path):
    before = made(capture_key="k")
    write_grams(tmp_path / "g", before)
    after = read_grams(tmp_path / "g")
    for kind in ("mean", "profile"):
        assert list(getattr(after, kind)) == ["text", "noise"]
        for name, values in getattr(before, kind).items():
            np.testing.assert_array_equal(getattr(after, kind)[name], values)
    for name in ("heads", "conditions", "subsets", "views", "draws", "profile_subsets"):
        assert getattr(after, name) == getattr(before, name)
    assert list(after.subsets) == list(SUBSETS), "the order of the axis"
    assert after.views == (View(None, None), View(0, "kitchen"), View(7, "kitchen"))
    assert after.header["capture_key"] == "k"
    assert {array.dtype for array in load_file(tmp_path / "g").values()} == {np.dtype("float32")}


def test_a_single_seed_and_reference_is_no_view_of_its_own():
    assert views_of((3,), ("none",)) == (View(None, None),)
    assert views_of((3,), ("a", "b")) == (View(None, None), View(3, "a"), View(3, "b"))


def test_without_matrices_there_is_a_header_and_nothing_else(tmp_path):
    write_grams(tmp_path / "g", Grams({}, {}, {}, ("a", "b"), {"all": ("i",)}, views_of((0,), ("none",)), (0,)))
    found = read_grams(tmp_path / "g")
    assert (found.mean, found.profile, found.heads) == ({}, {}, {})
    assert found.conditions == ("a", "b")
    with safe_open(tmp_path / "g", framework="numpy") as file:
        assert list(file.keys()) == []
        assert list(file.metadata()) == ["plantain"]


def test_equal_grams_give_equal_bytes(tmp_path):
    for name in ("a", "b"):
        write_grams(tmp_path / name, made(z=1, b=2, a="x"))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_labels_must_fit():
    values = {"text": np.zeros((1, 1, 1, 2, 3), np.float32)}
    labels = {"heads": {"text": (0, 1)}, "conditions": ("a", "b"), "subsets": {"all": ("i",)}}
    labels |= {"views": views_of((0,), ("none",)), "draws": (0,), "profile_subsets": ("all",)}
    Grams(values, values, **labels)
    for change in ({"conditions": ("a", "b", "c")}, {"heads": {"text": (0,)}}, {"subsets": {}}, {"draws": (0, 1)}):
        with pytest.raises(ValueError, match="mean of 'text' has shape"):
            Grams(values, values, **(labels | change))
    with pytest.raises(ValueError, match="profile of 'text' has shape"):
        Grams(values, values, **(labels | {"profile_subsets": ()}))


@pytest.mark.parametrize("damage", [lambda d: d[:20], lambda d: b"\xff" * 8 + d[8:], lambda d: b"", lambda d: d[:-5]])
def test_a_torn_file_is_an_error_for_people(tmp_path, damage):
    path = tmp_path / "g.safetensors"
    write_grams(path, made())
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(InputError, match="not readable as Gram matrices") as caught:
        read_grams(path)
    assert f"`dvc checkout --force {path}`" in caught.value.fix


def test_a_missing_file_or_another_schema(tmp_path):
    with pytest.raises(InputError, match="no such gram file"):
        read_grams(tmp_path / "none")
    path = tmp_path / "g.safetensors"
    write_grams(path, made())
    path.write_bytes(path.read_bytes().replace(b"plantain.grams/1", b"plantain.grams/9"))
    with pytest.raises(InputError, match=r"schema is 'plantain\.grams/9'"):
        read_grams(path)


@pytest.mark.parametrize("change", [{"views": 5}, {"heads": {}}, {"conditions": ["a"]}, {"subsets": [["all"]]}])
def test_a_header_that_does_not_fit_names_file_and_fix(tmp_path, change):
    path = tmp_path / "g.safetensors"
    write_grams(path, made())
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    header["__metadata__"]["plantain"] = json.dumps(json.loads(header["__metadata__"]["plantain"]) | change)
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + length :])
    with pytest.raises(InputError) as caught:
        read_grams(path)
    assert caught.value.file == path
