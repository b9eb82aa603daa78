"""Writes docs/reliability.md: every promise, the tests that show it, and what they measured.

    python -m tests.chaos.publish [further arguments of pytest]

runs every test that is marked with a promise, as often as the promise says, which takes some
minutes; it writes the table whatever comes out, and fails when a test fails.
"""

import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from tests.chaos import public_reports

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "reliability.md"

SECURITY = {
    "S1": "Only the plugin gets past the handshake: token, exact `Host`, no `Origin`",
    "S2": "Wrong tokens are slowed; a handshake that does not finish is dropped in 5 s",
    "S3": "Listens on loopback only, unless told otherwise by an explicit flag",
    "S4": "The token is in no command line, environment, log, error or diagnostics file",
    "S5": "Models are safetensors or GGUF in known folders, opened by id, headers checked first",
    "S6": "Every size is checked before memory is taken; no image decoder behind the socket",
    "S7": "Frames and messages are bounded; compression is off",
    "S8": "Hostile traffic is parsed or answered with a protocol error, and does nothing else",
    "S9": "Generating never touches the network",
    "S10": "Opening files that an artist was sent is bounded",
}
RELIABILITY = {
    "R1": "`kill -9` of the worker: shown within 1 s, the job runs again, the same picture",
    "R2": "`kill -9` of the server: resumed from the journal, one result, no orphan",
    "R3": "A worker that hangs is noticed within 15 s and replaced",
    "R4": "A client may vanish at any byte: its result is kept, and there within 1 s of its return",
    "R5": "The same job id five times, also after the end and a restart, runs once",
    "R6": "Out of memory: smaller batches, then tiles, then offload, then an error with advice",
    "R7": "NaN and infinity are found at the step where they appear; never a black layer",
    "R8": "A full or read-only disk costs the journal, not the picture",
    "R9": "A damaged journal never stops the start, and costs only what follows the damage",
    "R10": "Stopping takes 3 s at most and leaves nothing behind",
    "R11": "A slow client harms nobody: 64 MiB at most, others' latency up by a fifth at most",
    "R12": "50 clients with 20 jobs each: each job once, fairly, a bounded queue, lag up to 20 ms",
    "R13": "Cancel takes one step and 50 ms; a message for every step; Krita is held 50 ms at most",
    "R14": "Hours of work leak nothing",
    "R15": "Another version of plugin or server: a sentence that says what to update",
    "R16": "A document that changes while its job runs: the picture is not lost, nothing raises",
}

HEAD = """# What Tapestry promises, and what was measured

Made by `python -m tests.chaos.publish`, which runs every test that is marked with a promise as \
often as the promise says. The normal suite runs a small edition of the same tests. The moments of \
the kills are random; `--chaos-seed` chooses others, `--chaos-tries` changes their number.

The tests use the real server and real worker processes. Where a picture's content does not matter \
the worker has a scripted engine in the place of the model, so that a job takes a fraction of a \
second. On the plugin's side everything that decides is the plugin's own: how it starts a backend, \
connects again, and asks for what it has missed; only Qt's socket is replaced.

The lag of the event loop (R12) is judged by what the loop itself worked between two of its turns; \
the first figure includes the time in which other programs had the processor.

How long Krita is held (R13) is judged by the processor time of its UI thread in one call of \
ours. A second figure includes what the call waits for:

- what Krita's own threads draw meanwhile: removing a layer, Krita 5.1 draws the whole canvas \
first;
- events that had waited (a timer, painting, a queued signal). Krita lets its event loop turn \
while such a call waits, from 5.3 on also when the active layer is asked for or chosen. It would \
handle them right after the call as well.

All the rest of the call counts, also after the last event.
"""

TAIL = """
## What is not promised

- A picture that was being painted while the disk did not take the journal is lost if the server \
is killed as well.
- A worker that stops making steps is noticed after ten seconds when its steps are quick, and \
after twenty of its own mean steps when they are slow. Loading, decoding and the first step have \
nothing to compare with: there, half an hour without progress is the limit; and while a model is \
loaded, three minutes without a sign of life.
- A job that takes its worker with it three times fails, with a sentence.
- The journal brings back jobs for clients that ask for them. After a restart, a job begins only \
when its client asks for it.
- A server that is stopped from outside, not killed, is not replaced.
- Krita does not react while it takes a layer out of a large document, a preview too (a tenth of a \
second at 4096 x 2048), nor while it opens a new document for a picture whose own is gone (half a \
second).
"""


def main(arguments: list[str]) -> int:
    """Run the tests and write the page; gives the exit status of pytest."""
    with tempfile.TemporaryDirectory() as folder:
        found = Path(folder) / "promises.json"
        command = [sys.executable, "-m", "pytest", "-m", "promise", "--chaos-full"]
        status = subprocess.run(
            [*command, "--promises", str(found), *arguments], cwd=ROOT, check=False
        ).returncode
        rows = json.loads(found.read_text("utf-8"))
    PAGE.write_text(page_of(rows), encoding="utf-8")
    return status


def page_of(rows: list[dict]) -> str:
    """The whole page."""
    tables = [
        f"## {title}\n\n{_table(promises, rows)}"
        for title, promises in (("Nothing lost", RELIABILITY), ("Access", SECURITY))
    ]
    return "\n".join([HEAD, _machine(), *tables, public_reports.section()]) + TAIL


def _table(promises: dict[str, str], rows: list[dict]) -> str:
    lines = ["| id | promise | measured | |", "|---|---|---|---|"]
    for name, promise in promises.items():
        shown = [row for row in rows if row["promise"] == name]
        lines.append(f"| {name} | {promise} | {_figures(shown)} | {_outcome(shown)} |")
    return "\n".join(lines) + "\n"


def _figures(rows: list[dict]) -> str:
    figures = [figure for row in rows for figure in row["measured"]]
    return "<br>".join([*figures, _tests(rows)]) if rows else "no test is marked with it"


def _tests(rows: list[dict]) -> str:
    files = dict.fromkeys(row["test"].partition("::")[0] for row in rows)
    count = len(rows)
    return f"{count} test{'s' if count > 1 else ''} in {_listed(f'`{file}`' for file in files)}"


def _listed(items: Iterable[str]) -> str:
    *first, last = items
    return f"{', '.join(first)} and {last}" if first else last


def _outcome(rows: list[dict]) -> str:
    if not rows:
        return "—"
    return "kept" if all(row["passed"] for row in rows) else "**broken**"


def _machine() -> str:
    load = os.getloadavg()[0]
    return (
        f"This run: {platform.system()}, Python {platform.python_version()}, {os.cpu_count()} CPU "
        f"cores, no GPU; load average {load:.1f} at its end, so others used the machine too.\n"
        if load > os.cpu_count()
        else f"This run: {platform.system()}, Python {platform.python_version()}, "
        f"{os.cpu_count()} CPU cores, no GPU.\n"
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
