"""The layouts: as many, and of as many kinds, as the benchmark says."""

import numpy as np
import pytest

from tapestry_backend.bench.common.layouts import THIN_PX, RegionLayout, make_layouts, quick_layouts
from tapestry_backend.bench.common.prompts import GENERAL_TEXTURES, SAMPLE_TEXTURES
from tapestry_backend.bench.metrics.regions import whole_patches
from tapestry_backend.bench.quality.judge import PATCH_PX, STRIDE_PX

LAYOUTS = make_layouts(SAMPLE_TEXTURES, 128)


def test_there_are_enough_of_every_kind() -> None:
    """At least 24, on canvases of one to six windows, of one to eight regions."""
    assert len(LAYOUTS) >= 24
    assert {(layout.height // 128, layout.width // 128) for layout in LAYOUTS} == {
        (1, 1),
        (1, 2),
        (2, 2),
        (2, 3),
    }
    assert max(len(layout.masks) for layout in LAYOUTS) == 8
    for kind in ("boxes", "circle", "letter", "diagonal", "checkerboard", "overlap"):
        for size in ("1x1", "2x2", "2x3"):
            assert any(kind in layout.name and size in layout.name for layout in LAYOUTS)


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.name)
def test_every_area_can_be_judged(layout: RegionLayout) -> None:
    """Prompts that differ, and whole patches for each; two areas at least."""
    prompts = (*layout.prompts, layout.background)
    corner, whole = whole_patches(layout.labels, PATCH_PX, STRIDE_PX)
    counts = [int((whole & (corner == number)).sum()) for number in np.unique(layout.labels)]

    assert len(set(prompts)) == len(prompts)
    assert len(counts) >= 2
    assert min(counts) >= 20


def test_overlaps_are_about_a_tenth() -> None:
    """Of the regions' area; no other layout has any to speak of."""
    for layout in LAYOUTS:
        share = layout.overlap.sum() / np.any(layout.masks, axis=0).sum()
        if "overlap" in layout.name:
            assert 0.04 < share < 0.16, layout.name
            assert whole_patches(layout.overlap, PATCH_PX, STRIDE_PX)[1][
                layout.overlap[::STRIDE_PX, ::STRIDE_PX][
                    : (layout.height - PATCH_PX) // STRIDE_PX + 1,
                    : (layout.width - PATCH_PX) // STRIDE_PX + 1,
                ]
            ].any(), layout.name
        else:
            assert share < 0.02, layout.name


def test_thin_strokes_are_as_wide_as_they_say() -> None:
    """Across the stroke, not along a row."""
    diagonal = next(layout for layout in LAYOUTS if layout.name == "1x1 diagonal")
    assert diagonal.thin == {0}
    # Along a row a stroke of 45 degrees is wider by the root of two.
    assert abs(diagonal.masks[0][64].sum() - THIN_PX * 2**0.5) <= 1


def test_upper_masks_hide_lower_ones() -> None:
    """Labels are what a painter sees from above."""
    upper = np.zeros((4, 4), dtype=bool)
    upper[:, :3] = True
    lower = np.zeros((4, 4), dtype=bool)
    lower[:2] = True
    layout = RegionLayout("", (upper, lower), ("a", "b"), "c")

    assert layout.labels[0].tolist() == [0, 0, 0, 1]
    assert layout.labels[3].tolist() == [0, 0, 0, 2]
    assert layout.overlap.sum() == 6


def test_a_quick_run_has_every_kind() -> None:
    """And other models have prompts enough for the layouts with most regions."""
    names = " ".join(layout.name for layout in quick_layouts(SAMPLE_TEXTURES, 128))
    for kind in ("circle", "letter", "diagonal", "checkerboard", "eight", "overlap", "1x2"):
        assert kind in names
    assert len(make_layouts(GENERAL_TEXTURES, 64)) == len(LAYOUTS)


def test_the_models_prompts_are_in_its_vocabulary(catalogue) -> None:
    """The model has no other words."""
    import json

    from tapestry_backend.bench.common.prompts import SAMPLE_EVEN_TEXTURES, SAMPLE_SCENES

    path = catalogue.find("sample").path / "vocabulary.json"
    known = json.loads(path.read_text(encoding="utf-8"))
    assert set(SAMPLE_TEXTURES) | set(SAMPLE_EVEN_TEXTURES) <= set(known["materials"])
    assert set(SAMPLE_SCENES) <= set(known["scenes"])
