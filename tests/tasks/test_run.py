"""Running a request: pictures of every size, progress, errors, and originals left alone."""

import json
from dataclasses import replace

import diffusers
import numpy as np
import pytest

from tapestry_backend.engine.noise import canvas_noise
from tapestry_backend.engine.windows import Size
from tapestry_backend.tasks.canvas import to_rgba
from tapestry_backend.tasks.decoding import decode_canvas
from tapestry_backend.tasks.events import Finished, Progressed
from tapestry_backend.tasks.run import run
from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.messages import PixelsRef, Request, Selection
from tapestry_protocol.pixels import Bounds, Margins, Pixels
from tests.tasks.pictures import noise_picture, to_array

STEPS = 2


def wrapped_extension(**margins: int) -> Request:
    """A picture of 64 x 64 that is to close its circle."""
    image = PixelsRef(64, 64, 4, "0" * 64)
    return Request("extend", 64, 64, "x", margins=Margins(**margins), image=image, wrap=True)


@pytest.mark.parametrize(("height", "width"), [(128, 128), (1, 63), (200, 333), (129, 64)])
def test_a_picture_has_the_size_that_was_asked_for(paint, height: int, width: int) -> None:
    """Any canvas gets a picture of exactly its size, opaque everywhere."""
    finished = paint(
        Request("generate", height, width, prompt="red bricks", num_inference_steps=STEPS)
    )

    assert (finished.pixels.height, finished.pixels.width) == (height, width)
    assert bool((to_array(finished.pixels)[..., 3] == 255).all())
    assert finished.bounds == Bounds(0, 0, height, width)


def test_every_step_is_told_with_a_preview(model_cache, scene) -> None:
    """Progress: stages in order, every step once, a small preview with each."""
    request = Request("generate", 128, 200, prompt="blue sky", num_inference_steps=3)
    events = list(run(request, scene.blobs, model_cache))
    stages = [event.stage for event in events if isinstance(event, Progressed)]
    steps = [e for e in events if isinstance(e, Progressed) and e.preview is not None]

    assert list(dict.fromkeys(stages)) == ["loading", "encoding", "denoising", "decoding"]
    assert [(e.step, e.steps) for e in steps] == [(1, 3), (2, 3), (3, 3)]
    previews = [step.preview() for step in steps]
    assert {(preview.height, preview.width) for preview in previews} == {(16, 25)}
    assert len({preview.data for preview in previews}) == 3, "each shows its own step, when asked"
    assert isinstance(events[-1], Finished)


def test_the_same_request_gives_the_same_picture_and_another_seed_another(paint) -> None:
    """A picture can be made again; the seed decides it."""
    request = Request("generate", 128, 128, prompt="lava", seed=5, num_inference_steps=STEPS)
    other = Request("generate", 128, 128, prompt="lava", seed=6, num_inference_steps=STEPS)

    assert paint(request).pixels.data == paint(request).pixels.data
    assert paint(request).pixels.data != paint(other).pixels.data


def test_the_report_explains_the_run(paint, scene) -> None:
    """The report is JSON, with plan, counts, seconds and memory."""
    request = Request(
        "generate",
        128,
        192,
        prompt="snow",
        regions=(scene.region("red bricks", Bounds(0, 0, 128, 64)),),
        seed=9,
        num_inference_steps=STEPS,
    )
    report = json.loads(json.dumps(paint(request).report))

    assert report["seed"] == 9
    assert report["model"] == "sample"
    assert [region["prompt"] for region in report["plan"]["regions"]] == ["red bricks", "snow"]
    assert report["windows"] == 2
    # One window each, laid around the region, and the negative prompt in both.
    assert report["unet_evaluations"] == STEPS * (2 + 2)
    assert report["notices"] == []
    assert set(report["seconds"]) == {"load", "encode", "denoise", "decode", "total"}
    assert report["peak_memory_bytes"] > 0


