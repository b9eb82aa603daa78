"""What the artist lays on the picture and on its regions, and what the backend is asked then."""

from collections.abc import Iterable
from dataclasses import replace

import pytest

from tapestry.connection.link import Link
from tapestry.docker_model import DockerModel
from tapestry.document.adapter_settings import (
    ADAPTERS_NOTE,
    PICTURE,
    AdapterSettings,
    DocumentAdapters,
)
from tapestry.document.reading import order_to_enlarge
from tapestry.jobs.pending import PendingJobs
from tapestry.presets.presets import Presets
from tapestry.settings.settings import Settings
from tapestry_protocol import PROTOCOL_VERSION, VERSION
from tapestry_protocol.adapters import AdapterInfo, Control, Lora
from tapestry_protocol.limits import MAX_CONTROLS, MAX_LORAS
from tapestry_protocol.messages import ModelInfo, Request, Submit, Welcome
from tapestry_protocol.pixels import Bounds, Pixels
from tests.krita_plugin.workshop import HEIGHT, WIDTH, Workshop

INK = AdapterInfo("ink", "lora", "sd1")
SCRIBBLE = AdapterInfo("scribble", "t2i_adapter", "sd1")
LOOK = AdapterInfo("look", "ip_adapter")
XL = AdapterInfo("xl", "lora", "sdxl")
OFFERED = (INK, SCRIBBLE, LOOK, XL)
NOTHING = Bounds(0, 0, 0, 0)
BLACK = bytes((0, 0, 0, 255))


class AdapterSetup(Workshop):
    """A workshop whose backend offers adapters, and a document with a sketch in it."""

    def __init__(self) -> None:
        super().__init__()
        self.sky = self.canvas.layers()[0].id
        self.sketch = self.canvas.add("sketch", Bounds(4, 5, 8, 9), BLACK)
        self.connect()
        models = (ModelInfo("sample", "sample", 128, "sd1"), ModelInfo("big", "big", 1024, "sdxl"))
        self.backend.tell(Welcome(PROTOCOL_VERSION, VERSION, models, OFFERED))
        self.look()
        self.adapters = self.docker_model.adapters

    def look(self) -> None:
        for _ in range(2):
            self.docker_model.look()
            self.loop.run()

    def lay(self, layer_id: str, info: AdapterInfo, shown: str = "", **values: object) -> None:
        """Add one, choose its layer, and set the rest."""
        place = len(DocumentAdapters.from_text(self.canvas.note(ADAPTERS_NOTE)).of(layer_id))
        self.adapters.add(layer_id, info)
        if shown:
            self.adapters.choose_layer(layer_id, place, shown)
        if values:
            self.adapters.set(layer_id, place, **values)
        self.look()

    def ask(self, mode: str = "generate") -> Request | None:
        """Press the button; what the backend is sent, if anything."""
        self.backend.sent.clear()
        getattr(self.docker_model, mode)()
        self.loop.run()
        submits = [message for message in self.backend.sent if isinstance(message, Submit)]
        return submits[-1].request if submits else None

    def prompts(self) -> list[str]:
        return [row.prompt for row in self.docker_model.scene_watch.scene.rows]


@pytest.fixture
def controller() -> AdapterSetup:
    """Two layers, sky and sketch; a backend with four adapters."""
    return AdapterSetup()


def ids(infos: Iterable[AdapterInfo]) -> list[str]:
    """What they are called."""
    return [info.id for info in infos]


def test_adapters_that_fit_the_chosen_model_are_offered(controller: AdapterSetup) -> None:
    """Another model has other ones."""
    assert ids(controller.adapters.offered) == ["ink", "scribble", "look"]
    controller.docker_model.change(model="big")
    assert ids(controller.adapters.offered) == ["xl", "look"]


def test_adapters_of_the_picture_are_in_the_request(controller: AdapterSetup) -> None:
    """With the pixels of the layer, which is no region any more."""
    assert controller.prompts() == ["sketch", "sunset sky"]
    controller.lay(PICTURE, INK, weight=0.8)
    controller.lay(PICTURE, SCRIBBLE, controller.sketch, weight=1.5, start=0.1, end=0.6)
    assert controller.prompts() == ["sunset sky"]
    request = controller.ask()
    assert request.loras == (Lora("ink", 0.8),)
    (control,) = request.controls
    assert (control.adapter, control.preprocessor, control.weight) == ("scribble", "lines", 1.5)
    assert (control.bounds, control.start, control.end) == (Bounds(4, 5, 8, 9), 0.1, 0.6)
    assert [region.prompt for region in request.regions] == ["sunset sky"]
    assert controller.docker_model.queue.front.order.blobs[control.image.sha256] == BLACK * 16


