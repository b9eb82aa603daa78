"""Paints small pictures on a device in every way there is, beside the processor's."""

from __future__ import annotations

import gc
import platform
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from tapestry_protocol import VERSION
from tapestry_protocol.adapters import Control, Lora
from tapestry_protocol.errors import TapestryError
from tapestry_protocol.messages import Region, Request
from tapestry_protocol.pixels import Bounds, Pixels, PixelsRef

from ...checkpoints.catalogue import Catalogue
from ...checkpoints.families import FAMILIES
from ...engine.out_of_memory import is_out_of_memory, release
from ...models.device.memory import free_and_total_bytes
from ...models.device.offloading import Offloader
from ...models.model_cache import ModelCache, device_name
from ...tasks.events import Finished, Progressed
from ...tasks.live import LivePasses
from ...tasks.run import run
from ..speed.clock import Clock, watch_memory
from ..speed.random_models import SHAPES, ShapedModelCache
from .adapter_files import CONTROLS, EMBEDDING, LORAS, save_adapters
from .full_models import FULL_MODELS
from .small_models import WINDOW_PX, SmallModelCache

DTYPES = (torch.float32, torch.float16, torch.bfloat16)

_MOST_ERROR = {torch.float32: 1e-3, torch.float16: 2e-2, torch.bfloat16: 1e-1}
"""Of a layer's largest number, as its share."""

_MOST_LEVELS = {torch.float32: 0.5, torch.float16: 4.0, torch.bfloat16: 16.0}
"""Mean difference of a picture's colours, of 255, to the processor's in single precision."""

_STEPS = 2
_SHAPE_OF = {"sd1": "sd15", "sdxl": "sdxl"}
"""U-Nets of the true size; the other families' are in `full_models`."""

_CARD_CANVASES = ((1024, 1024), (512, 4096), (1024, 4096))
_SMALL_CANVASES = ((64, 64), (64, 256), (128, 256))

_LIVE_PX, _LIVE_STEPS = 512, 4

Picture = np.ndarray


@dataclass(frozen=True)
class CardCheck:
    """One thing that was tried.

    difference  of its picture to the processor's: colours of 255 on average, or for a single layer
                a share; None where there is nothing to compare with
    problem     why it does not work; empty where it does
    """

    part: str
    name: str
    seconds: float = 0.0
    peak_bytes: int = 0
    difference: float | None = None
    problem: str = ""


