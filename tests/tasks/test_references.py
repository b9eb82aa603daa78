"""Models that are shown pictures beside what they paint: Kontext, FLUX.2, Qwen-Image-Edit."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import diffusers
import numpy as np
import pytest
import torch
from diffusers.pipelines.qwenimage import (
    pipeline_qwenimage_edit,
    pipeline_qwenimage_edit_plus,
)
from PIL import Image
from torch import Tensor
from transformers import BatchEncoding

from tapestry_backend.checkpoints.catalogue import BUNDLED, Catalogue
from tapestry_backend.engine.multidiffusion import MultiDiffusion, RegionPrompt
from tapestry_backend.engine.noise import canvas_noise, job_generator
from tapestry_backend.engine.sampling import sample
from tapestry_backend.engine.views import ViewPlan, WindowLayout
from tapestry_backend.engine.windows import Size
from tapestry_backend.models import qwen_image
from tapestry_backend.models.model_cache import ModelCache
from tapestry_backend.tasks.run import run
from tapestry_backend.tasks.shown_pictures import ShownPictures, made_small
from tapestry_protocol.errors import TapestryError
from tapestry_protocol.limits import MAX_REFERENCES
from tapestry_protocol.messages import Edit, Request, Selection
from tapestry_protocol.pixels import Bounds, Pixels
from tapestry_protocol.request_checks import check_references
from tests.models.tiny_checkpoints import (
    FACTOR,
    WINDOW,
    qwen_eyes,
    save_flux,
    save_flux_2,
    save_qwen_image,
)

STEPS, SCALE, SEED = 3, 4.0, 5
SIDE = WINDOW * FACTOR
INSTRUCTION = "make it snow"


class Kind(NamedTuple):
    """A tiny checkpoint, what it is, and what its pipeline is asked."""

    save: Callable[[Path], Path]
    variant: str
    references: int
    asked: dict[str, Any]
    only_instructions: bool = False


KINDS = {
    "kontext": Kind(
        partial(save_flux, edits=True),
        "edit",
        1,
        {"max_area": SIDE * SIDE, "_auto_resize": False},
    ),
    "flux2": Kind(save_flux_2, "base", 4, {}),
    "flux2 dev": Kind(partial(save_flux_2, dev=True), "base", 4, {}),
    "flux2 distilled": Kind(partial(save_flux_2, distilled=True), "distilled", 4, {}),
    "qwen_edit": Kind(
        partial(save_qwen_image, edits="QwenImageEditPipeline"),
        "edit",
        1,
        {},
        only_instructions=True,
    ),
    "qwen_edit_plus": Kind(
        partial(save_qwen_image, edits="QwenImageEditPlusPipeline"),
        "edit_plus",
        3,
        {},
        only_instructions=True,
    ),
}


class Processor:
    """What transformers' Qwen2VLProcessor does, which wants torchvision.

    Each picture's tokens in its text, and its patches.
    """

    def __init__(self, tokenizer: Any, eyes: Any) -> None:
        self._tokenizer, self._eyes = tokenizer, eyes

    def __call__(self, text: list[str], images: Any, **_: Any) -> BatchEncoding:
        seen = self._eyes(images=images, return_tensors="pt")
        counts = (seen["image_grid_thw"].prod(dim=1) // self._eyes.merge_size**2).tolist()
        parts = text[0].split(_PICTURE)
        told = "".join(
            part + _PICTURE * count for part, count in zip(parts, [*counts, 0], strict=True)
        )
        return BatchEncoding({**self._tokenizer([told], return_tensors="pt"), **seen})


_PICTURE = "<|image_pad|>"


@pytest.fixture(autouse=True)
def small_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Qwen-Image-Edit looks at pictures of a window's size here, as its pipeline does."""
    for name, (told, _) in list(qwen_image._LOOKED_AT.items()):
        monkeypatch.setitem(qwen_image._LOOKED_AT, name, (told, SIDE * SIDE))
    measured = pipeline_qwenimage_edit.calculate_dimensions
    monkeypatch.setattr(
        pipeline_qwenimage_edit,
        "calculate_dimensions",
        lambda _, ratio: measured(SIDE * SIDE, ratio),
    )
    for name in ("CONDITION_IMAGE_SIZE", "VAE_IMAGE_SIZE"):
        monkeypatch.setattr(pipeline_qwenimage_edit_plus, name, SIDE * SIDE)


