"""A picture that is learned: how far words change it, what is kept, and what cannot be learned."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tapestry_backend.checkpoints.catalogue import Catalogue
from tapestry_backend.engine import learning
from tapestry_backend.models.model_cache import ModelCache
from tapestry_backend.models.stable_diffusion import StableDiffusion
from tapestry_backend.tasks import imagic
from tapestry_backend.tasks.events import Finished, Progressed
from tapestry_backend.tasks.imagic import learned_files
from tapestry_backend.tasks.inversion_files import InversionFiles
from tapestry_backend.tasks.run import run
from tapestry_protocol.adapters import Lora
from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.messages import Edit, PixelsRef, Request, Selection
from tapestry_protocol.pixels import Bounds, Pixels
from tests.models.tiny_checkpoints import save_checkpoint, save_flux, save_xl

HEIGHT, WIDTH, STEPS, LEARNING = 64, 96, 3, 4

Edited = Callable[..., tuple[np.ndarray, Finished]]


@pytest.fixture(scope="module")
def picture() -> Pixels:
    """Two colours with a soft border."""
    rows, columns = np.indices((HEIGHT, WIDTH))
    rgba = np.full((HEIGHT, WIDTH, 4), 255, np.uint8)
    rgba[..., 0] = 2 * columns
    rgba[..., 1] = 3 * rows
    return Pixels(HEIGHT, WIDTH, 4, rgba.tobytes())


@pytest.fixture(params=["sd", "xl"])
def tiny(request, tmp_path: Path) -> str:
    """A tiny checkpoint of each family."""
    save = {"sd": save_checkpoint, "xl": save_xl}[request.param]
    return str(save(tmp_path / request.param))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where things are kept."""
    return tmp_path / "data"


def request_for(scene, picture: Pixels, model: str, **settings: Any) -> Request:
    """In few steps."""
    known = {name: settings.pop(name) for name in list(settings) if hasattr(Edit, name)}
    words = Edit(**({"method": "imagic", "learning_steps": LEARNING} | known))
    few = {"prompt": "lava", "num_inference_steps": STEPS, "strength": 1.0} | settings
    image = PixelsRef.of(picture)
    scene.blobs[picture.sha256] = picture.data
    return Request("edit", HEIGHT, WIDTH, image=image, edit=words, model=model, **few)


def events_of(request: Request, blobs: dict[str, bytes], folder: Path) -> Any:
    """All that a run says, with what is kept in a folder."""
    cache = ModelCache(Catalogue([request.model]), "cpu")
    kept = InversionFiles(folder / "inversions"), learned_files(folder)
    return run(request, blobs, cache, None, *kept)


@pytest.fixture
def edit(scene, picture, folder: Path) -> Edited:
    """Edit it; gives the result [H, W, 4], and the end."""

    def edit_it(model: str, **settings: Any) -> tuple[np.ndarray, Finished]:
        request = request_for(scene, picture, model, **settings)
        *_, finished = events_of(request, scene.blobs, folder)
        data = np.frombuffer(finished.pixels.data, np.uint8)
        return data.reshape(HEIGHT, WIDTH, 4), finished

    return edit_it


def test_another_place_on_the_way_costs_a_painting(edit: Edited, tiny: str) -> None:
    """What was learned is kept, and so is the way back to noise."""
    one, first = edit(tiny, interpolation=1.0)
    other, second = edit(tiny, interpolation=0.2)
    again, third = edit(tiny, interpolation=1.0)
    assert first.report["edit"]["learned_now"] == LEARNING
    assert second.report["edit"]["learned_now"] == third.report["edit"]["learned_now"] == 0
    windows = first.report["windows"]
    assert windows > 1
    guided = 2 * STEPS * windows
    assert first.report["unet_evaluations"] == 2 * STEPS * windows + guided
    assert second.report["unet_evaluations"] == guided
    assert not np.array_equal(one, other)
    assert np.array_equal(one, again)
    assert first.report["edit"]["interpolation"] == 1.0
    assert first.report["edit"]["loss"] > 0


def test_other_words_another_picture_or_longer_is_learned_anew(
    edit: Edited, tiny: str, scene, picture, folder: Path
) -> None:
    """Only what is the same in all of that is found again."""
    edit(tiny)
    for settings in ({"prompt": "snow"}, {"learning_steps": LEARNING + 1}):
        _, finished = edit(tiny, **settings)
        assert finished.report["edit"]["learned_now"] >= LEARNING
    data = bytes(255 - value for value in picture.data[:400]) + picture.data[400:]
    request = request_for(scene, replace(picture, data=data), tiny)
    *_, finished = events_of(request, scene.blobs, folder)
    assert finished.report["edit"]["learned_now"] == LEARNING


