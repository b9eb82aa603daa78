"""`tapestry bench card` on the processor: every way is tried, and one that fails is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tapestry_backend.bench.card import run as card_run
from tapestry_backend.bench.card.adapter_files import CONTROLS, EMBEDDING, LORAS
from tapestry_backend.bench.card.page import page_of
from tapestry_backend.bench.card.run import CardBench, CardCheck
from tapestry_backend.bench.card.small_models import _MAKERS
from tapestry_backend.cli import main
from tapestry_backend.cli.bench_card import FAMILIES

CPU = torch.device("cpu")


def test_the_command_writes_one_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every kind of thing is on it, measured; the exit status says that all of it works."""
    page = tmp_path / "page.md"
    given = ["bench", "card", "--family", "sd1", "--device", "cpu", "-o", str(page)]
    assert main(given) == 0
    told = page.read_text("utf-8")

    assert told == capsys.readouterr().out
    assert "**Everything works here**: 22 of 22 ways." in told
    names = ["float32", "sd1, bfloat16", "layer by layer", *LORAS, *CONTROLS, EMBEDDING]
    lines = {line.split(" | ")[0].strip("| "): line for line in told.splitlines()}
    for name in [*names, "sd1, 256 x 128", "sd1, 128 x 128, 4 steps"]:
        assert "| yes |" in lines[name], name
    assert "cpu" in told


@pytest.mark.parametrize("family", [family for family in FAMILIES if family != "sd1"])
def test_every_family_paints(family: str) -> None:
    """In each precision near the processor's own picture."""
    rows = list(CardBench(CPU, [family])._pictures())
    assert [row.problem for row in rows] == ["", "", ""]
    assert rows[0].difference == 0
    assert 0 < rows[1].difference < rows[2].difference


def test_adapters_change_the_picture(tmp_path: Path) -> None:
    """Else nothing would be compared."""
    model_cache = card_run.SmallModelCache("sd1", "cpu", torch.float32)
    model: Any = model_cache.load("")
    card_run.save_adapters(tmp_path, model._unet)
    catalogue = card_run.Catalogue(adapters=[str(tmp_path)])
    adapted = card_run.SmallModelCache("sd1", "cpu", torch.float32, catalogue)
    plain = card_run._painted(adapted, card_run._request())
    for name in (*LORAS, *CONTROLS, EMBEDDING):
        made = card_run._painted(adapted, card_run._with_adapter(name))
        assert (made != plain).any(), name


def test_a_failed_check_is_named_and_costs_no_other(monkeypatch, capsys) -> None:
    """A precision that a card does not know, and numbers that are wrong."""
    honest = card_run._layers_on

    def on_an_old_card(device: torch.device, dtype: torch.dtype):
        if dtype == torch.bfloat16:
            raise RuntimeError("bfloat16 is not\nimplemented here")
        return honest(device, dtype) * (1.5 if dtype == torch.float16 else 1)

    monkeypatch.setattr(card_run, "_layers_on", on_an_old_card)
    rows = list(CardBench(CPU, ["sd1"])._layers())
    assert [bool(row.problem) for row in rows] == [False, True, True]
    assert "differs from the processor by 0.5" in rows[1].problem
    page = page_of(rows, {})
    assert "**2 of 3 ways do not work here**: precision float16; precision bfloat16" in page
    assert "| bfloat16 | no: bfloat16 is not implemented here | | | |" in page
    monkeypatch.setattr(
        CardBench, "rows", lambda _: iter([CardCheck("precision", "x", problem="no")])
    )
    assert main(["bench", "card", "--device", "cpu"]) == 1
    assert "precision x: no" in capsys.readouterr().err


def test_the_command_knows_the_families_there_are() -> None:
    """And no device that is not there."""
    assert tuple(_MAKERS) == FAMILIES
    assert main(["bench", "card", "--device", "toaster"]) == 2


def test_each_live_update_is_one_and_paints_less_than_all() -> None:
    """A stroke that comes and goes, on a picture that was painted before the clock ran."""
    model_cache = card_run.SmallModelCache("sd1", "cpu", torch.float32)
    painting = card_run._LivePainting(model_cache, 2 * card_run.WINDOW_PX)

    longer, shorter, again = (painting.update() for _ in range(3))

    assert 0 < (longer != shorter).mean() < 0.9
    assert (again == longer).mean() > 0.9
