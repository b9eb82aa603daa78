"""One picture on its way, from the button to the layer; no behaviour beyond its own state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from tapestry_protocol.messages import Request, Stage
from tapestry_protocol.pixels import Bounds, Pixels

from .canvas import Canvas


class Phase(Enum):
    """How far a job has come."""

    READING = "reading"
    WAITING = "waiting"
    SUBMITTED = "submitted"
    CANCELLING = "cancelling"
    INSERTING = "inserting"


@dataclass(frozen=True)
class Order:
    """A request with its pixels by SHA-256, and the name of the layer for the picture.

    document   the whole document in coordinates of the request, which may be about a part of it;
               None: it is about the whole
    """

    request: Request
    blobs: Mapping[str, bytes] = field(repr=False)
    layer_name: str
    document: Bounds | None = None

    @property
    def whole(self) -> Bounds:
        """The whole document in coordinates of the request."""
        return self.document or Bounds(0, 0, self.request.height, self.request.width)


@dataclass
class Job:
    """A picture on its way.

    order    is there when the document has been read
    steps    0 while their number is not known
    preview  how the picture looks now, RGBA, small
    """

    id: str
    canvas: Canvas
    phase: Phase = Phase.READING
    order: Order | None = None
    ahead: int = 0
    stage: Stage = "queued"
    step: int = 0
    steps: int = 0
    preview: Pixels | None = None

    @property
    def is_counted(self) -> bool:
        """Whether `step` of `steps` says how far it is."""
        return (
            self.phase is Phase.SUBMITTED
            and self.stage in {"drafting", "denoising"}
            and self.steps > 0
        )

    @property
    def sentence(self) -> str:
        """What is going on, for the artist to read."""
        if self.phase is not Phase.SUBMITTED:
            return {
                Phase.READING: "Reading the layers",
                Phase.WAITING: "Waiting for the backend",
                Phase.CANCELLING: "Cancelling",
                Phase.INSERTING: "Inserting the layer",
            }[self.phase]
        if self.stage == "queued" and self.ahead:
            return f"{self.ahead} more before this one"
        if self.is_counted:
            return f"Step {self.step} of {self.steps}"
        return {
            "queued": "Waiting to begin",
            "loading": "Loading the model",
            "encoding": "Reading the prompts",
            "drafting": "Drafting",
            "denoising": "Painting",
            "decoding": "Finishing",
        }[self.stage]
