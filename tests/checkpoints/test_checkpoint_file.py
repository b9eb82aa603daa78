"""Checkpoints in single files: read from their headers, loaded as what they are, or refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import diffusers
import pytest
import torch
from diffusers.loaders import single_file_utils

from tapestry_backend.checkpoints.catalogue import Catalogue, read_checkpoint_at
from tapestry_backend.checkpoints.checkpoint_file import read_checkpoint
from tapestry_backend.checkpoints.families import FAMILIES
from tapestry_backend.checkpoints.model_paths import MODELS_VARIABLE
from tapestry_backend.models.loading.conversion import convert
from tapestry_backend.models.model_cache import ModelCache
from tapestry_protocol.errors import ErrorCode, TapestryError
from tests.checkpoints.hostile_folders import HOSTILE, WEIGHTS
from tests.models.tiny_checkpoints import save_tokenizers
from tests.models.tiny_files import CELL_PX, Built, build, pipeline_of, same_weights, save_file


class Case(NamedTuple):
    """A file, what it was made of, and what was loaded from it."""

    family: str
    built: Built
    path: Path
    model: Any


@pytest.fixture(scope="module", params=FAMILIES)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory):
    """A tiny checkpoint of each family in one file."""
    built, folder = build(request.param), tmp_path_factory.mktemp("files")
    save_tokenizers(folder)
    path = save_file(built, folder / "tiny.safetensors")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(MODELS_VARIABLE, str(folder))
        model = ModelCache(Catalogue([str(path)]), "cpu").load(str(path))
        yield Case(request.param, built, path, model)


def test_a_header_says_what_a_file_is(case: Case) -> None:
    """Family, variant, window and precision, without loading anything."""
    entry = read_checkpoint_at("tiny", case.path)

    assert (entry.family, entry.variant, entry.dtype) == (case.family, "base", "float32")
    assert entry.window_px == FAMILIES[case.family].window_px
    assert entry.size_bytes == case.path.stat().st_size
    assert case.model.cell_px == {"flux2": 2 * CELL_PX, "qwen_image": 16}.get(case.family, CELL_PX)
    assert case.model.window == entry.window_px // case.model.cell_px


def test_loaded_networks_hold_the_files_very_numbers(case: Case) -> None:
    """All tensors find their places, whatever the file calls them."""
    for name, network in case.built.networks.items():
        assert same_weights(case.model._parts.use(name), network), name


def test_configurations_from_shapes_are_those_of_the_networks(case: Case) -> None:
    """What shapes say is what the networks were made with."""
    model = read_checkpoint(case.path)
    assert model is not None
    for name, network in case.built.networks.items():
        config = dict(network.config if hasattr(network.config, "items") else vars(network.config))
        for key, value in model.parts[name].config.items():
            if key == "sample_size":
                continue
            found = config[key]
            assert (list(found) if isinstance(found, tuple) else found) == value, (name, key)


def test_a_file_reads_texts_as_its_pipeline_does(case: Case) -> None:
    """The right tokenizers, layers and activations: the conditions of diffusers' own pipeline."""
    pipeline = pipeline_of(case.family, case.built)
    prompt = "Zażółć a red fox, 3 m tall!"
    if case.family in {"sd1", "sd2"}:
        theirs, _ = pipeline.encode_prompt(prompt, "cpu", 1, do_classifier_free_guidance=False)
    elif case.family == "z_image":
        (theirs,), _ = pipeline.encode_prompt(prompt, None, do_classifier_free_guidance=False)
        theirs = theirs[None]
    elif case.family == "qwen_image":
        theirs, _ = pipeline.encode_prompt(prompt)
    elif case.family == "chroma":
        theirs, _, seen, *_ = pipeline.encode_prompt(prompt)
        theirs = theirs[:, : int(seen.sum())]
    elif case.family == "flux2":
        theirs, _ = pipeline.encode_prompt(prompt, "cpu")
    elif case.family == "flux":
        theirs, pooled, _ = pipeline.encode_prompt(prompt, None)
    elif case.family == "sdxl":
        theirs, _, pooled, _ = pipeline.encode_prompt(prompt, do_classifier_free_guidance=False)
    else:
        theirs, _, pooled, _ = pipeline.encode_prompt(
            prompt, None, None, do_classifier_free_guidance=False
        )
    tokens, *vectors = case.model._encode_prompt(prompt)

    torch.testing.assert_close(tokens, theirs, atol=1e-4, rtol=0)
    if vectors:
        torch.testing.assert_close(vectors[0], pooled, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    "dtype", [torch.float16, torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2]
)
def test_narrow_weights_are_widened(tmp_path: Path, dtype: torch.dtype) -> None:
    """Weights of 16 and of 8 bits compute in single precision on the processor."""
    built = build("sd1")
    path = save_file(built, tmp_path / "narrow.safetensors", dtype)
    assert read_checkpoint_at("narrow", path).dtype == str(dtype).removeprefix("torch.")
    model = ModelCache(Catalogue([str(path)]), "cpu").load(str(path))
    latents = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    output = model.predict(latents, torch.tensor(500), model.encode_prompts(["a fox"]))

    assert output.dtype == torch.float32
    assert bool(torch.isfinite(output).all())