def test_without_a_background_prompt_the_regions_speak_for_the_gaps(paint, scene) -> None:
    """What no region covers belongs to the same picture: all regions' prompts, once each."""
    request = Request(
        "generate",
        128,
        128,
        regions=tuple(
            scene.region(prompt, Bounds(top, 0, top + 20, 128))
            for prompt, top in (("snow", 0), ("lava", 40), ("snow", 80))
        ),
        num_inference_steps=STEPS,
    )

    assert paint(request).report["plan"]["regions"][-1]["prompt"] == "snow, lava"


def test_one_window_is_the_plain_pipelines_picture_bit_for_bit(paint, catalogue, model) -> None:
    """From the request to the pixels: what diffusers' own pipeline makes of the same noise.

    Its latents, that is; the pipeline decodes them with a frame at the edges, and beyond the
    decoder's reach from there to the same colours, within rounding.
    """
    pipeline = diffusers.StableDiffusionPipeline.from_pretrained(
        catalogue.find("sample").path, safety_checker=None, local_files_only=True
    )
    pipeline.set_progress_bar_config(disable=True)
    plain = pipeline(
        "red bricks",
        height=128,
        width=128,
        latents=canvas_noise(4, pipeline.unet.config.in_channels, Size(16, 16)),
        num_inference_steps=STEPS,
        guidance_scale=5.0,
        output_type="latent",
    ).images
    ours = paint(
        Request("generate", 128, 128, prompt="red bricks", seed=4, num_inference_steps=STEPS)
    )
    without_frame = to_rgba(decode_canvas(model, plain, wrap=False)[0])
    inside = np.asarray(pipeline.image_processor.postprocess(model.decode(plain))[0])[
        48:-48, 48:-48
    ]

    assert ours.pixels.data == without_frame.data
    differ = to_array(ours.pixels)[48:-48, 48:-48, :3].astype(int) - inside
    assert np.abs(differ).max() <= 1


@pytest.mark.parametrize("width", [128, 256])
def test_a_picture_has_no_frame(paint, width: int) -> None:
    """The outermost pixels change like all others: no convolution's padding shows."""
    request = Request("generate", 128, width, prompt="sunset sky", num_inference_steps=8)
    picture = to_array(paint(request).pixels)[..., :3].astype(float)
    steps = np.abs(np.diff(picture, axis=1)).mean(axis=(0, 2))

    assert max(steps[0], steps[-1]) < 1.5 * steps.mean()


@pytest.mark.parametrize(
    "margins",
    [Margins(right=70), Margins(left=33, right=8), Margins(1, 2, 3, 4), Margins(bottom=130)],
)
@pytest.mark.parametrize(("height", "width"), [(128, 128), (90, 61)])
def test_an_extension_paints_only_what_is_new(
    paint, scene, margins: Margins, height: int, width: int
) -> None:
    """The result covers the grown canvas, is opaque where it is new and empty where it is not."""
    image = scene.add(noise_picture(height, width))
    request = Request(
        "extend",
        height,
        width,
        margins=margins,
        image=image,
        prompt="green grass",
        num_inference_steps=STEPS,
    )
    finished = paint(request)
    alpha = to_array(finished.pixels)[..., 3]
    old = np.zeros(alpha.shape, dtype=bool)
    old[margins.top : margins.top + height, margins.left : margins.left + width] = True

    assert alpha.shape == (
        height + margins.top + margins.bottom,
        width + margins.left + margins.right,
    )
    assert bool((alpha[old] == 0).all())
    assert bool((alpha[~old] == 255).all())
    assert finished.bounds == Bounds(
        -margins.top, -margins.left, height + margins.bottom, width + margins.right
    )


