"""Fixtures of the plugin's tests: nothing is written into the user's own folders."""

import pytest

from tests.krita_plugin.fake_canvas import FakeHost


@pytest.fixture(autouse=True)
def _own_data_folder(tmp_path, monkeypatch) -> None:
    """Each test has a data folder of its own."""
    monkeypatch.setattr(FakeHost, "data_folder", tmp_path)
