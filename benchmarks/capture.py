"""How long a pass takes: the cards' way, plantain's fast pass, and the bare transformer forward, in one run.

    python benchmarks/capture.py                 the embedded model of params.yaml
    python benchmarks/capture.py --full          the full-size untrained transformer, 9 GB of memory
    python benchmarks/capture.py --model klein-base-4b --size 1024
    python benchmarks/capture.py --model klein-base-4b --size 1024 --tune

The variants take turns within every round, so that a machine that slows down slows all of them. A time is the fastest
of the rounds, which other work on the machine disturbs least, and of these the median over prompts. On CUDA the share
of the matrix-product rate measured in the same run and the peak of the memory are given too. ``--tune`` times attention
kernels, compiled blocks and batch sizes instead, against the plain pass.
"""

import argparse
import platform
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from diffusers.models.attention_dispatch import AttentionBackendName, _AttentionBackendRegistry
from PIL import Image

from plantain.base.config import read_params
from plantain.base.params import AttentionKernel, CaptureParams
from plantain.capture.encode import encode, trunk
from plantain.capture.forward import Target, assemble, fast_runner, prepare_scene
from plantain.capture.hooks import reducing
from plantain.capture.kernels import is_missing_kernel
from plantain.capture.means.token_sets import Layout
from plantain.capture.memory import is_out_of_memory
from plantain.capture.plan import pass_flops, pass_positions
from plantain.capture.shards import Store
from plantain.capture.speed import SIDE, product_rate, wait_for
from plantain.capture.workers import set_threads_for
from plantain.model.geometry import projections
from plantain.model.load import load_pipeline, load_transformer, resolve_device
from plantain.model.resolve import resolve
from plantain.records.keys import Pass
from plantain.records.lock import ModelLock

CREATURES = ("an adult human", "a dog", "a bee", "a bat", "a cat", "an octopus", "a child", "a robot")
SIZES = (1, 4, 8)
"""Batches that ``--tune`` tries."""
KERNELS = [kernel for kernel in AttentionKernel if kernel is not AttentionKernel.auto]


def main() -> None:
    options = _options()
    lock = _lock(options)
    device = resolve_device(lock.device)
    set_threads_for(lock.components["transformer"], device)
    with tempfile.TemporaryDirectory() as scratch:
        bench = Bench(lock, device, Path(scratch), options.passes)
        if options.tune:
            table = tuned(bench, options.rounds)
        else:
            times = bench.run(options.rounds)
            table = _table(lock, device, times, options) + _accelerator(lock, device, times)
    print("\n".join(table))
    if options.write:
        options.write.write_text("\n".join(table) + "\n", encoding="utf-8")


