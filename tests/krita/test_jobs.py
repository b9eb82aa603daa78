"""The main job on a real Krita with the real backend, and what may come in between."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from tapestry_protocol.messages import Request
from tests.krita.appearance import Appearance, patches
from tests.krita.krita_session import Report

pytestmark = [pytest.mark.krita, pytest.mark.timeout(6000)]

WIDTH, HEIGHT, EXTENSION = 384, 256, 128
PAINTED = ["red bricks", "sunset sky", "green grass", "Background"]
NEW_LAYER = "Tapestry: red bricks, sunset sky, green grass (seed 42)"
ENOUGH = 0.85
"""The share of a region's patches that must look like its prompt."""

MATERIALS = ("red bricks", "sunset sky", "green grass", "blue sky", "wheat field", "wood planks")
"""The three prompts, and three that one could take them for."""


def _rgba(
    report: Report, described: dict[str, Any], of: dict[str, Any] | None = None
) -> np.ndarray:
    """The pixels of a described document, or of one of its layers: [H, W, 4]."""
    data = (report.folder / (of or described)["pixels"]).read_bytes()
    bgra = np.frombuffer(data, np.uint8).reshape(described["height"], described["width"], 4)
    return bgra[..., [2, 1, 0, 3]]


def _layer(described: dict[str, Any], name: str) -> dict[str, Any]:
    return next(layer for layer in described["layers"] if layer["name"] == name)


@pytest.fixture(scope="module")
def main_job(jobs: Report) -> dict[str, Any]:
    """What was seen of the main job."""
    return jobs.facts("generate_and_extend")


@pytest.fixture(scope="module")
def appearance(model_cache) -> Appearance:
    """What the materials look like, learnt from the bundled model's own plain pictures."""
    from tapestry_backend.tasks.run import run

    def picture(prompt: str, seed: int) -> np.ndarray:
        request = Request("generate", 128, 128, prompt=prompt, seed=seed)
        *_, finished = run(request, {}, model_cache)
        rgba = np.frombuffer(finished.pixels.data, np.uint8).reshape(128, 128, 4)
        return rgba[..., :3]

    return Appearance({name: [picture(name, seed) for seed in (1, 2, 3)] for name in MATERIALS})


def test_the_docker_lists_the_regions(main_job: dict[str, Any]) -> None:
    """Topmost first, before and after: our own layer is no region."""
    assert main_job["regions"] == PAINTED[:3]
    assert main_job["regions after"] == PAINTED[:3]


def test_progress_is_shown(main_job: dict[str, Any]) -> None:
    """In steps, and in time when that could be measured; briefly in a narrow docker."""
    counted, _, left = main_job["progress"].partition(", ")
    step, steps = re.fullmatch(r"(?:Step )?(\d+)(?:/| of )(\d+)", counted).groups()
    assert int(step) >= int(steps) // 2
    assert steps == "20"
    assert left.startswith("about ")


def test_generate_inserts_a_layer_that_fills_the_canvas(jobs: Report, main_job) -> None:
    """On top, named so that one knows what it is, opaque, and not flat."""
    generated = main_job["generated"]
    assert [layer["name"] for layer in generated["layers"]] == [NEW_LAYER, *PAINTED]
    assert (generated["width"], generated["height"]) == (WIDTH, HEIGHT)
    assert generated["layers"][0]["box"] == [0, 0, WIDTH, HEIGHT]
    picture = _rgba(jobs, generated, generated["layers"][0])
    assert (picture[..., 3] == 255).all()
    assert picture[..., :3].std() > 10


@pytest.mark.parametrize("region", PAINTED[:3])
def test_each_region_looks_like_its_prompt(jobs, main_job, appearance, region: str) -> None:
    """At least 85 % of its patches; those across an edge belong to no region."""
    generated = main_job["generated"]
    picture = _rgba(jobs, generated, generated["layers"][0])[..., :3]
    mask = np.zeros((HEIGHT, WIDTH), bool)
    for layer in reversed(generated["layers"][1:4]):  # an upper layer hides a lower one
        painted = _rgba(jobs, generated, layer)[..., 3] > 0
        mask = np.where(painted, layer["name"] == region, mask)
    named = [appearance.name(patch) for _, patch in patches(picture, mask)]
    assert len(named) >= 9
    assert named.count(region) / len(named) >= ENOUGH, dict.fromkeys(named)


