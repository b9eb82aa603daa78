"""Generate, extend, refine, fill, edit, upscale: what each asks for, and what it sends."""

import json
from dataclasses import replace
from typing import get_args

import pytest

from tapestry.i18n.translation import choose_language
from tapestry.qt.compat import (
    QAction,
    QApplication,
    QColor,
    QEvent,
    QMouseEvent,
    QPalette,
    QPoint,
    QPointF,
    Qt,
    QWheelEvent,
    QWidget,
)
from tapestry.settings.settings import MODES, Settings
from tapestry.ui.modes.extend_picture import ExtendPicture, mark_of
from tapestry.ui.modes.mode_fields import ModeTabs
from tapestry_protocol import PROTOCOL_VERSION, VERSION
from tapestry_protocol.fields import EditMethod
from tapestry_protocol.messages import Edit, ModelInfo, PixelsRef, Result, Submit, Welcome
from tapestry_protocol.pixels import Bounds, Margins, Pixels


@pytest.fixture
def ready(docker):
    """A document with a region and a selection, and a backend."""
    docker.canvas.add("sky", Bounds(0, 0, 48, 128))
    docker.canvas.selection_mask = (Bounds(8, 8, 40, 40), b"\xff" * 1024)
    docker.backend.appear()
    docker.look(3)
    docker.loop.run(5)
    docker.backend.answer()
    return docker


def sent(docker):
    """What was asked of the backend last."""
    docker.loop.run()
    submits = [message for message in docker.backend.sent if isinstance(message, Submit)]
    return submits[-1].request


@pytest.mark.parametrize("mode", MODES)
def test_each_mode_has_its_button(ready, mode) -> None:
    """And only its own; pressing it asks for that."""
    ready.docker_model.change(edit_from="sky", edit_to="sea", teach_word="my wool")
    for height in (5, 7):  # to be taught from
        ready.canvas.add("wool", Bounds(0, 0, height, 9))
    ready.one(f"tapestry_mode_{mode}").click()
    ready.look()
    assert [name for name in MODES if ready.all(f"tapestry_{name}")] == [mode]
    ready.one(f"tapestry_{mode}").click()
    assert sent(ready).task == mode


def test_generating_only_what_is_selected(ready) -> None:
    """The rest stays as it is."""
    ready.one("tapestry_where").setCurrentIndex(1)
    ready.one("tapestry_where").activated.emit(1)
    ready.one("tapestry_generate").click()
    assert sent(ready).selection is not None


def test_refining_takes_strength_feather_and_context(ready) -> None:
    """By slider or by number: both show the same."""
    ready.one("tapestry_mode_refine").click()
    ready.look()
    ready.one("tapestry_strength_slider").setValue(5)
    assert ready.one("tapestry_strength").value() == pytest.approx(0.3)
    ready.one("tapestry_feather_px").setValue(4)
    assert ready.one("tapestry_feather_px_slider").value() == 4
    ready.one("tapestry_context_px").setValue(16)
    ready.one("tapestry_selection_prompt").write("clouds")
    ready.one("tapestry_refine").click()
    request = sent(ready)
    assert request.prompt == "clouds"
    assert (request.strength, request.feather_px) == (pytest.approx(0.3), 4)
    assert (request.height, request.width) == (60, 60)


def test_filling_and_extending_say_what_harmonising_costs(ready) -> None:
    """One number for both, with its slider; at 0 nothing is said."""
    ready.one("tapestry_mode_fill").click()
    ready.look()
    assert not ready.all("tapestry_harmonise_cost_fill")
    ready.one("tapestry_harmonise_slider").setValue(3)
    assert ready.one("tapestry_harmonise").value() == 3
    assert "3 times as long" in ready.one("tapestry_harmonise_cost_fill").text()
    ready.one("tapestry_selection_prompt").write("clouds")
    ready.one("tapestry_fill").click()
    assert sent(ready).harmonise == 3
    ready.one("tapestry_mode_extend").click()
    ready.look()
    assert ready.one("tapestry_harmonise").value() == 3
    ready.one("tapestry_harmonise").setValue(10)
    assert "7.7 times as long" in ready.one("tapestry_harmonise_cost_extend").text()
    ready.one("tapestry_mode_refine").click()
    ready.look()
    assert not ready.all("tapestry_harmonise")


