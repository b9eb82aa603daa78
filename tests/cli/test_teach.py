"""The command `tapestry teach`: what it takes, what it writes, what it refuses."""

from pathlib import Path

import numpy as np
import pytest

from tapestry_backend.cli import main
from tapestry_backend.openraster.png import encode_png
from tests.models.tiny_checkpoints import save_checkpoint


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
    assert main(["teach", *arguments, *word, "--method", "word"]) == 2
    assert said in capsys.readouterr().err
