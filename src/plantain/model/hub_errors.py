"""What the Hub, the network or the disk refuses while models are fetched, as one sentence with its fix.

No sentence quotes an address that the Hub led to, since those are signed, nor what a library says of a request.
"""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import httpx2
from huggingface_hub import constants
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from plantain.base.errors import InputError, PlantainError
from plantain.model.hub import Hub, misnamed

ROOM: Final = "free some space, or point HF_HOME at a larger disk; a further fetch goes on from here."
"""What helps where the disk is full."""

_NETWORK: Final = "connect this machine to the network, then run the command again; it goes on where it stopped."


@contextmanager
def hub_sentences(source: Hub) -> Iterator[None]:
    """Whatever goes wrong inside, as one sentence; never with a token or a signed address.

    Raises:
        InputError: anything but an error for people was raised inside.
    """
    try:
        yield
    except PlantainError:
        raise
    except HFValidationError:
        raise misnamed(source) from None
    except (httpx2.HTTPError, OSError, EntryNotFoundError) as error:
        # The client puts what happened behind "no such file in the cache".
        cause = error.__cause__ if isinstance(error, LocalEntryNotFoundError) else None
        raise _sentence(source, cause or error) from None
    except (ValueError, KeyError, TypeError, AssertionError) as error:
        fix = "look at HF_ENDPOINT, and at what stands between this machine and the network (a proxy, a login page)."
        what = f"{constants.ENDPOINT} does not answer as a hub does ({type(error).__name__})."
        raise InputError(what, fix=fix) from None


def _sentence(source: Hub, error: BaseException) -> InputError:
    if isinstance(error, OfflineModeIsEnabled):
        what = f"{source.repo} could not be fetched: HF_HUB_OFFLINE is set, so nothing is asked of the network."
        return InputError(what, fix=f"unset HF_HUB_OFFLINE, and {_NETWORK}")
    if isinstance(error, HfHubHTTPError):
        what, fix = _refused(source, error)
        return InputError(what, fix=fix)
    if isinstance(error, httpx2.HTTPError):
        reason = str(error).strip().splitlines()[0].rstrip(".") if str(error).strip() else type(error).__name__
        return InputError(f"{source.repo} could not be fetched from {constants.ENDPOINT}: {reason}.", fix=_NETWORK)
    return _disk_sentence(source, error)


def _disk_sentence(source: Hub, error: BaseException) -> InputError:
    number = error.errno if isinstance(error, OSError) else None
    if number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        what = f"{source.repo} could not be stored in {constants.HF_HUB_CACHE}: {os.strerror(number).lower()}."
        return InputError(what, fix=ROOM)
    if number is not None:
        what = f"{source.repo} could not be stored in {constants.HF_HUB_CACHE}: {os.strerror(number).lower()}."
        return InputError(what, fix="make that folder one that you may write, or point HF_HOME at another.")
    # The client's check of sizes: the server ended a file early, each time.
    what = f"{source.repo} could not be fetched: {constants.ENDPOINT} ends a file before its end."
    return InputError(what, fix="run the command again; where that does not help, look at the network in between.")


def _refused(source: Hub, error: HfHubHTTPError) -> tuple[str, str]:
    """What the Hub refused, and what helps."""
    repo, status, page = source.repo, error.response.status_code, f"{constants.ENDPOINT}/{source.repo}"
    if isinstance(error, GatedRepoError):
        return _gated(repo, status, page)
    if isinstance(error, RevisionNotFoundError):
        fix = f"correct `revision` of {source.model} in params.yaml: a branch, a tag or a commit of {page}."
        return f"{repo} has no revision '{source.revision}' (404).", fix
    nobody = status == 401 and "authorization" not in error.response.request.headers
    if isinstance(error, RepositoryNotFoundError) or nobody:
        fix = f"correct `repo` of {source.model} in params.yaml; for a private one, run `hf auth login`."
        return f"there is no repository {repo} at {constants.ENDPOINT} that you may see ({status}).", fix
    if status in (401, 403):
        fix = "run `hf auth login` with an account that may read it, or correct HF_TOKEN."
        return f"{constants.ENDPOINT} does not let your token read {repo} ({status}).", fix
    fix = "run the command again later; it goes on where it stopped."
    return f"{constants.ENDPOINT} answered {status} when asked for {repo}.", fix


def _gated(repo: str, status: int, page: str) -> tuple[str, str]:
    if status == 401:
        fix = f"accept the terms on {page}, run `hf auth login`, and run the command again."
        return f"{repo} is gated: it asks for an account that has accepted its terms (401).", fix
    fix = f"accept the terms or ask for access on {page} with that account, and run the command again."
    return f"{repo} is gated, and the account of your token is not among those with access (403).", fix


def content_differs(source: Hub, name: str) -> InputError:
    """The sentence for a file that is not what the Hub lists."""
    what = f"{name} of {source.repo} arrived with another content than the hub lists, by its digest, and was removed."
    return InputError(what, fix="run the command again; where that does not help, look at the network in between.")


def no_pipeline(source: Hub, commit: str) -> InputError:
    """The sentence for a repository in another form than that of diffusers."""
    fix = f"correct `repo` or `revision` of {source.model}: plantain reads repositories in the form of diffusers."
    return InputError(f"{source.repo} has no model_index.json at {commit}, so it is no pipeline.", fix=fix)
