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
from plantain.base import places
from plantain.base.config import read_params
from plantain.base.environment import declared_versions, installed_version, write_declared
from plantain.base.errors import CheckFailed, InputError, PlantainError
from plantain.base.params import Params, Source
from plantain.base.secrets import redacted
from plantain.records import journal
from plantain.stages.rooms import section_version
from plantain.track import lockcopy
from plantain.track.mlflow.faults import StoreError
from plantain.track.owned import damages, torn_journal


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
    findings = [_tried(name, check, fix) for name, check in CHECKS.items()]
    if as_json:
        print(json.dumps([finding.__dict__ for finding in findings], indent=2))
    else:
        for finding in findings:
            print(f"{'ok   ' if finding.ok else 'wrong'}  {finding.check}: {finding.found}")
            if not finding.ok:
                print(f"       fix: {finding.fix}")
    if not all(finding.ok for finding in findings):
        raise typer.Exit(CheckFailed.exit_code)


def _tried(name: str, check: Callable[[bool], Diagnosis], fix: bool) -> Diagnosis:
    """What ``check`` finds; a check that fails is itself a finding, and keeps none of the others from being made."""
    try:
        found = check(fix)
    except InputError as error:
        where = InputError(error.problem, file=error.file, line=error.line, field=error.field)
        found = Diagnosis(name, False, str(where), error.fix)
    except StoreError as error:
        found = Diagnosis(name, False, error.problem, error.fix or "see that it answers; nothing is lost meanwhile.")
    except Exception as error:
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        found = Diagnosis(name, False, f"it could not be checked ({reason})", "mend that first, then ask again.")
    return Diagnosis(found.check, found.ok, redacted(found.found), found.fix)


def _files(fix: bool) -> Diagnosis:
    """Only locks are put back here: what git and DVC hold, `git checkout` and `dvc checkout` bring back."""
    restored = lockcopy.restore(Path()) if fix else []
    found = [damage.error for damage in damages(Path())]
    if found:
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        where = InputError(found[0].problem, file=found[0].file, line=found[0].line, field=found[0].field)
        return Diagnosis("files", False, f"{where}{more}", found[0].fix)
    return Diagnosis("files", True, f"put back: {', '.join(restored)}" if restored else "none is damaged")


def _journal(fix: bool) -> Diagnosis:
    if fix:
        journal.drop_torn_lines()
    torn = torn_journal()
    return Diagnosis("journal", torn is None, torn or "every line can be read", "`plantain doctor --fix` drops them.")


def _versions(fix: bool) -> Diagnosis:
    pinned = places.CONSTRAINTS.exists()
    if fix:
        _declare(pinned)
    wrong = [
        f"{name} {found} is installed and {wanted} declared"
        for section, declared in declared_versions().items()
        for name, wanted in declared.items()
        if (found := installed_version(name, section, section_version)) != wanted
    ]
    remedy = (
        "`make install` installs what is declared; `plantain doctor --fix` declares what constraints.txt pins."
        if pinned
        else "`plantain doctor --fix` declares what is installed; the next run makes anew what that changes, no more."
    )
    found = "; ".join(sorted(set(wrong))) or f"as {places.ENVIRONMENT} declares"
    return Diagnosis("versions", not wrong, found, remedy)


def _declare(pinned: bool) -> None:
    """Declare what a checkout pins; elsewhere what is installed."""
    if pinned:
        write_declared(places.CONSTRAINTS)
    else:
        from plantain.stages.workspace.upgrade import declare_installed

        declare_installed()


def _store(fix: bool) -> Diagnosis:
    from plantain.track.mlflow.store import locate, schema_state, upgrade_schema

    tracking = read_params().tracking
    place = locate(tracking)
    if fix:
        upgrade_schema(place, tracking.timeout)
    state = schema_state(place, tracking.timeout)
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
        lines = answer.stderr.strip().splitlines() or ["`dvc data status` failed"]
        # Below an error that it did not expect DVC prints where to ask for help.
        said = next((line for line in lines if line.startswith("ERROR: ")), lines[-1]).removeprefix("ERROR: ")
        return Diagnosis("cache", False, said, "`dvc data status` says more; it needs a DVC repository.")
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
    from plantain.model.local import folder as local_folder
    from plantain.model.materialise import find_hub

    entry = params.models[name]
    base = params.models[str(entry.of)] if entry.of else entry
    try:
        if base.source is Source.hub:
            find_hub(Hub(entry.of or name, str(base.repo), str(base.revision)), entry.method)
        elif base.source is Source.local:
            local_folder(str(base.path))
    except PlantainError as error:
        return str(error)
    return ""


CHECKS: dict[str, Callable[[bool], Diagnosis]] = {
    "files": _files,
    "journal": _journal,
    "versions": _versions,
    "MLflow store": _store,
    "stale runs": _stale_runs,
    "cache": _cache,
    "git": _tree,
    "weights": _weights,
}
