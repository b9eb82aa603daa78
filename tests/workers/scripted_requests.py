"""Requests that a scripted worker plays."""

import json
import sys
from pathlib import Path

from tapestry_protocol.messages import (
    Request,
)

SCRIPTED = [sys.executable, str(Path(__file__).with_name("scripted_worker.py"))]


def scripted(**script: object) -> Request:
    """A request that makes the scripted worker do this."""
    return Request("generate", 4, 4, prompt=json.dumps(script))
