"""The libraries that travel with the plugin are found as soon as Krita imports it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from installer.paths import ROOT


def test_what_is_carried_is_there_at_once(tmp_path: Path) -> None:
    """In a Python that has nothing else, as that of Krita; what others bring is left alone."""
    plugin = tmp_path / "tapestry"
    shutil.copytree(ROOT / "krita_plugin" / "tapestry", plugin)
    carried = plugin / "vendor" / "tapestry_protocol"
    shutil.copytree(ROOT / "shared" / "tapestry_protocol", carried)
    question = (
        "import sys; sys.path.insert(0, sys.argv[1]); before = list(sys.path)\n"
        "import tapestry, tapestry_protocol; assert sys.path == before\n"
        "print(tapestry_protocol.__file__)"
    )
    ask = [sys.executable, "-I", "-S", "-c", question, str(tmp_path)]
    said = subprocess.run(ask, check=True, capture_output=True, text=True).stdout
    assert Path(said.strip()).parent == carried
