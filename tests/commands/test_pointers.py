"""A clone without Git LFS has a few lines of text in place of a large file: every reader says so, and what to run."""

import shutil
from pathlib import Path

import pytest
from helpers.model_sources import local
from helpers.workspace import ROOT

from plantain.base.errors import InputError
from plantain.base.yaml import read_yaml
from plantain.model.resolve import resolve
from plantain.probe.authoring.table import read_table
from plantain.probe.expand import expand
from plantain.probe.spec import parse_probe, read_source
from plantain.probe.store import read_contrasts, read_records
from plantain.records.activations import read_activations
from plantain.records.receipt import read_receipt
from plantain.records.study import read_null

POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'4d' * 32}\nsize 12345\n"

READERS = {
    "records.parquet": read_records,
    "contrasts.json": read_contrasts,
    "passes.safetensors": read_activations,
    "null.json": read_null,
    "receipt.json": read_receipt,
    "pairs.csv": read_table,
    "prompts.jsonl": read_table,
    "probe.yaml": read_source,
}


def told(read, file):
    """The refusal: one sentence, of this file, with the command that brings it."""
    with pytest.raises(InputError) as caught:
        read()
    said = str(caught.value)
    assert "\n" not in said
    assert f"{file}: " in said
    assert "a pointer of Git LFS stands here" in said
    return said


@pytest.mark.parametrize("name", READERS)
def test_a_file_of_the_pipeline_or_of_a_person(tmp_path, name):
    path = tmp_path / name
    path.write_text(POINTER)
    assert f"`git lfs pull` in the repository that {name} is from" in told(lambda: READERS[name](path), path)


def test_a_reference_picture(tmp_path):
    rest = (ROOT / "prompts/otherview.yaml").read_text().partition("\nconditions:")
    text = "probe: otherview\nreferences: {kitchen: {file: k.png}}" + "".join(rest[1:])
    (tmp_path / "otherview.yaml").write_text(text)
    (tmp_path / "k.png").write_text(POINTER)
    probe = parse_probe(read_yaml(tmp_path / "otherview.yaml"))
    assert "`git lfs pull`" in told(lambda: expand(probe, tmp_path), "k.png")


@pytest.mark.parametrize(
    "name",
    [
        "transformer/diffusion_pytorch_model.safetensors",
        "text_encoder/model.safetensors",
        "vae/config.json",
        "tokenizer/tokenizer.json",
        "model_index.json",
    ],
)
def test_a_part_of_a_model_that_was_cloned(saved, checkout, name):
    mine: Path = checkout / "mine"
    shutil.copytree(saved, mine)
    assert (mine / name).exists()
    (mine / name).write_text(POINTER)
    assert "`git lfs pull`" in told(lambda: resolve("mine", local(mine)), mine / name)
