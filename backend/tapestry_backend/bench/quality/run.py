"""One run of the benchmark: all measures on one workbench."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from ...checkpoints.catalogue import Catalogue
from ...models.model_cache import ModelCache
from ..common.goals import KEYS
from ..common.painter import Painter, PainterSettings
from ..common.progress import ProgressLog
from .adherence import measure_adherence
from .coherence import measure_coherence
from .composition import measure_composition
from .contact_sheet import save_sheet
from .editing import measure_editing
from .exactness import measure_exactness
from .extension import measure_extension
from .foreign import measure_foreign
from .harmonising import measure_harmonising
from .live import measure_live
from .melting import measure_melting
from .opacity import measure_opacity
from .outlines import measure_outlines
from .seams import measure_seams
from .sharpness import measure_sharpness
from .small_canvas import measure_small_canvas
from .speed_detail import measure_detail
from .strokes import measure_strokes
from .teaching import measure_teaching
from .upscaling import measure_upscaling
from .workbench import Measured, Scope, Workbench

MEASURES: Mapping[str, Callable[[Workbench], Measured]] = {
    "adherence": measure_adherence,
    "seams": measure_seams,
    "coherence": measure_coherence,
    "sharpness": measure_sharpness,
    "composition": measure_composition,
    "exactness": measure_exactness,
    "outlines": measure_outlines,
    "opacity": measure_opacity,
    "strokes": measure_strokes,
    "foreign": measure_foreign,
    "small_canvas": measure_small_canvas,
    "extension": measure_extension,
    "detail": measure_detail,
    "upscaling": measure_upscaling,
    "live": measure_live,
    "editing": measure_editing,
    "harmonising": measure_harmonising,
    "melting": measure_melting,
    "teaching": measure_teaching,
}


@dataclass
class Quality:
    """What a run found, and how it was run."""

    run: dict[str, object]
    measured: dict[str, Measured] = field(default_factory=dict)

    @property
    def figures(self) -> dict[str, dict[str, float]]:
        """All figures by measure and name."""
        return {name: found.figures for name, found in self.measured.items()}

    @property
    def errors(self) -> dict[str, dict[str, float]]:
        """Standard errors by measure and name, of figures that are means."""
        return {name: found.errors for name, found in self.measured.items()}

    def to_json(self) -> dict[str, object]:
        """The main figures by measure and name; everything else under "details"."""
        main: dict[str, object] = {
            measure: {name: found[name] for name in KEYS[measure] if name in found}
            for measure, found in self.figures.items()
        }
        if "exactness" in main:
            main["exactness"] = self.figures["exactness"]["exactness"]
        details = {
            measure: {
                "figures": {k: v for k, v in found.figures.items() if k not in KEYS[measure]},
                "standard_errors": found.errors,
                **found.details,
            }
            for measure, found in self.measured.items()
        }
        return {**main, "details": {"run": self.run, **details}}

    def save_sheet(self, path: Path) -> None:
        """Write the contact sheet."""
        save_sheet(path, {name: found.rows for name, found in self.measured.items() if found.rows})


def open_workbench(
    settings: PainterSettings | None = None, scope: Scope | None = None
) -> Workbench:
    """A workbench, of the bundled model and for a full run where nothing else is said.

    Raises TapestryError when there is no such model.
    """
    settings = settings or PainterSettings()
    model_cache = ModelCache(Catalogue([settings.model]))
    return Workbench(Painter(model_cache, settings, ProgressLog()), scope or Scope())


def measure_quality(settings: PainterSettings, scope: Scope, measures: Sequence[str]) -> Quality:
    """Run the named measures one after the other."""
    bench = open_workbench(settings, scope)
    quality = Quality({**asdict(settings), **asdict(scope)})
    for name in measures:
        quality.measured[name] = MEASURES[name](bench)
    quality.run["seconds"] = round(bench.painter.progress.seconds)
    bench.say("done")
    return quality