def test_editing_takes_words_a_method_and_a_place(ready) -> None:
    """Each method goes as far back as is best for it; a layer of that name says where."""
    ready.one("tapestry_mode_edit").click()
    ready.look()
    assert "without a selection the words find" in ready.one("tapestry_edit_where").text()
    assert not ready.all("tapestry_edit_shapes")
    ready.one("tapestry_edit_from").write("grass")
    ready.one("tapestry_edit_to").write("lava")
    ready.one("tapestry_edit_threshold").setValue(0.6)
    ready.canvas.selection_mask = None
    ready.one("tapestry_edit").click()
    found = sent(ready)
    method = ready.one("tapestry_edit_method")
    method.activated.emit(method.findData("p2p"))
    ready.one("tapestry_edit_shapes").click()
    ready.one("tapestry_edit_cross_attention").setValue(0.7)
    ready.one("tapestry_edit_from").write("sky")
    where = ready.one("tapestry_edit_where").text()
    ready.one("tapestry_edit").click()
    named = sent(ready)
    kept = Settings.from_text(ready.host.settings["docker"])

    assert (found.task, found.prompt, found.strength) == ("edit", "lava", 0.8)
    assert found.edit == Edit("diffedit", "grass", 0.6)
    assert where == "The layer \u201csky\u201d says where."
    (region,) = named.regions
    assert (region.source_prompt, region.prompt, named.strength) == ("sky", "lava", 1.0)
    assert (named.edit.method, named.edit.threshold) == ("p2p", 0.0)
    assert named.edit.cross_attention == 0.7
    assert (kept.mode, kept.edit_to, kept.edit_method) == ("edit", "lava", "p2p")


def test_every_method_of_an_edit_has_words_in_the_docker(ready) -> None:
    """Whatever the protocol knows can be chosen, and comes back from what is kept."""
    ready.one("tapestry_mode_edit").click()
    ready.look()
    methods = ready.one("tapestry_edit_method")
    offered = [methods.itemData(index) for index in range(methods.count())]
    assert offered == list(get_args(EditMethod))
    for index, method in enumerate(offered):
        assert methods.itemText(index)
        methods.activated.emit(index)
        ready.look()
        assert methods.currentIndex() == index
        assert Settings.from_text(ready.host.settings["docker"]).edit_method == method


_ONLY = {"follows_instructions": True, "only_instructions": True}


def know_models(docker, *, chosen: str) -> None:
    """The backend has one that paints, and one that follows instructions."""
    models = (
        ModelInfo("sample", "sample", 128),
        ModelInfo("pix2pix", "pix2pix", 512, "sd1", **_ONLY),
        ModelInfo("klein", "klein", 1024, "flux2", follows_instructions=True, references=4),
    )
    docker.backend.tell(Welcome(PROTOCOL_VERSION, VERSION, models))
    docker.docker_model.change_and_tell(model=chosen)


def follow_an_instruction(docker, words: str) -> None:
    """Choose the method, and write what shall change."""
    docker.one("tapestry_mode_edit").click()
    docker.look()
    method = docker.one("tapestry_edit_method")
    method.activated.emit(method.findData("instruct"))
    docker.look()
    docker.one("tapestry_edit_instruction").write(words)


def test_an_instruction_takes_one_line(ready) -> None:
    """And how closely the picture is kept to; no place is looked for by words."""
    know_models(ready, chosen="pix2pix")
    follow_an_instruction(ready, "make it night")
    for hidden in ("edit_from", "edit_to", "edit_shapes", "find_place", "edit_threshold", "prompt"):
        assert not ready.all(f"tapestry_{hidden}"), hidden
    where = ready.one("tapestry_edit_where").text()
    ready.one("tapestry_edit_picture_scale").setValue(1.7)
    ready.one("tapestry_edit").click()
    request = sent(ready)

    assert where == "All of the picture changes, or what is selected."
    assert (request.prompt, request.regions, request.model) == ("make it night", (), "pix2pix")
    assert (request.edit.method, request.edit.source_prompt) == ("instruct", "")
    assert (request.edit.picture_scale, request.strength) == (pytest.approx(1.7), 1.0)
    assert ready.docker_model.prompt_history.prompts == ("make it night",)


