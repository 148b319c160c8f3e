"""Train the embedded model `tiny` and write what ships with the package.

    python -m training vocabulary      the tokenizer's merges, and the text encoder that has a row for each token
    python -m training encoder         the autoencoder's encoder, in closed form
    python -m training decoder         the autoencoder's decoder
    python -m training flow            the transformer
    python -m training flow --operation mention-only
    python -m training ship            bfloat16 weights into src/plantain/model/tiny/weights
    python -m training measure         the figures and pictures of docs/tiny.md

`decoder` and `flow` continue from their last checkpoint in --out. docs/tiny.md has the recipe of the shipped weights.
"""

import argparse
import ast
import pydoc_data.topics
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from plantain.model.tiny import architecture, tokenizer
from plantain.model.tiny.assemble import WEIGHTS
from plantain.model.tiny.tokenizer import build_tokenizer
from plantain.model.untrained import reinitialise
from training import autoencoder, vocabulary
from training.batches import sentences
from training.flow import Learner, Plan, train
from training.lessons import Operation, read_lessons
from training.log import Log
from training.measure import report
from training.sheet import Painter

PROMPTS = Path(__file__).parents[1] / "prompts"
PIECES = 2600
"""Merges learnt from prose, beside the words of the shipped probes."""


def prose() -> Iterator[str]:
    """English that every Python brings along: the topics of its help, and the docstrings of its modules."""
    yield from pydoc_data.topics.topics.values()
    for path in sorted(Path(sysconfig.get_paths()["stdlib"]).glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef):
                yield ast.get_docstring(node) or ""


def write_vocabulary() -> None:
    path = Path(tokenizer.__file__).with_name("merges.txt")
    taught = [lesson.prompt for lesson in read_lessons(PROMPTS)]
    texts = [f"user\n{text}" for text in (*taught, *vocabulary.family_wordings(), *vocabulary.example_wordings())]
    texts += ["assistant\n\n", "\n", *vocabulary.common_words()]
    before = tokenizer.read_merges(path) if path.exists() else vocabulary.learn(texts, prose(), PIECES)
    tokenizer.write_merges(path, vocabulary.grow(before, texts))


def train_flow(options: argparse.Namespace, log: Log) -> None:
    operation = Operation(options.operation)
    vae = architecture.new_vae().eval().requires_grad_(False)
    vae.load_state_dict(load_file(options.out / "encoder.safetensors"))
    learner = Learner(options.out / f"flow-{operation}.safetensors", options.seed, options.rate, options.start)
    plan = Plan(operation, options.seed, options.minutes, options.short)
    final = options.out / "decoder.safetensors"
    painter = Painter(final if final.exists() else options.out / "encoder.safetensors", options.out, operation)
    train(vae.to(memory_format=torch.channels_last), sentences(PROMPTS, operation), learner, log, plan, painter=painter)


def ship_text_encoder() -> None:
    encoder = architecture.new_encoder(len(build_tokenizer()))
    reinitialise(encoder, 0)
    tied = {name: value for name, value in encoder.state_dict().items() if name != "lm_head.weight"}
    _write("text_encoder", tied)


def ship(out: Path) -> None:
    ship_text_encoder()
    _write("vae", load_file(out / "decoder.safetensors"))
    for name, operation in (("transformer", Operation.full), ("transformer-mention", Operation.mention_only)):
        path = out / f"flow-{operation}.safetensors"
        if path.exists():
            _write(name, {key[2:]: value for key, value in load_file(path).items() if key.startswith("w.")})


def _write(name: str, tensors: dict[str, torch.Tensor]) -> None:
    WEIGHTS.mkdir(exist_ok=True)
    narrow = {key: value.bfloat16() if value.is_floating_point() else value for key, value in tensors.items()}
    path = WEIGHTS / f"{name}.safetensors"
    save_file({key: value.contiguous() for key, value in narrow.items()}, path)
    path.chmod(0o644)


def main() -> None:
    """Run one phase."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("python -m training", description=__doc__, formatter_class=raw)
    parser.add_argument("phase", choices=["vocabulary", "encoder", "decoder", "flow", "ship", "measure"])
    parser.add_argument("--out", type=Path, default=Path(".plantain/tiny-training"), help="checkpoints and logs")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--operation", choices=[*Operation], default=Operation.full)
    parser.add_argument("--minutes", type=float, default=60.0, help="wall time of the phase, over restarts")
    parser.add_argument("--short", type=float, default=0.75, help="share of the time for short steps")
    parser.add_argument("--rate", type=float, default=None, help="highest learning rate")
    parser.add_argument("--start", type=Path, default=None, help="weights that the transformer begins with")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--mlflow", default=None, metavar="URI", help="log to this MLflow store, such as sqlite:///runs.db"
    )
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    options.out.mkdir(parents=True, exist_ok=True)
    run(options)


def run(options: argparse.Namespace) -> None:
    """Run the phase of ``options``."""
    encoder, decoder = (options.out / f"{name}.safetensors" for name in ("encoder", "decoder"))
    if options.phase == "vocabulary":
        write_vocabulary()
        ship_text_encoder()
    elif options.phase == "encoder":
        autoencoder.prepare(encoder, options.seed)
    elif options.phase == "ship":
        ship(options.out)
    elif options.phase == "measure":
        report(options.out, PROMPTS.with_name("docs") / "images")
    else:
        options.rate = options.rate or {"decoder": 3e-3, "flow": 2e-3}[options.phase]
        name = options.phase if options.phase == "decoder" else f"flow-{options.operation}"
        with Log(options.out, name, options.mlflow, {key: str(value) for key, value in vars(options).items()}) as log:
            if options.phase == "decoder":
                plan = {"minutes": options.minutes, "seed": options.seed, "top": options.rate}
                autoencoder.train_decoder(encoder, decoder, log, **plan)
            else:
                train_flow(options, log)


if __name__ == "__main__":
    main()
