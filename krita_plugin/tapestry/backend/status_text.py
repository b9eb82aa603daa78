"""The state of the backend in the artist's words."""

from __future__ import annotations

from tapestry_protocol.messages import Backend

from ..connection.link import LinkState
from ..i18n.translation import tr


def backend_sentence(link: LinkState, worker: Backend) -> str:
    """What the backend does, in a line."""
    if link is LinkState.READY:
        device = f" ({worker.device})" if worker.device else ""
        return {
            "starting": tr("Backend: starting"),
            "loading": tr("Backend: loading the model"),
            "ready": tr("Backend: ready") + device,
            "busy": tr("Backend: painting") + device,
            "lost": tr("Backend: its worker is being started again"),
        }[worker.state]
    return {
        LinkState.OFF: tr("Backend: starts when it is needed"),
        LinkState.STARTING: tr("Backend: starting"),
        LinkState.CONNECTING: tr("Backend: connecting"),
        LinkState.LOST: tr("Backend: lost, trying again"),
    }.get(link, tr("Backend: not there"))
