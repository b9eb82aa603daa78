"""The list of pictures behind the first one."""

from tapestry_protocol.messages import Progress, Submit
from tapestry_protocol.pixels import Bounds


def test_a_picture_that_is_painted_beside_the_first_shows_its_steps(docker) -> None:
    """A backend with two cards paints two at once; the buttons beside them stay what they are."""
    docker.canvas.add("sky", Bounds(0, 0, 48, 128))
    docker.backend.appear()
    docker.look(3)
    docker.loop.run(5)
    docker.backend.answer()
    for _ in range(3):
        docker.docker_model.generate()
    docker.look()
    ids = [message.job_id for message in docker.backend.sent if isinstance(message, Submit)]
    buttons = docker.all("tapestry_queued_cancel")
    for job_id, step in ((ids[0], 5), (ids[1], 3)):
        docker.backend.tell(Progress(job_id, "denoising", step, 20))
    docker.look()
    beside, waiting = (label.toolTip() for label in docker.all("tapestry_queued"))
    assert beside.startswith("Step 3 of 20: ")
    assert waiting == docker.docker_model.queue.jobs[2].title
    assert docker.all("tapestry_queued_cancel") == buttons
    docker.backend.tell(Progress(ids[1], "queued", 0, 0))
    docker.look()
    assert docker.all("tapestry_queued")[0].toolTip() == docker.docker_model.queue.jobs[1].title
