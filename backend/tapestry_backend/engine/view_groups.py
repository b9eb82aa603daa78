"""Views whose several rows go through the model together, and are guided by each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor

from .fusion import fuse
from .multidiffusion import RegionPrompt
from .noise_schedule import SamplingStep
from .out_of_memory import attempt
from .views import View, ViewPlan
from .windows import Size

PredictViews = Callable[[Sequence[View]], list[Tensor]]
"""Views of one size and adapter set -> their guided predictions [C, h, w]."""


class ViewGroups:
    """Evaluates views of up to `rows` rows each, and never divides one.

    prompts       of each region
    batch_size    rows of one evaluation, but at least those of one view; fewer as soon as memory
                  runs out
    """

    def __init__(
        self, views: ViewPlan, prompts: Sequence[RegionPrompt], batch_size: int, rows: int
    ) -> None:
        self._views = views
        self._prompts = prompts
        self._rows = rows
        self.batch_size = batch_size

    def fused(self, step: SamplingStep, size: Size, predict: PredictViews) -> Tensor:
        """The fused prediction [1, C, H, W] of a canvas of this size, in cells."""
        views = sorted(self._views(step), key=self._kind)
        predictions: list[Tensor] = []
        while len(predictions) < len(views):
            first = views[len(predictions)]
            alike = [v for v in views[len(predictions) :] if self._kind(v) == self._kind(first)]
            some = alike[: max(1, self.batch_size // self._rows)]
            predictions += self._attempt(some, predict)
        weights = [view.weight for view in views]
        return fuse(predictions, weights, [view.window for view in views], size)

    def _kind(self, view: View) -> tuple[Size, int]:
        adapter_set = self._prompts[view.region].adapter_set
        return view.window.size, -1 if adapter_set is None else adapter_set

    def _attempt(self, views: Sequence[View], predict: PredictViews) -> list[Tensor]:
        """The predictions of these views; of half of them where memory is short."""
        if len(views) == 1:
            return predict(views)
        answer = attempt(lambda: predict(views))
        if answer is not None:
            return answer[0]
        half = len(views) // 2
        self.batch_size = self._rows * half
        return self._attempt(views[:half], predict)
