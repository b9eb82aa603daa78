"""What becomes of finished pictures."""

import json

import pytest

from tapestry.docker_model import DockerModel
from tapestry.document.editing import learned_layers
from tapestry.results.canvas_preview import PREVIEW_NAME
from tapestry.results.history import HISTORY_NOTE, History
from tapestry.results.picture_store import PictureStore
from tapestry_protocol.messages import Acknowledge, PixelsRef, Preview, Submit
from tapestry_protocol.pixels import Bounds, Margins, Pixels
from tests.krita_plugin.fake_canvas import FakeCanvas
from tests.krita_plugin.workshop import HEIGHT, RED, SKY, SKY_MASK, WIDTH, Workshop

NAME = "Tapestry: sunset sky (seed 42)"
PAINTED = ["sunset sky", "Background"]


@pytest.fixture
def workshop() -> Workshop:
    """A docker model that was not used yet."""
    return Workshop()


def paint(workshop: Workshop, change=lambda canvas: None, **settings: object) -> None:
    """Generate; let something happen to the document while it is painted."""
    workshop.docker_model.change(**settings)
    submit = workshop.submit()
    change(workshop.canvas)
    workshop.finish(submit)


def the_entry(workshop: Workshop):
    """The one picture that there is."""
    (entry,) = workshop.docker_model.results.entries()
    return entry


def run(workshop: Workshop, action, *arguments: object, **options: object) -> None:
    """Call a method of the docker's model, and let the loop turn for a while."""
    action(*arguments, **options)
    workshop.loop.run(1)


def test_a_picture_is_in_the_history_and_in_the_document(workshop: Workshop) -> None:
    """With a thumbnail, what was asked for, and the layer that it became."""
    paint(workshop)
    entry = the_entry(workshop)
    assert workshop.canvas.names == [NAME, *PAINTED]
    assert entry.small.data == RED * (entry.small.height * entry.small.width)
    assert entry.applied == (workshop.canvas.fakes[0].layer.id,)
    assert entry.request.regions[0].prompt == "sunset sky"
    assert History.from_text(workshop.canvas.notes[HISTORY_NOTE]).entries == [entry]


def test_pictures_may_wait_in_the_history(workshop: Workshop) -> None:
    """When the artist says so."""
    paint(workshop, apply_at_once=False)
    assert workshop.canvas.names == PAINTED
    run(workshop, workshop.docker_model.apply, the_entry(workshop).id)
    assert workshop.canvas.names == [NAME, *PAINTED]


def test_nobody_looks_at_a_document_that_is_read_for_a_picture(workshop: Workshop) -> None:
    """The artist waits for that."""
    workshop.connect()
    workshop.canvas.unsettled = 3
    workshop.docker_model.generate()
    looks = workshop.docker_model.scene_watch
    while not looks.is_resting:
        workshop.loop.turn()
    workshop.loop.run(1)
    assert not looks.is_resting


@pytest.mark.parametrize("is_open", [True, False])
def test_nobody_looks_at_a_document_that_a_picture_is_put_into(workshop, is_open) -> None:
    """Reading it would only make that longer; afterwards it is looked at again."""
    paint(workshop, apply_at_once=False)
    workshop.canvas.unsettled = 3
    workshop.docker_model.apply(the_entry(workshop).id)
    looks = workshop.docker_model.scene_watch
    while not looks.is_resting:
        workshop.loop.turn()
    workshop.canvas.is_open = is_open
    workshop.loop.run(1)
    assert not looks.is_resting


@pytest.mark.parametrize(
    "change",
    [
        lambda canvas: canvas.grow(Margins(left=4)),
        lambda canvas: setattr(canvas, "_color_model", "CMYKA"),
        lambda canvas: setattr(canvas, "color_depth", "U16"),
        lambda canvas: canvas.remove(canvas.fakes[0].layer.id),
        lambda canvas: canvas.fakes.clear(),
    ],
    ids=["resized", "converted", "deeper", "layer deleted", "flattened"],
)
def test_a_document_that_has_changed_gets_the_picture_when_it_is_asked(workshop, change) -> None:
    """It waits in the history with a notice, and Apply works."""
    paint(workshop, change)
    assert NAME not in workshop.canvas.names
    assert "has changed" in workshop.said
    assert not workshop.docker_model.notice.is_error
    run(workshop, workshop.docker_model.apply, the_entry(workshop).id)
    assert NAME in workshop.canvas.names


