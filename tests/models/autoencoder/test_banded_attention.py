"""The attention of autoencoders over large pictures: the same numbers, without all pairs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from diffusers import AutoencoderKL
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

from tapestry_backend.models.autoencoder.banded_attention import attend_in_bands

CELLS = (8, 128)
PAIRS = (CELLS[0] * CELLS[1]) ** 2


class Largest(TorchDispatchMode):
    """How many numbers the largest tensor has that is made inside."""

    numbers = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        """Run an operation and look at what came out."""
        result = function(*args, **(kwargs or {}))
        for value in tree_iter(result):
            if isinstance(value, torch.Tensor):
                self.numbers = max(self.numbers, value.numel())
        return result


@pytest.fixture(autouse=True)
def plain_maths() -> Iterator[None]:
    """What a card without a kernel for so wide a head computes."""
    with sdpa_kernel(SDPBackend.MATH):
        yield


@pytest.fixture
def autoencoder() -> AutoencoderKL:
    """A small one; its attention has not been touched."""
    torch.manual_seed(1)
    blocks = {
        "down_block_types": ("DownEncoderBlock2D",) * 2,
        "up_block_types": ("UpDecoderBlock2D",) * 2,
        "block_out_channels": (8, 8),
    }
    return AutoencoderKL(**blocks, norm_num_groups=4, sample_size=16).eval()


@torch.no_grad()
def test_no_tensor_holds_a_number_for_every_pair_of_cells(autoencoder: AutoencoderKL) -> None:
    """Neither while decoding nor while encoding, and the picture is the same but for rounding."""
    latents = torch.randn(1, 4, *CELLS)
    with Largest() as whole:
        expected = autoencoder.decode(latents).sample
        encoded = autoencoder.encode(expected).latent_dist.mode()
    attend_in_bands(autoencoder, PAIRS // 50)
    with Largest() as banded:
        made = autoencoder.decode(latents).sample
        read = autoencoder.encode(expected).latent_dist.mode()

    assert whole.numbers >= PAIRS
    assert banded.numbers < PAIRS // 10
    torch.testing.assert_close(made, expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(read, encoded, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_where_there_is_room_it_is_diffusers_own(autoencoder: AutoencoderKL) -> None:
    """Bit for bit."""
    latents = torch.randn(2, 4, 8, 8)
    expected = autoencoder.decode(latents).sample
    attend_in_bands(autoencoder)
    assert torch.equal(autoencoder.decode(latents).sample, expected)


def test_every_model_has_it(model) -> None:
    """As far as its autoencoder attends at all."""
    attending = [m for m in model._vae.modules() if hasattr(m, "set_processor")]
    assert all(type(m.processor).__name__ == "BandedAttention" for m in attending)
