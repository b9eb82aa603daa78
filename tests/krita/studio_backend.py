"""What the plugin starts as its `tapestry` where it is to have a cluster: the real server.

The options about the cluster come first, then what the plugin says.
"""

import argparse
import sys

from tapestry_backend.cli.serve import add_serve_arguments, serve_command

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    add_serve_arguments(parser)
    parser.add_argument("command", choices=["serve"])
    sys.exit(serve_command(parser.parse_args()))
