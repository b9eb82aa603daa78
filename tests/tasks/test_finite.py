"""Numbers that are not finite are found where they appear; there is never a black layer."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from tapestry_backend.engine.coherence import Coherence
from tapestry_backend.tasks.run import run
from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.messages import Request
from tapestry_protocol.pixels import Margins

STEPS = 3


def spoils(value: float, at: int = 1) -> Callable[[Callable], Callable]:
    """Wraps a function so that one number of its result is spoilt, from the call `at` on."""

    def wrap(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
        calls = 0

        def spoilt(*arguments: object) -> Tensor:
            nonlocal calls
            calls += 1
            result = function(*arguments).clone()
            if calls >= at:
                result[..., result.shape[-2] // 2, result.shape[-1] // 2] = value
            return result

        return spoilt

    return wrap


def generate(height: int = 128, width: int = 128) -> Request:
    """A small picture."""
    return Request("generate", height, width, "snow", num_inference_steps=STEPS)


@pytest.fixture
def extension(scene) -> Request:
    """An extension of a white picture."""
    image = scene.picture(128, 128)
    return Request(
        "extend", 128, 128, "snow", margins=Margins(right=8), image=image, num_inference_steps=STEPS
    )


PLACES = {
    "text encoder": ("encode_prompts", spoils(torch.nan), generate(), "reading the prompts"),
    "draft": ("predict", spoils(torch.inf, 2), generate(256), "drafting (step 2)"),
    "prediction": ("predict", spoils(torch.nan, 3), generate(), "denoising (step 3)"),
    "endless prediction": ("predict", spoils(-torch.inf), generate(), "denoising (step 1)"),
    "decoder": ("decode", spoils(torch.nan), generate(), "decoding"),
    "decoder of the draft": ("decode", spoils(torch.inf), generate(256), "decoding the draft"),
}
"""Where it appears: the model's method, what is spoilt, the request, and what is said."""


def found(request: Request, scene, model_cache) -> str:
    """The sentence that ends a job."""
    with pytest.raises(TapestryError) as raised:
        list(run(request, scene.blobs, model_cache))
    assert raised.value.code is ErrorCode.NOT_FINITE
    return raised.value.message


@pytest.mark.promise("R7")
@pytest.mark.parametrize("place", PLACES)
def test_nan_is_found_where_it_appears(
    place: str, model_cache, scene, monkeypatch: pytest.MonkeyPatch, measured
) -> None:
    """At the very step, whichever part of the model it comes from."""
    method, spoil, request, where = PLACES[place]
    model = model_cache.load("sample")
    monkeypatch.setattr(model, method, spoil(getattr(model, method)))
    message = found(request, scene, model_cache)
    assert message.endswith(f"while {where}.")
    measured(f"{place}: {message}")


@pytest.mark.promise("R7")
def test_nan_is_found_in_what_is_there_already(
    extension: Request, model_cache, scene, monkeypatch: pytest.MonkeyPatch, measured
) -> None:
    """Before the first step of an extension."""
    model = model_cache.load("sample")
    monkeypatch.setattr(model, "encode", spoils(torch.nan)(model.encode))
    message = found(extension, scene, model_cache)
    assert message.endswith("while encoding what is there.")
    measured(f"encoder: {message}")


@pytest.mark.promise("R7")
def test_nan_is_found_in_what_steers(
    model_cache, scene, monkeypatch: pytest.MonkeyPatch, measured
) -> None:
    """At the step at which coherence spoils the picture."""
    monkeypatch.setattr(Coherence, "__call__", spoils(torch.nan, 2)(Coherence.__call__))
    message = found(generate(width=192), scene, model_cache)
    assert message.endswith("while denoising (step 2).")
    measured(f"coherence: {message}")