def test_flux_is_renamed_as_diffusers_does_it() -> None:
    """At the real width, which is the only one that diffusers' conversion knows."""
    with torch.device("meta"):
        network = diffusers.FluxTransformer2DModel(
            num_layers=1, num_single_layers=1, guidance_embeds=True
        )
    from tests.models.tiny_files import original_flux

    original = original_flux(network.state_dict())
    config = {"num_attention_heads": 24, "attention_head_dim": 128}
    ours = convert("flux", dict(original), config)
    theirs = single_file_utils.convert_flux_transformer_checkpoint_to_diffusers(dict(original))

    assert {name: tensor.shape for name, tensor in ours.items()} == {
        name: tensor.shape for name, tensor in theirs.items()
    }


@pytest.mark.parametrize(
    ("name", "variant", "scheduler"),
    [
        ("DreamShaper LCM", "lcm", "LCMScheduler"),
        ("sdxl_lightning_4step", "lightning", "EulerDiscreteScheduler"),
        ("sd_turbo", "turbo", "EulerAncestralDiscreteScheduler"),
        ("Hyper-SD15", "hyper", "TCDScheduler"),
        ("Hyperrealism welcome", "base", "PNDMScheduler"),
    ],
)
def test_few_step_checkpoints_step_as_they_were_distilled(
    tmp_path: Path, name: str, variant: str, scheduler: str
) -> None:
    """Known by their names: nothing else in a file tells them apart."""
    path = save_file(build("sd1"), tmp_path / f"{name}.safetensors", torch.float16)
    model = read_checkpoint(path)

    assert model is not None
    assert (model.variant, model.scheduler[0]) == (variant, scheduler)
    loaded = ModelCache(Catalogue([str(path)]), "cpu").load(str(path))
    assert type(loaded.make_scheduler()).__name__ == scheduler


def test_notes_and_inputs_say_more(tmp_path: Path) -> None:
    """The ModelSpec's size and prediction; nine channels are for inpainting."""
    notes = {"modelspec.resolution": "768x1024", "modelspec.prediction_type": "v"}
    path = save_file(build("sd1", in_channels=9), tmp_path / "x.safetensors", torch.half, notes)
    model = read_checkpoint(path)

    assert model is not None
    assert (model.window_px, model.variant) == (768, "inpaint")
    assert model.scheduler[1]["prediction_type"] == "v_prediction"


@pytest.mark.parametrize(
    ("name", "window_px", "prediction"),
    [("512-base-ema", 512, "epsilon"), ("v2-1_768-ema-pruned", 768, "v_prediction")],
)
def test_both_sizes_of_stable_diffusion_2(
    tmp_path: Path, name: str, window_px: int, prediction: str
) -> None:
    """Known by the names under which they were published."""
    model = read_checkpoint(save_file(build("sd2"), tmp_path / f"{name}.safetensors", torch.half))

    assert model is not None
    assert model.window_px == window_px
    assert model.scheduler[1]["prediction_type"] == prediction


