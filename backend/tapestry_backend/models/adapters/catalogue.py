"""Which adapters there are, told from headers and configurations alone; never loads weights."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from importlib.resources import files
from itertools import islice
from pathlib import Path

from tapestry_protocol.adapters import AdapterInfo
from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.limits import MAX_ADAPTERS
from tapestry_protocol.messages import Request

from ..widths import Widths
from .recognition import IMAGE_ENCODER, Adapter, Kind, read_adapter, refused

PICTURED: tuple[Kind, ...] = ("controlnet", "t2i_adapter", "ip_adapter")
"""Those that are shown a picture."""
FAMILY_NAMES: Mapping[str, str] = {
    "sd1": "Stable Diffusion 1.x",
    "sd2": "Stable Diffusion 2.x",
    "sdxl": "Stable Diffusion XL",
    "sd3": "Stable Diffusion 3",
    "flux": "FLUX",
}
_KIND_NAMES: Mapping[Kind, str] = {
    "lora": "LoRA",
    "controlnet": "ControlNet",
    "t2i_adapter": "T2I-Adapter",
    "ip_adapter": "IP-Adapter",
    "embedding": "embedding",
}
_MOST_FOLDERS = 1_000
"""Looked into; where there are more, it is no folder of adapters."""


class AdapterCatalogue:
    """The bundled adapters, those that somebody named at the start, and those in found folders.

    Raises TapestryError when a named one is none that we can use, or two have one id. What lies in
    a found folder and is none, or has an id that is taken, is left out silently.
    """

    def __init__(self, names: Sequence[str] = (), folders: Sequence[Path] = ()) -> None:
        self._adapters: dict[str, Adapter] = {}
        bundled = Path(str(files("tapestry_backend") / "sample_adapters"))
        for path in (bundled, *map(Path, names)):
            for adapter in _found_at(path.expanduser()):
                self._add(adapter)
        for adapter in _found_in(folders):
            if len(self._adapters) < MAX_ADAPTERS:
                self._adapters.setdefault(adapter.id, adapter)

    def _add(self, adapter: Adapter) -> None:
        other = self._adapters.get(adapter.id)
        if other is not None and other.path.resolve() != adapter.path.resolve():
            raise refused(
                f"{str(adapter.path)!r} and {str(other.path)!r} are both called {adapter.id!r}",
                "Rename one of them, or leave it out.",
            )
        self._adapters[adapter.id] = adapter
        if len(self._adapters) > MAX_ADAPTERS:
            raise TapestryError(
                ErrorCode.TOO_LARGE,
                f"These are more than {MAX_ADAPTERS} LoRAs and other adapters.",
                "Leave some out: name files instead of a folder.",
            )

    @property
    def infos(self) -> tuple[AdapterInfo, ...]:
        return tuple(adapter.info for adapter in self._adapters.values())

    @property
    def embeddings(self) -> tuple[Adapter, ...]:
        """The textual inversions."""
        return tuple(a for a in self._adapters.values() if a.kind == "embedding")

    def find(self, adapter_id: str, *kinds: Kind) -> Adapter:
        """The adapter with this id; raises TapestryError when there is none of these kinds."""
        adapter = self._adapters.get(adapter_id)
        if adapter is not None and adapter.kind in kinds:
            return adapter
        what = "LoRA" if "lora" in kinds else "ControlNet, T2I-Adapter or IP-Adapter"
        known = ", ".join(repr(a.id) for a in self._adapters.values() if a.kind in kinds)
        raise TapestryError(
            ErrorCode.MODEL_NOT_FOUND,
            f"There is no {what} {adapter_id!r}.",
            (f"Choose one of: {known}. " if known else "")
            + "Start the backend with --adapter PATH to add another.",
        )

    def check(self, request: Request, model_id: str, family: str, widths: Widths) -> None:
        """Raises TapestryError when a request names an adapter that is not there or does not fit.

        widths: of what the model reads.
        """
        wanted = [self.find(lora.adapter, "lora") for lora in request.all_loras]
        for control in request.all_controls:
            wanted.append(self.find(control.adapter, *PICTURED))
            if wanted[-1].kind == "ip_adapter" and control.preprocessor != "none":
                raise TapestryError(
                    ErrorCode.BAD_REQUEST,
                    f"The IP-Adapter {control.adapter!r} looks at a layer as it is.",
                    "Show it the layer itself, no lines or edges of it.",
                )
        for adapter in self.embeddings:
            said = any(adapter.token in prompt for prompt in request.all_prompts)
            if said and widths.words not in {(), adapter.widths}:
                raise misfit(adapter, model_id, family)
        for adapter in wanted:
            other_width = adapter.widths and widths.text not in {None, *adapter.widths}
            other_family = adapter.family and adapter.family != family
            if other_width or other_family:
                raise misfit(adapter, model_id, family)


def misfit(adapter: Adapter, model_id: str, family: str = "") -> TapestryError:
    """The error for an adapter that was made for other models than this one."""
    what = _KIND_NAMES[adapter.kind]
    made_for = FAMILY_NAMES.get(adapter.family, "models of another build")
    own = FAMILY_NAMES.get(family)
    is_one = f", which is {own}" if own and family != adapter.family else ""
    return TapestryError(
        ErrorCode.BAD_REQUEST,
        f"The {what} {adapter.id!r} was made for {made_for}, not for the model {model_id!r}"
        f"{is_one}.",
        f"Choose a model that it was made for, or a {what} for this one.",
    )


def ungrounded(model_id: str) -> TapestryError:
    """The error for boxes that a model does not read."""
    return TapestryError(
        ErrorCode.BAD_REQUEST,
        f"The model {model_id!r} takes no grounded boxes.",
        "Choose a GLIGEN checkpoint, or set the grounding to 0.",
    )


def _found_at(path: Path) -> Iterator[Adapter]:
    """The adapter in a file or a folder, or all those in a folder of them."""
    if path.is_dir() and not (path / "config.json").exists():
        for inside in sorted(path.iterdir()):
            is_folder = inside.is_dir() and (inside / "config.json").exists()
            is_folder = is_folder and inside.name != IMAGE_ENCODER
            if is_folder or inside.suffix == ".safetensors":
                yield read_adapter(inside)
        return
    yield read_adapter(path)


def _found_in(folders: Sequence[Path]) -> Iterator[Adapter]:
    """All adapters in other programs' folders, also further inside; links are followed."""
    for folder in folders:
        for name, inner, names in islice(os.walk(folder, followlinks=True), _MOST_FOLDERS):
            inner[:] = sorted(set(inner) - {IMAGE_ENCODER})
            paths = [Path(name, file) for file in sorted(names) if file.endswith(".safetensors")]
            if "config.json" in names:
                inner.clear()
                paths = [Path(name)]
            for path in paths:
                with suppress(TapestryError):
                    yield read_adapter(path)
