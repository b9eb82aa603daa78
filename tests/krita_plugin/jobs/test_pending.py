"""Jobs and pictures that outlive Krita."""

import json

import pytest

from tapestry.jobs.pending import KEPT_S, PendingJobs
from tapestry.results.history import HISTORY_NOTE
from tapestry_protocol.errors import ErrorCode
from tapestry_protocol.messages import (
    Acknowledge,
    Cancel,
    Cancelled,
    Failed,
    Need,
    Progress,
    Resume,
    Submit,
)
from tests.krita_plugin.fake_canvas import FakeCanvas
from tests.krita_plugin.workshop import HEIGHT, WIDTH, Workshop

NAME = "Tapestry: sunset sky (seed 42)"


@pytest.fixture
def workshop() -> Workshop:
    """A docker model that was not used yet."""
    return Workshop()


def next_krita(*documents: FakeCanvas) -> Workshop:
    """Krita is started again after it was killed: nothing was closed."""
    workshop = Workshop()
    workshop.host.canvases[:] = documents
    return workshop


def left_behind(workshop: Workshop) -> list[str]:
    """The names of all files that an earlier Krita would leave."""
    folder = workshop.host.data_folder
    return [path.name for path in sorted(folder.glob("outstanding/*"))] + [
        path.name for path in sorted(folder.glob("pictures/unsaved/*"))
    ]


@pytest.mark.promise("R4")
def test_a_job_outlives_krita(workshop: Workshop) -> None:
    """The next Krita shows it in the queue, asks for it, and keeps its picture."""
    submit = workshop.submit()
    again = next_krita()
    assert [job.title for job in again.docker_model.queue.jobs] == [NAME.removeprefix("Tapestry: ")]
    again.connect()
    assert again.backend.sent == [Resume((submit.job_id,), (0,))]
    again.backend.tell(Progress(submit.job_id, "denoising", 3, 20, 7))
    assert again.docker_model.job.sentence == "Step 3 of 20"
    again.finish(submit)
    (entry,) = again.docker_model.results.entries()
    assert (entry.name, entry.origin_name) == (NAME, "test.kra")
    assert again.backend.sent[-1] == Acknowledge(submit.job_id)
    assert left_behind(again) == []
    again.docker_model.apply(entry.id)
    again.loop.run()
    assert again.host.active_canvas().names == [NAME, "Background"]


def test_a_job_that_outlives_krita_still_wants_a_document_of_its_own(workshop: Workshop) -> None:
    """And gets it when it is applied."""
    workshop.docker_model.change(upscale_into="new")
    workshop.connect()
    workshop.docker_model.upscale()
    workshop.loop.run()
    submit = workshop.backend.sent[-1]
    again = next_krita()
    again.connect()
    again.finish(submit)
    (entry,) = again.docker_model.results.entries()
    assert entry.new_document


@pytest.mark.promise("R4")
def test_a_jobs_document_takes_the_picture_when_it_is_open_again(workshop: Workshop) -> None:
    """As it takes those that were finished after it was closed."""
    first = workshop.submit()
    workshop.finish(first)
    second = workshop.submit()
    document = FakeCanvas(HEIGHT, WIDTH)
    document.notes[HISTORY_NOTE] = workshop.canvas.notes[HISTORY_NOTE]
    again = next_krita(document)
    again.connect()
    again.finish(second)
    histories = again.docker_model.results.histories
    assert {entry.id for entry in histories.of(document).entries} == {first.job_id, second.job_id}
    assert histories.closed.entries == []


@pytest.mark.parametrize("end", ["finished", "cancelled", "failed"])
def test_a_job_that_has_ended_is_forgotten(workshop: Workshop, end: str) -> None:
    """However it ended."""
    submit = workshop.submit()
    assert left_behind(workshop) == [f"{submit.job_id}.json"]
    if end == "finished":
        workshop.finish(submit)
        workshop.docker_model.results.saved(workshop.canvas)
    elif end == "cancelled":
        workshop.docker_model.cancel()
        workshop.backend.tell(Cancelled(submit.job_id))
    else:
        workshop.backend.tell(Failed(submit.job_id, ErrorCode.INTERNAL, "No.", "Later."))
    assert left_behind(workshop) == []
    assert next_krita().docker_model.queue.jobs == []


def test_a_picture_is_acknowledged_when_it_is_kept(workshop: Workshop) -> None:
    """Until then the server has it, should Krita end."""
    submit = workshop.submit()
    run, workshop.loop.run = workshop.loop.run, lambda: None
    workshop.finish(submit)
    assert workshop.backend.sent == [submit]
    run()
    assert workshop.backend.sent == [submit, Acknowledge(submit.job_id)]


