"""One server for each runtime file."""

import subprocess
import sys
from pathlib import Path

from tapestry_backend.server.persistence.lock import Lock


def test_only_one_holds_it(tmp_path: Path) -> None:
    """A second one gets it when the first lets go."""
    first, second = Lock(tmp_path / "a" / "lock"), Lock(tmp_path / "a" / "lock")
    assert first.acquire()
    assert not second.acquire()
    first.release()
    assert second.acquire()
    second.release()


def test_a_killed_holder_lets_go(tmp_path: Path) -> None:
    """No stale lock stays behind a process that was killed."""
    path = tmp_path / "lock"
    code = (
        "import sys, time; from pathlib import Path; "
        "from tapestry_backend.server.persistence.lock import Lock; "
        "lock = Lock(Path(sys.argv[1])); "
        "print(lock.acquire(), flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", code, path], stdout=subprocess.PIPE) as holder:
        assert holder.stdout.readline() == b"True\n"
        lock = Lock(path)
        assert not lock.acquire()
        holder.kill()
        holder.wait()
    assert lock.acquire()
    lock.release()
