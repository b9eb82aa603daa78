"""Painting live: a picture of the same document paints only what changed since the last one.

What did not change keeps the latents that it had at the end of the last pass. At every step the
windows that are left see them at that step's noise level, as they see a known picture (Blended
Latent Diffusion, Avrahami et al. 2023), so that what is new goes on from what is there, and nothing
else moves. The last few passes are kept, so that what is undone comes back as it was.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from weakref import ref

import torch
from torch import Tensor
from torch.nn import functional

from tapestry_protocol.messages import Request

from ..engine.layers import MARGIN, Layers, dilated
from ..engine.regions import PixelShare
from ..engine.sampling import Preserved
from ..engine.windows import Size, crop, paste
from ..models.denoiser import Denoiser
from .canvas_source import CanvasSource
from .decoding import LESSER_HALO_CELLS, compose_layers, decode_cells, in_pixels, parts_of
from .denoising_pass import Texts
from .own_paint import OwnPaint
from .plan import Plan, RegionPlan

_SAME = 1e-4
"""Shares of a cell that differ by less are the same; one pixel of a cell's 64 is 0.016."""

_SAME_COLOUR = 1 / 512
"""Half a level of 8 bits."""

_MOST = 0.75
"""When more of the canvas than this would be new, all of it is painted anew: it costs no more."""


_KEPT_PASSES = 4
_KEPT_BYTES = 512 * 1024**2
"""Of the passes before the last one, so that what is undone comes back as it was."""


@dataclass(frozen=True)
class LivePass:
    """What the last pass over a live document left behind.

    latents    [L, C, h, w]: a row for each of the `layers`
    plain      [1, 3, H, W] in 0..1: what the fused latents were decoded to
    pixels     the same with the regions' outlines drawn into it
    """

    plan: Plan
    source: CanvasSource
    texts: Texts
    layers: Layers
    latents: Tensor
    plain: Tensor
    pixels: Tensor

    @property
    def kept_bytes(self) -> int:
        """Memory of what grows with the canvas, or more: passes share what did not change."""
        source = self.source
        tensors = [self.latents, self.plain, self.pixels, source.weights, source.preserve_until]
        tensors += [paint.pixels for paint in source.paints if paint is not None]
        if source.pixels is not None:
            tensors.append(source.pixels)
        return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


class LivePasses:
    """The last passes over a live document, of the one that was painted last."""

    def __init__(self) -> None:
        self._passes: list[LivePass] = []
        self._model: ref[Denoiser] | None = None

    def remember(self, last: LivePass, model: Denoiser) -> None:
        """Remember what a pass left, for the next ones over the same document."""
        is_same = self._model is not None and self._model() is model
        earlier = [each for each in self._passes if is_same and _are_alike(each, last.plan)]
        kept, room = [last], _KEPT_BYTES
        for each in reversed(earlier):
            room -= each.kept_bytes
            if room < 0 or len(kept) > _KEPT_PASSES:
                break
            if each.plan.request != last.plan.request:
                kept.insert(0, each)
        self._passes, self._model = kept, ref(model)

    def forget(self) -> None:
        """Let the passes go: each is as large as several pictures."""
        self._passes, self._model = [], None

    def before(self, plan: Plan, model: Denoiser) -> LivePass | None:
        """The pass of the same request, else the last one, if nothing but its regions differs."""
        if self._model is None or self._model() is not model:
            return None  # a model that was loaded again reads texts anew
        same = [each for each in self._passes if each.plan.request == plan.request]
        last = (same or self._passes)[-1]
        return last if _are_alike(last, plan) else None

    def update_of(self, plan: Plan, source: CanvasSource, model: Denoiser) -> LiveUpdate | None:
        """What a request paints after the last one; None where all of it has to be painted."""
        last = self.before(plan, model)
        if last is None or bool(source.known.any()):
            return None
        others = [each for each in self._passes if each is not last]
        self._passes = [*others, last]  # what is undone is what the next stroke goes on from
        rows = _matched(plan.regions, last.plan.regions)
        changed = _changed_cells(source, last.source, rows)
        free = dilated(changed[None].float(), MARGIN, wrap=plan.request.wrap)[0] > 0
        if float(free.float().mean()) > _MOST:
            return None
        return LiveUpdate(last, rows, free)


@dataclass(frozen=True)
class LiveUpdate:
    """What changed since the last pass.

    rows    for each region its number in the last request; None for a region that is new
    free    [h, w] bool: the cells that are painted: what changed, and a margin around it
    """

    last: LivePass
    rows: tuple[int | None, ...]
    free: Tensor

    @property
    def share(self) -> float:
        """Of the canvas, that is painted."""
        return float(self.free.float().mean())

    def restrict(self, source: CanvasSource) -> CanvasSource:
        """The same canvas, of which nothing but the free cells is painted."""
        unchanged = (~self.free).repeat_interleave(source.cell_px, 0)
        unchanged = unchanged.repeat_interleave(source.cell_px, 1)
        pixels = self.last.pixels
        if source.pixels is not None:
            pixels = torch.where(unchanged, pixels, source.pixels)
        until = torch.where(unchanged, 1.0, source.preserve_until)
        return replace(source, pixels=pixels, preserve_until=until, follow=None)

    def preserve_unchanged(self, preserved: Preserved | None, layers: Layers) -> Preserved:
        """The last pass' latents in each row, where nothing is painted; `preserved` elsewhere."""
        last = self.last
        before = last.layers.fused(last.latents).repeat(layers.count, 1, 1, 1)
        for row, was in zip(layers.rows, self.rows, strict=True):
            if row and was is not None and last.layers.rows[was]:
                before[row] = last.latents[last.layers.rows[was]]
        if layers.count > 1:
            before[0] = last.latents[0]
        free = self.free.to(before.device)
        if preserved is None:
            return Preserved(before, (~free).float())
        until = torch.where(free, preserved.until.expand(layers.count, 1, *free.shape), 1.0)
        return Preserved(torch.where(free, preserved.latents.expand_as(before), before), until)


