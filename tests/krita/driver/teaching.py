"""A scenario with a real backend: a word is taught from layers, and paints."""

from .jobs import A_PICTURE_S
from .qt import QByteArray

SIDE = 128
_WORD = "my stripes"


def teach_a_word(stage):
    """Three layers teach it; cancelled it goes on, and what it becomes can be painted with."""
    document = stage.document(3 * SIDE, SIDE)
    for number in range(3):
        layer = stage.layer(document, f"example {number + 1}", (number * SIDE, 0, SIDE, SIDE))
        layer.setPixelData(_stripes(8 * number), number * SIDE, 0, SIDE, SIDE)
    document.refreshProjection()
    yield stage.until(lambda: len(stage.regions()) == 3, "the regions", 30)
    stage.press("tapestry_mode_teach")
    yield stage.turns(0.5)
    yield from stage.picture("teach")
    stage.press("tapestry_teach")
    yield stage.turns(0.5)
    stage.facts["without a word"] = stage.notice()
    _write(stage, "word", _WORD)
    stage.widget("tapestry_teach_like").write("wood planks")
    method = stage.widget("tapestry_teach_method")
    method.activated.emit(method.findData("attention"))
    stage.widget("tapestry_teach_minutes").setValue(0.5)
    stage.press("tapestry_teach")
    yield stage.until(lambda: _steps(stage) >= 4, "some steps", A_PICTURE_S)
    yield from stage.picture("a word is taught")
    stage.press("tapestry_cancel")
    yield stage.until(lambda: not _is_busy(stage), "the job to end", A_PICTURE_S)
    stage.facts["cancelled"] = stage.names(document)
    stage.press("tapestry_teach_keep")
    yield stage.until(lambda: _is_busy(stage), "the file to be made", A_PICTURE_S)
    yield stage.until(lambda: not _is_busy(stage), "the file", A_PICTURE_S)
    yield stage.turns(0.5)
    stage.facts["told"] = stage.notice()
    stage.facts["names"] = stage.names(document)
    yield from stage.picture("a word is taught and kept")
    _write(stage, "word", "")
    stage.press("tapestry_mode_generate")
    yield from _paint(stage)


def _paint(stage):
    document = stage.document(SIDE, SIDE)
    stage.layer(document, _WORD, (0, 0, SIDE, SIDE), (150, 150, 150, 255))
    yield stage.until(lambda: stage.regions() == [_WORD], "the region", 30)
    stage.widget("tapestry_steps").setValue(8)
    stage.press("tapestry_generate")

    def painted():
        assert not stage.notice()[0], stage.state()
        return len(stage.names(document)) == 3 and not _is_busy(stage)

    yield stage.until(painted, "a picture of the word", A_PICTURE_S)
    yield from stage.picture("the word paints")


def _stripes(shift):
    """BGRA of slanted stripes, red and cream."""
    red, cream = (40, 40, 190, 255), (190, 230, 250, 255)
    rows = (
        bytes(red if (x + y + shift) % 32 < 16 else cream) for y in range(SIDE) for x in range(SIDE)
    )
    return QByteArray(b"".join(rows))


def _write(stage, name, text):
    field = stage.widget(f"tapestry_teach_{name}")
    field.setText(text)
    field.textEdited.emit(text)


def _is_busy(stage):
    return stage.widget("tapestry_progress").isVisible()


def _steps(stage):
    """Steps of learning that the progress tells of; -1 where it tells of none."""
    progress = stage.widget("tapestry_progress")
    return progress.value() if progress.isVisible() else -1
