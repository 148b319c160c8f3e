"""LoRAs merged, weights quantised, blocks offloaded: against products of matrices, diffusers' own calls, own hooks."""

import shutil
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from diffusers import Flux2KleinPipeline
from helpers.capture_model import build_pipeline, records
from helpers.families.watch import watching
from helpers.model_sources import declare, settings
from safetensors.torch import load_file, save_file

from plantain.base.config import read_params
from plantain.base.errors import InputError
from plantain.base.params import CaptureParams, LoraParams, Method, ModelParams, Params, Quantize, Source
from plantain.capture.cell import capture_cell
from plantain.capture.noise import gaussian
from plantain.capture.progress import Silent
from plantain.model import adapters
from plantain.model.geometry import projections
from plantain.model.load import load_pipeline, load_transformer, weights_digest
from plantain.model.resolve import resolve
from plantain.records.activations import TOKENS
from plantain.records.keys import shard_frame, transformer_identity

needs_peft = pytest.mark.skipif(
    "not __import__('importlib.util').util.find_spec('peft')", reason="peft is not installed"
)
needs_torchao = pytest.mark.skipif(
    "not __import__('importlib.util').util.find_spec('torchao')", reason="torchao is not installed"
)
LAYERS = (
    "transformer_blocks.0.attn.to_q",
    "transformer_blocks.1.attn.to_out.0",
    "single_transformer_blocks.2.attn.to_out",
)


def lora(
    folder: Path, transformer: torch.nn.Module, layers=LAYERS, rank: int = 3, prefix: str = "transformer."
) -> Path:
    generator = torch.Generator().manual_seed(5)
    state = {}
    for name in layers:
        out, into = transformer.get_submodule(name).weight.shape
        state[f"{prefix}{name}.lora_A.weight"] = torch.randn(rank, into, generator=generator) / 4
        state[f"{prefix}{name}.lora_B.weight"] = torch.randn(out, rank, generator=generator) / 4
    save_file(state, folder / "style.safetensors")
    return folder / "style.safetensors"


def declared(saved: Path, **rest) -> Params:
    of = {"of": "mine"}
    return declare(
        plain=settings(Source.local, path=str(saved)),
        mine=settings(Source.local, path=str(saved), **rest),
        fresh=ModelParams(source=Source.untrained, method=Method.reinit, seed=4, **of),
        moved=ModelParams(source=Source.untrained, method=Method.shuffle, seed=4, **of),
    )


def captured(lock, folder: Path, **params) -> np.ndarray:
    asked = records(creatures=("a cat",))[:1]
    return capture_cell(asked, folder, lock, CaptureParams(**params), Silent()).activations.mean_square


@needs_peft
def test_a_lora_is_in_the_weights_and_the_layers_are_plain(saved, home):
    plain = build_pipeline(0).transformer
    file = lora(home, plain)
    lock, _ = resolve("mine", declared(saved, lora=LoraParams(path=str(file), scale=0.5)))
    merged, state = load_transformer(lock, "cpu"), load_file(file)
    assert len(projections(merged)) == len(projections(plain))
    for name, before in plain.named_parameters():
        layer = name.removesuffix(".weight")
        change = 0.0
        if layer in LAYERS:
            change = 0.5 * state[f"transformer.{layer}.lora_B.weight"] @ state[f"transformer.{layer}.lora_A.weight"]
            assert change.abs().max() > 0.01
        torch.testing.assert_close(merged.get_parameter(name), before + change, msg=name)
    pipeline = Flux2KleinPipeline.from_pretrained(saved)
    pipeline.load_lora_weights(file)
    pipeline.fuse_lora(lora_scale=0.5)
    pipeline.unload_lora_weights()
    assert weights_digest(pipeline.transformer) == weights_digest(merged)


