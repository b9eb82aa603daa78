"""One step of teaching is the step of diffusers' own scripts, and moves nothing else."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import diffusers
import peft
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from tapestry_backend.checkpoints.catalogue import Catalogue
from tapestry_backend.engine.learning import Learner, Lesson, Lessons, Shown
from tapestry_backend.engine.noise_schedule import training_levels
from tapestry_backend.engine.windows import Size, crop
from tapestry_backend.models.adapters.learned import ATTENTION_LAYERS
from tapestry_backend.models.model_cache import ModelCache
from tests.models.tiny_checkpoints import WINDOW, save_3, save_checkpoint, save_flux, save_xl

RATE, DECAY, RANK = 1e-2, 1e-2, 4
WORDS, NEAR = "lava", "snow"


def save_velocity(folder: Path) -> Path:
    """As Stable Diffusion 2 was made."""
    return save_checkpoint(folder, prediction_type="v_prediction")


@pytest.fixture(params=[save_checkpoint, save_velocity, save_xl, save_3, save_flux])
def folder(request, tmp_path: Path) -> str:
    """A tiny checkpoint of each family that is taught."""
    return str(request.param(tmp_path / "model"))


def lesson_of(model: Any, seed: int) -> tuple[Lesson, Tensor]:
    """Three windows of a picture, all of which counts; and what is behind their noise."""
    generator = torch.Generator().manual_seed(seed)
    clean = torch.randn(1, model.channels, WINDOW + 4, WINDOW + 2, generator=generator)
    levels = training_levels(model.make_scheduler())
    shown = [Shown(clean, torch.ones(WINDOW + 4, WINDOW + 2))]
    lesson = Lessons(shown, Size(WINDOW, WINDOW), levels, rows=3, seed=seed).at(0)
    return lesson, torch.cat([crop(clean, window) for window in lesson.windows])


def taught(model: Any, lesson: Lesson, near: Lesson) -> dict[str, Tensor]:
    """The factors before, after a step of ours ("@"), and their gradients."""
    lora = model.new_lora(RANK, ATTENTION_LAYERS)
    # Where all of what is added is zero, half of the factors have no gradient.
    generator = torch.Generator().manual_seed(1)
    for name, tensor in lora.tensors.items():
        if ".lora_B." in name:
            tensor.copy_(0.1 * torch.randn(tensor.shape, generator=generator))
    before = {name: tensor.clone() for name, tensor in lora.tensors.items()}
    texts = {id(lesson): model.encode_prompts([WORDS]), id(near): model.encode_prompts([NEAR])}
    learner = Learner(lora.tensors, RATE, decay=DECAY)

    def loss_of(part: Lesson) -> Tensor:
        own = texts[id(near)] if torch.equal(part.noisy, near.noisy) else texts[id(lesson)]
        conditions = own.expand(len(part.windows), -1, -1)
        return part.loss(model.predict_with_gradient(part.noisy, part.timesteps, conditions))

    with lora.laid_on():
        learner.learn(lesson, loss_of, 8, near)
    after = {f"{name}@": tensor.detach() for name, tensor in lora.tensors.items()}
    gradients = {f"{name}@gradient": tensor.grad for name, tensor in lora.tensors.items()}
    return before | after | gradients


def reference(pipe: Any, name: str, before: dict[str, Tensor], loss: Callable[[], Tensor]) -> Any:
    """The same by peft's layers, AdamW, and the script's clipping; its factors afterwards."""
    network = getattr(pipe, name)
    network.requires_grad_(requires_grad=False)
    network.add_adapter(
        peft.LoraConfig(r=RANK, lora_alpha=RANK, target_modules=list(ATTENTION_LAYERS))
    )
    own = {
        f"{name}.{key}".replace(".default", ""): value
        for key, value in network.named_parameters()
        if value.requires_grad
    }
    assert own.keys() == before.keys()
    with torch.no_grad():
        for key, value in own.items():
            value.copy_(before[key])
    optimizer = torch.optim.AdamW(own.values(), lr=RATE, weight_decay=DECAY)
    loss().backward()
    torch.nn.utils.clip_grad_norm_(own.values(), 1.0)
    optimizer.step()
    return own


def noise_of(lesson: Lesson, clean: Tensor, alphas: Tensor) -> Tensor:
    """What was added to the picture."""
    shares = alphas[lesson.timesteps.long()][:, None, None, None]
    return (lesson.noisy - shares.sqrt() * clean) / (1 - shares).sqrt()


def test_one_step_is_that_of_diffusers(folder: str) -> None:
    """DreamBooth with a LoRA: the examples' loss, and that of what is near, which is kept."""
    cache = ModelCache(Catalogue([folder]), "cpu")
    model = cache.load(folder)
    (lesson, clean), (near, own) = lesson_of(model, 0), lesson_of(model, 5)
    found = taught(model, lesson, near)
    before = {name: tensor for name, tensor in found.items() if "@" not in name}
    pipe = diffusers.DiffusionPipeline.from_pretrained(folder)
    flow = hasattr(pipe, "transformer")
    predict = _flow(pipe, model) if flow else _diffusion(pipe)

    def target(each: Lesson, picture: Tensor) -> tuple[Tensor, Tensor]:
        if flow:
            sigmas = (each.timesteps / 1000)[:, None, None, None]
            noise = (each.noisy - (1 - sigmas) * picture) / sigmas
            return (1 - sigmas) * picture + sigmas * noise, noise - picture
        alphas = pipe.scheduler.alphas_cumprod
        noise, times = noise_of(each, picture, alphas), each.timesteps.long()
        training = diffusers.DDPMScheduler.from_config(pipe.scheduler.config)
        noisy = training.add_noise(picture, noise, times)
        if training.config.prediction_type == "v_prediction":
            return noisy, training.get_velocity(picture, noise, times)
        return noisy, noise

    def loss() -> Tensor:
        total = torch.zeros(())
        for each, picture, text in ((lesson, clean, WORDS), (near, own, NEAR)):
            noisy, wanted = target(each, picture)
            made = predict(noisy, each.timesteps, text)
            total = total + functional.mse_loss(made.float(), wanted.float(), reduction="mean")
        return total

    wanted = reference(pipe, "transformer" if flow else "unet", before, loss)
    moved = 0.0
    for name, value in wanted.items():
        moved = max(moved, float((value.detach() - before[name]).abs().max()))
        gradient = value.grad
        torch.testing.assert_close(found[f"{name}@gradient"], gradient, atol=1e-5, rtol=1e-4)
        # AdamW's first step is as long for the least gradient, whose sign is a matter of rounding.
        clear = gradient.abs() > 1e-5
        step = found[f"{name}@"][clear]
        torch.testing.assert_close(step, value.detach()[clear], atol=1e-5, rtol=1e-5)
    assert moved > 1e-3


