"""The loop of the paper's authors as it runs: nothing is left out, nothing is shared.

For every window of the whole canvas, one after the other, one batch: every prompt and as many times
the negative one, also where a mask is empty. Its pictures are those of `PaperLoop`, at its true
cost.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .paper import PaperLoop, PaperScene, Paths


class AuthorsLoop(PaperLoop):
    """The paper's loop; `evaluations` counts the rows that went through the model so far."""

    evaluations = 0

    def paths(self, scene: PaperScene) -> Paths:
        """Every window with every region."""
        return [(v, r) for v in range(len(scene.windows)) for r in range(len(scene.masks))]

    def guided(
        self,
        scene: PaperScene,
        paths: Paths,  # noqa: ARG002  all of them, in order
        inputs: Tensor,
        timestep: Tensor,
        *,
        shared: bool,  # noqa: ARG002  nothing ever is
    ) -> Tensor:
        """Each path's guided prediction, [K, C, h, w], one window at a time."""
        regions = len(scene.masks)
        conditions = scene.conditions[[-1] * regions + list(range(regions))]
        made = []
        for seen in inputs.split(regions):
            outputs = self.model.predict(torch.cat([seen, seen]), timestep, conditions)
            negative, wanted = outputs.to(inputs).chunk(2)
            made.append(negative + self.settings.guidance_scale * (wanted - negative))
            self.evaluations += len(outputs)
        return torch.cat(made)