@needs_peft
def test_what_is_measured_is_the_merged_model_and_its_keys_say_so(saved, home):
    file = lora(home, build_pipeline(0).transformer)
    params = declared(saved, lora=LoraParams(path=str(file)))
    lock, plain = resolve("mine", params)[0], resolve("plain", params)[0]
    copy = home / "merged"
    shutil.copytree(saved, copy)
    load_transformer(lock, "cpu").save_pretrained(copy / "transformer")
    whole = resolve("plain", declared(copy))[0]
    np.testing.assert_array_equal(captured(lock, home), captured(whole, home))
    assert not np.allclose(captured(lock, home), captured(plain, home), equal_nan=True, rtol=1e-3)
    half = resolve("mine", declared(saved, lora=LoraParams(path=str(file), scale=0.5)))[0]
    frames = [str(shard_frame(one, CaptureParams(), 1, 0, "cpu")) for one in (lock, plain, half)]
    assert len(set(frames)) == 3
    assert b"lora" not in plain.to_bytes()
    fresh, moved = resolve("fresh", params)[0], resolve("moved", params)[0]
    assert (fresh.lora, fresh.draws) == (None, resolve("fresh", declared(saved))[0].draws)
    assert moved.draws != resolve("moved", declared(saved))[0].draws
    load_transformer(moved, "cpu")


@needs_peft
def test_a_lora_that_changed_or_does_not_fit_is_refused(saved, home):
    plain = build_pipeline(0).transformer
    file = lora(home, plain)
    lock, _ = resolve("mine", declared(saved, lora=LoraParams(path=str(file))))
    lora(home, plain, rank=2)
    with pytest.raises(InputError, match="LoRA of mine changed since"):
        load_transformer(lock, "cpu")

    def refused(*layers: str, **change) -> str:
        lora(home, change.pop("of", plain), layers, **change)
        with pytest.raises(InputError) as error:
            adapters.merge_lora(build_pipeline(0).transformer, "Flux2KleinPipeline", file, 1.0)
        assert error.value.file == file
        return str(error.value)

    extra = torch.nn.ModuleDict({"transformer_blocks": torch.nn.ModuleDict({"9": torch.nn.Linear(8, 8)})})
    assert "1 of its 2 layers are not in the transformer, such as transformer_blocks.9" in refused(
        LAYERS[0], "transformer_blocks.9", of=_Either(plain, extra)
    )
    assert "changes more than the transformer, such as text_encoder." in refused(LAYERS[0], prefix="text_encoder.")
    wide = torch.nn.Linear(9, 9)
    assert "not readable as a LoRA" in refused(LAYERS[0], of=SimpleNamespace(get_submodule=lambda _: wide))
    (home / "style.bin").write_bytes(b"")
    with pytest.raises(InputError, match="read as safetensors alone"):
        resolve("mine", declared(saved, lora=LoraParams(path=str(home / "style.bin"))))
    with pytest.raises(InputError, match=r"no such file.*lora\.path"):
        resolve("mine", declared(saved, lora=LoraParams(path="nowhere.safetensors")))


class _Either(torch.nn.Module):
    """Modules of two."""

    def __init__(self, first: torch.nn.Module, second: torch.nn.Module) -> None:
        super().__init__()
        self.first, self.second = first, second

    def get_submodule(self, target: str) -> torch.nn.Module:
        try:
            return self.first.get_submodule(target)
        except AttributeError:
            return self.second.get_submodule(target)


def test_a_package_that_is_not_there_is_named(saved, home, monkeypatch):
    def absent(_: str) -> str:
        raise PackageNotFoundError

    monkeypatch.setattr(adapters, "version", absent)
    with pytest.raises(InputError, match=r"peft, which is not installed.*plantain-probes\[adapters\]"):
        adapters.merge_lora(torch.nn.Linear(1, 1), "Flux2KleinPipeline", home / "x", 1.0)
    with pytest.raises(InputError, match=r"torchao, which is not installed"):
        resolve("mine", declared(saved, quantize=Quantize.int8))