def test_a_model_that_is_shown_pictures_says_which_part(ready) -> None:
    """In place of how closely the picture is kept to; it paints without an instruction as well."""
    know_models(ready, chosen="klein")
    follow_an_instruction(ready, "make it night")
    assert not ready.all("tapestry_edit_picture_scale")
    shown = ready.one("tapestry_edit_picture_shown")
    assert shown.currentData() == "window"
    shown.activated.emit(shown.findData("whole"))
    ready.look()
    ready.one("tapestry_edit").click()
    request = sent(ready)

    assert shown.currentData() == "whole"
    assert (request.edit.method, request.edit.picture_shown) == ("instruct", "whole")
    know_models(ready, chosen="pix2pix")
    ready.look()
    assert not ready.all("tapestry_edit_picture_shown")
    assert ready.all("tapestry_edit_picture_scale")


def test_a_reference_is_chosen_among_the_layers(ready) -> None:
    """For models that are shown pictures; too many are told of before anything is sent."""
    ready.canvas.add("wool", Bounds(48, 0, 80, 128))
    ready.look()
    know_models(ready, chosen="klein")
    follow_an_instruction(ready, "make it of this")
    choice = ready.one("tapestry_edit_reference")
    words = [choice.itemText(number) for number in range(choice.count())]
    assert words[:2] == ["none", "Favourites of the history"]
    assert choice.currentText() == "none"
    choice.activated.emit(choice.findText("wool"))
    ready.look()
    ready.one("tapestry_edit").click()
    request = sent(ready)

    assert choice.currentText() == "wool"
    assert len(request.edit.references) == 1
    know_models(ready, chosen="pix2pix")
    ready.look()
    assert not ready.all("tapestry_edit_reference")


def test_several_instructions_name_their_layers(ready) -> None:
    """Both are said to say where."""
    ready.canvas.add("grass", Bounds(48, 0, 80, 128))
    ready.look()
    know_models(ready, chosen="pix2pix")
    follow_an_instruction(ready, "sky; grass; make it night")
    where = ready.one("tapestry_edit_where").text()
    assert where == "The layers \u201csky\u201d, \u201cgrass\u201d say where."


def test_a_learned_picture_takes_one_line_and_a_slider(ready) -> None:
    """No place is looked for, and nothing of other methods is seen."""
    ready.one("tapestry_mode_edit").click()
    ready.look()
    method = ready.one("tapestry_edit_method")
    method.activated.emit(method.findData("imagic"))
    ready.look()
    for hidden in ("edit_from", "edit_shapes", "find_place", "edit_picture_scale", "edit_cycle"):
        assert not ready.all(f"tapestry_{hidden}"), hidden
    ready.one("tapestry_edit_to").write("lava")
    ready.one("tapestry_edit_interpolation").setValue(1.2)
    ready.one("tapestry_edit_learning_steps").setValue(80)
    where = ready.one("tapestry_edit_where").text()
    ready.one("tapestry_edit").click()
    request = sent(ready)

    assert where == "All of the picture changes, or what is selected."
    assert (request.prompt, request.regions, request.strength) == ("lava", (), 1.0)
    wanted = Edit("imagic", threshold=0.0, interpolation=1.2, learning_steps=80)
    assert request.edit == wanted
    ready.docker_model.change_and_tell(edit_method="diffedit")
    ready.look()
    assert ready.one("tapestry_edit_from").isVisible()
    assert not ready.all("tapestry_edit_interpolation")


def test_a_picture_of_another_model_is_turned(ready) -> None:
    """One of those that paint, but for the chosen one; and back, where that is wanted."""
    names = ("sample", "anime", "oils")
    models = tuple(ModelInfo(name, name, 128) for name in names)
    follows = ModelInfo("pix2pix", "pix2pix", 512, "sd1", **_ONLY)
    ready.backend.tell(Welcome(PROTOCOL_VERSION, VERSION, (*models, follows)))
    ready.docker_model.change_and_tell(model="sample")
    ready.one("tapestry_mode_edit").click()
    ready.look()
    method = ready.one("tapestry_edit_method")
    method.activated.emit(method.findData("ddib"))
    ready.look()
    source = ready.one("tapestry_edit_source_model")
    assert [source.itemData(index) for index in range(source.count())] == ["", "anime", "oils"]
    source.activated.emit(source.findData("oils"))
    ready.one("tapestry_edit_cycle").click()
    ready.one("tapestry_edit_from").write("grass")
    ready.one("tapestry_edit_to").write("lava")
    ready.one("tapestry_edit").click()
    request = sent(ready)

    assert (request.edit.source_model, request.edit.cycle) == ("oils", True)
    assert source.currentIndex() == 2
    ready.docker_model.change_and_tell(model="oils")
    ready.look()
    assert source.currentText() == "the same model"
    ready.backend.tell(Welcome(PROTOCOL_VERSION, VERSION, models[:1]))
    ready.docker_model.change_and_tell(model="sample")
    ready.look()
    assert source.currentText() == "oils"


