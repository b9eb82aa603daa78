"""The measure of teaching: what it paints, what it counts, and what it leaves."""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tapestry_backend.bench.common.goals import GOALS
from tapestry_backend.bench.peers import dreambooth
from tapestry_backend.bench.peers.dreambooth import DreamBooth
from tapestry_backend.bench.quality import teaching
from tapestry_backend.bench.quality.taught_patterns import PATTERNS
from tapestry_backend.bench.quality.workbench import Scope, Workbench
from tapestry_backend.tasks import teaching as teaching_task


class NamesTheLast:
    """A judge that sees the last pattern everywhere."""

    def __init__(self, prompts: Sequence[str]) -> None:
        self.prompts = tuple(prompts)

    def name(self, picture: np.ndarray) -> np.ndarray:
        rows, columns = ((side - 16) // 4 + 1 for side in picture.shape[:2])
        return np.full((rows, columns), len(PATTERNS) - 1)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_patterns_are_drawn_from_their_numbers(pattern: str) -> None:
    """The same from the same, others from others, in any size."""
    one, other = teaching.drawings(pattern, 2, 0, 64)
    assert one.shape == (64, 64, 3)
    assert not np.array_equal(one, other)
    assert np.array_equal(teaching.drawings(pattern, 1, 1, 64)[0], other)


def test_its_figures_are_those_that_have_goals(bench, tmp_path: Path, monkeypatch) -> None:
    """By two methods and DreamBooth; each learns as long by the processor's clock."""
    few = teaching._Amount(patterns=2, materials=1, taught_with=1, pictures=1, of_each_other=1)
    monkeypatch.setattr(teaching, "_QUICK", few)
    monkeypatch.setattr(teaching.Judge, "taught", lambda _, prompts, __: NamesTheLast(prompts))
    monkeypatch.setattr(teaching_task, "_OWN_PICTURES", 1)
    monkeypatch.setattr(dreambooth, "_PRIOR_PICTURES", 1)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TAPESTRY_MODELS", str(tmp_path / "models"))
    methods = ("attention", "word")
    scope = Scope(quick=True, minutes=0.01, methods=methods)
    measured = teaching.measure_teaching(Workbench(bench.painter, scope))
    wanted = {
        name for name in GOALS["teaching"] if name.startswith((*methods, "dreambooth", "judge"))
    }
    assert set(measured.figures) == wanted
    # The last of all patterns is what this judge sees, and nothing that the model knew.
    assert measured.figures["judge_decoded"] == measured.figures["attention_right"] == 0.5
    assert measured.figures["attention_both"] == 0
    assert measured.figures["attention_lost"] == 0
    details: Any = measured.details
    taught = [each for method in methods for each in details[method]]
    assert [each["pattern"] for each in taught] == list(PATTERNS)[-2:] * 2
    assert all(each["seconds"] >= 0.6 for each in taught)
    assert all(each["cpu_s"] >= each["seconds"] for each in taught)
    assert not list(tmp_path.iterdir()), "its files are gone"


def test_dreambooth_changes_a_copy_alone(bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of its U-Net, step by step until the clock says stop."""
    monkeypatch.setattr(dreambooth, "_PRIOR_PICTURES", 1)
    painter = bench.painter
    unet = painter.model.adapter_manager.networks["unet"]
    before = {name: tensor.clone() for name, tensor in unet.state_dict().items()}
    peer = DreamBooth(painter.model_cache, replace(painter.settings, seed=3))
    examples = teaching.drawings("terrazzo", 2, 0, painter.window_px)
    taught = peer.taught(examples, "sks pebbles", "pebbles", 3.0, counted().__next__)
    assert peer.steps == 2
    other = taught.model.adapter_manager.networks["unet"].state_dict()
    assert all(not np.array_equal(other[name], tensor) for name, tensor in before.items())
    now = unet.state_dict()
    assert all(np.array_equal(now[name], tensor) for name, tensor in before.items())


def counted() -> Iterator[float]:
    """A second for each question."""
    yield from map(float, range(100))
