import pytest
from helpers.closure import ROOT, closure, declared
from ruamel.yaml import YAML

STAGES = YAML(typ="safe").load(ROOT / "dvc.yaml")["stages"]


@pytest.mark.parametrize("stage", sorted(STAGES))
def test_a_stage_depends_on_exactly_the_code_that_it_imports(stage):
    assert declared(STAGES[stage]) == closure(stage), "run `python tests/closure.py --write`"


@pytest.mark.parametrize("stage", ["prompts", "cells", "compare", "analyze", "verdict", "report"])
def test_a_stage_without_a_model_does_not_import_torch(stage):
    named_exception = "src/plantain/stats/flips/device.py"  # imported only where a device is asked for
    sources = "\n".join(
        (ROOT / path).read_text() for path in closure(stage) if path.endswith(".py") and path != named_exception
    )
    for heavy in ("torch", "diffusers", "transformers", "mlflow"):
        assert f"\nimport {heavy}" not in sources
        assert f"\nfrom {heavy}" not in sources
