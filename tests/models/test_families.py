"""Every family of checkpoints: one window is its own pipeline's picture, windows fuse exactly."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import diffusers
import numpy as np
import pytest
import torch
from torch import Tensor

from tapestry_backend.checkpoints.catalogue import Catalogue, read_checkpoint_at
from tapestry_backend.checkpoints.families import FAMILIES
from tapestry_backend.engine.multidiffusion import MultiDiffusion, RegionPrompt, WindowContext
from tapestry_backend.engine.noise import canvas_noise, job_generator
from tapestry_backend.engine.sampling import sample
from tapestry_backend.engine.views import ViewPlan, WindowLayout
from tapestry_backend.engine.windows import Size, Window
from tapestry_backend.models.model_cache import ModelCache, runner_of
from tapestry_backend.models.text.pack_conditioning import pack, unpack
from tapestry_backend.tasks.events import Finished
from tapestry_backend.tasks.plan import make_plan
from tapestry_backend.tasks.run import run
from tapestry_protocol.adapters import may_fit
from tapestry_protocol.errors import TapestryError
from tapestry_protocol.messages import Expert, PixelsRef, Region, Request, Selection
from tapestry_protocol.pixels import Bounds, Margins, Pixels
from tests.models.tiny_checkpoints import (
    FACTOR,
    WINDOW,
    save_3,
    save_checkpoint,
    save_chroma,
    save_flux,
    save_flux_2,
    save_qwen_image,
    save_xl,
    save_z_image,
)

STEPS, SCALE, SEED = 3, 4.0, 5
WHOLE = Size(WINDOW, WINDOW)


class Kind(NamedTuple):
    """A tiny checkpoint: what it is, how it is saved, what its pipeline is asked and lacks."""

    family: str
    save: Callable[[Path], Path]
    asked: dict[str, Any]
    lacks: tuple[str, ...] = ()
    variant: str = "base"


_ONE_LESS = {"guidance_scale": SCALE - 1}
"""Its pipeline counts from 0 what others count from 1."""

KINDS = {
    "sd1": Kind("sd1", save_checkpoint, {}),
    "sd2": Kind(
        "sd2",
        lambda folder: save_checkpoint(folder, prediction_type="v_prediction", text_width=1024),
        {},
    ),
    "sd1 distilled": Kind("sd1", lambda folder: save_checkpoint(folder, distilled=True), {}),
    "sdxl": Kind("sdxl", save_xl, {"negative_prompt": "snow"}),
    "sdxl without negative": Kind("sdxl", save_xl, {}),
    "sdxl distilled": Kind("sdxl", lambda folder: save_xl(folder, distilled=True), {}),
    "sd3": Kind("sd3", save_3, {"negative_prompt": "snow"}),
    "sd3 shifting": Kind("sd3", lambda folder: save_3(folder, shifts=True), {}),
    "sd3 without t5": Kind(
        "sd3", lambda folder: save_3(folder, t5=False), {}, ("text_encoder_3", "tokenizer_3")
    ),
    "flux dev": Kind("flux", save_flux, {}),
    "flux schnell": Kind(
        "flux",
        lambda folder: save_flux(folder, dev=False),
        {"max_sequence_length": 256},  # as it was trained
        (),
        "schnell",
    ),
    "z_image": Kind("z_image", save_z_image, {"negative_prompt": "snow", **_ONE_LESS}),
    "z_image shifting": Kind(
        "z_image", lambda folder: save_z_image(folder, shifts=True), _ONE_LESS
    ),
    "qwen_image": Kind(
        "qwen_image",
        save_qwen_image,
        {"negative_prompt": "snow", "guidance_scale": None, "true_cfg_scale": SCALE},
    ),
    "chroma": Kind(
        "chroma", save_chroma, {"negative_prompt": "snow"}, ("image_encoder", "feature_extractor")
    ),
    "flux2": Kind("flux2", save_flux_2, {}),
    "flux2 dev": Kind("flux2", lambda folder: save_flux_2(folder, dev=True), {}),
    "flux2 distilled": Kind(
        "flux2", lambda folder: save_flux_2(folder, distilled=True), {}, (), "distilled"
    ),
}


_FLOWS = {"sd3", "flux", "z_image", "flux2", "chroma", "qwen_image"}
_TRANSFORMERS = [name for name, kind in KINDS.items() if kind.family in _FLOWS]
_PACKED = {"flux", "chroma"}
"""Whose pipelines take patches in a row."""


class Case(NamedTuple):
    """A kind's checkpoint, loaded."""

    kind: Kind
    folder: Path
    model_cache: ModelCache

    @property
    def model(self) -> Any:
        return self.model_cache.load(str(self.folder))


