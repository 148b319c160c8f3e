from pathlib import Path

import pytest

from plantain.config import Source, UnitKind, read_params
from plantain.errors import InputError

SHIPPED = Path(__file__).resolve().parent.parent / "params.yaml"


def test_the_shipped_params_are_typed():
    params = read_params(SHIPPED)
    assert params.models["tiny"].source is Source.embedded
    assert params.analyses["card"].unit is UnitKind.group16
    assert params.analyses["card"].flips == 201
    assert params.analyses["card"].unique is False


@pytest.mark.parametrize(
    ("old", "new", "field", "words"),
    [
        ("  dpi: 160", "  dpii: 160", "report.dpii", "not in 'ReportParams'"),
        ("  steps: 14", "  steps: many", "reference.steps", "could not be converted to Integer"),
        ("unit: head\n", "unit: heed\n", "analyses.heads.unit", "expected one of [head, group16]"),
        ("[tiny, tiny-untrained]", "[tiny, tinny]", "run.models.1", "model 'tinny' is not declared"),
        ("[otherview, dense]", "[otherview, den-se]", "run.probes.1", "'den-se' is not a probe name"),
        ("[otherview, dense]", "[dense, dense]", "run.probes", "distinct"),
        ("  sigma: 1.0", "  sigma: 0", "capture.sigma", "outside (0, 1]"),
        ("  batch_size: 1 ", "  batch_size: 0 ", "capture.batch_size", "not a batch size"),
        ("  attention: native", "  attention: quick", "capture.attention", "expected one of [native"),
        ("  seeds: [0]", "  seeds: [0, 0]", "capture.seeds", "distinct"),
        ("thresholds: [3.0, 5.0]", "thresholds: [2.0, 5.0]", "analyses.card.thresholds", "the first is 3"),
        ("flips: 201", "flips: some", "analyses.card.flips", "not a number of flips"),
        ("    of: tiny\n", "    of: klein-base-4b-untrained\n", "models.tiny-untrained.of", "not a model with weights"),
        ("    repo: black-forest-labs/FLUX.2-klein-base-4B\n", "", "models.klein-base-4b", "needs `repo`"),
        ("reinit\n    seed: 0", "reinit\n    seed: 0\n    seeds: 3", "models.tiny-untrained", "exactly one"),
    ],
)
def test_a_wrong_value_names_file_line_field_and_fix(tmp_path, old, new, field, words):
    text = SHIPPED.read_text()
    assert old in text
    path = tmp_path / "params.yaml"
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(InputError) as caught:
        read_params(path)
    error = caught.value
    assert error.field == field
    assert words in error.problem
    assert error.fix
    assert error.exit_code == 2
    key = field.split(".")[-1] if not field.split(".")[-1].isdigit() else field.split(".")[-2]
    assert key in path.read_text().splitlines()[error.line - 1]
    assert str(path) in str(error)


def test_an_untrained_model_needs_exactly_one_of_seed_and_seeds(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text(SHIPPED.read_text().replace("reinit\n    seed: 0\n", "reinit\n", 1))
    with pytest.raises(InputError, match="exactly one of seed and seeds"):
        read_params(path)


def test_the_plain_pipeline_path_takes_no_other_kernels(tmp_path):
    path = tmp_path / "params.yaml"
    text = SHIPPED.read_text().replace("  compile: false", "  compile: true", 1)
    path.write_text(text.replace("  path: fast ", "  path: pipeline ", 1))
    with pytest.raises(InputError, match="the plain pipeline path computes the plain way") as caught:
        read_params(path)
    assert caught.value.field == "capture.path"
    assert path.read_text().splitlines()[caught.value.line - 1].startswith("  path: pipeline")
