"""One picture on its way, from the button to the history; no behaviour beyond its own state."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from types import MappingProxyType

from tapestry_protocol.fields import Stage
from tapestry_protocol.messages import Request, Result
from tapestry_protocol.pixels import Bounds, Pixels, PixelsRef

from ..document.canvas import Canvas, Layer
from ..document.layers import OWN_PREFIX
from ..i18n.translation import tr

Beside = Mapping[PixelsRef, Pixels]
"""The layers that came with a picture."""

NOTHING: Beside = MappingProxyType({})


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


@dataclass(frozen=True)
class Order:
    """A request with its pixels by SHA-256, and the name of the layer for the picture.

    document   the whole document in coordinates of the request, which may be about a part of it;
               None: it is about the whole
    adapters   what is laid on the picture and its regions, as `AdapterBook.to_text` wrote it
    """

    request: Request
    blobs: Mapping[str, bytes] = field(repr=False)
    layer_name: str
    document: Bounds | None = None
    adapters: str = field(default="", repr=False)

    @property
    def whole(self) -> Bounds:
        """The whole document in coordinates of the request."""
        return self.document or Bounds(0, 0, self.request.height, self.request.width)

    def with_seed(self, seed: int) -> Order:
        """The same with another seed, also in the layer's name."""
        stem = self.layer_name.removesuffix(f"(seed {self.request.seed})")
        name = f"{stem}(seed {seed})"
        return replace(self, request=replace(self.request, seed=seed), layer_name=name)


@dataclass(frozen=True)
class DocumentState:
    """What must be the same about a document for a finished picture to be put there at once."""

    size: tuple[int, int]
    color_space: tuple[str, str]
    layers: frozenset[str]

    @classmethod
    def of(cls, canvas: Canvas) -> DocumentState:
        """How the document is now."""
        ids = frozenset(
            layer.id for layer in canvas.layers() if not layer.name.startswith(OWN_PREFIX)
        )
        space = (canvas.color_model, canvas.color_depth)
        return cls((canvas.height, canvas.width), space, ids)

    def is_still_that_of(self, canvas: Canvas) -> bool:
        """Whether size, colours and all those layers are what they were."""
        if not canvas.is_open:
            return False
        now = DocumentState.of(canvas)
        same = (now.size, now.color_space) == (self.size, self.color_space)
        return same and self.layers <= {layer.id for layer in all_layers(canvas.layers())}


def all_layers(layers: tuple[Layer, ...]) -> Iterator[Layer]:
    """The layers and everything inside them."""
    for layer in layers:
        yield layer
        yield from all_layers(layer.children)


@dataclass
class Job:
    """A picture on its way.

    look     how its document was when the button was pressed
    history_id, document_name   by which the document is known when it is closed
    sources  ids of the layers that it is made from
    order    is there when the document has been read
    copies   how many pictures it becomes then
    steps    0 while their number is not known
    preview  how the picture looks now, RGBA, small
    """

    id: str
    canvas: Canvas
    look: DocumentState
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
            and self.stage in {"drafting", "denoising"}
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
            "drafting": tr("Drafting"),
            "denoising": tr("Painting"),
            "decoding": tr("Finishing"),
        }[self.stage]

    @property
    def title(self) -> str:
        """Which picture it is, for a list of jobs."""
        return self.order.layer_name.removeprefix(OWN_PREFIX) if self.order else self.sentence
