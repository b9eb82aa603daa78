"""A picture made larger: what it keeps to, in which pieces it comes, what cannot be enlarged."""

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from tapestry_backend.checkpoints.catalogue import SAMPLE, Catalogue
from tapestry_backend.engine.windows import Size, Window
from tapestry_backend.models.esrgan import Enlarger
from tapestry_backend.models.model_cache import ModelCache
from tapestry_backend.tasks import conditioning, upscaling
from tapestry_backend.tasks.control_pictures import ControlPictures
from tapestry_backend.tasks.denoising_pass import DenoisingPass
from tapestry_backend.tasks.events import Progressed
from tapestry_backend.tasks.plan import make_plan
from tapestry_backend.tasks.run import run
from tapestry_backend.tasks.upscaling import Band, Upscaled, upscale
from tapestry_protocol.adapters import Control
from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.messages import Request
from tapestry_protocol.pixels import Bounds, Pixels
from tests.models.live_tensors import Costs
from tests.models.tiny_checkpoints import save_upscaler


def picture(height: int = 48, width: int = 64) -> np.ndarray:
    """Soft colours, opaque."""
    rng = np.random.default_rng(3)
    small = Image.fromarray(rng.integers(0, 256, (6, 8, 3), np.uint8))
    rgba = np.full((height, width, 4), 255, np.uint8)
    rgba[..., :3] = np.array(small.resize((width, height), Image.Resampling.BICUBIC))
    return rgba


def asked(first: np.ndarray, **settings: object) -> Request:
    """To enlarge a picture, in few steps."""
    few = {"prompt": "snow", "num_inference_steps": 4, "strength": 0.5} | settings
    return Request("refine", first.shape[0], first.shape[1], **few)


def joined(events: Iterator[object]) -> tuple[np.ndarray, Upscaled]:
    """All of the result, and its end."""
    *made, end = events
    bands = [event.pixels for event in made if isinstance(event, Band)]
    assert isinstance(end, Upscaled)
    assert all(isinstance(event, (Band, Progressed)) for event in made)
    return np.concatenate(bands), end


def shrunk_error(result: np.ndarray, first: np.ndarray) -> float:
    """How far the result is from the first stage when shrunk to its size, in levels."""
    size = first.shape[1], first.shape[0]
    small = np.array(Image.fromarray(result).resize(size, Image.Resampling.BOX))
    return float(np.abs(small[..., :3].astype(float) - first[..., :3]).mean())


def test_shrunk_again_it_is_the_first_stage(model_cache) -> None:
    """The more so the less its strength."""
    first = picture()
    soft, strong = (
        joined(upscale(first, asked(first, strength=strength), 2, {}, model_cache))[0]
        for strength in (0.25, 1.0)
    )

    assert soft.shape == (96, 128, 4)
    assert shrunk_error(soft, first) < 10
    assert shrunk_error(strong, first) > 2 * shrunk_error(soft, first)


def test_without_strength_it_is_enlarged_alone(model_cache) -> None:
    """By Lanczos' filter; nothing is evaluated."""
    first = picture(50, 70)
    result, end = joined(upscale(first, asked(first, strength=0.0), 1.5, {}, model_cache))
    plain = np.array(Image.fromarray(first).resize((105, 75), Image.Resampling.LANCZOS))

    assert np.abs(result.astype(int) - plain).max() <= 1
    assert end.report["unet_evaluations"] == 0


@pytest.mark.parametrize("strength", [0.0, 0.5])
def test_bands_fit_each_other(
    model_cache, monkeypatch: pytest.MonkeyPatch, strength: float
) -> None:
    """The result does not tell in which pieces it was made."""
    first = picture()
    request = asked(first, strength=strength)
    whole, _ = joined(upscale(first, request, 2.5, {}, model_cache))
    monkeypatch.setattr(upscaling, "_BAND_PX", 23 * whole.shape[1])
    monkeypatch.setattr(upscaling, "_ENCODED_PX", 48 * 152)
    events = list(upscale(first, request, 2.5, {}, model_cache))
    in_bands, _ = joined(iter(events))

    assert sum(isinstance(event, Band) for event in events) == 6
    assert np.abs(whole.astype(int) - in_bands).max() <= 1


