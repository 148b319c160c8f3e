"""Put on the path as ``sitecustomize``: kills the group of processes at the n-th change of a file, in any of them.

Moments of the clock seldom fall between the two halves of a write; changes of files are where something can be lost.
"""

import os
import signal
import sys

CHANGES = ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.truncate")
WRITING = os.O_WRONLY | os.O_RDWR


def install(counter: str, at: int, soon: float) -> None:
    """Count changes in the file ``counter``, a byte each; at the one numbered ``at`` everything ends.

    Args:
        counter: Shared by all processes of the group.
        at: Which change is the last; 0 for none.
        soon: Seconds after the change began, 0 for before it.
    """
    descriptor = os.open(counter, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def kill(*_: object) -> None:
        # Only ever a group of its own: the campaign starts each command as the leader of a new session.
        if os.getpgrp() == os.getsid(0):
            os.killpg(os.getpgrp(), signal.SIGKILL)

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if event not in CHANGES and not (event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITING):
            return
        if not _is_ours(arguments[0]):
            return
        os.write(descriptor, b".")
        if os.fstat(descriptor).st_size != at:
            return
        try:
            signal.signal(signal.SIGALRM, kill)
        except ValueError:  # not the main thread
            kill()
        if soon:
            signal.setitimer(signal.ITIMER_REAL, soon)
        else:
            kill()

    sys.addaudithook(hook)


def _is_ours(path: object) -> bool:
    """Whether a path lies in the workspace, where every process of it works; compiled Python does not count."""
    try:
        name = os.fsdecode(path)  # type: ignore[arg-type]
    except TypeError:  # an open file
        return False
    inside = not name.startswith("/") or name.startswith(os.environ["STRIKE_ROOT"])
    return inside and "__pycache__" not in name


if "STRIKE_COUNTER" in os.environ:
    install(os.environ["STRIKE_COUNTER"], int(os.environ["STRIKE_AT"]), float(os.environ["STRIKE_SOON"]))
