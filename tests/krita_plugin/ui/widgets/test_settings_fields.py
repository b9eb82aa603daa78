"""The fields for how a picture is painted, presets, and the prompts that were used lately."""

from tapestry.qt.compat import (
    QAbstractButton,
    QAbstractSlider,
    QAbstractSpinBox,
    QAction,
    QApplication,
    QColor,
    QComboBox,
    QEvent,
    QKeyEvent,
    QPalette,
    Qt,
    QWidget,
)
from tapestry.settings.settings import MODES
from tapestry_protocol import PROTOCOL_VERSION, VERSION
from tapestry_protocol.messages import ModelInfo, Welcome
from tests.krita_plugin.ui.widgets.conftest import NARROW_PX


def test_every_number_has_a_slider_that_says_the_same(docker) -> None:
    """Whatever is moved, the settings follow."""
    docker.one("tapestry_more").click()
    docker.look()
    for name, value in (
        ("steps", 33),
        ("guidance", 7.5),
        ("coherence", 0.25),
        ("composition", 0.75),
        ("melt", 0.5),
        ("outline_px", 12),
    ):
        spin, slider = docker.one(f"tapestry_{name}"), docker.one(f"tapestry_{name}_slider")
        spin.setValue(value)
        moved = slider.value()
        slider.setValue(0)
        assert spin.value() == spin.minimum()
        slider.setValue(moved)
        assert spin.value() == value
    settings = docker.docker_model.settings
    assert (settings.num_inference_steps, settings.guidance_scale) == (33, 7.5)
    assert (settings.coherence, settings.composition, settings.outline_px) == (0.25, 0.75, 12)
    assert settings.melt == 0.5


def test_lists_say_and_set_what_is_chosen(docker) -> None:
    """Speed and scheduler; a preset moves them as well."""
    docker.one("tapestry_more").click()
    docker.look()
    for field, value in (("speed", "balanced"), ("scheduler", "ddim")):
        choice = docker.one(f"tapestry_{field}")
        place = choice.findData(value)
        choice.setCurrentIndex(place)
        choice.activated.emit(place)
        assert getattr(docker.docker_model.settings, field) == value
    docker.docker_model.use_preset("Fast")
    assert docker.one("tapestry_speed").currentText() == "Fast"
    docker.one("tapestry_prompt").write("sea")
    docker.one("tapestry_generate").click()
    docker.loop.run()
    assert docker.docker_model.job.order.request.speed == "fast"


def test_the_seed_is_locked_or_rolled_for_every_picture(docker) -> None:
    """By its lock; the die rolls it at once."""
    before = docker.docker_model.settings.seed
    docker.one("tapestry_dice").click()
    assert docker.one("tapestry_seed").value() == docker.docker_model.settings.seed != before
    docker.one("tapestry_seed").setValue(2**32 - 1)
    docker.one("tapestry_prompt").write("sea")
    docker.one("tapestry_generate").click()
    docker.loop.run()
    assert docker.docker_model.settings.seed == 2**32 - 1
    docker.docker_model.cancel()
    docker.one("tapestry_seed_lock").click()
    docker.one("tapestry_generate").click()
    assert docker.docker_model.settings.seed != 2**32 - 1


def test_presets_are_written_chosen_and_removed(docker) -> None:
    """By name; the fields show what was chosen."""
    names = docker.one("tapestry_preset")
    docker.one("tapestry_steps").setValue(33)
    names.setEditText("my own")
    docker.one("tapestry_keep_preset").click()
    names.setCurrentText("Fast")
    names.activated.emit(names.findText("Fast"))
    assert docker.one("tapestry_steps").value() == 8
    assert not docker.one("tapestry_remove_preset").isEnabled()
    names.setCurrentText("my own")
    names.activated.emit(names.findText("my own"))
    assert docker.one("tapestry_steps").value() == 33
    docker.one("tapestry_remove_preset").click()
    assert names.findText("my own") == -1


def test_prompts_that_were_used_are_offered(docker) -> None:
    """By the clock at the end of a line; one of them is taken as if it had been typed."""
    edit = docker.one("tapestry_prompt")
    (nothing,) = edit.recent().actions()
    assert not nothing.isEnabled()
    docker.docker_model.prompt_history.remember(["a & b", "very " * 50])
    first, second = edit.recent().actions()
    assert len(second.text()) <= 60
    assert isinstance(first, QAction)
    first.trigger()
    assert docker.docker_model.settings.prompt == "a & b"