class Case(NamedTuple):
    """A kind's checkpoint, loaded."""

    kind: Kind
    folder: Path
    models: ModelCache

    @property
    def model(self) -> Any:
        return self.models.load(str(self.folder))


@pytest.fixture(scope="module", params=KINDS)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    """A tiny checkpoint of each kind in turn."""
    kind = KINDS[request.param]
    folder = kind.save(tmp_path_factory.mktemp("shown") / "checkpoint")
    return Case(kind, folder, ModelCache(Catalogue([str(folder)]), "cpu"))


def colours(height: int = SIDE, width: int = SIDE, seed: int = 1) -> np.ndarray:
    """Some, [H, W, 3]."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def as_pixels(rgb: np.ndarray) -> Tensor:
    """[1, 3, H, W] in -1..1."""
    return torch.from_numpy(rgb.copy()).permute(2, 0, 1)[None].float() / 127.5 - 1


def our_latents(
    case: Case,
    pictures: ShownPictures,
    size: Size | None = None,
    looked_at: list[Tensor] | None = None,
) -> Tensor:
    """What the engine makes of one instruction for a canvas of this size."""
    model = case.model
    canvas, window = size or Size(*[model.window] * 2), Size(*[model.window] * 2)
    told, scale = (SCALE, 1.0) if model.distilled else (1.0, SCALE)
    looked_at = [as_pixels(colours())] if looked_at is None else looked_at
    with model.looking_at(looked_at):
        conditions = model.encode_prompts([INSTRUCTION, ""], [told, told])
    plain = MultiDiffusion(
        model.predict,
        ViewPlan(WindowLayout(canvas, window, window), torch.ones(1, *canvas)),
        [RegionPrompt(0, 1, scale)],
        conditions,
        4,
        guidance_rescale=model.guidance_rescale,
    )
    noise = canvas_noise(SEED, model.channels, canvas)
    scheduler = model.make_scheduler("checkpoint", window)
    *_, last = sample(pictures.beside(plain), scheduler, noise, STEPS, job_generator(SEED))
    return last.latents


def pipeline_of(case: Case) -> Any:
    """Diffusers' own."""
    if not case.kind.only_instructions:
        return diffusers.DiffusionPipeline.from_pretrained(case.folder, local_files_only=True)
    plain = diffusers.QwenImagePipeline.from_pretrained(case.folder, local_files_only=True)
    kind = {
        "edit": diffusers.QwenImageEditPipeline,
        "edit_plus": diffusers.QwenImageEditPlusPipeline,
    }[case.kind.variant]
    return kind(**plain.components, processor=Processor(plain.tokenizer, qwen_eyes()))


def qwen_latents(case: Case, pipeline: Any, rgb: Any) -> Tensor:
    """What Qwen-Image-Edit's makes."""
    noise = canvas_noise(SEED, case.model.channels, Size(*[case.model.window] * 2))
    found = pipeline(
        prompt=INSTRUCTION,
        negative_prompt="",
        image=[Image.fromarray(each) for each in ([rgb] if isinstance(rgb, np.ndarray) else rgb)],
        height=SIDE,
        width=SIDE,
        true_cfg_scale=SCALE,
        num_inference_steps=STEPS,
        latents=noise.flatten(2).transpose(1, 2),
        output_type="latent",
    ).images
    return found.transpose(1, 2).unflatten(2, noise.shape[-2:])


