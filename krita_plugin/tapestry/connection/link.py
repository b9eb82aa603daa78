"""The way to a server: find one or start one, connect, and connect again when it is lost.

After a reconnect the link asks for whatever the server still owes, so no other part has to.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Protocol

from tapestry_protocol import PROTOCOL_VERSION
from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.messages import (
    Acknowledge,
    Backend,
    Failed,
    Message,
    Submit,
    Welcome,
    Workers,
)
from tapestry_protocol.pixels import Pixels
from tapestry_protocol.runtime import RuntimeInfo
from tapestry_protocol.sentences import Sentence

from ..common.task_queue import Loop
from ..document.order import NOTHING, Beside
from .unacknowledged import UnacknowledgedJobs

START_WITHIN_S = 60.0
"""A server is ready in a second; a machine that is very busy or has just booted takes longer."""

LOOK_EVERY_S = 0.1
"""How often we look for the runtime file of a server that is starting."""

DELAYS_S = (0.2, 0.5, 1.0, 2.0, 4.0)
"""Before each attempt to reach a server again; after the last one we give up and say so."""


class ConnectionHandler:
    """What a connection calls when something arrives or it is lost; this one ignores both."""

    def hear(self, message: Message, pixels: Pixels | None, beside: Beside = NOTHING) -> None:
        """A message, and the pixels it refers to; `beside`: the layers of a result."""

    def lose(self, error: TapestryError | None) -> None:
        """The connection is gone; the error is there when it says more than that."""


class Connection(Protocol):
    """An open way to a server."""

    def send(self, message: Message) -> None: ...
    def send_blob(self, sha256: str, data: bytes) -> None: ...
    def close(self) -> None: ...


class Server(Protocol):
    """The server's process, as far as we can see it."""

    def find(self) -> RuntimeInfo | None:
        """What the runtime file says, if there is one; the server may be gone all the same."""
        ...

    def start(self) -> None:
        """Start one; raises TapestryError when that cannot be done."""
        ...

    def has_ended(self) -> bool:
        """Whether the one we started has ended already."""
        ...

    def why_it_ended(self) -> TapestryError:
        """What to tell the artist when it did not start."""
        ...


class LinkState(Enum):
    """Where we are on the way."""

    OFF = "off"
    STARTING = "starting"
    CONNECTING = "connecting"
    READY = "ready"
    LOST = "lost"
    FAILED = "failed"


class LinkObserver(Protocol):
    """What the link calls when its state changes or a message arrives."""

    def link_changed(self) -> None:
        """The link's state has changed."""
        ...

    def link_failed(self, error: TapestryError) -> None:
        """No server can be reached; `ensure` tries again."""
        ...

    def hear(self, message: Message, pixels: Pixels | None, beside: Beside = NOTHING) -> None:
        """A message of the server."""
        ...