def test_an_autoencoder_of_its_own_takes_the_others_place(tmp_path: Path) -> None:
    """In a file beside the checkpoint, named like it."""
    built = build("sd1")
    path = save_file(built, tmp_path / "dream.safetensors")
    prefix = "first_stage_model."
    tensors = {k.removeprefix(prefix): t + 1 for k, t in built.tensors.items() if prefix in k}
    beside = save_file(Built({}, tensors), tmp_path / "dream.vae.safetensors")
    entry = read_checkpoint_at("dream", path)
    model: Any = ModelCache(Catalogue(found=[entry]), "cpu").load("dream")

    assert entry.component_files == {"vae": beside}
    ours, theirs = model._vae.state_dict(), built.networks["vae"].state_dict()
    assert all(torch.equal(ours[name], theirs[name] + 1) for name in theirs)
    assert same_weights(model._unet, built.networks["unet"])


def test_schnell_needs_no_guidance(tmp_path: Path) -> None:
    """A FLUX that is not told how firmly to follow its prompt paints in a few steps, unshifted."""
    path = save_file(build("flux", dev=False), tmp_path / "some.safetensors", torch.half)
    model = read_checkpoint(path)

    assert model is not None
    assert model.variant == "schnell"
    assert not model.scheduler[1]["use_dynamic_shifting"]


def refusal(path: Path) -> TapestryError:
    """What is said about a file that cannot be used."""
    with pytest.raises(TapestryError) as caught:
        Catalogue([str(path)])
    assert caught.value.code is ErrorCode.MODEL_BROKEN
    assert caught.value.advice
    return caught.value


@pytest.mark.parametrize("suffix", [".ckpt", ".pt", ".bin"])
def test_a_pickle_is_never_opened(tmp_path: Path, suffix: str) -> None:
    """By its name alone."""
    path = tmp_path / f"model{suffix}"
    path.write_bytes(b"\x80\x02")

    assert "pickle" in refusal(path).message


def test_missing_networks_are_named(tmp_path: Path) -> None:
    """A file without text encoder, and one without autoencoder."""
    built = build("sd1")
    for prefix, name in {
        "cond_stage_model.": "text encoder",
        "first_stage_model.": "autoencoder",
        "model.diffusion_model.": "no checkpoint",
    }.items():
        rest = {key: t for key, t in built.tensors.items() if not key.startswith(prefix)}
        path = save_file(Built({}, rest), tmp_path / "part.safetensors", torch.half)
        assert name in refusal(path).message


def test_a_truncated_file_is_refused_at_once(tmp_path: Path) -> None:
    """Before anything is loaded."""
    path = save_file(build("sd1"), tmp_path / "cut.safetensors", torch.half)
    path.write_bytes(path.read_bytes()[:-100])

    assert "cannot be opened" in refusal(path).message


_IN_ONE_FILE = list(HOSTILE)[: list(HOSTILE).index("a terabyte") + 1]
_ELSEWHERE = {"a pickle", "a link in a circle"}
"""What is another file then, and what is none at all."""


@pytest.mark.parametrize("name", [name for name in _IN_ONE_FILE if name not in _ELSEWHERE])
def test_hostile_files_are_refused(tmp_path: Path, name: str) -> None:
    """What is refused in a folder is refused alone."""
    target = tmp_path / WEIGHTS
    target.parent.mkdir()
    target.write_bytes(b"")
    HOSTILE[name](tmp_path)

    refusal(target)


@pytest.mark.parametrize(
    ("tensor", "shape"),
    [
        (
            "cond_stage_model.transformer.text_model.embeddings.position_embedding.weight",
            [2**34, 0],
        ),
        ("cond_stage_model.transformer.text_model.embeddings.token_embedding.weight", [0, 2**34]),
        ("model.diffusion_model.input_blocks.1.0.in_layers.2.weight", [2**34, 0, 3, 3]),
        ("model.diffusion_model.input_blocks.0.0.weight", [0, 2**34, 3, 3]),
        ("model.diffusion_model.input_blocks.0.0.weight", []),
        ("first_stage_model.decoder.conv_in.weight", [0]),
    ],
)
def test_shapes_that_no_network_has_are_refused(
    tmp_path: Path, tensor: str, shape: list[int]
) -> None:
    """A tensor of no bytes may claim any side; it would take memory when the network is built."""
    lie = {tensor: torch.empty(shape, dtype=torch.half)}
    path = save_file(Built({}, {**build("sd1").tensors, **lie}), tmp_path / "x.safetensors")

    refusal(path)


