"""Looking at processes: their children, their memory, their end."""

import json
import time
from pathlib import Path

import psutil

from tapestry_protocol.messages import Request


def scripted(seed: int = 0, side: int = 16, **script: object) -> Request:
    """A request for the scripted worker; its picture has the seed as its colour."""
    return Request("generate", side, side, prompt=json.dumps(script), seed=seed)


def picture_of(request: Request) -> bytes:
    """The picture that the scripted worker paints."""
    return bytes([request.seed % 256]) * (4 * request.height * request.width)


def workers_of(server_pid: int) -> list[int]:
    """The workers of a server; waits for one to be there."""
    while True:
        children = psutil.Process(server_pid).children()
        if children:
            return [child.pid for child in children]
        time.sleep(0.01)


def worker_of(server_pid: int) -> int:
    """The one worker of a server."""
    (pid,) = workers_of(server_pid)
    return pid


def is_gone(pid: int) -> bool:
    """No such process, or one that only waits to be buried."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return True
    return status.rpartition(")")[2].split()[0] == "Z"


def until_gone(pid: int) -> float:
    """Wait for the end of a process; gives the seconds it took."""
    began = time.monotonic()
    while not is_gone(pid):
        time.sleep(0.005)
        assert time.monotonic() < began + 60, f"{pid} is still there"
    return time.monotonic() - began


def memory_mib(pid: int) -> float:
    """The resident memory of a process."""
    return psutil.Process(pid).memory_info().rss / 2**20
