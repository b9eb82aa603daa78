"""`tapestry batch`: many scenes, each by itself, and the same command goes on where it stopped."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tapestry_backend.cli import main
from tapestry_backend.cli.batch_manifest import NAME
from tapestry_backend.openraster.document import Document
from tests.cli.scenes import lines_of, paint, write_scene
from tests.server.serve import SCRIPTED_WORKER

QUICK = ["--steps", "1", "--composition", "0"]


def times_of(folder: Path) -> dict[str, int]:
    """When each picture was written."""
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("*.png")}


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """Where the pictures go; nothing is there yet."""
    return tmp_path / "out"


def run(scenes: list[Path], out: Path, *options: str) -> int:
    """The command, with few steps."""
    return main(["batch", *map(str, scenes), "-o", str(out), *QUICK, *options])


def test_every_scene_with_every_seed_is_what_render_makes(tmp_path: Path, out: Path) -> None:
    """To the byte; and the manifest says how each was made."""
    scenes = [write_scene(tmp_path / f"{name}.ora", name) for name in ("snow", "lava")]
    assert run(scenes, out, "--seed", "7", "--seeds", "2") == 0
    for scene in scenes:
        for seed in (7, 8):
            alone = tmp_path / "alone.png"
            single = ["render", str(scene), "-o", str(alone), *QUICK, "--quiet"]
            assert main([*single, "--seed", str(seed)]) == 0
            picture = out / f"{scene.stem}-seed{seed}.png"
            assert picture.read_bytes() == alone.read_bytes()
    lines = lines_of(out)
    assert [(line["scene"], line["seed"]) for line in lines] == [
        ("../snow.ora", 7),
        ("../snow.ora", 8),
        ("../lava.ora", 7),
        ("../lava.ora", 8),
    ]
    assert lines[2]["request"]["regions"][0]["prompt"] == "lava"
    assert lines[2]["plan"]["regions"][0]["prompt"] == "lava"
    assert len(lines[2]["model"]["sha256"]) == 64
    assert not [path.name for path in out.iterdir() if path.name.endswith(".part")]


def test_what_is_there_and_right_is_not_painted_again(
    tmp_path: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is gone, damaged, or of a scene that changed, is; and so are other settings."""
    for name in ("a", "b", "c", "d"):
        write_scene(tmp_path / "scenes" / f"{name}.ora", f"snow {name}")
    scenes = [tmp_path / "scenes"]
    assert run(scenes, out) == 0
    first, before = times_of(out), {p.name: p.read_bytes() for p in out.glob("*.png")}
    assert "4 painted, 0 were there, 0 failed." in capsys.readouterr().err
    assert run(scenes, out) == 0
    assert times_of(out) == first
    assert "0 painted, 4 were there, 0 failed." in capsys.readouterr().err

    (out / "a-seed0.png").unlink()
    (out / "b-seed0.png").write_bytes(before["b-seed0.png"][:-9])
    write_scene(tmp_path / "scenes" / "c.ora", "lava")
    assert run(scenes, out) == 0
    assert "3 painted, 1 were there, 0 failed." in capsys.readouterr().err
    assert times_of(out)["d-seed0.png"] == first["d-seed0.png"]
    for name in ("a", "b"):
        assert (out / f"{name}-seed0.png").read_bytes() == before[f"{name}-seed0.png"]
    assert (out / "c-seed0.png").read_bytes() != before["c-seed0.png"]
    assert len(lines_of(out)) == 4

    assert run(scenes, out, "--guidance-scale", "2") == 0
    assert "4 painted" in capsys.readouterr().err
    assert len(lines_of(out)) == 4


