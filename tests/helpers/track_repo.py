"""A repository with real git and real dvc whose model is a formula, so that every stage takes a second at most.

The stages model, reference, capture, report and compare are stand-ins; prompts, analyze, cells and publish are
plantain's own.
"""

import shutil
from pathlib import Path

from helpers import command_line
from helpers.workspace import MINI, ROOT, Workspace

STAND_IN = """
import os
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl

from plantain.base import places
from plantain.records.activations import Activations, write_activations
from plantain.records.grams import Grams, View, write_grams
from plantain.base.files import digest, sha256_file
from plantain.records.units import SCHEMA
from plantain.probe.store import read_records
from plantain.stages.frame import run, stage
from plantain.records.receipt import prompt_set

GROUPS = 12


def model(name):
    with stage("model", section="capture", model=name) as current:
        current.use("capture.group_width")
        lock = current.out(places.model_lock(name))
        lock.write_text('{"name": "%s"}' % name)
        current.model_lock_sha256 = sha256_file(lock)
        blocks = range(GROUPS)
        rows = [("single", one // 6, "all", "attention", one % 6 // 2, one % 6 * 16, 16, False) for one in blocks]
        units = pl.DataFrame(rows, schema=SCHEMA, orient="row")
        units.write_parquet(current.out(places.units(name)))


def reference(probe, name):
    with stage("reference", section="capture", probe=probe, model=name) as current:
        current.use("reference")
        current.read(Path("data/prompts", probe + ".references.json"))
        folder = current.out(places.images(name, probe))
        folder.mkdir()
        (folder / "kitchen.png").write_bytes(b"a picture")


def capture(probe, name):
    with stage("capture", section="capture", probe=probe, model=name) as current:
        current.use("capture")
        time.sleep(float(os.environ.get("STAND_IN_WAITS", "0")))
        records = read_records(current.read(Path("data/prompts", probe + ".parquet")))
        current.read(places.images(name, probe))
        lock = current.read(places.model_lock(name))
        items = tuple(dict.fromkeys(record.item for record in records))
        conditions = tuple(dict.fromkeys(record.condition for record in records))
        values = np.empty((1, len(items), len(conditions), 1, 1, 4, GROUPS), np.float32)
        for record in records:
            seed = int(digest([record.prompt, name])[:8], 16)
            drawn = np.random.Generator(np.random.Philox(seed)).gamma(5.0, size=(4, GROUPS))
            values[0, items.index(record.item), conditions.index(record.condition), 0, 0] = drawn
        counts = np.full((len(items), len(conditions), 1, 4), 8, np.int32)
        prompts = prompt_set(probe, records)
        key = digest([prompts.set_sha256, sha256_file(lock), current.used["capture"]])
        header = {"group_width": 16, "model_lock_sha256": sha256_file(lock), "capture_key": key}
        out = current.out(Path("data/activations", name, probe + ".safetensors"))
        write_activations(out, Activations(values, counts, items, conditions, ("kitchen",), (0,), (0,), header=header))
        write_grams(current.out(places.grams(name, probe)), grams(values, items, conditions))
        current.prompts, current.capture_key, current.device = prompts, key, "cpu"
        current.model_lock_sha256 = sha256_file(lock)


def grams(values, items, conditions):
    # Mean squares in the place of vectors: as many heads as groups, of three dimensions each.
    vectors = np.moveaxis(values[0, :, :, 0, 0, :3], 2, -1).astype(np.float64).mean(axis=0)
    centred = vectors - vectors.mean(axis=0)
    rows, columns = np.triu_indices(len(conditions))
    kept = np.einsum("chd,khd->hck", centred, centred)[:, rows, columns].astype(np.float32)[None, None, None]
    return Grams({"noise": kept}, {"noise": kept}, {"noise": tuple(range(GROUPS))}, conditions, {"all": items},
                 (View(None, None),), (0,), profile_subsets=("all",))


def report(probe, name):
    with stage("report", section="report", probe=probe, model=name) as current:
        current.read(places.stats(name, probe))
        current.out(Path("reports", name, probe, "index.html")).write_text("a page")
        current.out(Path("reports", name, probe, "figures")).mkdir()


def compare():
    with stage("compare", section="report") as current:
        current.read(Path("data/stats"))
        current.out(places.INDEX).write_text("all cells")


if __name__ == "__main__":
    run(lambda: globals()[sys.argv[1]](*sys.argv[2:]))
"""