@needs_torchao
def test_quantised_weights_leave_what_is_read_in_the_declared_dtype(saved, home):
    params = declared(saved, quantize=Quantize.int8)
    lock, plain = resolve("mine", params)[0], resolve("plain", params)[0]
    assert lock.quantized.startswith("int8 by torchao ")
    assert transformer_identity(lock) != transformer_identity(plain)
    pipeline = load_pipeline(lock, "cpu")
    found = projections(pipeline.transformer)
    assert len(found) == len(projections(load_transformer(plain, "cpu")))
    assert all("Int8" in type(one.module.weight).__name__ for one in found)
    asked, last = records(creatures=("a cat",))[0], found[-1]
    latents = torch.from_numpy(gaussian(0, (1, 16, 4, 4)))
    with watching(pipeline.transformer, [last.name]) as seen, torch.inference_mode():
        pipeline(
            prompt=asked.prompt, height=64, width=64, num_inference_steps=1, guidance_scale=1.0, latents=latents,
            output_type="latent", max_sequence_length=96, text_encoder_out_layers=(1, 2, 3),
        )  # fmt: skip
    given = seen.only(last.name)
    assert given.dtype == torch.float32
    own = given[-16:].square().mean(0).reshape(-1, 16).mean(1).numpy()
    measured, exact = (captured(one, home)[0, 0, 0, 0, 0, TOKENS.index("noise")] for one in (lock, plain))
    np.testing.assert_allclose(measured[-len(own) :], own, rtol=1e-4)
    change = np.nanmedian(np.abs(measured / exact - 1))
    assert 1e-5 < change < 0.05


@needs_torchao
def test_another_version_of_what_quantises_is_refused(saved, home, monkeypatch):
    lock, _ = resolve("mine", declared(saved, quantize=Quantize.int8))
    monkeypatch.setattr(adapters, "version", lambda _: "0.0.1")
    with pytest.raises(InputError, match=r"resolved as int8 by torchao .*, and torchao 0\.0\.1 is installed"):
        load_transformer(lock, "cpu")


def test_blocks_that_wait_elsewhere_compute_the_same_and_are_seen_by_hooks():
    """Group by group, from one name of the CPU to another: there is no accelerator in the tests."""
    plain, moved = build_pipeline(0).transformer, build_pipeline(0).transformer
    moved = adapters.settled_on(moved, SimpleNamespace(offload=True), "cpu:0")
    names = [one.name for one in projections(moved)]
    generator = torch.Generator().manual_seed(0)
    arguments = {
        "hidden_states": torch.randn(1, 16, 16, generator=generator),
        "encoder_hidden_states": torch.randn(1, 8, 96, generator=generator),
        "timestep": torch.tensor([1.0]), "img_ids": torch.zeros(1, 16, 4), "txt_ids": torch.zeros(1, 8, 4),
    }  # fmt: skip
    with torch.inference_mode(), watching(plain, names) as first, watching(moved, names) as second:
        plain(**arguments)
        moved(**arguments)
    assert torch.equal(first.velocity, second.velocity)
    assert all(torch.equal(first.only(name), second.only(name)) for name in names)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("device_map: auto", "spread over devices is not measured"),
        ("lora: {scale: 1.0}", "exactly one of path and repo"),
        ("lora: {repo: a/b}", "needs `file` and `revision`"),
        ("lora: {path: a, weight: 1}", "weight"),
        ("quantize: nf4", "quantize"),
        ("offload: maybe", "offload"),
    ],
)
def test_what_params_may_say(tmp_path, line, says):
    text = (Path(__file__).parents[2] / "params.yaml").read_text()
    path = tmp_path / "params.yaml"
    path.write_text(text.replace("    revision: main\n", f"    revision: main\n    {line}\n"))
    with pytest.raises(InputError, match=says) as error:
        read_params(path)
    assert error.value.line
    path.write_text(
        text.replace(
            "    source: embedded\n    device: auto", "    source: embedded\n    quantize: int8\n    device: auto"
        )
    )
    with pytest.raises(InputError, match="a model of source embedded takes no quantize"):
        read_params(path)
