"""The docker's model of the backend: state, choice, logs, the report."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tapestry_protocol.errors import TapestryError
from tapestry_protocol.messages import Backend, ModelInfo, Workers

from ..common.stored_json import read_kept
from ..common.task_queue import Loop
from ..connection.link import Link, LinkState
from ..document.canvas import Host
from ..i18n.translation import tr, translate
from .bundled import BundledBackend
from .choice import BackendChoice, ChosenBackend
from .diagnostics import report, tail, without_secrets
from .installer import BackendInstaller, Fetch
from .status_text import backend_sentence
from .worker_text import worker_facts

_SETTINGS_KEY = "backend"
_MIB = 2**20
_MOST_LEFT_OUT = 12
"""Models and adapters that cannot be used, of which the page says why."""


def kept_choice(host: Host) -> BackendChoice:
    """What the artist chose the last time."""
    return BackendChoice.from_text(host.read_setting(_SETTINGS_KEY))


class BackendController:
    """One for all windows.

    changed      is called when something is to be shown anew
    is_expected  whether pictures are on their way
    """

    def __init__(
        self,
        host: Host,
        link: Link,
        backend: ChosenBackend,
        changed: Callable[[], None],
        is_expected: Callable[[], bool] = lambda: False,
    ) -> None:
        self.worker = Backend("starting")
        self.workers = Workers(())
        self.models: tuple[ModelInfo, ...] = ()
        self.left_out: tuple[str, ...] = ()
        self.trouble: TapestryError | None = None
        self._host = host
        self._link = link
        self._backend = backend
        self._changed = changed
        self._is_expected = is_expected
        self._peak_bytes = 0
        self.installer: BackendInstaller | None = None
        self.is_outdated = False
        """Whether the backend that runs is of the release before, and has pictures to finish."""

    def offer(self, own: BundledBackend, loop: Loop, fetch: Fetch) -> None:
        """Let the artist install the backend that the plugin carries."""
        self.installer = BackendInstaller(own, loop, fetch, self._installing)
        self.installer.sweep()
        if not self._backend.may_run():
            self.installer.tidy()

    def close(self) -> None:
        """Krita ends; what was fetched stays for the next one."""
        if self.installer is not None:
            self.installer.cancel()

    def uninstall(self) -> None:
        """Take back the backend that was installed from here; it is stopped first."""
        if self.installer is not None and not self.installer.is_running:
            self._link.close()
            self._backend.stop()
            self.installer.uninstall()

    @property
    def is_painting(self) -> bool:
        """Whether a backend is at work, for this Krita or for another one that shares it."""
        return self._link.is_ready and (self._is_expected() or self.worker.state == "busy")

    @property
    def _may_be_painting(self) -> bool:
        """The same, also while it is not known yet."""
        if self._link.state in (LinkState.OFF, LinkState.STARTING, LinkState.FAILED):
            return False
        is_known = self._link.is_ready and self.worker.state not in ("starting", "loading")
        return self.is_painting or not is_known

    def note_failure(self, error: TapestryError) -> None:
        """No backend can be reached: look whether ours is whole, if it is ours."""
        self.trouble = error
        if self.installer is not None and not self._backend.is_distant:
            self.installer.check()

    def note_work(self) -> None:
        """Pictures are done, or on their way, or their state is unknown."""
        if self.is_outdated and not self._may_be_painting:
            self.is_outdated = False
            self._backend.stop()
            self.try_again()
            if self.installer is not None:
                self.installer.tidy()

    def _installing(self) -> None:
        installer = self.installer
        if installer is None or installer.is_running or not installer.is_new:
            self._changed()
            return
        installer.is_new = False
        self.is_outdated = True
        if self._link.state is LinkState.OFF and self._backend.may_run():
            self._link.ensure()  # it may be painting for another Krita
        self.note_work()
        self._changed()

    @property
    def choice(self) -> BackendChoice:
        """Which backend is used."""
        return self._backend.choice

    @property
    def is_distant(self) -> bool:
        """Whether the artist has chosen a backend that is none of this computer's own."""
        return self._backend.is_distant

    @property
    def is_in_trouble(self) -> bool:
        """Whether no backend can be reached, and no attempt is under way."""
        return self._link.state is LinkState.FAILED

    @property
    def facts(self) -> list[tuple[str, str]]:
        """What there is to say, name and value."""
        where = tr("on another computer") if self._backend.is_distant else tr("on this computer")
        facts = [
            (tr("State"), backend_sentence(self._link.state, self.worker).partition(": ")[2]),
            (tr("Place"), where),
            *(worker_facts(self.workers) or [(tr("Device"), self.worker.device or "?")]),
            (tr("Models"), ", ".join(model.name for model in self.models) or "?"),
        ]
        if self._peak_bytes:
            megabytes = tr("{count} MiB at most").format(count=self._peak_bytes // _MIB)
            facts.insert(-1, (tr("Memory of the last picture"), megabytes))
        facts += [(tr("Left out"), translate(each)) for each in self.left_out[:_MOST_LEFT_OUT]]
        if len(self.left_out) > _MOST_LEFT_OUT:
            more = tr("{count} more, which the log names")
            rest = len(self.left_out) - _MOST_LEFT_OUT
            facts.append((tr("Left out"), more.format(count=rest)))
        return facts

    @property
    def log(self) -> str:
        """The last lines of the backend's log and of ours, without secrets."""
        parts = [f"--- {path.name} ---\n{tail(path)}" for path in self._logs if path.exists()]
        return without_secrets("\n".join(parts), self._tokens())

    def report(self) -> str:
        """All that helps to find out what is wrong, without secrets."""
        trouble = [("Trouble", str(self.trouble))] if self.trouble else []
        devices = [("Chosen device", self.choice.device or "automatic")]
        facts = [*self.facts, *devices, *trouble]
        return report(self._host.version, facts, self._logs, self._tokens())

    def note_report(self, text: str) -> None:
        """Take the memory out of the report of a run."""
        kept = read_kept(text)
        peak = kept.get("peak_memory_bytes") if isinstance(kept, dict) else 0
        self._peak_bytes = peak if isinstance(peak, int) else 0

    def choose(self, choice: BackendChoice) -> None:
        """Use another backend from now on; jobs on their way begin anew there."""
        self._host.write_setting(_SETTINGS_KEY, choice.to_text())
        if not self._backend.is_distant:
            self._backend.stop()
        self._backend.choose(choice)
        self.try_again()

    def try_again(self) -> None:
        """Begin to reach the backend anew."""
        self.trouble = None
        self._link.close()
        self._link.ensure()
        self._changed()

    @property
    def _logs(self) -> list[Path]:
        installing = [self.installer.own.log] if self.installer else []
        return [self._backend.log_file, self._host.data_folder / "plugin.log", *installing]

    def _tokens(self) -> list[str]:
        try:
            info = self._backend.find()
        except TapestryError:
            return []
        return [info.token] if info else []