def test_a_renamed_layer_is_no_change(workshop: Workshop) -> None:
    """The picture has its place all the same."""
    layer = workshop.canvas.fakes[0].layer.id
    paint(workshop, lambda canvas: canvas.change(layer, name="night sky"))
    assert workshop.canvas.names[0] == NAME


def test_a_document_behind_another_gets_its_picture(workshop: Workshop) -> None:
    """The one in front gets nothing."""
    other = FakeCanvas(5, 5)
    paint(workshop, lambda _: workshop.host.canvases.append(other))
    assert workshop.canvas.names[0] == NAME
    assert other.names == ["Background"]
    assert workshop.docker_model.results.entries() == []


def test_a_closed_documents_picture_can_be_put_into_a_new_one(workshop: Workshop) -> None:
    """It outlives the session, too."""
    paint(workshop, lambda canvas: setattr(canvas, "is_open", False))
    assert "was closed" in workshop.said
    again = DockerModel(workshop.host, workshop.link, workshop.loop)
    (entry,) = again.results.entries()
    assert entry.origin_name == "test.kra"
    again.apply(entry.id)
    workshop.loop.run()
    assert workshop.host.active_canvas().names == [NAME, "Background"]


def test_a_closed_extensions_picture_comes_with_the_old_one(workshop: Workshop) -> None:
    """Together they are what the artist wanted."""
    workshop.connect()
    workshop.docker_model.extend()
    workshop.loop.run()
    submit = workshop.backend.sent[-1]
    workshop.canvas.is_open = False
    workshop.finish(submit)
    run(workshop, workshop.docker_model.apply, the_entry(workshop).id)
    new = workshop.host.active_canvas()
    assert (new.height, new.width, len(new.names)) == (HEIGHT, WIDTH + 128, 3)
    assert new.names[1] == "Tapestry: the old picture"


def test_a_document_that_is_opened_again_takes_its_pictures(workshop: Workshop) -> None:
    """Those that were finished after it was closed, in front of the others."""
    paint(workshop)
    note = workshop.canvas.notes[HISTORY_NOTE]
    paint(workshop, lambda canvas: setattr(canvas, "is_open", False), seed=43)
    assert the_entry(workshop).seed == 43
    again = FakeCanvas(HEIGHT, WIDTH)
    again.notes[HISTORY_NOTE] = note
    workshop.host.canvases.append(again)
    assert [entry.seed for entry in workshop.docker_model.results.entries()] == [43, 42]
    assert workshop.docker_model.results.histories.closed.entries == []
    assert len(History.from_text(again.notes[HISTORY_NOTE]).entries) == 2


def test_take_back_and_apply_again(workshop: Workshop) -> None:
    """As often as one likes; a layer that is gone already cannot be taken back."""
    paint(workshop)
    entry = the_entry(workshop)
    run(workshop, workshop.docker_model.take_back, entry.id)
    assert workshop.canvas.names == PAINTED
    run(workshop, workshop.docker_model.apply, entry.id)
    workshop.canvas.remove(workshop.canvas.fakes[0].layer.id)
    assert not workshop.docker_model.results.can_take_back(the_entry(workshop))


@pytest.mark.parametrize("way", ["layer", "active"])
def test_a_learned_picture_knows_its_layers(workshop: Workshop, way: str) -> None:
    """Those that came of it; the artist's own layer, that one was merged into, is none."""
    workshop.docker_model.change(edit_method="imagic", edit_to="snow", apply_at_once=way == "layer")
    workshop.connect()
    workshop.docker_model.edit()
    workshop.loop.run()
    workshop.finish(workshop.backend.sent[-1])
    if way == "active":
        workshop.canvas.active = workshop.canvas.fakes[0].layer.id
        run(workshop, workshop.docker_model.apply, the_entry(workshop).id, way)
    expected = set(the_entry(workshop).applied) if way == "layer" else set()
    assert learned_layers(workshop.canvas, "snow") == expected
    assert the_entry(workshop).applied


def test_an_extension_is_taken_back_even_when_its_layer_was_undone(workshop: Workshop) -> None:
    """One click, whatever is left of it."""
    workshop.connect()
    workshop.docker_model.extend()
    workshop.loop.run()
    workshop.finish(workshop.backend.sent[-1])
    workshop.canvas.remove(workshop.canvas.fakes[0].layer.id)
    assert workshop.docker_model.results.can_take_back(the_entry(workshop))
    run(workshop, workshop.docker_model.take_back, the_entry(workshop).id)
    assert (workshop.canvas.width, workshop.canvas.names) == (WIDTH, PAINTED)