def test_what_is_kept_while_the_server_is_away_is_acknowledged_later(workshop: Workshop) -> None:
    """And not asked for again."""
    submit = workshop.submit()
    run, workshop.loop.run = workshop.loop.run, lambda: None
    workshop.finish(submit)
    workshop.backend.lose_connection()
    run(1)
    workshop.backend.answer()
    assert workshop.backend.sent == [Acknowledge(submit.job_id)]


def test_a_server_that_has_lost_the_job_paints_it_anew(workshop: Workshop) -> None:
    """Unless it needs layers that are gone: then that is a sentence."""
    submit = workshop.submit()
    again = next_krita()
    again.connect()
    again.backend.tell(Failed(submit.job_id, ErrorCode.UNKNOWN_JOB, "Which job?", "None."))
    assert again.backend.sent[-1] == submit
    again.backend.tell(Need(submit.job_id, (submit.request.regions[0].mask.sha256,)))
    assert again.backend.sent[-1] == Cancel(submit.job_id)
    assert "cannot be painted any more" in again.said
    assert left_behind(again) == []
    assert again.docker_model.queue.jobs == []


def test_jobs_of_an_earlier_krita_can_be_cancelled(workshop: Workshop) -> None:
    """Like any other."""
    submit = workshop.submit()
    again = next_krita()
    again.connect()
    again.docker_model.cancel()
    assert again.backend.sent[-1] == Cancel(submit.job_id)
    again.backend.tell(Cancelled(submit.job_id))
    assert again.docker_model.queue.jobs == []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.json", ""),
        ("a.json", "[1, 2]"),
        ("a.json", "[" * 100_000),
        ("a.json", '{"asked": {"task": "generate"}, "document": null}'),
        ("b c.json", "{}"),
    ],
)
def test_damaged_files_are_taken_away(tmp_path, name: str, text: str) -> None:
    """They cost nothing else."""
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert PendingJobs(tmp_path).read() == []
    assert list(tmp_path.iterdir()) == []


def test_jobs_that_the_server_has_forgotten_are_forgotten(workshop: Workshop) -> None:
    """After a day; before that they come in the order in which they were sent."""
    first, second = workshop.submit(), workshop.submit()
    folder = workshop.host.data_folder / "outstanding"
    sent_at = [
        json.loads((folder / f"{submit.job_id}.json").read_text())["sent_at"]
        for submit in (first, second)
    ]
    found = PendingJobs(folder, lambda: sent_at[0] + KEPT_S - 1).read()
    assert [job.id for job in found] == [first.job_id, second.job_id]
    assert PendingJobs(folder, lambda: sent_at[1] + KEPT_S).read() == []
    assert list(folder.iterdir()) == []


def test_a_full_disk_costs_this_memory_alone(workshop: Workshop, monkeypatch) -> None:
    """The picture is painted and inserted."""

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tapestry.jobs.pending.write_atomically", full)
    monkeypatch.setattr("tapestry.results.document_histories.write_atomically", full)
    workshop.finish(workshop.submit())
    assert workshop.canvas.names[0] == NAME
    assert len(workshop.docker_model.results.entries()) == 1


# --- pictures whose document is not saved ---------------------------------------------------------


@pytest.mark.promise("R4")
def test_a_picture_outlives_a_krita_that_is_killed(workshop: Workshop) -> None:
    """Although no file of a document knows it."""
    submit: Submit = workshop.submit()
    workshop.finish(submit)
    again = next_krita()
    (entry,) = again.docker_model.results.entries()
    assert (entry.id, entry.origin_name) == (submit.job_id, "test.kra")
    assert left_behind(again) == []
    (entry,) = next_krita().docker_model.results.entries()  # it is in the list of closed ones now
    assert entry.id == submit.job_id


@pytest.mark.parametrize("end", ["saved", "Krita closed", "discarded"])
def test_what_the_artist_has_decided_about_does_not_come_back(workshop: Workshop, end: str) -> None:
    """Saved in its document, thrown away with it, or thrown away alone."""
    submit = workshop.submit()
    workshop.finish(submit)
    if end == "saved":
        workshop.host.after_saving(workshop.canvas)
    elif end == "Krita closed":
        workshop.docker_model.close()
    else:
        workshop.docker_model.discard(submit.job_id)
    assert left_behind(workshop) == []
    assert next_krita().docker_model.results.entries() == []