@pytest.mark.parametrize(
    ("tensor", "problem"),
    [
        ("model.diffusion_model.out.2.weight", "the U-Net lacks “out.2.weight”"),
        ("model.diffusion_model.input_blocks.", "the U-Net "),
    ],
)
def test_a_whole_file_of_another_variant_is_not_to_be_fetched_again(
    tmp_path: Path, tensor: str, problem: str
) -> None:
    """The sentence says what is missing, without internal names."""
    built, first = build("sd1"), "model.diffusion_model.input_blocks.0.0.weight"
    rest = {k: t for k, t in built.tensors.items() if k == first or not k.startswith(tensor)}
    said = refusal(save_file(Built({}, rest), tmp_path / "x.safetensors", torch.half))

    assert problem in said.message
    assert "index" not in said.message
    assert "Get it again" not in said.advice
    assert "variant that Tapestry does not run" in said.advice


def test_a_file_that_went_away_gets_a_sentence(tmp_path: Path) -> None:
    """Between the start and the job."""
    path = save_file(build("sd1"), tmp_path / "gone.safetensors", torch.half)
    model_cache = ModelCache(Catalogue([str(path)]), "cpu")
    path.unlink()
    with pytest.raises(TapestryError, match="no longer at") as caught:
        model_cache.load(str(path))

    assert caught.value.code is ErrorCode.MODEL_BROKEN


def test_a_missing_t5_tokenizer_is_named_with_its_folder(tmp_path: Path, monkeypatch) -> None:
    """The one thing that files of FLUX lack and Tapestry does not bring."""
    monkeypatch.setenv(MODELS_VARIABLE, str(tmp_path / "models"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    path = save_file(build("flux"), tmp_path / "flux.safetensors", torch.half)
    model_cache = ModelCache(Catalogue([str(path)]), "cpu")
    with pytest.raises(TapestryError, match="tokenizer of T5") as caught:
        model_cache.load(str(path))

    assert "tokenizer.json" in caught.value.advice


def test_eight_channels_are_for_instructions(tmp_path: Path) -> None:
    """InstructPix2Pix in one file is read and loaded as what it is."""
    path = save_file(build("sd1", in_channels=8), tmp_path / "pix2pix.safetensors", torch.half)
    model = read_checkpoint(path)

    assert model is not None
    assert model.variant == "instruct"
    model_cache = ModelCache(Catalogue([str(path)]), "cpu")
    assert model_cache.variant_of(str(path)) == "instruct"
    loaded = model_cache.load(str(path))
    latents = torch.zeros(1, 2 * loaded.channels, 8, 8)
    output = loaded.predict(latents, torch.tensor(5), loaded.encode_prompts(["make it snow"]))
    assert output.shape[1] == loaded.channels


@pytest.mark.parametrize(
    ("name", "variant"), [("flux-2-klein-4b", "distilled"), ("flux-2-klein-base-4b", "base")]
)
def test_a_klein_is_distilled_unless_its_name_says_base(
    tmp_path: Path, name: str, variant: str
) -> None:
    """Nothing else in a file tells them apart."""
    path = save_file(build("flux2"), tmp_path / f"{name}.safetensors", torch.half)
    model = read_checkpoint(path)

    assert model is not None
    assert model.variant == variant
    assert model.options["is_distilled"] == (variant == "distilled")


def test_flux_2_dev_is_refused(tmp_path: Path) -> None:
    """It is told a guidance scale, and reads another language model."""
    guided = {"model.diffusion_model.guidance_in.in_layer.weight": torch.zeros(64, 256)}
    tensors = {**build("flux2").tensors, **guided}
    path = save_file(Built({}, tensors), tmp_path / "flux2-dev.safetensors", torch.half)

    assert "variant that Tapestry does not run" in refusal(path).advice
