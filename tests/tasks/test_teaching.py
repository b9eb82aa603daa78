"""A model is taught a word: what counts, what is kept, what lies in the file, what is refused."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import safetensors
import safetensors.torch
import torch

from tapestry_backend.checkpoints.catalogue import Catalogue
from tapestry_backend.checkpoints.taught import CARD, read_card
from tapestry_backend.models.model_cache import ModelCache
from tapestry_backend.tasks import teaching, teaching_room
from tapestry_backend.tasks.events import Finished, Progressed
from tapestry_backend.tasks.run import run
from tapestry_backend.tasks.teaching import half_learned_files
from tapestry_backend.tasks.teaching_examples import read_examples, shown_examples, variants_of
from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.messages import PixelsRef, Request, Teach
from tapestry_protocol.pixels import Bounds, Pixels
from tests.models.tiny_checkpoints import save_3, save_checkpoint, save_xl

SIDE = 72
METHODS = ("lora", "word", "attention", "key-locked")


def stuff(seed: int, side: int = SIDE) -> np.ndarray:
    """Stripes in a colour of their own, RGBA."""
    rng = np.random.default_rng(seed)
    rgba = np.full((side, side, 4), 255, np.uint8)
    rgba[..., 0] = 120 + 100 * (np.arange(side) // 6 % 2)
    rgba[..., 1] = rng.integers(0, 20, (side, side))
    return rgba


def pixels(array: np.ndarray) -> Pixels:
    """As the protocol carries it."""
    return Pixels(array.shape[0], array.shape[1], 4, array.tobytes())


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The models folder, and few steps."""
    monkeypatch.setenv("TAPESTRY_MODELS", str(tmp_path / "models"))
    monkeypatch.setattr(teaching, "_OWN_PICTURES", 1)