def upscale(workshop: Workshop, **settings: object) -> None:
    """Press Upscale; the backend sends the picture."""
    workshop.docker_model.change(**settings)
    workshop.connect()
    workshop.docker_model.upscale()
    workshop.loop.run()
    workshop.finish(workshop.backend.sent[-1])


def test_an_upscaled_document_grows_and_is_taken_back(workshop: Workshop) -> None:
    """The layers with it; the history knows where the picture lies and what it made larger."""
    upscale(workshop)
    entry = the_entry(workshop)
    assert (workshop.canvas.height, workshop.canvas.width) == (2 * HEIGHT, 2 * WIDTH)
    assert workshop.canvas.names == ["Tapestry: sunset sky, upscaled (seed 42)", *PAINTED]
    assert workshop.canvas.fakes[1].bounds == Bounds(0, 0, 20, 2 * WIDTH)
    assert entry.place == Bounds(0, 0, 2 * HEIGHT, 2 * WIDTH)
    assert entry.grown == (0, 0, HEIGHT, WIDTH)
    assert workshop.docker_model.results.can_take_back(entry)
    run(workshop, workshop.docker_model.take_back, entry.id)
    assert (workshop.canvas.height, workshop.canvas.width) == (HEIGHT, WIDTH)
    assert workshop.canvas.names == PAINTED
    assert workshop.canvas.fakes[0].bounds == Bounds(0, 0, 10, WIDTH)
    assert "scaled down" in workshop.said
    run(workshop, workshop.docker_model.apply, entry.id)
    assert (workshop.canvas.height, workshop.canvas.width) == (2 * HEIGHT, 2 * WIDTH)


def press_by_four(workshop: Workshop, **settings: object) -> list[Submit]:
    """Press the button for four times as large; what the backend is sent in the end."""
    workshop.docker_model.change(**settings)
    workshop.connect()
    workshop.docker_model.look()
    workshop.loop.run()
    workshop.docker_model.upscale_by_four()
    workshop.loop.run()
    return [message for message in workshop.backend.sent if isinstance(message, Submit)]


def test_four_times_as_large_paints_first_what_is_not_there(workshop: Workshop) -> None:
    """Then that picture becomes larger, with the document; both are in the history."""
    asked = {"only_selection": True, "in_regions": True, "batch": 3, "upscale_strength": 0.2}
    (first,) = press_by_four(workshop, **asked)
    assert (first.request.task, first.request.layered) == ("generate", False)
    assert workshop.docker_model.settings.upscale_factor == 2.0, "what is shown stays"
    workshop.finish(first)
    second = [sent for sent in workshop.backend.sent if isinstance(sent, Submit)][-1]
    request = second.request
    assert (request.task, request.factor, request.strength) == ("upscale", 4.0, 0.2)
    assert (request.image.height, request.image.width) == (HEIGHT, WIDTH)
    assert request.image == PixelsRef.of(Pixels(HEIGHT, WIDTH, 4, RED * (HEIGHT * WIDTH)))
    assert [region.prompt for region in request.regions] == ["sunset sky"]
    workshop.finish(second)
    assert (workshop.canvas.height, workshop.canvas.width) == (4 * HEIGHT, 4 * WIDTH)
    larger = "Tapestry: sunset sky, upscaled (seed 42)"
    assert workshop.canvas.names == [larger, NAME, *PAINTED]
    assert len(workshop.docker_model.results.entries()) == 2
    again = press_by_four(workshop)[-1].request
    assert (again.task, again.height) == ("upscale", 4 * HEIGHT), "there is a picture by now"


def test_a_second_stage_that_is_cancelled_leaves_the_first(workshop: Workshop) -> None:
    """In the document and in the history; a first one that is cancelled has no second."""
    (first,) = press_by_four(workshop)
    workshop.finish(first)
    workshop.docker_model.cancel()
    workshop.answer_cancels()
    workshop.loop.run()
    assert (workshop.canvas.height, workshop.canvas.names) == (HEIGHT, [NAME, *PAINTED])
    assert the_entry(workshop).request.task == "generate"
    workshop.canvas.remove(workshop.canvas.fakes[0].layer.id)
    press_by_four(workshop)
    sent = len(workshop.backend.sent)
    workshop.docker_model.cancel()
    workshop.answer_cancels()
    workshop.loop.run()
    assert not workshop.docker_model.queue.jobs
    assert not any(isinstance(message, Submit) for message in workshop.backend.sent[sent:])


def test_a_document_that_is_closed_meanwhile_has_its_first_stage_alone(workshop: Workshop) -> None:
    """It can be put into a new one."""
    (first,) = press_by_four(workshop)
    workshop.canvas.is_open = False
    workshop.finish(first)
    assert not workshop.docker_model.queue.jobs
    assert the_entry(workshop).request.task == "generate"


