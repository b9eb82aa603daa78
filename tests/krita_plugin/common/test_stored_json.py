"""Notes and settings from any source: each reader gives something sound."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapestry.backend.choice import BackendChoice
from tapestry.document.adapter_settings import ADAPTERS_NOTE, DocumentAdapters
from tapestry.document.reading import OWN_LAYERS_NOTE, own_layers, scene_of
from tapestry.document.region_settings import REGIONS_NOTE, DocumentRegions
from tapestry.i18n.notices import notice_in
from tapestry.presets.presets import Presets
from tapestry.presets.prompt_history import PromptHistory
from tapestry.results.history import HISTORY_NOTE, History
from tapestry.settings.settings import Settings
from tapestry.ui.history.history_text import badge, description
from tapestry_protocol.runtime import read_runtime_file
from tests.krita_plugin.entries import entry
from tests.krita_plugin.fake_canvas import FakeCanvas, FakeHost
from tests.krita_plugin.pieces import finish
from tests.krita_plugin.workshop import Workshop

DEEP = "[" * 100_000
NOTES = (HISTORY_NOTE, REGIONS_NOTE, ADAPTERS_NOTE, OWN_LAYERS_NOTE)
HUGE = 10**400

ODD = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([10**30, -(10**30), HUGE, 2**63, 0])
    | st.floats()
    | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=6,
)


def used(history: History) -> None:
    """Ask everything of each entry that the docker asks, and write it all again."""
    for found in history.entries:
        assert description(found)
        assert isinstance(badge(found, is_applied=bool(found.applied)), str)
        assert found.has_words("") in {True, False}
        assert (found.request, found.small, found.place, found.margins) is not None
        assert 0 <= found.seed < 2**32
        grown = found.margins.top + found.margins.bottom
        assert grown + found.height < 2**31
    again = History.from_text(history.to_text())
    assert [found.id for found in again.entries] == [found.id for found in history.entries]


@pytest.mark.parametrize(
    "text",
    [DEEP, '{"a":' * 100_000, "[1", "null", "5", '"x"', "NaN", "{}"],
    ids=["lists", "objects", "cut", "null", "a number", "a text", "no number", "empty"],
)
def test_a_document_with_odd_notes_is_like_one_without(text: str) -> None:
    """Nested without end, cut, or of another kind: looks and pictures go on."""
    workshop = Workshop()
    workshop.canvas.notes = dict.fromkeys(NOTES, text)
    submit = workshop.submit()
    workshop.docker_model.look()
    workshop.loop.run()
    assert workshop.said == ""
    assert own_layers(workshop.canvas) == frozenset()
    assert [row.prompt for row in finish(scene_of(workshop.canvas)).rows] == ["sunset sky"]
    workshop.finish(submit)
    assert len(workshop.docker_model.results.entries()) == 1
    assert workshop.said == ""


@pytest.mark.parametrize(
    "text",
    [DEEP, "[1", "null", "[]", "{}", '{"seed": 1e999}'],
    ids=["lists", "cut", "null", "a list", "empty", "an odd value"],
)
def test_odd_settings_are_left_at_their_defaults(text: str, tmp_path) -> None:
    """Those of the user, of the backend, and what a server has written."""
    host = FakeHost(FakeCanvas(8, 8))
    host.read_setting = lambda _key: text
    assert Settings.from_text(text) == Settings()
    assert BackendChoice.from_text(text) == BackendChoice()
    assert PromptHistory(host).prompts == ()
    assert [name for name in Presets(host).names if Presets(host).is_own(name)] in ([], ["seed"])
    assert notice_in(text) is None
    (tmp_path / "server.json").write_text(text)
    (tmp_path / "server.json").chmod(0o600)
    assert read_runtime_file(tmp_path / "server.json") is None


@pytest.mark.parametrize(
    "odd",
    [
        {"asked": {"regions": 5}},
        {"asked": {"regions": {"prompt": "x"}, "seed": 10**30}},
        {"asked": {"margins": {"left": 10**30}}},
        {"made_at": 10**30},
        {"made_at": -(10**30)},
        {"seconds": HUGE},
        {"seconds": float("inf")},
        {"seconds": float("nan")},
        {"height": HUGE, "bounds": [0, 0, HUGE, 30]},
        {"document": [10**30, 10**30]},
        {"offset": [10**30, 0]},
        {"grown": [10**30, 0, 0, 0]},
        {"bounds": 5},
        {"applied": [[]]},
        {"adapters": DEEP},
        {"asked": json.loads("[" * 300 + "]" * 300)},
        {"asked": {"x": json.loads("[" * 300 + "]" * 300)}},
    ],
    ids="-".join,
)
def test_an_odd_picture_costs_no_other(odd: dict[str, Any]) -> None:
    """It is left out, or sound in all that is asked of it."""
    history = History()
    for number in (1, 2):
        history.add(entry(number))
    kept = json.loads(history.to_text())
    kept["entries"][0] |= odd
    read = History.from_text(json.dumps(kept))
    assert read.entries[-1] == entry(1)
    used(read)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from(list(vars(entry()))), ODD, max_size=4), ODD)
def test_no_picture_breaks_the_strip(odd: dict[str, Any], asked: Any) -> None:
    """Whatever stands in its fields, and in what was asked."""
    kept = json.loads(History("", [entry(1), entry(2)]).to_text())
    kept["entries"][0] |= odd
    kept["entries"][1]["asked"] |= asked if isinstance(asked, dict) else {"regions": asked}
    used(History.from_text(json.dumps(kept)))


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.text(max_size=4), ODD, max_size=3), ODD)
def test_no_stored_settings_break_reading(odd: dict[str, Any], one: Any) -> None:
    """Of regions, of adapters, of presets; numbers of any size."""
    fields = dict.fromkeys(
        ("weight", "strength", "seed", "fit", "on", "name", "guidance_scale"), one
    )
    layers = {"{1}": fields, **odd}
    stored = DocumentRegions.from_text(json.dumps({"layers": layers, "group": odd}))
    assert DocumentRegions.from_text(stored.to_text()) == stored
    laid = [{"adapter": "ink", "kind": "lora", **fields, "layer": one, "start": one}]
    adapters = DocumentAdapters.from_text(json.dumps({"{1}": {"name": one, "laid": laid}, **odd}))
    assert DocumentAdapters.from_text(adapters.to_text()) == adapters
    for reader in (Settings.from_text, BackendChoice.from_text):
        assert reader(json.dumps({**fields, **odd, "models": one})) is not None
    assert notice_in(json.dumps({"notices": one, **odd})) is not False
