"""Fixtures of the plugin's tests: nothing is written into the user's own folders."""

from collections.abc import Iterator
from typing import Any

import pytest

from tapestry.common.task_queue import Task, TaskQueue
from tests.krita_plugin.fake_canvas import FakeHost


@pytest.fixture(autouse=True)
def _own_data_folder(tmp_path, monkeypatch) -> None:
    """Each test has a data folder of its own."""
    monkeypatch.setattr(FakeHost, "data_folder", tmp_path)


@pytest.fixture(autouse=True)
def _work_ends_with_its_test(monkeypatch) -> Iterator[None]:
    """What still waits for its first turn is closed; a coroutine that is lost is an error."""
    made: list[Task | TaskQueue] = []
    for kind in (Task, TaskQueue):

        def noted(self, *arguments: Any, begin=kind.__init__) -> None:
            begin(self, *arguments)
            made.append(self)

        monkeypatch.setattr(kind, "__init__", noted)
    yield
    for one in made:
        (one.close if isinstance(one, TaskQueue) else one.cancel)()
