"""A picture edited with words: what changes, what stays to the bit, and what cannot be edited."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch

from tapestry_backend.checkpoints.catalogue import SAMPLE, Catalogue
from tapestry_backend.engine.inversion import deterministic, invert
from tapestry_backend.engine.noise_schedule import sampling_steps
from tapestry_backend.models.model_cache import ModelCache
from tapestry_backend.tasks.editing import source_of
from tapestry_backend.tasks.events import Finished, Progressed
from tapestry_backend.tasks.run import run
from tapestry_protocol.adapters import Lora
from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.messages import Edit, PixelsRef, Region, Request, Selection
from tapestry_protocol.pixels import Bounds, Pixels
from tests.models.tiny_checkpoints import save_checkpoint, save_flux
from tests.models.velocity_checkpoint import ZERO_SNR, save_velocity_checkpoint

HEIGHT, WIDTH = 64, 128
LEFT = Bounds(0, 0, HEIGHT, WIDTH // 2)
RIGHT = Bounds(0, WIDTH // 2, HEIGHT, WIDTH)
METHODS = ("diffedit", "p2p", "ddib")

Paint = Callable[[Request], Finished]


@pytest.fixture(scope="module")
def picture(model_cache) -> Pixels:
    """Grass at the left, snow at the right, as the bundled model paints them."""
    mask = Pixels(HEIGHT, WIDTH // 2, 1, b"\xff" * (HEIGHT * WIDTH // 2))
    grass = Region("grass", LEFT, PixelsRef.of(mask))
    request = Request("generate", HEIGHT, WIDTH, prompt="snow", regions=(grass,), seed=3)
    *_, finished = run(request, {mask.sha256: mask.data}, model_cache)
    return finished.pixels


@pytest.fixture
def edit(scene, picture, paint: Paint) -> Callable[..., tuple[np.ndarray, Finished]]:
    """Edit it in few steps; gives the result [H, W, 4], and the end."""

    def edit_it(method: str = "diffedit", **settings: Any) -> tuple[np.ndarray, Finished]:
        finished = paint(request_for(scene, picture, method, **settings))
        data = np.frombuffer(finished.pixels.data, np.uint8)
        return data.reshape(HEIGHT, WIDTH, 4), finished

    return edit_it


def request_for(scene, picture: Pixels, method: str = "diffedit", **settings: Any) -> Request:
    """From grass to lava, in few steps."""
    known = {name: settings.pop(name) for name in list(settings) if hasattr(Edit, name)}
    words = Edit(**({"method": method, "source_prompt": "grass"} | known))
    few = {"prompt": "lava", "num_inference_steps": 4, "strength": 1.0} | settings
    return Request("edit", HEIGHT, WIDTH, image=scene.add(picture), edit=words, **few)


def rgb(picture: Pixels) -> np.ndarray:
    """Its colours [H, W, 3]."""
    return np.frombuffer(picture.data, np.uint8).reshape(picture.height, picture.width, 4)[..., :3]


@pytest.mark.parametrize("method", METHODS)
def test_the_map_finds_what_the_words_name(edit, method: str) -> None:
    """Bright on the grass, dark on the snow; nothing is painted, whatever would paint it."""
    grey, finished = edit(method, map_only=True, num_inference_steps=20)
    chosen = grey[..., 0] >= 128
    left, right = chosen[:, : WIDTH // 2].mean(), chosen[:, WIDTH // 2 :].mean()
    assert left > 0.85
    assert right < 0.15
    assert (grey[..., 3] == 255).all()
    assert finished.report["unet_evaluations"] == 3 * 10 * finished.report["windows"]


def test_words_for_what_the_picture_does_not_show_are_told(edit) -> None:
    """Also those that the model does not know; never those for what is there."""
    told = {}
    for words in ("grass", "snow", "red bricks", "starry night", "dragon"):
        asked = {"source_prompt": words, "prompt": "lava", "num_inference_steps": 20}
        _, finished = edit(map_only=True, **asked)
        told[words] = [str(notice) for notice in finished.report["notices"]]
    assert not told["grass"]
    assert not told["snow"]
    for words in ("red bricks", "starry night", "dragon"):
        assert told[words] == [
            f"The model does not clearly see “{words}” in this picture: the place is a guess."
        ]


@pytest.mark.parametrize("method", METHODS)
def test_every_method_changes_the_picture(edit, picture, method: str) -> None:
    """What is opaque in the result differs; DDIB changes all of it."""
    result, finished = edit(method)
    changed = result[..., 3] > 0
    assert changed.any()
    assert not np.array_equal(result[changed][:, :3], rgb(picture)[changed])
    assert finished.report["edit"]["method"] == method
    assert finished.report["edit"]["changed"] == changed.mean()
    assert finished.report["edit"]["inversion_reused"] is False
    seconds = finished.report["seconds"]
    assert min(seconds["invert"], seconds["denoise"]) > 0
    assert seconds.get("compare", 0.0) > 0 or method == "ddib"
    if method == "ddib":
        assert changed.all()


def test_a_threshold_says_how_much_changes(edit) -> None:
    """The higher it is the less; at 0 all of it."""
    parts = [(edit(threshold=value)[0][..., 3] > 0).mean() for value in (0.0, 0.4, 0.8)]
    assert parts[0] == 1
    assert parts[0] > parts[1] > parts[2] > 0


def test_an_edit_stays_in_the_selection(edit, scene) -> None:
    """Transparent everywhere else."""
    place = Bounds(8, 8, 40, 40)
    mask = scene.add(Pixels(32, 32, 1, b"\xff" * 32 * 32))
    result, _ = edit(threshold=0.0, selection=Selection(place, mask))
    inside = np.zeros((HEIGHT, WIDTH), bool)
    inside[8:40, 8:40] = True
    assert np.array_equal(result[..., 3] > 0, inside)


def test_a_renamed_region_changes_where_it_lies(edit, scene) -> None:
    """Others keep what they show, and so does the background."""
    grass = replace(scene.region("lava", LEFT), source_prompt="grass")
    snow = scene.region("snow", RIGHT)
    result, _ = edit(prompt="sky", source_prompt="sky", regions=(grass, snow), threshold=0.0)
    assert (result[:, : WIDTH // 2, 3] == 255).all()
    assert (result[:, WIDTH // 2 :, 3] == 0).all()


def test_nothing_changes_under_the_layers_that_lie_over_a_place(edit, scene) -> None:
    """To the bit, like what is beside it."""
    above = Bounds(16, 16, 48, 48)
    grass = replace(scene.region("lava", LEFT), source_prompt="grass")
    regions = scene.region("snow", above), grass
    result, _ = edit(prompt="sky", source_prompt="sky", regions=regions, threshold=0.0)
    lies_over = np.zeros((HEIGHT, WIDTH), bool)
    lies_over[16:48, 16:48] = True
    assert (result[:, : WIDTH // 2, 3] == 255)[~lies_over[:, : WIDTH // 2]].all()
    assert (result[lies_over] == 0).all()


@pytest.mark.parametrize("method", [*METHODS, "imagic"])
def test_a_selection_of_nothing_is_refused(edit, scene, method: str) -> None:
    """Before words are compared, whichever way the picture is edited."""
    mask = scene.add(Pixels(HEIGHT, WIDTH, 1, bytes(HEIGHT * WIDTH)))
    nothing = Selection(Bounds(0, 0, HEIGHT, WIDTH), mask)
    with pytest.raises(TapestryError, match="Nothing is selected"):
        edit(method, selection=nothing)


def test_a_place_outside_of_the_selection_is_refused(edit, scene) -> None:
    """Nothing of it would change."""
    mask = scene.add(Pixels(8, 8, 1, b"\xff" * 64))
    grass = replace(scene.region("lava", LEFT), source_prompt="grass")
    where = Selection(Bounds(8, WIDTH - 16, 16, WIDTH - 8), mask)
    with pytest.raises(TapestryError, match="nothing of them is selected"):
        edit(prompt="sky", source_prompt="sky", regions=(grass,), selection=where)


def cut_out(picture: Pixels, alpha: np.ndarray) -> Pixels:
    """The picture with an opacity [H, W] of its own."""
    opacity = alpha.astype(np.uint8)
    return Pixels(HEIGHT, WIDTH, 4, np.dstack([rgb(picture), opacity]).tobytes())


@pytest.mark.parametrize("method", [*METHODS, "imagic"])
def test_a_picture_of_nothing_is_refused(paint, scene, picture, method: str) -> None:
    """There is nothing to take back to noise."""
    empty = cut_out(picture, np.zeros((HEIGHT, WIDTH)))
    with pytest.raises(TapestryError, match="everything is transparent"):
        paint(request_for(scene, empty, method))


@pytest.mark.parametrize("method", METHODS)
def test_what_is_transparent_stays_so(paint, scene, picture, method: str) -> None:
    """And what is faint stays as faint."""
    alpha = np.full((HEIGHT, WIDTH), 255)
    alpha[:24], alpha[24:32] = 0, 100
    finished = paint(request_for(scene, cut_out(picture, alpha), method, threshold=0.0))
    result = np.frombuffer(finished.pixels.data, np.uint8).reshape(HEIGHT, WIDTH, 4)
    assert np.array_equal(result[..., 3], alpha)
    assert finished.report["edit"]["changed"] == (alpha > 0).mean()


def test_a_region_without_other_words_shows_what_it_did(scene) -> None:
    """Only a rename says otherwise."""
    region = scene.region("snow", LEFT)
    assert source_of(region) == "snow"
    assert source_of(replace(region, source_prompt="grass")) == "grass"


def test_an_edit_over_several_windows(model_cache, scene) -> None:
    """A long picture is taken back and on again as a whole."""
    wide = scene.picture(128, 320)
    words = Edit("ddib", "snow")
    request = Request(
        "edit", 128, 320, prompt="lava", image=wide, edit=words, num_inference_steps=2, strength=1.0
    )
    *_, finished = run(request, scene.blobs, model_cache)
    assert finished.report["windows"] == 4
    assert finished.report["unet_evaluations"] == 2 * 4 + 2 * 2 * 4


def test_shapes_are_kept_by_each_of_three(edit) -> None:
    """By that to words, by that of parts to each other, and by features; without them by none."""
    none = {"cross_attention": 0.0, "self_attention": 0.0, "features": 0.0}
    free, _ = edit("p2p", **none, threshold=0.0, seed=1)
    plain, _ = edit("diffedit", threshold=0.0, seed=1)
    assert np.abs(free.astype(int) - plain).max() <= 1
    for kept in none:
        some, _ = edit("p2p", **none | {kept: 1.0}, threshold=0.0, seed=1)
        assert np.abs(some.astype(int) - plain).mean() > 1, kept


def test_all_of_a_picture_changes_that_shows_nothing_of_what_it_shall_become(
    scene, paint: Paint
) -> None:
    """No words say what is there now: no place is better than another."""
    white = Pixels(HEIGHT, WIDTH, 4, b"\xff" * (HEIGHT * WIDTH * 4))
    finished = paint(request_for(scene, white, source_prompt="", threshold=0.5))
    assert finished.report["edit"]["changed"] > 0


def test_a_checkpoint_trained_up_to_pure_noise_is_guided_alike(
    catalogue, scene, picture, tmp_path
) -> None:
    """Its guidance keeps its contrast, with shapes kept and without."""
    folder = tmp_path / "velocity"
    save_velocity_checkpoint(catalogue.find(SAMPLE).path, folder, ZERO_SNR)
    model_cache = ModelCache(Catalogue([str(folder)]))
    assert model_cache.load(str(folder)).guidance_rescale > 0
    attending = {"cross_attention": 0.0, "self_attention": 0.0, "features": 0.0}
    attending["threshold"] = 0.0
    made = []
    for method in ("p2p", "diffedit"):
        request = request_for(scene, picture, method, model=str(folder), **attending)
        *_, finished = run(request, scene.blobs, model_cache)
        made.append(np.frombuffer(finished.pixels.data, np.uint8).astype(int))
    assert np.abs(made[0] - made[1]).max() <= 1


def test_an_edit_gives_the_same_every_time(edit) -> None:
    """To the bit."""
    assert np.array_equal(edit("p2p")[0], edit("p2p")[0])


def test_loras_count_in_an_edit(edit) -> None:
    """Those of the picture, with every method."""
    for method in ("diffedit", "p2p"):
        plain, _ = edit(method, threshold=0.0)
        inked, _ = edit(method, threshold=0.0, loras=(Lora("sample-ink", 1.0),))
        assert not np.array_equal(plain, inked)


def test_every_stage_is_told(model_cache, scene, picture) -> None:
    """With as many steps as it has."""
    request = request_for(scene, picture, strength=0.5)
    told = [
        event for event in run(request, scene.blobs, model_cache) if isinstance(event, Progressed)
    ]
    last = {event.stage: (event.step, event.steps) for event in told}
    assert list(last) == ["loading", "encoding", "comparing", "inverting", "denoising", "decoding"]
    assert (last["comparing"], last["inverting"], last["denoising"]) == ((10, 10), (2, 2), (2, 2))
    previews = [event.preview() for event in told if event.preview is not None]
    assert [(each.height, each.width) for each in previews] == [(HEIGHT // 8, WIDTH // 8)] * 2


def test_a_checkpoint_for_inpainting_edits_nothing(scene, picture, tmp_path) -> None:
    """With what to choose instead."""
    folder = str(save_checkpoint(tmp_path / "fill", channels=4, in_channels=9))
    request = request_for(scene, picture, model=folder)
    with pytest.raises(TapestryError, match="inpainting edits no pictures") as caught:
        list(run(request, scene.blobs, ModelCache(Catalogue([folder]))))
    assert caught.value.code is ErrorCode.BAD_REQUEST


def test_flow_models_are_edited_too(scene, picture, tmp_path) -> None:
    """By their own equation; shapes cannot be kept, and that is said before anything is painted."""
    folder = str(save_flux(tmp_path / "flux"))
    model_cache = ModelCache(Catalogue([folder]))
    ask = partial(request_for, scene, picture, model=folder, guidance_scale=1.0)
    *_, finished = run(ask("diffedit"), scene.blobs, model_cache)
    assert finished.report["unet_evaluations"] > 0
    with pytest.raises(TapestryError, match="keeps no shapes"):
        list(run(ask("p2p"), scene.blobs, model_cache))


def test_the_way_back_and_on_again_is_the_picture(model, picture) -> None:
    """With the same words and no guidance: within half a decibel of the autoencoder's own way."""
    pixels = torch.from_numpy(rgb(picture).copy()).permute(2, 0, 1)[None].float() / 127.5 - 1
    scheduler = model.make_scheduler("ddim")
    scheduler.set_timesteps(50)
    steps = sampling_steps(scheduler)
    condition = model.encode_prompts(["grass"])
    clean = model.encode(pixels).float()

    def denoise(latents, step):
        return model.predict(latents, step.timestep, condition)

    *_, noise = invert(denoise, steps, clean)
    *_, back = deterministic(denoise, steps, noise.latents)
    plain, again = (
        10 * torch.log10(4 / ((model.decode(latents) - pixels) ** 2).mean())
        for latents in (clean, back.latents)
    )
    assert again > plain - 0.5