def test_painting_a_larger_picture_takes_latents_alone(
    model_cache, model, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside the model's work on a batch never more than a dozen canvases of them at once."""
    monkeypatch.setattr(type(model), "batch_size", 2)
    first = picture(64, 64)
    request = asked(first, num_inference_steps=2, guidance_scale=1.0)
    peaks = []
    for factor in (4, 8):
        with Costs() as costs:
            for event in upscale(first, request, factor, {}, model_cache):
                stage = event.stage if isinstance(event, Progressed) else ""
                if stage == "denoising" and not event.step:
                    costs.peak_bytes = 0
                elif stage == "decoding":
                    peaks.append(costs.peak_bytes)
    more_cells = (8**2 - 4**2) * 8 * 8

    assert peaks[1] - peaks[0] < 12 * more_cells * model.channels * 4


def test_a_picture_smaller_than_a_window_lies_amid_it(model_cache) -> None:
    """What pads it is cut off again."""
    first = picture(20, 40)
    result, _ = joined(upscale(first, asked(first, strength=0.25), 1.3, {}, model_cache))

    assert result.shape == (26, 52, 4)
    assert shrunk_error(result, first) < 20


def test_words_press_the_less_of_a_scene_the_less_is_painted_anew(model_cache, scene) -> None:
    """A window that sees nothing but sky is told of mountains, too; of a texture, all is there."""
    snow = replace(scene.region("snow", Bounds(0, 0, 48, 32)), guidance_scale=9.0)
    first = picture()
    first[:, :, :3] = 200
    first[:24, 32:, :3] = 40
    grain = np.random.default_rng(1).integers(-30, 30, (48, 32, 3))
    first[:, :32, :3] = 120 + grain

    def scales(strength: float, guidance_scale: float) -> list[float]:
        request = asked(first, prompt="lava", regions=(snow,), strength=strength)
        request = replace(request, guidance_scale=guidance_scale)
        _, ended = joined(upscale(first, request, 1.5, scene.blobs, model_cache))
        return [region["guidance_scale"] for region in ended.report["plan"]["regions"]]

    assert scales(0.5, 5.0) == [9.0, 2.0]
    assert scales(1.0, 5.0) == [9.0, 5.0]
    assert scales(0.5, 0.5) == [9.0, 0.5]


def test_what_is_fine_becomes_stronger_in_all_steps_together() -> None:
    """However many there are; what is even stays as it is, also at the edge."""
    clean = torch.randn(1, 4, 16, 16)
    clean[..., 6:] = 3.0
    few, many = (upscaling._sharpened(clean, count, 0.3) - clean for count in (6, 24))

    torch.testing.assert_close(few, 4 * many, atol=1e-5, rtol=1e-4)
    assert few[..., :5].std() > 0.1
    torch.testing.assert_close(few[..., 7:], torch.zeros(1, 4, 16, 9), atol=1e-5, rtol=0)
    torch.testing.assert_close(upscaling._sharpened(clean, 1, 0.3) - clean, few)
    torch.testing.assert_close(upscaling._sharpened(clean, 6, 1.0), clean)


def test_regions_go_along(model_cache, model, scene) -> None:
    """Each has its share of the cells where it was painted, now that there are more of them."""
    first = picture()
    snow = scene.region("snow", Bounds(0, 0, 48, 16))
    request = asked(first, prompt="lava", regions=(snow,))
    larger = replace(request, height=96, width=128)
    weights = upscaling._weights(request, scene.blobs, make_plan(larger, model))

    assert weights.shape == (2, 12, 16)
    torch.testing.assert_close(weights.sum(dim=0), torch.ones(12, 16))
    assert (weights[0] > 0.5).sum(dim=0).tolist() == [12] * 4 + [0] * 12


def test_paint_and_fit_of_regions_are_in_the_picture_already(model_cache, scene) -> None:
    """A region that kept its paint, or was tight, is a prompt for its place alone."""
    first = picture()
    snow = scene.region("snow", Bounds(0, 0, 48, 32))
    kept = replace(snow, strength=0.0, paint=scene.picture(48, 32))
    results = [
        joined(upscale(first, asked(first, regions=(region,)), 2, scene.blobs, model_cache))[0]
        for region in (snow, kept)
    ]

    assert (results[0] == results[1]).all()


def seen_networks(monkeypatch: pytest.MonkeyPatch) -> list[tuple[ControlPictures, list[Window]]]:
    """Whose pictures are asked for, and in which windows."""
    seen: list[tuple[ControlPictures, list[Window]]] = []
    read = ControlPictures.inputs

    def noted(pictures: ControlPictures, controls: Any, size: Any, windows: Any) -> Any:
        seen.append((pictures, [*windows]))
        return read(pictures, controls, size, windows)

    monkeypatch.setattr(ControlPictures, "inputs", noted)
    return seen


def test_control_pictures_go_along(model_cache, scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the picture and of a region, each in its place; a region's steers that region alone."""
    first = picture()
    rows = np.zeros((48, 64, 4), np.uint8)
    rows[16:32] = 255
    stripe = scene.add(Pixels(48, 64, 4, rows.tobytes()))
    scribble = Control("sample-scribble", "lines", Bounds(0, 0, 48, 64), stripe)
    snow = scene.region("snow", Bounds(0, 0, 48, 32))
    seen = seen_networks(monkeypatch)
    plain, left, whole = (
        joined(upscale(first, asked(first, **settings), 4, scene.blobs, model_cache))[0].astype(int)
        for settings in (
            {"regions": (snow,)},
            {"regions": (replace(snow, controls=(scribble,)),)},
            {"regions": (snow,), "controls": (scribble,)},
        )
    )
    pictures = seen[-1][0]
    (used,) = pictures._pictures
    shown = pictures._part(used, Size(24, 32), Window(0, 0, 24, 32))
    changed = [np.abs(each - plain)[..., :3].mean(axis=(0, 2)) for each in (left, whole)]

    assert (shown[0, 0, 70:122] == 255).all()
    assert not shown[0, 0, :58].any()
    assert not shown[0, 0, 134:].any()
    assert changed[0][:100].mean() > 4 * changed[0][160:].mean()
    assert changed[1][160:].mean() > 4 * changed[0][160:].mean()


def test_boxes_grow_with_the_canvas(model) -> None:
    """They lie where the regions do, also amid what pads a canvas smaller than a window."""
    small = make_plan(asked(picture(20, 40)), model)
    larger = make_plan(asked(picture(40, 80)), model)
    box = conditioning._box(Bounds(0, 10, 20, 30), larger, small)

    assert (box.top, box.bottom) == (larger.output.top, larger.output.bottom)
    assert (box.left, box.right) == (larger.output.left + 20, larger.output.left + 60)


def test_a_network_enlarges_in_the_place_of_a_filter(model_cache, tmp_path: Path) -> None:
    """By as much as was asked for, whatever it makes itself; what it makes is painted over."""
    first = picture()
    upscaler = save_upscaler(tmp_path / "net.safetensors")
    plain, end = joined(
        upscale(first, asked(first, strength=0.0), 1.5, {}, model_cache, upscaler=upscaler)
    )
    painted, _ = joined(upscale(first, asked(first), 1.5, {}, model_cache, upscaler=upscaler))
    shown = np.ascontiguousarray(first[..., :3].transpose(2, 0, 1)).astype(np.float32) / 255
    *_, own = Enlarger(upscaler, torch.device("cpu")).enlarged(shown)
    (red, *_) = (
        Image.fromarray(channel).resize((96, 72), Image.Resampling.LANCZOS) for channel in own
    )

    assert end.report["upscaler"] == "net.safetensors"
    assert np.abs(plain[..., 0] - np.asarray(red).clip(0, 1) * 255).max() <= 1
    assert painted.shape == plain.shape
    assert (painted != plain).any()


def test_a_network_that_gives_no_numbers_is_told(model_cache, tmp_path: Path) -> None:
    """With its name; nothing was painted."""
    first = picture()
    upscaler = save_upscaler(tmp_path / "net.safetensors", bias=math.nan)
    with pytest.raises(TapestryError, match=r"“net\.safetensors” gave numbers that are not finite"):
        list(upscale(first, asked(first), 2, {}, model_cache, upscaler=upscaler))


def save_control_network(folder: Path, model: Any) -> None:
    """A ControlNet for the bundled model that says something."""
    torch.manual_seed(3)
    network = diffusers.ControlNetModel.from_unet(
        model._unet, conditioning_embedding_out_channels=(8, 16, 16, 32)
    )
    for block in network.controlnet_down_blocks:
        nn.init.normal_(block.weight, std=0.1)
    network.save_pretrained(folder)


def test_a_tile_network_keeps_the_picture_what_it_was(
    model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One is found by its name, shown the enlarged picture, and told; without strength none is."""
    save_control_network(tmp_path / "control_tile_v1", model)
    model_cache = ModelCache(Catalogue([SAMPLE], adapters=[str(tmp_path / "control_tile_v1")]))
    monkeypatch.setattr(model_cache, "load", lambda _: model)
    seen = seen_networks(monkeypatch)
    first = picture()
    first[:8, :8, 3] = 0
    _, end = joined(upscale(first, asked(first), 2, {}, model_cache))
    _, without = joined(upscale(first, asked(first, strength=0.0), 2, {}, model_cache))
    pictures = seen[0][0]
    (shown,) = pictures._pictures.values()

    assert not pictures._prepared, "windows that move hardly come again"
    assert "keeps the picture what it was" in str(end.report["notices"])
    assert end.report["plan"]["regions"][-1]["controls"][0]["adapter"] == "control_tile_v1"
    assert not without.report["notices"]
    assert (shown[0].permute(1, 2, 0).numpy() == first[..., :3])[8:].all()
    assert shown[0, :, :8, :8].float().mean() > 0, "colours go on where it is transparent"


def test_a_tile_network_that_is_shown_another_picture_keeps_to_that(
    model, scene, tmp_path: Path
) -> None:
    """The artist's own."""
    save_control_network(tmp_path / "tile", model)
    model_cache = ModelCache(Catalogue([SAMPLE], adapters=[str(tmp_path / "tile")]))
    own = Control("tile", bounds=Bounds(0, 0, 48, 64), image=scene.picture(48, 64))
    first = picture()
    _, end = joined(upscale(first, asked(first, controls=(own,)), 1.5, scene.blobs, model_cache))

    assert len(end.report["plan"]["regions"][-1]["controls"]) == 1
    assert not end.report["notices"]


def test_a_tile_network_that_cannot_be_used_is_done_without(
    model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody asked for it: the picture is that without it, and it is told."""
    folder = tmp_path / "broken-tile"
    save_control_network(folder, model)
    model_cache = ModelCache(Catalogue([SAMPLE], adapters=[str(folder)]))
    monkeypatch.setattr(model_cache, "load", lambda _: model)
    (weights,) = folder.glob("*.safetensors")
    weights.write_bytes(weights.read_bytes()[:-64])
    first = picture()
    result, end = joined(upscale(first, asked(first), 2, {}, model_cache))
    monkeypatch.setattr(type(model_cache.catalogue.adapters), "tile_networks", ())
    plain, _ = joined(upscale(first, asked(first), 2, {}, model_cache))

    assert "“broken-tile” was left out" in str(end.report["notices"])
    assert (result == plain).all()


def test_what_is_transparent_stays_so(model_cache) -> None:
    """Opacity is enlarged; visible pixels do not take the colours of invisible ones."""
    first = picture()
    first[:, :32] = (0, 255, 0, 0)
    first[:, 32:, :3] = 200
    result, _ = joined(upscale(first, asked(first, strength=0.25), 2, {}, model_cache))

    assert result[:, :60, 3].max() == 0
    assert result[:, 68:, 3].min() == 255
    assert np.abs(result[:, 64:, :3].astype(int) - 200).mean() < 12


@pytest.mark.parametrize(
    ("factor", "transparent", "sentence"),
    [
        (0.5, False, "1 to 8 times"),
        (9.0, False, "1 to 8 times"),
        (float("nan"), False, "1 to 8 times"),
        (float("inf"), False, "1 to 8 times"),
        (8.0, False, "Choose a factor of 7.8 at most"),
        (2.0, True, "nothing to enlarge"),
    ],
)
def test_what_cannot_be_enlarged_is_told(
    model_cache, factor: float, transparent: bool, sentence: str
) -> None:
    """Before anything is loaded."""
    first = np.full((64, 4200 if factor == 8.0 else 64, 4), 255, np.uint8)
    if transparent:
        first[..., 3] = 0
    with pytest.raises(TapestryError, match=sentence):
        next(upscale(first, asked(first), factor, {}, model_cache))


def test_faint_paint_keeps_its_colours(model_cache) -> None:
    """What is there at all is enlarged, however little it covers."""
    first = picture()
    first[..., 3] = np.linspace(1, 100, 64)
    result, _ = joined(upscale(first, asked(first, strength=0.0), 2, {}, model_cache))
    plain = np.array(Image.fromarray(first[..., :3]).resize((128, 96), Image.Resampling.LANCZOS))

    assert np.abs(result[..., :3].astype(int) - plain).max() <= 1
    assert result[..., 3].max() == 100


def test_settings_for_another_kind_of_checkpoint_are_told(
    model_cache, model, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that count: a small strength takes a part of the steps, none takes nothing at all."""
    monkeypatch.setattr(type(model_cache), "variant_of", lambda *_: "turbo")
    monkeypatch.setattr(type(model), "knows_clip_skip", False)
    first = picture()
    settings = {"num_inference_steps": 10, "guidance_scale": 5.0, "clip_skip": 1}
    told = {
        strength: " ".join(
            joined(upscale(first, asked(first, strength=strength, **settings), 2, {}, model_cache))[
                1
            ].report["notices"]
        )
        for strength in (0.0, 0.3, 1.0)
    }

    assert told[0.0] == ""
    assert "colours burn out" in told[0.3]
    assert "clip skip changes nothing" in told[0.3]
    assert "few steps" not in told[0.3]
    assert "few steps" in told[1.0]


def test_the_edges_of_a_larger_picture_are_edges(model_cache) -> None:
    """Whatever its own request said of them."""
    first = picture()
    results = [
        joined(upscale(first, asked(first, wrap=wrap), 2, {}, model_cache))[0]
        for wrap in (False, True)
    ]

    assert (results[0] == results[1]).all()


def test_a_checkpoint_for_inpainting_is_refused_before_it_is_loaded(
    model_cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It wants to see what is known of a picture."""
    monkeypatch.setattr(type(model_cache), "variant_of", lambda *_: "inpaint")
    monkeypatch.setattr(type(model_cache), "load", None)
    first = picture()
    with pytest.raises(TapestryError, match="for inpainting enlarges no pictures"):
        next(upscale(first, asked(first), 2, {}, model_cache))


def test_a_small_strength_begins_with_more_noise_in_as_many_steps(
    model_cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of it at 0.3, with more of what is fine; at 1 all of it, as it is."""
    seen = []
    build = upscaling.DenoisingPass

    def watched(*args: Any, **options: Any) -> DenoisingPass:
        seen.append((build(*args, **options), options["fine_noise"]))
        return seen[-1][0]

    monkeypatch.setattr(upscaling, "DenoisingPass", watched)
    first = picture()
    counts = []
    for strength in (0.3, 1.0):
        request = asked(first, strength=strength, num_inference_steps=10)
        events = [*upscale(first, request, 2, {}, model_cache)]
        counts.append(max(each.steps for each in events if isinstance(each, Progressed)))
    (soft, fine), (strong, none) = seen

    assert counts == [3, 10]
    assert float(1 - soft._preserved.until.min()) == pytest.approx(0.5, abs=0.01)
    assert float(1 - strong._preserved.until.min()) == 1
    assert (round(fine, 3), none) == (0.147, 0)
    assert float(soft._noise.std()) > 1.05 * float(strong._noise.std())


def test_windows_move_and_are_few(model_cache, model) -> None:
    """Hardly more than one window's worth of evaluations for each place and step."""
    first = picture(64, 96)
    request = asked(first, strength=1.0, num_inference_steps=6, guidance_scale=1.0)
    _, end = joined(upscale(first, request, 8, {}, model_cache))
    fixed = replace(request, task="upscale", height=512, width=768)
    overlapping = len(make_plan(fixed, model).layout.grid) * 6

    assert end.report["unet_evaluations"] <= 0.5 * overlapping


def as_a_task(first: np.ndarray, scene, **settings: object) -> Request:
    """The same, as a request that names its picture and factor."""
    height, width = first.shape[:2]
    image = scene.add(Pixels(height, width, 4, first.tobytes()))
    return replace(asked(first, **settings), task="upscale", image=image)


@pytest.mark.parametrize(("strength", "factor"), [(0.5, 1.5), (0.0, 2.5)])
def test_a_task_makes_what_the_command_makes(
    model_cache, scene, monkeypatch: pytest.MonkeyPatch, strength: float, factor: float
) -> None:
    """To the bit, with the regions; each band is an event, so that it can be cancelled there."""
    monkeypatch.setattr(upscaling, "_BAND_PX", 30 * 96)
    first = picture()
    first[:4, :, 3] = 90
    snow = scene.region("snow", Bounds(0, 0, 48, 16))
    settings = {"prompt": "lava", "regions": (snow,), "strength": strength}
    own, end = joined(upscale(first, asked(first, **settings), factor, scene.blobs, model_cache))
    request = replace(as_a_task(first, scene, **settings), factor=factor)
    *told, finished = run(request, scene.blobs, model_cache)

    assert finished.pixels.data == own.tobytes()
    assert finished.bounds == Bounds(0, 0, *own.shape[:2])
    assert finished.report["plan"]["task"] == "upscale"
    assert finished.report["unet_evaluations"] == end.report["unet_evaluations"]
    stages = [event.stage for event in told]
    assert stages.count("decoding") > 2
    steps = [(event.step, event.steps) for event in told if event.stage == "denoising"]
    assert steps == ([(0, 0), (1, 2), (2, 2)] if strength else [])


def test_a_task_names_its_network(model, scene, tmp_path: Path, monkeypatch) -> None:
    """One of those that were found; one that is gone is told by its name."""
    save_upscaler(tmp_path / "4x-sharp.safetensors")
    model_cache = ModelCache(Catalogue([SAMPLE], upscaler_folders=[tmp_path]))
    monkeypatch.setattr(model_cache, "load", lambda _: model)
    request = replace(as_a_task(picture(), scene, strength=0.0), upscaler="4x-sharp")
    *_, sharp = run(request, scene.blobs, model_cache)
    *_, plain = run(replace(request, upscaler=""), scene.blobs, model_cache)

    assert sharp.report["upscaler"] == "4x-sharp.safetensors"
    assert plain.report["upscaler"] == "lanczos"
    assert sharp.pixels.data != plain.pixels.data
    with pytest.raises(TapestryError, match="no upscaler “gone”"):
        next(run(replace(request, upscaler="gone"), scene.blobs, model_cache))
    (tmp_path / "4x-sharp.safetensors").unlink()
    with pytest.raises(TapestryError, match=r"no upscaler .*4x-sharp"):
        next(run(request, scene.blobs, model_cache))


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"image": None}, "needs the flattened picture"),
        ({"factor": 9.0}, "1 to 8 times"),
        ({"width": 63}, "another size than its canvas"),
    ],
)
def test_a_task_that_cannot_be_is_told(
    model_cache, scene, settings: dict[str, object], sentence: str
) -> None:
    """As every task."""
    request = replace(as_a_task(picture(), scene), **settings)
    with pytest.raises(TapestryError, match=sentence):
        next(run(request, scene.blobs, model_cache))


def test_too_little_memory_for_a_larger_picture_is_a_sentence(
    model_cache, model, scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the size of the result; the next one works."""
    request = as_a_task(picture(), scene)

    def none_left(*_: object) -> None:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(model, "encode", none_left)
        with pytest.raises(TapestryError, match="128 x 96 pixels") as raised:
            list(run(request, scene.blobs, model_cache))
    assert raised.value.code is ErrorCode.OUT_OF_MEMORY
    *_, finished = run(request, scene.blobs, model_cache)
    assert (finished.pixels.height, finished.pixels.width) == (96, 128)
