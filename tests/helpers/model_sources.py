"""Models declared for tests, all of one small real pipeline on disk."""

import shutil
from pathlib import Path

import torch

from helpers.capture_model import LAYERS
from plantain.base.config import read_params
from plantain.base.files import sha256_file
from plantain.base.params import Method, ModelParams, Params, Source

COMMIT = "0123456789abcdef0123456789abcdef01234567"
REPO = "someone/small-klein"


def declare(**entries: ModelParams) -> Params:
    params = read_params(Path(__file__).parents[2] / "params.yaml")
    return params.model_copy(update={"models": {name.replace("_", "-"): entry for name, entry in entries.items()}})


def settings(source: Source, **rest) -> ModelParams:
    sizes = {"height": 64, "width": 64, "max_sequence_length": 96, "text_encoder_out_layers": LAYERS}
    usual = {"device": "cpu", "dtype": "float32"} | sizes
    return ModelParams(source=source, **(usual | rest))


def local(folder: Path, **rest) -> Params:
    of = {"of": "mine"}
    return declare(
        mine=settings(Source.local, path=str(folder), **rest),
        fresh=ModelParams(source=Source.untrained, method=Method.reinit, seed=4, **of),
        family=ModelParams(source=Source.untrained, method=Method.shuffle, seeds=3, **of),
    )


def hub_cache(saved: Path, cache: Path, ref: str = "main") -> Path:
    """The files of ``saved`` as the Hub's client lays them out: blobs named by digest, snapshots of links."""
    store = cache / "models--someone--small-klein"
    snapshot = store / "snapshots" / COMMIT
    for path in sorted(saved.rglob("*")):
        if path.is_file():
            large = path.suffix == ".safetensors"
            blob = store / "blobs" / (sha256_file(path) if large else sha256_file(path)[:40])
            blob.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, blob)
            link = snapshot / path.relative_to(saved)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(blob)
    (store / "refs").mkdir()
    (store / "refs" / ref).write_text(COMMIT)
    return snapshot


def hub(**rest) -> Params:
    repo = {"repo": REPO, "revision": "main"} | rest
    return declare(
        distant=settings(Source.hub, **repo),
        fresh=ModelParams(source=Source.untrained, method=Method.reinit, seed=0, of="distant"),
        moved=ModelParams(source=Source.untrained, method=Method.shuffle, seed=0, of="distant"),
    )


def equal(first: torch.nn.Module, second: torch.nn.Module) -> bool:
    one, two = first.state_dict(), second.state_dict()
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)
