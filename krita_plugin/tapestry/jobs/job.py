"""One picture on its way, from the button to the history."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from tapestry_protocol.fields import Stage
from tapestry_protocol.layer_names import OWN_PREFIX
from tapestry_protocol.messages import Result
from tapestry_protocol.pixels import Pixels

from ..document.canvas import Canvas
from ..document.order import Beside, DocumentState, Order
from ..i18n.translation import tr


@dataclass(frozen=True)
class JobResult:
    """What came back for a job: the picture, and its layers."""

    result: Result
    pixels: Pixels
    beside: Beside = field(default_factory=dict)


class Phase(Enum):
    """How far a job has come."""

    READING = "reading"
    WAITING = "waiting"
    SUBMITTED = "submitted"
    CANCELLING = "cancelling"
    INSERTING = "inserting"


@dataclass
class Job:
    """A picture on its way.

    document_state   how its document was when the button was pressed
    history_id, document_name   by which the document is known when it is closed
    sources  ids of the layers that it is made from
    order    is there when the document has been read
    copies   how many pictures it becomes then
    steps    0 while their number is not known
    preview  how the picture looks now, RGBA, small
    """

    id: str
    canvas: Canvas
    document_state: DocumentState
    history_id: str = ""
    document_name: str = ""
    sources: tuple[str, ...] = ()
    phase: Phase = Phase.READING
    order: Order | None = None
    copies: int = 1
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
            and self.stage in {"learning", "comparing", "inverting", "drafting", "denoising"}
            and self.steps > 0
        )

    @property
    def can_be_cancelled(self) -> bool:
        """Whether Cancel still makes a difference."""
        return self.phase not in (Phase.CANCELLING, Phase.INSERTING)

    @property
    def sentence(self) -> str:
        """What is going on, for the artist to read."""
        if self.phase is not Phase.SUBMITTED:
            return {
                Phase.READING: tr("Reading the layers"),
                Phase.WAITING: tr("Waiting for the backend"),
                Phase.CANCELLING: tr("Cancelling"),
                Phase.INSERTING: tr("Keeping the picture"),
            }[self.phase]
        if self.stage == "queued" and self.ahead:
            return tr("{count} more before this one").format(count=self.ahead)
        if self.is_counted:
            return tr("Step {step} of {steps}").format(step=self.step, steps=self.steps)
        return {
            "queued": tr("Waiting to begin"),
            "loading": tr("Loading the model"),
            "encoding": tr("Reading the prompts"),
            "learning": tr("Learning the picture"),
            "inverting": tr("Taking it back to noise"),
            "comparing": tr("Looking for the place"),
            "drafting": tr("Drafting"),
            "denoising": tr("Painting"),
            "decoding": tr("Finishing"),
        }[self.stage]

    @property
    def title(self) -> str:
        """Which picture it is, for a list of jobs."""
        return self.order.layer_name.removeprefix(OWN_PREFIX) if self.order else self.sentence