def test_a_model_that_follows_no_instruction_says_so_before_anything_is_read(ready) -> None:
    """In its place in the docker, with those that do; and when the button is pressed."""
    know_models(ready, chosen="sample")
    follow_an_instruction(ready, "make it night")
    where = ready.one("tapestry_edit_where").text()
    ready.one("tapestry_edit").click()
    refused = ready.docker_model.notice
    asked = list(ready.docker_model.queue.jobs)
    ready.backend.tell(Welcome(PROTOCOL_VERSION, VERSION, (ModelInfo("sample", "sample", 128),)))
    without = ready.one("tapestry_edit_where").text()

    assert "follows no instructions" in where
    assert "pix2pix" in where
    assert str(refused.message) == "The model \u201csample\u201d follows no instructions."
    assert refused.advice
    assert asked == []
    assert without.startswith("None of your models follows instructions")


def test_the_bundled_model_leaves_instructions_to_what_it_became(ready) -> None:
    """Nothing has to be chosen, and the choice stays what it is."""
    models = (ModelInfo("sample", "sample", 128), ModelInfo("sample-edit", "e", 128, **_ONLY))
    ready.backend.tell(Welcome(PROTOCOL_VERSION, VERSION, models))
    ready.docker_model.change_and_tell(model="sample")
    follow_an_instruction(ready, "make it night")
    where = ready.one("tapestry_edit_where").text()
    ready.one("tapestry_edit").click()
    request = sent(ready)

    assert where == "All of the picture changes, or what is selected."
    assert request.model == "sample-edit"
    assert ready.docker_model.settings.model == "sample"


@pytest.mark.parametrize("mode", ["generate", "upscale"])
def test_a_model_that_only_follows_instructions_paints_nothing_else(ready, mode: str) -> None:
    """That is said at once, not when it has waited for its turn."""
    know_models(ready, chosen="pix2pix")
    ready.one(f"tapestry_mode_{mode}").click()
    ready.look()
    ready.one(f"tapestry_{mode}").click()
    assert "only follows instructions" in str(ready.docker_model.notice.message)
    assert ready.docker_model.queue.jobs == []


def test_the_background_has_a_field_where_it_counts(ready) -> None:
    """An edit whose words find the place asks for none; one whose layer says where does."""
    assert ready.all("tapestry_prompt")
    ready.one("tapestry_mode_edit").click()
    ready.docker_model.change_and_tell(edit_from="grass", edit_to="lava")
    ready.look()
    assert not ready.all("tapestry_prompt")
    ready.docker_model.change_and_tell(edit_from="sky")
    ready.look()
    assert ready.all("tapestry_prompt")


def test_a_found_place_is_shown_and_taken_over(ready) -> None:
    """Its threshold moves what is bright at once; it becomes a selection, or a layer."""
    ready.one("tapestry_mode_edit").click()
    ready.docker_model.change_and_tell(edit_from="grass", edit_to="lava")
    ready.canvas.selection_mask = None
    ready.look()
    assert not ready.all("tapestry_place_picture")
    ready.one("tapestry_find_place").click()
    request = sent(ready)
    grey = bytes(n % 128 * 2 for n in range(96 * 128) for _ in range(4))
    (job,) = ready.docker_model.queue.jobs
    reference = PixelsRef.of(Pixels(96, 128, 4, grey))
    result = Result(job.id, reference, Bounds(0, 0, 96, 128), request.seed, "{}")
    ready.backend.tell(result, reference.with_data(grey))
    ready.look()
    picture = ready.one("tapestry_place_picture")
    shown = []
    for threshold in (0.25, 0.75):
        ready.one("tapestry_edit_threshold").setValue(threshold)
        bright = [x for x in range(128) if picture.heat().pixelColor(x, 5).red() == 255]
        shown.append(min(bright))
    asked = len(ready.backend.sent)
    ready.one("tapestry_place_as_selection").click()
    ready.one("tapestry_place_as_layer").click()
    ready.look()

    assert request.edit.map_only
    assert shown == [32, 96], "as many levels as a quarter, and three"
    assert ready.canvas.selection_mask[0] == Bounds(0, 96, 96, 128)
    assert ready.canvas.names[0] == "grass"
    assert len(ready.backend.sent) == asked, "none of this asks the backend"
    ready.one("tapestry_edit_threshold").setValue(1.0)
    ready.one("tapestry_place_as_selection").click()
    assert ready.docker_model.notice.message == "No place shows it so clearly."