class CardBench:
    """Tries everything on one device; each way alone, so that one that fails costs no other."""

    def __init__(self, device: torch.device, families: Sequence[str]) -> None:
        self._device = device
        self._families = families
        self._clock = Clock(device)

    def rows(self) -> Iterator[CardCheck]:
        """One after the other, as they are done."""
        yield from self._layers()
        yield from self._pictures()
        yield from self._offloading()
        if "sd1" in self._families:
            with tempfile.TemporaryDirectory() as folder:
                yield from self._adapters(Path(folder))
        yield from self._at_full_size()

    def _layers(self) -> Iterator[CardCheck]:
        """A product, a convolution and attention in each precision."""
        expected = _layers_on(torch.device("cpu"), torch.float64)
        for dtype in DTYPES:
            yield self._tried(
                CardCheck("precision", _name(dtype)),
                partial(_layers_on, self._device, dtype),
                lambda made: float(np.abs(made - expected).max() / np.abs(expected).max()),
                _MOST_ERROR[dtype],
            )

    def _pictures(self) -> Iterator[CardCheck]:
        for family in self._families:
            expected = _painted(SmallModelCache(family, "cpu", torch.float32), _request())
            for dtype in DTYPES:
                model_cache = self._model_cache(family, dtype)
                yield self._compared(
                    CardCheck("family", f"{family}, {_name(dtype)}"),
                    partial(_painted, model_cache, _request()),
                    expected,
                    dtype,
                )

    def _offloading(self) -> Iterator[CardCheck]:
        """The steps that a card takes on which not everything has room."""
        family = self._families[0]
        steps: dict[str, Callable[[Offloader], None]] = {
            "all parts there": lambda _: None,
            "one part at a time": Offloader.share_no_more,
            "layer by layer": partial(_in_layers, FAMILIES[family].backbone),
        }
        expected = _painted(SmallModelCache(family, "cpu", torch.float32), _request())
        for name, prepare in steps.items():
            model_cache = self._model_cache(family, torch.float32)
            yield self._compared(
                CardCheck("offloading", name),
                partial(_painted_so, model_cache, prepare),
                expected,
                torch.float32,
            )

    def _adapters(self, folder: Path) -> Iterator[CardCheck]:
        reference = SmallModelCache("sd1", "cpu", torch.float32)
        model: Any = reference.load("")
        save_adapters(folder, model._unet)  # noqa: SLF001  its layers are what they are laid on
        catalogue = Catalogue(adapters=[str(folder)])
        on_processor = SmallModelCache("sd1", "cpu", torch.float32, catalogue)
        on_device = SmallModelCache("sd1", str(self._device), torch.float32, catalogue)
        for name in (*LORAS, *CONTROLS, EMBEDDING):
            request = _with_adapter(name)
            expected = _painted(on_processor, request)
            yield self._compared(
                CardCheck("adapter", name),
                partial(_painted, on_device, request),
                expected,
                torch.float32,
            )

    @property
    def _is_small(self) -> bool:
        """Whether models of the true size would take too long."""
        return self._device.type == "cpu"

    def _full_model_caches(self) -> Iterator[tuple[str, ModelCache]]:
        """On a card models of the true size, elsewhere small ones."""
        for family in self._families:
            if self._is_small:
                yield family, self._model_cache(family, torch.float32)
                continue
            if family in _SHAPE_OF:
                yield family, ShapedModelCache(SHAPES[_SHAPE_OF[family]], str(self._device))
            for name, full in FULL_MODELS.items():
                if full.family == family:
                    yield name, ShapedModelCache(full, str(self._device))

    def _at_full_size(self) -> Iterator[CardCheck]:
        """Canvases of several sizes, and a stroke; one model after the other is there."""
        for name, model_cache in self._full_model_caches():
            yield from self._canvases(name, model_cache)
            yield self._live(name, model_cache)
            del model_cache
            gc.collect()  # parts and their hooks know each other
            release()

    def _canvases(self, name: str, model_cache: ModelCache) -> Iterator[CardCheck]:
        for height, width in _SMALL_CANVASES if self._is_small else _CARD_CANVASES:
            request = replace(_request(), height=height, width=width, regions=())
            yield self._tried(
                CardCheck("canvas", f"{name}, {width} x {height}"),
                partial(_painted, model_cache, request),
            )

    def _live(self, name: str, model_cache: ModelCache) -> CardCheck:
        """A stroke that comes and goes on a picture that is there already."""
        side = 2 * WINDOW_PX if self._is_small else _LIVE_PX
        return self._tried(
            CardCheck("live", f"{name}, {side} x {side}, {_LIVE_STEPS} steps"),
            _LivePainting(model_cache, side).update,
        )

    def _model_cache(self, family: str, dtype: torch.dtype) -> SmallModelCache:
        return SmallModelCache(family, str(self._device), dtype)

    def _compared(
        self, row: CardCheck, paint: Callable[[], Picture], expected: Picture, dtype: torch.dtype
    ) -> CardCheck:
        def apart(made: Picture) -> float:
            return float(np.abs(made.astype(float) - expected).mean())

        return self._tried(row, paint, apart, _MOST_LEVELS[dtype])

    def _tried(
        self,
        row: CardCheck,
        compute: Callable[[], Picture],
        apart: Callable[[Picture], float] | None = None,
        most: float = 0.0,
    ) -> CardCheck:
        """The row with what was measured; a card has chosen its kernels before."""
        try:
            if self._device.type != "cpu":
                compute()
            with watch_memory(self._device) as peak:
                start = self._clock.now()
                made = compute()
                seconds = self._clock.now() - start
        except Exception as error:  # noqa: BLE001  whatever a card may raise is what is asked here
            return replace(row, problem=_said(error))
        difference = apart(made) if apart else None
        problem = ""
        if difference is not None and not difference <= most:
            problem = f"differs from the processor by {difference:.3g}, more than {most:g}"
        return replace(
            row,
            seconds=seconds,
            peak_bytes=peak.taken_bytes,
            difference=difference,
            problem=problem,
        )