class Bench:
    """One pipeline, a reference image of noise, and the variants to time."""

    def __init__(self, lock: ModelLock, device: str, scratch: Path, passes: int) -> None:
        self.lock, self.device = lock, device
        self.params = CaptureParams(group_width=lock.group_width)
        self.pipeline: Any = load_pipeline(lock, device)
        self.trunk = trunk(self.pipeline.text_encoder, lock)
        self.image = scratch / "reference.png"
        pixels = torch.randint(0, 255, (lock.height, lock.width, 3), generator=torch.Generator().manual_seed(0))
        Image.fromarray(pixels.to(torch.uint8).numpy()).save(self.image)
        self.scene = prepare_scene({"reference": self.image}, lock, 1.0, device)
        prompts = [f"Render this kitchen from the viewpoint of {creature}" for creature in CREATURES][:passes]
        self.passes = [Pass(prompt, "c", 0, 0, prompt, "reference") for prompt in prompts]
        self.texts = {prompt: encode(prompt, self.pipeline.tokenizer, self.trunk, lock) for prompt in prompts}
        self.fast = fast_runner(self.pipeline.transformer, self.scene, self.texts.__getitem__, self.params)  # type: ignore[arg-type]
        self.store = Store("shards", print, scratch / "shards")
        self.vectors = Store("vectors", print, scratch / "vectors")
        self.hooked = projections(self.pipeline.transformer)
        target = Target.of(self.pipeline.transformer, self.scene)
        self.inputs = {one: assemble((one,), [self.texts[one.prompt]], self.scene, target)[0] for one in self.passes}

    def run(self, rounds: int) -> dict[str, float]:
        """Seconds of every variant: the fastest round, the median over prompts; a first round is not counted."""
        names = [name for name, _ in self.variants()]
        found = np.full((rounds + 1, len(self.passes), len(names)), np.inf)
        for turn in range(rounds + 1):
            for row, one in enumerate(self.passes):
                for column, (_, call) in enumerate(self.variants()):
                    found[turn, row, column] = self._timed(call, one)
        return dict(zip(names, np.median(found[1:].min(axis=0), axis=0).tolist(), strict=True))

    def variants(self) -> Iterator[tuple[str, Callable[[Pass], Any]]]:
        """Name and function of everything that is timed."""
        yield "the cards' way", self.card
        yield "fast pass, prompt encoded", lambda one: (self.encode(one), self.measure(one))
        yield "fast pass, embedding reused", self.measure
        yield "bare transformer forward", self.bare
        yield "prompt encoding", self.encode
        yield "reference encoding", self.reference
        yield "image decoding", self.decode

    @torch.inference_mode()
    def card(self, one: Pass) -> None:
        """A pipeline call a prompt with hooks on every projection, the image decoded."""
        text = self.texts[one.prompt].text
        positions = self.scene.positions
        layout = Layout((text,), self.lock.max_sequence_length, positions, positions)
        with reducing(self.hooked, layout, self.lock.group_width, stop=False) as capture:
            self.pipeline(
                prompt=one.prompt,
                image=Image.open(self.image),
                generator=torch.Generator().manual_seed(0),
                num_inference_steps=1,
                guidance_scale=1.0,
                max_sequence_length=self.lock.max_sequence_length,
                text_encoder_out_layers=tuple(self.lock.text_encoder_out_layers),
            )
        capture.mean_square()

    def measure(self, one: Pass) -> None:
        """What plantain does for a pass, its shard and vectors written."""
        found, key = self.fast((one,))(), f"{abs(hash(one)):064x}"
        self.vectors.write(key, {"vectors": found.vectors})
        self.store.write(key, {"mean_square": found.mean_square, "token_count": found.token_count})

    @torch.inference_mode()
    def bare(self, one: Pass) -> None:
        """The transformer alone, to its last layer, its inputs at hand."""
        self.pipeline.transformer(**self.inputs[one])

    def encode(self, one: Pass) -> None:
        """One prompt through the text encoder."""
        encode(one.prompt, self.pipeline.tokenizer, self.trunk, self.lock)

    @torch.inference_mode()
    def reference(self, _one: Pass) -> None:
        """One reference image through the VAE's encoder."""
        processor = self.pipeline.image_processor
        pixels = processor.preprocess(Image.open(self.image), height=self.lock.height, width=self.lock.width)
        where = SimpleNamespace(device=torch.device(self.device), dtype=self.pipeline.vae.dtype)
        self.pipeline.prepare_image_latents([pixels], 1, None, where.device, where.dtype)

    @torch.inference_mode()
    def decode(self, _one: Pass) -> None:
        """One latent through the VAE's decoder, to a picture."""
        vae = self.pipeline.vae
        shape = (1, vae.config.latent_channels, self.lock.height // 8, self.lock.width // 8)
        image = vae.decode(torch.zeros(shape, device=self.device, dtype=vae.dtype), return_dict=False)[0]
        self.pipeline.image_processor.postprocess(image, output_type="pil")

    def tuned(self, kernel: AttentionKernel, compiled: bool, size: int, rounds: int) -> float | None:
        """Seconds a pass in batches of ``size``, computed in another way; None where that way is not there."""
        params = self.params.model_copy(update={"attention": kernel, "compile": compiled})
        transformer = load_transformer(self.lock, self.device)
        run = fast_runner(transformer, self.scene, self.texts.__getitem__, params)  # type: ignore[arg-type]
        batch = tuple(self.passes[index % len(self.passes)] for index in range(size))
        try:
            run(batch)()
            return min(self._timed(lambda some: run(some)(), batch) for _ in range(rounds)) / size
        except RuntimeError as error:
            if is_missing_kernel(error) or is_out_of_memory(error):
                return None
            raise
        finally:
            _AttentionBackendRegistry.set_active_backend(AttentionBackendName.NATIVE)

    def _timed(self, call: Callable[[Any], Any], one: Any) -> float:
        clock = _clock(self.device)
        wait_for(self.device)
        began = clock()
        call(one)
        wait_for(self.device)
        return clock() - began


def tuned(bench: Bench, rounds: int) -> list[str]:
    """A row a way to compute: attention kernel, compiled or not, batch size; its time a pass."""
    work = pass_flops(bench.lock, pass_positions(bench.lock, True))
    side = SIDE if bench.device.startswith("cuda") else 2048
    peak = product_rate(bench.device, getattr(torch, bench.lock.dtype), side)
    lines = [
        f"{bench.lock.name}: {bench.lock.dtype}, {bench.lock.width} x {bench.lock.height} px, {bench.device}; "
        f"a matrix product of the same run: {peak / 1e12:.3g} TFLOP/s; fastest of {rounds} rounds",
        "",
        "| attention | compiled | batch | ms a pass | of the plain pass | of the matrix product |",
        "|---|---|---|---|---|---|",
    ]
    plain = None
    for compiled in (False, True):
        for kernel in KERNELS:
            for size in SIZES:
                seconds = bench.tuned(kernel, compiled, size, rounds)
                plain = plain or seconds
                cells = (kernel, "yes" if compiled else "no", size)
                numbers = (
                    ("not there", "", "")
                    if seconds is None
                    else (f"{seconds * 1e3:.1f}", f"{seconds / plain:.2f}", f"{100 * work / seconds / peak:.0f}%")
                )
                lines.append(f"| {' | '.join(str(cell) for cell in (*cells, *numbers))} |")
    return lines


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--full", action="store_true", help="the full-size untrained transformer (klein-random)")
    parser.add_argument("--model", default="tiny", help="a model of params.yaml")
    parser.add_argument("--size", type=int, help="height and width in pixels instead of the model's")
    parser.add_argument("--tune", action="store_true", help="attention kernels, compiled blocks and batch sizes")
    parser.add_argument("--passes", type=int, default=4, help=f"prompts, at most {len(CREATURES)}")
    parser.add_argument("--rounds", type=int, default=5, help="rounds after the first, which is not counted")
    parser.add_argument("--write", type=Path, help="file for the table")
    return parser.parse_args()


def _lock(options: argparse.Namespace) -> ModelLock:
    lock = resolve("klein-random" if options.full else options.model, read_params())[0]
    return lock.model_copy(update={"height": options.size, "width": options.size}) if options.size else lock


def _table(lock: ModelLock, device: str, times: dict[str, float], options: argparse.Namespace) -> list[str]:
    fast, card, bare = (
        times[name] for name in ("fast pass, prompt encoded", "the cards' way", "bare transformer forward")
    )
    reused = times["fast pass, embedding reused"]
    billions = lock.geometry.parameters / 1e9
    count = torch.get_num_threads()
    alone = "1 thread, processor time" if count == 1 else f"{count} threads"
    threads = f", {alone}" if device == "cpu" else ""
    return [
        f"{lock.name}: {billions:.3f} billion parameters, {lock.dtype}, {lock.width} x {lock.height} px, "
        f"{lock.max_sequence_length} text positions, {device}{threads}; torch {torch.__version__}, "
        f"Python {platform.python_version()}; fastest of {options.rounds} rounds, median over {options.passes} prompts",
        "",
        "| what | ms | of the bare forward |",
        "|---|---|---|",
        *(f"| {name} | {seconds * 1e3:.1f} | {seconds / bare:.2f} |" for name, seconds in times.items()),
        "",
        f"- The cards' way takes {card / fast:.2f} times as long as the fast pass with a fresh prompt, "
        f"{card / reused:.2f} times as long as with its embedding at hand.",
        f"- Hooks and bookkeeping: {100 * (reused / bare - 1):+.1f}% on the bare forward.",
    ]


def _accelerator(lock: ModelLock, device: str, times: dict[str, float]) -> list[str]:
    if not device.startswith("cuda"):
        return []
    peak = product_rate(device, torch.bfloat16)
    reached = pass_flops(lock, pass_positions(lock, True)) / times["fast pass, embedding reused"]
    memory = torch.cuda.max_memory_allocated() / 2**30
    return [
        f"- {torch.cuda.get_device_name()}: {reached / 1e12:.0f} TFLOP/s in a pass, {100 * reached / peak:.0f}% of the "
        f"{peak / 1e12:.0f} TFLOP/s of a {SIDE} x {SIDE} bfloat16 product in the same run.",
        f"- Peak of the GPU memory with the whole pipeline loaded: {memory:.1f} GiB.",
    ]


def _clock(device: str) -> Callable[[], float]:
    """Processor time where one thread does everything, which other work disturbs little; else the time that passes."""
    return time.process_time if device == "cpu" and torch.get_num_threads() == 1 else time.perf_counter


if __name__ == "__main__":
    main()
