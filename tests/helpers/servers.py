"""Servers on loopback that tests start and stop."""

import socket
import subprocess
import time
import urllib.request


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(address: str, process: subprocess.Popen, seconds: float = 240) -> None:
    """Return when ``address`` answers; fail where the process ends before or the time is over."""
    deadline = time.monotonic() + seconds
    while not _answers(address):
        assert process.poll() is None, "the server ended"
        assert time.monotonic() < deadline, f"the server did not answer within {seconds:g} s"
        time.sleep(0.2)


def _answers(address: str) -> bool:
    try:
        return urllib.request.urlopen(address, timeout=2).status == 200
    except OSError:
        return False
