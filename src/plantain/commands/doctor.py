"""``plantain doctor``: what is wrong with this checkout, and the fix of each; ``plantain version``."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from plantain import __version__
from plantain.base.config import read_params
from plantain.base.environment import ENVIRONMENT, declared_versions, public_version, write_declared
from plantain.base.errors import CheckFailed, PlantainError
from plantain.base.params import Method, Params, Source


def version() -> None:
    """Print the version."""
    print(__version__)


@dataclass(frozen=True)
class Diagnosis:
    """One check: what was looked at, what was found, and the fix where something is wrong."""

    check: str
    ok: bool
    found: str
    fix: str = ""


def doctor(
    fix: Annotated[bool, typer.Option("--fix", help="Mend what can be mended without asking.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Check versions, the store, stale runs, the cache, the tree and the weights; exit 1 if something is wrong."""
    findings = [check(fix) for check in CHECKS]
    if as_json:
        print(json.dumps([finding.__dict__ for finding in findings], indent=2))
    else:
        for finding in findings:
            print(f"{'ok   ' if finding.ok else 'wrong'}  {finding.check}: {finding.found}")
            if not finding.ok:
                print(f"       fix: {finding.fix}")
    if not all(finding.ok for finding in findings):
        raise typer.Exit(CheckFailed.exit_code)


def _versions(fix: bool) -> Diagnosis:
    if fix:
        write_declared(Path("constraints.txt"))
    wrong = [
        f"{name} {public_version(name)} is installed and {wanted} declared"
        for section in declared_versions().values()
        for name, wanted in section.items()
        if public_version(name) != wanted
    ]
    remedy = "`make install` installs what is declared; `plantain doctor --fix` declares what constraints.txt pins."
    return Diagnosis("versions", not wrong, "; ".join(sorted(set(wrong))) or f"as {ENVIRONMENT} declares", remedy)


def _store(fix: bool) -> Diagnosis:
    from plantain.track.mlflow.store import schema_state, upgrade_schema

    if fix:
        upgrade_schema(Path())
    state = schema_state(Path())
    return Diagnosis("MLflow store", state != "outdated", state, "`plantain doctor --fix` upgrades the schema.")


def _stale_runs(fix: bool) -> Diagnosis:
    from plantain.track.mlflow.sink import close_stale, stale_runs

    closed = close_stale(Path(), read_params().tracking) if fix else 0
    stale = stale_runs(Path(), read_params().tracking)
    found = f"{len(stale)} left RUNNING by a process that is gone" if stale else f"none ({closed} closed)"
    return Diagnosis("stale runs", not stale, found, "`plantain doctor --fix` closes them as KILLED.")


def _cache(fix: bool) -> Diagnosis:
    """Fixing is left to the person: a pull needs a remote and may be large."""
    command = [sys.executable, "-m", "dvc", "data", "status", "--json"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    if answer.returncode:
        return Diagnosis("cache", False, answer.stderr.strip().splitlines()[-1], "run inside the DVC repository.")
    missing = json.loads(answer.stdout or "{}").get("not_in_cache", [])
    found = f"{len(missing)} outs are not in the cache, first {missing[0]}" if missing else "complete"
    return Diagnosis("cache", not missing, found, "`dvc pull` where a remote holds them, else `dvc repro`.")


def _tree(fix: bool) -> Diagnosis:
    """A dirty tree is not mended here: only its owner knows what the changes are for."""
    from plantain.base.git import git_state

    state = git_state(Path())
    if state.commit is None:
        return Diagnosis("git", False, "not a git repository", "`git init` and commit, so that numbers have a commit.")
    found = f"changes over {state.commit[:10]} in what is run" if state.dirty else f"clean at {state.commit[:10]}"
    return Diagnosis("git", not state.dirty, found, "commit before a run whose numbers you will report.")


def _weights(fix: bool) -> Diagnosis:
    """Fetching is left to the person: weights are large."""
    params = read_params()
    missing = [error for name in params.run.models if (error := _weights_error(params, name))]
    return Diagnosis("weights", not missing, "; ".join(missing) or "present", "`plantain model fetch NAME`.")


def _weights_error(params: Params, name: str) -> str:
    from plantain.model.hub import Hub
    from plantain.model.hub import folder as hub_folder
    from plantain.model.local import folder as local_folder

    entry = params.models[name]
    base = params.models[str(entry.of)] if entry.of else entry
    skip = "transformer" if entry.method is Method.reinit else ""
    try:
        if base.source is Source.hub:
            hub_folder(Hub(entry.of or name, str(base.repo), str(base.revision)), skip_weights=skip)
        elif base.source is Source.local:
            local_folder(str(base.path))
    except PlantainError as error:
        return str(error)
    return ""


CHECKS: tuple[Callable[[bool], Diagnosis], ...] = (_versions, _store, _stale_runs, _cache, _tree, _weights)
