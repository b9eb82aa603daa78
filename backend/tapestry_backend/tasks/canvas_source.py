"""A canvas before painting: regions' shares, the picture there, how long it is preserved."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional

from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.messages import Request
from tapestry_protocol.pixels import COVERED_ALPHA
from tapestry_protocol.sentences import Sentence, quoted

from ..engine.composition import drawable
from ..engine.extension import Follow, continue_edges, preserve_cells_until
from ..engine.layers import Layers
from ..engine.regions import (
    PaintedMask,
    PixelShare,
    blend,
    blended,
    lift_thin,
    occlude,
    occluded,
    row_shares,
    weigh,
)
from ..engine.sampling import Preserved
from ..engine.windows import Size
from ..models.denoiser import Denoiser
from .canvas import known_picture, painted_colours, painted_masks, placed, selected
from .finite import check_finite
from .own_paint import OwnPaint, own_paints, preserved_in_rows, preserved_paint
from .plan import Plan

_FAINT = 0.05
"""A region that is nowhere more opaque than this is hardly seen."""

_MOSTLY = 0.5
"""Whose share of a known edge is as much as this, follows it."""

_NARROW_CELLS = 3
"""A filled selection that is nowhere as wide as this goes on with what is around it, whatever the
words: beside so much that is known, they hardly count."""

_ALL = 1 - 1e-3
"""A share of a pixel that is all of it, but for rounding."""

_LEAST_PX = 3
"""A region smaller than a square of this side is hardly seen."""


@dataclass(frozen=True)
class CanvasSource:
    """A canvas of one size before anything is painted.

    weights    [N + 1, h, w]: each region's share of each cell, the background's as the last
    pixels     [1, 3, H, W] in 0..1: the picture that is there, its edges continued; None: nothing
    preserve_until    [H, W] in 0..1: the share of the steps during which a pixel is preserved; 1 is
               known to the end, 0 is free from the start
    follow     how long new cells follow the continued edges of known ones; None: not at all
    loose      [H, W] bool: pixels of loose regions that preserve their paint; None: there are none
    paints     for each region and the background the paint of its own that it starts from; empty:
               none of them has any
    preserved_paint   [1, 4, H, W]: what regions that are nothing but their paint make of the
               picture: their share of it, the last, and colours that are weighted by it; None:
               nothing
    wrap       whether its left and right edges are one
    """

    weights: Tensor
    pixels: Tensor | None
    preserve_until: Tensor
    follow: Follow | None
    cell_px: int
    loose: Tensor | None = None
    paints: tuple[OwnPaint | None, ...] = ()
    preserved_paint: Tensor | None = None
    wrap: bool = False

    @property
    def size(self) -> Size:
        """In cells."""
        return Size(*self.weights.shape[-2:])

    @property
    def known(self) -> Tensor:
        """[H, W] bool: pixels that stay as they are."""
        return self.preserve_until >= 1

    @cached_property
    def preserve_cells_until(self) -> Tensor:
        """[h, w]: `preserve_until` for whole cells, and around them."""
        return preserve_cells_until(self.preserve_until, self.cell_px, self.follow, wrap=self.wrap)

    @property
    def new_cells(self) -> Tensor:
        """[h, w] float32: 1 where something is painted."""
        return (self.preserve_cells_until < 1).float()

    @cached_property
    def new(self) -> Tensor:
        """[N + 1 or 1, h, w] float32: 1 where a region is painted, if it has a share there."""
        free = [float(paint is None or not paint.is_preserved) for paint in self.paints or (None,)]
        return torch.tensor(free)[:, None, None] * self.new_cells

    @property
    def from_noise(self) -> Tensor:
        """[N + 1 or 1, 1, 1] of 0 and 1: regions that do not start from paint of their own."""
        free = [float(paint is None) for paint in self.paints or (None,)]
        return torch.tensor(free)[:, None, None]

    @property
    def is_finished(self) -> bool:
        """Whether nothing is left to paint: the picture that is there is the answer."""
        return not bool((self.new * self.weights).any())

    @property
    def finished(self) -> Tensor:
        """[1, 3, H, W] in 0..1: the picture, where nothing is left to paint."""
        pixels = torch.zeros(1, 3, 1, 1) if self.pixels is None else self.pixels
        if self.preserved_paint is None:
            return pixels
        return self.preserved_paint[:, :3] + pixels * (1 - self.preserved_paint[:, 3:])

    @property
    def known_pixels(self) -> tuple[Tensor, Tensor]:
        """What is there already: pixels [1, 3, H, W] in 0..1, and which are known, [H, W] bool."""
        if self.preserved_paint is not None:
            return self.finished, self.known | (self.preserved_paint[0, 3] >= _ALL)
        height, width = (side * self.cell_px for side in self.size)
        pixels = torch.full((1, 3, height, width), 0.5) if self.pixels is None else self.pixels
        return pixels, self.known

    def preserved_latents(self, model: Denoiser) -> Preserved | None:
        """The picture for the sampler; None where nothing is there."""
        if self.pixels is None:
            return None
        latents = model.encode(self.pixels * 2 - 1).float()
        check_finite(latents, "encoding what is there")
        return Preserved(latents, self.preserve_cells_until.to(latents.device))

    def preserved_in_rows(
        self, preserved: Preserved | None, layers: Layers, model: Denoiser
    ) -> Preserved | None:
        """The same for each row of latents; preserved: what `preserved_latents` says."""
        if preserved is None:
            if all(paint is None for paint in self.paints):
                return None
            latents = torch.zeros(1, model.channels, *self.size, device=model.device)
            preserved = Preserved(latents, self.preserve_cells_until.to(model.device))
        if layers.count == 1:
            return preserved
        until = self._until_in_rows(layers).to(preserved.until).expand(layers.count, -1, -1, -1)
        return preserved_in_rows(Preserved(preserved.latents, until), self.paints, layers, model)

    def _until_in_rows(self, layers: Layers) -> Tensor:
        """[L or 1, 1, h, w]: `preserve_cells_until` for rows of latents.

        Loose regions' paint is in theirs only. New cells follow the colours that go on from a known
        edge in the row alone that this edge belongs to: in another one they are a foreign material.
        """
        if self.loose is None:
            return self._following_their_own(layers)
        painted = functional.max_pool2d(self.loose[None].float(), self.cell_px)[0] > 0
        foreign = painted & (self.preserve_cells_until < 1) & (layers.shares.cpu() == 0)
        return torch.where(foreign, 0.0, self.preserve_cells_until)[:, None]

    def _following_their_own(self, layers: Layers) -> Tensor:
        known = self.preserve_cells_until >= 1
        if self.follow is None or not bool(known.any()):
            return self.preserve_cells_until[None, None]
        beside = continue_edges(layers.shares.cpu()[None], known, wrap=self.wrap)[0]
        free = preserve_cells_until(self.preserve_until, self.cell_px)
        return torch.where(beside >= _MOSTLY, self.preserve_cells_until, free)[:, None]

    def scaled(self, size: Size) -> CanvasSource:
        """The same for a canvas of another size, in cells: a small draft of the whole."""
        pixels_size = (size.height * self.cell_px, size.width * self.cell_px)
        until = _scaled(self.preserve_until[None, None], pixels_size)[0, 0]
        known = _scaled(self.known[None, None].float(), pixels_size)[0, 0] > 1 - 1e-4
        free = _scaled((self.preserve_until == 0)[None, None].float(), pixels_size)[0, 0] > 0
        pixels = None if self.pixels is None else _scaled(self.pixels, pixels_size)
        return replace(
            self,
            weights=drawable(self.weights, size),
            pixels=pixels,
            loose=None
            if self.loose is None
            else _scaled(self.loose[None, None].float(), pixels_size)[0, 0] > 0,
            paints=tuple(paint and paint.scaled(self.size, size) for paint in self.paints),
            preserved_paint=None
            if self.preserved_paint is None
            else _scaled(self.preserved_paint, pixels_size),
            preserve_until=torch.where(known, 1.0, torch.where(free, 0.0, until.clamp(max=0.99))),
        )

    def over(self, draft: Tensor, share: float, where: Tensor) -> CanvasSource:
        """The same, starting from a draft [1, 3, H, W] in 0..1 where [h, w] it counts half or more.

        There, what would start from less follows the draft for a share of the steps.
        """
        pixels = draft if self.pixels is None else self.pixels
        started = self.preserve_until[None, None] > 0
        chosen = (where >= 0.5).float().repeat_interleave(self.cell_px, dim=0)
        least = share * chosen.repeat_interleave(self.cell_px, dim=1)
        return replace(
            self,
            pixels=torch.where(started, pixels, draft),
            preserve_until=torch.maximum(self.preserve_until, least),
            follow=None,
        )


@dataclass(frozen=True)
class RequestedCanvas:
    """What a request says about its canvas.

    source     the canvas before painting
    masks      of the regions, on the canvas, topmost first
    new        [H, W] in 0..1: how much of each pixel of the result is painted; None: all of it
    notices    what the artist should know: sentences
    places     [N + 1, h, w]: each region's share of each cell, where all melt together; else None
    """

    source: CanvasSource
    masks: tuple[PaintedMask, ...]
    new: Tensor | None
    notices: tuple[str, ...]
    places: Tensor | None = None


def read_canvas_source(request: Request, blobs: Mapping[str, bytes], plan: Plan) -> RequestedCanvas:
    """The plan's canvas before painting; raises TapestryError when a region has no paint on it."""
    compose = {"occlude": occlude, "blend": blend}[plan.request.expert.overlap]
    masks = painted_masks(request, blobs, plan)
    for region, mask in zip(request.regions, masks, strict=True):
        _check_seen(region.prompt, mask, plan)
    covered = compose(masks, plan.canvas, plan.cell_px)
    weights = lift_thin(weigh(covered, [region.weight for region in request.regions]))
    places = weights.clone() if request.melt else None
    if request.melt:  # one path paints everything
        weights = torch.zeros_like(weights)
        weights[-1] = 1
    pixels, until, new = _what_is_there(request, blobs, plan)
    follow = plan.follow if request.task in {"extend", "fill"} else None
    loose = until > 0 if request.image is None else None
    paints = own_paints(request, blobs, masks, plan)
    preserved = preserved_paint(visible_shares(masks, plan), paints, _size_px(plan))
    start = weights, pixels, until, follow, plan.cell_px, loose, paints, preserved
    source = CanvasSource(*start, wrap=plan.request.wrap)
    notices = _notices(request, masks, covered, plan.cell_px) + _on_narrow_fill(request, new, plan)
    return RequestedCanvas(source, tuple(masks), new, notices, places)


