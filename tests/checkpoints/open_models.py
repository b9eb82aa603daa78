"""Opens the model folders named on stdin as the backend does before it loads one; tests nothing.

For each: the error's code, seconds, and how far memory rose. Prints JSON.
"""

import json
import sys
import time

from tapestry_backend.checkpoints.catalogue import Catalogue
from tapestry_backend.checkpoints.folder_checks import check_folder
from tapestry_protocol.errors import TapestryError
from tests.peak import peak_growth_bytes


def open_one(folder: str) -> dict:
    """What comes of opening a folder."""
    outcome = {"code": "", "advice": ""}

    def act() -> None:
        try:
            check_folder(Catalogue([folder]).find(folder).path)
        except TapestryError as error:
            outcome.update(code=error.code.value, advice=error.advice)

    begun = time.perf_counter()
    growth = peak_growth_bytes(act)
    return {**outcome, "seconds": time.perf_counter() - begun, "growth_bytes": growth}


outcomes = {folder: open_one(folder) for folder in json.load(sys.stdin)}
json.dump({"outcomes": outcomes, "torch": "torch" in sys.modules}, sys.stdout)
