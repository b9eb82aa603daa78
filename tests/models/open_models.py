"""Opens the model folders named on stdin as the backend does before it loads one; tests nothing.

For each: the error's code, seconds, and how far memory rose. Prints JSON.
"""

import json
import sys
import time
from pathlib import Path

from tapestry_backend.models.catalogue import Catalogue
from tapestry_backend.models.folder import check_folder
from tapestry_protocol.errors import TapestryError


def memory_bytes(name: str) -> int:
    """A line of /proc/self/status."""
    (line,) = (
        line
        for line in Path("/proc/self/status").read_text().splitlines()
        if line.startswith(f"{name}:")
    )
    return int(line.split()[1]) * 1024


def open_one(folder: str) -> dict:
    """What comes of opening a folder."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before, begun = memory_bytes("VmRSS"), time.perf_counter()
    code = advice = ""
    try:
        check_folder(Catalogue([folder]).find(folder).path)
    except TapestryError as error:
        code, advice = error.code.value, error.advice
    return {
        "code": code,
        "advice": advice,
        "seconds": time.perf_counter() - begun,
        "growth_bytes": memory_bytes("VmHWM") - before,
    }


outcomes = {folder: open_one(folder) for folder in json.load(sys.stdin)}
json.dump({"outcomes": outcomes, "torch": "torch" in sys.modules}, sys.stdout)