@pytest.fixture(scope="module", params=KINDS)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    """A tiny checkpoint of each kind in turn."""
    kind = KINDS[request.param]
    folder = kind.save(tmp_path_factory.mktemp("family") / "checkpoint")
    return Case(kind, folder, ModelCache(Catalogue([str(folder)]), "cpu"))


def pipeline_of(case: Case) -> Any:
    """Diffusers' own pipeline of the family."""
    pipeline = diffusers.DiffusionPipeline.from_pretrained(
        case.folder, local_files_only=True, **dict.fromkeys(case.kind.lacks)
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def plain(
    case: Case,
    prompt: str,
    output: str,
    scheduler: Any = None,
    size: Size = WHOLE,
    lora: Path | None = None,
) -> Tensor:
    """What that makes of a prompt, of this kind."""
    pipeline = pipeline_of(case)
    pipeline.scheduler = scheduler or pipeline.scheduler
    if lora is not None:
        pipeline.load_lora_weights(lora, adapter_name="it")
    noise = canvas_noise(SEED, case.model.channels, size)
    asked = {"prompt": prompt, "guidance_scale": SCALE, **case.kind.asked}
    if case.kind.family == "chroma":
        asked |= told_of_chroma(pipeline, prompt, asked.pop("negative_prompt"))
    return pipeline(
        height=size.height * FACTOR,
        width=size.width * FACTOR,
        latents=in_a_row(case, noise),
        num_inference_steps=STEPS,
        output_type=output,
        **asked,
    ).images


def plain_latents(
    case: Case,
    prompt: str,
    scheduler: Any = None,
    size: Size = WHOLE,
    lora: Path | None = None,
) -> Tensor:
    """The latents that it ends with, as ours are."""
    found = plain(case, prompt, "latent", scheduler, size, lora)
    if found.ndim == 3 and case.kind.family == "flux2":  # dev's, in a row
        return found.transpose(1, 2).unflatten(2, size)
    if case.kind.family == "flux2":  # as its autoencoder takes them
        mean, scale = case.model._scales(found)
        return (torch.nn.functional.pixel_unshuffle(found, 2) - mean) * scale
    if case.kind.family == "qwen_image":
        return found.transpose(1, 2).unflatten(2, size)
    return unpacked(found, size) if case.kind.family in _PACKED else found


def in_a_row(case: Case, noise: Tensor) -> Tensor:
    """As the pipeline of a family wants it."""
    if case.kind.family == "qwen_image":
        return noise.flatten(2).transpose(1, 2)
    return packed(noise) if case.kind.family in _PACKED else noise


def told_of_chroma(pipeline: Any, prompt: str, negative: str) -> dict[str, Any]:
    """What Chroma is to see of both texts: their tokens and one more, and nothing behind them.

    Its pipeline lets the rest be seen, with less weight: a mask of ones and zeros is added there.
    """
    told: dict[str, Any] = {"prompt": None}
    states, _, seen, away, _, unseen = pipeline.encode_prompt(prompt, negative)
    for kind, each, mask in (("", states, seen), ("negative_", away, unseen)):
        told[f"{kind}prompt_embeds"] = each[:, : int(mask.sum())]
        told[f"{kind}prompt_attention_mask"] = mask[:, : int(mask.sum())]
    return told


def packed(latents: Tensor) -> Tensor:
    """As FLUX's pipeline wants them."""
    return diffusers.FluxPipeline._pack_latents(latents, *latents.shape)


def unpacked(latents: Tensor, size: Size) -> Tensor:
    """From FLUX's pipeline."""
    height, width = (side * FACTOR for side in size)
    return diffusers.FluxPipeline._unpack_latents(latents, height, width, FACTOR)


def our_latents(
    model: Any,
    prompts: Sequence[str],
    weights: Tensor,
    negative: str = "",
    scheduler: str = "checkpoint",
    window: Size = WHOLE,
) -> Tensor:
    """What the engine makes of regions with these weights [N, H, W]."""
    canvas = Size(*weights.shape[-2:])
    told, scale = (SCALE, 1.0) if model.distilled else (1.0, SCALE)
    denoise = MultiDiffusion(
        model.predict,
        ViewPlan(WindowLayout(canvas, window, window), weights),
        [RegionPrompt(i, len(prompts), scale) for i in range(len(prompts))],
        model.encode_prompts([*prompts, negative], [told] * (len(prompts) + 1)),
        4,
        guidance_rescale=model.guidance_rescale,
    )
    noise = canvas_noise(SEED, model.channels, canvas)
    made = model.make_scheduler(scheduler, window)
    *_, last = sample(denoise, made, noise, STEPS, job_generator(SEED))
    return last.latents


def test_a_checkpoint_is_recognised(case: Case) -> None:
    """By its configuration: family, variant, and the size of a window."""
    entry = read_checkpoint_at("x", case.folder)

    assert (entry.family, entry.variant) == (case.kind.family, case.kind.variant)
    assert entry.window_px == WINDOW * FACTOR
    assert type(case.model) is runner_of(FAMILIES[case.kind.family])


def test_one_window_is_the_plain_pipelines(case: Case) -> None:
    """Same noise, same prompt: the latents of diffusers' own pipeline."""
    theirs = plain_latents(case, "red bricks")
    negative = case.kind.asked.get("negative_prompt", "")
    ours = our_latents(case.model, ["red bricks"], torch.ones(1, *WHOLE), negative)

    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=0)