def test_at_nothing_the_picture_is_itself(model_cache, scene, folder: Path) -> None:
    """But for what its autoencoder loses, in few steps, too; with all of the words another one."""
    request = Request("generate", 128, 192, prompt="waves", seed=3, num_inference_steps=8)
    *_, painted = run(request, {}, model_cache)
    kept = InversionFiles(folder / "inversions"), learned_files(folder)
    there = np.frombuffer(painted.pixels.data, np.uint8).astype(int)
    scene.add(painted.pixels)
    changes = []
    for interpolation in (0.0, 1.0):
        words = Edit("imagic", interpolation=interpolation, learning_steps=3)
        asked = Request(
            *("edit", 128, 192, "lava"),
            image=PixelsRef.of(painted.pixels),
            edit=words,
            strength=1.0,
            num_inference_steps=5,
        )
        *_, finished = run(asked, scene.blobs, model_cache, None, *kept)
        result = np.frombuffer(finished.pixels.data, np.uint8).astype(int)
        changes.append(np.abs(result - there).mean())
    model = model_cache.load("sample")
    rgb = torch.from_numpy(there.reshape(128, 192, 4)[..., :3]).permute(2, 0, 1)[None] / 127.5 - 1
    seen = model.decode(model.encode(rgb)).clamp(-1, 1)
    lost = float((seen - rgb).abs().mean()) * 127.5 * 3 / 4  # of four channels
    assert changes[0] == pytest.approx(lost, rel=0.15)
    assert changes[1] > 3 * changes[0]


