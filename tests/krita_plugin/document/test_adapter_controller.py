"""What the artist lays on the picture and on its regions, and what the backend is asked then."""

from collections.abc import Iterable

import pytest

from tapestry.connection.link import Link
from tapestry.docker_model import Studio
from tapestry.document.adapter_settings import ADAPTERS_NOTE, PICTURE, AdapterBook, Laid
from tapestry.jobs.pending import Outstanding
from tapestry.settings.presets import Presets
from tapestry_protocol import PROTOCOL_VERSION, VERSION
from tapestry_protocol.adapters import AdapterInfo, Control, Lora
from tapestry_protocol.limits import MAX_CONTROLS, MAX_LORAS
from tapestry_protocol.messages import ModelInfo, Request, Submit, Welcome
from tapestry_protocol.pixels import Bounds
from tests.krita_plugin.workshop import HEIGHT, WIDTH, Workshop

INK = AdapterInfo("ink", "lora", "sd1")
SCRIBBLE = AdapterInfo("scribble", "t2i_adapter", "sd1")
LOOK = AdapterInfo("look", "ip_adapter")
XL = AdapterInfo("xl", "lora", "sdxl")
OFFERED = (INK, SCRIBBLE, LOOK, XL)
NOTHING = Bounds(0, 0, 0, 0)
BLACK = bytes((0, 0, 0, 255))


class Desk(Workshop):
    """A workshop whose backend offers adapters, and a document with a sketch in it."""

    def __init__(self) -> None:
        super().__init__()
        self.sky = self.canvas.layers()[0].id
        self.sketch = self.canvas.add("sketch", Bounds(4, 5, 8, 9), BLACK)
        self.connect()
        models = (ModelInfo("sample", "sample", 128, "sd1"), ModelInfo("big", "big", 1024, "sdxl"))
        self.backend.tell(Welcome(PROTOCOL_VERSION, VERSION, models, OFFERED))
        self.look()
        self.adapters = self.studio.adapters

    def look(self) -> None:
        for _ in range(2):
            self.studio.look()
            self.loop.run()

    def lay(self, layer_id: str, info: AdapterInfo, shown: str = "", **values: object) -> None:
        """Add one, choose its layer, and set the rest."""
        place = len(AdapterBook.from_text(self.canvas.note(ADAPTERS_NOTE)).of(layer_id))
        self.adapters.add(layer_id, info)
        if shown:
            self.adapters.choose_layer(layer_id, place, shown)
        if values:
            self.adapters.set(layer_id, place, **values)
        self.look()

    def ask(self, mode: str = "generate") -> Request | None:
        """Press the button; what the backend is sent, if anything."""
        self.backend.sent.clear()
        getattr(self.studio, mode)()
        self.loop.run()
        submits = [message for message in self.backend.sent if isinstance(message, Submit)]
        return submits[-1].request if submits else None

    def prompts(self) -> list[str]:
        return [row.prompt for row in self.studio.scene_watch.scene.rows]


@pytest.fixture
def desk() -> Desk:
    """Two layers, sky and sketch; a backend with four adapters."""
    return Desk()


def ids(infos: Iterable[AdapterInfo]) -> list[str]:
    """What they are called."""
    return [info.id for info in infos]


def test_what_fits_the_chosen_model_is_offered(desk: Desk) -> None:
    """Another model has other ones."""
    assert ids(desk.adapters.offered) == ["ink", "scribble", "look"]
    desk.studio.change(model="big")
    assert ids(desk.adapters.offered) == ["xl", "look"]