def test_a_low_window_is_the_plain_pipelines(case: Case) -> None:
    """As low canvases have it: of the square's area, and with the noise levels of its size."""
    plan = make_plan(Request("generate", 48, 80, model=str(case.folder)), case.model)
    theirs = plain_latents(case, "red bricks", size=plan.window)
    negative = case.kind.asked.get("negative_prompt", "")
    weights = torch.ones(1, *plan.canvas)
    ours = our_latents(case.model, ["red bricks"], weights, negative, window=plan.window)

    assert plan.canvas == plan.window == (12, 20)
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=0)


def test_latents_become_its_pixels_and_back(case: Case) -> None:
    """Scaled, or normalised and packed, as the family has it; unscaled they are as encoded."""
    model, latents = case.model, plain_latents(case, "red bricks")
    theirs = plain(case, "red bricks", "pt")
    ours = (model.decode(latents) / 2 + 0.5).clamp(0, 1)
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=0)

    pixels = theirs * 2 - 1
    found = model._for_pictures(model._vae).encode(pixels)
    own = found.latent_dist.mode() if hasattr(found, "latent_dist") else found.latents
    torch.testing.assert_close(model._unscaled(model.encode(pixels)), own, atol=1e-4, rtol=0)


@pytest.mark.parametrize("case", _TRANSFORMERS, indirect=True, scope="module")
def test_a_lora_is_that_of_its_pipeline(case: Case, tmp_path: Path) -> None:
    """As diffusers saves one for a transformer, by its family's own names."""
    import peft

    torch.manual_seed(6)
    pipeline, path = pipeline_of(case), tmp_path / "it.safetensors"
    layers = ["to_q", "to_v", "add_k_proj", "to_qkv_mlp_proj", "img_mlp.net.2", "w1"]
    pipeline.transformer.add_adapter(peft.LoraConfig(r=4, lora_alpha=6, target_modules=layers))
    for name, parameter in pipeline.transformer.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.05)
    pipeline.save_lora_weights(
        tmp_path,
        weight_name=path.name,
        transformer_lora_layers=peft.get_peft_model_state_dict(pipeline.transformer),
        transformer_lora_adapter_metadata=pipeline.transformer.peft_config["default"].to_dict(),
    )
    cache = ModelCache(Catalogue([str(case.folder)], adapters=[str(path)]), "cpu")
    model: Any = cache.load(str(case.folder))
    lora = cache.catalogue.adapters.find("it", "lora")
    negative = case.kind.asked.get("negative_prompt", "")
    asked = (model, ["red bricks"], torch.ones(1, *WHOLE), negative)
    without = our_latents(*asked)
    with model.adapter_manager.activated([(lora, 1.0)]):
        ours = our_latents(*asked)

    assert may_fit("lora", lora.family, case.kind.family)
    torch.testing.assert_close(
        ours, plain_latents(case, "red bricks", lora=path), atol=1e-4, rtol=0
    )
    assert float((ours - without).abs().max()) > 1e-3


def test_a_partition_with_one_prompt_is_the_whole(case: Case) -> None:
    """Three regions that want the same are one."""
    parts = torch.zeros(3, *WHOLE)
    parts[0, :, :9], parts[1, :7, 9:], parts[2, 7:, 9:] = 1, 1, 1
    whole = our_latents(case.model, ["lava"], torch.ones(1, *WHOLE), "snow")
    cut = our_latents(case.model, ["lava"] * 3, parts, "snow")

    torch.testing.assert_close(cut, whole, atol=1e-4, rtol=0)


