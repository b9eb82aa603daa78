"""The picture that is there already: brought to the canvas, and kept while painting on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from tapestry_protocol.messages import PixelsRef

from ..engine.extension import continue_edges, keep_map, match_colours
from ..engine.sampling import Known
from ..models.denoiser import Denoiser
from .canvas import known_picture
from .plan import Plan


@dataclass(frozen=True)
class ExistingPicture:
    """A picture to paint on from: pixels [1, 3, H, W] in 0..1 of the canvas, known [H, W] bool.

    beyond [H, W] bool is True outside the document before extension. Inside it, what is not opaque
    is not known either, but it is not ours to fill.
    """

    pixels: Tensor
    known: Tensor
    beyond: Tensor
    anchor: Known
    cell_px: int

    @classmethod
    def read(
        cls, image: PixelsRef, blobs: Mapping[str, bytes], plan: Plan, model: Denoiser
    ) -> ExistingPicture:
        """Bring the picture to the plan's canvas and encode it, its edges continued."""
        pixels, known = known_picture(image, blobs, plan)
        down, right = plan.origin_px
        beyond = torch.ones_like(known)
        beyond[down : down + image.height, right : right + image.width] = False
        latents = model.encode(continue_edges(pixels, known) * 2 - 1).float()
        keep = keep_map(known, plan.cell_px, plan.window.width).to(model.device)
        return cls(pixels, known, beyond, Known(latents, keep), plan.cell_px)

    @property
    def new_cells(self) -> Tensor:
        """[h, w] float32 on the CPU: 1 where something is to be painted."""
        return (self.anchor.keep < 1).float().cpu()

    def finish(self, decoded: Tensor) -> tuple[Tensor, Tensor]:
        """The decoded canvas with the new side's colours matched, and [H, W] bool where it is new.

        The document before extension is not part of the result: whoever inserts it leaves the
        originals alone.
        """
        matched = match_colours(decoded.cpu(), self.pixels, self.known, self.cell_px)
        return matched, self.beyond