def test_upscaling_takes_factor_strength_and_a_place(ready) -> None:
    """The new size can be read; what is set is kept."""
    ready.one("tapestry_mode_upscale").click()
    ready.look()
    assert ready.one("tapestry_upscaled_size").text() == "256 \u00d7 192 px"
    ready.one("tapestry_upscale_factor_slider").setValue(5)
    assert ready.one("tapestry_upscale_factor").value() == 4
    ready.one("tapestry_upscale_factor").setValue(2.5)
    ready.one("tapestry_upscale_strength").setValue(0.6)
    assert ready.one("tapestry_upscaled_size").text() == "320 \u00d7 240 px"
    ready.one("tapestry_upscale").click()
    whole = sent(ready)
    into = ready.one("tapestry_upscale_into")
    into.activated.emit(into.findData("selection"))
    ready.one("tapestry_upscale").click()
    part = sent(ready)
    kept = Settings.from_text(ready.host.settings["docker"])

    assert (whole.factor, whole.strength) == (2.5, pytest.approx(0.6))
    assert (whole.height, whole.width, whole.selection) == (96, 128, None)
    assert (part.height, part.width, part.selection) == (32, 32, None)
    assert not ready.all("tapestry_upscaled_size")
    assert (kept.mode, kept.upscale_factor, kept.upscale_into) == ("upscale", 2.5, "selection")


def test_a_network_that_enlarges_is_chosen_where_some_are_found(ready) -> None:
    """It goes into the request; with a backend that lacks it the filter enlarges again."""
    ready.one("tapestry_mode_upscale").click()
    ready.look()
    assert not ready.all("tapestry_upscaler")
    welcome = Welcome(PROTOCOL_VERSION, VERSION, (), upscalers=("4x-sharp", "8x-soft"))
    ready.docker_model.hear(welcome, None)
    ready.look()
    choice = ready.one("tapestry_upscaler")
    choice.activated.emit(choice.findData("8x-soft"))
    ready.one("tapestry_upscale").click()
    sharp = sent(ready)
    ready.docker_model.hear(replace(welcome, upscalers=("4x-sharp",)), None)
    ready.look()
    ready.one("tapestry_upscale").click()

    assert [choice.itemText(n) for n in range(choice.count())] == [
        "Enlarged by a filter",
        "Enlarged by 4x-sharp",
    ]
    assert choice.currentData() == ""
    assert (sharp.upscaler, sent(ready).upscaler) == ("8x-soft", "")


def test_one_button_makes_a_picture_and_then_a_larger_one(ready) -> None:
    """It says how much larger; the factor beside it is not asked."""
    ready.one("tapestry_mode_upscale").click()
    ready.look()
    button = ready.one("tapestry_upscale_by_four")
    button.click()

    assert button.text() == "Make it 4 times as large"
    assert sent(ready).task == "generate"


@pytest.mark.parametrize("language", ["en", "de"])
@pytest.mark.parametrize(("share", "lines"), [(0.75, 2), (0.98, 2), (1.0, 1), (3.0, 1)])
def test_no_word_of_a_mode_is_cut_off(docker, language: str, share: float, lines: int) -> None:
    """In a narrow docker they stand in two lines: where one has no room for all with their rims."""
    choose_language([language])
    tabs = ModeTabs(docker.docker_model)
    choose_language(["en"])
    shown = [tabs.findChild(QWidget, f"tapestry_mode_{mode}") for mode in MODES]
    words = [tab.fontMetrics().horizontalAdvance(tab.text()) + 8 for tab in shown]
    places = set()
    for width in (30, round(share * (sum(words) + len(words) - 1))):
        tabs.resize(width, tabs.sizeHint().height())
        tabs.show()
        QApplication.processEvents()
        places = {tab.y() for tab in shown}
    fitting = [tab.width() >= word for tab, word in zip(shown, words, strict=True)]
    inside = [tabs.rect().contains(tab.geometry()) for tab in shown]
    tabs.deleteLater()

    assert len(places) == lines
    assert all(fitting)
    assert all(inside)