def test_a_heavier_word_changes_its_own_text(case: Case) -> None:
    """Weights inside a prompt work in every family; a text without them stays as it was."""
    plain, heavy, again = case.model.encode_prompts(
        ["red bricks", "red (bricks:1.5)", "red (bricks:1.0)"]
    )

    assert torch.equal(plain, again)
    assert not torch.equal(plain, heavy)


@pytest.fixture(scope="module")
def xl(tmp_path_factory: pytest.TempPathFactory) -> Case:
    """A tiny Stable Diffusion XL."""
    folder = save_xl(tmp_path_factory.mktemp("xl") / "checkpoint")
    return Case(KINDS["sdxl"], folder, ModelCache(Catalogue([str(folder)]), "cpu"))


def test_xl_is_told_a_windows_place_if_asked(xl: Case) -> None:
    """A framed window is a crop of the canvas, as in diffusers' pipeline; else its own."""
    window = Window(4, 8, 4 + WINDOW, 8 + WINDOW)
    canvas = Size(24, 40)
    model, told = xl.model, {}
    conditions = model.encode_prompts(["lava"])
    latents = torch.randn(1, 4, WINDOW, WINDOW, generator=torch.Generator().manual_seed(0))
    for name, contexts in {
        "alone": (),
        "own": [WindowContext(window, canvas)],
        "framed": [WindowContext(window, canvas, framed=True)],
    }.items():
        told[name] = model.predict(latents, torch.tensor(500), conditions, contexts)
    tokens, (pooled,) = unpack(conditions, [32])
    pixels = [24, 40, 4, 8, WINDOW, WINDOW]
    with torch.no_grad():
        plain = model._unet(
            latents,
            500,
            encoder_hidden_states=tokens,
            added_cond_kwargs={
                "text_embeds": pooled,
                "time_ids": torch.tensor([[FACTOR * side for side in pixels]]),
            },
        ).sample

    assert torch.equal(told["alone"], told["own"])
    assert torch.equal(told["framed"], plain)
    assert not torch.allclose(told["framed"], told["own"], atol=1e-5)


@pytest.mark.parametrize("sizes", [[5], [3, 1], [40], [9, 9, 1], []])
def test_what_is_packed_comes_back(sizes: list[int]) -> None:
    """Vectors of any size beside tokens of any width."""
    tokens = torch.randn(2, 5, 9)
    vectors = [torch.randn(2, size) for size in sizes]
    found, parts = unpack(pack(tokens, vectors), sizes)

    assert torch.equal(found, tokens)
    assert all(torch.equal(a, b) for a, b in zip(parts, vectors, strict=True))


def test_a_family_paints_a_canvas_of_any_size(case: Case) -> None:
    """Higher than a window, with a draft, two regions, and sides that no patch divides."""
    height, width = 3 * WINDOW * FACTOR - 10, WINDOW * FACTOR + 2 * FACTOR + 1
    mask = Pixels(40, width, 1, bytes([255]) * (40 * width))
    region = Region("lava", Bounds(0, 0, 40, width), PixelsRef.of(mask), guidance_scale=2.0)
    request = Request(
        "generate",
        height,
        width,
        "snow",
        regions=(region,),
        num_inference_steps=2,
        expert=Expert(framing="canvas"),
        model=str(case.folder),
    )
    *_, finished = run(request, {mask.sha256: mask.data}, case.model_cache)

    assert isinstance(finished, Finished)
    assert (finished.pixels.height, finished.pixels.width) == (height, width)
    assert finished.report["plan"]["draft"]


def picture(height: int, width: int) -> Pixels:
    """Some opaque colours."""
    rgba = np.random.default_rng(1).integers(0, 256, (height, width, 4), dtype=np.uint8)
    rgba[..., 3] = 255
    return Pixels(height, width, 4, rgba.tobytes())


def test_a_family_extends_a_picture_to_odd_sizes(case: Case) -> None:
    """What was there is not touched, to the pixel."""
    height, width = WINDOW * FACTOR + 6, WINDOW * FACTOR - 9
    image = picture(height, width)
    request = Request(
        "extend",
        height,
        width,
        "snow",
        margins=Margins(left=13, bottom=30),
        image=PixelsRef.of(image),
        num_inference_steps=2,
        model=str(case.folder),
    )
    *_, finished = run(request, {image.sha256: image.data}, case.model_cache)
    alpha = np.frombuffer(finished.pixels.data, np.uint8).reshape(height + 30, width + 13, 4)[
        ..., 3
    ]

    assert not alpha[:height, 13:].any()
    assert (alpha[:, :13] == 255).all()
    assert (alpha[height:] == 255).all()


