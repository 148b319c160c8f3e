from pathlib import Path

from plantain.model.tiny import tokenizer
from training import __main__ as training
from training import sheet

ROOT = Path(__file__).parents[2]


def test_the_prompts_of_this_repository_are_found():
    assert training.PROMPTS.samefile(ROOT / "prompts")
    assert sheet.PROMPTS.samefile(ROOT / "prompts")


def test_the_vocabulary_lands_where_the_tokenizer_reads_it(tmp_path, monkeypatch):
    shipped = tokenizer.read_merges()
    monkeypatch.setattr(tokenizer, "__file__", str(tmp_path / "tokenizer.py"))
    monkeypatch.setattr(training, "prose", lambda: ["some prose with some words"])
    training.write_vocabulary()
    words = len(shipped) - training.PIECES
    assert tokenizer.read_merges(tmp_path / "merges.txt")[:words] == shipped[:words]