@pytest.mark.parametrize("is_closed", [False, True])
def test_edges_suggest_a_prompt(ready, is_closed: bool) -> None:
    """When the artist asks for it: it becomes the background's, and the earlier one is known.

    What a document shows that was closed meanwhile is no prompt for another one.
    """
    ready.one("tapestry_mode_extend").click()
    ready.docker_model.change_and_tell(prompt="fog", extend_right=16)
    ready.look()
    ready.one("tapestry_suggest_prompt").click()
    request = sent(ready)
    (job,) = ready.docker_model.queue.jobs
    pixel = Pixels(1, 1, 4, bytes(4))
    said = [{"prompt": "", "names": [name], "shows": True} for name in ("sky", "grass")]
    report = json.dumps({"recognised": said})
    result = Result(job.id, PixelsRef.of(pixel), Bounds(0, 0, 1, 1), 0, report)
    ready.canvas.is_open = not is_closed
    ready.backend.tell(result, pixel)
    ready.loop.run()

    assert ready.docker_model.queue.jobs == []
    if is_closed:
        assert ready.docker_model.settings.prompt == "fog"
        return
    assert (request.task, request.names) == ("recognise", ("fog", "sky"))
    assert ready.one("tapestry_prompt").text() == "sky, grass"
    assert "The edges show: sky, grass." in str(ready.docker_model.notice.message)
    assert "fog" in ready.docker_model.prompt_history.prompts


def test_extending_to_several_sides(ready) -> None:
    """Each side by its own number; the new size can be read."""
    ready.one("tapestry_mode_extend").click()
    ready.look()
    for side, px in (("left", 16), ("right", 0), ("top", 8), ("bottom", 24)):
        ready.one(f"tapestry_extend_{side}").setValue(px)
    assert ready.one("tapestry_new_size").text() == "144 \u00d7 128 px"
    ready.one("tapestry_extend").click()
    assert sent(ready).margins == Margins(top=8, left=16, bottom=24)


def test_an_extension_goes_on_with_its_regions_unless_it_shall_not(ready) -> None:
    """One switch for the extension; other tasks know nothing of it."""
    ready.one("tapestry_mode_extend").click()
    ready.look()
    assert ready.one("tapestry_continue").isChecked()
    ready.one("tapestry_continue").click()
    ready.one("tapestry_extend").click()
    assert not sent(ready).continue_regions


@pytest.mark.parametrize(
    ("preset", "margins", "wraps"),
    [
        ("half", Margins(right=64), False),
        ("double", Margins(right=128), False),
        ("around", Margins(left=32, right=32), True),
        ("nothing", Margins(), False),
    ],
)
def test_presets_of_an_extension(ready, preset, margins, wraps) -> None:
    """The sides that grow now go on to be the ones; all around wraps."""
    ready.one("tapestry_mode_extend").click()
    ready.look()
    actions = ready.panel.findChildren(QAction)
    next(a for a in actions if a.objectName() == f"tapestry_extend_{preset}").trigger()
    assert ready.docker_model.settings.margins == margins
    assert ready.docker_model.settings.wrap is wraps
    assert ready.one("tapestry_extend_left").value() == margins.left


@pytest.mark.parametrize("side", ["top", "left", "bottom", "right"])
def test_dragging_an_arrow_grows_the_canvas(ready, side) -> None:
    """The outline follows the pointer; back beyond the edge is nothing."""
    ready.one("tapestry_mode_extend").click()
    ready.docker_model.change_and_tell(extend_right=0)
    ready.look()
    picture: ExtendPicture = ready.one("tapestry_extend_picture")
    across, down = {"top": (0, -1), "left": (-1, 0), "bottom": (0, 1), "right": (1, 0)}[side]
    before, scale = picture.handle(side), picture.canvas_rectangle().width() / 128
    drag(picture, before, QPointF(before.x() + across * 32 * scale, before.y() + down * 32 * scale))
    assert getattr(ready.docker_model.settings, f"extend_{side}") == 32
    held = picture.handle(side)
    far = QPointF(held.x() - across * 400, held.y() - down * 400)
    drag(picture, held, far)
    assert ready.docker_model.settings.margins == Margins()


