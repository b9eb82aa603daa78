"""Whether there is room to teach, on the card and on the disk, told before the wait."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.messages import Teach
from tapestry_protocol.runtime import data_folder
from tapestry_protocol.sentences import Sentence, quoted

from ..models.denoiser import Denoiser
from ..models.device.memory import free_and_total_bytes
from .teaching_methods import Student
from .teaching_optimiser import Optimiser

_WITH_GRADIENT = 2 * 4
"""Bytes of a number that is learned, and of its gradient; the optimiser's moments come on top."""

_CHECKPOINTED = 1 / 6
"""Of activations is left where they are computed twice (gradient checkpointing)."""

_ALIVE = 3
"""Activations of a row that learns, in those of one that paints: all layers' stay to the end."""

_GIB = 2**30


def learning_bytes(model: Denoiser, student: Student, rows: int, optimiser: Optimiser) -> float:
    """What learning takes besides the model's weights, at the least: checkpointed, row by row."""
    return (
        tensor_bytes(student, optimiser) + min(rows, 1) * row_bytes(model) * _ALIVE * _CHECKPOINTED
    )


def tensor_bytes(student: Student, optimiser: Optimiser) -> float:
    """What is learned, with its gradients and moments."""
    numbers = sum(tensor.numel() for tensor in student.tensors.values())
    return numbers * _WITH_GRADIENT + optimiser.moment_bytes(student.tensors)


def row_bytes(model: Denoiser) -> float:
    """What one row's activations take while the model paints."""
    return float(model.row_bytes)


def check_memory(
    model: Denoiser,
    student: Student,
    entry: Any,
    teach: Teach,
    rows: int,
    optimiser: Optimiser,
) -> None:
    """Raises TapestryError when learning does not fit the device, with what would."""
    free, total = free_and_total_bytes(model.device)
    weights = 0 if model.device.type == "cpu" else entry.size_bytes
    needed = learning_bytes(model, student, rows, optimiser) + weights
    available = free if model.device.type == "cpu" else total
    if needed <= available:
        return
    without = needed - tensor_bytes(student, optimiser)
    fitting = (
        'The method "word" would fit: it changes no layer.'
        if teach.method != "word" and without <= available
        else "Choose a smaller model, or close other programs that use much memory."
    )
    raise TapestryError(
        ErrorCode.OUT_OF_MEMORY,
        Sentence(
            "To teach {model} by this method takes {needed} GiB of memory; there are {free} GiB.",
            model=quoted(entry.id),
            needed=f"{needed / _GIB:.1f}",
            free=f"{available / _GIB:.1f}",
        ),
        fitting,
    )


def check_room(path: Path, student: Student) -> None:
    """Raises TapestryError when the disk has no room for the file, or for what is half learned."""
    numbers = sum(tensor.numel() for tensor in student.tensors.values())
    for folder, needed in ((path.parent, 2 * numbers), (data_folder(), 2 * 3 * 4 * numbers)):
        there = next(each for each in (folder, *folder.parents) if each.exists())
        free = shutil.disk_usage(there).free
        if free < needed + 2**20:
            raise TapestryError(
                ErrorCode.BAD_REQUEST,
                Sentence(
                    "There is no room on the disk of {folder}: {needed} MB are needed, {free} MB "
                    "are free.",
                    folder=quoted(there),
                    needed=f"{(needed + 2**20) / 1e6:.0f}",
                    free=f"{free / 1e6:.0f}",
                ),
                "Make room there, then teach it again.",
            )