def pixel_shares(reading: RequestedCanvas, plan: Plan, layers: Layers) -> list[PixelShare]:
    """How much of each pixel each row of latents but the first is, on the plan's canvas."""
    importance = [region.weight for region in plan.regions]
    return row_shares(visible_shares(reading.masks, plan), layers.rows, importance, _size_px(plan))


def visible_shares(masks: Sequence[PaintedMask], plan: Plan) -> Iterator[PixelShare]:
    """How much of each pixel each region is, and then the background."""
    visible = {"occlude": occluded, "blend": blended}[plan.request.expert.overlap]
    return visible(masks, _size_px(plan))


def _size_px(plan: Plan) -> Size:
    return Size(plan.canvas.height * plan.cell_px, plan.canvas.width * plan.cell_px)


def _check_seen(prompt: str, painted: PaintedMask, plan: Plan) -> None:
    height, width = plan.canvas.height * plan.cell_px, plan.canvas.width * plan.cell_px
    top, left = max(0, -painted.top_px), max(0, -painted.left_px)
    bottom, right = max(0, height - painted.top_px), max(0, width - painted.left_px)
    if not bool((painted.mask[top:bottom, left:right] > 0).any()):
        raise TapestryError(
            ErrorCode.BAD_REQUEST,
            Sentence("The region {name} has no paint on the canvas.", name=quoted(prompt[:40])),
            "Paint where it should be, or hide its layer.",
        )