def their_latents(case: Case, rgb: np.ndarray | list[np.ndarray]) -> Tensor:
    """What diffusers' own pipeline makes of the same, as ours are."""
    pipeline = pipeline_of(case)
    pipeline.set_progress_bar_config(disable=True)
    model = case.model
    if model.variant.startswith("edit") and type(pipeline).__name__.startswith("Qwen"):
        return qwen_latents(case, pipeline, rgb)
    size = Size(model.window, model.window)
    noise = canvas_noise(SEED, model.channels, size)
    is_flux_2 = "flux2" in type(pipeline).__name__.lower()
    images = [Image.fromarray(each) for each in ([rgb] if isinstance(rgb, np.ndarray) else rgb)]
    found = pipeline(
        prompt=INSTRUCTION,
        image=images if is_flux_2 else images[0],
        height=SIDE,
        width=SIDE,
        guidance_scale=SCALE,
        num_inference_steps=STEPS,
        latents=noise if is_flux_2 else pipeline._pack_latents(noise, *noise.shape),
        output_type="latent",
        **case.kind.asked,
    ).images
    if is_flux_2 and found.ndim == 3:  # dev's, in a row
        return found.transpose(1, 2).unflatten(2, size)
    if is_flux_2:
        mean, scale = model._scales(found)
        return (torch.nn.functional.pixel_unshuffle(found, 2) - mean) * scale
    return pipeline._unpack_latents(found, SIDE, SIDE, FACTOR)


def test_it_is_listed_as_what_it_is(case: Case) -> None:
    """It follows instructions, and most paint without one as well."""
    (entry,) = [each for each in case.models.catalogue.entries if each.id not in BUNDLED]

    assert entry.variant == case.kind.variant
    assert entry.info.follows_instructions
    assert entry.info.only_instructions == case.kind.only_instructions
    assert entry.window_px == SIDE
    assert entry.info.references == case.model.references == case.kind.references


def test_one_window_is_what_its_pipeline_paints(case: Case) -> None:
    """Same noise, same picture, same instruction."""
    rgb = colours()
    pictures = ShownPictures.of_canvas(as_pixels(rgb), "window", case.model)
    ours, theirs = our_latents(case, pictures), their_latents(case, rgb)

    torch.testing.assert_close(ours, theirs, atol=2e-5, rtol=0)
    other = ShownPictures.of_canvas(as_pixels(0 * rgb), "window", case.model)
    assert float((our_latents(case, other) - ours).abs().max()) > 1e-3  # so small a network


def test_several_pictures_are_told_apart_as_its_pipeline_does(case: Case) -> None:
    """In their order."""
    if case.kind.references == 1:
        asked = Edit("instruct", picture_shown="both")
        with pytest.raises(TapestryError, match="1 pictures at once, not 2"):
            check_references("it", case.model.references, asked)
        return
    rgb = [colours(), colours(SIDE, SIDE, seed=2), colours(SIDE, SIDE, seed=3)]
    seen = [as_pixels(each) for each in rgb]
    pictures = ShownPictures.of_canvas(seen[0], "window", case.model, seen[1:])
    ours = our_latents(case, pictures, looked_at=seen)

    torch.testing.assert_close(ours, their_latents(case, rgb), atol=1e-4, rtol=0)
    other = ShownPictures.of_canvas(seen[0], "window", case.model, seen[:0:-1])
    assert float((our_latents(case, other, looked_at=seen) - ours).abs().max()) > 1e-4


def test_a_reference_alone_is_what_its_pipeline_is_shown(case: Case) -> None:
    """Nothing of the canvas then."""
    rgb = colours(seed=2)
    canvas, seen = as_pixels(colours()), [as_pixels(rgb)]
    pictures = ShownPictures.of_canvas(canvas, "none", case.model, seen)

    torch.testing.assert_close(
        our_latents(case, pictures, looked_at=seen), their_latents(case, rgb), atol=2e-5, rtol=0
    )


def test_a_window_is_shown_its_part_or_the_whole(case: Case) -> None:
    """Where the canvas is one window, both are the same."""
    model = case.model
    wide = as_pixels(colours(SIDE, 2 * SIDE))
    size = Size(model.window, 2 * model.window)
    parts = our_latents(case, ShownPictures.of_canvas(wide, "window", model), size, [wide])
    wholes = ShownPictures.of_canvas(wide, "whole", model)
    unit = model.cell_px * model.cell_step

    small = made_small(wide, model)
    assert small.shape[-1] == pytest.approx(2 * small.shape[-2], abs=unit)
    assert small[0, 0].numel() <= (SIDE + unit) ** 2
    assert float((our_latents(case, wholes, size, [wide]) - parts).abs().max()) > 1e-3
    alone = ShownPictures.of_canvas(wide[..., :SIDE], "whole", model)
    part = ShownPictures.of_canvas(wide[..., :SIDE], "window", model)
    torch.testing.assert_close(our_latents(case, alone), our_latents(case, part))