OF_A_MODEL = "matrix: {model: '${run.models}'}\n    wdir: ../.."
STAGES = """
stages:
  model:
    matrix: {model: '${run.models}'}
    cmd: python stand_in.py model ${item.model}
    deps: [stand_in.py]
    outs: ['models/${item.model}/model.lock.json', 'models/${item.model}/units.parquet',
           'receipts/model/${item.model}.json']
  cells:
    cmd: python -m plantain.stages.cells
    params: [run]
    outs: ['reports/cells.json': {cache: false}]
  compare:
    cmd: python stand_in.py compare
    deps: [reports/cells.json, data/stats]
    outs: [reports/index.html, receipts/compare/all.json]
  publish:
    cmd: python -m plantain.stages.publish
    deps: [reports/cells.json, receipts]
    outs: ['mlflow/published.json': {cache: false}, 'reports/ledger.json': {cache: false}]
"""
PIPELINE = f"""
vars: ['../../params.yaml:run', {{probe: mini}}]
stages:
  prompts:
    wdir: ../..
    cmd: python -m plantain.stages.prompts ${{probe}}
    deps: ['prompts/${{probe}}.yaml']
    outs: ['data/prompts/${{probe}}.parquet', 'data/prompts/${{probe}}.references.json',
           'data/prompts/${{probe}}.contrasts.json', 'receipts/prompts/${{probe}}.json']
  reference:
    {OF_A_MODEL}
    cmd: python stand_in.py reference ${{probe}} ${{item.model}}
    deps: ['data/prompts/${{probe}}.references.json', 'models/${{item.model}}/model.lock.json']
    outs: ['data/references/${{item.model}}/${{probe}}', 'receipts/reference/${{item.model}}/${{probe}}.json']
  capture:
    {OF_A_MODEL}
    cmd: python stand_in.py capture ${{probe}} ${{item.model}}
    deps: ['data/prompts/${{probe}}.parquet', 'data/references/${{item.model}}/${{probe}}',
           'models/${{item.model}}/model.lock.json']
    params: [capture]
    outs: ['data/activations/${{item.model}}/${{probe}}.safetensors',
           'data/grams/${{item.model}}/${{probe}}.safetensors',
           'receipts/capture/${{item.model}}/${{probe}}.json']
  analyze:
    {OF_A_MODEL}
    cmd: python -m plantain.stages.analyze ${{probe}} ${{item.model}}
    deps: ['data/activations/${{item.model}}/${{probe}}.safetensors', 'models/${{item.model}}/units.parquet',
           'data/grams/${{item.model}}/${{probe}}.safetensors',
           'data/prompts/${{probe}}.contrasts.json', 'data/prompts/${{probe}}.parquet']
    params: [analyses]
    outs: ['data/stats/${{item.model}}/${{probe}}', 'data/manifests/stats/${{item.model}}/${{probe}}.json',
           'receipts/analyze/${{item.model}}/${{probe}}.json']
    metrics: ['reports/${{item.model}}/${{probe}}/metrics.json': {{cache: false}}]
  report:
    {OF_A_MODEL}
    cmd: python stand_in.py report ${{probe}} ${{item.model}}
    deps: ['data/stats/${{item.model}}/${{probe}}']
    outs: ['reports/${{item.model}}/${{probe}}/index.html', 'reports/${{item.model}}/${{probe}}/figures',
           'receipts/report/${{item.model}}/${{probe}}.json']
"""

ANALYSES = """
analyses:
  heads: {unit: head, tokens: image, measure: log_rms, flips: 32, splits: 10, split_flips: 10, permutations: 100}
  card: {unit: group16, tokens: all, measure: rms, flips: 201, unique: false, splits: 10, split_flips: 0}
"""


def make_repository(target: Path) -> Workspace:
    """One probe on one model, committed, not yet run."""
    for name in ("environment.yaml", ".gitignore", ".dvcignore", ".gitattributes", ".dvc/config", ".dvc/.gitignore"):
        if (ROOT / name).exists():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)
    text = (ROOT / "params.yaml").read_text()
    head, _, rest = text.partition("\nanalyses:")
    tail = rest[rest.index("\nverdict:") if "\nverdict:" in rest else rest.index("\nreport:") :]
    text = head.replace("probes: [otherview, dense]", "probes: [mini]") + ANALYSES + tail
    (target / "params.yaml").write_text(text.replace("models: [tiny, tiny-untrained]", "models: [tiny]"))
    (target / "dvc.yaml").write_text(STAGES)
    (target / "pipelines/mini").mkdir(parents=True)
    (target / "pipelines/mini/dvc.yaml").write_text(PIPELINE)
    (target / "stand_in.py").write_text(STAND_IN)
    shutil.copytree(ROOT / "src" / "plantain", target / "src" / "plantain")  # with Numba's cache
    (target / "prompts").mkdir()
    (target / "prompts/mini.yaml").write_text(MINI)
    workspace = Workspace(target)
    workspace.environment["PYTHONPATH"] = "src"
    workspace.git("init", "--quiet")
    workspace.commit("A small probe")
    return workspace


def plantain(workspace: Workspace, *arguments: str, check: bool = True) -> str:
    """What the command line prints there, standard error included."""
    answer = command_line.plantain(*arguments, folder=workspace.path)
    printed = answer.output + answer.errors
    assert not check or answer.code == 0, printed
    return printed
