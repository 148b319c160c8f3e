from pathlib import Path

from plantain.model.tiny import tokenizer
from training import __main__ as training
from training import sheet

ROOT = Path(__file__).parents[2]


def test_the_prompts_of_this_repository_are_found():
    assert training.PROMPTS.samefile(ROOT / "prompts")
    assert sheet.PROMPTS.samefile(ROOT / "prompts")


def test_the_vocabulary_lands_where_the_tokenizer_reads_it_with_nothing_to_add(tmp_path, monkeypatch):
    shipped = tokenizer.read_merges()
    path = tmp_path / "merges.txt"
    tokenizer.write_merges(path, shipped)
    monkeypatch.setattr(tokenizer, "__file__", str(tmp_path / "tokenizer.py"))
    training.write_vocabulary()
    assert tokenizer.read_merges(path) == shipped


def test_a_vocabulary_from_nothing_holds_every_word(tmp_path, monkeypatch):
    monkeypatch.setattr(tokenizer, "__file__", str(tmp_path / "tokenizer.py"))
    monkeypatch.setattr(training, "prose", lambda: ["some prose with some words"])
    training.write_vocabulary()
    fresh = tokenizer.build_tokenizer(tokenizer.read_merges(tmp_path / "merges.txt"))
    assert fresh.tokenize(" viewpoint because") == ["Ġviewpoint", "Ġbecause"]
