from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import get_args, get_origin, get_type_hints

import pytest

from plantain.base.config import read_params
from plantain.base.errors import InputError
from plantain.base.params import SPANS, Params, Source, UnitKind, within
from plantain.base.places import state_dir
from plantain.base.threads import threads

SHIPPED = Path(__file__).resolve().parents[2] / "params.yaml"


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
        ("  batch_size: 1 ", "  batch_size: 0 ", "capture.batch_size", "outside [1, 65536]"),
        ("  batch_size: 1 ", "  batch_size: [1] ", "capture.batch_size", "not a batch size"),
        ("flips: 201", "flips: [7]", "analyses.card.flips", "not a number of flips"),
        ("  batch_size: 1 ", "  batch_size: some ", "capture.batch_size", "not a batch size"),
        ("  batch_size: 1 ", "  batch_size: 1.5 ", "capture.batch_size", "not a batch size"),
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
        ("reinit, seeds: 20", "reinit, seeds: 0", "models.tiny-reinit.seeds", "0 lies outside"),
        ("length: 96", "length: 0", "models.tiny.max_sequence_length", "0 lies outside"),
        ("    shift: 0", "    shift: -1", "analyses.heads.shift", "-1 lies outside"),
        ("  shift: 0\n  flips", "  shift: -1\n  flips", "verdict.shift", "-1 lies outside"),
        ("splits: 100", "splits: -4", "analyses.card.splits", "-4 lies outside [1, 100000]"),
        ("effect_threshold: 0.8", "effect_threshold: .nan", "analyses.card.effect_threshold", "nan lies outside"),
        ("split_flips: 1000", "split_flips: -1", "analyses.heads.split_flips", "-1 lies outside"),
        ("[3.0, 5.0]", "[3.0, .inf]", "analyses.card.thresholds.1", "inf lies outside"),
        ("[3.0, 5.0]", "[3.0, 3.0]", "analyses.card.thresholds", "distinct"),
        ("flips: 201", "flips: 1", "analyses.card.flips", "1 lies outside"),
        ("  alpha: 0.05", "  alpha: 1", "verdict.alpha", "outside (0, 1)"),
        ("  reliability: 0.7", "  reliability: .nan", "verdict.reliability", "nan lies outside"),
        ("  timeout: 10", "  timeout: 0", "tracking.timeout", "0.0 lies outside"),
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


def numbers(kind, keys=""):
    """The keys of every number that a section can hold, names and places as stars."""
    if is_dataclass(kind):
        hints = get_type_hints(kind)
        for field in fields(kind):
            yield from numbers(hints[field.name], f"{keys}.{field.name}".lstrip("."))
    elif get_origin(kind) in (dict, list):
        yield from numbers(get_args(kind)[-1], f"{keys}.*")
    elif get_args(kind):
        for one in get_args(kind):
            yield from numbers(one, keys)
    elif kind in (int, float):
        yield keys


def test_every_number_has_its_interval():
    of_many_kinds = {"capture.batch_size", "analyses.*.flips"}  # a number or a word, so declared as anything
    assert set(numbers(Params)) | of_many_kinds == set(SPANS)
    assert all(within(usual, interval) for interval, usual in SPANS.values())


@pytest.mark.parametrize(
    ("value", "interval", "expected"),
    [
        (0, "(0, 1]", False),
        (1, "(0, 1]", True),
        (1, "[0, 1)", False),
        (0, "[0, 1)", True),
        (float("nan"), "[0, 1]", False),
        (float("inf"), "[0, inf)", False),
        (2, "[0, 1]", False),
        (10**400, "[0, 1]", False),
    ],
)
def test_an_interval_holds_what_lies_in_it(value, interval, expected):
    assert within(value, interval) is expected


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


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [("PLANTAIN_THREADS", "3", 3), ("OMP_NUM_THREADS", "2", 2), ("OMP_NUM_THREADS", "2,1", 2)],
)
def test_threads_are_what_a_variable_says(monkeypatch, name, value, expected):
    monkeypatch.delenv("PLANTAIN_THREADS", raising=False)
    monkeypatch.setenv(name, value)
    assert threads() == expected


@pytest.mark.parametrize(
    ("name", "value"),
    [("PLANTAIN_THREADS", "2,1"), ("PLANTAIN_THREADS", "0"), ("OMP_NUM_THREADS", "two"), ("OMP_NUM_THREADS", "\u00b2")],
)
def test_the_variable_that_is_wrong_is_the_one_that_is_named(monkeypatch, name, value):
    monkeypatch.delenv("PLANTAIN_THREADS", raising=False)
    monkeypatch.setenv(name, value)
    with pytest.raises(InputError) as caught:
        threads()
    assert caught.value.field == name
    assert caught.value.fix
