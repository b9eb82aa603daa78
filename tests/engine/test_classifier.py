"""Which of several texts fits a picture: who stays in the race, and who wins it."""

import torch
from torch import Tensor

from tapestry_backend.engine.classifier import compare_texts
from tapestry_backend.engine.difference import Sample
from tapestry_backend.engine.noise_schedule import SamplingStep

STEP = SamplingStep(1, 4, torch.tensor(500), 0.6, 0.8, "epsilon")
CLEAN = torch.randn(1, 2, 4, 6)
SAMPLES = [Sample(torch.randn(1, 2, 4, 6), STEP) for _ in range(8)]
EVERYWHERE = torch.ones(4, 6)


class Text:
    """A prediction that is wrong by so much at each cell, and counts how often it is made."""

    def __init__(self, error: float | Tensor) -> None:
        self.error = error
        self.evaluations = 0

    def __call__(self, latents: Tensor, step: SamplingStep) -> Tensor:
        self.evaluations += 1
        return (latents - step.alpha * CLEAN) / step.sigma + self.error


def test_the_text_with_the_least_error_wins() -> None:
    """And the others stand behind it by how much larger theirs is."""
    texts = [Text(0.5), Text(0.1), Text(0.3)]
    *_, standing = compare_texts(texts, CLEAN, SAMPLES, EVERYWHERE)
    assert standing[0].text == 1
    assert standing[0].excess == 0
    assert {each.text: round(each.excess, 4) for each in standing} == {0: 0.4, 1: 0.0, 2: 0.2}


def test_most_texts_are_out_of_the_race_early() -> None:
    """The winner is compared with every sample, the last ones with two."""
    texts = [Text(0.1 * number) for number in range(12)]
    *_, standing = compare_texts(texts, CLEAN, SAMPLES, EVERYWHERE)
    assert texts[0].evaluations == len(SAMPLES)
    assert texts[-1].evaluations == 2
    assert sum(text.evaluations for text in texts) < 0.5 * len(SAMPLES) * len(texts)
    assert [each.samples for each in standing] == sorted(
        (text.evaluations for text in texts), reverse=True
    )


def test_two_texts_race_to_the_end() -> None:
    """There is nothing to save."""
    texts = [Text(0.2), Text(0.1)]
    *_, standing = compare_texts(texts, CLEAN, SAMPLES, EVERYWHERE)
    assert [each.samples for each in standing] == [len(SAMPLES)] * 2
    assert standing[0].text == 1


def test_only_the_chosen_cells_count() -> None:
    """By their weights."""
    left, right = torch.zeros(4, 6), torch.zeros(4, 6)
    left[:, :3], right[:, 3:] = 1, 1
    texts = [Text(0.5 * left), Text(0.5 * right)]
    for where, best in ((left, 1), (right, 0)):
        *_, standing = compare_texts(texts, CLEAN, SAMPLES, where)
        assert standing[0].text == best
