"""The command `tapestry teach`: what it takes, what it writes, what it refuses."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from tapestry_backend.cli import main
from tapestry_backend.openraster.png import encode_png
from tests.models.tiny_checkpoints import save_checkpoint
from tests.models.tiny_taught import save_taught


@pytest.fixture(autouse=True)
def _folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the person who runs this."""
    monkeypatch.setenv("TAPESTRY_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))


@pytest.fixture
def examples(tmp_path: Path) -> Path:
    """A folder with two pictures."""
    folder = tmp_path / "examples"
    folder.mkdir()
    for number in range(2):
        picture = np.full((40, 40, 4), 255, np.uint8)
        picture[::4, :, number] = 0
        (folder / f"{number}.png").write_bytes(encode_png(picture))
    return folder


def test_a_folder_teaches_a_word_that_paints(examples: Path, tmp_path: Path, capsys) -> None:
    """As a file, with `--lora FILE` or by the word itself; without it the picture is another."""
    model = str(save_checkpoint(tmp_path / "tiny"))
    wool, shown = tmp_path / "wool.safetensors", tmp_path / "wool.png"
    said = ["teach", str(examples), "--word", "my wool", "--method", "word", "--model", model]
    status = main([*said, "--minutes", "0.01", "-o", str(wool), "--picture", str(shown)])
    assert status == 0, capsys.readouterr().err
    assert wool.stat().st_size < 10_000
    assert shown.exists()
    assert "wool.safetensors" in capsys.readouterr().err
    made = []
    for lora in ([], ["--lora", str(wool)], ["--adapter", str(wool)]):
        out = tmp_path / f"{len(made)}.png"
        asked = ["edit", str(shown), "--to", "my wool", "--method", "ddib", "--model", model]
        assert main([*asked, "--steps", "2", "--quiet", "-o", str(out), *lora]) == 0
        made.append(out.read_bytes())
    assert made[1] == made[2] != made[0]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["nowhere.jpg"], "no kind of picture"),
        (["EMPTY"], "no picture in the folder"),
        (["EXAMPLES/0.png"], "One example is not enough"),
        (["EXAMPLES", "--word", " "], "is missing"),
        (["EXAMPLES", "--word", "Bricks", "--model", "sample"], "knows “Bricks” already"),
        (["EXAMPLES", "--word", "a", "--model", "sample"], "knows “a” already"),
        (["EXAMPLES/0.png", "EXAMPLES/0.png"], "all the same picture"),
        (["EXAMPLES", "--word", "a, b"], "names two things"),
        (["EXAMPLES", "--minutes", "0", "--model", "sample"], "Nothing was learned"),
        (["EXAMPLES", "-o", "NOWHERE/wool.safetensors"], "cannot be written"),
        (["EXAMPLES", "-o", "wool.bin"], "no kind of file"),
        (["EXAMPLES", "--layer", "wool"], "No layer"),
    ],
)
def test_what_is_wrong_is_told(given, said: str, examples: Path, tmp_path: Path, capsys) -> None:
    """As a sentence, with what to do."""
    (tmp_path / "empty").mkdir()
    places = {"EMPTY": tmp_path / "empty", "EXAMPLES": examples, "NOWHERE": tmp_path / "nowhere"}
    text = "\n".join(given)
    for name, place in places.items():
        text = text.replace(name, str(place))
    arguments = text.split("\n")
    word = [] if "--word" in given else ["--word", "my wool"]
    before = sorted(tmp_path.rglob("*"))
    assert main(["teach", *arguments, *word, "--method", "word"]) == 2
    assert said in capsys.readouterr().err
    assert sorted(tmp_path.rglob("*")) == before, "nothing is left behind"


@pytest.fixture
def two(tmp_path: Path) -> tuple[str, str]:
    """Two files that were taught to one tiny checkpoint."""
    model = str(save_checkpoint(tmp_path / "tiny"))
    for seed, word in enumerate(("wool", "felt")):
        save_taught(tmp_path / f"{word}.safetensors", model, f"my {word}", seed)
    return str(tmp_path / "wool.safetensors"), str(tmp_path / "felt.safetensors")


def test_two_files_become_one(two: tuple[str, str], tmp_path: Path, capsys) -> None:
    """The model is the one that they were taught to; both words bring the file along."""
    both, report = tmp_path / "both.safetensors", tmp_path / "report.json"
    said = ["teach", "--merge", *two, "-o", str(both), "--report", str(report)]
    assert main(said) == 0, capsys.readouterr().err
    about = json.loads(report.read_text())["merge"]
    assert about["words"] == ["my wool", "my felt"]
    assert about["sha256"] == hashlib.sha256(both.read_bytes()).hexdigest()
    error = capsys.readouterr().err
    assert "my wool" in error
    assert "both.safetensors" in error
    shown = tmp_path / "shown.png"
    shown.write_bytes(encode_png(np.full((64, 64, 4), 255, np.uint8)))
    made = []
    for adapter in ([], ["--adapter", str(both)]):
        out = tmp_path / f"{len(made)}.png"
        asked = ["edit", str(shown), "--to", "my felt", "--method", "ddib", "--steps", "2"]
        model = ["--model", str(tmp_path / "tiny")]
        assert main([*asked, *model, "--quiet", "-o", str(out), *adapter]) == 0
        made.append(out.read_bytes())
    assert made[0] != made[1]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["WOOL", "-o", "OUT"], "nothing to merge"),
        (["WOOL", "FELT"], "not said where"),
        (["WOOL", "FELT", "-o", "OUT", "--word", "ours"], "--word is for teaching"),
        (["WOOL", "FELT", "-o", "OUT", "--no-flips"], "--flips is for teaching"),
        (["WOOL", "FELT", "-o", "FELT"], "is what is merged"),
        (["WOOL", "FELT", "-o", "both.bin"], "no kind of file"),
        (["WOOL", "nowhere.safetensors", "-o", "OUT"], "There is no adapter"),
        (["WOOL", "FELT", "-o", "OUT", "--model", "WIDE"], "was made for"),
        (["WOOL", "FELT", "-o", "OUT", "--model", "nowhere"], "nowhere"),
    ],
)
def test_what_is_wrong_with_a_merge_is_told(given, said, two, tmp_path: Path, capsys) -> None:
    """As a sentence, and nothing is written."""
    save_checkpoint(tmp_path / "wide", text_width=64)
    places = {
        "WOOL": two[0],
        "FELT": two[1],
        "OUT": str(tmp_path / "out.safetensors"),
        "WIDE": str(tmp_path / "wide"),
    }
    before = Path(two[1]).read_bytes()
    assert main(["teach", "--merge", *(places.get(each, each) for each in given)]) == 2
    assert said in capsys.readouterr().err
    assert not Path(places["OUT"]).exists()
    assert Path(two[1]).read_bytes() == before