def _notices(
    request: Request, masks: Sequence[PaintedMask], covered: Tensor, cell_px: int
) -> tuple[str, ...]:
    """Sentences about regions that will hardly be seen, or not at all."""
    sentences = []
    for region, painted, weight in zip(request.regions, masks, covered, strict=False):
        name = region.prompt[:40]
        opacity = float(painted.mask.max()) / (255 if painted.mask.dtype == torch.uint8 else 1)
        least_px = _LEAST_PX if region.fit == "tight" else cell_px
        if float(weight.max()) == 0:
            sentences.append(
                Sentence(
                    "The region {name} lies wholly underneath others: nothing shows.",
                    name=quoted(name),
                )
            )
        elif float(weight.sum()) * cell_px**2 < opacity * least_px**2:
            sentences.append(
                Sentence(
                    "The region {name} is too small to show anything: paint it at least {width} "
                    "pixels wide.",
                    name=quoted(name),
                    width=2 * least_px,
                )
            )
        elif opacity < _FAINT:
            sentences.append(
                Sentence(
                    "The region {name} is painted so faintly ({share}) that it hardly shows: "
                    "raise the opacity of its layer.",
                    name=quoted(name),
                    share=f"{opacity:.0%}",
                )
            )
    return tuple(sentences)


def _on_narrow_fill(request: Request, new: Tensor | None, plan: Plan) -> tuple[str, ...]:
    """Whether the words of a fill will hardly show."""
    if request.task != "fill" or request.regions or not request.prompt.strip() or new is None:
        return ()
    side = _NARROW_CELLS * plan.cell_px
    chosen = -functional.max_pool2d(-(new > 0).float()[None, None], side, stride=1)
    if not bool((new > 0).any()) or bool(chosen.any()):
        return ()
    sentence = Sentence(
        "The selection is narrower than {count} pixels: what is around it goes on there, "
        "whatever the prompt. Paint a layer of that name over it for another material.",
        count=side,
    )
    return (sentence,)


