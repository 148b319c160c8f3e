"""``plantain run --dry-run``: what params.yaml declares now; with ``--study``, the passes in the committed receipts."""

import json
import re
import shutil
from pathlib import Path

import pytest
from helpers.model_sources import local

from plantain.base import places
from plantain.base.errors import InputError
from plantain.base.params import Params, RunParams, Source
from plantain.capture.plan import remember
from plantain.cli import main
from plantain.commands.forecast import declared_lock, print_forecast
from plantain.commands.run import _announced
from plantain.model import resolve as resolve_module
from plantain.model.resolve import resolve
from plantain.records import journal

ROOT = Path(__file__).resolve().parents[2]
RECEIPTS = sorted(ROOT.glob("reports/study/*/*/*.receipt.json"))


def test_the_forecast_of_the_study_has_the_passes_that_it_took(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setenv("PLANTAIN_CACHE", str(tmp_path))
    models = [option for name in ("tiny", "tiny-mention", "tiny-untrained") for option in ("--model", name)]
    monkeypatch.setattr("sys.argv", ["plantain", "run", "--dry-run", "--study", "dense", "otherview", *models])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code in (0, None)
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    rows = [line for line in lines if len(line) > 2 and line[2].startswith("(")]
    study = {(line[0], line[1], "noise" in line): line for line in rows}
    every = [json.loads(path.read_text()) for path in RECEIPTS]
    receipts = [receipt for receipt in every if receipt["stage"] != "intervene"]
    swaps = {(line[0], line[1].rstrip(":")): line for line in lines if "forwards," in line}
    for receipt in every:
        if receipt not in receipts:
            assert f"{receipt['notes']['passes']:,}" in swaps[receipt["probe"], receipt["model"]]
    assert len(swaps) == len(every) - len(receipts) == 8
    assert len(receipts) == len(study) == len(rows) == 18
    for receipt in receipts:
        key = receipt["probe"], receipt["model"], receipt["stage"] == "sweep"
        assert f"{receipt['notes']['passes']:,}" in study[key]


@pytest.fixture
def resolved(tmp_path, monkeypatch, saved) -> Params:
    """A working folder with the shipped prompts, where a small model was resolved; what it was declared as."""
    monkeypatch.setenv("PLANTAIN_CACHE", str(tmp_path / "state"))
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "160")
    shutil.copytree(ROOT / "prompts", tmp_path / "prompts")
    monkeypatch.chdir(tmp_path)
    run = RunParams(probes=["otherview"], models=["mine"])
    params = captured(local(saved), batch_size=1).model_copy(update={"run": run})
    for name in params.models:
        places.model_lock(name).parent.mkdir(parents=True)
        places.model_lock(name).write_bytes(resolve(name, params)[0].to_bytes())
    return params


def changed(params: Params, **settings) -> Params:
    mine = params.models["mine"].model_copy(update=settings)
    return params.model_copy(update={"models": params.models | {"mine": mine}})


def captured(params: Params, **settings) -> Params:
    return params.model_copy(update={"capture": params.capture.model_copy(update=settings)})


CHANGES = [
    {},
    {"height": 512, "width": 512},
    {"device": "auto"},
    {"dtype": "bfloat16"},
    {"max_sequence_length": 64},
]


@pytest.mark.parametrize("change", CHANGES)
def test_a_lock_that_params_no_longer_declare_is_not_believed(resolved, change):
    params = changed(resolved, **change)
    assert declared_lock(params, "mine") == resolve("mine", params)[0]
    family, expected = declared_lock(params, "family"), resolve("family", params)[0]
    same = {"draws": [], "components": {}}
    assert family.model_copy(update=same) == expected.model_copy(update=same)


def test_another_group_width_and_another_number_of_draws_are_those_declared(resolved):
    params = captured(resolved, group_width=8)
    family = params.models["family"]
    params.models["family"] = family.model_copy(update={"seeds": 2})
    assert declared_lock(params, "mine") == resolve("mine", params)[0]
    assert declared_lock(params, "family").seeds == [0, 1]
    params.models["family"] = family.model_copy(update={"seeds": None, "seed": 7})
    found = declared_lock(params, "family")
    assert (found.seeds, found.family) == ([7], False)


def test_a_model_from_elsewhere_is_resolved_anew_with_one_draw(resolved, saved, tmp_path, monkeypatch):
    shutil.copytree(saved, tmp_path / "other")
    params = changed(resolved, path=str(tmp_path / "other"))
    assert declared_lock(params, "mine").path == str(tmp_path / "other")
    drawn, digest = [], resolve_module._Maker.digest
    monkeypatch.setattr(resolve_module._Maker, "digest", lambda *one: (drawn.append(one[1]), digest(*one))[1])
    assert declared_lock(params, "family").seeds == [0, 1, 2]
    assert drawn == [0]


def test_the_last_row_sums_those_above(resolved, capsys):
    print_forecast(resolved, [("otherview", "mine"), ("dense", "mine")])
    rows = {line.split()[0]: line.replace(",", "").split() for line in capsys.readouterr().out.splitlines()}
    cells, total = [rows[probe][2:5] for probe in ("otherview", "dense")], rows["all"][1:4]
    assert [int(one) + int(other) for one, other in zip(*cells, strict=True)] == [int(one) for one in total]
    assert int(total[0]) > 0
    assert rows["all"][-2] == rows["otherview"][-2]


def test_a_model_that_was_never_resolved_is_forecast(resolved):
    places.model_lock("mine").unlink()
    assert declared_lock(resolved, "mine") == resolve("mine", resolved)[0]