def test_the_type_of_a_picture_is_in_the_request(controller: AdapterSetup) -> None:
    """And survives in the document."""
    union = AdapterInfo("union", "controlnet", "sd1", ("canny", "depth"))
    controller.lay(PICTURE, union, controller.sketch, control_type="depth")

    assert [control.control_type for control in controller.ask().controls] == ["depth"]


def test_adapters_of_a_region_are_in_its_request(controller: AdapterSetup) -> None:
    """And nowhere else."""
    controller.lay(controller.sky, INK, weight=-1.0)
    controller.lay(controller.sky, SCRIBBLE, controller.sketch)
    request = controller.ask()
    assert (request.loras, request.controls) == ((), ())
    (region,) = request.regions
    assert region.loras == (Lora("ink", -1.0),)
    assert [control.bounds for control in region.controls] == [Bounds(4, 5, 8, 9)]


def test_a_picture_that_becomes_larger_is_shown_the_same(controller: AdapterSetup) -> None:
    """As it is, or after it was painted; a picture that is edited is shown none of it."""
    controller.lay(PICTURE, SCRIBBLE, controller.sketch)
    controller.lay(controller.sky, SCRIBBLE, controller.sketch, weight=0.5)
    painted = controller.ask()
    order = controller.docker_model.queue.front.order
    picture = Pixels(painted.height, painted.width, 4, bytes(4 * painted.height * painted.width))
    after = order_to_enlarge(order, picture, controller.docker_model.settings)
    for request in (controller.ask("upscale"), after.request):
        assert request.task == "upscale"
        assert request.controls == painted.controls
        assert [r.controls for r in request.regions] == [r.controls for r in painted.regions]
    assert {c.image.sha256 for c in after.request.all_controls} <= set(after.blobs)
    masks = {region.mask.sha256: b"" for region in painted.regions}
    of_history = order_to_enlarge(replace(order, blobs=masks), picture, Settings())
    assert of_history.request.all_controls == ()
    controller.docker_model.change(edit_from="sky", edit_to="snow")
    assert controller.ask("edit").all_controls == ()


def test_the_map_of_the_regions_needs_no_layer(controller: AdapterSetup) -> None:
    """Which is a region then."""
    controller.lay(PICTURE, SCRIBBLE, show="regions")
    request = controller.ask()
    assert request.controls == (Control("scribble", "regions"),)
    assert len(request.regions) == 2
    controller.adapters.choose_layer(PICTURE, 0, controller.sketch)
    assert controller.ask().controls[0].preprocessor == "none"


def test_a_part_is_shown_what_lies_in_it(controller: AdapterSetup) -> None:
    """In the part's own coordinates; a reference wherever it lies, and wholly."""
    photo = controller.canvas.add("photo", Bounds(-2, 0, 2, 3))
    controller.lay(PICTURE, SCRIBBLE, controller.sketch)
    controller.lay(controller.sky, SCRIBBLE, controller.sketch)
    controller.lay(PICTURE, LOOK, photo)
    controller.canvas.selection_mask = (Bounds(6, 6, 9, 12), bytes([255]) * 18)
    controller.docker_model.change(context_px=0, feather_px=0)
    request = controller.ask("refine")
    assert (request.height, request.width) == (3, 6)
    assert [c.bounds for c in request.controls] == [Bounds(0, 0, 2, 3), Bounds(-8, -6, -4, -3)]
    assert [c.bounds for c in request.regions[0].controls] == [Bounds(0, 0, 2, 3)]
    controller.canvas.selection_mask = (Bounds(15, 20, 18, 26), bytes([255]) * 18)
    controller.docker_model.change(prompt="sand")
    assert [c.adapter for c in controller.ask("refine").controls] == ["look"]