@pytest.mark.parametrize(
    ("into", "selected", "sentence"),
    [
        ("document", None, "too large"),
        ("selection", None, "Nothing is selected"),
        ("selection", Bounds(3, 4, 4, 5), "1 x 1 pixels is too small to become larger"),
    ],
)
def test_what_cannot_become_four_times_as_large_is_told_before_it_is_painted(
    workshop: Workshop, into: str, selected: Bounds | None, sentence: str
) -> None:
    """In the document, the selection, and at any factor."""
    if into == "document":
        workshop.canvas.grow(Margins(right=9000))
    if selected is not None:
        workshop.canvas.selection_mask = (selected, b"\xff")
    assert press_by_four(workshop, upscale_into=into) == []
    assert sentence in workshop.said


def sent_last(workshop: Workshop) -> Submit:
    """The job that the backend was sent last."""
    return [message for message in workshop.backend.sent if isinstance(message, Submit)][-1]


def test_a_picture_of_the_history_becomes_larger(workshop: Workshop) -> None:
    """With its own prompts and regions; the document that it was made in stays as it is."""
    paint(workshop, style="oil")
    entry = the_entry(workshop)
    workshop.docker_model.change(upscale_factor=3.0, style="ink")
    run(workshop, workshop.docker_model.enlarge, entry.id)
    submit = sent_last(workshop)
    request = submit.request
    assert (request.task, request.factor, request.style) == ("upscale", 3.0, "oil")
    assert request.image.sha256 == entry.sha256
    (region,) = request.regions
    assert (region.prompt, region.bounds) == ("sunset sky", Bounds(0, 0, 10, WIDTH))
    workshop.finish(submit)
    new = workshop.host.active_canvas()
    assert (new.height, new.width) == (3 * HEIGHT, 3 * WIDTH)
    assert new.names == ["Tapestry: sunset sky, upscaled (seed 42)", "Background"]
    assert workshop.canvas.names == [NAME, *PAINTED]


def test_a_picture_that_was_extended_becomes_larger_by_its_prompts(workshop: Workshop) -> None:
    """Where its regions lay is not where they lie in it."""
    workshop.docker_model.change(extend_right=10)
    workshop.connect()
    workshop.docker_model.extend()
    workshop.loop.run()
    workshop.finish(sent_last(workshop))
    run(workshop, workshop.docker_model.enlarge, the_entry(workshop).id)
    request = sent_last(workshop).request
    assert (request.height, request.width, request.factor) == (HEIGHT, WIDTH + 10, 2.0)
    assert (request.prompt, request.regions) == ("sunset sky", ())
    assert request.margins.is_zero


def test_a_picture_of_the_history_that_cannot_become_larger_is_told(workshop: Workshop) -> None:
    """Its pixels are gone; and one that nobody knows is nothing."""
    paint(workshop)
    sent = len(workshop.backend.sent)
    workshop.docker_model.enlarge("nobody")
    for folder in (workshop.host.data_folder / "pictures").rglob("*"):
        if folder.is_file():
            folder.unlink()
    workshop.docker_model.results._store._recent.clear()
    run(workshop, workshop.docker_model.enlarge, the_entry(workshop).id)
    assert "not on this computer any more" in workshop.said
    assert len(workshop.backend.sent) == sent


def test_an_upscaled_document_that_was_resized_since_keeps_its_size(workshop: Workshop) -> None:
    """The layer alone is taken out."""
    upscale(workshop)
    workshop.canvas.grow(Margins(left=5))
    run(workshop, workshop.docker_model.take_back, the_entry(workshop).id)
    assert (workshop.canvas.height, workshop.canvas.width) == (2 * HEIGHT, 2 * WIDTH + 5)
    assert workshop.canvas.names == PAINTED
    assert "keeps its size" in workshop.said


