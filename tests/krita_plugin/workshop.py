"""A docker model with a document and a backend that does what the test says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tapestry.backend.choice import BackendChoice, ChosenBackend
from tapestry.connection.link import Link
from tapestry.docker_model import DockerModel
from tapestry.jobs.job import Job
from tapestry_protocol.layered import Layered, LayerPicture
from tapestry_protocol.messages import Cancel, Cancelled, PixelsRef, Result, Submit
from tapestry_protocol.pixels import Bounds, Pixels
from tests.krita_plugin.fake_backend import FakeBackend
from tests.krita_plugin.fake_canvas import FakeCanvas, FakeHost
from tests.krita_plugin.fake_loop import FakeLoop

HEIGHT, WIDTH = 20, 30
RED = bytes((200, 0, 0, 255))
SKY = Pixels(10, 12, 4, bytes((0, 0, 200, 255)) * 120)
SKY_MASK = Pixels(10, 12, 1, (b"\xff" * 8 + bytes(4)) * 10)
"""The region's own picture, where layers are asked for, and what of it shows."""


class ChosenFake(ChosenBackend):
    """A choice of which every backend is the same fake."""

    def __init__(self, fake: FakeBackend, log_file: Path) -> None:
        self.fake, self.choice, self._log_file = fake, BackendChoice(), log_file
        self._server_file = ""
        self.find, self.start = fake.find, fake.start
        self.has_ended, self.why_it_ended = fake.has_ended, fake.why_it_ended
        self.stops = 0

    @property
    def log_file(self) -> Path:
        return self._log_file

    def may_run(self) -> bool:
        return self.fake.find() is not None

    def stop(self) -> None:
        self.stops += 1


class Workshop:
    """A docker model, a document with one region, and a backend that does what the test says."""

    def __init__(self) -> None:
        self.canvas = FakeCanvas(HEIGHT, WIDTH)
        self.canvas.add("sunset sky", Bounds(0, 0, 10, WIDTH))
        self.host, self.loop, self.backend = FakeHost(self.canvas), FakeLoop(), FakeBackend()
        self.server = ChosenFake(self.backend, self.host.data_folder / "backend.log")
        self.link = Link(self.server, self.backend.connect, self.loop)
        self.docker_model = DockerModel(self.host, self.link, self.loop, self.server)

    def connect(self) -> None:
        self.backend.appear()
        self.link.ensure()
        self.backend.answer()

    def submit(self) -> Submit:
        """Press Generate; what the backend is sent."""
        self.connect()
        self.docker_model.generate()
        self.loop.run()
        submit = self.backend.sent[-1]
        assert isinstance(submit, Submit)
        return submit

    def finish(self, submit: Submit, report: str = "{}") -> None:
        """The backend sends the picture."""
        margins = submit.request.margins
        bounds = Bounds(-margins.top, -margins.left, HEIGHT + margins.bottom, WIDTH + margins.right)
        if submit.request.task == "upscale":
            sides = (submit.request.height, submit.request.width)
            bounds = Bounds(0, 0, *(round(side * submit.request.factor) for side in sides))
        red = Pixels(bounds.height, bounds.width, 4, RED * (bounds.height * bounds.width))
        result = Result(submit.job_id, PixelsRef.of(red), bounds, submit.request.seed, report)
        beside = {}
        if submit.request.layered:
            beside = {PixelsRef.of(part): part for part in (red, SKY, SKY_MASK)}
            base, own, mask = beside
            layer = LayerPicture(0, Bounds(0, 0, 10, 12), own, mask)
            result = replace(result, layered=Layered(base, (layer,)))
        self.backend.tell(result, red, beside)
        self.loop.run()

    @property
    def said(self) -> str:
        notice = self.docker_model.notice
        return f"{notice.message} {notice.advice}".strip() if notice else ""

    def finish_job(self, job: Job) -> None:
        """The backend sends the picture of a job that it was sent."""
        self.finish(Submit(job.id, job.order.request))

    def answer_cancels(self) -> None:
        """The backend stops what it was asked to stop."""
        for message in list(self.backend.sent):
            if isinstance(message, Cancel):
                self.backend.tell(Cancelled(message.job_id))
