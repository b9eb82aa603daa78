"""What a document asks the model as judge: whether regions show their names, what edges show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.limits import MAX_NAMES
from tapestry_protocol.messages import Region, Request
from tapestry_protocol.pixels import Bounds, Margins, Pixels, PixelsRef
from tapestry_protocol.request_checks import check_region_count, check_request

from ..common.stored_json import read_kept
from ..settings.settings import SIDES, Settings
from .bands import read_in_bands
from .canvas import Canvas
from .order import Order
from .reading import region_of, scene_of
from .settling import settled

_MOST_PIECES = 4
"""Of one side: more materials seldom meet an edge."""


@dataclass(frozen=True)
class Judgement:
    """What was found out about one region: names that fit it, the best first."""

    prompt: str
    names: tuple[str, ...]
    shows: bool


def judgements_of(report: str) -> tuple[Judgement, ...]:
    """What the report of a result says of each region; nothing where it is damaged."""
    kept = read_kept(report)
    found = kept.get("recognised") if isinstance(kept, dict) else None
    return tuple(map(_judgement, found)) if isinstance(found, list) else ()


def _judgement(said: Any) -> Judgement:
    fields: Mapping[str, Any] = said if isinstance(said, dict) else {}
    names = fields.get("names")
    chosen = tuple(map(str, names)) if isinstance(names, list) else ()
    return Judgement(str(fields.get("prompt", "")), chosen, bool(fields.get("shows", True)))


async def order_to_judge(canvas: Canvas, settings: Settings) -> Order:
    """Whether the picture shows in each region what its layer is called.

    Raises TapestryError where there is none.
    """
    await settled(canvas)
    scene = await scene_of(canvas)
    whole = Bounds(0, 0, canvas.height, canvas.width)
    blobs: dict[str, bytes] = {}
    regions, layer_ids = [], []
    chosen = [region for region in scene.regions if region.settings.on]
    check_region_count(len(chosen))
    for layer in chosen:
        plain = replace(layer, settings=replace(layer.settings, strength=1.0))
        region = await region_of(canvas, scene.around, plain, whole, blobs)
        if region is not None:
            regions.append(Region(region.prompt, region.bounds, region.mask))
            layer_ids.append(layer.id)
    names = [region.prompt for region in regions]
    order = await _order(canvas, settings, regions, names, blobs)
    return replace(order, judged=tuple(layer_ids))


async def order_to_suggest(
    canvas: Canvas, settings: Settings, window_px: int, names: Sequence[str]
) -> Order:
    """What the picture shows at the edges that grow, in pieces of half a window.

    names: what it may be, besides what the model lists; of a list with commas each by itself, so
    that no piece is found to show all of it
    """
    margins = settings.margins
    if margins.is_zero:
        raise TapestryError(
            ErrorCode.BAD_REQUEST,
            "The picture is not extended.",
            "Choose a side and a number of pixels.",
        )
    await settled(canvas)
    blobs: dict[str, bytes] = {}
    regions = []
    for bounds in edge_pieces(canvas.height, canvas.width, margins, max(1, window_px // 2)):
        mask = Pixels(bounds.height, bounds.width, 1, b"\xff" * (bounds.height * bounds.width))
        blobs[mask.sha256] = mask.data
        regions.append(Region("", bounds, PixelsRef.of(mask)))
    single = [name for listed in names for name in listed.split(",")]
    return await _order(canvas, settings, regions, single, blobs)


async def _order(
    canvas: Canvas,
    settings: Settings,
    regions: Sequence[Region],
    names: Sequence[str],
    blobs: dict[str, bytes],
) -> Order:
    whole = Bounds(0, 0, canvas.height, canvas.width)
    image = await read_in_bands(whole, 4, canvas.flattened, blobs)
    compared = dict.fromkeys(name.strip() for name in names if name.strip())
    request = Request(
        "recognise",
        canvas.height,
        canvas.width,
        regions=tuple(regions),
        image=image,
        names=tuple(compared)[:MAX_NAMES],
        model=settings.model,
    )
    check_request(request)
    return Order(request, blobs, "")


def edge_pieces(height: int, width: int, margins: Margins, piece_px: int) -> list[Bounds]:
    """Parts of the picture along each edge that grows, as wide as high where they can be."""
    down, across = min(piece_px, height), min(piece_px, width)
    found = []
    for side in SIDES:
        if not getattr(margins, side):
            continue
        along = width if side in {"top", "bottom"} else height
        count = max(1, min(_MOST_PIECES, round(along / piece_px)))
        ends = [round(number * along / count) for number in range(count + 1)]
        for start, end in pairwise(ends):
            found.append(
                {
                    "top": Bounds(0, start, down, end),
                    "bottom": Bounds(height - down, start, height, end),
                    "left": Bounds(start, 0, end, across),
                    "right": Bounds(start, width - across, end, width),
                }[side]
            )
    return found


def suggested(judgements: Sequence[Judgement]) -> str:
    """A prompt for what lies beyond the edges: what fits each piece best, once."""
    return ", ".join(dict.fromkeys(each.names[0] for each in judgements if each.names))