def test_the_wheel_scrolls_the_docker_and_changes_nothing(ready) -> None:
    """A field changes by the wheel only after it was chosen."""
    steps = ready.one("tapestry_steps")
    here, none = QPointF(2, 2), Qt.KeyboardModifier.NoModifier
    wheel = QWheelEvent(
        *(here, here, QPoint(0, 120), QPoint(0, 120), Qt.MouseButton.NoButton, none),
        Qt.ScrollPhase.NoScrollPhase,
        False,  # noqa: FBT003  Qt's signature
    )
    before = steps.value()
    QApplication.sendEvent(steps, wheel)
    assert steps.value() == before


def drag(widget: QWidget, start: QPointF, end: QPointF) -> None:
    """Press, move, let go."""
    button, none = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    for kind, place, handler in (
        (QEvent.Type.MouseButtonPress, start, widget.mousePressEvent),
        (QEvent.Type.MouseMove, end, widget.mouseMoveEvent),
        (QEvent.Type.MouseButtonRelease, end, widget.mouseReleaseEvent),
    ):
        handler(QMouseEvent(kind, place, button, button, none))


@pytest.mark.parametrize(
    ("window", "highlight"), [((71, 71, 71), (83, 114, 142)), ((212, 212, 212), (92, 144, 188))]
)
def test_the_outline_of_an_extension_stands_out(window, highlight) -> None:
    """At least 3 : 1 against the window of Krita's dark theme and of its bright one."""
    palette = QPalette()
    palette.setColor(QPalette.ColorRole.Window, QColor(*window))
    palette.setColor(QPalette.ColorRole.Highlight, QColor(*highlight))
    mark = mark_of(palette)
    shades = sorted(map(_luminance, (window, (mark.red(), mark.green(), mark.blue()))))
    assert (shades[1] + 0.05) / (shades[0] + 0.05) >= 3


def _luminance(color: tuple[int, int, int]) -> float:
    """Relative luminance as in WCAG 2, of an sRGB colour."""
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in (channel / 255 for channel in color)
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_live_is_shown_of_the_document_in_front(ready) -> None:
    """Pressed, with its line, in the document that is painted live; in another one it is up."""
    ready.one("tapestry_mode_generate").click()
    ready.one("tapestry_live").click()
    ready.loop.run(1)
    assert ready.one("tapestry_live").isChecked()
    assert ready.all("tapestry_live_line")

    assert ready.all("tapestry_live_steps")
    assert not ready.all("tapestry_live_quick")

    ready.host.create_canvas(48, 48, "other")
    ready.look()
    ready.loop.run(1)
    assert not ready.one("tapestry_live").isChecked()
    assert not ready.all("tapestry_live_line")
    assert not ready.all("tapestry_keep_live")

    ready.host.canvases.pop()
    ready.look()
    ready.loop.run(1)
    assert ready.one("tapestry_live").isChecked()
    assert ready.all("tapestry_live_line")


def test_the_live_switch_stays_up_without_a_document(ready) -> None:
    """Qt presses it by itself; the sentence says what is missing."""
    ready.one("tapestry_mode_generate").click()
    ready.host.canvases.clear()
    ready.one("tapestry_live").click()
    assert not ready.one("tapestry_live").isChecked()
    assert "No document is open" in str(ready.docker_model.notice.message)


def test_live_is_quick_with_a_model_that_can_be(ready) -> None:
    """Then its steps are no choice; without the tick they are."""
    ready.one("tapestry_mode_generate").click()
    quick = ModelInfo("sample", "sample", 128, quick=True)
    ready.backend.tell(Welcome(PROTOCOL_VERSION, VERSION, (quick,)))
    ready.one("tapestry_live").click()
    ready.loop.run(1)
    assert ready.one("tapestry_live_quick").isChecked()
    assert not ready.all("tapestry_live_steps")

    ready.one("tapestry_live_quick").click()
    assert ready.all("tapestry_live_steps")
    assert not ready.docker_model.settings.live_quick
