"""Two canvases side by side, one of which attends as the other does."""

import pytest
import torch
from torch import Tensor

from tapestry_backend.engine import out_of_memory
from tapestry_backend.engine.multidiffusion import MultiDiffusion, RegionPrompt
from tapestry_backend.engine.noise_schedule import SamplingStep
from tapestry_backend.engine.paired import PairedDiffusion
from tapestry_backend.engine.views import ViewPlan, WindowLayout
from tapestry_backend.engine.windows import Size

CANVAS, WINDOW = Size(8, 20), Size(8, 8)
STEP = SamplingStep(0, 4, torch.tensor(500), 0.6, 0.8, "epsilon")
PROMPTS = [RegionPrompt(0, 2, 1.0), RegionPrompt(1, 2, 4.0)]


def views() -> ViewPlan:
    """Two regions, left and right, over several windows."""
    weights = torch.zeros(2, *CANVAS)
    weights[0, :, :9], weights[1, :, 9:] = 1, 1
    return ViewPlan(WindowLayout(CANVAS, WINDOW, Size(8, 6)), weights)


def model(latents: Tensor, conditions: Tensor) -> Tensor:
    """A prediction of its own for each row."""
    return latents * conditions.mean(dim=(1, 2))[:, None, None, None]


def test_without_injection_it_is_multidiffusion() -> None:
    """The same windows, guidance and fusion; one more row a view, for what is there."""
    conditions, target = torch.randn(3, 2, 4), torch.randn(1, 3, *CANVAS)
    single = MultiDiffusion(lambda x, _t, c, _p: model(x, c), views(), PROMPTS, conditions, 4)
    paired = PairedDiffusion(
        lambda x, _s, c, *_: model(x, c), views(), PROMPTS, PROMPTS, conditions, 4
    )
    expected = single(target, STEP)

    assert torch.allclose(paired(torch.randn_like(target), target, STEP), expected, atol=1e-6)
    own = len(views()(STEP))
    assert paired.evaluations == own + single.evaluations


def test_pairs_name_the_rows_of_both_canvases() -> None:
    """Each region's rows for what is there and what shall be, of the same window."""
    source, target = torch.zeros(1, 3, *CANVAS), torch.ones(1, 3, *CANVAS)
    seen = []

    def predict(latents, step, conditions, contexts, pairs, adapter_set):
        assert step is STEP
        assert adapter_set is None
        for pair in pairs:
            assert not latents[pair.source].any()
            assert latents[pair.target].all()
            assert contexts[pair.source].window == contexts[pair.target].window
            seen.append(pair.region)
        return latents

    PairedDiffusion(predict, views(), PROMPTS, PROMPTS, torch.zeros(3, 2, 4), 6)(
        source, target, STEP
    )
    assert sorted(seen) == sorted(view.region for view in views()(STEP))


def test_less_memory_takes_fewer_views_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch that is too large is halved, and the result stays the same."""
    monkeypatch.setattr(out_of_memory, "is_out_of_memory", lambda error: error.args == ("full",))
    conditions, target = torch.randn(3, 2, 4), torch.randn(1, 3, *CANVAS)
    asked = []

    def predict(latents, _step, given, *_: object):
        asked.append(len(latents))
        if len(latents) > 3:
            raise RuntimeError("full")
        return model(latents, given)

    def plain(latents, _step, given, *_: object):
        return model(latents, given)

    small, large = (
        PairedDiffusion(each, views(), PROMPTS, PROMPTS, conditions, 12)
        for each in (predict, plain)
    )
    expected = large(target, target, STEP)
    assert torch.allclose(small(target, target, STEP), expected, atol=1e-6)
    assert max(asked) > 3
