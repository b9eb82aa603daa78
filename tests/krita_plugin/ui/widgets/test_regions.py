"""The list of regions: it follows the layers, and the layers follow it."""

import json

import pytest

from tapestry.document.region_overlay import OVERLAY_NAME
from tapestry.document.region_settings import RegionSettings
from tapestry.qt.compat import QComboBox, QEvent, QMouseEvent, QPointF, Qt
from tapestry_protocol.messages import PixelsRef, Result
from tapestry_protocol.pixels import Bounds, Pixels


@pytest.fixture
def regions(docker):
    """Two regions, sky above grass."""
    docker.grass = docker.canvas.add("grass", Bounds(48, 0, 96, 128))
    docker.sky = docker.canvas.add("sky", Bounds(0, 0, 48, 128))
    docker.look(3)
    return docker


def prompts(docker) -> list[str]:
    """What the rows show, from top to bottom."""
    return [edit.text() for edit in docker.all("tapestry_region_prompt")]


def test_rows_follow_the_layers(regions) -> None:
    """In their order, with their masks; a row stays the same widget while its layer is there."""
    assert prompts(regions) == ["sky", "grass"]
    assert all(not t.pixmap().isNull() for t in regions.all("tapestry_region_thumbnail"))
    row = regions.all("tapestry_region")[0]
    regions.canvas.change(regions.sky, name="night sky")
    regions.canvas.fakes.reverse()
    regions.look()
    assert prompts(regions) == ["grass", "night sky"]
    assert regions.all("tapestry_region")[1] is row
    regions.canvas.remove(regions.sky)
    regions.look()
    assert prompts(regions) == ["grass"]


def test_what_is_typed_is_the_layers_name(regions) -> None:
    """At every key; a name that changes meanwhile does not move the cursor."""
    edit = regions.all("tapestry_region_prompt")[0]
    edit.write("stormy sky")
    regions.look()
    assert regions.canvas.names[0] == "stormy sky"
    assert prompts(regions)[0] == "stormy sky"


def test_settings_are_behind_the_arrow(regions) -> None:
    """Each of them ends in the document."""
    regions.all("tapestry_region_more")[0].click()
    regions.look()
    fit = regions.one("tapestry_region_fit")
    fit.setCurrentIndex(1)
    fit.activated.emit(1)
    regions.one("tapestry_region_weight").setValue(2.5)
    regions.one("tapestry_region_strength_slider").setValue(8)
    regions.one("tapestry_region_avoid").write("clouds")
    regions.one("tapestry_region_seed_lock").click()
    regions.look()
    regions.one("tapestry_region_seed").setValue(7)
    assert not regions.one("tapestry_region_guidance").isEnabled()
    regions.one("tapestry_region_guidance_lock").click()
    regions.look()
    regions.one("tapestry_region_guidance").setValue(9.5)
    regions.all("tapestry_region_on")[0].click()
    regions.look()
    assert regions.docker_model.regions.settings(regions.sky) == RegionSettings(
        on=False,
        fit="loose",
        weight=2.5,
        own_seed=True,
        seed=7,
        negative_prompt="clouds",
        strength=0.4,
        own_guidance=True,
        guidance_scale=9.5,
    )
    assert not regions.all("tapestry_region_prompt")[0].isEnabled()


def test_the_die_locks_another_seed(regions) -> None:
    """A seed of its own is shown, and can be given up again."""
    regions.all("tapestry_region_more")[0].click()
    regions.look()
    assert not regions.one("tapestry_region_seed").isEnabled()
    regions.one("tapestry_region_dice").click()
    regions.look()
    assert regions.docker_model.regions.settings(regions.sky).own_seed
    assert regions.one("tapestry_region_seed").isEnabled()
    regions.one("tapestry_region_seed_lock").click()
    regions.look()
    assert not regions.docker_model.regions.settings(regions.sky).own_seed


def test_rows_and_layers_choose_each_other(regions) -> None:
    """A click on a row, and a click in Krita's own list."""
    rows = regions.all("tapestry_region")
    rows[1].mousePressEvent(_press())
    assert regions.canvas.active == regions.grass
    regions.canvas.activate(regions.sky)
    regions.look()
    assert [row.property("active") for row in rows] == [True, False]


