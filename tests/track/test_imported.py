"""A picture that DVC holds and git does not, as one of `dvc import` or `dvc add`, read at a revision."""

import subprocess
import sys

import pytest
from PIL import Image

from plantain.base.errors import InputError
from plantain.probe.authoring.diff import load_expansion
from plantain.track.history import held_by_dvc

PROBE = """
probe: mini
references: {kitchen: {file: kitchen.png}}
conditions:
  here: {prompt: "A {creature} here", reference: kitchen}
  there: {prompt: "A {creature} there", reference: kitchen}
contrasts: {published: {a: here, b: there, role: published}}
items: [{id: cat, creature: cat}, {id: dog, creature: dog}]
"""


def dvc(*arguments):
    subprocess.run([sys.executable, "-m", "dvc", *arguments, "--quiet"], check=True)


def test_a_prompt_set_with_an_imported_picture_is_found_at_a_revision(checkout, git):
    (checkout / "prompts").mkdir()
    (checkout / "prompts/mini.yaml").write_text(PROBE)
    Image.new("RGB", (64, 64), (10, 20, 30)).save("kitchen.png")
    now = load_expansion("mini", checkout).set_sha256
    dvc("init")
    dvc("add", "kitchen.png")
    git("add", ".")
    git("commit", "--quiet", "--message", "a picture that git does not hold")
    Image.new("RGB", (64, 64), (99, 20, 30)).save("kitchen.png")
    assert load_expansion("mini", checkout).set_sha256 != now
    assert load_expansion("mini@HEAD", checkout, held_by_dvc(checkout)).set_sha256 == now
    assert held_by_dvc(checkout)("HEAD", "elsewhere.png") is None
    with pytest.raises(InputError, match="`dvc pull` where DVC holds it"):
        load_expansion("mini@HEAD", checkout)
