import math
import subprocess
import sys
from pathlib import Path
from typing import Annotated, get_args, get_origin, get_type_hints

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError
from ruamel.yaml import YAML

from plantain.base.config import read_params
from plantain.base.errors import InputError
from plantain.base.least import LEAST_WORDINGS
from plantain.base.params import Params, Source, UnitKind, VerdictParams
from plantain.base.places import state_dir
from plantain.base.refusal import Place, interval

SHIPPED = Path(__file__).resolve().parents[2] / "params.yaml"


def test_the_shipped_params_are_typed():
    params = read_params(SHIPPED)
    assert params.models["tiny"].source is Source.embedded
    assert params.analyses["card"].unit is UnitKind.group16
    assert params.analyses["card"].flips == 201
    assert params.analyses["card"].unique is False


def test_values_that_name_no_other_are_read_without_omegaconf_and_are_what_it_makes_of_them(monkeypatch):
    code = "import sys, plantain.base.config as c; c.read_params(); assert 'omegaconf' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], cwd=SHIPPED.parent, check=True)
    plain = read_params(SHIPPED)
    monkeypatch.setattr("plantain.base.config._stands_as_it_is", lambda node: False)
    assert read_params(SHIPPED).model_dump_json() == plain.model_dump_json()


@pytest.mark.parametrize(
    ("old", "new", "field", "words"),
    [
        ("  dpi: 160", "  dpii: 160", "report.dpii", "no key 'dpii'"),
        ("  steps: 14", "  steps: many", "reference.steps", "'many' is not a whole number"),
        ("unit: head\n", "unit: heed\n", "analyses.heads.unit", "not one of [head, group16]"),
        ("[tiny, tiny-untrained]", "[tiny, tinny]", "run.models.1", "model 'tinny' is not declared"),
        ("[otherview, dense]", "[otherview, den-se]", "run.probes.1", "'den-se' is not a probe name"),
        ("[otherview, dense]", "[dense, dense]", "run.probes", "distinct"),
        ("  sigma: 1.0", "  sigma: 0", "capture.sigma", "outside (0, 1]"),
        ("  batch_size: 1 ", "  batch_size: 0 ", "capture.batch_size", "outside [1, 65536]"),
        ("  batch_size: 1 ", "  batch_size: [1] ", "capture.batch_size", "a list is not a whole number or auto"),
        ("flips: 201", "flips: [7]", "analyses.card.flips", "a list is not a whole number or exact"),
        ("  batch_size: 1 ", "  batch_size: some ", "capture.batch_size", "'some' is not a whole number or auto"),
        ("  batch_size: 1 ", "  batch_size: 1.5 ", "capture.batch_size", "1.5 is not a whole number or auto"),
        ("  seeds: [0]", "  seeds: [-1]", "capture.seeds.0", "-1 lies outside"),
        ("  seeds: [0]", "  seeds: [0, 99999999999999999999]", "capture.seeds.1", "lies outside"),
        ("  steps: 14", "  steps: 0", "reference.steps", "0 lies outside [1, 1000]"),
        ("guidance_scale: 4.0", "guidance_scale: .nan", "reference.guidance_scale", "nan lies outside"),
        ("guidance_scale: 4.0", "guidance_scale: .inf", "reference.guidance_scale", "inf lies outside"),
        ("4.0\n  seed: 0", "4.0\n  seed: -1", "reference.seed", "-1 lies outside"),
        ("  dpi: 160", "  dpi: -1", "report.dpi", "-1 lies outside [30, 600]"),
        ("  dpi: 160", "  dpi: 100000", "report.dpi", "100000 lies outside"),
        ("  heads:\n", "  haeds:\n", "analyses", "the verdict rests on the analysis 'heads'"),
        ("    device: cpu", "    device: gpu", "models.tiny.device", "'gpu' is not a device"),
        ("    dtype: float32", "    dtype: float64", "models.tiny.dtype", "'float64' is not a dtype"),
        ("    height: 64", "    height: -64", "models.tiny.height", "-64 lies outside"),
        ("    width: 64", "    width: 72", "models.tiny.width", "72 pixels do not fit"),
        ("reinit\n    seed: 0", "reinit\n    seed: -4", "models.tiny-untrained.seed", "-4 lies outside"),
        ("reinit, seeds: 40", "reinit, seeds: 0", "models.tiny-reinit.seeds", "0 lies outside"),
        ("length: 96", "length: 0", "models.tiny.max_sequence_length", "0 lies outside"),
        ("    shift: 0", "    shift: -1", "analyses.heads.shift", "-1 lies outside"),
        ("  shift: 0\n  flips", "  shift: -1\n  flips", "verdict.shift", "-1 lies outside"),
        ("splits: 100", "splits: -4", "analyses.card.splits", "-4 lies outside [1, 100000]"),
        ("effect_threshold: 0.8", "effect_threshold: .nan", "analyses.card.effect_threshold", "nan lies outside"),
        ("split_flips: 1000", "split_flips: -1", "analyses.heads.split_flips", "-1 lies outside"),
        ("[3.0, 5.0]", "[3.0, .inf]", "analyses.card.thresholds.1", "inf lies outside"),
        ("  steps: 14", '  steps: "14"', "reference.steps", "'14' is not a whole number"),
        ("  steps: 14", "  steps: 14.0", "reference.steps", "14.0 is not a whole number"),
        ("  steps: 14", "  steps: true", "reference.steps", "true is not a whole number"),
        ("  steps: 14", "  steps:", "reference.steps", "an empty value is not a whole number"),
        ("guidance_scale: 4.0", 'guidance_scale: "4.0"', "reference.guidance_scale", "'4.0' is not a number"),
        ("guidance_scale: 4.0", "guidance_scale: false", "reference.guidance_scale", "false is not a number"),
        ("guidance_scale: 4.0", "guidance_scale: -" + 400 * "9", "reference.guidance_scale", "lies outside [0, 1000]"),
        ("  compile: false", "  compile: 0", "capture.compile", "0 is not true or false"),
        ("  compile: false", '  compile: "no"', "capture.compile", "'no' is not true or false"),
        ("  experiment: plantain", "  experiment: 7", "tracking.experiment", "7 is not text"),
        ("  experiment: plantain", "  experiment: 2026-01-01", "tracking.experiment", "not a supported primitive type"),
        ("  seeds: [0]", "  seeds: 0", "capture.seeds", "0 is not a list"),
        ("    revision: main", "    revision: 1234567", "models.klein-base-4b.revision", "1234567 is not text"),
        ("  seeds: [0]", "  seeds: {a: 1}", "capture.seeds", "a mapping is not a list"),
        ("  dpi: 160", "  dpi: ${report.dip}", "report.dpi", "Interpolation key 'report.dip' not found"),
        ("  dpi: 160", "  dpi: ${verdict.alpha}", "report.dpi", "0.05 is not a whole number"),
        ("[3.0, 5.0]", "[3.0, 3.0]", "analyses.card.thresholds", "distinct"),
        ("flips: 201", "flips: 1", "analyses.card.flips", "1 lies outside"),
        ("  alpha: 0.05", "  alpha: 1", "verdict.alpha", "outside (0, 1)"),
        ("  saturation: 0.9", "  saturation: .nan", "verdict.saturation", "nan lies outside"),
        ("  timeout: 10", "  timeout: 0", "tracking.timeout", "0 lies outside (0, 86400]"),
        ("  attention: native", "  attention: quick", "capture.attention", "not one of [native"),
        ("  seeds: [0]", "  seeds: [0, 0]", "capture.seeds", "distinct"),
        ("thresholds: [3.0, 5.0]", "thresholds: [2.0, 5.0]", "analyses.card.thresholds", "the first is 3"),
        ("[0.8, 0.6, 0.4, 0.2]", "[0.8, 0]", "study.sigmas.1", "0 lies outside [0.001, 1]"),
        ("[0.8, 0.6, 0.4, 0.2]", "[1.2, 0.4]", "study.sigmas.0", "1.2 lies outside [0.001, 1]"),
        ("[0.8, 0.6, 0.4, 0.2]", "[0.8, 0.4, 0.8]", "study.sigmas.2", "0.8 stands twice"),
        ("[0.8, 0.6, 0.4, 0.2]", "[0.8, 0.4, 0.4001]", "study.sigmas.2", "0.4001 stands twice, to three decimals"),
        ("[0.8, 0.6, 0.4, 0.2]", "[0.9999]", "study.sigmas.0", "0.9999 stands twice"),
        ("[0.8, 0.6, 0.4, 0.2]", "0.8", "study.sigmas", "0.8 is not a list"),
        ("  sigmas: [0.8, 0.6, 0.4, 0.2]", "  sigma: [0.8]", "study.sigma", "no key 'sigma'"),
        ("flips: 201", "flips: some", "analyses.card.flips", "'some' is not a whole number or exact"),
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


@pytest.mark.parametrize("name", ["tiny.", "tiny..", "tiny ", " tiny", ".", "..", "...", ".tiny", "Tiny", "t" * 65])
def test_a_model_that_no_folder_of_every_file_system_can_be_named_after_is_refused(tmp_path, name):
    """Windows drops dots and blanks at the end of a name, and case keeps no two apart there or on macOS."""
    path = tmp_path / "params.yaml"
    path.write_text(SHIPPED.read_text().replace("  tiny-reinit:", f'  "{name}":', 1))
    with pytest.raises(InputError) as caught:
        read_params(path)
    assert caught.value.field == f"models.{name}"
    assert f"'{name}' is not a model name" in caught.value.problem
    assert "no dot first or last" in caught.value.fix
    assert f'"{name}"' in path.read_text().splitlines()[caught.value.line - 1]


@pytest.mark.parametrize("name", ["flux.2", "a", "tiny_", "tiny-", "t" * 64])
def test_a_model_may_have_dots_within_its_name(tmp_path, name):
    path = tmp_path / "params.yaml"
    path.write_text(SHIPPED.read_text().replace("  tiny-reinit:", f"  {name}:", 1))
    assert name in read_params(path).models


def test_an_untrained_model_needs_exactly_one_of_seed_and_seeds(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text(SHIPPED.read_text().replace("reinit\n    seed: 0\n", "reinit\n", 1))
    with pytest.raises(InputError, match="exactly one of seed and seeds"):
        read_params(path)


def test_a_model_without_a_source_is_told_at_the_line_of_the_model(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text(SHIPPED.read_text().replace("  tiny:\n    source: embedded\n", "  tiny:\n", 1))
    with pytest.raises(InputError, match="this needs `source`") as caught:
        read_params(path)
    assert caught.value.field == "models.tiny.source"
    assert path.read_text().splitlines()[caught.value.line - 1] == "  tiny:"
    assert caught.value.fix == "add `source:` there."


def test_a_number_for_a_name_is_told_at_its_line(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text(SHIPPED.read_text().replace("  tiny-reinit:", "  7:", 1))
    with pytest.raises(InputError, match=r"models\.7: 7 is not a name") as caught:
        read_params(path)
    assert path.read_text().splitlines()[caught.value.line - 1].startswith("  7:")
    assert caught.value.fix == "put it in quotes."


@pytest.mark.parametrize("sigmas", ["[]", "[1.0]", "[1, 0.5]"])
def test_a_sweep_may_be_empty_and_may_name_the_runs_own_level(tmp_path, sigmas):
    path = tmp_path / "params.yaml"
    path.write_text(SHIPPED.read_text().replace("[0.8, 0.6, 0.4, 0.2]", sigmas, 1))
    assert read_params(path).study.sigmas == YAML(typ="safe").load(sigmas)


def test_a_file_of_before_there_was_a_sweep_has_none_and_an_empty_section_is_refused(tmp_path):
    path = tmp_path / "params.yaml"
    before, _, after = SHIPPED.read_text().partition("study:\n")
    rest = after.partition("\n\n")[2]
    path.write_text(before + rest)
    assert read_params(path).study.sigmas == []
    path.write_text(f"{before}study:\n\n{rest}")
    with pytest.raises(InputError, match="the section `study` is missing, or empty"):
        read_params(path)


def test_the_plain_pipeline_path_takes_no_other_kernels(tmp_path):
    path = tmp_path / "params.yaml"
    text = SHIPPED.read_text().replace("  compile: false", "  compile: true", 1)
    path.write_text(text.replace("  path: fast ", "  path: pipeline ", 1))
    with pytest.raises(InputError, match="the plain pipeline path computes the plain way") as caught:
        read_params(path)
    assert caught.value.field == "capture.path"
    assert path.read_text().splitlines()[caught.value.line - 1].startswith("  path: pipeline")


def test_a_fix_says_the_interval_and_a_usual_value(tmp_path):
    path = tmp_path / "params.yaml"
    fixes = {
        ("  steps: 14", "  steps: 0"): "use a whole number in that interval, such as 14.",
        ("  steps: 14", "  steps: x"): "use a whole number in [1, 1000], such as 14.",
        ("  seeds: [0]", "  seeds: [-1]"): "use a whole number in that interval, such as 0.",
        ("reinit, seeds: 40", "reinit, seeds: 0"): "use a whole number in that interval, such as 20.",
        ("  batch_size: 1 ", "  batch_size: x "): "use a whole number in [1, 65536], such as 1 or auto.",
        ("  sigma: 1.0", "  sigma: x"): "use a number in (0, 1], such as 1.0.",
        ("  dpi: 160", "  dots: 160"): "leave it out, or use one of: dpi.",
    }
    for (old, new), fix in fixes.items():
        path.write_text(SHIPPED.read_text().replace(old, new, 1))
        with pytest.raises(InputError) as caught:
            read_params(path)
        assert caught.value.fix == fix


@pytest.mark.parametrize(
    ("section", "key", "low", "high", "held"),
    [
        ("capture", "sigma", 0, 1, (False, True)),
        ("verdict", "alpha", 0, 1, (False, False)),
        ("reference", "guidance_scale", 0, 1000, (True, True)),
        ("report", "dpi", 30, 600, (True, True)),
    ],
)
def test_an_end_is_held_or_left_out_as_its_bracket_says(tmp_path, section, key, low, high, held):
    data, path = YAML(typ="safe").load(SHIPPED), tmp_path / "params.yaml"
    said = f"{'[' if held[0] else '('}{low}, {high}{']' if held[1] else ')'}"
    for value, inside in [(low, held[0]), (high, held[1]), (low - 1, False), (high + 1, False)]:
        data[section][key] = value
        YAML().dump(data, path)
        if inside:
            assert getattr(getattr(read_params(path), section), key) == value
            continue
        with pytest.raises(InputError) as caught:
            read_params(path)
        assert caught.value.problem == f"{value} lies outside {said}."


def numbers(kind, keys=()):
    """The keys of every number that a section can hold, a name for names and 0 for places, and whether it is whole."""
    kind = get_args(kind)[0] if get_origin(kind) is Annotated else kind
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        for name, hint in get_type_hints(kind, include_extras=True).items():
            yield from numbers(hint, (*keys, name)) if name in kind.model_fields else ()
    elif get_origin(kind) in (dict, list):
        yield from numbers(get_args(kind)[-1], (*keys, "name" if get_origin(kind) is dict else 0))
    elif get_args(kind):
        for one in get_args(kind):
            yield from numbers(one, keys)
    elif kind in (int, float):
        yield keys, kind


def test_every_number_has_its_interval_and_a_usual_value_inside():
    schema = TypeAdapter(Params).json_schema()
    found = dict(numbers(Params))
    assert len(found) == 41
    for keys, kind in found.items():
        node = Place.at(schema, keys)
        assert type(node.usual) is kind, keys
        low, high = (float(end) for end in interval(node.number)[1:-1].split(", "))
        assert low <= node.usual <= high < math.inf, keys
        assert low > -math.inf, keys


def test_the_ladder_asks_for_the_least_number_of_wordings_unless_told_otherwise():
    assert VerdictParams().min_templates == LEAST_WORDINGS == 4


def test_whole_numbers_do_for_others_and_nothing_is_changed_once_read(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text(SHIPPED.read_text().replace("[3.0, 5.0]", "[3, 5]").replace("timeout: 10 ", "timeout: 10.0 "))
    params = read_params(path)
    assert repr(params) == repr(read_params(SHIPPED))
    assert repr(params.analyses["card"].thresholds) == "[3.0, 5.0]"
    with pytest.raises(ValidationError, match="frozen"):
        params.capture.sigma = 0.5


def test_a_value_may_name_another_even_one_that_is_left_out(tmp_path):
    path = tmp_path / "params.yaml"
    text = SHIPPED.read_text().replace("  dpi: 160", "  dpi: ${verdict.items}00").replace("  items: 10 ", "  # ")
    path.write_text(text.replace("  steps: 14", "  steps: ${verdict.items}"))
    with pytest.raises(InputError, match=r"report\.dpi: '1000' is not a whole number"):
        read_params(path)
    path.write_text(text.replace("  steps: 14", "  steps: ${verdict.items}").replace("${verdict.items}00", "160"))
    assert read_params(path).reference.steps == 10


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "the file is empty"),
        ("3", "no mapping of sections"),
        ("[1]", "no mapping of sections"),
        ("run: {probes: [a]}", "the section `models` is missing"),
        (SHIPPED.read_text().replace("report:\n  dpi: 160\n", ""), "the section `report` is missing"),
    ],
)
def test_a_file_of_another_kind_says_so(tmp_path, text, words):
    path = tmp_path / "params.yaml"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        read_params(path)
    assert words in caught.value.problem
    assert caught.value.fix == "restore params.yaml with git."
    assert caught.value.file == path


def test_a_folder_is_no_params_file(tmp_path):
    with pytest.raises(InputError, match=r"cannot be read \(Is a directory\)") as caught:
        read_params(tmp_path)
    assert caught.value.file == tmp_path
    assert caught.value.fix


@pytest.mark.parametrize("device", ["auto", "cpu", "mps", "cuda", "cuda:1"])
def test_devices_that_torch_knows(tmp_path, device):
    path = tmp_path / "params.yaml"
    path.write_text(SHIPPED.read_text().replace("device: cpu", f"device: {device}", 1))
    assert read_params(path).models["tiny"].device == device


def test_a_local_pipeline_may_have_an_autoencoder_of_its_own(tmp_path):
    path = tmp_path / "params.yaml"
    text = SHIPPED.read_text().replace("source: embedded\n", "source: local\n    path: /models/one\n", 1)
    path.write_text(text.replace("height: 64", "height: 72", 1))
    assert read_params(path).models["tiny"].height == 72


@pytest.mark.parametrize("below", ["", "/deeper/still"])
def test_a_cache_that_is_a_file_is_named(tmp_path, monkeypatch, below):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("PLANTAIN_CACHE", f"{tmp_path}/file{below}")
    with pytest.raises(InputError, match="is a file, not a folder") as caught:
        state_dir()
    assert caught.value.field == "PLANTAIN_CACHE"
    assert caught.value.fix
    monkeypatch.setenv("PLANTAIN_CACHE", f"{tmp_path}/new{below}")
    assert state_dir() == tmp_path / f"new{below}"