@pytest.fixture
def model(tmp_path: Path) -> str:
    """A tiny checkpoint."""
    return str(save_checkpoint(tmp_path / "tiny"))


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Lets each step take a minute of the time that was asked for."""

    def take(count: int) -> float:
        clock = iter(60.0 * number for number in range(10_000))
        now = {"at": 0.0}

        def told() -> float:
            now["at"] = next(clock) / 2
            return now["at"]

        monkeypatch.setattr(teaching, "time", SimpleNamespace(monotonic=told))
        return count * 0.5

    return take


def request_for(scene: Any, model: str, *examples: np.ndarray, **settings: Any) -> Request:
    """In a picture of one window."""
    refs = [scene.add(pixels(example)) for example in examples or (stuff(0), stuff(1))]
    taught = Teach(
        **({"word": "my wool", "minutes": 2.0, "vectors": 2} | settings), examples=tuple(refs)
    )
    return Request("teach", 64, 64, model=model, teach=taught, num_inference_steps=2, composition=0)


def events_of(request: Request, scene: Any, folder: Path, **besides: Any) -> Any:
    """All that a run says, with what is kept in a folder."""
    cache = ModelCache(Catalogue([request.model]), "cpu")
    files = half_learned_files(folder)
    return run(request, scene.blobs, cache, half_learned=files, **besides)


@pytest.mark.parametrize("method", METHODS)
def test_a_word_is_taught_and_paints(method: str, scene, model, steps, tmp_path: Path) -> None:
    """The file paints in a run of its own; without the word, what was painted before."""
    minutes = steps(6)
    request = request_for(scene, model, method=method, like="snow", minutes=minutes)
    *told, finished = events_of(request, scene, tmp_path)
    assert isinstance(finished, Finished)
    assert {event.stage for event in told} >= {"learning", "denoising"}
    about = finished.report["teach"]
    assert about["steps"] == len(about["losses"]) >= 2
    path = Path(about["file"])
    folder = "embeddings" if method == "word" else "loras"
    assert path == tmp_path / "models" / folder / "my-wool.safetensors"
    painted = replace(request, task="generate", teach=None, prompt="my wool")
    others = replace(painted, prompt="lava")

    def paint(wanted: Request, *adapters: str) -> bytes:
        cache = ModelCache(Catalogue([model], adapters=adapters), "cpu")
        *_, end = run(wanted, {}, cache)
        return end.pixels.data

    with_file = paint(painted, str(path))
    assert with_file == finished.pixels.data
    assert with_file != paint(painted)
    assert paint(others, str(path)) == paint(others)


def test_a_word_in_the_background_leaves_the_regions_alone(
    scene, model, steps, tmp_path: Path
) -> None:
    """Only where it is said its LoRA is laid on."""
    *_, taught = events_of(request_for(scene, model, minutes=steps(4)), scene, tmp_path)
    regions = (scene.region("lava", Bounds(0, 0, 64, 32)),)
    request = Request("generate", 64, 64, "my wool", model=model, regions=regions)
    cache = ModelCache(Catalogue([model], adapters=[taught.report["teach"]["file"]]), "cpu")
    *_, painted = run(replace(request, num_inference_steps=2, composition=0), scene.blobs, cache)
    region, background = painted.report["plan"]["regions"]
    assert (region["prompt"], region["loras"]) == ("lava", ())
    assert [lora["adapter"] for lora in background["loras"]] == ["my-wool"]


def test_the_card_says_what_it_was_taught_from(scene, model, steps, tmp_path: Path) -> None:
    """The examples' hashes, the settings, and what the artist says about its use."""
    minutes = steps(4)
    request = request_for(scene, model, minutes=minutes, licence="CC BY 4.0, Ada", rank=4)
    *_, finished = events_of(request, scene, tmp_path, taught=tmp_path / "mine.safetensors")
    with safetensors.safe_open(tmp_path / "mine.safetensors", "pt") as file:
        notes = file.metadata()
        names = list(file.keys())
    card = read_card(notes)
    assert card is not None
    assert (card.words, card.method, card.model) == (("my wool",), "lora", model)
    assert card.licence == notes["modelspec.license"] == "CC BY 4.0, Ada"
    assert card.examples == tuple(e.sha256 for e in request.teach.examples)
    assert card.settings["rank"] == 4
    assert json.loads(notes[CARD])["settings"]["steps"] == finished.report["teach"]["steps"]
    assert all(name.startswith("lora_unet_") for name in names)


