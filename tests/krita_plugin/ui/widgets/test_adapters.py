"""The small rows for what is laid on the picture and on its regions."""

from __future__ import annotations

import pytest

from tapestry.document.adapter_settings import PICTURE, AdapterSettings
from tapestry.qt.compat import QPoint, Qt
from tapestry.ui.adapters.adapter_rows import AdapterRows
from tapestry_protocol import PROTOCOL_VERSION, VERSION
from tapestry_protocol.adapters import AdapterInfo
from tapestry_protocol.messages import ModelInfo, Welcome
from tapestry_protocol.pixels import Bounds

INK = AdapterInfo("ink", "lora", "sd1")
SCRIBBLE = AdapterInfo("sample-scribble-with-a-very-long-name-that-no-docker-shows", "t2i_adapter")
UNION = AdapterInfo("union", "controlnet", "sd1", ("canny", "depth"))
LOOK = AdapterInfo("look", "ip_adapter", "sd1")


@pytest.fixture
def rows(docker):
    """A docker with a region, a sketch, and a backend that has three adapters."""
    docker.sky = docker.canvas.add("sky", Bounds(0, 0, 48, 128))
    docker.sketch = docker.canvas.add("sketch", Bounds(10, 10, 40, 40))
    welcome(docker, INK, SCRIBBLE, LOOK)
    return docker


def welcome(docker, *offered: AdapterInfo) -> None:
    """The backend says what it has."""
    models = (ModelInfo("sample", "sample", 128, "sd1"), ModelInfo("flux", "flux", 1024, "flux"))
    docker.docker_model.hear(Welcome(PROTOCOL_VERSION, VERSION, models, offered), None)
    docker.look(3)


def add(docker, info: AdapterInfo, place: int = -1) -> None:
    """Choose one from the menu of the picture (the last), or of a region."""
    button = docker.all("tapestry_add_adapter")[place]
    actions = {action.objectName(): action for action in button.menu().actions()}
    actions[f"tapestry_add_{info.id}"].trigger()
    docker.look(3)


def choose(docker, name: str, value: str) -> None:
    """Choose this from a list."""
    combo = docker.one(name)
    index = combo.findText(value)
    assert index >= 0, [combo.itemText(n) for n in range(combo.count())]
    combo.setCurrentIndex(index)
    combo.activated.emit(index)
    docker.look(3)


def test_where_nothing_is_offered_nothing_is_shown(docker) -> None:
    """The docker stays as small as it was; what lies on the document is shown all the same."""
    docker.canvas.add("sky", Bounds(0, 0, 48, 128))
    docker.look()
    assert docker.all("tapestry_adapters") == []
    welcome(docker)
    docker.all("tapestry_region_more")[0].click()
    assert docker.all("tapestry_adapters") == []
    welcome(docker, AdapterInfo("gloom", "embedding"))
    assert docker.all("tapestry_adapters") == []
    docker.docker_model.adapters.add(PICTURE, INK)
    docker.look()
    assert not docker.one("tapestry_add_adapter").isEnabled()
    assert docker.one("tapestry_adapter_unknown").text() == "does not fit"


def test_a_lora_is_a_name_and_a_weight(rows) -> None:
    """What is typed ends in the document; the button takes the row away."""
    add(rows, INK)
    weight = rows.one("tapestry_adapter_weight")
    assert (weight.minimum(), weight.maximum(), weight.value()) == (-4, 4, 1)
    assert rows.all("tapestry_adapter_layer") == []
    row = rows.one("tapestry_adapter")
    weight.setValue(0.35)
    rows.look()
    assert rows.docker_model.adapters.laid(PICTURE) == (AdapterSettings("ink", "lora", 0.35),)
    assert rows.one("tapestry_adapter") is row
    rows.one("tapestry_adapter_remove").click()
    rows.look()
    assert rows.all("tapestry_adapter") == []


def test_a_control_has_a_layer_and_what_is_made_of_it(rows) -> None:
    """And, behind the arrow, when it counts."""
    add(rows, SCRIBBLE)
    layers = rows.one("tapestry_adapter_layer")
    words = [layers.itemText(n) for n in range(layers.count())]
    maps = ["the map of the regions", "the map in ADE20K's colours"]
    assert words == ["choose a layer", *maps, "sketch", "sky", "Background"]
    assert layers.currentText() == "choose a layer"
    choose(rows, "tapestry_adapter_layer", "sketch")
    assert rows.one("tapestry_adapter_show").currentText() == "lines"
    choose(rows, "tapestry_adapter_show", "soft edges")
    assert rows.all("tapestry_adapter_end") == []
    rows.one("tapestry_adapter_more").click()
    rows.one("tapestry_adapter_start").setValue(10)
    rows.one("tapestry_adapter_end").setValue(60)
    rows.look()
    assert rows.docker_model.adapters.laid(PICTURE) == (
        AdapterSettings(
            SCRIBBLE.id, "t2i_adapter", 1.0, "soft_edges", rows.sketch, "sketch", 0.1, 0.6
        ),
    )
    assert [edit.text() for edit in rows.all("tapestry_region_prompt")] == ["sky"]
    assert rows.one("tapestry_adapter_weight").minimum() == 0


