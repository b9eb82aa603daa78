"""Regions in a real Krita, as a painter works with them; no backend anywhere."""

import pytest

from tests.krita.krita_session import Report

pytestmark = [pytest.mark.krita, pytest.mark.timeout(2700)]


def test_prompts_and_layer_names_are_the_same(documents: Report) -> None:
    """Whichever of them is edited."""
    facts = documents.facts("prompts_and_names")
    assert facts["layer"] == "stormy sky"
    assert facts["prompt"] == ["calm sea"]


def test_odd_names(documents: Report) -> None:
    """Are whole, and do not widen the docker."""
    facts = documents.facts("odd_names")
    assert facts["regions"] == facts["asked"]
    assert max(map(len, facts["regions"])) > 1900
    assert facts["widths"][0] <= facts["widths"][1]


def test_settings_survive_saving_and_go_with_a_copy(documents: Report) -> None:
    """In the document's own file, which keeps its clean names."""
    facts = documents.facts("settings_survive")
    assert facts["modified"]
    assert facts["saved"]
    assert facts["names in the file"]
    settings = list(facts["reopened"].values())
    assert len(settings) == 3
    for copy in settings[:2]:
        assert (copy["weight"], copy["strength"], copy["on"]) == (2.5, 0.4, False)
        assert copy["negative_prompt"] == "clouds"
    assert settings[2]["weight"] == 1.0


def test_a_groups_layers_are_regions_where_it_is_chosen(documents: Report) -> None:
    """One region each; or the layers of one of them; hidden with what is around them."""
    facts = documents.facts("nested_groups")
    assert facts["choices"] == ["all visible layers", "wood", "inner"]
    assert facts["badges"] == {"bush": "hidden", "tree": "hidden"}


def test_masks_together_are_what_krita_shows(documents: Report) -> None:
    """With an eraser, inherited alpha and a group that passes through among them."""
    facts = documents.facts("layers_among_others")
    assert facts["together"]
    assert all(facts["masks"])
    assert facts["nameless"] == "Paint Layer 7"
    assert facts["colors"] == [0] * 20 + [255] * 2
    assert any("hole" in remark for remark in facts["remarks"])


def test_rows_and_layers_choose_each_other(documents: Report) -> None:
    """The row of the active layer is marked."""
    assert documents.facts("rows_and_layers")["marked"] == [True, False]


def test_a_new_region_is_ready_to_be_painted(documents: Report) -> None:
    """Its prompt is written at once."""
    facts = documents.facts("new_region")
    assert facts["layer"] == ["", "paintlayer", True]
    assert facts["badge"] == "empty"
    assert facts["name"] == "full moon"
    before, brush = facts["brush"]
    assert brush != before
    # Blue, green, red: the first of our colours is a red.
    assert brush[2] > max(brush[:2])


def test_regions_are_shown_in_colours(documents: Report) -> None:
    """And the picture is what it was afterwards."""
    facts = documents.facts("show_regions")
    assert facts["changed"] == {"moon": True, "sky": True, "nothing": False}
    assert facts["differ"]
    assert facts["regions"] == ["moon", "sky"]
    assert facts["back"]


def test_badges_say_what_keeps_a_region_from_showing(documents: Report) -> None:
    """What keeps a region from showing is said beside it."""
    assert documents.facts("badges")["badges"] == {
        "cover": "",
        "hidden": "hidden",
        "empty": "empty",
        "outside": "outside",
        "thin": "too thin",
        "covered": "covered",
    }


def test_a_document_of_one_layer(documents: Report) -> None:
    """It is the background, and there is no region."""
    facts = documents.facts("one_layer")
    assert "The lowest layer is the background: blue sky." in facts["remarks"]
    assert facts["regions"] == []


def test_cmyk_document(documents: Report) -> None:
    """Its regions are shown in colours; nothing is where none is."""
    assert documents.facts("cmyk_document")["changed"] == [True, False]


def test_two_documents_have_regions_of_their_own(documents: Report) -> None:
    """Also when their layers have the same names."""
    assert documents.facts("two_documents")["regions"] == ["sky"]


def test_a_selection_mask_is_no_region(documents: Report) -> None:
    """Though Krita lists it among the layers."""
    facts = documents.facts("selections_are_no_regions")
    assert len(facts["nodes"]) == 3
    assert facts["rows"] == ["sky"]


@pytest.mark.parametrize("mode", ["refine", "fill"])
def test_without_a_selection_there_is_a_sentence(documents: Report, mode: str) -> None:
    """With what to do."""
    message, advice = documents.facts("nothing_selected")[mode]
    assert message == "Nothing is selected."
    assert "selection tools" in advice


def test_actions_for_shortcuts(documents: Report) -> None:
    """Krita's shortcut editor knows all of them."""
    facts = documents.facts("actions")
    assert facts["texts"] == facts["wanted"]
    assert {"Tapestry: Generate", "Tapestry: Paint live"} <= set(facts["texts"])
    assert facts["rolled"]