@pytest.mark.parametrize("into", ["new", "selection"])
def test_a_larger_picture_can_become_a_document_of_its_own(workshop: Workshop, into: str) -> None:
    """Nothing is said about it, and its first document stays as it is; also once more by hand."""
    workshop.canvas.selection_mask = (Bounds(4, 6, 14, 16), b"\xff" * 100)
    upscale(workshop, upscale_into=into)
    size = (20, 20) if into == "selection" else (2 * HEIGHT, 2 * WIDTH)
    new = workshop.host.active_canvas()
    assert (new.height, new.width) == size
    assert new.names == ["Tapestry: sunset sky, upscaled (seed 42)", "Background"]
    assert new.flattened(Bounds(0, 0, 1, 1)) == RED
    assert (workshop.canvas.height, workshop.canvas.names) == (HEIGHT, PAINTED)
    assert workshop.said == ""
    new.is_open = False
    entry = the_entry(workshop)
    assert entry.applied == ()
    assert History.from_text(workshop.canvas.notes[HISTORY_NOTE]).entries == [entry]
    run(workshop, workshop.docker_model.preview, entry.id)
    place = Bounds(4, 6, 14, 16) if into == "selection" else Bounds(0, 0, HEIGHT, WIDTH)
    assert workshop.canvas.fakes[0].bounds == place
    run(workshop, workshop.docker_model.apply, entry.id)
    assert workshop.host.active_canvas().height == size[0]


def test_a_larger_picture_whose_document_is_closed_comes_alone(workshop: Workshop) -> None:
    """What it was made from is seen in it."""
    workshop.connect()
    workshop.docker_model.upscale()
    workshop.loop.run()
    workshop.canvas.is_open = False
    workshop.finish(workshop.backend.sent[-1])
    run(workshop, workshop.docker_model.apply, the_entry(workshop).id)
    new = workshop.host.active_canvas()
    assert (new.height, new.width, len(new.names)) == (2 * HEIGHT, 2 * WIDTH, 2)


def test_a_larger_picture_is_not_cut_by_masks_from_before(workshop: Workshop) -> None:
    """They have another size; the document stays as it is."""
    upscale(workshop, apply_at_once=False, in_regions=True)
    entry = the_entry(workshop)
    assert entry.request.layered is False
    run(workshop, workshop.docker_model.apply, entry.id, "regions")
    assert "no regions that are still known" in workshop.said
    assert (workshop.canvas.height, workshop.canvas.names) == (HEIGHT, PAINTED)


def test_into_the_active_layer_and_back(workshop: Workshop) -> None:
    """The layer is what it was."""
    paint(workshop, apply_at_once=False)
    sky = workshop.canvas.fakes[0]
    workshop.canvas.active = sky.layer.id
    run(workshop, workshop.docker_model.apply, the_entry(workshop).id, "active")
    assert workshop.canvas.fakes[0] is not sky
    run(workshop, workshop.docker_model.take_back, the_entry(workshop).id)
    assert workshop.canvas.fakes[0] is sky


def test_regions_are_cut_from_masks_on_disk(workshop: Workshop) -> None:
    """Also in a later session."""
    paint(workshop, apply_at_once=False)
    again = DockerModel(workshop.host, workshop.link, workshop.loop)
    again.apply(the_entry(workshop).id, "regions")
    workshop.loop.run()
    assert [fake.layer.name for fake in workshop.canvas.inner] == [
        "Tapestry: sunset sky",
        "Tapestry: everything else",
    ]
    assert workshop.canvas.inner[0].bounds == Bounds(0, 0, 10, WIDTH)


def test_a_picture_can_come_as_a_group_of_regions(workshop: Workshop) -> None:
    """Each region's own picture under its mask; also from disk, in a later session."""
    workshop.docker_model.change(in_regions=True)
    paint(workshop)
    canvas = workshop.canvas
    sky, rest = canvas.inner
    assert canvas.names == [NAME, *PAINTED]
    assert (sky.data, rest.layer.name) == (SKY.data, "Tapestry: everything else")
    blue, row = SKY.data[:4], canvas.flattened(Bounds(3, 0, 4, WIDTH))
    assert row == blue * 8 + RED * (WIDTH - 8)
    assert workshop.said == ""
    run(workshop, workshop.docker_model.take_back, the_entry(workshop).id)
    assert canvas.names == PAINTED
    again = DockerModel(workshop.host, workshop.link, workshop.loop)
    again.apply(the_entry(workshop).id, "regions")
    workshop.loop.run()
    assert canvas.flattened(Bounds(3, 0, 4, WIDTH)) == row


def test_a_group_whose_layers_are_gone_is_cut_from_the_picture(workshop: Workshop) -> None:
    """And that is said."""
    workshop.docker_model.change(in_regions=True)
    paint(workshop, apply_at_once=False)
    (workshop.host.data_folder / "pictures" / f"{SKY.sha256}.picture").unlink()
    again = DockerModel(workshop.host, workshop.link, workshop.loop)
    again.apply(the_entry(workshop).id, "regions")
    workshop.loop.run()
    assert workshop.canvas.inner[0].mask is None
    assert "cut from the finished picture" in again.notice.message


