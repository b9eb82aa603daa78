"""A worker whose server does not answer any more."""

import subprocess
import sys

_SCRIPT = """
import sys, time
from tapestry_backend.workers import heartbeat
heartbeat.BEAT_S, heartbeat.SILENT_BEATS = 0.02, 10
heart = heartbeat.ServerHeartbeat(lambda: print("beat", flush=True))
for _ in range(int(sys.argv[1])):
    heart.answered()
    time.sleep(0.02)
time.sleep(600)
"""


def beats(answers: int) -> int:
    """How often the heart beats when so many answers come."""
    command = [sys.executable, "-c", _SCRIPT, str(answers)]
    finished = subprocess.run(command, capture_output=True, text=True, check=True)
    return finished.stdout.count("beat")


def test_a_worker_without_a_server_ends() -> None:
    """After so many beats without an answer, and not before."""
    assert beats(0) == 10
    assert beats(40) > 20
