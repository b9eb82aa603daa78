"""A part of what a network makes: the same numbers as the whole's, for less work."""

import pytest
import torch
from torch import nn

from tapestry_backend.engine.windows import Size
from tapestry_backend.models.autoencoder import tiled_vae
from tapestry_backend.models.autoencoder.cropped_forward import Span, compute_inside
from tests.models.autoencoder.autoencoders import changing_latents, make_autoencoder
from tests.models.live_tensors import Costs


def cut(pixels: torch.Tensor, rows: Span, columns: Span) -> torch.Tensor:
    """These rows and columns."""
    return pixels[..., slice(*rows), slice(*columns)]


@pytest.mark.parametrize(
    ("rows", "columns"),
    [
        (Span(0, 96), Span(0, 240)),
        (Span(3, 90), Span(101, 102)),
        (Span(0, 7), Span(48, 240)),
        (Span(95, 96), Span(0, 1)),
    ],
)
def test_any_part_of_a_decode_is_the_whole_s(double_model, rows: Span, columns: Span) -> None:
    """Also at the borders, where zeros stand beyond, and where no cell begins."""
    decoder = double_model._vae.decoder
    latents = changing_latents(12, 30, channels=double_model.channels)
    with torch.no_grad():
        whole = decoder(latents)
        part = compute_inside(decoder, latents, rows, columns)
        after = decoder(latents)

    assert torch.allclose(part, cut(whole, rows, columns), rtol=0, atol=1e-10)
    assert part.shape == cut(whole, rows, columns).shape
    assert torch.equal(after, whole), "nothing is left behind in the network"


@pytest.mark.parametrize(
    ("rows", "columns"), [(Span(1, 11), Span(7, 8)), (Span(0, 12), Span(5, 9))]
)
def test_any_part_of_an_encode_is_the_whole_s(double_model, rows: Span, columns: Span) -> None:
    """Where layers leave places out, they leave out the same ones."""
    encoder = double_model._vae.encoder
    pixels = changing_latents(96, 240, channels=3).tanh()
    with torch.no_grad():
        whole = encoder(pixels)
        part = compute_inside(encoder, pixels, rows, columns)

    assert torch.allclose(part, cut(whole, rows, columns), rtol=0, atol=1e-10)


def test_odd_lengths_and_other_kernels() -> None:
    """Halves of odd lengths, kernels of five and one, threefold enlargement."""
    torch.manual_seed(0)
    network = nn.Module()
    network.layers = nn.Sequential(
        nn.Conv2d(2, 4, 5, padding=2, stride=2),
        nn.ReLU(),
        nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 1)),
        nn.Upsample(scale_factor=3),
        nn.Conv2d(4, 1, 3, padding=1),
    )
    network.forward = network.layers.forward
    network.double()
    values = changing_latents(21, 33, channels=2)
    with torch.no_grad():
        whole = network(values)
        for start in range(0, 30, 7):
            rows, columns = Span(start, start + 2), Span(start + 5, start + 13)
            part = compute_inside(network, values, rows, columns)
            assert torch.allclose(part, cut(whole, rows, columns), rtol=0, atol=1e-10)


@pytest.mark.parametrize("budget", [0, 2 * 2**20, 2**40])
@pytest.mark.parametrize(("height", "width"), [(20, 60), (60, 20)])
def test_context_is_seen_and_left_out(double_model, budget: int, height: int, width: int) -> None:
    """Whole and in bands, of the bundled autoencoder."""
    autoencoder = double_model._vae
    latents = changing_latents(height, width, channels=double_model.channels)
    with torch.no_grad():
        whole = autoencoder.decode(latents).sample
    decoded = tiled_vae.decode(autoencoder, latents, budget, context=Size(6, 5))

    assert torch.allclose(decoded, whole[..., 48:-48, 40:-40], rtol=0, atol=1e-10)


@pytest.mark.parametrize("budget", [0, 2**40])
def test_context_of_an_autoencoder_with_norms(budget: int) -> None:
    """Its statistics are those of everything; what is context is cut off at the end."""
    autoencoder = make_autoencoder((8, 16, 16), layers=1)
    latents = changing_latents(14, 50)
    with torch.no_grad():
        whole = autoencoder.decode(latents).sample
    decoded = tiled_vae.decode(autoencoder, latents, budget, context=Size(2, 3))

    assert torch.allclose(decoded, whole[..., 8:-8, 12:-12], rtol=0, atol=1e-10)


def test_context_costs_little(model) -> None:
    """One window with six cells around it has three times its cells, not its work."""
    latents = changing_latents(28, 28, channels=model.channels).float()
    with Costs() as window, torch.no_grad():
        model._vae.decode(latents[..., 6:-6, 6:-6])
    with Costs() as trimmed:
        tiled_vae.decode(model._vae, latents, 2**40, context=Size(6, 6))
    with Costs() as everything, torch.no_grad():
        model._vae.decode(latents)

    assert trimmed.multiplications < 1.6 * window.multiplications
    assert everything.multiplications > 3 * window.multiplications
