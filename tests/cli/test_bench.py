"""The command: its options, the table, and the keys of the JSON."""

import json

import pytest

from tapestry_backend.bench.common.goals import GOALS, KEYS, Goal
from tapestry_backend.bench.quality import composition, editing, sharpness
from tapestry_backend.bench.quality.report import table
from tapestry_backend.cli import main
from tapestry_backend.cli.bench import MEASURES, OF_QUALITY
from tests.models.tiny_checkpoints import save_checkpoint

KEYS_OF_JSON = {
    "adherence": {"tapestry", "paper", "thin"},
    "seams": {"panorama", "wrap", "extension", "extension_wide", "frame", "fill", "tiled_decode"},
    "coherence": {"off", "on"},
    "sharpness": {"few_step"},
    "composition": {"one_horizon", "plain_windows"},
    "outlines": {"tapestry", "worst"},
    "opacity": {"rank", "step"},
    "strokes": {"worst_4", "worst_8", "worst_12", "worst_16", "worst_24"},
    "foreign": {"hard", "feather", "soft"},
    "small_canvas": {"parts"},
    "extension": {"continues", "upwards"},
    "detail": {"balanced", "fast"},
    "upscaling": {"psnr", "detail", "seams", "evaluations", "one_horizon", "objects", "specks"},
    "live": {"evaluations", "flicker", "first", "adherence"},
    "editing": {"iou", "round_trip", "p2p_structure", "p2p_adherence"},
    "harmonising": {"border_3", "adherence_3", "evaluations_3"},
    "melting": {"melted_adherence", "melted_structure", "melted_outline"},
}


def test_a_run_has_every_figure(tmp_path, capsys, monkeypatch) -> None:
    """All measures, with a model that paints nothing to speak of: the keys are what matters."""
    monkeypatch.setattr(composition, "_STEPS", 20)
    monkeypatch.setattr(sharpness, "_PICTURES", 1)
    monkeypatch.setattr(editing, "_STEPS", 4)
    monkeypatch.setattr(editing, "_LEARNING_STEPS", 4)
    folder = save_checkpoint(tmp_path / "model")
    where, sheet = tmp_path / "quality.json", tmp_path / "sheet.png"
    arguments = ["bench", "quality", "--quick", "--steps", "1", "--seed", "3"]
    arguments += ["--model", str(folder)]
    assert main([*arguments, "--json", str(where), "--sheet", str(sheet)]) == 0

    found = json.loads(where.read_text(encoding="utf-8"))
    details = found.pop("details")
    assert found.pop("exactness") == 1
    assert {measure: set(figures) for measure, figures in found.items()} == KEYS_OF_JSON
    assert all(isinstance(v, float) for figures in found.values() for v in figures.values())
    assert details["run"]["num_inference_steps"] == 1
    assert details["seams"]["paper_and_diffusers_differ_by"] <= 1
    assert sheet.read_bytes()[:4] == b"\x89PNG"
    _check_table(capsys.readouterr().out)


def test_edits_can_be_measured_alone(tmp_path, capsys, monkeypatch) -> None:
    """With every figure of them, those of learned pictures too, and no other."""
    monkeypatch.setattr(editing, "_STEPS", 4)
    monkeypatch.setattr(editing, "_LEARNING_STEPS", 4)
    folder = save_checkpoint(tmp_path / "model")
    arguments = ["bench", "edit", "--quick", "--alone", "--steps", "1", "--model", str(folder)]
    assert main(arguments) == 0
    _, *lines = capsys.readouterr().out.splitlines()
    printed = [line.split()[0] for line in lines]
    beside = {"diffedit_iou"}  # alone
    wanted = {f"editing.{name}" for name in set(GOALS["editing"]) - beside}
    assert set(printed) == wanted | {f"harmonising.{name}" for name in GOALS["harmonising"]}


def _check_table(text: str) -> None:
    for measure in OF_QUALITY:
        for name in KEYS[measure]:
            key = measure if measure == name else f"{measure}.{name}"
            line = next(line for line in text.splitlines() if line.startswith(f"{key} "))
            assert str(GOALS[measure][name]) in line


def test_every_measure_has_goals_and_keys() -> None:
    """The command, the goals and the keys name the same measures."""
    from tapestry_backend.bench.quality.run import MEASURES as MEASURED

    assert tuple(MEASURED) == MEASURES == tuple(KEYS) == tuple(GOALS)
    for measure, names in KEYS.items():
        assert set(names) <= set(GOALS[measure])


def test_the_table_says_what_meets_its_goal() -> None:
    """Value, standard error, goal and verdict."""
    figures = {
        "adherence": {"tapestry": 0.5, "paper": 0.4},
        "seams": {"wrap": 1.07},
        "exactness": {"exactness": 1.0},
    }
    errors = {"adherence": {"tapestry": 0.02}, "seams": {"wrap": 0.02}, "exactness": {}}
    lines = [" ".join(line.split()) for line in table(figures, errors).splitlines()]

    assert lines[1].startswith("adherence.tapestry 0.5000 0.0200 >= 0.9 MISSED mean IoU")
    assert lines[2].startswith("adherence.paper 0.4000 the paper's loop")
    assert lines[3].startswith("seams.wrap 1.0700 0.0200 <= 1.05 in doubt across")
    assert lines[4].startswith("exactness 1.0000 >= 1 met original")


def test_a_goal_is_a_limit_on_one_side() -> None:
    """Or none at all."""
    assert Goal("", at_least=0.5).is_met(0.5)
    assert not Goal("", at_least=0.5).is_met(0.49)
    assert Goal("", at_most=1.02).is_met(1.02)
    assert not Goal("", at_most=1.02).is_met(1.03)
    assert Goal("").is_met(3) is None


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["quality", "--only", "beauty"], "“beauty” is none of adherence"),
        (["quality", "--steps", "0"], "no whole number"),
        (["quality", "--seed", "-1"], "no whole number"),
        (["beauty"], "invalid choice"),
        (["speed", "--peer", "nobody"], "invalid choice"),
    ],
)
def test_options_that_mean_nothing_are_refused(capsys, arguments, words: str) -> None:
    """With a sentence, before anything is loaded."""
    with pytest.raises(SystemExit) as caught:
        main(["bench", *arguments])

    assert caught.value.code == 2
    assert words in capsys.readouterr().err


def test_files_and_models_that_do_not_exist_are_refused(tmp_path, capsys) -> None:
    """Before minutes are spent."""
    nowhere = str(tmp_path / "nowhere" / "quality.json")
    assert main(["bench", "quality", "--json", nowhere]) == 2
    assert "cannot be written" in capsys.readouterr().err
    assert main(["bench", "quality", "--model", str(tmp_path)]) == 2
    assert "not a model folder" in capsys.readouterr().err
