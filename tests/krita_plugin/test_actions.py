"""The actions in Krita's shortcut editor."""

from pathlib import Path
from xml.etree import ElementTree as ET

import tapestry
from tapestry.actions import actions


def test_the_file_for_krita_names_the_same_actions() -> None:
    """In the same words: Krita takes them from the file."""
    file = Path(tapestry.__file__).parents[1] / "tapestry.action"
    known = ET.parse(file).getroot().iter("Action")  # noqa: S314  our own file
    assert [(a.get("name"), a.findtext("text")) for a in known] == [
        (action.name, action.text) for action in actions()
    ]
