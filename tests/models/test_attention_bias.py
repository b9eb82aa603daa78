"""Words that count more in some places, and less in others."""

import pytest
import torch

from tapestry_backend.checkpoints.catalogue import Catalogue
from tapestry_backend.models.attention_bias import _at_positions
from tapestry_backend.models.model_cache import ModelCache
from tapestry_protocol.errors import TapestryError
from tests.models.tiny_checkpoints import save_3, save_xl

PROMPTS = ("red bricks", "green grass")
STEP = torch.tensor(500)
FIRM = 60.0


def latents_for(model) -> torch.Tensor:
    """One row, the same in every test."""
    shape = (1, model.channels, model.window, model.window)
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def biases_of(model, *of_prompts: float) -> torch.Tensor:
    """For one row: the same everywhere."""
    return torch.tensor(of_prompts, dtype=torch.float32)[None, :, None, None].expand(
        1, -1, model.window, model.window
    )


def test_without_any_bias_nothing_changes(model) -> None:
    """Within rounding inside, and to the bit when it is over."""
    latents = latents_for(model)
    condition, lengths = model.encode_collage(PROMPTS, ", ".join(PROMPTS))
    plain = model.predict(latents, STEP, condition)
    with model.attention_biased(biases_of(model, 0, 0), lengths):
        assert torch.allclose(model.predict(latents, STEP, condition), plain, atol=1e-4)
    assert torch.equal(model.predict(latents, STEP, condition), plain)


def test_a_firm_bias_leaves_one_prompt_alone(model) -> None:
    """What is predicted then is what is predicted for it by itself; and so beside a longer one."""
    latents = latents_for(model)
    condition, lengths = model.encode_collage(PROMPTS, ", ".join(PROMPTS))
    longer = model.stacked([condition, torch.cat([condition, condition[:, : lengths[0]]], dim=1)])
    for number, prompt in enumerate(PROMPTS):
        alone = model.predict(latents, STEP, model.encode_prompts([prompt]))
        firm = [-FIRM, -FIRM]
        firm[number] = FIRM
        with model.attention_biased(biases_of(model, *firm), lengths):
            assert torch.allclose(model.predict(latents, STEP, condition), alone, atol=1e-3)
            assert torch.allclose(model.predict(latents, STEP, longer[:1]), alone, atol=1e-3)


def test_each_place_has_its_own(model) -> None:
    """Bricks at the left: the left half is nearer to bricks than to grass."""
    latents = latents_for(model)
    condition, lengths = model.encode_collage(PROMPTS, ", ".join(PROMPTS))
    bricks, grass = (model.predict(latents, STEP, model.encode_prompts([p])) for p in PROMPTS)
    biases = biases_of(model, FIRM, -FIRM).clone()
    biases[..., model.window // 2 :] *= -1
    with model.attention_biased(biases, lengths):
        both = model.predict(latents, STEP, condition)

    def off(wanted: torch.Tensor, columns: slice) -> float:
        return float((both - wanted)[..., columns].square().mean())

    left, right = slice(0, model.window // 2), slice(model.window // 2, None)
    assert off(bricks, left) < off(grass, left)
    assert off(grass, right) < off(bricks, right)


def test_places_are_halved_as_the_network_does_it() -> None:
    """Upwards, where a side is odd."""
    biases = torch.arange(35.0).view(1, 1, 5, 7)
    assert torch.equal(_at_positions(biases, 35)[0, :, 0], biases.flatten())
    assert _at_positions(biases, 12).shape == (1, 12, 1)
    assert _at_positions(torch.ones(2, 3, 5, 7), 4).shape == (2, 4, 3)


def test_stable_diffusion_xl_has_places_too(tmp_path) -> None:
    """The text as a whole is that of all prompts together."""
    folder = str(save_xl(tmp_path / "xl"))
    model = ModelCache(Catalogue([folder])).load(folder)
    latents, whole = latents_for(model), ", ".join(PROMPTS)
    condition, lengths = model.encode_collage([whole], whole)
    assert torch.equal(condition, model.encode_prompts([whole]))
    condition, lengths = model.encode_collage(PROMPTS, whole)
    plain = model.predict(latents, STEP, condition)
    with model.attention_biased(biases_of(model, 2, -2), lengths):
        assert not torch.allclose(model.predict(latents, STEP, condition), plain, atol=1e-5)


def test_transformers_say_that_they_cannot(tmp_path) -> None:
    """With what to do."""
    folder = str(save_3(tmp_path / "sd3"))
    model = ModelCache(Catalogue([folder])).load(folder)
    with pytest.raises(TapestryError, match="cannot be given places") as caught:
        model.encode_collage(PROMPTS, ", ".join(PROMPTS))
    assert "Melt together" in caught.value.advice
    with pytest.raises(TapestryError, match="cannot be given places"):
        model.attention_biased(torch.zeros(1, 1, 1, 1), [1])
