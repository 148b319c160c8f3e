"""How many threads this process may use: one rule for torch, for workers and for statistics."""

import os

from plantain.base.errors import InputError


def threads_available() -> int:
    """``PLANTAIN_THREADS``, else ``OMP_NUM_THREADS``, else every core that this process may use.

    ``OMP_NUM_THREADS`` may be a list such as ``4,2``, one number a level of nesting, whose first number counts.
    Two processes that each take every core slow one another down many times over; whoever starts several sets
    ``PLANTAIN_THREADS`` to cores / workers.

    Raises:
        InputError: a variable that is no positive number.
    """
    name = next((name for name in ("PLANTAIN_THREADS", "OMP_NUM_THREADS") if os.environ.get(name)), None)
    if name is None:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    declared = os.environ[name]
    first = declared.split(",")[0].strip() if name == "OMP_NUM_THREADS" else declared
    if not (first.isascii() and first.isdigit()) or int(first) < 1:
        raise InputError(f"{declared!r} is not a number of threads.", field=name, fix="use 1 or more, or unset it.")
    return int(first)
