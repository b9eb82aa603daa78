"""Generate a part, refine, fill, extend, edit, upscale: in a real Krita with the real backend."""

import numpy as np
import pytest

from tests.krita.krita_session import Report

pytestmark = [pytest.mark.krita, pytest.mark.timeout(2700)]

X, Y, WIDTH, HEIGHT = 96, 64, 48, 48


@pytest.mark.parametrize(
    ("scenario", "word"),
    [
        ("refine_a_selection", "refined"),
        ("fill_a_selection", "filled"),
        ("generate_a_selection", "blue sky"),
    ],
)
def test_only_what_is_selected_changes(jobs: Report, scenario: str, word: str) -> None:
    """And the new layer says in its name what it is."""
    facts = jobs.facts(scenario)
    left, top, right, bottom = facts["changed"]
    feather = 0 if scenario == "refine_a_selection" else 8
    assert X - feather <= left < right <= X + WIDTH + feather
    assert Y - feather <= top < bottom <= Y + HEIGHT + feather
    assert (right - left) * (bottom - top) > WIDTH * HEIGHT / 2
    assert word in facts["name"]


def test_every_side_at_once(jobs: Report) -> None:
    """The canvas has grown by what was asked."""
    facts = jobs.facts("extend_every_side")
    assert facts["size"] == [192 + 32 + 24, 160 + 16 + 8]
    assert "extended all sides" in facts["name"]


def test_an_extension_all_around_closes_the_circle(jobs: Report) -> None:
    """Twice as wide as high, and the left edge goes on from the right one."""
    facts = jobs.facts("extend_all_around")
    width, height = facts["size"]
    assert (width, height) == (320, 160)
    raw = (jobs.folder / "around.bgra").read_bytes()
    picture = np.frombuffer(raw, np.uint8).reshape(height, width, 4)[..., :3].astype(int)
    steps = np.abs(np.diff(picture, axis=1)).mean(axis=(0, 2))
    seam = np.abs(picture[:, 0] - picture[:, -1]).mean()
    assert seam <= np.quantile(steps, 0.99) + 2


def test_what_the_edges_show_is_suggested(jobs: Report) -> None:
    """As the background's prompt, for the edges that grow; without any, that is said."""
    facts = jobs.facts("suggest_a_prompt")
    assert "not extended" in facts["without an edge"]
    assert "sky" in facts["prompt"]
    assert "grass" not in facts["prompt"]
    assert facts["told"] == f"The edges show: {facts['prompt']}."
    assert facts["size"] == [192, 160 + 64]


def test_words_find_a_place_and_change_it(jobs: Report) -> None:
    """The map is that of the grass, and nothing changes beyond the feather of its selection."""
    facts = jobs.facts("edit_by_words")
    raw = (jobs.folder / "selected.bytes").read_bytes()
    selected = np.frombuffer(raw, np.uint8).reshape(160, 192) > 0
    assert selected[80:].mean() > 0.9
    assert selected[:80].mean() < 0.1
    left, top, right, bottom = facts["changed in the selection"]
    assert np.flatnonzero(selected.any(axis=1))[0] - 8 <= top
    assert (right - left) * (bottom - top) > 0.9 * selected.sum()
    assert facts["names"][0] == "Tapestry: lava, edited (seed 42)"
    assert "what the picture shall become" in facts["without a wish"]
    assert facts["instructed"][0] == "Tapestry: make it night, edited (seed 42)"
    assert facts["judged"] == "Every region shows what it is called."


def test_a_found_place_becomes_a_layer_that_says_where(jobs: Report) -> None:
    """It is called as the words, and hidden when it has said it; the picture lies on top."""
    facts = jobs.facts("edit_by_words")
    assert facts["where"] == "The layer \u201cgrass\u201d says where."
    assert facts["hidden"]
    assert facts["with the layer"][:2] == ["Tapestry: lava, edited (seed 42)", "grass"]


def test_a_picture_is_learned_once(jobs: Report) -> None:
    """What was cancelled goes on, and the slider asks for no learning."""
    facts = jobs.facts("learn_a_picture")
    rest = ["blue sky", "green grass", "Background"]
    assert facts["cancelled"][1:] == rest
    assert facts["goes on from"] >= 5
    assert facts["learned again"] == [-1]
    assert facts["first is hidden"]
    edited = "Tapestry: snow, edited (seed 42)"
    assert [name.startswith(edited) for name in facts["names"]] == [True, True, *[False] * 4]


def test_a_document_becomes_larger(jobs: Report) -> None:
    """All layers with it, at the same resolution; the picture lies on top."""
    facts = jobs.facts("upscale_the_document")
    assert facts["to be"] == "480 \u00d7 400 px"
    assert facts["tabs"] == []
    assert facts["size"] == [480, 400]
    assert facts["resolution"] == 72
    assert facts["box"] == [0, 0, 480, 400]
    assert "upscaled" in facts["name"]
    assert facts["names"][1:] == ["a leaf", "blue sky", "green grass", "Background"]
    assert facts["regions"] == ["a leaf", "blue sky", "green grass"]
    for now, then in zip(facts["leaf"], (37, 21, 45, 33), strict=True):
        assert abs(now - 2.5 * then) <= 8  # a filter reaches beyond an edge


def test_an_upscale_is_taken_back_or_undone(jobs: Report) -> None:
    """Taken back the layers are nearly what they were; undone they are exactly that."""
    facts = jobs.facts("upscale_the_document")
    names = ["a leaf", "blue sky", "green grass", "Background"]
    assert facts["taken back"] == [192, 160, names]
    assert facts["undone"] == [[480, 4], [480, 5], [480, 4], [192, 4]]
    assert facts["leaf undone"]
    assert "scaled down" in facts["told"]


def test_a_selection_becomes_a_larger_document(jobs: Report) -> None:
    """Its own document stays as it is."""
    facts = jobs.facts("upscale_the_document")
    width, height, names = facts["new"]
    assert (width, height, len(names)) == (120, 120, 2)
    assert facts["left alone"] == [192, 160]


def test_one_press_paints_and_makes_it_four_times_as_large(jobs: Report) -> None:
    """Both stages are layers, and taking back the second leaves the first."""
    facts = jobs.facts("four_times_as_large")
    regions = ["blue sky", "green grass", "Background"]
    assert facts["size"] == [768, 640]
    larger, first, *rest = facts["names"]
    assert "upscaled" in larger
    assert first.startswith("Tapestry: ")
    assert rest == regions
    assert facts["taken back"] == [192, 160, [first, *regions]]


def test_a_region_can_keep_to_its_paint(jobs: Report) -> None:
    """With less strength it has more of the colour it was painted with; also in 16 bits."""
    without, with_paint = jobs.facts("settings_of_regions_matter")["magenta"]
    assert with_paint > without + 0.15
