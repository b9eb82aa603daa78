"""The row with a LoRA: for the picture and for a region, where the backend has any."""

from tapestry_protocol import PROTOCOL_VERSION, VERSION
from tapestry_protocol.adapters import AdapterInfo
from tapestry_protocol.messages import Welcome
from tapestry_protocol.pixels import Bounds

KNOWN = (
    AdapterInfo("ink", "lora"),
    AdapterInfo("edges", "controlnet"),
    AdapterInfo("oil", "lora"),
)


def offer(docker, adapters: tuple[AdapterInfo, ...]) -> None:
    """A backend's welcome."""
    docker.studio.hear(Welcome(PROTOCOL_VERSION, VERSION, (), adapters), None)
    docker.look()


def choose(field, name: str) -> None:
    """As the artist does."""
    field.setCurrentIndex(field.findText(name))
    field.activated.emit(field.currentIndex())


def test_there_is_no_row_without_loras(docker) -> None:
    """Nothing to choose, nothing to see."""
    assert docker.all("tapestry_lora") == []
    offer(docker, KNOWN[1:2])
    assert docker.all("tapestry_lora") == []


def test_a_lora_for_the_picture(docker) -> None:
    """By name, with its weight; one that is gone stays to be seen."""
    offer(docker, KNOWN)
    loras, weight = docker.one("tapestry_lora"), docker.one("tapestry_lora_weight")
    assert [loras.itemText(i) for i in range(loras.count())] == ["none", "ink", "oil"]
    assert not weight.isEnabled()

    choose(loras, "oil")
    docker.look()
    weight.setValue(0.5)
    assert (docker.studio.settings.lora, docker.studio.settings.lora_weight) == ("oil", 0.5)
    assert weight.isEnabled()

    offer(docker, KNOWN[:1])
    assert loras.currentText() == "oil"
    choose(loras, "none")
    assert docker.studio.settings.lora == ""


def test_a_lora_for_one_region(docker) -> None:
    """Kept with the document."""
    docker.canvas.add("sky", Bounds(0, 0, 48, 128))
    offer(docker, KNOWN)
    docker.look(3)
    docker.one("tapestry_region_more").click()
    docker.look()
    choose(docker.one("tapestry_region_lora"), "ink")
    docker.look()
    docker.one("tapestry_region_lora_weight").setValue(-0.5)
    docker.look()
    (row,) = docker.studio.scene_watch.scene.rows

    assert (row.settings.lora, row.settings.lora_weight) == ("ink", -0.5)
    assert docker.studio.settings.lora == ""
