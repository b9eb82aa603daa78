"""Krita is started three times for all tests of this folder.

Without a backend, with the real one, and with one whose worker is scripted.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path

import pytest

from tests.krita.debian_trees import chosen_tree
from tests.krita.krita_session import Report, play

ROOT = Path(__file__).resolve().parents[2]
OUTPUT = ROOT / "test-output" / "krita" / (chosen_tree() or Path()).name
"""Screenshots, raw pixels and logs of the last run with this Krita, for people to look at."""

DOCUMENT_SCENARIOS = (
    "no_document",
    "no_backend",
    "empty_document",
    "bad_input",
    "all_kinds_of_layers",
    "stays_usable",
    "canvas_contract",
    *("prompts_and_names", "odd_names", "settings_survive", "nested_groups", "rows_and_layers"),
    *("new_region", "show_regions", "badges", "one_layer", "cmyk_document", "two_documents"),
    *("layers_among_others", "selections_are_no_regions", "nothing_selected", "actions"),
)
JOB_SCENARIOS = (
    "generate_and_extend",
    "undo_brings_everything_back",
    "cancel",
    "backend_killed",
    "deep_documents",
    "other_color_models",
    "odd_canvases",
    *("refine_a_selection", "fill_a_selection", "generate_a_selection", "extend_every_side"),
    *(
        "extend_all_around",
        "suggest_a_prompt",
        "edit_by_words",
        "upscale_the_document",
        "learn_a_picture",
        "teach_a_word",
        "four_times_as_large",
    ),
    "settings_of_regions_matter",
    "documents_that_change",
    "history_survives",
    "previews_are_not_saved",
    "ways_to_apply",
    "group_of_regions",
    "many_jobs",
    "paint_live",
    "live_belongs_to_its_document",
    "a_large_picture_stays_usable",
    "large_pictures_in_other_ways",
    "two_views",
    "views_are_closed_while_layers_come",
    "two_windows",
)
DELAY_SCENARIOS = ("delays_of_a_picture", "delays_of_previews_and_cancel")

SCRIPTED_BACKEND = ROOT / "tests" / "chaos" / "backend.py"


@pytest.fixture(scope="session")
def plugin(tmp_path_factory) -> Path:
    """The plugin as the installer builds it; skips, or fails, where Krita is missing."""
    tree = chosen_tree()
    path = f"{tree}/usr/bin" if tree else None
    missing = [name for name in ("krita", "Xvfb") if shutil.which(name, path=path) is None]
    if missing:
        reason = f"{' and '.join(missing)} not installed (apt-get install krita xvfb)"
        if tree:
            reason = f"{' and '.join(missing)} not in {tree} (python3 -m tests.krita.versions)"
        if os.environ.get("TAPESTRY_REQUIRE_KRITA") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    from installer.plugin import build_plugin_folder

    folder = tmp_path_factory.mktemp("plugin")
    build_plugin_folder(folder)
    return folder


@pytest.fixture(scope="session")
def documents(plugin: Path) -> Report:
    """What Krita did without a backend."""
    return play(DOCUMENT_SCENARIOS, plugin, OUTPUT / "documents", backend="", timeout_s=2400)


@pytest.fixture(scope="session")
def jobs(plugin: Path) -> Report:
    """What Krita did with the real backend and the bundled model."""
    backend = str(Path(sys.executable).with_name("tapestry"))
    return play(JOB_SCENARIOS, plugin, OUTPUT / "jobs", backend, timeout_s=5400)


@pytest.fixture(scope="session")
def delays(plugin: Path) -> Report:
    """What Krita did with the real server and a scripted worker, whose own time is known."""
    backend = shlex.join([sys.executable, str(SCRIPTED_BACKEND)])
    return play(DELAY_SCENARIOS, plugin, OUTPUT / "delays", backend, timeout_s=2400)