def test_an_extension_is_shown_what_lies_beyond_the_canvas(controller: AdapterSetup) -> None:
    """As far as it grows."""
    controller.canvas.change(controller.sketch, bounds=Bounds(0, WIDTH - 2, 4, WIDTH + 2))
    controller.lay(PICTURE, SCRIBBLE, controller.sketch)
    assert controller.ask().controls[0].bounds == Bounds(0, WIDTH - 2, 4, WIDTH)
    controller.docker_model.change(extend_right=8)
    assert controller.ask("extend").controls[0].bounds == Bounds(0, WIDTH - 2, 4, WIDTH + 2)


def test_with_a_weight_of_nothing_no_picture_is_sent(controller: AdapterSetup) -> None:
    """Nor is its layer a region."""
    controller.lay(PICTURE, SCRIBBLE, controller.sketch, weight=0.0)
    request = controller.ask()
    assert request.controls == ()
    assert [region.prompt for region in request.regions] == ["sunset sky"]


def test_a_layer_that_is_shown_is_no_ground(controller: AdapterSetup) -> None:
    """A photograph that covers all of the canvas and lies under everything is no background."""
    controller.canvas.remove(controller.canvas.layers()[-1].id)
    photo = controller.canvas.add("photo", Bounds(0, 0, HEIGHT, WIDTH))
    controller.canvas.fakes.append(controller.canvas.fakes.pop(0))
    controller.look()
    assert controller.docker_model.scene_watch.scene.background_prompt == "photo"
    controller.lay(PICTURE, LOOK, photo)
    assert controller.docker_model.scene_watch.scene.background_prompt == ""
    assert controller.prompts() == ["sketch", "sunset sky"]


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
def test_a_layer_that_cannot_be_shown_is_a_sentence(
    controller: AdapterSetup, spoil, sentence: str
) -> None:
    """Before anything is sent."""
    controller.lay(PICTURE, SCRIBBLE)
    spoil(controller)
    controller.look()
    assert controller.ask() is None
    assert sentence in controller.said


def test_more_than_a_request_takes_is_a_sentence(controller: AdapterSetup) -> None:
    """LoRAs for each, control pictures in all."""
    for _ in range(MAX_LORAS):
        controller.lay(PICTURE, INK)
    assert controller.said == ""
    controller.lay(PICTURE, INK)
    assert controller.said == "There are 8 LoRAs already; no more fit. Remove one of them first."
    controller.docker_model.dismiss_notice()
    controller.lay(controller.sky, INK)
    for _ in range(MAX_CONTROLS - 1):
        controller.lay(PICTURE, SCRIBBLE)
    controller.lay(controller.sky, LOOK)
    assert controller.said == ""
    controller.lay(PICTURE, LOOK)
    assert controller.said.startswith("There are 8 control pictures already")


def test_one_adapter_is_removed_and_the_others_stay(controller: AdapterSetup) -> None:
    """A place that is not there any more is nothing."""
    controller.lay(PICTURE, INK)
    controller.lay(PICTURE, LOOK)
    controller.adapters.remove(PICTURE, 0)
    controller.adapters.remove(PICTURE, 5)
    controller.look()
    assert controller.adapters.laid(PICTURE) == (AdapterSettings("look", "ip_adapter"),)
    controller.canvas.is_open = False
    for change in (controller.adapters.remove, controller.adapters.set):
        change(PICTURE, 0)
    controller.adapters.add(PICTURE, INK)
    controller.adapters.bring_back("{}")
    assert controller.said == ""


def test_a_copy_of_a_region_has_what_lies_on_it(controller: AdapterSetup) -> None:
    """Also of one that was renamed."""
    controller.lay(controller.sky, INK)
    controller.docker_model.regions.rename(controller.sky, "night sky")
    copy = controller.canvas.add("night sky", Bounds(12, 0, 18, 9))
    controller.look()
    assert controller.adapters.laid(copy) == (AdapterSettings("ink", "lora"),)
    assert [len(region.loras) for region in controller.ask().regions] == [1, 0, 1]