def decode_update(
    model: Denoiser,
    latents: Tensor,
    layers: Layers,
    update: LiveUpdate,
    shares: Sequence[PixelShare],
    preserved: Mapping[int, OwnPaint],
    *,
    wrap: bool,
) -> tuple[Tensor, Tensor]:
    """`LivePass.plain` and `LivePass.pixels` of latents [L, C, h, w]: new where an update reaches.

    shares, preserved: as in `compose_layers`
    """
    last, fused = update.last, layers.fused(latents)
    cell_px = last.plain.shape[-1] // latents.shape[-1]
    near = dilated(update.free[None].float(), LESSER_HALO_CELLS, wrap=wrap)[0] > 0
    plain, area = last.plain.clone(), torch.zeros(last.plain.shape[-2:], dtype=torch.bool)
    for part in parts_of(near, max(near.shape)):
        decoded = decode_cells(model, fused, part, wrap=wrap, halo=LESSER_HALO_CELLS)
        paste(plain, in_pixels(part, cell_px), decoded)
        crop(area, in_pixels(part, cell_px)).logical_not_()  # parts do not overlap
    pixels = plain.clone()
    if layers.count > 1:
        compose_layers(model, latents, layers, shares, pixels, area, wrap=wrap, preserved=preserved)
    return plain, torch.where(area, pixels, last.pixels)


def preview_update(rough: Tensor, update: LiveUpdate) -> Tensor:
    """The last picture [1, 3, H, W] in 0..1, and a rough one where it is painted anew.

    rough [1, 3, h, w] in -1..1, one pixel per cell
    """
    last = update.last.pixels
    new = functional.interpolate(rough.cpu().float() / 2 + 0.5, last.shape[-2:], mode="bilinear")
    free = functional.interpolate(update.free[None, None].float(), last.shape[-2:], mode="nearest")
    return torch.where(free > 0, new.clamp(0, 1), last)


def _are_alike(last: LivePass, plan: Plan) -> bool:
    """Whether a pass and a plan differ in nothing but their regions."""
    return _without_regions(last.plan.request) == _without_regions(plan.request)


def _without_regions(request: Request) -> Request:
    return replace(request, regions=())


def _matched(regions: Sequence[RegionPlan], before: Sequence[RegionPlan]) -> tuple[int | None, ...]:
    """For each region the number that it had before, the background being the background.

    Of several that ask for the same, the first is the first, and so on.
    """
    numbers = {name: number for number, name in enumerate(_names(before[:-1]))}
    return (*(numbers.get(name) for name in _names(regions[:-1])), len(before) - 1)


def _names(regions: Sequence[RegionPlan]) -> list[Hashable]:
    """What tells regions apart: what they ask for, and which of those that ask for it they are."""
    seen: Counter[RegionPlan] = Counter()
    names: list[Hashable] = []
    for region in regions:
        names.append((region, seen[region]))
        seen[region] += 1
    return names


def _changed_cells(
    source: CanvasSource, before: CanvasSource, rows: Sequence[int | None]
) -> Tensor:
    """[h, w] bool: cells whose regions, shares or paint are others than before."""
    changed = _newly_preserved(source, before)
    for gone in set(range(len(before.weights))) - set(rows):
        changed |= before.weights[gone] > _SAME
    for region, row in enumerate(rows):
        weight = source.weights[region]
        if row is None:
            changed |= weight > _SAME
            continue
        changed |= (weight - before.weights[row]).abs() > _SAME
        painted = _repainted(source.paints[region], before.paints[row], source)
        changed |= painted & (weight > _SAME)
    return changed


def _repainted(now: OwnPaint | None, before: OwnPaint | None, source: CanvasSource) -> Tensor:
    """[h, w] bool: where a region's own paint has other colours."""
    if now is None and before is None:
        return torch.zeros(source.size, dtype=torch.bool)
    if now is None or before is None:
        return torch.ones(source.size, dtype=torch.bool)
    painted, painted_before = (_on_canvas(paint, source.size) for paint in (now, before))
    return _differ(painted, painted_before, source.cell_px)


def _on_canvas(paint: OwnPaint, size: Size) -> Tensor:
    canvas = torch.zeros(1, 3, *(side * paint.cell_px for side in size))
    paste(canvas, in_pixels(paint.place, paint.cell_px), paint.pixels)
    return canvas


def _newly_preserved(now: CanvasSource, before: CanvasSource) -> Tensor:
    """[h, w] bool: where loose regions start from something else."""
    start, start_before = (
        torch.cat([_preserved_pixels(source), source.preserve_until[None, None]], dim=1)
        for source in (now, before)
    )
    return _differ(start, start_before, now.cell_px)


def _preserved_pixels(source: CanvasSource) -> Tensor:
    if source.pixels is None:
        return torch.zeros(1, 3, *source.preserve_until.shape)
    return source.pixels * (source.preserve_until > 0)


def _differ(one: Tensor, other: Tensor, cell_px: int) -> Tensor:
    """[h, w] bool: cells in which two pictures [1, C, H, W] are not the same."""
    differ = (one - other).abs().amax(dim=1, keepdim=True) > _SAME_COLOUR
    return functional.max_pool2d(differ.float(), cell_px)[0, 0] > 0