def test_only_what_is_painted_counts(scene, model) -> None:
    """What lies behind transparency changes neither what is learned nor how much it counts."""
    cache = ModelCache(Catalogue([model]), "cpu").load(model)
    found = []
    for behind in (0, 255):
        example = stuff(0)
        example[: SIDE // 2, :, :3] = behind
        example[: SIDE // 2, :, 3] = 0
        request = request_for(scene, model, example, stuff(1))
        examples = read_examples(request.teach, scene.blobs, cache.cell_px)
        found.append(shown_examples(examples, cache, 0)[0])
    assert torch.equal(found[0].clean, found[1].clean)
    assert torch.equal(found[0].counts, found[1].counts)
    assert 0 < float((found[0].counts > 0).float().mean()) < 1


def test_switches_show_the_examples_in_other_ways(scene, model) -> None:
    """Mirrored, turned, lighter and darker; what a turn brings in from outside counts nothing."""
    request = request_for(scene, model)
    examples = read_examples(request.teach, scene.blobs, 4)
    counts = {}
    for name in ("flips", "turns", "light"):
        settings = {"flips": False, "turns": False, "light": False, name: True}
        counts[name] = list(variants_of(examples, replace(request.teach, **settings)))
    assert [len(each) for each in counts.values()] == [4, 6, 6]
    assert torch.equal(counts["flips"][1].pixels, examples[0].pixels.flip(-1))
    assert float(counts["turns"][1].opacity[0, 0]) < 0.5 < float(counts["turns"][1].opacity[36, 36])
    assert counts["light"][1].pixels.mean() > counts["light"][2].pixels.mean()


@pytest.mark.parametrize("method", METHODS)
def test_what_was_stopped_goes_on(method: str, scene, model, steps, tmp_path: Path) -> None:
    """As if it had not been stopped: the same file, to the bit."""
    minutes = steps(8)
    request = request_for(scene, model, method=method, minutes=minutes)
    *_, whole = events_of(request, scene, tmp_path / "a", taught=tmp_path / "whole.safetensors")
    events = events_of(request, scene, tmp_path / "b", taught=tmp_path / "parts.safetensors")
    seen = 0
    for event in events:
        seen += isinstance(event, Progressed) and event.stage == "learning"
        if seen == 4:
            break
    events.close()
    steps(8)
    *_, parts = events_of(request, scene, tmp_path / "b", taught=tmp_path / "parts.safetensors")
    assert whole.report["teach"]["steps"] == parts.report["teach"]["steps"]
    one, other = (
        safetensors.torch.load_file(tmp_path / name)
        for name in ("whole.safetensors", "parts.safetensors")
    )
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_what_was_stopped_can_be_kept(scene, model, steps, tmp_path: Path) -> None:
    """For no minutes more, what was learned becomes the file."""
    minutes = steps(8)
    request = request_for(scene, model, minutes=minutes)
    events = events_of(request, scene, tmp_path)
    seen = 0
    for event in events:
        seen += isinstance(event, Progressed) and event.stage == "learning"
        if seen == 4:
            break
    events.close()
    now = replace(request, teach=replace(request.teach, minutes=0.0))
    *_, finished = events_of(now, scene, tmp_path)
    assert finished.report["teach"]["steps"] == 3
    assert Path(finished.report["teach"]["file"]).exists()
    fresh = replace(now, teach=replace(now.teach, word="my felt", like="lava"))
    events = events_of(fresh, scene, tmp_path / "fresh")
    with pytest.raises(TapestryError, match="Nothing was learned"):
        list(events)
    assert not (tmp_path / "fresh").exists(), "no picture is painted for it"


def test_a_word_is_taught_by_two_text_encoders(scene, steps, tmp_path: Path) -> None:
    """As those of Stable Diffusion XL are called elsewhere."""
    folder, minutes = str(save_xl(tmp_path / "xl")), steps(4)
    request = request_for(scene, folder, method="word", minutes=minutes)
    *_, finished = events_of(request, scene, tmp_path)
    content = safetensors.torch.load_file(finished.report["teach"]["file"])
    assert {name: tuple(each.shape) for name, each in content.items()} == {
        "clip_l": (2, 32),
        "clip_g": (2, 32),
    }


def test_a_transformer_is_taught_by_the_same_loop(scene, steps, tmp_path: Path) -> None:
    """In the names that diffusers and ComfyUI read; a word of its own it cannot learn."""
    folder, minutes = str(save_3(tmp_path / "sd3")), steps(4)
    *_, finished = events_of(request_for(scene, folder, minutes=minutes), scene, tmp_path)
    content = safetensors.torch.load_file(finished.report["teach"]["file"])
    assert all(name.startswith("transformer.") for name in content)
    request = request_for(scene, folder, method="key-locked", word="my felt", minutes=minutes)
    with pytest.raises(TapestryError, match="learn"):
        list(events_of(request, scene, tmp_path))


def refused(scene: Any, request: Request, folder: Path) -> TapestryError:
    """The sentence, which comes before anything is learned."""
    told = []
    with pytest.raises(TapestryError) as caught:
        told.extend(events_of(request, scene, folder))
    assert not [event for event in told if event.stage == "learning"]
    assert caught.value.advice
    return caught.value


def test_one_example_is_refused(scene, model, tmp_path: Path) -> None:
    """And so is the same one twice, with a sentence of its own."""
    one = request_for(scene, model, stuff(0))
    assert "One example is not enough" in str(refused(scene, one, tmp_path).message)
    twice = request_for(scene, model, stuff(0), stuff(0))
    assert "all the same picture" in str(refused(scene, twice, tmp_path).message)


def test_transparent_examples_are_refused(scene, model, tmp_path: Path) -> None:
    """All of them, or all but one."""
    nothing, other = np.zeros((SIDE, SIDE, 4), np.uint8), np.zeros((SIDE, SIDE + 4, 4), np.uint8)
    error = refused(scene, request_for(scene, model, nothing, other), tmp_path)
    assert "transparent everywhere" in str(error.message)
    error = refused(scene, request_for(scene, model, nothing, stuff(0)), tmp_path)
    assert "transparent everywhere: 1" in str(error.message)


def test_a_layer_smaller_than_a_cell_is_refused(scene, model, tmp_path: Path) -> None:
    """With its size, and the cell's."""
    small = np.zeros((SIDE, SIDE, 4), np.uint8)
    small[10:12, 10:13] = 255
    error = refused(scene, request_for(scene, model, small, stuff(0)), tmp_path)
    assert "3 x 2 pixels" in str(error.message)


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("my wool and my felt", "two things"),
        ("my wool, my felt", "two things"),
        ("???", "no word"),
        ("<lora:x>", "no word"),
        ("snow", "new word"),
        ("", "is missing"),
    ],
)
def test_a_word_that_is_none_is_refused(word: str, said: str, scene, model, tmp_path: Path) -> None:
    """Or that is two, or what it shall be like."""
    request = request_for(scene, model, word=word, like="snow")
    assert said in str(refused(scene, request, tmp_path).message)


