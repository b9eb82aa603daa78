"""The plugin as it is installed, in a Python that has nothing but the standard library."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.krita

_SCRIPT = """
import sys
sys.path.insert(0, sys.argv[1])
from tapestry import docker_model
from tapestry.connection import wire
import tapestry_protocol
print(tapestry_protocol.__file__)
print(wire.ClientProtocol.__module__)
print("websockets" in sys.modules, [path for path in sys.path if "vendor" in path])
"""


def test_the_plugin_brings_what_it_needs_and_shadows_nothing(plugin: Path) -> None:
    """Other plugins find their own websockets, and no path of ours."""
    command = [sys.executable, "-I", "-S", "-c", _SCRIPT, str(plugin)]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    vendor = plugin / "tapestry" / "vendor"
    assert output.splitlines() == [
        str(vendor / "tapestry_protocol" / "__init__.py"),
        "tapestry.vendor.websockets.client",
        "False []",
    ]
