"""What fields of several messages hold, with the limits that the codec checks."""

from __future__ import annotations

from typing import Annotated, Literal

from .constraints import Between, Matches, MaxLength
from .limits import (
    MAX_CLIP_SKIP,
    MAX_GUIDANCE_SCALE,
    MAX_ID_CHARACTERS,
    MAX_INTERPOLATION,
    MAX_LEARNING_STEPS,
    MAX_PROMPT_CHARACTERS,
    MAX_SEED,
    MAX_SEQUENCE,
)

Prompt = Annotated[str, MaxLength(MAX_PROMPT_CHARACTERS)]
JobId = Annotated[str, Matches(r"[0-9A-Za-z_-]{1,64}")]
OptionalJobId = Annotated[str, Matches(r"[0-9A-Za-z_-]{0,64}")]
LiveName = Annotated[str, Matches(r"[0-9A-Za-z_-]{0,64}")]
ModelId = Annotated[str, MaxLength(MAX_ID_CHARACTERS)]
UpscalerId = Annotated[str, MaxLength(MAX_ID_CHARACTERS)]
Device = Annotated[str, MaxLength(MAX_ID_CHARACTERS)]
Seed = Annotated[int, Between(0, MAX_SEED)]
Sequence = Annotated[int, Between(0, MAX_SEQUENCE)]
ClipSkip = Annotated[int, Between(0, MAX_CLIP_SKIP)]
GuidanceScale = Annotated[float, Between(0.0, MAX_GUIDANCE_SCALE)]
Interpolation = Annotated[float, Between(0.0, MAX_INTERPOLATION)]
LearningSteps = Annotated[int, Between(1, MAX_LEARNING_STEPS)]
UnitShare = Annotated[float, Between(0.0, 1.0)]
Stage = Literal[
    "queued",
    "loading",
    "encoding",
    "learning",
    "inverting",
    "comparing",
    "drafting",
    "denoising",
    "decoding",
]
Scheduler = Literal[
    "checkpoint",
    "ddim",
    "pndm",
    "euler",
    "euler_ancestral",
    "heun",
    "dpmpp_2m",
    "dpmpp_2m_karras",
    "dpmpp_2m_sde",
    "deis",
    "unipc",
    "lcm",
    "tcd",
    "flow_euler",
]
PictureShown = Literal["window", "whole", "both", "none"]
TeachMethod = Literal["lora", "word", "attention", "key-locked"]
EditMethod = Literal["diffedit", "p2p", "ddib", "instruct", "imagic"]
WorkerState = Literal["starting", "loading", "ready", "busy", "lost"]
WorkerNumber = Annotated[int, Between(1, MAX_SEQUENCE)]
MemoryBytes = Annotated[int, Between(0, MAX_SEQUENCE)]
Speed = Literal["quality", "balanced", "fast"]
