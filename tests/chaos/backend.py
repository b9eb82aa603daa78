"""What the plugin of these tests starts as its `tapestry`: the real server, the scripted worker."""

import argparse
import sys
from pathlib import Path

from tapestry_backend.cli.serve import add_serve_arguments, serve_command

SCRIPTED_WORKER = Path(__file__).parent.parent / "workers" / "scripted_worker.py"

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("command", choices=["serve"])
    add_serve_arguments(parser)
    sys.exit(serve_command(parser.parse_args(), [sys.executable, str(SCRIPTED_WORKER)]))
