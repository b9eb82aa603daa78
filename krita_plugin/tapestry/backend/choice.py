"""Which backend the artist has chosen: here or on another computer, with which models.

It stands between the link and the backends, so that a choice counts from the next start on.
"""

from __future__ import annotations

import json
import os
import signal
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.runtime import RuntimeInfo

from ..common.stored_json import read_kept
from ..i18n.translation import tr
from .process import BackendProcess
from .remote import RemoteBackend

DEVICES = ("", "cpu", "cuda:0", "cuda:1", "cuda:2", "cuda:3", "mps")
"""What a backend may paint on; the first one: the fastest there is."""

_LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
_MOST_MODELS = 64


@dataclass(frozen=True)
class BackendChoice:
    """What the artist has chosen.

    models       folders of models beside the bundled one
    device       one of DEVICES
    address      of a backend behind a tunnel, e.g. "localhost:7865"; empty: this computer's own
    server_file  a copy of that backend's runtime file, which holds its token
    """

    models: tuple[str, ...] = ()
    device: str = ""
    address: str = ""
    server_file: str = ""

    @property
    def arguments(self) -> list[str]:
        """What `tapestry serve` is given."""
        return [part for model in self.models for part in ("--model", model)]

    @property
    def variables(self) -> dict[str, str]:
        """What its environment is given."""
        return {"TAPESTRY_DEVICE": self.device} if self.device else {}

    @property
    def port(self) -> int | None:
        """The port of the address; None where it names none.

        Raises TapestryError for an address that is not this computer's end of a tunnel.
        """
        if not self.address:
            return None
        host, _, port = self.address.rpartition(":")
        if host.lower() in _LOOPBACK and port.isdecimal() and 0 < int(port) < 2**16:
            return int(port)
        raise TapestryError(
            ErrorCode.BAD_REQUEST,
            tr("{address} is not this computer's end of a tunnel.").format(address=self.address),
            tr(
                "Open one with the backend's own port on both sides "
                "(ssh -N -L 7865:127.0.0.1:7865 that-computer), then write localhost:7865 "
                "on the backend's page."
            ),
        )

    def to_text(self) -> str:
        """As JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_text(cls, text: str) -> BackendChoice:
        """What `to_text` wrote; what is damaged stays at its default."""
        kept = read_kept(text)
        choice = cls()
        for field in fields(cls) if isinstance(kept, dict) else ():
            value = kept.get(field.name)
            if field.name == "models" and isinstance(value, list):
                models = tuple(model for model in value if isinstance(model, str))
                choice = replace(choice, models=models[:_MOST_MODELS])
            elif isinstance(value, str) and _is_sound(field.name, value):
                named: dict[str, Any] = {field.name: value}
                choice = replace(choice, **named)
        return choice


class ChosenBackend:
    """What the link takes for a server: the chosen one.

    local        the backend of this computer
    server_file  the copy that counts where the choice names none; empty: there is none
    """

    def __init__(self, local: BackendProcess, choice: BackendChoice, server_file: str = "") -> None:
        self.choice = choice
        self._local = local
        self._server_file = server_file

    @property
    def is_distant(self) -> bool:
        """Whether it is on another computer."""
        return bool(self.choice.address or self.server_file)

    @property
    def server_file(self) -> str:
        """The copy of the other computer's runtime file; empty where there is none."""
        return self.choice.server_file or self._server_file

    @property
    def log_file(self) -> Path:
        """What the backend of this computer writes."""
        return self._local.log_file

    def choose(self, choice: BackendChoice) -> None:
        """Take another one; `stop` lets go of the one that runs."""
        self.choice = choice

    def find(self) -> RuntimeInfo | None:
        """What the runtime file says, if there is one; the server may be gone all the same."""
        distant = self._distant()
        if distant is None:
            return self._local.find()
        info, port = distant.find(), self.choice.port
        return replace(info, port=port) if info is not None and port else info

    def start(self) -> None:
        """Start a server; raises TapestryError when that cannot be done."""
        distant = self._distant()
        if distant is not None:
            distant.start()
        else:
            self._local.arguments = self.choice.arguments
            self._local.variables = self.choice.variables
            self._local.start()

    def may_run(self) -> bool:
        """Whether a backend of this computer has said that it runs."""
        return self._local.find() is not None

    def has_ended(self) -> bool:
        """Whether the one we started has ended already."""
        distant = self._distant()
        return distant.has_ended() if distant else self._local.has_ended()

    def why_it_ended(self) -> TapestryError:
        """What to tell the artist when it did not start."""
        distant = self._distant()
        return distant.why_it_ended() if distant else self._local.why_it_ended()

    def stop(self) -> None:
        """Stop the backend of this computer, so that another choice can start."""
        info = self._local.find()
        if info is not None:
            with suppress(OSError):
                os.kill(info.pid, signal.SIGTERM)

    def _distant(self) -> RemoteBackend | None:
        if not self.is_distant:
            return None
        self.choice.port  # noqa: B018  an address that cannot be is said at once
        if not self.server_file:
            raise TapestryError(
                ErrorCode.BAD_REQUEST,
                tr("The backend's token file is missing."),
                tr("Copy server.json from that computer, and choose it on the backend's page."),
            )
        return RemoteBackend(Path(self.server_file).expanduser())


def _is_sound(name: str, value: str) -> bool:
    return value in DEVICES if name == "device" else name != "models"