def test_extend_makes_the_document_wider(main_job: dict[str, Any]) -> None:
    """By what was asked, with a layer that fills the new part and nothing else."""
    extended = main_job["extended"]
    assert (extended["width"], extended["height"]) == (WIDTH + EXTENSION, HEIGHT)
    new, *old = extended["layers"]
    assert new["name"].startswith("Tapestry: ")
    assert "extended right" in new["name"]
    assert new["box"] == [WIDTH, 0, EXTENSION, HEIGHT]
    assert [layer["name"] for layer in old] == [NEW_LAYER, *PAINTED]


def test_extend_leaves_old_pixels_alone(jobs: Report, main_job: dict[str, Any]) -> None:
    """In every old layer and in the whole picture, bit for bit."""
    before, after = main_job["generated"], main_job["extended"]
    assert (_rgba(jobs, after)[:, :WIDTH] == _rgba(jobs, before)).all()
    for layer in before["layers"]:
        old = _rgba(jobs, before, layer)
        new = _rgba(jobs, after, _layer(after, layer["name"]))
        assert (new[:, :WIDTH] == old).all(), layer["name"]


def test_extend_paints_the_new_part(jobs: Report, main_job: dict[str, Any]) -> None:
    """Opaque, and not flat."""
    extended = main_job["extended"]
    new = _rgba(jobs, extended)[:, WIDTH:]
    assert (new[..., 3] == 255).all()
    assert new[..., :3].std() > 10


def test_undo_brings_everything_back(jobs: Report) -> None:
    """One step for Generate, two for Extend."""
    facts = jobs.facts("undo_brings_everything_back")
    before, after = facts["generate"]
    assert after == before
    assert facts["extended"][0] == WIDTH + 64
    before, after = facts["extend"]
    assert after == before


@pytest.mark.promise("R13")
def test_cancel_in_mid_job(jobs: Report, measured) -> None:
    """A word, no layer, and the next job works."""
    facts = jobs.facts("cancel")
    assert facts["notice"] == ["Cancelled.", ""]
    before, beside_a_preview = facts["active"]
    assert beside_a_preview == before in PAINTED  # a preview is not painted on
    assert facts["layers"] == PAINTED
    assert facts["layers afterwards"] == [NEW_LAYER, *PAINTED]
    measured(f"cancelled {1000 * facts['seconds']:.0f} ms after the button, the step included")


@pytest.mark.promise("R2")
def test_backend_killed_in_mid_job(jobs: Report) -> None:
    """A message, not a crash; it is started again, and the job's layer appears once."""
    facts = jobs.facts("backend_killed")
    assert facts["notice"][0] == "The connection to the backend was lost."
    assert "by itself" in facts["notice"][1]
    assert facts["layers"] == [NEW_LAYER, *PAINTED]
    assert facts["notice afterwards"] == ["", ""]


def test_the_backend_ends_with_krita(jobs: Report) -> None:
    """Nothing is left running."""
    assert jobs.backend_stopped


def test_nothing_unforeseen_happened(jobs: Report, documents: Report) -> None:
    """The plugin's log is for unexpected errors; it was never begun."""
    for report in (jobs, documents):
        assert not (report.folder / "plugin.log").exists()
        assert "Traceback" not in report.output
        assert "Duplicated action name" not in report.output


@pytest.mark.parametrize("depth", ["U16", "F16", "F32"])
def test_deep_documents(jobs: Report, depth: str) -> None:
    """They get their picture, and keep their depth."""
    facts = jobs.facts("deep_documents")[depth]
    assert facts["name"] == "Tapestry: sunset sky, green grass (seed 42)"
    assert facts["depth"] == depth
    assert facts["colors"] > 1000
    assert facts["notice"] == ["", ""]


@pytest.mark.parametrize("space", ["GRAYA U8", "CMYKA U8", "LABA U16", "GRAYA F16"])
def test_other_color_models(jobs: Report, space: str) -> None:
    """Generated, undone by one undo, extended without a change to what was there."""
    facts = jobs.facts("other_color_models")[space]
    assert facts["space"] == space.split()
    assert facts["badges"] == {"sunset sky": "", "green grass": ""}
    # Grays are fewer than colours.
    assert min(facts["colors"], facts["new colors"]) > (60 if "GRAY" in space else 1000)
    assert facts["undone"]
    assert facts["old pixels"]
    assert facts["old picture"]


@pytest.mark.parametrize("case", ["63 x 1", "thin stroke"])
def test_odd_canvases_get_a_picture_or_a_sentence(jobs: Report, case: str) -> None:
    """A canvas of 63 x 1 pixels, a stroke that is one pixel wide."""
    layers, notice = jobs.facts("odd_canvases")[case]
    assert layers[0].startswith("Tapestry: ") or notice[0]