class Link(ConnectionHandler):
    """Keeps a connection to a server from the first `ensure` to `close`."""

    def __init__(
        self,
        server: Server,
        connect: Callable[[RuntimeInfo, ConnectionHandler], Connection],
        loop: Loop,
    ) -> None:
        self.state = LinkState.OFF
        self.observer: LinkObserver | None = None
        self._server = server
        self._connect = connect
        self._loop = loop
        self._connection: Connection = _Nowhere()
        self._cancel_timer: Callable[[], None] = _nothing
        self._attempts = 0
        self._connected_to: RuntimeInfo | None = None
        self._doubted_token = ""
        self._dead_token = ""
        self._waited_s = 0.0
        self._unacknowledged = UnacknowledgedJobs()

    @property
    def is_ready(self) -> bool:
        """Whether messages can be sent now."""
        return self.state is LinkState.READY

    def ensure(self) -> None:
        """Begin to reach a server, unless that has begun already."""
        if self.state in (LinkState.OFF, LinkState.FAILED):
            self._attempts = 0
            self._believe()
            self._seek()

    def send(self, message: Message) -> None:
        """Send a message; raises TapestryError when not ready."""
        self._connection.send(message)
        self._unacknowledged.sent(message)

    def owe(self, submit: Submit) -> None:
        """A job that an earlier Krita has sent: ask for it as if we had."""
        self._unacknowledged.sent(submit)

    def send_blob(self, sha256: str, data: bytes) -> None:
        """Send pixels; raises TapestryError when not ready."""
        self._connection.send_blob(sha256, data)

    def abandon(self, job_id: str) -> None:
        """The job is not wanted any more: have it cancelled when there is a server again."""
        self._unacknowledged.abandon(job_id)

    def acknowledge(self, job_id: str) -> None:
        """The end of this job is kept; a server that is away now receives it later."""
        if self.is_ready:
            self.send(Acknowledge(job_id))
        else:
            self._unacknowledged.keep(job_id)

    def close(self) -> None:
        """Let the server go; jobs that it runs go on."""
        self._cancel_timer()
        self._disconnect()
        self._become(LinkState.OFF)

    # --- on the way -------------------------------------------------------------------------------

    def _seek(self) -> None:
        info = self._alive()
        if info is not None:
            self._open(info)
            return
        try:
            self._server.start()
        except TapestryError as error:
            self._fail(error)
            return
        self._waited_s = 0.0
        self._become(LinkState.STARTING)
        self._look_later()

    def _alive(self) -> RuntimeInfo | None:
        info = self._server.find()
        return info if info is not None and info.token != self._dead_token else None

    def _look_later(self) -> None:
        self._cancel_timer = self._loop.call_later(LOOK_EVERY_S, self._look)

    def _look(self) -> None:
        info = self._alive()
        self._waited_s += LOOK_EVERY_S
        if info is not None:
            self._open(info)
        elif self._server.has_ended() or self._waited_s > START_WITHIN_S:
            self._believe()  # the other one may be in the way because it is alive
            self._try_again(self._server.why_it_ended())
        else:
            self._look_later()

    def _open(self, info: RuntimeInfo) -> None:
        self._connected_to = info
        self._become(LinkState.CONNECTING)
        self._connection = self._connect(info, self)

    def _try_again(self, error: TapestryError) -> None:
        if self._attempts >= len(DELAYS_S):
            self._fail(error)
            return
        delay_s = DELAYS_S[self._attempts]
        self._attempts += 1
        self._become(LinkState.LOST)
        self._cancel_timer = self._loop.call_later(delay_s, self._seek)

    def _fail(self, error: TapestryError) -> None:
        self._unacknowledged.abandon_all()
        self._become(LinkState.FAILED)
        if self.observer is not None:
            self.observer.link_failed(error)

    def _disconnect(self) -> None:
        self._connection.close()
        self._connection = _Nowhere()

    def _become(self, state: LinkState) -> None:
        self.state = state
        if self.observer is not None:
            self.observer.link_changed()

    # --- from the connection ----------------------------------------------------------------------

    def hear(self, message: Message, pixels: Pixels | None, beside: Beside = NOTHING) -> None:
        """A message of the server; the first one is its welcome, or why we are not welcome."""
        if not self.is_ready and isinstance(message, Failed):
            self._give_up(TapestryError(message.code, message.message, message.advice))
            return
        if isinstance(message, Welcome):
            if message.protocol != PROTOCOL_VERSION:
                self._give_up(_another_version(message))
                return
            for question in self._unacknowledged.questions():
                self._connection.send(question)
            self._become(LinkState.READY)
        elif not isinstance(message, Backend | Workers):
            self._attempts = 0  # it does its work, so it is not a server that dies at once
        answers = self._unacknowledged.answers(message)
        for answer in answers or ():
            self._connection.send(answer)
        if answers is None and self.observer is not None:
            self.observer.hear(message, pixels, beside)

    def lose(self, error: TapestryError | None) -> None:
        """The connection is gone: try the same server once more, then another one.

        The first attempt of all counts as well: a server that is busy may miss it.
        """
        self._connection = _Nowhere()
        token = self._connected_to.token if self._connected_to else ""
        self._dead_token = "" if self.is_ready or token != self._doubted_token else token
        self._doubted_token = token
        self._try_again(error or _unreachable())

    def _believe(self) -> None:
        """Whatever the runtime file names may be alive."""
        self._doubted_token = self._dead_token = ""

    def _give_up(self, error: TapestryError) -> None:
        self._disconnect()
        self._fail(error)


class _Nowhere:
    """The connection while there is none."""

    def send(self, _message: Message) -> None:
        raise _unreachable()

    def send_blob(self, _sha256: str, _data: bytes) -> None:
        raise _unreachable()

    def close(self) -> None:
        """Closed already."""


def _another_version(welcome: Welcome) -> TapestryError:
    return TapestryError(
        ErrorCode.VERSION,
        Sentence(
            "The backend ({version}) speaks another version than this plugin.",
            version=welcome.version,
        ),
        "Press Install or Repair in the docker where it is offered, or run "
        "`python3 installer plugin`; then "
        "restart Krita.",
    )


def _unreachable() -> TapestryError:
    return TapestryError(
        ErrorCode.INTERNAL,
        "The backend cannot be reached.",
        "Press the button again; if that does not help, restart Krita.",
    )


def _nothing() -> None:
    """What there is to cancel before a timer was started."""