def test_a_word_that_exists_is_refused(scene, model, steps, tmp_path: Path) -> None:
    """Taught here, or a material that the model lists; and one that stands in another."""
    minutes = steps(4)
    list(events_of(request_for(scene, model, minutes=minutes), scene, tmp_path))
    taught = str(tmp_path / "models" / "loras" / "my-wool.safetensors")

    def said(word: str, name: str = model) -> str:
        request = request_for(scene, name, word=word, minutes=minutes)
        cache = ModelCache(Catalogue([name], adapters=[taught]), "cpu")
        with pytest.raises(TapestryError) as caught:
            list(run(request, scene.blobs, cache))
        return str(caught.value.message)

    assert "already" in said("My Wool")
    assert "two words in one" in said("my wool jumper")
    assert "two words in one" in said("wool")
    assert "knows" in said("red bricks", "sample")


def test_a_full_disk_is_told_before_the_wait(
    scene, model, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With how much is needed."""
    usage = SimpleNamespace(total=10**9, used=10**9, free=1000)
    monkeypatch.setattr(teaching_room.shutil, "disk_usage", lambda _: usage)
    error = refused(scene, request_for(scene, model), tmp_path)
    assert "no room on the disk" in str(error.message)


def test_a_model_in_eight_bits_is_refused(
    scene, model, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Before it is loaded."""
    cache = ModelCache(Catalogue([model]), "cpu")
    entry = replace(cache.catalogue.find(model), dtype="F8_E4M3")
    monkeypatch.setattr(cache.catalogue, "find", lambda _: entry)
    request = request_for(scene, model)
    with pytest.raises(TapestryError, match="8 bits"):
        list(run(request, scene.blobs, cache))


def test_what_does_not_fit_is_told_with_what_would(
    scene, model, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The sizes, and the method that takes least."""
    monkeypatch.setattr(teaching_room, "row_bytes", lambda _: 0.0)
    monkeypatch.setattr(teaching_room, "free_and_total_bytes", lambda _: (1000, 1000))
    error = refused(scene, request_for(scene, model), tmp_path)
    assert error.code is ErrorCode.OUT_OF_MEMORY
    assert "GiB" in str(error.message)
    assert '"word" would fit' in str(error.advice)


def test_the_pictures_bounds_are_the_canvas(scene, model, steps, tmp_path: Path) -> None:
    """As large as was asked for."""
    minutes = steps(3)
    *_, finished = events_of(request_for(scene, model, minutes=minutes), scene, tmp_path)
    assert finished.bounds == Bounds(0, 0, 64, 64)
    assert PixelsRef.of(finished.pixels).channels == 4
