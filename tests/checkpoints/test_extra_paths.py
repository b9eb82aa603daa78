"""ComfyUI's extra_model_paths.yaml as people have it: followed, or told why not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tapestry_backend.checkpoints.program_folders import program_folders


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder elsewhere, which an environment variable names as well."""
    shelf = tmp_path / "shelf"
    for name in ("one", "two"):
        (shelf / name).mkdir(parents=True)
    (tmp_path / "ComfyUI" / "models").mkdir(parents=True)
    monkeypatch.setenv("SHELF", str(shelf))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    return shelf


FORMS = {
    "plain": "a:\n  base_path: {shelf}\n  checkpoints: one\n",
    "without a base": "a:\n  checkpoints: {shelf}/one\n",
    "without a section": "base_path: {shelf}\ncheckpoints: one\n",
    "relative to the file": "a:\n  base_path: ../shelf\n  checkpoints: one\n",
    "several lines": "a:\n  base_path: {shelf}\n  checkpoints: |\n    one\n\n",
    "a list": "a:\n  base_path: {shelf}\n  checkpoints:\n    - one\n    -\n",
    "a list in brackets": "a: {{base_path: {shelf}, checkpoints: [one]}}\n",
    "a variable": "a:\n  base_path: $SHELF\n  checkpoints: one\n",
    "a variable in braces": "a:\n  checkpoints: ${{SHELF}}/one\n",
    "home": "a:\n  base_path: ~/shelf\n  checkpoints: one\n",
    "tabs": "a:\n\tbase_path: {shelf}\n\tcheckpoints: |\n\t\tone\n",
    "quotes": "a:\n  base_path: '{shelf}'\n  checkpoints: \"one\"\n",
    "Windows' line ends": "a:\r\n  base_path: {shelf}\r\n  checkpoints: one\r\n",
    "a note in Latin-1": b"# mod\xe8les\na:\n  base_path: $SHELF\n  checkpoints: one\n",
    "a mark at the start": b"\xef\xbb\xbfa:\n  base_path: $SHELF\n  checkpoints: one\n",
    "UTF-16": "a:\n  base_path: $SHELF\n  checkpoints: one\n".encode("utf-16"),
    "a key in capitals": "a:\n  Base_Path: {shelf}\n  Checkpoints: one\n",
    "a section in a section": "a:\n  b:\n    base_path: {shelf}\n    checkpoints: one\n",
    "a base around a section": "a:\n  base_path: {shelf}\n  b:\n    checkpoints: one\n",
    "after many others": "".join(f"a{n}:\n  vae: $SHELF/two\n" for n in range(99))
    + "z:\n  checkpoints: {shelf}/one\n",
    "a section that holds itself": "a: &a\n  base_path: {shelf}\n  checkpoints: one\n  b: *a\n",
    "folders with names": "a:\n  base_path: {shelf}\n  checkpoints:\n    mine: one\n",
    "other programs' keys": "a:\n  base_path: {shelf}\n  checkpoints: one\n  clip_vision: x\n"
    "  upscale_models: y\n  vae_approx: z\n  hypernetworks: w\n  configs: v\n",
    "is_default": "a:\n  is_default: true\n  base_path: {shelf}\n  checkpoints: one/\n",
}


def written(shelf: Path, text: str | bytes) -> Path:
    """The program's folder, with such a file."""
    program = shelf.parent / "ComfyUI"
    data = text if isinstance(text, bytes) else text.format(shelf=shelf.as_posix()).encode()
    (program / "extra_model_paths.yaml").write_bytes(data)
    return program


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_followed(shelf: Path, form: str) -> None:
    """Without a word, as nothing is wrong with it."""
    layout = program_folders(written(shelf, FORMS[form]))

    assert [path.resolve() for path in layout.checkpoints] == [shelf / "one"]
    assert not layout.left_out


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a:\n  base_path: {shelf}x\n  checkpoints: one\n  loras: two\n", ["shelfx”, which"]),
        ("a:\n  base_path: {shelf}\n  checkpoints: |\n    one\n    gone\n", ["gone”, which"]),
        ("a:\n  base_path: $NO_SUCH\n  checkpoints: one\n", ["$NO_SUCH”, which"]),
        ("{{", ["is no YAML"]),
        ("- 1", ["names no folders"]),
        ("a:\n  checkpoints: {shelf}/one\n  lora: two\n", ["means nothing: “loras”"]),
        ("a:\n  checkpoint: {shelf}/one\n", ["means nothing: “checkpoints”"]),
        (
            "".join("a{n}:\n  vae: $SHELF/two\n".replace("{n}", str(n)) for n in range(1001)),
            ["more than 1000 sections"],
        ),
        ("a:\n  checkpoints: {shelf}/one\n  loras: #two\n", ["names no folder for “loras”"]),
        (
            "a:\n  checkpoints: {shelf}/one\n  Stable-diffusion: two\n",
            ["names “stable-diffusion”, which means nothing: “checkpoints”"],
        ),
        ("a:\n  basepath: {shelf}\n  loras: {shelf}/one\n", ["nothing: “base_path”"]),
        ("a:\n  base_dir: {shelf}\n  loras: {shelf}/one\n", ["nothing: “base_path”"]),
        ("a: 7\n", ["names no folders"]),
        (
            "a:\n  base_path: no\n  Base_Path: {shelf}\n  loras: one\n",
            ["names “Base_Path” twice in one place: only the last counts"],
        ),
        ("a:\n  b:\n    loras: {shelf}\na: 7\n", ["names “a” twice", "names no folders"]),
        ("a: [*b]", ["is no YAML"]),
        ("\0", ["is no YAML"]),
        ("#" * 2**18 + "\n", ["has more than 262144 bytes"]),
    ],
)
def test_an_entry_that_cannot_be_followed_is_reported(
    shelf: Path, text: str, told: list[str]
) -> None:
    """One sentence for each, and the folders beside it are taken all the same."""
    layout = program_folders(written(shelf, text))
    said = [str(each) for each in layout.left_out]

    assert len(said) == len(told), said
    assert all(part in sentence for part, sentence in zip(told, said, strict=True)), said
    if "gone" in told[0]:
        assert list(layout.checkpoints) == [shelf / "one"]


