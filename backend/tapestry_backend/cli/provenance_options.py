"""The options that have a command write what made a picture into its files."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_provenance(parser: argparse.ArgumentParser) -> None:
    """Off unless it is asked for."""
    group = parser.add_argument_group("what made a picture, in its file (docs/provenance.md)")
    group.add_argument(
        "--provenance",
        action="store_true",
        help="write into each .png and .ora: the model, the prompts, what was generated",
    )
    group.add_argument(
        "--certificate",
        metavar="CHAIN.pem",
        type=Path,
        help="with --provenance: sign it with this certificate of yours (needs c2pa-python)",
    )
    group.add_argument(
        "--private-key", metavar="KEY.pem", type=Path, help="the key of --certificate"
    )
