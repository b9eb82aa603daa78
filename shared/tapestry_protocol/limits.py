"""Every number that bounds something on the wire, each with its reason."""

KIB = 1024
MIB = 1024 * KIB

MAX_TEXT_FRAME_BYTES = 1024 * KIB
"""A submit with 32 regions and full prompts in any script fits; nothing larger is ever honest."""

MAX_CHUNK_BYTES = 1 * MIB
"""Pixels travel in chunks of this size, so that no event loop is held by a single frame."""

MAX_FRAME_BYTES = MAX_CHUNK_BYTES + 64
"""A chunk with its header is the largest frame there is."""

MAX_SIDE_PX = 32_768
"""Twice the longest canvas we promise (16,384); keeps every product of sides below 2**31."""

MAX_CANVAS_PX = 64 * 1024 * 1024
"""64 megapixels: 256 MiB as RGBA, the largest picture a small machine can hold several times."""

MAX_BLOB_BYTES = 4 * MAX_CANVAS_PX
"""One RGBA picture of the largest canvas."""

MAX_LAYERS_BYTES = 2 * MAX_BLOB_BYTES
"""All layers of a result together; one whose layers are larger comes as a single picture."""

MAX_STAGED_BYTES = 2 * MAX_BLOB_BYTES
"""All blobs that a server holds for jobs that have not ended."""

SPILL_PX = 64
"""Paint that reaches no further beyond an edge that grows, nor beyond half of what is added, is a
brush that ran over the edge; what reaches further says itself where the region ends."""

MAX_REGIONS = 32
"""More regions than a painter can tell apart; bounds the evaluations of one step."""

MAX_NAMES = 64
"""Names that are compared at once; each costs two evaluations for every window at least."""

MAX_REFERENCES = 4
"""Pictures that a model is shown at once beside what it paints; each costs as much as a window."""

MAX_CLIP_SKIP = 11
"""Layers of CLIP that may be left out; the smallest of the known encoders has twelve."""

MAX_PROMPT_CHARACTERS = 2_000
"""Text encoders read some 75 words; whatever is longer than this is not a prompt."""

MAX_EXAMPLES = 32
"""Pictures that a model is taught from at once: a handful is what the methods are made for."""

MAX_TAUGHT_WORD_CHARACTERS = 40
"""Of a word that a model is taught: it becomes a file's name."""

MAX_TEACHING_MIN = 24 * 60
"""Minutes that a model is taught; bounds the length of a job."""

MIN_RANK, MAX_RANK = 4, 32
"""Of a LoRA that is taught: below, nothing is learned; above, nothing more."""

MAX_WORD_VECTORS = 16
"""Vectors of a word: each takes the place of one of a prompt's 75 tokens."""

MAX_STEPS = 200
"""No scheduler gains from more; bounds the length of a job."""

MAX_GUIDANCE_SCALE = 50.0
"""Beyond 30 every model burns out; leaves room for the curious."""

MIN_WEIGHT, MAX_WEIGHT = 0.01, 100.0
"""A region's say against others: beyond a hundred to one, more shows nothing."""

MAX_FEATHER_PX = 512
"""Softer than half a large window is no outline any more."""

MAX_UNDER_PX = 1_024
"""Pixels that an extension may go on underneath the old picture; soft edges are not wider."""

MAX_HARMONISING = 10
"""How many times the middle of the steps is taken again at most; more only takes longer."""

MAX_FACTOR = 8.0
"""How many times as large a picture becomes at once; what is larger is enlarged again."""

LEAST_ENLARGED_PX = 8
"""Pixels a side of a picture that becomes larger: a cell of common autoencoders."""

MAX_LEARNING_STEPS = 5_000
"""More than that many steps on one picture teach a model nothing else."""

MAX_INTERPOLATION = 1.5
"""Imagic: how far beyond the words a picture may go; farther out nothing is a picture."""

MAX_SEED = 2**32 - 1
"""Seeds are shown to people: ten digits at most."""

MAX_SEQUENCE = 2**53 - 1
"""Numbers of a server's messages about a job; whole numbers that every JSON reader keeps exact."""

MAX_ID_CHARACTERS = 200
"""Job and model ids, and devices; long enough for a UUID and for "owner/name" of a model."""

MAX_SENTENCE_CHARACTERS = 4_000
"""A message with its advice for a person to read."""

MAX_SENTENCE_VALUE_CHARACTERS = 2_000
"""A name or a list of names inside a sentence; what is longer is cut."""

MAX_SENTENCE_VALUES = 16
"""Places of a sentence; the longest ones have six."""

MAX_REPORT_CHARACTERS = 200_000
"""The report of a run as JSON; its plan names every window."""

MAX_MODELS = 500
"""Models listed in a welcome."""

MAX_ADAPTERS = 2_000
"""LoRAs, ControlNets and other adapters listed in a welcome; collectors have more than a thousand.
"""

MAX_WORKERS = 1_000
"""Workers of a server, local ones and a cluster's; a studio's cards are a few dozen."""

MAX_UPSCALERS = 200
"""Networks that enlarge, listed in a welcome; the largest collection on the web has about as many.
"""

MAX_LEFT_OUT = 100
"""Sentences in a welcome about what was found and cannot be used; the log has all of them."""

MAX_LORAS = 8
"""For one region, or for the whole picture: more of them only fight each other."""

MAX_CONTROLS = 8
"""Control pictures of one picture, those of its regions included; each is as large as a layer."""

MAX_CONTROL_TYPES = 32
"""Types that one ControlNet tells apart; the largest known has eleven."""

MAX_ADAPTER_WEIGHT = 4.0
"""LoRAs and control pictures are made for 1, and break a picture well before 4."""

MAX_JOBS_QUEUED = 64
"""Jobs waiting in a server; beyond it a submit is answered with "busy"."""

RESULTS_KEPT_S = 24 * 60 * 60
"""Seconds that a server keeps an end for a client that vanished: until the next day's work."""

MAX_RESULTS_BYTES = 2 * 1024 * MIB
"""Finished pictures on disk for clients that vanished; the oldest goes first."""

MAX_RESULTS_IN_MEMORY_BYTES = 2 * MAX_BLOB_BYTES
"""Finished pictures that no disk takes; the oldest goes first."""

MAX_RESULTS_KEPT = 1_000
"""Ends for clients that vanished, each with a report in memory; the oldest goes first."""

MAX_IDS_REMEMBERED = 10_000
"""Ids of jobs that were delivered, so that a submit that comes late does not run them again."""