def printed(capsys, params: Params) -> str:
    print_forecast(params, [("otherview", "mine")])
    return capsys.readouterr().out


def seconds(text: str) -> float:
    number, unit = re.search(r"otherview +mine .*? ([\d.]+) (s|min|h) ", text).groups()
    return float(number) * {"s": 1, "min": 60, "h": 3600}[unit]


def test_larger_images_and_the_rate_of_this_machine_are_in_what_is_printed(resolved, capsys):
    remember(declared_lock(resolved, "mine"), "cpu", 128, 100, 10.0)
    before = printed(capsys, resolved)
    assert "assumed rate" not in before
    assert "on cpu" in before
    assert seconds(before) > 10
    assert seconds(printed(capsys, changed(resolved, height=512, width=512))) > 5 * seconds(before)
    assert printed(capsys, changed(resolved, device="auto")) == before


def test_what_batch_the_memory_is_of_is_said(resolved, capsys):
    assert "at a time" not in printed(capsys, resolved)
    four = captured(resolved, batch_size=4)
    assert "Memory is that of 4 passes at a time." in printed(capsys, four)
    auto = captured(resolved, batch_size="auto")
    assert "at a time" not in printed(capsys, auto), "on a CPU it is 1"
    text = printed(capsys, changed(auto, device="cuda"))
    assert "the most that batch_size: auto may take, 32 passes at a time" in text
    assert "on cuda" in text


def ran(capsys, monkeypatch, *arguments):
    monkeypatch.setattr("sys.argv", ["plantain", "run", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code or 0, capsys.readouterr()


def test_a_published_model_is_forecast_before_it_is_fetched(monkeypatch, capsys, tmp_path):
    """Its 16 GB need not be here, nor the model in run.models, nor the device in this machine."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("PLANTAIN_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    code, said = ran(capsys, monkeypatch, "--dry-run", "--study", "--model", "klein-base-4b", "--device", "cuda")
    lines = said.out.splitlines()
    assert code == 0
    assert max(map(len, [line for line in lines if "GB" not in line])) <= 100
    assert sum("klein-base-4b-reinit (40 draws)" in line for line in lines) == 2
    assert "on cuda" in said.out
    assert [line for line in lines if "not on this machine" in line] == [
        "klein-base-4b is not on this machine: its sizes are those that black-forest-labs/FLUX.2-klein-base-4B is "
        "published with. `plantain model fetch klein-base-4b` brings it, about 16 GB."
    ]


def test_what_a_time_rests_on_is_said(resolved, capsys, monkeypatch):
    monkeypatch.setattr("plantain.capture.plan.state_dir", lambda: Path("nowhere"))
    on_gpu = changed(resolved, device="cuda")
    assert "Some times rest on an assumed rate: nothing was captured" in printed(capsys, on_gpu)
    monkeypatch.setattr("plantain.capture.speed.product_rate_here", lambda *_: 1.0e12)
    said = printed(capsys, on_gpu)
    assert "Some times rest on half the rate of a matrix product on this machine's GPU: nothing was captured" in said
    assert "assumed" not in said


def test_any_published_model_is_forecast_and_another_says_what_is_needed(resolved, capsys, monkeypatch, tmp_path):
    """Not one of FLUX: its kinds of blocks, its own pixels a position; never a rate that was not measured."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    entry = resolved.models["mine"].model_copy(
        update={
            "source": Source.hub, "path": None, "repo": "PixArt-alpha/PixArt-Sigma-XL-2-1024-MS", "revision": "main",
            "height": 1024, "width": 1024, "max_sequence_length": 300, "device": "cuda",
            "text_encoder_out_layers": None,
        }
    )  # fmt: skip
    params = resolved.model_copy(update={"models": {"mine": entry}})
    said = printed(capsys, params)
    assert "Some times rest on an assumed rate" in said
    assert "its sizes are those that PixArt-alpha/PixArt-Sigma-XL-2-1024-MS is published with" in said
    assert "GB" not in said.split("published with")[1], "nobody measured that download"
    unknown = entry.model_copy(update={"repo": "someone/else"})
    with pytest.raises(InputError, match=r"someone/else cannot be forecast.*`plantain model show mine`, which brings"):
        printed(capsys, resolved.model_copy(update={"models": {"mine": unknown}}))


@pytest.mark.parametrize(
    ("arguments", "said"), [(("--device", "cuda"), "--dry-run"), (("--dry-run", "--device", "gpu"), "cpu, cuda or mps")]
)
def test_a_device_is_for_the_forecast_alone(monkeypatch, capsys, arguments, said):
    monkeypatch.chdir(ROOT)
    code, output = ran(capsys, monkeypatch, *arguments)
    assert code == 2
    assert said in output.err


def test_a_run_says_how_long_it_may_take_before_it_begins(monkeypatch, tmp_path):
    monkeypatch.setattr("plantain.records.journal.state_dir", lambda: tmp_path)
    cells = [("otherview", "tiny"), ("dense", "tiny")]
    assert "`plantain run --dry-run` forecasts it" in _announced(cells)
    for probe, seconds in (("otherview", 100.0), ("dense", 20.0), ("dense", 140.0), ("other", 1e6)):
        path = str(places.receipt("capture", probe=probe, model="tiny"))
        journal.append(
            journal.Execution(
                receipt_sha256="0", receipt_path=path, stage="capture", started=0.0, ended=seconds, host="h", pid=1,
                commit=None, dirty=False, diff_sha256=None, dvc_stage=None, experiment=None,
            )
        )  # fmt: skip
    assert "otherview, dense on tiny" in _announced(cells)
    assert "up to 4 min here so far" in _announced(cells)
