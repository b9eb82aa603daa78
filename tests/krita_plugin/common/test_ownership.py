"""Two Kritas that share their folders, in processes of their own."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tapestry.common.ownership import Ownership, ownership_in
from tapestry.jobs.pending import PendingJobs
from tapestry.results.document_histories import Histories
from tapestry.results.history import History
from tests.krita_plugin.entries import entry
from tests.krita_plugin.fake_canvas import FakeHost
from tests.krita_plugin.workshop import Workshop

ROOT = Path(__file__).resolve().parents[3]

OTHER_KRITA = """
import sys
from pathlib import Path
from tests.krita_plugin.fake_canvas import FakeHost
FakeHost.data_folder = Path(sys.argv[1])
from tests.krita_plugin.workshop import Workshop
workshop = Workshop()
found = [job.id for job in workshop.docker_model.queue.jobs]
painted = workshop.submit()
workshop.finish(painted)
submit = workshop.submit()
print(submit.job_id, painted.job_id, *found, flush=True)
sys.stdin.readline()
"""


class OtherKrita:
    """A Krita with a job on its way and a picture in a document that is not saved."""

    def __init__(self, folder: Path) -> None:
        paths = [str(ROOT / room) for room in (".", "krita_plugin", "shared")]
        code = f"import sys; sys.path[:0] = {paths}\n{OTHER_KRITA}"
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.job, self.picture, *self.found = self.process.stdout.readline().split()

    def die(self) -> None:
        """It crashes, or its computer does."""
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def other(tmp_path: Path) -> Iterator[OtherKrita]:
    """One that runs."""
    krita = OtherKrita(tmp_path)
    yield krita
    krita.die()


def test_a_krita_that_runs_keeps_its_jobs_and_pictures(other: OtherKrita) -> None:
    """However often another one starts."""
    for _ in range(2):
        second = Workshop()
        assert second.docker_model.queue.jobs == []
        assert second.docker_model.results.entries() == []
    folder = second.host.data_folder
    assert (folder / "outstanding" / f"{other.job}.json").exists()
    assert (folder / "pictures" / "unsaved" / f"{other.picture}.json").exists()


def test_what_a_krita_leaves_when_it_dies_is_taken_over_once(
    other: OtherKrita, tmp_path: Path
) -> None:
    """By the first that comes; a third one finds nothing as long as that one runs."""
    other.die()
    second = Workshop()
    assert [job.id for job in second.docker_model.queue.jobs] == [other.job]
    assert [found.id for found in second.docker_model.results.entries()] == [other.picture]
    third = OtherKrita(tmp_path)
    third.die()
    assert third.found == []
    left = {path.stem for path in (tmp_path / "outstanding").glob("*.json")}
    assert left == {other.job, third.job}


def test_files_of_an_earlier_version_have_no_owner(tmp_path: Path) -> None:
    """They belong to whom comes first."""
    workshop = Workshop()
    submit = workshop.submit()
    path = tmp_path / "outstanding" / f"{submit.job_id}.json"
    kept = json.loads(path.read_text())
    assert kept.pop("owner")
    path.write_text(json.dumps(kept))
    assert [job.id for job in PendingJobs(path.parent).read()] == [submit.job_id]


def test_names_of_owners_lead_nowhere_else(tmp_path: Path) -> None:
    """A file says what it likes."""
    mine = ownership_in(tmp_path / "kritas")
    for owner in ("../../x", 5, None, "", "a" * 31):
        assert mine.is_free(owner)
    assert [path.name for path in (tmp_path / "kritas").iterdir()] == ["nobody.lock"]


def test_one_lock_for_all_of_one_krita(tmp_path: Path) -> None:
    """And its own files are free for itself."""
    mine = ownership_in(tmp_path)
    assert ownership_in(tmp_path) is mine
    assert mine.is_free(mine.name)
    assert not Ownership(tmp_path).is_free(mine.name)


def test_a_folder_that_takes_no_lock_costs_no_job(tmp_path: Path) -> None:
    """Its place is taken by a file: all is as if there were one Krita."""
    (tmp_path / "taken").write_text("")
    mine = Ownership(tmp_path / "taken")
    assert mine.name == ""
    assert mine.is_free("a" * 32)
    with mine.alone("x"):
        pass


def test_two_kritas_write_one_list_of_closed_documents(tmp_path: Path) -> None:
    """What one adds, the other does not lose; what one takes out stays out."""
    (tmp_path / "pictures").mkdir()
    first, second = (Histories(FakeHost(), tmp_path / "pictures") for _ in range(2))
    first.rescue(entry(1), "one")
    second.rescue(entry(2), "two")
    first.rescue(entry(3), "three")
    second.closed.remove("job1")
    second.keep_closed()
    first.keep_closed()
    listed = History.from_text((tmp_path / "pictures" / "closed documents.json").read_text())
    assert {found.id for found in listed.entries} == {"job2", "job3"}
    assert {found.id for found in first.closed.entries} == {"job2", "job3"}