@pytest.mark.parametrize(
    "text",
    [
        "a:\n  checkpoints: {shelf}/one\na:\n  checkpoints: {shelf}/two\n",
        "a:\n  base_path: {shelf}/one\n  checkpoints: .\na:\n  base_path: {shelf}/two\n  unet: .\n",
        "a:\n  checkpoints: {shelf}/one\n  Checkpoints: {shelf}/two\n",
        "a:\n  checkpoints: |\n    {shelf}/one\n    {shelf}/one\n  checkpoints: [{shelf}/two]\n",
        "a:\na:\n  checkpoints: {shelf}/one\nA:\n  CHECKPOINTS: {shelf}/two\n",
        "a:\n  checkpoints: {shelf}/one\n  checkpoints:\nb:\n  unet: {shelf}/two\nb:\n",
    ],
)
def test_what_comes_twice_counts_twice(shelf: Path, text: str) -> None:
    """Sections of one name have each its own base; small and large letters mean the same."""
    layout = program_folders(written(shelf, text))
    assert set(layout.checkpoints) == {shelf / "one", shelf / "two"}
    assert not layout.left_out


def test_a_file_with_a_hidden_ending_is_told(tmp_path: Path) -> None:
    """Windows does not show it."""
    (tmp_path / "extra_model_paths.yaml.txt").write_text("a:\n  loras: .\n")
    (told,) = program_folders(tmp_path).left_out
    assert "its name ends with .txt" in told.message
    (tmp_path / "extra_model_paths.yaml").write_text("")
    assert not program_folders(tmp_path).left_out


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "a:\n", "a: {{}}\n"])
def test_a_file_without_folders_says_nothing(shelf: Path, text: str) -> None:
    """As ComfyUI brings it."""
    assert not [
        each for each in program_folders(written(shelf, text)).left_out if "YAML" in str(each)
    ]


BILLION = "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9) if i else 'x'}]\n" for i in range(12)
)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('a:\n  base_path: "E:\\0_models"\n  checkpoints: one\n', "without quotes"),
        ("a:\n  checkpoints: [[one, two]]\n", "lists"),
        (BILLION + "s:\n  checkpoints: *a11\n", "lists"),
    ],
)
def test_a_value_that_is_no_path_is_left_out_and_reported(
    shelf: Path, text: str, reason: str
) -> None:
    """Signs that no path has, and lists that hold themselves a billion times, keep nothing away."""
    program = shelf.parent / "ComfyUI"
    (program / "extra_model_paths.yaml").write_text(text, encoding="utf-8")
    layout = program_folders(program)

    assert any(reason in each.sentence for each in layout.left_out)


def test_a_windows_path_in_double_quotes_is_read(shelf: Path) -> None:
    """Of most of its backslashes YAML makes escapes that there are not."""
    text = 'a:\n  base_path: "C:\\Users\\me"\n  loras: loras\n'
    (told,) = program_folders(written(shelf, text)).left_out

    assert r"C:\Users\me" in told.message.replace("\\\\", "\\")
    assert "is not there" in told.message


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes with names are Unix'")
def test_a_pipe_is_not_waited_for(shelf: Path) -> None:
    """It is reported, and the folders that are there stay."""
    program = shelf.parent / "ComfyUI"
    os.mkfifo(program / "extra_model_paths.yaml")

    assert "no ordinary file" in program_folders(program).left_out[0].sentence


def test_folders_of_other_extensions_are_followed(shelf: Path) -> None:
    """Also where the program itself has no checkpoints."""
    text = "a:\n  base_path: {shelf}\n  lycoris: one\n  ipadapter: two\n"
    layout = program_folders(written(shelf, text))
    program = shelf.parent / "ComfyUI"
    both = program_folders(written(shelf, "a:\n  base_path: {shelf}\n  diffusers: one\n"))

    assert layout.adapters == (program, shelf / "one", shelf / "two")
    assert layout.checkpoints == (program,)
    assert both.checkpoints == (shelf / "one",)
    assert not layout.left_out
