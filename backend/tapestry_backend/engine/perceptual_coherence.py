"""Perceptual coherence: the gradient of LPIPS draws windows towards one of them (SyncDiffusion)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from .layers import Layers
from .noise_schedule import SamplingStep
from .style_groups import (
    Follower,
    StyleGroup,
    fade_beyond,
    nearest_window,
    window_rows,
    window_shares,
)
from .windows import Size, Window, add_at, crop

_STEPS_SHARE = 0.2
_STEP_SIZE = 20.0
_DECAY = 0.95
"""SyncDiffusion's own numbers: 10 of 50 steps, and how far they go along the gradient."""


class PerceptualCoherence:
    """Draws the clean estimates of windows towards one that looks alike to a trained eye.

    SyncDiffusion (Lee et al. 2023): the gradient of a perceptual distance (LPIPS) between decoded
    windows, in the first steps and less at each. It is taken with respect to the clean estimate,
    through the autoencoder and not through the model, and only where a window and the reference
    show the same region.

    decode     latents [1, C, h, w] -> pixels, with gradient
    distance   (pixels, pixels) -> how unlike they look, with gradient

    windows, weights, strength and anchor as in `Coherence`; weights of the fused canvas. layers: by
    which that is fused from rows of latents; None: there is one.
    """

    def __init__(
        self,
        windows: Sequence[Window],
        weights: Tensor,
        strength: float,
        decode: Callable[[Tensor], Tensor],
        distance: Callable[[Tensor, Tensor], Tensor],
        *,
        layers: Layers | None = None,
        anchor: int | None = None,
        wrap: bool = False,
    ) -> None:
        self._strength = strength
        self._decode = decode
        self._distance = distance
        self._layers = layers
        column = weights.shape[-1] // 2 if anchor is None else anchor
        blend_weight = window_shares(windows, Size(*weights.shape[-2:]), wrap=wrap)
        width = weights.shape[-1] if wrap else None
        self._groups = [
            _alike(row, weights.cpu(), nearest_window(row, column, width), blend_weight, width)
            for row in window_rows(windows)
        ]

    def __call__(self, clean: Tensor, step: SamplingStep) -> Tensor:
        """The clean estimate [L, C, H, W], moved along the gradient."""
        if self._strength == 0 or step.step_index >= _STEPS_SHARE * step.num_steps:
            return clean
        length = self._strength * _STEP_SIZE * _DECAY**step.step_index
        whole = clean if self._layers is None else self._layers.fused(clean)
        moves = torch.zeros_like(whole)
        for group in self._groups:
            wanted = self._decode(crop(whole, group.reference)).detach()
            for follower in group.followers:
                gradient = self._gradient(crop(whole, follower.window), wanted)
                blend_weight = (follower.blend_weight * follower.fade).to(clean)
                add_at(moves, follower.window, -length * gradient * blend_weight)
        return clean + moves

    def _gradient(self, latents: Tensor, wanted: Tensor) -> Tensor:
        with torch.enable_grad():
            own = latents.detach().requires_grad_()
            loss = self._distance(self._decode(own), wanted).sum()
            return torch.autograd.grad(loss, own)[0]


def _alike(
    row: Sequence[Window],
    weights: Tensor,
    reference: Window,
    blend_weight: Mapping[Window, Tensor],
    width: int | None,
) -> StyleGroup:
    """A row's windows follow its reference where both show the same region at the same place."""
    shown = crop(weights, reference)
    followers = []
    for window in row:
        if window != reference:
            same = torch.minimum(crop(weights, window), shown).sum(dim=0)
            fade = fade_beyond(window, reference, width)
            followers.append(Follower(window, same, blend_weight[window] * same, fade))
    return StyleGroup(reference, torch.ones_like(shown[0]), tuple(followers))
