"""A run where another user owns what it would write: refused before DVC is started."""

import json
import os
import shutil
import tempfile
from pathlib import Path

import pytest
from helpers.workspace import ROOT, forget_outer_checkout

AS_NOBODY = """
import json, os
from pathlib import Path
from helpers.command_line import plantain
from plantain.commands import run

def dvc(*arguments):
    print("DVC is started")
    return 0

def ask(arguments):
    reads, writes = os.pipe()
    if not os.fork():
        os.setgroups([]); os.setgid(65534); os.setuid(65534)
        os.write(writes, json.dumps(plantain("run", *arguments)).encode())
        os._exit(0)
    os.close(writes)
    os.wait()
    return json.loads(os.fdopen(reads).read())

run._dvc = dvc
answers = {"as root": plantain("run")}
for path in (Path(), *Path().rglob("*")):
    path.chmod(0o777 if path.is_dir() else 0o666)
for name, arguments in json.loads(os.environ["CASES"]):
    mode = Path(name).stat().st_mode
    Path(name).chmod(mode & 0o755)
    answers[" ".join([name, *arguments])] = ask(arguments)
    Path(name).chmod(mode)
print(json.dumps(answers))
"""

REFUSED = (
    "reports",
    "reports/tiny/otherview",
    "reports/tiny/otherview/figures",
    "data/activations/tiny-untrained",
    "receipts/analyze/tiny",
    ".dvc/tmp",
    ".dvc/cache",
    "dvc.lock",
    "pipelines/dense/dvc.lock",
    "mlflow",
    ".plantain/executions.jsonl",
)
TAKEN = (
    ("prompts", []),
    ("reports/published", []),
    ("reports/tiny-untrained", ["--model", "tiny"]),
    ("reports/tiny/dense", ["otherview"]),
)


@pytest.fixture
def checkout(monkeypatch):
    """Not below pytest's folder, which every session of pytest closes to others as it begins."""
    forget_outer_checkout(monkeypatch)
    with tempfile.TemporaryDirectory(prefix="workspace-") as name:
        monkeypatch.chdir(name)
        yield Path(name)
        monkeypatch.chdir("/")


@pytest.fixture
def workspace(checkout):
    for name in ("params.yaml", "environment.yaml", "dvc.yaml", "dvc.lock"):
        shutil.copy2(ROOT / name, checkout / name)
    for name in ("prompts", "pipelines", "reports/published"):
        shutil.copytree(ROOT / name, checkout / name)
    for model in ("tiny", "tiny-untrained"):
        for probe in ("otherview", "dense"):
            (checkout / "reports" / model / probe / "figures").mkdir(parents=True)
        (checkout / "data/activations" / model).mkdir(parents=True)
        (checkout / "receipts/analyze" / model).mkdir(parents=True)
    for name in (".dvc/tmp", ".dvc/cache", "models", "mlflow", ".plantain"):
        (checkout / name).mkdir(parents=True)
    (checkout / ".plantain/executions.jsonl").touch()
    return checkout


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")
def test_what_this_user_may_not_write_is_named_before_dvc_is_started(workspace, python):
    cases = json.dumps([*((name, []) for name in REFUSED), *TAKEN])
    printed = python(AS_NOBODY, workspace, CASES=cases).communicate(timeout=240)[0]
    assert "Traceback" not in printed, printed
    answers = json.loads(printed.splitlines()[-1])
    for name in REFUSED:
        code, output, errors = answers[name]
        assert (code, output) == (2, ""), name
        assert f"{name}: a run writes there, and this user may not. Fix: make it writable" in errors
        assert errors.count("\n") == 1
    for case in ["as root", *(" ".join([name, *arguments]) for name, arguments in TAKEN)]:
        code, output, _ = answers[case]
        assert (code, "DVC is started" in output) == (0, True), case