@pytest.mark.parametrize("task", ["refine", "fill"])
def test_a_family_changes_what_is_selected_alone(case: Case, task: str) -> None:
    """Of a canvas of several windows, to the pixel."""
    height, width = WINDOW * FACTOR + 6, 2 * WINDOW * FACTOR - 9
    image, mask = picture(height, width), Pixels(21, 35, 1, bytes([255]) * (21 * 35))
    request = Request(
        task,
        height,
        width,
        "snow",
        selection=Selection(Bounds(11, 17, 32, 52), PixelsRef.of(mask)),
        image=PixelsRef.of(image),
        strength=0.6 if task == "refine" else 1.0,
        num_inference_steps=3,
        model=str(case.folder),
    )
    blobs = {each.sha256: each.data for each in (image, mask)}
    *_, finished = run(request, blobs, case.model_cache)
    made = np.frombuffer(finished.pixels.data, np.uint8).reshape(height, width, 4)
    before = np.frombuffer(image.data, np.uint8).reshape(height, width, 4)
    inside = np.zeros((height, width), bool)
    inside[11:32, 17:52] = True

    assert np.array_equal(made[..., 3] > 0, inside)
    assert not np.array_equal(made[inside], before[inside])


def test_a_windows_place_changes_nothing_by_itself(case: Case) -> None:
    """Positions are relative to the window, unless the model is framed by the canvas."""
    model = case.model
    latents = torch.randn(2, model.channels, WINDOW - 1, WINDOW + 3)
    conditions = model.encode_prompts(["lava", "lava"])
    window = Window(5, 9, 5 + WINDOW - 1, 9 + WINDOW + 3)
    contexts = [
        WindowContext(window, Size(64, 64)),
        WindowContext(Window(0, 0, *window.size), Size(64, 64)),
    ]
    there = model.predict(latents, torch.tensor(500.0), conditions, contexts)

    assert torch.equal(there, model.predict(latents, torch.tensor(500.0), conditions))
    assert there.shape == latents.shape


@pytest.mark.parametrize("name", ["euler", "dpmpp_2m_karras", "flow_euler"])
def test_schedulers_by_name_are_those_of_its_pipeline(case: Case, name: str) -> None:
    """Those that fit the way it was trained; the others are refused with a sentence."""
    flows = case.kind.family in _FLOWS
    if flows != (name == "flow_euler"):
        with pytest.raises(TapestryError, match="flow matching"):
            case.model.make_scheduler(name)
        return
    scheduler = None if flows else case.model.make_scheduler(name)
    theirs = plain_latents(case, "red bricks", scheduler)
    negative = case.kind.asked.get("negative_prompt", "")
    ours = our_latents(case.model, ["red bricks"], torch.ones(1, *WHOLE), negative, name)

    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=0)


def test_what_is_too_long_for_its_places_gets_no_draft(tmp_path: Path) -> None:
    """Stable Diffusion 3 knows so many places along a side and no more."""
    folder = save_3(tmp_path / "sd3", t5=False)
    model_cache = ModelCache(Catalogue([str(folder)]), "cpu")
    sides = WINDOW * FACTOR, WINDOW * FACTOR
    plans = [
        make_plan(Request("generate", h, w, model=str(folder)), model_cache.load(str(folder)))
        for h, w in (tuple(2 * side for side in sides), (12 * sides[0], sides[1]))
    ]

    assert plans[0].draft is not None
    assert plans[1].draft is None


def test_devs_tokenizer_is_read_without_what_looks_at_pictures(tmp_path: Path) -> None:
    """As its folder has it: in a processor, which would want one more library."""
    folder = save_flux_2(tmp_path / "dev", dev=True)
    index = json.loads((folder / "model_index.json").read_text("utf-8"))
    index["tokenizer"] = ["transformers", "PixtralProcessor"]
    (folder / "model_index.json").write_text(json.dumps(index), "utf-8")
    model: Any = ModelCache(Catalogue([str(folder)]), "cpu").load(str(folder))

    assert model.distilled
    assert model.encode_prompts(["red bricks"], [SCALE]).shape[0] == 1
