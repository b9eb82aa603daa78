"""The widgets under the other Qt: Krita 5 brings PyQt5, Krita 6 brings PyQt6."""

import os
import subprocess
import sys
from pathlib import Path

WIDGETS = Path(__file__).with_name("widgets")


def test_the_widgets_work_under_qt_5_as_well() -> None:
    """In a process of its own: a program has one Qt; `widgets` itself runs under Qt 6."""
    finished = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(WIDGETS)],
        env={**os.environ, "TAPESTRY_TEST_QT": "PyQt5"},
        cwd=WIDGETS.parents[3],
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stdout[-4000:] + finished.stderr[-1000:]
