"""What `dvc repro` costs: a cold default run in a fresh clone, beside the bare forwards of its passes; a repeated one.

Run with ``python benchmarks/pipeline.py``. Processor time of every stage, of DVC itself, and of the transformer called
for the same passes without anything around it, all in one run: the machine that slows one down slows the others.
``--floor`` gives what DVC alone needs to find nothing to do in as many stages, without dependencies or parameters.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
EVERY = 3
"""Of so many passes one is run bare."""

_SHIM = """#!/bin/bash
{python} "$@"
code=$?
{{ echo "$*"; times; }} >> {log}
exit $code
"""
"""Stands for the interpreter of a stage and notes what its process, and those that it waited for, took."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bare", nargs=2, type=int, help=argparse.SUPPRESS)
    parser.add_argument("--floor", action="store_true", help="a repeated run of DVC alone")
    options = parser.parse_args()
    if options.bare:
        print(_bare_seconds(*options.bare))
    elif options.floor:
        _floor()
    else:
        _runs()


def _runs() -> None:
    with tempfile.TemporaryDirectory() as folder:
        clone, log, shims = Path(folder, "plantain"), Path(folder, "stages"), Path(folder, "bin")
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        shims.mkdir()
        (shims / "python").write_text(_SHIM.format(python=sys.executable, log=log))
        (shims / "python").chmod(0o755)
        wall, processor = repro(clone, shims)
        stages = stage_seconds(log)
        bare = bare_seconds(clone)
        own = sum(map(sum, stages.values()))
        print(f"cold run        {wall:7.1f} s by the clock, {processor:7.1f} s of processor time")
        print(f"  DVC itself    {processor - own:7.1f} s")
        for stage, values in stages.items():
            print(f"  {stage:12s}  {sum(values):7.1f} s in {len(values)} processes")
        shares = f"the stages take {own / bare:.2f} times as long, with DVC {processor / bare:.2f}"
        print(f"bare forwards   {bare:7.1f} s; {shares}")
        wall, processor = sorted(repro(clone, shims) for _ in range(3))[1]
        print(f"repeated run    {wall:7.2f} s by the clock, {processor:7.2f} s of processor time (median of 3)")


def repro(folder: Path, first: Path | None = None) -> tuple[float, float]:
    """Wall and processor seconds of one `dvc repro` in ``folder``, its stages included."""
    started, before = time.perf_counter(), _processor_seconds()
    places = [*([str(first)] if first else []), str(Path(sys.executable).parent), os.environ["PATH"]]
    environment = os.environ | {"PATH": ":".join(places)}
    subprocess.run([sys.executable, "-m", "dvc", "repro", "--quiet"], cwd=folder, env=environment, check=True)
    return time.perf_counter() - started, _processor_seconds() - before


def _processor_seconds() -> float:
    times = os.times()
    return times.children_user + times.children_system


def stage_seconds(log: Path) -> dict[str, list[float]]:
    """Processor seconds of every process of a stage, by stage."""
    lines = log.read_text().splitlines()
    found = defaultdict(list)
    for command, taken in zip(lines[::3], lines[2::3], strict=True):
        parts = re.findall(r"(\d+)m([\d.]+)s", taken)
        stage = command.split()[1].rpartition(".")[2]
        found[stage].append(sum(60 * int(minutes) + float(seconds) for minutes, seconds in parts))
    return found


def bare_seconds(clone: Path) -> float:
    """Processor seconds of the forwards of every pass, by two processes at once as in a capture."""
    environment = os.environ | {"PYTHONPATH": str(clone / "src")}
    command = [sys.executable, str(Path(__file__).resolve()), "--bare"]
    workers = [
        subprocess.Popen([*command, str(index), "2"], cwd=clone, env=environment, stdout=subprocess.PIPE, text=True)
        for index in range(2)
    ]
    return sum(float(worker.communicate()[0].splitlines()[-1]) for worker in workers)


def _bare_seconds(first: int, step: int) -> float:
    """The share of one process: a third of its passes, times three."""
    import torch

    from plantain.base import places
    from plantain.base.config import read_params
    from plantain.capture.encode import Embeddings
    from plantain.capture.forward import Target, assemble, prepare_scene
    from plantain.capture.progress import Silent
    from plantain.model.load import load_transformer
    from plantain.probe.store import read_records
    from plantain.records.keys import passes, reference_images
    from plantain.records.lock import read_lock

    torch.set_num_threads(1)
    params, taken = read_params(), 0.0
    for probe in params.run.probes:
        records = read_records(places.records(probe))
        for model in params.run.models:
            lock = read_lock(places.model_lock(model))
            scene = prepare_scene(reference_images(records, places.images(model, probe)), lock, 1.0, "cpu")
            transformer, embeddings = load_transformer(lock, "cpu"), Embeddings(lock, "cpu", Silent())
            target = Target.of(transformer, scene)
            for one in passes(records, params.capture.seeds)[first * EVERY :: step * EVERY]:
                inputs, _ = assemble((one,), [embeddings(one.prompt)], scene, target)
                before = time.process_time()
                with torch.inference_mode():
                    transformer(**inputs)
                taken += EVERY * (time.process_time() - before)
    return taken


def _floor(stages: int = 25) -> None:
    with tempfile.TemporaryDirectory() as folder:
        text = "".join(f"  s{one}:\n    cmd: echo {one} > o{one}\n    outs: [o{one}]\n" for one in range(stages))
        Path(folder, "dvc.yaml").write_text(f"stages:\n{text}")
        for command in (["git", "init", "--quiet"], [sys.executable, "-m", "dvc", "init", "--quiet"]):
            subprocess.run(command, cwd=folder, check=True)
        repro(Path(folder))
        wall, processor = sorted(repro(Path(folder)) for _ in range(5))[2]
        said = f"{wall:.2f} s by the clock, {processor:.2f} s of processor time"
        print(f"{stages} bare stages, repeated: {said} (median of 5)")


if __name__ == "__main__":
    main()
