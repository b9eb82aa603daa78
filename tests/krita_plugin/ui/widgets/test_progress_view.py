"""The bar of the picture on its way: how far it is, and how long still."""

import pytest

from tapestry.i18n.translation import choose_language
from tapestry.jobs.queue import JobQueue
from tapestry.qt.compat import QApplication, QWidget
from tapestry.ui.status.progress_view import ProgressView
from tapestry_protocol.messages import Progress, Submit
from tapestry_protocol.pixels import Bounds

IN_GERMAN = (
    "Schritt 120/150, noch ca. 40 min",
    "120/150, noch ca. 40 min",
    "noch ca. 40 min",
)
IN_ENGLISH = (
    "Step 120 of 150, about 40 min left",
    "120/150, about 40 min left",
    "about 40 min left",
)


@pytest.mark.parametrize(("language", "words"), [("de", IN_GERMAN), ("en", IN_ENGLISH)])
def test_a_narrow_bar_says_less(docker, monkeypatch, language: str, words: tuple[str, ...]) -> None:
    """Whole words, whatever the font; all of them stand in the tooltip, with the picture's name."""
    monkeypatch.setattr(JobQueue, "seconds_left", 2390.0)
    docker.canvas.add("sky", Bounds(0, 0, 48, 128))
    docker.backend.appear()
    docker.look(3)
    docker.loop.run(5)
    docker.backend.answer()
    docker.docker_model.generate()
    docker.look()
    (submit,) = (message for message in docker.backend.sent if isinstance(message, Submit))
    docker.backend.tell(Progress(submit.job_id, "denoising", 120, 150))
    docker.loop.run()
    choose_language([language])
    view = ProgressView(docker.docker_model)
    bar, said = view.findChild(QWidget, "tapestry_progress"), []
    view.show()
    for text in words:
        for _ in range(2):  # the bar gets what the button leaves
            asked = bar.fontMetrics().horizontalAdvance(text) + 10
            view.resize(view.width() + asked - bar.width(), view.height())
            QApplication.processEvents()
        said.append(bar.format())
    choose_language(["en"])
    view.deleteLater()

    assert tuple(said) == words
    assert bar.toolTip() == f"{words[0]}\n{docker.docker_model.job.title}"