@pytest.mark.parametrize(
    ("name", "show"),
    [("the map of the regions", "regions"), ("the map in ADE20K's colours", "ade20k")],
)
def test_the_map_of_the_regions_is_one_of_the_layers(rows, name: str, show: str) -> None:
    """Of which nothing else can be made; a layer chosen after it is shown as it is."""
    add(rows, SCRIBBLE)
    choose(rows, "tapestry_adapter_layer", name)
    assert rows.all("tapestry_adapter_show") == []
    assert rows.one("tapestry_adapter_layer").currentText() == name
    assert rows.docker_model.adapters.laid(PICTURE)[0].show == show
    choose(rows, "tapestry_adapter_layer", "sketch")
    assert rows.one("tapestry_adapter_show").currentText() == "as it is"


def test_a_controlnet_of_several_types_is_told_one_of_them(rows) -> None:
    """Those that it knows; one of a single type has no such list."""
    welcome(rows, UNION, SCRIBBLE)
    add(rows, UNION)
    types = rows.one("tapestry_adapter_type")
    words = [types.itemText(n) for n in range(types.count())]
    assert words == ["type: what is made of the layer", "type: edges", "type: depth"]
    choose(rows, "tapestry_adapter_type", "type: depth")
    assert rows.docker_model.adapters.laid(PICTURE)[0].control_type == "depth"
    assert rows.one("tapestry_adapter_type").currentText() == "type: depth"
    rows.one("tapestry_adapter_remove").click()
    rows.look()
    add(rows, SCRIBBLE)
    assert rows.all("tapestry_adapter_type") == []


def test_a_reference_is_a_layer_as_it_is(rows) -> None:
    """No map, and nothing made of it."""
    add(rows, LOOK)
    layers = rows.one("tapestry_adapter_layer")
    assert layers.findText("the map of the regions") < 0
    assert rows.all("tapestry_adapter_show") == []


def test_a_layer_that_is_gone_is_shown_as_gone(rows) -> None:
    """Not as another one."""
    add(rows, SCRIBBLE)
    choose(rows, "tapestry_adapter_layer", "sketch")
    rows.canvas.remove(rows.sketch)
    rows.look(3)
    assert rows.one("tapestry_adapter_layer").currentText() == "sketch (gone)"


def test_a_region_has_rows_behind_its_arrow(rows) -> None:
    """For it alone; its own layer is not among those that can be shown."""
    rows.all("tapestry_region_more")[1].click()
    rows.look()
    add(rows, INK, place=0)
    add(rows, SCRIBBLE, place=0)
    layers = rows.one("tapestry_adapter_layer")
    assert layers.findText("sky") < 0
    choose(rows, "tapestry_adapter_layer", "sketch")
    assert rows.docker_model.adapters.laid(PICTURE) == ()
    assert [one.adapter for one in rows.docker_model.adapters.laid(rows.sky)] == [
        "ink",
        SCRIBBLE.id,
    ]
    rows.all("tapestry_adapter_remove")[0].click()
    rows.look()
    assert len(rows.all("tapestry_adapter")) == 1


def test_rows_are_no_window_before_they_have_a_place(rows) -> None:
    """Krita's screen does not flicker when a region is opened."""
    fresh = AdapterRows(rows.docker_model, rows.sky)
    assert not fresh.isVisible()
    fresh.deleteLater()


def test_another_model_is_offered_what_fits_it(rows) -> None:
    """What lies there and does not fit says so."""
    add(rows, INK)
    assert rows.all("tapestry_adapter_unknown") == []
    rows.docker_model.change_and_tell(model="flux")
    rows.look()
    assert rows.one("tapestry_adapter_unknown").toolTip().startswith("The backend does not have")
    assert not rows.one("tapestry_add_adapter").isEnabled()


def test_a_row_fits_a_narrow_docker_and_the_keyboard(rows) -> None:
    """Within 300 pixels, whatever its name; every field is reached by Tab and says what it is."""
    rows.all("tapestry_region_more")[1].click()
    rows.look()
    add(rows, SCRIBBLE, place=0)
    add(rows, SCRIBBLE)
    for arrow in rows.all("tapestry_adapter_more"):
        arrow.click()
    rows.look()
    names = ("weight", "more", "remove", "layer", "show", "start", "end")
    fields = [field for name in names for field in rows.all(f"tapestry_adapter_{name}")]
    fields += rows.all("tapestry_add_adapter")
    assert len(fields) == 2 * len(names) + 2
    for field in fields:
        right = field.mapTo(rows.panel, QPoint(field.width(), 0)).x()
        assert right <= rows.panel.width(), field.objectName()
        assert field.focusPolicy() & Qt.FocusPolicy.TabFocus, field.objectName()
        assert field.toolTip(), field.objectName()
        assert field.accessibleName(), field.objectName()
        assert field.width() >= field.minimumSizeHint().width() or field.width() >= 56
