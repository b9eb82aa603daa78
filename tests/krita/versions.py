"""`python3 -m tests.krita.versions 5.2`: the tests with a real Krita of that version, or of all.

Each Krita comes from a Debian release, in a tree that is made once (3 to 5 minutes, 1.7 GB) in
/var/cache/tapestry-krita, or where TAPESTRY_KRITA_TREES says. Needs root and debootstrap.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time

from tests.krita import debian_trees
from tests.krita.debian_trees import CHOSEN, RELEASES, ROOT, TreeError


def main(arguments: list[str]) -> int:
    """Run one command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python3 -m tests.krita.versions",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("version", choices=[*RELEASES, "all"])
    parser.add_argument(
        "--make", action="store_true", help="only make the trees, and print their folders"
    )
    options, rest = parser.parse_known_args(arguments)
    chosen = list(RELEASES) if options.version == "all" else [options.version]
    if options.make:
        made = [_made(version) for version in chosen]
        return int(not all(made))
    ends = [_play(version, rest) for version in chosen]
    print("\n".join(line for _, line in ends))  # noqa: T201
    return int(not all(passed for passed, _ in ends))


def _made(version: str) -> bool:
    """Print where the tree is, or why there is none."""
    try:
        print(debian_trees.ensure(RELEASES[version]))  # noqa: T201
    except TreeError as error:
        print(f"No Krita {version}. {error}", file=sys.stderr)  # noqa: T201
        return False
    return True


def _play(version: str, rest: list[str]) -> tuple[bool, str]:
    """Whether all tests passed, and a line about it; one version does not keep others from it."""
    try:
        tree = debian_trees.ensure(RELEASES[version])
    except TreeError as error:
        return False, f"Krita {version}: not run. {error}"
    start = time.monotonic()
    command = [sys.executable, str(ROOT / "installer"), "test", "tests/krita", *rest]
    environment = os.environ | {CHOSEN: str(tree), "TAPESTRY_REQUIRE_KRITA": "1"}
    status = subprocess.run(command, env=environment, cwd=ROOT, check=False).returncode
    end = f"failed (status {status})" if status else "passed"
    minutes = (time.monotonic() - start) / 60
    return not status, f"Krita {debian_trees.krita_version(tree)}: {end} in {minutes:.0f} min"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
