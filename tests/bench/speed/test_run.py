"""The benchmark of speed in small form: what is counted and what is equal; no clock decides."""

import io
import json
from contextlib import redirect_stdout

import pytest
import torch

from tapestry_backend.bench.common.painter import Painter, PainterSettings
from tapestry_backend.bench.common.progress import ProgressLog
from tapestry_backend.bench.common.prompts import GENERAL_TEXTURES
from tapestry_backend.bench.speed import cases
from tapestry_backend.bench.speed.cases import PEERS, Effort, make_cases
from tapestry_backend.bench.speed.clock import Clock, watch_memory
from tapestry_backend.bench.speed.contenders import Painters
from tapestry_backend.bench.speed.floor import Floor
from tapestry_backend.bench.speed.metered import MeteredModelCache
from tapestry_backend.bench.speed.run import SpeedBench
from tapestry_backend.checkpoints.catalogue import Catalogue
from tapestry_backend.cli import main
from tapestry_backend.engine.windows import Size
from tests.models.tiny_checkpoints import save_checkpoint

STEPS = 2
KEYS_OF_A_CASE = {
    *("name", "tapestry_s", "peer_s", "ratio", "evaluations", "peer_evaluations"),
    *("floor_s", "run_over_floor", "overhead_share", "peak_bytes"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model with windows of 16 cells that costs next to nothing."""
    return save_checkpoint(tmp_path_factory.mktemp("speed") / "model")


@pytest.fixture(scope="module")
def run(folder, tmp_path_factory):
    """The command's JSON, and its table. The authors' loop takes minutes: it is tested alone."""
    where = tmp_path_factory.mktemp("speed") / "speed.json"
    few = Effort(STEPS, 1, 1, 1, quick=True, many_windows=6, layouts=("1x1 halves",), panoramas=1)
    arguments = ["bench", "speed", "--quick", "--peer", "diffusers", "--device", "cpu"]
    arguments += ["--model", str(folder), "--json", str(where)]
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(io.StringIO()) as table:
        patch.setattr(cases, "QUICK", few)
        assert main(arguments) == 0
    return json.loads(where.read_text("utf-8")), table.getvalue()


@pytest.fixture
def found(run):
    """The cases by their names."""
    return {case["name"]: case for case in run[0]["cases"]}


def test_every_case_has_every_figure(found) -> None:
    """Whatever is measured has the same names."""
    for case in found.values():
        assert set(case) >= KEYS_OF_A_CASE
        assert case["tapestry_s"] > 0 < case["floor_s"]
        assert case["in_batches_s"] > 0
        assert 0 <= case["overhead_share"] <= 1
        assert case["met"] in {True, False, None}


def test_evaluations_of_each_side_are_counted(found) -> None:
    """Half a window of stride against an eighth; one window for what is new of an extension."""
    counts = {name: (case["evaluations"], case["peer_evaluations"]) for name, case in found.items()}
    assert counts["panorama_4"] == (7 * 2 * STEPS, 25 * 2 * STEPS)
    assert counts["same_windows"] == (25 * 2 * STEPS, 25 * 2 * STEPS)
    assert counts["extension_half"] == (2 * STEPS, 2 * STEPS)
    assert counts["speed_balanced"][0] < counts["panorama_4"][0] * 0.8
    ours, one_prompt = counts["small_regions_20"]
    assert ours <= 2 * 20 * STEPS
    assert one_prompt >= 9 * 2 * STEPS


def test_what_pictures_are_worth_stands_beside_their_time(run, found) -> None:
    """Panoramas beside diffusers' have seams and drift; faster speeds have what they lost."""
    worth = found["panorama_4"]["worth"]
    assert set(worth) == {"seams", "spread", "peer_seams", "peer_spread"}
    for speed in ("balanced", "fast"):
        lost = found[f"speed_{speed}"]["loss"]
        assert set(lost) == {
            *("pixels", "detail", "adherence", "seams", "quality_adherence", "quality_seams")
        }
        assert 0 <= lost["adherence"] <= 1
    assert found["same_windows"]["worth"] is found["same_windows"]["loss"] is None
    assert "    worth: seams " in run[1]


def test_the_same_windows_give_the_same_picture(found) -> None:
    """Two implementations, the same latents in single precision."""
    assert found["same_windows"]["latents_differ_by"] <= 1e-4


def test_the_table_names_every_case_and_its_goal(run, found) -> None:
    """One peer alone leaves the other's cases out."""
    lines = run[1].splitlines()

    assert "regions_8" not in found
    for name, case in found.items():
        assert case["goal"] in next(line for line in lines if line.startswith(f"{name} "))


def test_eight_regions_are_evaluated_where_they_are(folder) -> None:
    """Each has one window of its own: two evaluations, where the authors' loop makes 1458."""
    model_cache = MeteredModelCache(Catalogue([str(folder)]), "cpu")
    painter = Painter(model_cache, PainterSettings(str(folder), 1), ProgressLog(quiet=True))
    cases = make_cases(painter, GENERAL_TEXTURES, Effort(1, 1, 1, 1))
    case = next(case for case in cases if case.name == "regions_8")

    assert Painters(painter, model_cache, 1).tapestry(case.asked).evaluations == 8 * 2


def test_cases_may_be_named(folder) -> None:
    """A quick run leaves the long one out, unless it is named."""
    model_cache = MeteredModelCache(Catalogue([str(folder)]), "cpu")
    bench = SpeedBench(model_cache, PainterSettings(str(folder), 1), Effort(1, 1, 1, 1, quick=True))

    assert "panorama_8" not in {case.name for case in bench.cases(PEERS)}
    named = bench.cases(PEERS, ["panorama_8", "extension_half"])
    assert [case.name for case in named] == ["panorama_8", "extension_half"]


def test_a_case_that_is_not_there_gets_a_sentence(folder, capsys) -> None:
    """With the names of those that are."""
    arguments = ["bench", "speed", "--only", "panorama_5", "--model", str(folder)]

    assert main(arguments) == 2
    assert "'panorama_5'" in (told := capsys.readouterr().err)
    assert "panorama_4, panorama_8" in told


def test_a_device_that_is_not_there_gets_a_sentence(folder, capsys) -> None:
    """Before anything is loaded."""
    assert main(["bench", "speed", "--quick", "--model", str(folder), "--device", "toaster"]) == 2
    assert "no device 'toaster'" in capsys.readouterr().err


def test_the_floor_counts_evaluations_and_one_decode(folder) -> None:
    """With a clock that ticks once for every look at it."""
    model_cache = MeteredModelCache(Catalogue([str(folder)]), "cpu")
    ticks = iter(range(10**6))
    floor = Floor(model_cache.load(str(folder)), lambda: float(next(ticks)))

    assert floor.batch_size > 1, "all sizes take one tick: the largest one wins"
    assert floor.seconds(0, Size(16, 16)) == 1
    assert floor.seconds(floor.batch_size, Size(16, 16)) == 2
    assert floor.in_batches({2: 11, 5: 3}) == 11 + 3


def test_memory_is_what_came_on_top() -> None:
    """A hundred megabytes are seen, and those before are not."""
    before = torch.ones(50 * 2**20)
    with watch_memory(torch.device("cpu")) as peak:
        taken = torch.ones(25 * 2**20)
        for _ in range(5):
            taken.add_(1)
    assert before.nbytes > peak.taken_bytes >= 0.9 * taken.nbytes


def test_a_single_thread_counts_its_own_computing() -> None:
    """Others on the machine add nothing to it."""
    assert Clock(torch.device("cpu")).kind == (
        "processor" if torch.get_num_threads() == 1 else "wall"
    )
