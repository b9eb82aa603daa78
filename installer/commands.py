"""The installer's own command line."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
from pathlib import Path

from installer import doctor, environment, in_krita
from installer.console import InstallerError, fail, say, write_anything
from installer.demo import render_scenes
from installer.krita import krita_folders
from installer.paths import ROOT, TAPESTRY, VENV, VENV_PYTHON
from installer.pins import write_pins
from installer.plugin import build_plugin_zip
from installer.release import build_release_zip, release_name


def main(arguments: list[str]) -> int:
    """Run one command; returns the exit status."""
    write_anything()
    options, rest = _parser().parse_known_args(arguments)
    if rest and options.command != "test":
        _parser().error(f"unrecognized arguments: {' '.join(rest)}")
    try:
        return _COMMANDS[options.command](options, rest)
    except InstallerError as error:
        return fail(error)
    except OSError as error:
        what = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        advice = "Check that there is space on the disk (3 GB) and that the folder may be written."
        return fail(InstallerError(f"A file could not be read or written. {what}", advice))
    except KeyboardInterrupt:
        return fail(InstallerError("Stopped. Run the same command again to go on."))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python3 installer", description=_DESCRIPTION)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("demo", help="set everything up and render the bundled scenes")
    test = commands.add_parser("test", help="run the suite; further arguments go to pytest")
    test.add_argument(
        "--tier", choices=_TIERS, help="only a part of it; unit takes seconds (CONTRIBUTING.md)"
    )
    test.add_argument("--coverage", action="store_true", help="say which lines were not run")
    plugin = commands.add_parser("plugin", help="put the plugin into this user's Krita")
    plugin.add_argument(
        "--zip",
        metavar="FILE",
        type=Path,
        help='only make the archive for Krita\'s "Import Python Plugin from File"',
    )
    release = commands.add_parser("release", help="make one archive with plugin and backend")
    release.add_argument(
        "file",
        nargs="?",
        type=Path,
        help="its place; default: tapestry-VERSION.zip",
    )
    commands.add_parser("pins", help="ask the package index for the hashes of all packages anew")
    uninstall = commands.add_parser("uninstall", help="take everything back")
    uninstall.add_argument(
        "--keep-environment", action="store_true", help="leave .venv and take back the plugin only"
    )
    commands.add_parser("doctor", help="say what is installed, what is missing, what to do")
    return parser


def _demo(_options: argparse.Namespace, _rest: list[str]) -> int:
    environment.ensure()
    render_scenes()
    return 0


def _test(options: argparse.Namespace, rest: list[str]) -> int:
    environment.ensure(tests=True)
    chosen = ["-m", options.tier] if options.tier else []
    if options.coverage:
        chosen += ["--cov", "--cov-report=term-missing:skip-covered"]
    processes = ["-n", str(_TEST_PROCESSES), "--no-loadscope-reorder"]
    command = [str(VENV_PYTHON), "-m", "pytest", *processes, *chosen, *rest]
    return subprocess.run(command, cwd=ROOT, env=_test_environment(), check=False).returncode


def _test_environment() -> dict[str, str]:
    """Each process of the suite takes its part of the cores, and leaves them when it has to wait.

    Left to themselves, all would take all of them, and stand in each other's way.
    """
    threads = max(1, (os.cpu_count() or 1) // _TEST_PROCESSES)
    return {"OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "PASSIVE", **os.environ}


def _plugin(options: argparse.Namespace, _rest: list[str]) -> int:
    if options.zip:
        build_plugin_zip(options.zip)
        say(f"{options.zip} is ready. In Krita: Tools > Scripts > Import Python Plugin from File.")
        say("The backend is not inside; `python3 installer demo` makes it.")
        return 0
    environment.ensure()
    folders = krita_folders()
    in_krita.install(folders, TAPESTRY)
    say(f"Tapestry is in {folders.pykrita} and switched on.")
    say("Close Krita if it is running and start it again; then Settings > Dockers > Tapestry.")
    return 0


def _release(options: argparse.Namespace, _rest: list[str]) -> int:
    environment.ensure()
    archive = options.file or Path(release_name())
    build_release_zip(archive)
    say(f"{archive} ({archive.stat().st_size / 2**20:.0f} MB) is ready.")
    return 0


def _pins(_options: argparse.Namespace, _rest: list[str]) -> int:
    environment.ensure(tests=True)
    for path in write_pins():
        say(f"{path} is written.")
    return 0


def _uninstall(options: argparse.Namespace, _rest: list[str]) -> int:
    removed = in_krita.uninstall(krita_folders())
    if VENV.exists() and not options.keep_environment:
        shutil.rmtree(VENV, ignore_errors=True)
        removed.append(f"the environment {VENV}")
    for what in removed:
        say(f"Removed {what}.")
    say("Your documents, pictures and models are untouched." if removed else "Nothing to remove.")
    return 0


def _doctor(_options: argparse.Namespace, _rest: list[str]) -> int:
    return doctor.examine()


_TEST_PROCESSES = 2
"""One is busy with Krita, which spends most of its time waiting, and one with everything else."""

_TIERS = ("unit", "models", "krita", "chaos")

_COMMANDS = {
    "demo": _demo,
    "test": _test,
    "plugin": _plugin,
    "release": _release,
    "pins": _pins,
    "uninstall": _uninstall,
    "doctor": _doctor,
}
_DESCRIPTION = "Sets Tapestry up: an environment of its own in .venv, and the plugin in Krita."