def test_transparent_places_of_the_old_picture_stay_as_they_are(paint, scene) -> None:
    """What is not opaque inside the old canvas is nothing to keep to, and nothing to fill."""
    rgba = to_array(noise_picture(128, 128)).copy()
    rgba[20:60, 30:90, 3] = 0
    rgba[60:100, 100:, 3] = 128
    image = scene.add(Pixels(128, 128, 4, rgba.tobytes()))
    request = Request(
        "extend", 128, 128, margins=Margins(right=40), image=image, num_inference_steps=STEPS
    )
    alpha = to_array(paint(request).pixels)[..., 3]

    assert not alpha[:, :128].any()
    assert (alpha[:, 128:] == 255).all()


@pytest.mark.parametrize("width", [8, 40, 64])
def test_a_narrow_canvas_can_wrap(paint, width: int) -> None:
    """A canvas narrower than a window, or than what is decoded beyond its edges."""
    request = Request("generate", 64, width, "snow", wrap=True, num_inference_steps=STEPS)

    assert paint(request).pixels.width == width


def test_where_nothing_is_left_to_paint_the_picture_is_what_is_there(paint, scene) -> None:
    """Regions that keep their paint and cover everything; a selection of nothing."""
    picture = noise_picture(128, 200)
    whole = Bounds(0, 0, 128, 200)
    region = replace(scene.region("lava", whole), paint=scene.add(picture), strength=0.0)
    kept = paint(Request("generate", 128, 200, regions=(region,)))
    empty = Selection(whole, scene.add(Pixels(128, 200, 1, bytes(128 * 200))))
    filled = paint(
        Request("fill", 128, 200, "lava", image=scene.add(picture), selection=empty, seed=3)
    )

    assert kept.pixels.data == picture.data
    assert kept.report["unet_evaluations"] == 0
    assert filled.pixels.data == bytes(len(picture.data))
    assert filled.report["unet_evaluations"] == 0


def test_an_extension_computes_only_windows_that_see_something_new(paint, scene) -> None:
    """A long picture that grows by a little costs a little."""
    image = scene.add(noise_picture(128, 640))
    request = Request(
        "extend", 128, 640, margins=Margins(right=64), image=image, num_inference_steps=STEPS
    )
    report = paint(request).report

    assert report["windows"] == 10
    assert report["unet_evaluations"] <= STEPS * 2 * 2


def test_the_new_part_carries_on_from_the_old(paint, scene) -> None:
    """Beside a plain picture the extension starts with its colour, on all sides."""
    rgba = np.full((128, 128, 4), (40, 90, 200, 255), dtype=np.uint8)
    image = scene.add(Pixels(128, 128, 4, rgba.tobytes()))
    request = Request(
        "extend",
        128,
        128,
        margins=Margins(32, 32, 32, 32),
        image=image,
        num_inference_steps=STEPS,
    )
    picture = to_array(paint(request).pixels)[..., :3].astype(float)
    ring = np.concatenate([picture[31, 32:160], picture[32:160, 31], picture[160, 32:160]])

    assert np.abs(ring - (40, 90, 200)).mean() < 12


def test_a_wrapped_picture_has_no_edge(paint) -> None:
    """With `wrap` the step from the last column to the first is like any other."""
    request = Request("generate", 128, 384, prompt="ocean waves", wrap=True, num_inference_steps=8)
    picture = to_array(paint(request).pixels)[..., :3].astype(float)
    steps = np.abs(picture - np.roll(picture, 1, axis=1)).mean(axis=(0, 2))

    assert steps[0] < 3 * np.median(steps)


def test_an_extension_can_close_the_circle(paint, scene) -> None:
    """Dark at the left and bright at the right: the new parts meet at the edges all the same."""
    rgba = np.full((128, 128, 4), 255, dtype=np.uint8)
    rgba[..., :3] = np.linspace(40, 220, 128)[None, :, None]
    image = scene.add(Pixels(128, 128, 4, rgba.tobytes()))
    request = Request(
        "extend",
        128,
        128,
        prompt="blue sky",
        margins=Margins(left=64, right=64),
        image=image,
        wrap=True,
        num_inference_steps=8,
    )
    picture = to_array(paint(request).pixels)[..., :3].astype(float)
    new = np.concatenate([picture[:, 192:], picture[:, :64]], axis=1)
    steps = np.abs(np.diff(new, axis=1)).mean(axis=(0, 2))

    assert steps[63] < 3 * np.median(steps)