class _LivePainting:
    """A square with one layer, to which a stroke comes or from which it goes."""

    def __init__(self, model_cache: ModelCache, side_px: int) -> None:
        self._model_cache, self._side_px = model_cache, side_px
        self._passes = LivePasses()
        self._painted = 0

    def update(self) -> Picture:
        """One update; the first one paints the whole before."""
        if not self._painted:
            self._paint(is_longer=False)
        self._painted += 1
        return self._paint(is_longer=self._painted % 2 == 1)

    def _paint(self, *, is_longer: bool) -> Picture:
        side = self._side_px
        mask = np.zeros((side, side), np.uint8)
        mask[side // 8 : side // 4, : side // 4] = 255
        if is_longer:
            mask[side // 8 : side // 8 + side // 16, side // 4 : side // 3] = 255
        pixels = Pixels(side, side, 1, mask.tobytes())
        request = Request(
            "generate",
            side,
            side,
            "snow",
            regions=(Region("sea", Bounds(0, 0, side, side), PixelsRef.of(pixels)),),
            num_inference_steps=_LIVE_STEPS,
            guidance_scale=1.0,
            live="card",
        )
        *_, finished = run(request, {pixels.sha256: pixels.data}, self._model_cache, self._passes)
        return _colours(finished)


def about(device: torch.device) -> dict[str, str]:
    """What a page says about the computer."""
    free, total = (value / 2**30 for value in free_and_total_bytes(device))
    return {
        "Tapestry": VERSION,
        "device": f"{device} ({device_name(device)})",
        "memory": f"{free:.1f} of {total:.1f} GiB are free",
        "PyTorch": torch.__version__,
        "system": f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
    }


def _in_layers(backbone: str, parts: Offloader) -> None:
    parts.share_no_more()
    parts.come_in_layers(backbone)


def _painted_so(model_cache: SmallModelCache, prepare: Callable[[Offloader], None]) -> Picture:
    """The picture, after a model's parts were made to do what a full card makes them do."""
    model: Any = model_cache.load("")
    prepare(model._parts)  # noqa: SLF001  there is no public way to choose them
    return _painted(model_cache, _request())


def _said(error: Exception) -> str:
    if isinstance(error, TapestryError):
        return error.message
    if is_out_of_memory(error):
        return "there was not enough memory"
    return " ".join(str(error).split())[:300] or "it failed without a word"


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _layers_on(device: torch.device, dtype: torch.dtype) -> Picture:
    """Numbers that went through one layer of each kind."""
    generator = torch.Generator("cpu").manual_seed(0)
    values, kernel = (
        torch.randn(shape, generator=generator).to(device, dtype)
        for shape in ((2, 32, 16, 16), (32, 32, 3, 3))
    )
    made = functional.conv2d(values, kernel, padding=1) / 17
    made = functional.group_norm(made, 8)
    tokens = made.flatten(2).transpose(1, 2)
    tokens = functional.scaled_dot_product_attention(tokens, tokens @ kernel[..., 0, 0], tokens)
    return functional.gelu(tokens).cpu().double().numpy()  # an Apple GPU knows no double precision


def _request() -> Request:
    """Two windows and a region: what every picture goes through."""
    mask = _region_mask()
    region = Region("sea", Bounds(0, 0, WINDOW_PX, WINDOW_PX), PixelsRef.of(mask))
    return Request(
        "generate",
        WINDOW_PX,
        2 * WINDOW_PX,
        "snow",
        regions=(region,),
        num_inference_steps=_STEPS,
        guidance_scale=3.0,
        coherence=0.0,
    )


def _region_mask() -> Pixels:
    return Pixels(WINDOW_PX, WINDOW_PX, 1, b"\xff" * WINDOW_PX**2)


def _reference_picture() -> Pixels:
    """A gradient, for what is shown a picture."""
    shades = np.linspace(0, 255, WINDOW_PX).astype(np.uint8)
    picture = np.full((WINDOW_PX, WINDOW_PX, 4), 255, np.uint8)
    picture[..., 0], picture[..., 1] = shades[None], shades[:, None]
    return Pixels(WINDOW_PX, WINDOW_PX, 4, picture.tobytes())


def _with_adapter(name: str) -> Request:
    request = _request()
    if name in LORAS:
        return replace(request, loras=(Lora(name, 1.0),))
    if name == EMBEDDING:
        return replace(request, prompt=f"snow <{EMBEDDING}>")
    picture = PixelsRef.of(_reference_picture())
    shown = Control(name, bounds=Bounds(0, 0, WINDOW_PX, WINDOW_PX), image=picture)
    return replace(request, controls=(shown,))


def _painted(model_cache: ModelCache, request: Request) -> Picture:
    """The picture's colours."""
    blobs = {
        PixelsRef.of(pixels).sha256: pixels.data
        for pixels in (_region_mask(), _reference_picture())
    }
    wanted = {reference.sha256 for reference in request.blobs}
    given = {sha256: data for sha256, data in blobs.items() if sha256 in wanted}
    *_, finished = run(request, given, model_cache)
    return _colours(finished)


def _colours(finished: Progressed | Finished) -> Picture:
    if not isinstance(finished, Finished):
        raise TypeError("the picture was not finished")
    return np.frombuffer(finished.pixels.data, np.uint8)
