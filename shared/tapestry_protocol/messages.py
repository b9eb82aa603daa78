"""Every message that plugin, server and worker exchange, written once.

client -> server   hello, submit, cancel, resume, acknowledge
server -> client   welcome, need, accepted, progress, preview, result, failed, cancelled, backend,
                   remark, workers, learned
server -> worker   run, cancel, heartbeat     (over a pipe)
worker -> server   sibling_devices, backend, progress, preview, result, failed, cancelled, lacks,
                   heartbeat
cluster -> server  joined, left     (about a worker on another computer), remark, heartbeat

Pixels never travel inside a message: a `PixelsRef` names them by SHA-256, and their bytes travel as
binary chunks. A client sends chunks when a `need` asks for them; server and worker send theirs
right before the message that refers to them.

What a server says about a job is numbered: the `sequence` of each message is larger than that of
the one before, also when the server was started again in between. A client that has lost its
connection says how far it has come, and receives what it has missed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from .adapters import AdapterInfo, Control, FamilyName, Lora
from .constraints import Between, MaxLength
from .errors import ErrorCode
from .fields import (
    ClipSkip,
    Device,
    EditMethod,
    GuidanceScale,
    Interpolation,
    JobId,
    LearningSteps,
    LiveName,
    MemoryBytes,
    ModelId,
    OptionalJobId,
    PictureShown,
    Prompt,
    Scheduler,
    Seed,
    Sequence,
    Speed,
    Stage,
    TeachMethod,
    UnitShare,
    UpscalerId,
    WorkerNumber,
    WorkerState,
)
from .layered import Layered
from .limits import (
    MAX_ADAPTERS,
    MAX_CONTROLS,
    MAX_EXAMPLES,
    MAX_FACTOR,
    MAX_FEATHER_PX,
    MAX_HARMONISING,
    MAX_ID_CHARACTERS,
    MAX_LEARNING_STEPS,
    MAX_LEFT_OUT,
    MAX_LORAS,
    MAX_MODELS,
    MAX_NAMES,
    MAX_PROMPT_CHARACTERS,
    MAX_RANK,
    MAX_REFERENCES,
    MAX_REGIONS,
    MAX_REPORT_CHARACTERS,
    MAX_SIDE_PX,
    MAX_STEPS,
    MAX_TAUGHT_WORD_CHARACTERS,
    MAX_TEACHING_MIN,
    MAX_UNDER_PX,
    MAX_UPSCALERS,
    MAX_WEIGHT,
    MAX_WORD_VECTORS,
    MAX_WORKERS,
    MIN_RANK,
    MIN_WEIGHT,
)
from .pixels import NO_MARGINS, Bounds, Margins, PixelsRef, Point, Sha256, Side
from .sentences import NO_ADVICE, Sentence

MESSAGES: dict[str, type[Message]] = {}
"""Every kind of message by its name on the wire."""


class Message:
    """The base of all messages; a subclass names its kind on the wire."""

    kind: ClassVar[str]

    def __init_subclass__(cls, *, kind: str) -> None:
        cls.kind = kind
        MESSAGES[kind] = cls


# --- parts ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Region:
    """A prompt and where it holds: a mask (255 = this region, less = a smaller share) in `bounds`.

    negative_prompt, guidance_scale, seed   the picture's own where they are None
    weight    against other regions where they share cells; 2 counts twice as much as 1
    fit       "tight": the first steps show it nothing but its own mask, so that it fills the mask;
              "loose": the mask is a rough hint, and what it shows finds its own outline
    strength  against what is painted: 1 ignores `paint`, 0 keeps it, between is a start from it
    paint     the layer's own colours, RGBA, filling `bounds`; needed for a strength below 1
    source_prompt   "edit": what the picture shows here now; None: what `prompt` says
    loras     for this region alone; one that the picture has too counts with this weight here
    controls  for this region alone, besides the picture's
    """

    prompt: Prompt
    bounds: Bounds
    mask: PixelsRef
    negative_prompt: Prompt | None = None
    guidance_scale: GuidanceScale | None = None
    weight: Annotated[float, Between(MIN_WEIGHT, MAX_WEIGHT)] = 1.0
    seed: Seed | None = None
    fit: Literal["tight", "loose"] = "tight"
    strength: UnitShare = 1.0
    paint: PixelsRef | None = None
    source_prompt: Prompt | None = None
    loras: Annotated[tuple[Lora, ...], MaxLength(MAX_LORAS)] = ()
    controls: Annotated[tuple[Control, ...], MaxLength(MAX_CONTROLS)] = ()


@dataclass(frozen=True)
class Selection:
    """What is painted anew: a mask (255 = wholly, less = shows through) that fills `bounds`."""

    bounds: Bounds
    mask: PixelsRef


@dataclass(frozen=True)
class Expert:
    """Settings that a picture seldom needs: the command line has them, the docker does not.

    overlap   "occlude": an upper region hides a lower one; "blend": both are averaged
    bootstrapping       the share of the steps in which a tight region sees only its own mask
    windows   "overlap": fixed windows, `stride_px` apart; "shift": windows side by side that move
              at every step
    stride_px           from window to window, pixels; 0: what the speed says
    window_weighting    how the weight of a window falls towards its edges
    fusion    where fixed windows overlap: "mean" of their predictions, or "factors" (DiffCollage):
              each counts once, and what two of them share is predicted too and subtracted
    framing   "window": a model with size conditioning takes each window as a picture of its
              own; "canvas": where it lies in the whole one
    anchor    a point in the window whose look the others take on; None: the middle of the canvas
    grounding           the share of the steps in which a model with boxes (GLIGEN) gets
              where each region lies; 0: not at all
    """

    overlap: Literal["occlude", "blend"] = "occlude"
    bootstrapping: UnitShare = 0.8
    windows: Literal["overlap", "shift"] = "overlap"
    stride_px: Annotated[int, Between(0, MAX_SIDE_PX)] = 0
    window_weighting: Literal["linear", "flat", "gaussian"] = "linear"
    fusion: Literal["mean", "factors"] = "mean"
    framing: Literal["window", "canvas"] = "window"
    anchor: Point | None = None
    grounding: UnitShare = 0.0


NO_EXPERT = Expert()


@dataclass(frozen=True)
class Edit:
    """How a picture is edited with words; what it shall become is what the prompts say.

    method    "diffedit" finds where the words differ, and paints there alone; "p2p" keeps the
              shapes (Prompt-to-Prompt); "ddib" turns the whole from one prompt to another;
              "instruct" does what the prompts say, with a model that follows instructions;
              "imagic" learns the picture as what the prompt says, then lets the prompt say more
    source_prompt   what the picture shows now, where no region says more
    threshold       "diffedit" and "p2p": how clearly a place must show what is there now; 0: all of
              it changes
    map_only        the result is a map of that itself, in grey
    cross_attention, self_attention, features    "p2p": the share of the steps in which the shapes
              that words have, those that parts of the picture have with each other, and those that
              a coarse layer of the model finds, stay
    picture_scale   "instruct": how closely the picture is kept to; below 1 nothing is guided; of
              no meaning to a model that is shown pictures beside the noise
    picture_shown   "instruct", with such a model: each window is shown its own part, the whole
              picture made small, both, or nothing of it, but the references
    references      "instruct", with such a model: other pictures, RGBA, that it is shown besides,
              each as a whole, in this order
    source_model    "ddib": the model that takes the picture back to noise, without adapters; empty:
                    the same that paints
    interpolation   "imagic": from the picture as it is, 0, to all that the words say, 1, and beyond
    learning_steps  "imagic": how long the model looks at the picture; what it learned is kept
    cycle     "ddib": the result is turned back again, and how much of the picture is lost is told
    """

    method: EditMethod = "diffedit"
    source_prompt: Prompt = ""
    threshold: UnitShare = 0.5
    map_only: bool = False
    cross_attention: UnitShare = 0.4
    self_attention: UnitShare = 0.4
    features: UnitShare = 0.8
    picture_scale: GuidanceScale = 1.2
    picture_shown: PictureShown = "window"
    references: Annotated[tuple[PixelsRef, ...], MaxLength(MAX_REFERENCES)] = ()
    source_model: ModelId = ""
    cycle: bool = False
    interpolation: Interpolation = 0.7
    learning_steps: LearningSteps = 300


EDIT_STRENGTHS: Mapping[EditMethod, float] = {
    "diffedit": 0.8,
    "p2p": 1.0,
    "ddib": 1.0,
    "instruct": 1.0,
    "imagic": 1.0,
}
"""How far each method goes back where nothing else is said: what becomes of a place shall be free
of what was there (DiffEdit: the paper's value), or keep its shapes."""


@dataclass(frozen=True)
class Teach:
    """What a model is taught from pictures, as which word.

    word      as prompts will say it, such as "my wool"
    examples  pictures, RGBA: what is transparent in them is not learned
    like      words that the model knows for what is near to it; the word begins there, and what
              they mean is not forgotten
    method    "lora": small changes of the attention layers (DreamBooth, with a LoRA); "word": the
              word's vectors alone (textual inversion); "attention": the layers that read the text,
              and the word (Custom Diffusion); "key-locked": a rank-one change of these that opens
              for the word alone (Perfusion)
    minutes   how long, besides loading and the last picture; 0: what was learned so far becomes
              the file
    rank      of the changes, "lora" and "attention"
    vectors   of the word, but for "lora", which takes the words as they are
    flips, turns, light    whether the examples are also shown mirrored, turned a little, and a
              little lighter and darker
    licence   what the artist says about the use of what is made with it, for the file's card
    """

    word: Annotated[str, MaxLength(MAX_TAUGHT_WORD_CHARACTERS)]
    examples: Annotated[tuple[PixelsRef, ...], MaxLength(MAX_EXAMPLES)]
    like: Prompt = ""
    method: TeachMethod = "lora"
    minutes: Annotated[float, Between(0.0, MAX_TEACHING_MIN)] = 10.0
    rank: Annotated[int, Between(MIN_RANK, MAX_RANK)] = 8
    vectors: Annotated[int, Between(1, MAX_WORD_VECTORS)] = 4
    flips: bool = True
    turns: bool = False
    light: bool = False
    licence: Annotated[str, MaxLength(MAX_PROMPT_CHARACTERS)] = ""


@dataclass(frozen=True)
class Request:
    """Everything that decides a picture. The same request gives the same picture.

    task      "generate" paints the whole canvas; "extend" grows it by `margins` and paints there;
              "refine" paints over the selection, starting from what is there; "fill" paints
              something new into it; "upscale" makes the whole picture larger and paints over it;
              "edit" changes what other words name, in the selection or everywhere; "recognise"
              makes no picture, but says which words fit what each region shows; "teach" teaches
              the model a word, and shows what it paints for it, in a picture of this size
    height, width   the canvas before it is extended or upscaled, pixels
    prompt    for everything that no region covers
    style     added to every prompt, of regions and background alike
    regions   topmost first, in coordinates of the canvas before it is extended or upscaled
    feather_px      softens the outlines of all regions, and of the selection
    image     all tasks but "generate": the flattened picture, RGBA, height x width
    selection       "refine", "fill" and "edit": where
    strength  "refine": 0 leaves everything as it is, 1 starts from nothing; "upscale": 0 only
              enlarges; "edit": the share of the steps that are taken back
    edit      "edit": how
    teach     "teach": what, and how
    names     "recognise": words that are compared for every region, besides its own prompt; a
              region without a prompt is compared with the materials that the model lists, too
    factor    "upscale": how many times as high and as wide the picture becomes
    upscaler  "upscale": the network that enlarges, by its name in the welcome's list; empty: a
              filter
    continue_regions    "extend": whether a region that touches an edge that grows goes on beyond it
    under_px  "extend": how far the new part goes on underneath the old picture
    harmonise "fill" and "extend": how many times the steps in the middle are taken back and again,
              so that new and old fit; each takes up to two thirds of the time more; 0: none
    wrap      the left and right edge continue each other (360 degrees), after an extension as well
    composition     how firmly a canvas higher than a window keeps to a small draft; 0: no draft
    coherence       how firmly new windows all keep to the look of one of them; 0: not at all
    melt      "generate": above 0 all layers are painted together, as one picture from their own
              paint, and by this much the words of each look at what it covers; 0: each by itself
    speed     "quality" leaves nothing out; "balanced" and "fast" some windows and some guidance
    step_cache      transformers, in windows that do not move: a window's region that changes by no
              more than this share since it was last evaluated whole is evaluated as far as the
              first block; 0: all are evaluated whole
    clip_skip       layers of CLIP that are left out at the end; others count from one more
    model     an id out of the welcome's list, never a path
    loras     small changes of the model, for the whole picture
    controls  pictures that say what shall be where, for the whole picture
    layered   whether the result also gives each tight region's own picture
    live      the name of a document that is painted live: what did not change since the last
              request of this name that was finished stays as it is there; empty: not live
    quick     paint in few steps, by the LoRA that the model has for that; its numbers of steps,
              its guidance and its scheduler are that LoRA's then
    expert    what has a good default for every picture
    """

    task: Literal["generate", "extend", "refine", "fill", "upscale", "edit", "recognise", "teach"]
    height: Side
    width: Side
    prompt: Prompt = ""
    negative_prompt: Prompt = ""
    style: Prompt = ""
    regions: Annotated[tuple[Region, ...], MaxLength(MAX_REGIONS)] = ()
    feather_px: Annotated[int, Between(0, MAX_FEATHER_PX)] = 0
    margins: Margins = NO_MARGINS
    image: PixelsRef | None = None
    selection: Selection | None = None
    strength: UnitShare = 0.5
    factor: Annotated[float, Between(1.0, MAX_FACTOR)] = 2.0
    upscaler: UpscalerId = ""
    continue_regions: bool = True
    under_px: Annotated[int, Between(0, MAX_UNDER_PX)] = 0
    harmonise: Annotated[int, Between(0, MAX_HARMONISING)] = 0
    wrap: bool = False
    composition: UnitShare = 0.5
    coherence: UnitShare = 0.5
    melt: UnitShare = 0.0
    speed: Speed = "quality"
    step_cache: UnitShare = 0.0
    seed: Seed = 0
    scheduler: Scheduler = "checkpoint"
    num_inference_steps: Annotated[int, Between(1, MAX_STEPS)] = 20
    guidance_scale: GuidanceScale = 5.0
    clip_skip: ClipSkip = 0
    model: ModelId = "sample"
    loras: Annotated[tuple[Lora, ...], MaxLength(MAX_LORAS)] = ()
    controls: Annotated[tuple[Control, ...], MaxLength(MAX_CONTROLS)] = ()
    layered: bool = False
    live: LiveName = ""
    quick: bool = False
    edit: Edit | None = None
    teach: Teach | None = None
    names: Annotated[tuple[Prompt, ...], MaxLength(MAX_NAMES)] = ()
    expert: Expert = NO_EXPERT

    @property
    def blobs(self) -> tuple[PixelsRef, ...]:
        """Every picture and mask the request refers to."""
        single = (self.image, self.selection.mask if self.selection else None)
        regions = (blob for region in self.regions for blob in (region.mask, region.paint))
        controls = (control.image for control in self.all_controls)
        examples = self.teach.examples if self.teach else ()
        references = self.edit.references if self.edit else ()
        blobs = (*single, *regions, *controls, *examples, *references)
        return tuple(blob for blob in blobs if blob)

    @property
    def all_prompts(self) -> tuple[str, ...]:
        """Whatever is read, wished for or not."""
        regions = (
            (region.prompt, region.negative_prompt or "", region.source_prompt or "")
            for region in self.regions
        )
        source = self.edit.source_prompt if self.edit else ""
        return sum(regions, (self.prompt, self.negative_prompt, self.style, source, *self.names))

    @property
    def all_loras(self) -> tuple[Lora, ...]:
        """Those of the picture and of its regions."""
        return sum((region.loras for region in self.regions), self.loras)

    @property
    def all_controls(self) -> tuple[Control, ...]:
        """Those of the picture and of its regions."""
        return sum((region.controls for region in self.regions), self.controls)


@dataclass(frozen=True)
class ModelInfo:
    """A model the backend can load."""

    id: ModelId
    name: Annotated[str, MaxLength(MAX_ID_CHARACTERS)]
    window_px: Side
    """The size at which the model paints best; a canvas larger than this takes several windows."""
    family: FamilyName = ""
    """By which its adapters are known."""
    follows_instructions: bool = False
    """Whether it does with a picture what it is told."""
    only_instructions: bool = False
    """Whether it paints nothing else."""
    references: Annotated[int, Between(0, MAX_REFERENCES)] = 0
    """Pictures that it can be shown at once beside what it paints."""
    step_cache: bool = False
    """Whether its windows can remember what they were from step to step."""
    quick: bool = False
    """Whether it has a LoRA of its own for few steps."""


# --- client -> server -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Hello(Message, kind="hello"):
    """The first message on a connection."""

    protocol: Annotated[int, Between(0, 1_000_000)]
    version: Annotated[str, MaxLength(40)]


@dataclass(frozen=True)
class Submit(Message, kind="submit"):
    """Run this request. The client makes the id, so sending it twice runs it once."""

    job_id: JobId
    request: Request


@dataclass(frozen=True)
class Cancel(Message, kind="cancel"):
    """Stop this job; the only way to stop one, a lost connection does not."""

    job_id: JobId


@dataclass(frozen=True)
class Resume(Message, kind="resume"):
    """After a reconnect: tell me what I have missed of these jobs.

    seen   the last sequence that arrived of each job; 0 where none is given
    """

    job_ids: Annotated[tuple[JobId, ...], MaxLength(64)]
    seen: Annotated[tuple[Sequence, ...], MaxLength(64)] = ()


@dataclass(frozen=True)
class Acknowledge(Message, kind="acknowledge"):
    """The end of this job has arrived; the server may let it go, and remembers only its id."""

    job_id: JobId


# --- server -> client -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Welcome(Message, kind="welcome"):
    """The answer to a hello.

    left_out   sentences about models, adapters and upscalers that were found and cannot be used
    upscalers  networks that enlarge pictures
    """

    protocol: Annotated[int, Between(0, 1_000_000)]
    version: Annotated[str, MaxLength(40)]
    models: Annotated[tuple[ModelInfo, ...], MaxLength(MAX_MODELS)]
    adapters: Annotated[tuple[AdapterInfo, ...], MaxLength(MAX_ADAPTERS)] = ()
    left_out: Annotated[tuple[Sentence, ...], MaxLength(MAX_LEFT_OUT)] = ()
    upscalers: Annotated[tuple[UpscalerId, ...], MaxLength(MAX_UPSCALERS)] = ()


@dataclass(frozen=True)
class Learned(Message, kind="learned"):
    """Adapters that have come since the welcome: what a model was taught."""

    adapters: Annotated[tuple[AdapterInfo, ...], MaxLength(MAX_ADAPTERS)]


@dataclass(frozen=True)
class Need(Message, kind="need"):
    """Send these blobs, then the job can start."""

    job_id: JobId
    sha256s: Annotated[
        tuple[Sha256, ...],
        MaxLength(2 * MAX_REGIONS + MAX_CONTROLS + MAX_EXAMPLES + MAX_REFERENCES),
    ]
    sequence: Sequence = 0


@dataclass(frozen=True)
class Accepted(Message, kind="accepted"):
    """The job is in the queue; `ahead` jobs run before it."""

    job_id: JobId
    ahead: Annotated[int, Between(0, 1_000_000)]
    sequence: Sequence = 0


@dataclass(frozen=True)
class Backend(Message, kind="backend"):
    """The state of a worker, or of all of them as one, for the artist to see.

    memory_bytes   of its device; 0 where that is not known, and for several
    """

    state: WorkerState
    device: Device = ""
    memory_bytes: MemoryBytes = 0


@dataclass(frozen=True)
class WorkerInfo:
    """One worker, for the artist to see.

    node      the computer of the cluster that it is on; empty: the server's own
    job_id    what it paints, or helps with; empty: nothing
    is_helping   another worker's job
    """

    node: Device
    device: Device
    memory_bytes: MemoryBytes
    state: WorkerState
    job_id: OptionalJobId = ""
    is_helping: bool = False


@dataclass(frozen=True)
class Workers(Message, kind="workers"):
    """All workers, local ones first; told by a server with a cluster whenever it changes.

    dashboard   where the cluster's own pages are; empty: nowhere
    """

    workers: Annotated[tuple[WorkerInfo, ...], MaxLength(MAX_WORKERS)]
    dashboard: Device = ""


@dataclass(frozen=True)
class Progress(Message, kind="progress"):
    """One step of a job is done; steps is 0 while their number is not known."""

    job_id: JobId
    stage: Stage
    step: Annotated[int, Between(0, MAX_LEARNING_STEPS)]
    steps: Annotated[int, Between(0, MAX_LEARNING_STEPS)]
    sequence: Sequence = 0


@dataclass(frozen=True)
class Preview(Message, kind="preview"):
    """How the picture looks at this step, small."""

    job_id: JobId
    pixels: PixelsRef
    sequence: Sequence = 0


@dataclass(frozen=True)
class Result(Message, kind="result"):
    """A finished picture, RGBA.

    pixels    generate: the canvas; extend: the grown canvas, transparent where the old picture is;
              refine, fill and edit: transparent where nothing has changed; upscale: the larger
              picture; recognise: one transparent pixel; teach: what the word means now
    bounds    where it lies, in coordinates of the document before extension; upscale: in those of
              the larger picture
    report    JSON: the plan, seed, model, windows, evaluations, seconds, memory; recognise: what
              fits each region, as `recognised`
    layered   the same as a group of layers, where it was asked for and there are tight regions
    """

    job_id: JobId
    pixels: PixelsRef
    bounds: Bounds
    seed: Seed
    report: Annotated[str, MaxLength(MAX_REPORT_CHARACTERS)]
    sequence: Sequence = 0
    layered: Layered | None = None


@dataclass(frozen=True)
class Failed(Message, kind="failed"):
    """The job (or, with an empty id, the connection) failed: what happened and what to do."""

    job_id: OptionalJobId
    code: ErrorCode
    message: Sentence
    advice: Sentence = NO_ADVICE
    sequence: Sequence = 0


@dataclass(frozen=True)
class Cancelled(Message, kind="cancelled"):
    """The job was stopped because the client asked for it."""

    job_id: JobId
    sequence: Sequence = 0


@dataclass(frozen=True)
class Remark(Message, kind="remark"):
    """Something the artist should know; no job has failed."""

    message: Sentence
    advice: Sentence = NO_ADVICE


# --- between server and worker --------------------------------------------------------------------


@dataclass(frozen=True)
class Heartbeat(Message, kind="heartbeat"):
    """I am alive; both sides say it once a second."""


@dataclass(frozen=True)
class SiblingDevices(Message, kind="sibling_devices"):
    """A worker has found devices like its own, on which other workers may paint."""

    devices: Annotated[tuple[Device, ...], MaxLength(64)]


@dataclass(frozen=True)
class Run(Message, kind="run"):
    """Do this job now; its blobs were sent before.

    helpers   workers of the same cluster that wait to take a share of each step
    most_rows of a batch that goes through the model, so that it is divided alike on one worker and
              on several; 0: as many as the model takes
    """

    job_id: JobId
    request: Request
    helpers: Annotated[tuple[WorkerNumber, ...], MaxLength(MAX_WORKERS)] = ()
    most_rows: Annotated[int, Between(0, MAX_STEPS)] = 0


@dataclass(frozen=True)
class Lacks(Message, kind="lacks"):
    """The worker's computer has not all that the job needs: another one is to do it.

    names   models, adapters and upscalers that are not there under this or another name
    """

    job_id: JobId
    names: Annotated[tuple[ModelId, ...], MaxLength(MAX_ADAPTERS)]


@dataclass(frozen=True)
class Joined(Message, kind="joined"):
    """A worker of a cluster is new; what it says comes next.

    node        the computer that it is on
    dashboard   as in `Workers`
    """

    node: Device
    dashboard: Device = ""


@dataclass(frozen=True)
class Left(Message, kind="left"):
    """A worker of a cluster is gone, and will not come back."""