def test_what_was_learned_is_better_than_before(
    edit: Edited, tiny: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loss of the same lessons comes down, with the words' embedding and with the LoRA."""
    losses: dict[int, float] = {}
    plain = learning.Lessons.at
    monkeypatch.setattr(learning.Lessons, "at", lambda self, number: plain(self, number % 2))
    monkeypatch.setattr(imagic, "_EMBEDDING_RATE", 0.05)
    monkeypatch.setattr(imagic, "_LORA_RATE", 0.01)
    ask = imagic._learn_one

    def noted(*args: Any) -> float:
        loss = ask(*args)
        losses[len(losses)] = loss
        return loss

    monkeypatch.setattr(imagic, "_learn_one", noted)
    edit(tiny, learning_steps=30)
    begun, words, model = (sum(losses[n] for n in (at, at + 1)) for at in (0, 8, 28))
    assert words < begun
    assert model < words


def test_a_cancelled_one_is_kept_and_goes_on(
    edit: Edited, tiny: str, scene, picture, tmp_path: Path, folder: Path
) -> None:
    """In the words' part and in the LoRA's; the result is that of a run in one go, to the bit."""
    whole, _ = edit(tiny, learning_steps=6)
    request = request_for(scene, picture, tiny, learning_steps=6)
    apart = tmp_path / "apart"
    for stop in (1, 4):
        events = events_of(request, scene.blobs, apart)
        for event in events:
            if isinstance(event, Progressed) and (event.stage, event.step) == ("learning", stop):
                break
        events.close()
    *told, finished = events_of(request, scene.blobs, apart)
    steps = [event.step for event in told if event.stage == "learning"]
    assert steps == [4, 5, 6]
    assert finished.report["edit"]["learned_now"] == 2
    assert np.array_equal(np.frombuffer(finished.pixels.data, np.uint8), whole.reshape(-1))


def test_a_killed_one_lost_little(
    scene, picture, tiny: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it keeps on the way is on the disk before anything ends."""
    monkeypatch.setattr(imagic, "_KEPT_EVERY_S", -1.0)
    request = request_for(scene, picture, tiny)
    events = events_of(request, scene.blobs, folder)
    for event in events:
        if isinstance(event, Progressed) and (event.stage, event.step) == ("learning", 3):
            break
    (kept,) = (folder / "learned").iterdir()
    beside = folder.with_name("beside") / "learned"
    beside.mkdir(parents=True)
    (beside / kept.name).write_bytes(kept.read_bytes())
    *_, finished = events_of(request, scene.blobs, beside.parent)
    assert finished.report["edit"]["learned_now"] == LEARNING - 2


@pytest.mark.parametrize("damage", [b"", b"nonsense", None])
def test_a_damaged_file_is_learned_anew(
    edit: Edited, tiny: str, folder: Path, damage: bytes | None
) -> None:
    """And kept again."""
    edit(tiny)
    (kept,) = (folder / "learned").iterdir()
    kept.write_bytes(kept.read_bytes()[:-8] if damage is None else damage)
    assert edit(tiny)[1].report["edit"]["learned_now"] == LEARNING
    assert edit(tiny)[1].report["edit"]["learned_now"] == 0


def test_only_what_is_selected_changes(edit: Edited, tiny: str, scene) -> None:
    """Transparent everywhere else."""
    mask = scene.add(Pixels(32, 40, 1, b"\xff" * 32 * 40))
    result, finished = edit(tiny, selection=Selection(Bounds(8, 8, 40, 48), mask))
    inside = np.zeros((HEIGHT, WIDTH), bool)
    inside[8:40, 8:48] = True
    assert np.array_equal(result[..., 3] > 0, inside)
    assert finished.report["edit"]["changed"] == inside.mean()


def test_a_selection_of_nothing_is_told(edit: Edited, tiny: str, scene) -> None:
    """Before anything is learned."""
    mask = scene.add(Pixels(32, 40, 1, bytes(32 * 40)))
    with pytest.raises(TapestryError, match="Nothing is selected"):
        edit(tiny, selection=Selection(Bounds(8, 8, 40, 48), mask))


def test_loras_count(edit: Edited, model_cache, scene, picture) -> None:
    """The picture is learned with them."""
    made = []
    for loras in ((), (Lora("sample-ink", 1.0),)):
        request = request_for(scene, picture, "sample", learning_steps=1, loras=loras)
        *_, finished = run(request, scene.blobs, model_cache)
        made.append(finished.pixels.data)
    assert made[0] != made[1]


def test_with_less_memory_the_same_is_learned(
    edit: Edited, tiny: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row at a time, and then with some of it computed twice."""
    wanted, _ = edit(tiny, interpolation=0.5)
    for kept in (folder / "learned").iterdir():
        kept.unlink()
    spared = []
    plain, spare = StableDiffusion.predict_with_gradient, StableDiffusion.spare_gradients

    def short(self, latents, *args: Any) -> torch.Tensor:
        if len(latents) > 1 or not spared:
            raise MemoryError
        return plain(self, latents, *args)

    def note(self) -> None:
        spared.append(True)
        spare(self)

    monkeypatch.setattr(StableDiffusion, "predict_with_gradient", short)
    monkeypatch.setattr(StableDiffusion, "spare_gradients", note)
    result, finished = edit(tiny, interpolation=0.5)
    assert finished.report["edit"]["learned_now"] == LEARNING
    assert spared == [True]
    assert np.abs(result.astype(int) - wanted).max() <= 2


def test_too_little_memory_is_told(
    edit: Edited, tiny: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what to do; nothing was learned, and nothing is kept."""

    def short(*_: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(StableDiffusion, "predict_with_gradient", short)
    with pytest.raises(TapestryError, match="not enough memory for this model to learn") as caught:
        edit(tiny)
    assert caught.value.code is ErrorCode.OUT_OF_MEMORY
    assert not (folder / "learned").exists()


def test_numbers_that_are_not_finite_end_it(
    edit: Edited, tiny: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By name; what was learned before is kept."""
    plain = StableDiffusion.predict_with_gradient
    calls = []

    def spoilt(self, *args: Any) -> torch.Tensor:
        calls.append(True)
        predicted = plain(self, *args)
        return predicted * torch.nan if len(calls) == 3 else predicted

    monkeypatch.setattr(StableDiffusion, "predict_with_gradient", spoilt)
    with pytest.raises(TapestryError, match="learning the picture") as caught:
        edit(tiny)
    assert caught.value.code is ErrorCode.NOT_FINITE
    monkeypatch.undo()
    assert edit(tiny)[1].report["edit"]["learned_now"] == LEARNING - 2


@pytest.mark.parametrize("kind", ["flux", "distilled", "fill"])
def test_models_that_learn_nothing(edit: Edited, kind: str, tmp_path: Path) -> None:
    """A sentence, and another choice."""
    folder = tmp_path / kind
    if kind == "flux":
        save_flux(folder)
    elif kind == "distilled":
        save_checkpoint(folder, distilled=True)
    else:
        save_checkpoint(folder, channels=4, in_channels=9)
    with pytest.raises(TapestryError, match=r"cannot learn a picture|edits no pictures") as caught:
        edit(str(folder))
    assert caught.value.code is ErrorCode.BAD_REQUEST
    assert caught.value.advice