def test_the_arrow_down_opens_the_list_of_prompts(docker) -> None:
    """Without a mouse."""
    docker.docker_model.prompt_history.remember(["moss"])
    edit = docker.one("tapestry_prompt")
    nothing = Qt.KeyboardModifier.NoModifier
    QApplication.sendEvent(edit, QKeyEvent(QEvent.Type.KeyPress, Qt.Key.Key_Down, nothing))
    menu = QApplication.activePopupWidget()
    assert [action.text() for action in menu.actions()] == ["moss"]
    menu.close()


def test_settings_are_there_again_after_a_start(docker) -> None:
    """Whatever was typed or moved."""
    docker.one("tapestry_style").write("oil paint")
    docker.one("tapestry_negative_prompt").write("text")
    docker.one("tapestry_batch").setValue(3)
    kept = type(docker.docker_model.settings).from_text(docker.host.settings["docker"])
    assert (kept.style, kept.negative_prompt, kept.batch) == ("oil paint", "text", 3)


def test_nothing_is_wider_than_a_narrow_docker(docker) -> None:
    """In every mode, with everything open."""
    docker.one("tapestry_more").click()
    for mode in MODES:
        docker.one(f"tapestry_mode_{mode}").click()
        docker.look()
        shown = [
            w for w in docker.panel.findChildren(QWidget) if w.isVisible() and not w.isWindow()
        ]
        ends = {w.objectName(): w.mapTo(docker.panel, w.rect().topRight()).x() for w in shown}
        assert max(ends.values()) <= max(NARROW_PX, docker.panel.minimumSizeHint().width())
    assert docker.panel.minimumSizeHint().width() <= NARROW_PX + 20


def test_everything_is_reached_by_the_keyboard_and_says_what_it_does(docker) -> None:
    """Every field takes the focus and has a tooltip.

    Of buttons of which one is down, that one takes it; the arrow keys lead to the others.
    """
    kinds = (QAbstractButton, QAbstractSlider, QAbstractSpinBox, QComboBox)
    fields = [
        widget
        for widget in docker.panel.findChildren(QWidget)
        if isinstance(widget, kinds) and widget.objectName().startswith("tapestry_")
    ]
    assert len(fields) > 30
    policy = Qt.FocusPolicy.TabFocus.value if hasattr(Qt.FocusPolicy.TabFocus, "value") else 1
    for field in fields:
        group = field.group() if isinstance(field, QAbstractButton) else None
        if group is not None and not field.isChecked():
            assert group.checkedButton() in fields
            continue
        taken = field.focusPolicy()
        assert (taken.value if hasattr(taken, "value") else int(taken)) & policy, field.objectName()
    silent = [field.objectName() for field in fields if not field.toolTip()]
    assert set(silent) <= {"tapestry_more", "tapestry_cancel", "tapestry_install"}


def test_symbols_follow_the_theme(docker) -> None:
    """Light on dark, dark on light."""
    button = docker.one("tapestry_dice")
    seen = []
    for color in ("#ffffff", "#000000"):
        palette = button.palette()
        palette.setColor(QPalette.ColorRole.ButtonText, QColor(color))
        button.setPalette(palette)
        QApplication.processEvents()
        image = button.icon().pixmap(64, 64).toImage()
        middle = QColor(image.pixel(image.width() // 2, image.height() // 2))
        seen.append(middle.lightness())
    assert seen[0] > 200
    assert seen[1] < 50


def test_the_step_cache_is_shown_for_models_that_have_one(docker) -> None:
    """With another model it is gone, and asks for nothing."""
    docker.one("tapestry_more").click()
    docker.backend.appear()
    docker.look(3)
    docker.loop.run(5)
    docker.backend.answer()
    models = (
        ModelInfo("sample", "sample", 128, "sd1"),
        ModelInfo("klein", "klein", 1024, "flux2", step_cache=True),
    )
    docker.backend.tell(Welcome(PROTOCOL_VERSION, VERSION, models))
    docker.look()
    assert not docker.all("tapestry_step_cache")

    docker.docker_model.change_and_tell(model="klein")
    docker.look()
    docker.one("tapestry_step_cache").setValue(0.12)
    assert docker.docker_model.settings.step_cache == 0.12
    docker.docker_model.change_and_tell(model="sample")
    docker.look()
    assert not docker.all("tapestry_step_cache")
    assert docker.docker_model.settings.step_cache == 0
