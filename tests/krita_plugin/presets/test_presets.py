"""Presets, and the prompts that were used lately."""

import pytest

from tapestry.presets.presets import Presets
from tapestry.presets.prompt_history import PromptHistory
from tapestry.settings.settings import Settings
from tests.krita_plugin.fake_canvas import FakeHost


def test_a_preset_is_kept_by_name() -> None:
    """For all documents; it holds how pictures are painted, not what they show."""
    host = FakeHost()
    Presets(host).keep("dreamy \u00fc", Settings(prompt="sky", seed=7, coherence=0.5))
    again = Presets(host)
    values = again.values("dreamy \u00fc")
    assert values["coherence"] == 0.5
    assert not {"prompt", "seed", "mode"} & set(values)
    assert again.names[-1] == "dreamy \u00fc"
    assert again.is_own("dreamy \u00fc")
    again.remove("dreamy \u00fc")
    assert Presets(host).names == ["Fast", "Balanced", "Careful"]


def test_built_in_presets_differ_in_steps() -> None:
    """They are always there, and cannot be removed."""
    presets = Presets(FakeHost())
    steps = [presets.values(name)["num_inference_steps"] for name in presets.names]
    assert steps == sorted(set(steps))
    speeds = [presets.values(name)["speed"] for name in presets.names]
    assert speeds == ["fast", "balanced", "quality"]
    presets.remove("Fast")
    assert "Fast" in presets.names
    assert presets.values("nobody") == {}


@pytest.mark.parametrize(
    "text",
    [
        *("{", "[]", '{"a": 3}', '{"a": {"coherence": 9}}', '{"a": []}'),
        *('{"a": {"adapters": 3}}', '{"a": {"adapters": [3, {"adapter": 1}]}}'),
    ],
)
def test_damaged_presets_do_no_harm(text: str) -> None:
    """What is sound is kept."""
    host = FakeHost()
    host.settings["presets"] = text
    presets = Presets(host)
    for name in filter(presets.is_own, presets.names):
        assert (presets.values(name), presets.laid(name) or None) == ({}, None)


def test_prompts_are_remembered_once_the_latest_first() -> None:
    """Over all documents and starts."""
    host = FakeHost()
    PromptHistory(host).remember(["sky", " ", "grass "])
    history = PromptHistory(host)
    history.remember(["grass"])
    assert PromptHistory(host).prompts == ("grass", "sky")
    history.remember(f"{number}" for number in range(500))
    assert len(history.prompts) == 200


@pytest.mark.parametrize("text", ["{", "{}", "3"])
def test_a_damaged_history_is_an_empty_one(text: str) -> None:
    """And can be written again."""
    host = FakeHost()
    host.settings["prompts"] = text
    assert PromptHistory(host).prompts == ()
