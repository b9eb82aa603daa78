"""A Krita that is killed, and the next one."""

import sys
from pathlib import Path

import pytest

from tests.krita.conftest import OUTPUT
from tests.krita.krita_session import play

pytestmark = [pytest.mark.krita, pytest.mark.timeout(2700)]


@pytest.mark.promise("R4")
def test_a_killed_krita_loses_no_picture(plugin: Path, tmp_path: Path, measured) -> None:
    """Neither the one that was finished and not saved, nor the one that was being painted."""
    backend = str(Path(sys.executable).with_name("tapestry"))
    first = play(
        ["killed_in_mid_job"], plugin, OUTPUT / "killed", backend, timeout_s=600, home=tmp_path
    )
    assert first.ended == "Krita ended by SIGKILL in the scenario killed_in_mid_job"
    second = play(
        ["after_the_kill"], plugin, OUTPUT / "after the kill", backend, timeout_s=600, home=tmp_path
    )
    facts = second.facts("after_the_kill")
    assert len(facts["left behind"]) == 1
    assert [steps for _, steps in facts["history"]] == [60, 4]
    assert facts["history"][0][0] in facts["layers"]
    assert facts["notice"][1].endswith("Apply puts it into a new document.")
    measured("a killed Krita: the next one has the finished picture, and goes on with the other")