def test_a_picture_without_regions_comes_as_one_layer(workshop: Workshop) -> None:
    """Whatever was wished for."""
    workshop.canvas.remove(workshop.canvas.fakes[0].layer.id)
    workshop.docker_model.change(in_regions=True, prompt="a hill")
    paint(workshop)
    assert not workshop.canvas.groups
    assert workshop.canvas.names[0].startswith("Tapestry: a hill")


def test_layers_are_discarded_with_their_picture(workshop: Workshop) -> None:
    """Nothing of it stays on disk."""
    workshop.docker_model.change(in_regions=True)
    paint(workshop)
    folder = workshop.host.data_folder / "pictures"
    left = {path.stem for path in folder.glob("*.picture")}
    assert {SKY.sha256, SKY_MASK.sha256} <= left
    run(workshop, workshop.docker_model.set_favourite, the_entry(workshop).id, on=True)
    assert (folder / f"{SKY.sha256}.held").exists()
    run(workshop, workshop.docker_model.discard, the_entry(workshop).id)
    left = {path.stem for path in folder.glob("*.picture")}
    assert not {SKY.sha256, SKY_MASK.sha256} & left


def test_a_picture_that_is_gone_is_a_sentence(workshop: Workshop) -> None:
    """Its settings make it again."""
    paint(workshop)
    for path in (workshop.host.data_folder / "pictures").glob("*.picture"):
        path.unlink()
    again = DockerModel(workshop.host, workshop.link, workshop.loop)
    again.apply(the_entry(workshop).id)
    workshop.loop.run()
    assert "not on this computer any more" in again.notice.message


def test_a_full_disk_costs_no_picture(workshop: Workshop) -> None:
    """With a notice; it is in the document and in memory."""
    (workshop.host.data_folder / "pictures").write_text("in the way")
    paint(workshop)
    assert "cannot be kept on disk" in workshop.said
    assert workshop.canvas.names[0] == NAME
    run(workshop, workshop.docker_model.take_back, the_entry(workshop).id)
    run(workshop, workshop.docker_model.apply, the_entry(workshop).id)
    assert workshop.canvas.names[0] == NAME


