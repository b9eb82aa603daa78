"""When a worker that is silent, or makes no progress, is replaced.

A worker that lives says so every second. One that lives and does not get on is stuck when a step
takes much longer than those of its job before: how long a step may take depends on the machine, the
model and the canvas, so the job itself is the measure.
"""

from __future__ import annotations

from tapestry_protocol.messages import Backend, Message, Progress

SILENCE_S = 10.0
"""A worker that is ready says so every second; a busy machine may swallow a few of them."""

LOADING_SILENCE_S = 180.0
"""While torch or a model is loaded its libraries may let nothing else run, and disks are slow."""

STEP_S = 10.0
"""No step is suspicious before; so what hangs in a quick job is noticed after this long."""

TIMES_THE_MEAN = 20.0
"""A step may take this many times the mean of its job's steps before; one hiccup changes little."""

STAGE_S = 1800.0
"""Loading, decoding and first steps have nothing to compare with: half an hour is no progress."""


class Watchdog:
    """What is known of one worker's pace. All times are seconds of one steady clock."""

    def __init__(self, now_s: float) -> None:
        self._is_in_step = False
        self._heard_at_s = now_s
        self._is_busy = False
        self._is_loading = True
        self._forget_pace(now_s)

    def hear(self, message: Message, now_s: float) -> None:
        """The worker has said something."""
        self._heard_at_s = now_s
        if isinstance(message, Backend):
            self._is_loading = message.state in {"starting", "loading"}
            self._is_busy = message.state == "busy"
            self._forget_pace(now_s)
        elif isinstance(message, Progress):
            self._hear_progress(message, now_s)

    def begin_again(self, now_s: float) -> None:
        """We were away ourselves, and have heard nothing for that reason."""
        self._heard_at_s = self._progressed_at_s = now_s

    def why_exhausted(self, now_s: float) -> str:
        """Why it should be given up, in a few words; empty when it should not."""
        if now_s - self._heard_at_s > (LOADING_SILENCE_S if self._is_loading else SILENCE_S):
            return "does not answer"
        if self._is_busy and now_s - self._progressed_at_s > self._step_limit_s():
            return "does not get on"
        return ""

    def _hear_progress(self, progress: Progress, now_s: float) -> None:
        self._is_loading = progress.stage == "loading"
        is_step = progress.stage == "denoising" and progress.step > 0
        if not is_step:
            self._forget_pace(now_s)
            return
        if self._is_in_step:
            self._steps_s += now_s - self._progressed_at_s
            self._steps += 1
        self._is_in_step = progress.step < progress.steps
        self._progressed_at_s = now_s

    def _forget_pace(self, now_s: float) -> None:
        self._progressed_at_s = now_s
        self._steps_s, self._steps = 0.0, 0
        self._is_in_step = False

    def _step_limit_s(self) -> float:
        if not self._is_in_step or not self._steps:
            return STAGE_S
        return max(STEP_S, TIMES_THE_MEAN * self._steps_s / self._steps)