def test_a_new_region_waits_for_its_prompt(regions) -> None:
    """Its row is there, and the cursor in it."""
    regions.panel.activateWindow()
    regions.one("tapestry_new_region").click()
    regions.look()
    assert prompts(regions)[0] == ""
    edit = regions.all("tapestry_region_prompt")[0]
    assert edit.hasFocus()
    assert regions.all("tapestry_region_badge")[0].text() == "empty"
    edit.write("moon")
    regions.look()
    assert regions.canvas.names[0] == "moon"


def test_regions_are_shown_in_colours_and_hidden(regions) -> None:
    """The button is down while they are."""
    regions.one("tapestry_show_regions").click()
    regions.look()
    assert regions.canvas.names[0] == OVERLAY_NAME
    assert regions.one("tapestry_show_regions").isChecked()
    assert prompts(regions) == ["sky", "grass"]
    regions.one("tapestry_show_regions").click()
    regions.look()
    assert OVERLAY_NAME not in regions.canvas.names
    assert not regions.one("tapestry_show_regions").isChecked()


def test_a_group_can_be_chosen(regions) -> None:
    """Then its layers are the regions."""
    child = regions.canvas.fakes[0].layer
    regions.canvas.add("wood", Bounds(0, 0, 5, 5), is_group=True, children=(child,))
    regions.look()
    scope: QComboBox = regions.one("tapestry_scope")
    assert [scope.itemText(place) for place in range(2)] == ["all visible layers", "wood"]
    scope.activated.emit(1)
    regions.look()
    assert scope.currentText() == "wood"
    assert prompts(regions) == ["sky"]


@pytest.mark.parametrize(
    ("bounds", "traits", "word"),
    [
        (Bounds(0, 0, 9, 9), {"visible": False}, "hidden"),
        (Bounds(0, 0, 0, 0), {}, "empty"),
        (Bounds(200, 0, 240, 40), {}, "outside"),
        (Bounds(0, 0, 2, 90), {}, "too thin"),
    ],
)
def test_badges_say_why_nothing_will_show(docker, bounds, traits, word) -> None:
    """With a sentence that says more."""
    docker.canvas.add("moon", bounds, **traits)
    docker.look(3)
    badge = docker.one("tapestry_region_badge")
    assert badge.text() == word
    assert badge.toolTip().endswith(".")


def test_very_long_names_and_emoji(docker) -> None:
    """Neither widen the docker nor are cut."""
    docker.canvas.add("\U0001f305 " * 1000, Bounds(0, 0, 9, 9))
    docker.look(3)
    assert prompts(docker) == [("\U0001f305 " * 1000).strip()]
    assert docker.one("tapestry_region").width() <= docker.panel.width()


def _press() -> QEvent:
    button, none = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    return QMouseEvent(QEvent.Type.MouseButtonPress, QPointF(1, 1), button, button, none)


def recognised(docker, *judged: dict) -> None:
    """The backend says what it has found out about each region."""
    (job,) = docker.docker_model.queue.jobs
    pixel = Pixels(1, 1, 4, bytes(4))
    report = json.dumps({"recognised": judged})
    result = Result(job.id, PixelsRef.of(pixel), Bounds(0, 0, 1, 1), 0, report)
    docker.backend.tell(result, pixel)
    docker.look()


def test_a_region_that_does_not_show_its_name_is_marked(regions) -> None:
    """When the artist asks for it, until its name or the picture is another one."""
    regions.backend.appear()
    regions.look(3)
    regions.loop.run(5)
    regions.backend.answer()
    assert regions.all("tapestry_region_badge") == []
    regions.one("tapestry_judge_regions").click()
    regions.loop.run()
    recognised(
        regions,
        {"prompt": "sky", "names": ["sea", "sky"], "shows": False},
        {"prompt": "grass", "names": ["grass"], "shows": True},
    )
    (badge,) = regions.all("tapestry_region_badge")
    assert badge.text() == "not shown"
    assert badge.toolTip().endswith("It looks more like: sea.")
    assert str(regions.docker_model.notice.message) == "Not shown where they should be: sky."
    assert regions.docker_model.queue.jobs == []
    assert regions.canvas.names[0] == "sky", "no picture came"
    regions.canvas.change(regions.sky, name="sea")
    regions.look()
    assert regions.all("tapestry_region_badge") == []
