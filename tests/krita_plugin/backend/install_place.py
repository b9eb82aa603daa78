"""A computer onto which the backend is installed."""

from __future__ import annotations

import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

from tapestry.backend.bundled import PACKAGES, BundledBackend, bundled_backend
from tapestry.backend.installer import BackendInstaller
from tests.krita_plugin.fake_loop import FakeLoop
from tests.krita_plugin.stand_in_wheels import note_as_whole

UV = """#!{python}
import os, pathlib, sys, time
with open({calls!r}, "a") as calls:
    place = sys.argv.index("--torch-backend") if "--torch-backend" in sys.argv else len(sys.argv)
    build = sys.argv[place + 1:place + 2]
    calls.write(" ".join(sys.argv[1:3] + build) + "\\n")
if sys.argv[1] == "cache":
    sys.exit()
plan = pathlib.Path({plan!r}).read_text()
environment = pathlib.Path(sys.argv[-1] if sys.argv[1] == "venv" else
    sys.argv[sys.argv.index("--python") + 1])
if sys.argv[1] == "venv":
    (environment / "bin").mkdir(parents=True, exist_ok=True)
    (environment / "bin" / "python").unlink(missing_ok=True)
    (environment / "bin" / "python").symlink_to(sys.executable)
    (environment / "pyvenv.cfg").write_text("version_info = 3.14.10\\n")
elif "--dry-run" not in sys.argv:
    print("Resolved 2 packages in 3ms")
    print("Downloading torch (100.0MiB)\\nDownloading numpy (300.0MiB)")
    print(" Downloaded torch", flush=True)
    exec(plan)
    program = environment / "bin" / "tapestry"
    program.write_text("#!/bin/sh\\nexit 0\\n")
    program.chmod(0o700)
    name = pathlib.Path(sys.argv[-1]).name.split("-py3")[0]
    info = environment / "lib" / "python3" / "site-packages" / (name + ".dist-info")
    info.mkdir(parents=True, exist_ok=True)
    (info / "RECORD").touch()
"""


class Place:
    """A plugin that carries a backend, and a user's folder."""

    def __init__(self, folder: Path) -> None:
        self.carried = folder / "plugin" / "backend"
        self.carried.mkdir(parents=True)
        self.write_wheel("0.1.0", "first")
        (self.carried / PACKAGES).write_text("numpy==2.4.6 --hash=sha256:0\n")
        self.data = folder / "data"
        self.calls, self.plan = folder / "calls", folder / "plan"
        self.loop, self.shown = FakeLoop(), []
        self.plan.write_text("")
        self.write_uv(self.own)

    def write_wheel(self, version: str, text: str) -> None:
        for old in self.carried.glob("*.whl"):
            old.unlink()
        name = f"tapestry-{version}-py3-none-any.whl"
        with zipfile.ZipFile(self.carried / name, "w") as wheel:
            wheel.writestr("tapestry_backend/__init__.py", text)

    def write_uv(self, own: BundledBackend) -> None:
        own.uv.parent.mkdir(parents=True, exist_ok=True)
        places = {"calls": self.calls, "plan": self.plan}
        texts = {name: str(path) for name, path in places.items()}
        own.uv.write_text(UV.format(python=sys.executable, **texts))
        own.uv.chmod(0o700)
        note_as_whole(own.uv)

    @property
    def own(self) -> BundledBackend:
        found = bundled_backend(self.data, self.carried)
        assert found is not None
        return found

    def installer(self, **options: object) -> BackendInstaller:
        def changed() -> None:
            self.shown.append((made.doing, round(made.share, 2)))

        fetch, environment = options.get("fetch"), options.get("environment", {})
        made = BackendInstaller(self.own, self.loop, fetch, changed, environment)
        return made

    def wait(self, condition: Callable[[], bool]) -> None:
        """Until it holds."""
        end = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < end, self.shown[-3:]
            self.loop.run(0.2)
            time.sleep(0.005)

    def lay_down(self, own: BundledBackend) -> None:
        """A whole one, as another Krita would have installed it."""
        own.begin()
        own.next_program.parent.mkdir(parents=True)
        own.next_program.touch()
        own.next_program.with_name("python").touch()
        info = own.environment / "lib" / "python3" / "site-packages" / "tapestry-0.1.0.dist-info"
        info.mkdir(parents=True)
        (info / "RECORD").touch()
        own.finish()

    def install(self) -> BackendInstaller:
        """To its end."""
        made = self.installer()
        made.start()
        self.run(made)
        assert made.trouble is None
        return made

    def run(self, installer: BackendInstaller) -> None:
        """Until it has ended."""
        self.wait(lambda: not installer.is_running)
