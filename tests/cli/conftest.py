"""Commands keep what they remember in folders of the tests, not in the user's."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def data_folder_of_its_own(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Inversions, learned pictures, hashes: each test begins without any."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data")))
