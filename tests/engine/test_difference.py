"""Where a picture shows what some words say."""

import torch

from tapestry_backend.engine.difference import Sample, is_shown, prediction_errors, shown_map
from tapestry_backend.engine.noise_schedule import SamplingStep

STEP = SamplingStep(1, 4, torch.tensor(500), 0.6, 0.8, "epsilon")


def test_prediction_errors_are_those_of_the_noise() -> None:
    """A prediction of the very noise has none; each prediction has its own."""
    noise, clean = torch.randn(1, 2, 4, 6), torch.randn(1, 2, 4, 6)
    right, wrong = (lambda *_: noise), (lambda *_: noise + 0.5)
    (errors,) = prediction_errors([right, wrong], clean, [Sample(noise, STEP)])

    assert errors.shape == (2, 4, 6)
    assert torch.allclose(errors[0], torch.zeros(4, 6), atol=1e-6)
    assert torch.allclose(errors[1], torch.full((4, 6), 0.5), atol=1e-6)


def test_predictions_see_the_noised_picture() -> None:
    """At the level of the step."""
    noise, clean, seen = torch.randn(1, 2, 4, 6), torch.randn(1, 2, 4, 6), []

    def denoise(latents, step):
        seen.append((latents, step))
        return noise

    list(prediction_errors([denoise], clean, [Sample(noise, STEP)]))
    ((latents, step),) = seen
    assert torch.equal(latents, 0.6 * clean + 0.8 * noise)
    assert step is STEP


def test_the_map_shows_where_the_first_words_fit_best() -> None:
    """Better than all others is what counts; the middle lies between the two groups."""
    own = torch.ones(12, 16)
    others = [torch.full((12, 16), 1.1), torch.full((12, 16), 1.1)]
    others[0][:, :8] = 2.0
    others[1][:, :8] = 1.8
    others[1][:, 12:] = 3.0  # here another one is as good as the first
    noisy = 0.02 * torch.randn(1, 12, 16, generator=torch.Generator().manual_seed(0))
    where = shown_map([torch.stack([own, *others]) + noisy])

    assert where.min() == 0
    assert where.max() == 1
    assert (where[:, :7] > 0.5).all()
    assert (where[:, 9:] < 0.5).all()


def test_the_map_of_cells_that_hardly_differ_is_one_of_numbers() -> None:
    """No single-precision number lies between the two groups: their middle is one of them."""
    number = torch.tensor(0.5)
    for _ in range(8):
        above = torch.nextafter(number, torch.tensor(torch.inf))
        other = number.expand(8, 8).clone()
        other[:, 4:] = above
        where = shown_map([torch.stack([torch.zeros(8, 8), other])])
        assert torch.isfinite(where).all()
        assert (where[:, :4] < 0.5).all()
        assert (where[:, 4:] > 0.5).all()
        number = above


def test_the_map_is_empty_where_no_words_differ() -> None:
    """Nothing is divided by nothing."""
    assert torch.equal(shown_map([torch.ones(2, 4, 4)]), torch.zeros(4, 4))


def test_words_that_fit_a_place_by_chance_alone_are_not_shown() -> None:
    """What half of the samples find, the other half does not."""
    torch.manual_seed(0)
    samples = [1 + 0.1 * torch.rand(3, 12, 16) for _ in range(10)]
    for errors in samples:
        errors[1] += 1  # other words fit nowhere
    assert not is_shown(samples)
    assert not is_shown([torch.ones(3, 12, 16)] * 10)
    for errors in samples:
        errors[0, :, :8] -= 0.1
    assert is_shown(samples)


def test_words_that_fit_worse_than_none_are_not_shown() -> None:
    """Even where they fit best."""
    errors = torch.ones(3, 12, 16)
    errors[0] += torch.linspace(0.1, 1, 16)
    assert not is_shown([errors] * 10)