@pytest.mark.parametrize(
    ("request_", "code", "words"),
    [
        (Request("generate", 64, 64), ErrorCode.BAD_REQUEST, "nothing to paint"),
        (Request("generate", 20000, 20000, prompt="x"), ErrorCode.TOO_LARGE, "too large"),
        (Request("generate", 64, 64, prompt="x" * 10_000), ErrorCode.TOO_LARGE, "10000 char"),
        (Request("extend", 64, 64, prompt="x"), ErrorCode.BAD_REQUEST, "not extended"),
        (Request("generate", 64, 63, prompt="x", wrap=True), ErrorCode.BAD_REQUEST, "multiple"),
        (wrapped_extension(left=4, right=4), ErrorCode.BAD_REQUEST, "multiple"),
        (wrapped_extension(right=4), ErrorCode.BAD_REQUEST, "multiple"),
        (Request("generate", 64, 64, prompt="x", model="none"), ErrorCode.MODEL_NOT_FOUND, "none"),
    ],
)
def test_what_cannot_be_painted_gets_a_sentence(model_cache, request_, code, words: str) -> None:
    """Errors carry a code, say what is wrong and what to do."""
    with pytest.raises(TapestryError) as caught:
        list(run(request_, {}, model_cache))

    assert caught.value.code is code
    assert words in caught.value.message


def test_too_many_regions_get_a_sentence(model_cache, scene) -> None:
    """40 regions are more than one picture holds; the sentence says how many to hide or merge."""
    region = scene.region("snow", Bounds(0, 0, 8, 8))
    with pytest.raises(TapestryError, match="Hide or merge 8 layers"):
        list(run(Request("generate", 64, 64, regions=(region,) * 40), scene.blobs, model_cache))


def test_a_thin_stroke_is_painted(paint, scene) -> None:
    """A stroke one pixel wide is a region like any other: it has an influence, and no error."""
    stroke = scene.region("lava", Bounds(0, 60, 128, 61))
    plain = Request("generate", 128, 128, prompt="snow", num_inference_steps=STEPS)
    with_stroke = Request(
        "generate", 128, 128, prompt="snow", regions=(stroke,), num_inference_steps=STEPS
    )

    assert paint(with_stroke).pixels.data != paint(plain).pixels.data


def test_half_precision_paints_nearly_the_same(catalogue, model_cache, scene) -> None:
    """A model in bfloat16 (as half precision on a GPU) works, and paints the same picture."""
    import torch

    from tapestry_backend.models.model_cache import ModelCache

    half = ModelCache(catalogue)
    half._dtype = lambda _entry: torch.bfloat16
    rgba = np.full((128, 128, 4), (40, 90, 200, 255), dtype=np.uint8)
    request = Request(
        "extend",
        128,
        128,
        prompt="blue sky",
        margins=Margins(right=64),
        image=scene.add(Pixels(128, 128, 4, rgba.tobytes())),
        num_inference_steps=4,
    )
    pictures = []
    for each in (model_cache, half):
        *_, finished = run(request, scene.blobs, each)
        pictures.append(to_array(finished.pixels).astype(float))

    assert np.abs(pictures[0] - pictures[1]).mean() < 5


def test_numbers_that_are_not_finite_are_found(model_cache, scene, monkeypatch) -> None:
    """A model that gives NaN ends the job with a sentence, never with a black layer."""
    model = model_cache.load("sample")
    monkeypatch.setattr(model, "predict", lambda latents, *_: latents * np.nan)
    with pytest.raises(TapestryError) as caught:
        list(run(Request("generate", 128, 128, prompt="snow"), scene.blobs, model_cache))

    assert caught.value.code is ErrorCode.NOT_FINITE
    assert "step 1" in caught.value.message
