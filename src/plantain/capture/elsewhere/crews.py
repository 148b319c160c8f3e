"""Who computes a cell: this process, the devices of this machine, or a cluster."""

import os
from typing import Final

from plantain.capture.elsewhere.cluster import Crew, crew_at
from plantain.capture.elsewhere.devices import Devices, devices_here
from plantain.model.load import resolve_device
from plantain.records.lock import ModelLock

CLUSTER: Final = "PLANTAIN_RAY"
"""The variable that holds the address of a Ray cluster."""


def crew_for(lock: ModelLock) -> Crew | Devices | None:
    """Who computes a model's passes; None for this process and its forks.

    Raises:
        InputError: there is no such cluster.
    """
    address = os.environ.get(CLUSTER, "")
    return crew_at(address) if address else devices_here(lock)


def computing_device(lock: ModelLock) -> str:
    """The device that a model's passes run on, wherever they do.

    Raises:
        InputError: the declared one is not there.
    """
    crew = crew_for(lock)
    return resolve_device(lock.device) if crew is None else crew.device(lock)