def test_settings_that_a_checkpoint_was_not_made_for_are_told(scene, picture, tmp_path) -> None:
    """As for a picture that is generated."""
    folder = save_checkpoint(tmp_path / "model-lcm")
    catalogue = Catalogue([str(folder)])
    assert catalogue.find(str(folder)).variant == "lcm"
    asked = request_for(scene, picture, num_inference_steps=20, strength=0.1, model=str(folder))
    asked = replace(asked, edit=replace(asked.edit, threshold=0.0))
    *_, finished = run(asked, scene.blobs, ModelCache(catalogue))
    assert [notice for notice in finished.report["notices"] if "made for few steps: 20" in notice]


def test_a_picture_is_turned_back_and_what_is_lost_is_told(edit) -> None:
    """The nearer, the more steps are taken; without the way back nothing is said."""
    told = []
    for steps in (2, 10):
        turned, finished = edit("ddib", cycle=True, num_inference_steps=steps, guidance_scale=1.0)
        told.append(finished.report["edit"]["cycle_db"])
        assert str(finished.report["notices"][-1]).startswith("Turned back, the picture ")
        assert f"({told[-1]:.1f} dB)" in str(finished.report["notices"][-1])
    plain, finished = edit("ddib", num_inference_steps=10, guidance_scale=1.0)
    assert "cycle_db" not in finished.report["edit"]
    assert np.array_equal(turned, plain)
    assert told[1] > told[0]