def _diffusion(pipe: Any) -> Callable[[Tensor, Tensor, str], Tensor]:
    def predict(noisy: Tensor, timesteps: Tensor, text: str) -> Tensor:
        count, side = len(noisy), WINDOW * pipe.vae_scale_factor
        with torch.no_grad():
            encoded = pipe.encode_prompt(
                text, device="cpu", num_images_per_prompt=1, do_classifier_free_guidance=False
            )
        besides: dict[str, Any] = {}
        if hasattr(pipe, "text_encoder_2"):
            sizes = torch.tensor([[side, side, 0, 0, side, side]] * count, dtype=torch.float32)
            pooled = encoded[2].expand(count, -1)
            besides["added_cond_kwargs"] = {"text_embeds": pooled, "time_ids": sizes}
        states = encoded[0].expand(count, -1, -1)
        return pipe.unet(noisy, timesteps, states, **besides, return_dict=False)[0]

    return predict


def _flow(pipe: Any, model: Any) -> Callable[[Tensor, Tensor, str], Tensor]:
    """Stable Diffusion 3, or FLUX, whose latents are packed by the pipeline's own means."""

    def three(noisy: Tensor, timesteps: Tensor, text: str) -> Tensor:
        states, _, pooled, _ = pipe.encode_prompt(
            *(text, text, text), device="cpu", do_classifier_free_guidance=False
        )
        count = len(noisy)
        return pipe.transformer(
            hidden_states=noisy,
            timestep=timesteps,
            encoder_hidden_states=states.expand(count, -1, -1),
            pooled_projections=pooled.expand(count, -1),
            return_dict=False,
        )[0]

    def flux(noisy: Tensor, timesteps: Tensor, text: str) -> Tensor:
        count, channels, height, width = noisy.shape
        states, pooled, text_ids = pipe.encode_prompt(text, text, device="cpu")
        packed = pipe._pack_latents(noisy, count, channels, height, width)
        ids = pipe._prepare_latent_image_ids(count, height // 2, width // 2, "cpu", noisy.dtype)
        guidance = torch.ones(count) if pipe.transformer.config.guidance_embeds else None
        made = pipe.transformer(
            hidden_states=packed,
            timestep=timesteps / 1000,
            guidance=guidance,
            pooled_projections=pooled.expand(count, -1),
            encoder_hidden_states=states.expand(count, -1, -1),
            txt_ids=text_ids,
            img_ids=ids,
            return_dict=False,
        )[0]
        side = pipe.vae_scale_factor
        return pipe._unpack_latents(made, height * side, width * side, side)

    return flux if type(pipe).__name__.startswith("Flux") else three


def test_gradients_reach_nothing_else(folder: str) -> None:
    """Not a weight of the model has one, or is another one afterwards."""
    model = ModelCache(Catalogue([folder]), "cpu").load(folder)
    networks = model.adapter_manager.networks
    before = {
        f"{name}.{key}": value.clone()
        for name, network in networks.items()
        for key, value in network.named_parameters()
    }
    (lesson, _), (near, _) = lesson_of(model, 0), lesson_of(model, 5)
    taught(model, lesson, near)
    for name, network in networks.items():
        for key, value in network.named_parameters():
            assert value.grad is None
            assert torch.equal(value, before[f"{name}.{key}"])