def edit(case: Case, scene: Any, height: int = SIDE, width: int = SIDE, **settings: Any) -> Any:
    """The result [H, W, 4] of an instruction, and the report."""
    shown, references = settings.pop("shown", "window"), settings.pop("references", ())
    rgba = np.dstack([colours(height, width), np.full((height, width), 255, np.uint8)])
    request = Request(
        "edit",
        height,
        width,
        model=str(case.folder),
        image=scene.add(Pixels(height, width, 4, rgba.tobytes())),
        edit=Edit("instruct", picture_shown=shown, references=references),
        strength=1.0,
        **{"prompt": INSTRUCTION, "num_inference_steps": 2} | settings,
    )
    *_, finished = run(request, scene.blobs, case.models)
    data = np.frombuffer(finished.pixels.data, np.uint8)
    return data.reshape(height, width, 4), dict(finished.report)


@pytest.mark.parametrize("shown", ["window", "whole"])
def test_an_instruction_goes_through_windows_and_regions(
    case: Case, scene: Any, shown: str
) -> None:
    """Of any size, each region with its own words; the rest stays."""
    region = scene.region("lava", Bounds(0, 0, SIDE, SIDE // 2))
    result, report = edit(
        case, scene, SIDE + 6, 2 * SIDE - 10, shown=shown, prompt="", regions=(region,)
    )
    whole, everywhere = edit(case, scene, SIDE + 6, 2 * SIDE - 10, shown=shown)

    assert everywhere["windows"] > 1
    assert not everywhere["notices"]  # that fewer windows fit beside pictures is planned
    assert (whole[..., 3] == 255).all()
    assert (result[:SIDE, : SIDE // 4, 3] == 255).all()
    assert (result[:, SIDE:, 3] == 0).all()
    assert 0 < report["edit"]["changed"] < 0.5


def test_a_reference_goes_through_windows_too(case: Case, scene: Any) -> None:
    """As a whole to each; what is transparent in it is white; Kontext is shown it alone."""
    shown = "none" if case.kind.references == 1 else "window"
    rgba = np.dstack([colours(20, 30, seed=4), np.full((20, 30), 255, np.uint8)])
    holed = rgba.copy()
    holed[:8, :, 3] = 0
    white = rgba.copy()
    white[:8, :, :3] = 255

    def edited(picture: np.ndarray) -> tuple[Any, Any]:
        reference = scene.add(Pixels(20, 30, 4, picture.tobytes()))
        return edit(case, scene, SIDE, 2 * SIDE, shown=shown, references=(reference,))

    (first, report), (other, _), (same, _) = edited(rgba), edited(holed), edited(white)
    assert report["edit"]["references"] == 1
    assert report["windows"] > 1
    assert not np.array_equal(first, other)
    assert np.array_equal(other, same)


def test_more_pictures_than_a_model_sees_get_a_sentence(case: Case, scene: Any) -> None:
    """Before anything is loaded."""
    blank = Pixels(8, 8, 4, bytes(8 * 8 * 4))
    references = (scene.add(blank),) * MAX_REFERENCES
    with pytest.raises(TapestryError, match="pictures at once, not 5"):
        edit(case, scene, references=references)


def test_an_instruction_stays_in_the_selection(case: Case, scene: Any) -> None:
    """To the pixel."""
    mask = scene.add(Pixels(16, 24, 1, b"\xff" * 16 * 24))
    result, _ = edit(case, scene, selection=Selection(Bounds(8, 12, 24, 36), mask))
    inside = np.zeros((SIDE, SIDE), bool)
    inside[8:24, 12:36] = True

    assert np.array_equal(result[..., 3] > 0, inside)


def test_it_paints_without_an_instruction_as_well(case: Case) -> None:
    """As any other model of its family, if it is not made for editing alone."""
    request = Request(
        "generate", SIDE, SIDE, prompt="snow", num_inference_steps=1, model=str(case.folder)
    )
    if case.kind.only_instructions:
        with pytest.raises(TapestryError, match="only follows instructions"):
            list(run(request, {}, case.models))
        return
    *_, finished = run(request, {}, case.models)
    assert finished.pixels.width == SIDE
