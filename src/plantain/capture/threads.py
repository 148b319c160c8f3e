"""How many threads a capture may use."""

import os

from plantain.errors import InputError


def threads() -> int:
    """``PLANTAIN_THREADS``, else ``OMP_NUM_THREADS``, else every core that this process may use.

    Two processes that each take every core slow one another down many times over; whoever starts several sets
    ``PLANTAIN_THREADS`` to cores / workers.

    Raises:
        InputError: a variable that is no positive number.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    declared = os.environ.get("PLANTAIN_THREADS") or os.environ.get("OMP_NUM_THREADS") or str(cores)
    if not declared.isdigit() or int(declared) < 1:
        raise InputError(f"{declared!r} is not a number of threads.", field="PLANTAIN_THREADS", fix="use 1 or more.")
    return int(declared)
