"""What single files are converted with is private to diffusers: this says when it moves."""

from __future__ import annotations

import inspect

import pytest
from diffusers.loaders import single_file_utils

USED = {
    "convert_ldm_unet_checkpoint": ("checkpoint", "config"),
    "convert_ldm_vae_checkpoint": ("checkpoint", "config"),
    "convert_sd3_transformer_checkpoint_to_diffusers": ("checkpoint",),
    "convert_flux2_transformer_checkpoint_to_diffusers": ("checkpoint",),
    "convert_wan_vae_to_diffusers": ("checkpoint",),
    "convert_z_image_transformer_checkpoint_to_diffusers": ("checkpoint",),
}
"""What `models/loading/conversion.py` calls, and the arguments that it gives, by their places."""


@pytest.mark.parametrize("name", USED)
def test_diffusers_still_has_the_conversions_that_we_use(name: str) -> None:
    """Where it fails, a release of diffusers has moved them; `conversion.py` then needs its own."""
    conversion = getattr(single_file_utils, name, None)
    assert conversion is not None, f"diffusers has no {name} any more"
    arguments = list(inspect.signature(conversion).parameters.values())
    given = USED[name]
    assert tuple(each.name for each in arguments[: len(given)]) == given
    assert all(
        each.default is not inspect.Parameter.empty
        or each.kind in {inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL}
        for each in arguments[len(given) :]
    )


def test_nothing_else_of_it_is_used() -> None:
    """So that the list above is whole."""
    from tapestry_backend.models.loading import conversion

    source = inspect.getsource(conversion)
    assert {word.split("(")[0] for word in source.split("single_file_utils.")[1:]} == set(USED)