def test_a_picture_is_seen_before_it_is_on_disk_and_acknowledged_after(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Writing takes longest; until it is done the server keeps the picture."""
    seen, keep = [], PictureStore.keep

    async def kept(store: PictureStore, sha256: str, pixels: Pixels):
        sent = any(isinstance(message, Acknowledge) for message in workshop.backend.sent)
        seen.append((workshop.canvas.names[0], sent))
        await keep(store, sha256, pixels)

    monkeypatch.setattr(PictureStore, "keep", kept)
    paint(workshop)
    assert seen[0] == (NAME, False)
    assert any(isinstance(message, Acknowledge) for message in workshop.backend.sent)


def test_a_click_shows_and_a_second_click_hides(workshop: Workshop) -> None:
    """The document counts as what it was: nothing has changed."""
    paint(workshop, apply_at_once=False)
    workshop.canvas.is_modified = False
    run(workshop, workshop.docker_model.preview, the_entry(workshop).id)
    assert workshop.canvas.names == [PREVIEW_NAME, *PAINTED]
    assert workshop.canvas.flattened(Bounds(19, 0, 20, 1)) == RED
    assert not workshop.canvas.is_modified
    run(workshop, workshop.docker_model.preview, the_entry(workshop).id)
    assert workshop.canvas.names == PAINTED
    assert not workshop.canvas.is_modified


def test_the_preview_becomes_the_layer(workshop: Workshop) -> None:
    """It is added once, so one undo takes it back."""
    paint(workshop, apply_at_once=False)
    run(workshop, workshop.docker_model.preview, the_entry(workshop).id)
    shown = workshop.canvas.fakes[0].layer.id
    run(workshop, workshop.docker_model.apply, the_entry(workshop).id)
    assert workshop.canvas.names == [NAME, *PAINTED]
    assert the_entry(workshop).applied == (shown,)


def test_a_preview_is_in_no_picture(workshop: Workshop) -> None:
    """It goes before the document is read."""
    paint(workshop, apply_at_once=False)
    run(workshop, workshop.docker_model.preview, the_entry(workshop).id)
    workshop.submit()
    assert workshop.canvas.names == PAINTED


def test_a_preview_goes_before_saving_and_is_saved_away(workshop: Workshop) -> None:
    """A file that was saved without the menu is written again."""
    paint(workshop, apply_at_once=False)
    run(workshop, workshop.docker_model.preview, the_entry(workshop).id)
    workshop.host.before_saving()
    assert workshop.canvas.names == PAINTED
    run(workshop, workshop.docker_model.preview, the_entry(workshop).id)
    workshop.host.after_saving(workshop.canvas)
    assert workshop.canvas.saved == [PAINTED]
    workshop.host.after_saving(workshop.canvas)
    workshop.host.after_saving(None)
    assert workshop.canvas.saved == [PAINTED]


def test_a_preview_of_another_day_is_taken_out(workshop: Workshop) -> None:
    """Krita's own safety copy may hold one."""
    workshop.canvas.add(PREVIEW_NAME, Bounds(0, 0, 2, 2))
    run(workshop, workshop.docker_model.look)
    assert workshop.canvas.names == PAINTED


def test_another_document_in_front_hides_the_preview(workshop: Workshop) -> None:
    """And has a history of its own."""
    paint(workshop, apply_at_once=False)
    run(workshop, workshop.docker_model.look)
    run(workshop, workshop.docker_model.preview, the_entry(workshop).id)
    workshop.host.canvases.append(FakeCanvas(5, 5))
    run(workshop, workshop.docker_model.look)
    assert workshop.canvas.names == PAINTED
    assert workshop.docker_model.results.entries() == []


def test_a_live_preview_becomes_the_picture(workshop: Workshop) -> None:
    """Scaled to its place while it is painted."""
    submit = workshop.submit()
    small = Pixels(2, 3, 4, bytes((1, 2, 3, 255)) * 6)
    workshop.backend.tell(Preview(submit.job_id, PixelsRef.of(small)), small)
    workshop.loop.run()
    assert workshop.canvas.names == [PREVIEW_NAME, *PAINTED]
    assert workshop.canvas.flattened(Bounds(19, 29, 20, 30)) == bytes((1, 2, 3, 255))
    live = workshop.canvas.fakes[0].layer.id
    workshop.finish(submit)
    assert workshop.canvas.names == [NAME, *PAINTED]
    assert the_entry(workshop).applied == (live,)
    assert workshop.canvas.flattened(Bounds(19, 29, 20, 30)) == RED


def test_a_preview_that_is_hidden_before_it_is_there_never_comes(workshop: Workshop) -> None:
    """Another document came to the front while Krita was waited for."""
    submit = workshop.submit()
    workshop.canvas.unsettled = 10_000
    small = Pixels(2, 3, 4, bytes(24))
    workshop.backend.tell(Preview(submit.job_id, PixelsRef.of(small)), small)
    workshop.loop.call_later(0, workshop.docker_model.results.canvas_preview.hide)
    workshop.loop.call_later(0, lambda: setattr(workshop.canvas, "unsettled", 0))
    workshop.loop.run(1)
    assert workshop.canvas.names == PAINTED
    assert workshop.docker_model.results.canvas_preview.subject == ""


def test_a_preview_that_is_hidden_while_it_is_added_goes_again(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Krita may let others have a turn before it has added a layer."""
    paint(workshop, apply_at_once=False)
    add = FakeCanvas._put

    def add_and_let_hide(canvas: FakeCanvas, fake: object, above: str) -> None:
        workshop.docker_model.results.canvas_preview.hide()
        add(canvas, fake, above)

    monkeypatch.setattr(FakeCanvas, "_put", add_and_let_hide)
    run(workshop, workshop.docker_model.preview, the_entry(workshop).id)
    assert workshop.canvas.names == PAINTED


def test_a_preview_that_does_not_go_at_once_is_asked_again(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And a picture is not read before it has gone."""
    paint(workshop, apply_at_once=False)
    run(workshop, workshop.docker_model.preview, the_entry(workshop).id)
    remove, asked = FakeCanvas.remove, []

    def remove_when_asked_again(canvas: FakeCanvas, layer_id: str) -> None:
        asked.append(layer_id)
        if len(asked) > 1:
            remove(canvas, layer_id)

    monkeypatch.setattr(FakeCanvas, "remove", remove_when_asked_again)
    run(workshop, workshop.docker_model.preview, "")
    assert len(asked) == 2
    assert workshop.canvas.names == PAINTED


def test_a_preview_cannot_be_painted_on(workshop: Workshop) -> None:
    """Krita makes it the active layer in a later turn: the artist's own is that again at once."""
    canvas = workshop.canvas
    own, other = (fake.layer.id for fake in canvas.fakes)
    canvas.activate(own)
    submit = workshop.submit()
    small = Pixels(2, 3, 4, bytes(24))
    workshop.backend.tell(Preview(submit.job_id, PixelsRef.of(small)), small)
    workshop.loop.run()
    shown = canvas.fakes[0].layer.id
    assert shown not in {own, other}
    canvas.activate(shown)
    workshop.loop.run(0.1)
    assert canvas.active == own
    canvas.activate(other)
    workshop.loop.run(1)
    assert canvas.active == other  # a choice of the artist's


@pytest.mark.parametrize("end", ["cancelled", "turned off", "changed"])
def test_a_live_preview_leaves_no_trace(workshop: Workshop, end: str) -> None:
    """Whatever becomes of its job."""
    workshop.docker_model.change(live_on_canvas=end != "turned off")
    submit = workshop.submit()
    small = Pixels(2, 3, 4, bytes((1, 2, 3, 255)) * 6)
    workshop.backend.tell(Preview(submit.job_id, PixelsRef.of(small)), small)
    workshop.loop.run()
    assert (PREVIEW_NAME in workshop.canvas.names) == (end != "turned off")
    if end == "cancelled":
        workshop.docker_model.cancel()
        workshop.backend.lose_connection()
    else:
        workshop.canvas.color_depth = "U16"
        workshop.finish(submit)
    workshop.loop.run()
    assert PREVIEW_NAME not in workshop.canvas.names


def test_discard_takes_the_pixels_and_leaves_the_layer(workshop: Workshop) -> None:
    """The artist may have painted on."""
    paint(workshop)
    entry = the_entry(workshop)
    run(workshop, workshop.docker_model.discard, entry.id)
    assert workshop.docker_model.results.entries() == []
    assert workshop.canvas.names == [NAME, *PAINTED]
    assert not (workshop.host.data_folder / "pictures" / f"{entry.sha256}.picture").exists()
    assert json.loads(workshop.canvas.notes[HISTORY_NOTE])["entries"] == []
    run(workshop, workshop.docker_model.discard, entry.id)
    assert workshop.said == ""


def test_a_favourite_is_held(workshop: Workshop) -> None:
    """Until it is none."""
    paint(workshop)
    entry = the_entry(workshop)
    mark = workshop.host.data_folder / "pictures" / f"{entry.sha256}.held"
    workshop.docker_model.set_favourite(entry.id, on=True)
    assert the_entry(workshop).favourite
    assert mark.exists()
    workshop.docker_model.set_favourite(entry.id, on=False)
    assert not mark.exists()


def test_settings_and_seed_can_be_used_again(workshop: Workshop) -> None:
    """Everything that the fields hold; regions stay as they are painted."""
    paint(workshop, prompt="sea", num_inference_steps=7, seed=5)
    workshop.docker_model.change(prompt="", num_inference_steps=50, seed=6, guidance_scale=1.0)
    workshop.docker_model.use_seed(the_entry(workshop))
    assert (workshop.docker_model.settings.seed, workshop.docker_model.settings.prompt) == (5, "")
    workshop.docker_model.use_settings(the_entry(workshop))
    settings = workshop.docker_model.settings
    assert (settings.prompt, settings.num_inference_steps) == ("sea", 7)
    assert settings.guidance_scale == 5.0


def test_settings_of_another_version_are_a_sentence(workshop: Workshop) -> None:
    """Nothing is half set."""
    paint(workshop, prompt="sea")
    history = workshop.docker_model.results.histories.of(workshop.canvas)
    history.change(the_entry(workshop).id, asked={"sorcery": 1})
    workshop.docker_model.change(prompt="night")
    workshop.docker_model.use_settings(the_entry(workshop))
    assert "another version" in workshop.said
    assert workshop.docker_model.settings.prompt == "night"


@pytest.mark.parametrize("copy", ["open", "closed"])
def test_a_copied_document_keeps_its_pictures(workshop: Workshop, copy: str) -> None:
    """When the same picture is discarded in the document that was copied."""
    paint(workshop)
    entry = the_entry(workshop)
    workshop.host.after_saving(workshop.canvas)
    other = FakeCanvas(HEIGHT, WIDTH)
    other.notes = dict(workshop.canvas.notes)
    if copy == "open":
        workshop.host.canvases.insert(0, other)
    run(workshop, workshop.docker_model.discard, entry.id)
    assert workshop.docker_model.results.entries() == []
    workshop.docker_model.results._store._recent.clear()  # another session
    workshop.host.canvases[:] = [other]
    assert the_entry(workshop).id == entry.id
    run(workshop, workshop.docker_model.apply, entry.id)
    assert workshop.said == ""
    assert NAME in other.names