def test_what_lies_on_the_picture_is_asked_for(desk: Desk) -> None:
    """With the pixels of the layer, which is no region any more."""
    assert desk.prompts() == ["sketch", "sunset sky"]
    desk.lay(PICTURE, INK, weight=0.8)
    desk.lay(PICTURE, SCRIBBLE, desk.sketch, weight=1.5, start=0.1, end=0.6)
    assert desk.prompts() == ["sunset sky"]
    request = desk.ask()
    assert request.loras == (Lora("ink", 0.8),)
    (control,) = request.controls
    assert (control.adapter, control.preprocessor, control.weight) == ("scribble", "lines", 1.5)
    assert (control.bounds, control.start, control.end) == (Bounds(4, 5, 8, 9), 0.1, 0.6)
    assert [region.prompt for region in request.regions] == ["sunset sky"]
    assert desk.studio.queue.front.order.blobs[control.image.sha256] == BLACK * 16


def test_what_lies_on_a_region_is_asked_for_there(desk: Desk) -> None:
    """And nowhere else."""
    desk.lay(desk.sky, INK, weight=-1.0)
    desk.lay(desk.sky, SCRIBBLE, desk.sketch)
    request = desk.ask()
    assert (request.loras, request.controls) == ((), ())
    (region,) = request.regions
    assert region.loras == (Lora("ink", -1.0),)
    assert [control.bounds for control in region.controls] == [Bounds(4, 5, 8, 9)]


def test_the_map_of_the_regions_needs_no_layer(desk: Desk) -> None:
    """Which is a region then."""
    desk.lay(PICTURE, SCRIBBLE, show="regions")
    request = desk.ask()
    assert request.controls == (Control("scribble", "regions"),)
    assert len(request.regions) == 2
    desk.adapters.choose_layer(PICTURE, 0, desk.sketch)
    assert desk.ask().controls[0].preprocessor == "none"


def test_a_part_is_shown_what_lies_in_it(desk: Desk) -> None:
    """In the part's own coordinates; a reference wherever it lies, and wholly."""
    photo = desk.canvas.add("photo", Bounds(-2, 0, 2, 3))
    desk.lay(PICTURE, SCRIBBLE, desk.sketch)
    desk.lay(desk.sky, SCRIBBLE, desk.sketch)
    desk.lay(PICTURE, LOOK, photo)
    desk.canvas.selection_mask = (Bounds(6, 6, 9, 12), bytes([255]) * 18)
    desk.studio.change(context_px=0, feather_px=0)
    request = desk.ask("refine")
    assert (request.height, request.width) == (3, 6)
    assert [c.bounds for c in request.controls] == [Bounds(0, 0, 2, 3), Bounds(-8, -6, -4, -3)]
    assert [c.bounds for c in request.regions[0].controls] == [Bounds(0, 0, 2, 3)]
    desk.canvas.selection_mask = (Bounds(15, 20, 18, 26), bytes([255]) * 18)
    desk.studio.change(prompt="sand")
    assert [c.adapter for c in desk.ask("refine").controls] == ["look"]


def test_an_extension_is_shown_what_lies_beyond_the_canvas(desk: Desk) -> None:
    """As far as it grows."""
    desk.canvas.change(desk.sketch, bounds=Bounds(0, WIDTH - 2, 4, WIDTH + 2))
    desk.lay(PICTURE, SCRIBBLE, desk.sketch)
    assert desk.ask().controls[0].bounds == Bounds(0, WIDTH - 2, 4, WIDTH)
    desk.studio.change(extend_right=8)
    assert desk.ask("extend").controls[0].bounds == Bounds(0, WIDTH - 2, 4, WIDTH + 2)


def test_with_a_weight_of_nothing_no_picture_is_sent(desk: Desk) -> None:
    """Nor is its layer a region."""
    desk.lay(PICTURE, SCRIBBLE, desk.sketch, weight=0.0)
    request = desk.ask()
    assert request.controls == ()
    assert [region.prompt for region in request.regions] == ["sunset sky"]


