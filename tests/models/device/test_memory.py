"""What a computation may take: some of what is free, never all of it."""

import psutil
import torch

from tapestry_backend.models.device.memory import spare_bytes


def test_some_of_the_free_memory_is_ours() -> None:
    """On a machine without a GPU: a share of its own memory."""
    spare = spare_bytes(torch.device("cpu"))

    assert 0 < spare < psutil.virtual_memory().total