def two_models(tmp_path, **traits: Any) -> tuple[ModelCache, str, str]:
    """Two tiny checkpoints, and how the second one differs."""
    one = str(save_checkpoint(tmp_path / "one", channels=4))
    other = str(save_checkpoint(tmp_path / "other", **{"channels": 4} | traits))
    return ModelCache(Catalogue([one, other])), one, other


def test_one_model_takes_back_what_another_one_paints(scene, picture, tmp_path) -> None:
    """The same words are change enough; each keeps its own place on disk and in the report."""
    models, one, other = two_models(tmp_path, prediction_type="v_prediction")
    results = []
    for source, target in ((one, one), (one, other), (other, one)):
        words = {"source_model": source, "source_prompt": "snow"}
        prompt = "lava" if source == target else "snow"
        asked = request_for(scene, picture, "ddib", prompt=prompt, model=target, **words)
        *_, finished = run(asked, scene.blobs, models)
        assert finished.report["edit"]["changed"] == 1.0
        assert finished.report["model"] == target
        results.append(finished.pixels.data)
    assert len(set(results)) == 3


def test_models_whose_latents_differ_share_no_noise(scene, picture, tmp_path) -> None:
    """That is told, with both names."""
    models, one, other = two_models(tmp_path, channels=3)
    asked = request_for(scene, picture, "ddib", model=one, source_model=other)
    with pytest.raises(TapestryError, match="their latents differ"):
        list(run(asked, scene.blobs, models))


def test_a_model_to_take_it_back_that_is_not_there(scene, picture, model_cache) -> None:
    """Before anything is loaded."""
    asked = request_for(scene, picture, "ddib", source_model="nowhere")
    with pytest.raises(TapestryError, match="no model") as raised:
        next(run(asked, scene.blobs, model_cache))
    assert raised.value.code is ErrorCode.MODEL_NOT_FOUND