def test_a_layer_that_is_shown_is_no_ground(desk: Desk) -> None:
    """A photograph that covers all of the canvas and lies under everything is no background."""
    desk.canvas.remove(desk.canvas.layers()[-1].id)
    photo = desk.canvas.add("photo", Bounds(0, 0, HEIGHT, WIDTH))
    desk.canvas.fakes.append(desk.canvas.fakes.pop(0))
    desk.look()
    assert desk.studio.scene_watch.scene.background_prompt == "photo"
    desk.lay(PICTURE, LOOK, photo)
    assert desk.studio.scene_watch.scene.background_prompt == ""
    assert desk.prompts() == ["sketch", "sunset sky"]


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda _: None, "No layer is chosen for scribble. Choose a layer in its row"),
        (
            lambda d: d.adapters.choose_layer(
                PICTURE, 0, d.canvas.add("empty", Bounds(0, 0, 0, 0))
            ),
            "empty",
        ),
        (
            lambda d: (
                d.adapters.choose_layer(PICTURE, 0, d.sketch),
                d.canvas.remove(d.sketch),
            ),
            "The layer \u201csketch\u201d for scribble is not here any more.",
        ),
        (
            lambda d: (
                d.adapters.choose_layer(PICTURE, 0, d.sketch),
                d.adapters.set(PICTURE, 0, start=0.5, end=0.5),
            ),
            "ends before it starts",
        ),
    ],
    ids=["none", "empty", "gone", "never"],
)
def test_what_cannot_be_shown_is_a_sentence(desk: Desk, spoil, sentence: str) -> None:
    """Before anything is sent."""
    desk.lay(PICTURE, SCRIBBLE)
    spoil(desk)
    desk.look()
    assert desk.ask() is None
    assert sentence in desk.said


def test_more_than_a_request_takes_is_a_sentence(desk: Desk) -> None:
    """LoRAs for each, control pictures in all."""
    for _ in range(MAX_LORAS):
        desk.lay(PICTURE, INK)
    assert desk.said == ""
    desk.lay(PICTURE, INK)
    assert desk.said == "There are 8 LoRAs already; no more fit. Remove one of them first."
    desk.studio.dismiss_notice()
    desk.lay(desk.sky, INK)
    for _ in range(MAX_CONTROLS - 1):
        desk.lay(PICTURE, SCRIBBLE)
    desk.lay(desk.sky, LOOK)
    assert desk.said == ""
    desk.lay(PICTURE, LOOK)
    assert desk.said.startswith("There are 8 control pictures already")


def test_one_is_removed_and_the_others_stay(desk: Desk) -> None:
    """A place that is not there any more is nothing."""
    desk.lay(PICTURE, INK)
    desk.lay(PICTURE, LOOK)
    desk.adapters.remove(PICTURE, 0)
    desk.adapters.remove(PICTURE, 5)
    desk.look()
    assert desk.adapters.laid(PICTURE) == (Laid("look", "ip_adapter"),)
    desk.canvas.is_open = False
    for change in (desk.adapters.remove, desk.adapters.set):
        change(PICTURE, 0)
    desk.adapters.add(PICTURE, INK)
    desk.adapters.bring_back("{}")
    assert desk.said == ""


def test_a_copy_of_a_region_has_what_lies_on_it(desk: Desk) -> None:
    """Also of one that was renamed."""
    desk.lay(desk.sky, INK)
    desk.studio.regions.rename(desk.sky, "night sky")
    copy = desk.canvas.add("night sky", Bounds(12, 0, 18, 9))
    desk.look()
    assert desk.adapters.laid(copy) == (Laid("ink", "lora"),)
    assert [len(region.loras) for region in desk.ask().regions] == [1, 0, 1]


