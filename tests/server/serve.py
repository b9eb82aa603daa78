"""Starts `tapestry serve` as a program; with --scripted, its worker is the one without torch."""

import argparse
import sys
from pathlib import Path

from tapestry_backend.server.command import add_serve_arguments, serve_command

SCRIPTED_WORKER = Path(__file__).parent.parent / "workers" / "scripted_worker.py"

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    add_serve_arguments(parser)
    parser.add_argument("--scripted", nargs="*")
    arguments = parser.parse_args()
    scripted = arguments.scripted
    worker = None if scripted is None else [sys.executable, str(SCRIPTED_WORKER), *scripted]
    sys.exit(serve_command(arguments, worker))
