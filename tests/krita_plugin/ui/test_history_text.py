"""A picture of the history in words."""

from tapestry.document.adapter_settings import PICTURE, AdapterSettings, DocumentAdapters
from tapestry.document.order import asked_for
from tapestry.results.history import HistoryEntry
from tapestry.ui.history.history_text import description
from tapestry_protocol.messages import Request


def entry(adapters: str = "") -> HistoryEntry:
    """A picture of the sea."""
    asked = asked_for(Request("generate", 8, 8, prompt="sea"))
    return HistoryEntry("x", "sea", 64 * "0", 8, 8, (0, 0, 8, 8), (8, 8), asked, adapters=adapters)


def test_a_tooltip_lists_the_adapters_of_the_picture_and_of_its_regions() -> None:
    """With weights, and what was shown; a region on which nothing lay has no line."""
    stored = DocumentAdapters()
    inked = AdapterSettings("ink", "lora", 0.8)
    traced = AdapterSettings("scribble", "controlnet", 1.0, "lines", "{7}", "sketch")
    mapped = AdapterSettings("seg", "controlnet", 0.5, "regions", "{7}", "sketch")
    stored = stored.having(PICTURE, "", [inked, traced]).having("{1}", "sky", [mapped])
    lines = description(entry(stored.having("{2}", "grass", []).to_text())).splitlines()
    said = [line for line in lines if line.startswith("Adapters")]
    assert said == [
        "Adapters: ink 0.8, scribble 1 (\u201csketch\u201d)",
        "Adapters on sky: seg 0.5",
    ]


def test_a_picture_without_any_says_nothing_of_them() -> None:
    """Nor does one of an earlier version."""
    for adapters in ("", DocumentAdapters().only({"{1}": "sky"}).to_text()):
        assert "Adapters" not in description(entry(adapters))