def test_a_picture_brings_back_what_lay_on_it(controller: AdapterSetup) -> None:
    """On the picture and on its regions; what has been laid on since is gone."""
    controller.lay(PICTURE, SCRIBBLE, controller.sketch, end=0.5)
    controller.lay(controller.sky, INK, weight=0.3)
    controller.ask()
    job = controller.docker_model.queue.front
    controller.finish_job(job)
    before = [controller.adapters.laid(key) for key in (PICTURE, controller.sky)]
    controller.adapters.remove(PICTURE, 0)
    controller.adapters.remove(controller.sky, 0)
    controller.lay(controller.sky, LOOK)
    (entry,) = controller.docker_model.results.entries()
    controller.docker_model.use_settings(entry)
    controller.look()
    assert [controller.adapters.laid(key) for key in (PICTURE, controller.sky)] == before
    assert controller.said == ""

    controller.canvas.remove(controller.sketch)
    controller.docker_model.use_settings(entry)
    controller.look()
    assert controller.adapters.laid(PICTURE) == ()
    assert controller.adapters.laid(controller.sky) == before[1]
    assert "\u201csketch\u201d for scribble is not here any more" in controller.said


def test_a_preset_carries_what_lies_on_the_picture(controller: AdapterSetup) -> None:
    """In every document; what lies on regions is their own."""
    controller.lay(PICTURE, INK, weight=0.8)
    controller.lay(PICTURE, SCRIBBLE, controller.sketch)
    controller.lay(controller.sky, INK)
    with_ink = controller.adapters.laid(PICTURE)
    controller.docker_model.keep_preset("inked")
    for _ in with_ink:
        controller.adapters.remove(PICTURE, 0)
    controller.look()
    controller.docker_model.keep_preset("plain")
    again = Presets(controller.host)
    assert (again.laid("inked"), again.laid("plain")) == (with_ink, ())
    for name, laid in (("inked", with_ink), ("Fast", with_ink), ("plain", ())):
        controller.docker_model.use_preset(name)
        controller.look()
        assert controller.adapters.laid(PICTURE) == laid
    assert len(controller.adapters.laid(controller.sky)) == 1


def test_a_preset_waits_for_a_layer_that_is_not_here(controller: AdapterSetup) -> None:
    """A control network stays, and asks which layer it shall be shown."""
    controller.lay(PICTURE, SCRIBBLE, controller.sketch, weight=0.5)
    controller.docker_model.keep_preset("sketched")
    controller.canvas.remove(controller.sketch)
    controller.docker_model.use_preset("sketched")
    controller.look()
    (laid,) = controller.adapters.laid(PICTURE)
    assert (laid.adapter, laid.weight, laid.layer, laid.layer_name) == ("scribble", 0.5, "", "")
    assert controller.ask() is None
    assert "No layer is chosen" in controller.docker_model.notice.message


def test_a_preset_that_was_kept_without_a_document_leaves_rows_alone(
    controller: AdapterSetup,
) -> None:
    """It knows of none."""
    controller.lay(PICTURE, INK)
    controller.canvas.is_open = False
    controller.look()
    controller.docker_model.keep_preset("nowhere")
    controller.canvas.is_open = True
    controller.look()
    controller.docker_model.use_preset("nowhere")
    controller.look()
    assert len(controller.adapters.laid(PICTURE)) == 1


def test_pictures_of_an_earlier_version_change_nothing(controller: AdapterSetup) -> None:
    """They do not say what lay on them."""
    controller.lay(PICTURE, INK)
    controller.adapters.bring_back("")
    controller.look()
    assert len(controller.adapters.laid(PICTURE)) == 1


def test_jobs_remember_what_lay_on_them_when_krita_ends(controller: AdapterSetup) -> None:
    """So that their pictures know it, too."""
    controller.lay(PICTURE, INK)
    controller.ask()
    (job,) = PendingJobs(controller.host.data_folder / "outstanding").read()
    assert DocumentAdapters.from_text(job.order.adapters).of(PICTURE) == (
        AdapterSettings("ink", "lora"),
    )


def test_the_document_keeps_it(controller: AdapterSetup) -> None:
    """Another Krita finds it again, also before its backend has answered."""
    controller.lay(PICTURE, INK)
    link = Link(controller.server, controller.backend.connect, controller.loop)
    again = DockerModel(controller.host, link, controller.loop)
    again.look()
    controller.loop.run()
    assert again.adapters.laid(PICTURE) == (AdapterSettings("ink", "lora"),)
    assert again.adapters.offered == []