def test_a_picture_brings_back_what_lay_on_it(desk: Desk) -> None:
    """On the picture and on its regions; what has been laid on since is gone."""
    desk.lay(PICTURE, SCRIBBLE, desk.sketch, end=0.5)
    desk.lay(desk.sky, INK, weight=0.3)
    desk.ask()
    job = desk.studio.queue.front
    desk.finish_job(job)
    before = [desk.adapters.laid(key) for key in (PICTURE, desk.sky)]
    desk.adapters.remove(PICTURE, 0)
    desk.adapters.remove(desk.sky, 0)
    desk.lay(desk.sky, LOOK)
    (entry,) = desk.studio.results.entries()
    desk.studio.use_settings(entry)
    desk.look()
    assert [desk.adapters.laid(key) for key in (PICTURE, desk.sky)] == before
    assert desk.said == ""

    desk.canvas.remove(desk.sketch)
    desk.studio.use_settings(entry)
    desk.look()
    assert desk.adapters.laid(PICTURE) == ()
    assert desk.adapters.laid(desk.sky) == before[1]
    assert "\u201csketch\u201d for scribble is not here any more" in desk.said


def test_a_preset_carries_what_lies_on_the_picture(desk: Desk) -> None:
    """In every document; what lies on regions is their own."""
    desk.lay(PICTURE, INK, weight=0.8)
    desk.lay(PICTURE, SCRIBBLE, desk.sketch)
    desk.lay(desk.sky, INK)
    with_ink = desk.adapters.laid(PICTURE)
    desk.studio.keep_preset("inked")
    for _ in with_ink:
        desk.adapters.remove(PICTURE, 0)
    desk.look()
    desk.studio.keep_preset("plain")
    again = Presets(desk.host)
    assert (again.laid("inked"), again.laid("plain")) == (with_ink, ())
    for name, laid in (("inked", with_ink), ("Fast", with_ink), ("plain", ())):
        desk.studio.use_preset(name)
        desk.look()
        assert desk.adapters.laid(PICTURE) == laid
    assert len(desk.adapters.laid(desk.sky)) == 1


def test_a_preset_waits_for_a_layer_that_is_not_here(desk: Desk) -> None:
    """A control network stays, and asks which layer it shall be shown."""
    desk.lay(PICTURE, SCRIBBLE, desk.sketch, weight=0.5)
    desk.studio.keep_preset("sketched")
    desk.canvas.remove(desk.sketch)
    desk.studio.use_preset("sketched")
    desk.look()
    (laid,) = desk.adapters.laid(PICTURE)
    assert (laid.adapter, laid.weight, laid.layer, laid.layer_name) == ("scribble", 0.5, "", "")
    assert desk.ask() is None
    assert "No layer is chosen" in desk.studio.notice.message


def test_a_preset_that_was_kept_without_a_document_leaves_rows_alone(desk: Desk) -> None:
    """It knows of none."""
    desk.lay(PICTURE, INK)
    desk.canvas.is_open = False
    desk.look()
    desk.studio.keep_preset("nowhere")
    desk.canvas.is_open = True
    desk.look()
    desk.studio.use_preset("nowhere")
    desk.look()
    assert len(desk.adapters.laid(PICTURE)) == 1


def test_pictures_of_an_earlier_version_change_nothing(desk: Desk) -> None:
    """They do not say what lay on them."""
    desk.lay(PICTURE, INK)
    desk.adapters.bring_back("")
    desk.look()
    assert len(desk.adapters.laid(PICTURE)) == 1


def test_jobs_remember_what_lay_on_them_when_krita_ends(desk: Desk) -> None:
    """So that their pictures know it, too."""
    desk.lay(PICTURE, INK)
    desk.ask()
    (job,) = Outstanding(desk.host.data_folder / "outstanding").read()
    assert AdapterBook.from_text(job.order.adapters).of(PICTURE) == (Laid("ink", "lora"),)


def test_the_document_keeps_it(desk: Desk) -> None:
    """Another Krita finds it again, also before its backend has answered."""
    desk.lay(PICTURE, INK)
    link = Link(desk.server, desk.backend.connect, desk.loop)
    again = Studio(desk.host, link, desk.loop)
    again.look()
    desk.loop.run()
    assert again.adapters.laid(PICTURE) == (Laid("ink", "lora"),)
    assert again.adapters.offered == []