def _what_is_there(
    request: Request, blobs: Mapping[str, bytes], plan: Plan
) -> tuple[Tensor | None, Tensor, Tensor | None]:
    """Pixels, `preserve_until` and new as in `CanvasSource` and `RequestedCanvas`."""
    if request.image is None:
        return _paint_of_regions(request, blobs, plan)
    pixels, known = known_picture(request.image, blobs, plan)
    if request.task in {"edit", "recognise"}:
        if not bool(known.any()):
            raise TapestryError(
                ErrorCode.BAD_REQUEST,
                "There is no picture: everything is transparent.",
                "Paint something, or show a layer that is hidden.",
            )
        off = _off_document(plan)
        chosen = request.selection
        new = (~off).float() if chosen is None else selected(chosen, blobs, plan)
        if request.task == "edit":  # what is transparent stays so
            new *= placed(request.image, plan.document, blobs, plan)[3] / 255
        until = (~_in_sight(new > 0, plan)).float()
    elif request.selection is None:
        until, new = known.float(), _beyond(plan)
    else:
        new = selected(request.selection, blobs, plan)
        until = _around_selection(known, new, plan)
    centred = continue_edges(pixels * 2 - 1, known, wrap=plan.request.wrap)
    return centred / 2 + 0.5, until, new


def _around_selection(known: Tensor, new: Tensor, plan: Plan) -> Tensor:
    """`preserve_until` where a selection is painted anew.

    known [H, W] bool, new [H, W] in 0..1: how much of each pixel is selected. What is transparent
    around it is painted along, so that the selection never meets invented colours; a window away
    nothing of that is seen any more. What lies off the document only pads it.
    """
    off = _off_document(plan)
    until = 1 - plan.strength * torch.where(off, 1.0, new)
    return torch.where(off | known | ~_in_sight(new > 0, plan), until, 0.0)


def _in_sight(chosen: Tensor, plan: Plan) -> Tensor:
    """[H, W] bool: whether a window that sees something chosen [H, W] may see the pixel, too."""
    seen = torch.zeros_like(chosen)
    if bool(chosen.any()):
        down, across = (side * plan.cell_px for side in plan.window)
        rows, columns = (torch.nonzero(chosen.any(dim=axis)).flatten() for axis in (1, 0))
        band = seen[max(0, int(rows[0]) - down) : int(rows[-1]) + 1 + down]
        if plan.request.wrap:
            band[:] = True
        band[:, max(0, int(columns[0]) - across) : int(columns[-1]) + 1 + across] = True
    return seen


def _paint_of_regions(
    request: Request, blobs: Mapping[str, bytes], plan: Plan
) -> tuple[Tensor | None, Tensor, None]:
    """Loose regions' own paint as far as they preserve it; an upper one hides a lower one's.

    These share their latents with the background. What is less than half opaque is no paint.
    """
    size_px = _size_px(plan)
    pixels, until = torch.zeros(1, 3, *size_px), torch.zeros(size_px)
    for region in reversed(request.regions):
        if region.paint is None or region.fit == "tight":
            continue
        colours, alpha = painted_colours(region.paint, region.bounds, blobs, plan)
        painted = alpha >= COVERED_ALPHA
        pixels = torch.where(painted, colours, pixels)
        until = torch.where(painted, 1 - region.strength, until)
    if not bool((until > 0).any()):
        return None, until, None
    return continue_edges(pixels * 2 - 1, until > 0) / 2 + 0.5, until, None


def _beyond(plan: Plan) -> Tensor:
    """[H, W]: 1 beyond the document before extension, and `under_px` underneath its edges."""
    new, margins = _off_document(plan).float(), plan.request.under_px
    old, canvas = plan.document, plan.output
    top = old.top + margins * (old.top > canvas.top)
    left = old.left + margins * (old.left > canvas.left)
    bottom = old.bottom - margins * (old.bottom < canvas.bottom)
    right = old.right - margins * (old.right < canvas.right)
    new[:top], new[bottom:], new[:, :left], new[:, right:] = 1, 1, 1, 1
    return new


def _off_document(plan: Plan) -> Tensor:
    """[H, W] bool: outside the document before extension."""
    height, width = plan.canvas.height * plan.cell_px, plan.canvas.width * plan.cell_px
    off, document = torch.ones(height, width, dtype=torch.bool), plan.document
    off[document.top : document.bottom, document.left : document.right] = False
    return off


def _scaled(values: Tensor, size: tuple[int, int]) -> Tensor:
    """Means over areas: [1, C, H, W] -> [1, C, *size]."""
    return functional.interpolate(values, size, mode="area")
