"""Draws, trains, encodes and writes a model within a given time: all in one command."""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

from . import train_autoencoder, train_diffusion
from .common import WORK, pick_device
from .draw import draw_all
from .encode import encode
from .export import assemble, write_model

# Of the time that is left after drawing; encoding and writing take the rest.
AUTOENCODER_SHARE, DIFFUSION_SHARE = 0.25, 0.85
# A graphics card is hardly used by the batches that suit a processor.
CARD_BATCHES = (128, 192)


def make(work: Path, out: Path, seconds: float, begin: Path | None, part: float) -> int:
    """Leaves the finished model in `out`, and the states to go on from in `work`; its bytes.

    begin: folder of a model whose weights are taken up where they fit
    part: how much of the usual number of pictures is drawn
    """
    begun = time.monotonic()

    def left() -> float:
        return seconds - (time.monotonic() - begun)

    draw_all(work, processes=os.cpu_count() or 1, part=part)
    batches = CARD_BATCHES if pick_device().type == "cuda" else (16, 24)
    shared = ["--work", str(work), "--steps", "1000000"]
    starts = (["--begin", str(begin / "vae")], ["--begin", str(begin)]) if begin else ([], [])
    for trained, share, batch, start in zip(
        (train_autoencoder, train_diffusion),
        (AUTOENCODER_SHARE, DIFFUSION_SHARE),
        batches,
        starts,
        strict=True,
    ):
        time_for_it = ["--seconds", str(share * left()), "--batch", str(batch)]
        trained.train(trained.arguments([*shared, *time_for_it, *start]))
        if trained is train_autoencoder:
            encode(work)
    return write_model(assemble(work), out)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=WORK)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=700)
    parser.add_argument("--begin", type=Path)
    parser.add_argument("--part", type=float, default=1.0, help="part of the pictures to draw")
    given = parser.parse_args()
    made = make(given.work, given.out, given.seconds, given.begin, given.part)
    print(f"{given.out}: {made / 1e6:.1f} MB")