def test_one_bad_scene_takes_no_other_along(
    tmp_path: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each failure has its sentence, and the command says at the end how many there were."""
    good = write_scene(tmp_path / "good.ora", "snow")
    broken = tmp_path / "broken.ora"
    broken.write_bytes(good.read_bytes()[:-60])
    empty = write_scene(tmp_path / "empty.ora")
    gone, picture = tmp_path / "gone.ora", tmp_path / "picture.png"
    paint(8, 8).save(picture)
    (tmp_path / "nothing").mkdir()
    report = tmp_path / "report.json"
    scenes = [tmp_path / "nothing", broken, empty, gone, picture, good]
    assert run(scenes, out, "--seeds", "2", "--report", str(report)) == 2
    said = capsys.readouterr().err
    assert "10 of 12 pictures could not be painted." in said
    told = json.loads(report.read_text(encoding="utf-8"))
    assert (told["painted"], told["kept"], told["failed"]) == (2, 0, 10)
    failures = {Path(each["scene"]).name: each["message"] for each in told["failures"]}
    assert list(failures) == ["nothing", "broken.ora", "empty.ora", "gone.ora", "picture.png"]
    assert "No scene (.ora) lies" in failures["nothing"]
    assert "no ZIP archive" in failures["broken.ora"]
    assert "background prompt" in failures["empty.ora"]
    assert "cannot be read" in failures["gone.ora"]
    assert all(message in said for message in failures.values())
    assert [line["picture"] for line in lines_of(out)] == ["good-seed0.png", "good-seed1.png"]


def test_an_unforeseen_error_of_one_picture_takes_no_other_along(
    tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A bug, or too little memory."""
    from tapestry_backend.tasks import run as running

    scenes = [write_scene(tmp_path / f"{name}.ora", name) for name in ("snow", "lava")]
    real = running.run

    def fails(request, blobs, model_cache):
        if request.regions[0].prompt == "snow":
            raise KeyError("a bug")
        return real(request, blobs, model_cache)

    monkeypatch.setattr(running, "run", fails)
    assert run(scenes, out) == 2
    assert "went wrong while painting" in capsys.readouterr().err
    assert [line["picture"] for line in lines_of(out)] == ["lava-seed0.png"]


@pytest.fixture
def local_workers(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Options for a cluster that nobody has joined: workers of this computer paint."""
    from tapestry_backend.cli import batch

    monkeypatch.setattr(batch, "checked_cluster_command", lambda *_, **__: [])
    return ["--cluster", "auto"]


def test_workers_make_the_same(
    tmp_path: Path, out: Path, local_workers: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Pictures, labels and layers, to the byte; what was wrong with a scene; and what is there."""
    scenes = [write_scene(tmp_path / f"{name}.ora", name, "lava") for name in ("snow", "sand")]
    broken = tmp_path / "broken.ora"
    broken.write_bytes(scenes[0].read_bytes()[:-60])
    scenes.insert(1, broken)
    options = ["--seeds", "2", "--labels", "--ora", "--layered"]
    alone, said = tmp_path / "alone", []
    for folder, more in ((alone, []), (out, local_workers), (out, local_workers)):
        assert run(scenes, folder, *options, *more) == 2
        said.append(capsys.readouterr().err)
    assert "4 painted, 0 were there, 2 failed." in said[1]
    assert "0 painted, 4 were there, 2 failed." in said[2]
    assert "no ZIP archive" in said[1]
    expected = {path.name: path.read_bytes() for path in alone.glob("s*")}
    assert len(expected) == 16
    assert {path.name: path.read_bytes() for path in out.glob("s*")} == expected
    here, by_workers = (
        sorted(lines_of(folder), key=lambda line: line["picture"]) for folder in (alone, out)
    )
    for one, other in zip(here, by_workers, strict=True):
        assert one.keys() == other.keys()
        assert {**one, "seconds": 0} == {**other, "seconds": 0}


def test_what_a_worker_cannot_paint_is_written_down(
    tmp_path: Path,
    out: Path,
    local_workers: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Each picture with its sentence, and the worker lives on."""
    from tapestry_backend.cli import batch

    command = [sys.executable, str(SCRIPTED_WORKER)]
    monkeypatch.setattr(batch, "real_worker_command", lambda *_, **__: command)
    scenes = [write_scene(tmp_path / f"{name}.ora", name) for name in ("snow", "lava")]
    script = json.dumps({"at": 1, "do": "raise"})
    assert run(scenes, out, *local_workers, "--background", script, "--seeds", "2") == 2
    said = capsys.readouterr().err
    assert said.count("went wrong while painting") == 4
    assert "0 painted, 0 were there, 4 failed." in said
    assert not (out / NAME).exists()


def test_scenes_of_one_name_have_pictures_of_their_own(tmp_path: Path, out: Path) -> None:
    """The same in every run, in whatever order the scenes come, and whatever the case."""
    one = write_scene(tmp_path / "one" / "shore.ora", "snow")
    two = write_scene(tmp_path / "two" / "Shore.ora", "lava")
    assert run([one, two, one], out) == 0
    first = times_of(out)
    assert sorted(first) == ["Shore-2-seed0.png", "shore-seed0.png"]
    assert run([two, one], out) == 0
    assert times_of(out) == first


def test_labels_are_exact_and_can_come_later(tmp_path: Path, out: Path) -> None:
    """Nothing is painted for them, and from then on they belong to the picture."""
    scene = write_scene(tmp_path / "a.ora", "snow", "lava")
    assert run([scene], out) == 0
    first = times_of(out)
    assert run([scene], out, "--labels") == 0
    assert times_of(out)["a-seed0.png"] == first["a-seed0.png"]
    with Image.open(out / "a-seed0.labels.png") as image:
        assert image.mode == "L"
        numbers = np.array(image)
    assert (numbers == np.repeat([1, 2, 0], 8)[:, None]).all()
    classes = json.loads((out / "a-seed0.classes.json").read_text(encoding="utf-8"))
    assert [(each["number"], each["prompt"]) for each in classes] == [
        (0, "snow, lava"),
        (1, "snow"),
        (2, "lava"),
    ]
    (line,) = lines_of(out)
    assert set(line["files"]) == {"a-seed0.png", "a-seed0.labels.png", "a-seed0.classes.json"}
    assert line["plan"]["regions"][1]["prompt"] == "lava"

    write_scene(tmp_path / "a.ora", "snow")
    assert run([scene], out) == 0
    with Image.open(out / "a-seed0.labels.png") as image:
        assert (np.array(image) == np.repeat([1, 0, 0], 8)[:, None]).all()


def test_scenes_come_out_with_their_result(tmp_path: Path, out: Path) -> None:
    """With --ora, beside the picture, and also where that lies among the scenes."""
    scene = write_scene(tmp_path / "a.ora", "snow", "lava")
    inside = tmp_path / "pictures"
    for _ in range(2):
        assert run([tmp_path], inside, "--ora", "--layered") == 0
    assert [line["scene"] for line in lines_of(inside)] == ["../a.ora"]
    top = Document.open(inside / "a-seed0.ora").layers[0]
    assert top.name == "Tapestry: snow, lava (seed 0)"
    assert len(top.children) == 3
    assert scene.exists()


def test_a_file_of_someone_else_is_not_written_over(
    tmp_path: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is said, and what has another name is painted."""
    scene = write_scene(tmp_path / "a.ora", "snow")
    out.mkdir()
    (out / "a-seed0.png").write_text("mine", encoding="utf-8")
    assert run([scene], out, "--seeds", "2") == 2
    assert "does not know it" in capsys.readouterr().err
    assert (out / "a-seed0.png").read_text(encoding="utf-8") == "mine"
    assert [line["picture"] for line in lines_of(out)] == ["a-seed1.png"]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--model", "nobody/nothing"], "nobody/nothing"),
        (["--seed", str(2**32 - 1), "--seeds", "2"], "reach beyond"),
        (["--strength", "0.5"], "how far --refine may go"),
    ],
)
def test_what_is_wrong_with_all_is_said_once(
    tmp_path: Path,
    out: Path,
    options: list[str],
    sentence: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Before any scene is opened."""
    scene = write_scene(tmp_path / "a.ora", "snow")
    assert run([scene], out / "inside", *options) == 2
    assert capsys.readouterr().err.count(sentence) == 1
    assert not out.exists()


def test_a_batch_that_paints_nothing_leaves_no_folder(tmp_path: Path, out: Path) -> None:
    """None that it made; one that was there, and what is in it, stays."""
    (tmp_path / "bad.ora").write_bytes(b"none")
    assert run([tmp_path / "bad.ora"], out) == 2
    assert not out.exists()
    out.mkdir()
    assert run([tmp_path / "bad.ora"], out) == 2
    assert not list(out.iterdir())
    (out / "mine.txt").write_text("mine", encoding="utf-8")
    assert run([tmp_path / "nowhere.ora"], out) == 2
    assert (out / "mine.txt").read_text(encoding="utf-8") == "mine"


def test_a_file_is_no_place_for_pictures(
    tmp_path: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The sentence asks for a folder, and the file stays as it is."""
    scene = write_scene(tmp_path / "a.ora", "snow")
    out.write_bytes(b"mine")
    assert run([scene], out) == 2
    told = capsys.readouterr().err
    assert "is a file, and pictures go into a folder. Give -o a folder" in told
    assert out.read_bytes() == b"mine"


def test_a_folder_that_takes_nothing_ends_the_batch(
    tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Hours of painting would be for nothing; it goes on when there is room."""
    from tapestry_backend.cli import batch_manifest

    scenes = [write_scene(tmp_path / f"{name}.ora", name) for name in ("snow", "lava")]
    real = batch_manifest.Manifest.add

    def full(self, line, files):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(batch_manifest.Manifest, "add", full)
    assert run(scenes, out) == 2
    said = capsys.readouterr().err
    assert said.count("takes no more files (No space left on device)") == 1
    monkeypatch.setattr(batch_manifest.Manifest, "add", real)
    assert run(scenes, out) == 0
    assert len(lines_of(out)) == 2


def test_two_batches_do_not_share_a_folder(
    tmp_path: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """They would write over each other."""
    from tapestry_backend.cli.batch import _held

    scene = write_scene(tmp_path / "a.ora", "snow")
    out.mkdir()
    with _held(out):
        assert run([scene], out) == 2
    assert "Another batch" in capsys.readouterr().err
    assert run([scene], out) == 0


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_a_killed_batch_goes_on(tmp_path: Path, out: Path) -> None:
    """Whenever it is killed, all that the manifest names is right, and the end is the same."""
    for number in range(6):
        write_scene(tmp_path / "scenes" / f"{number}.ora", f"snow {number}")
    whole = tmp_path / "whole"
    assert run([tmp_path / "scenes"], whole, "--labels", "--quiet") == 0
    command = [sys.executable, "-m", "tapestry_backend.cli", "batch", str(tmp_path / "scenes")]
    command += ["-o", str(out), *QUICK, "--labels", "--quiet"]
    for wanted in (1, 3, 5):
        with subprocess.Popen(command) as process:
            while process.poll() is None and len(list(out.glob("*.classes.json"))) < wanted:
                time.sleep(0.002)
            os.kill(process.pid, signal.SIGKILL)
        for line in (out / NAME).read_bytes().splitlines(keepends=True):
            assert not line.endswith(b"\n") or json.loads(line)
    assert run([tmp_path / "scenes"], out, "--labels") == 0
    shutil.rmtree(tmp_path / "scenes")
    assert {p.name: p.read_bytes() for p in out.glob("[0-9]*")} == {
        p.name: p.read_bytes() for p in whole.glob("[0-9]*")
    }
    assert len(lines_of(out)) == 6
    assert not [path.name for path in out.iterdir() if path.name.endswith(".part")]
