"""Which adapters there are, told from headers and configurations alone; never loads weights."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.resources import files
from itertools import islice
from pathlib import Path
from typing import Literal

from tapestry_protocol.adapters import AdapterInfo
from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.limits import MAX_ADAPTERS, MAX_ID_CHARACTERS
from tapestry_protocol.messages import Request

from ..folder import MAX_CONFIGURATION_BYTES, check_configuration
from ..weights import BrokenFileError, check_weights, read_json
from ..widths import Widths
from .control_marks import read_control_marks
from .header import Header, read_header
from .lora_names import read_name

Kind = Literal["lora", "controlnet", "t2i_adapter", "ip_adapter", "embedding"]
PICTURED: tuple[Kind, ...] = ("controlnet", "t2i_adapter", "ip_adapter")
"""Those that are shown a picture."""
Family = Literal["", "sd1", "sd2", "sdxl", "sd3", "flux"]

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
_BY_TEXT_WIDTH: Mapping[int, Family] = {768: "sd1", 1024: "sd2", 2048: "sdxl"}
_WEIGHTS = "diffusion_pytorch_model.safetensors"
_CLASSES: Mapping[str, tuple[Kind, Family]] = {
    "ControlNetModel": ("controlnet", ""),
    "SD3ControlNetModel": ("controlnet", "sd3"),
    "FluxControlNetModel": ("controlnet", "flux"),
    "T2IAdapter": ("t2i_adapter", ""),
}
_BESIDES = {
    "num_mode": "is a ControlNet of several kinds in one (union), which Tapestry does not know",
    "extra_conditioning_channels": "wants to see a mask beside the picture (for inpainting)",
}
"""Settings of ControlNets that want more than a picture."""
_FOREIGN_FILES = ("adapter_config.json", f"{_WEIGHTS}.index.json")
_OTHER_KINDS = {
    "double_blocks": "a LoRA for FLUX whose layers have other names than diffusers gives them",
    "joint_blocks": "a LoRA for Stable Diffusion 3 with other names than diffusers gives them",
}
_PICKLES = {".ckpt", ".pt", ".pth", ".bin"}
_KNOWN_KINDS = (
    "a LoRA, a textual inversion, an IP-Adapter, a ControlNet, or a folder with a ControlNet or a "
    "T2I-Adapter"
)
_MOST_FOLDERS = 1_000
"""Looked into; where there are more, it is no folder of adapters."""

IMAGE_ENCODER = "image_encoder"
"""The folder beside an IP-Adapter's file that holds the network which looks at pictures."""

_ENCODER_PLACES = (IMAGE_ENCODER, f"../models/{IMAGE_ENCODER}", f"../sdxl_models/{IMAGE_ENCODER}")
"""Some for Stable Diffusion XL were made for the encoder of those for 1.5."""

_REFERENCES = {"proj.weight": ("projection_dim", 512), "proj_in.weight": ("hidden_size", 768)}
"""A tensor of each build (plain, Plus), and which width of the encoder's it reads."""


@dataclass(frozen=True)
class Adapter:
    """A file, or a folder with weights and config.json, and what is in it.

    widths    the width of the texts of the models that it fits, or of an embedding's vectors, one
              for each text encoder; empty where its file does not say
    token     an embedding's word in a prompt, in angle brackets
    encoder   the folder of an IP-Adapter's image encoder
    """

    id: str
    kind: Kind
    path: Path
    family: Family = ""
    widths: tuple[int, ...] = ()
    token: str = ""
    encoder: Path | None = None

    @property
    def info(self) -> AdapterInfo:
        return AdapterInfo(self.id, self.kind, self.family)


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
            raise _refused(
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


def read_adapter(path: Path) -> Adapter:
    """What a file or folder holds; raises TapestryError when it is nothing that we can use."""
    shown = repr(str(path))
    if not path.exists():
        raise TapestryError(
            ErrorCode.MODEL_NOT_FOUND,
            f"There is no adapter {shown}.",
            f"Give the path of {_KNOWN_KINDS}.",
        )
    if path.suffix.lower() in _PICKLES:
        raise _refused(
            f"{shown} is a pickle, which could run any program when it is opened",
            "Get it as .safetensors from where it came from.",
        )
    name = path.name if path.is_dir() else path.stem
    if len(name) > MAX_ID_CHARACTERS or not name.isprintable():
        raise _refused(f"{shown} has a name that is no id", "Give it a short, plain name.")
    try:
        return _read_folder(name, path) if path.is_dir() else _read_file(name, path)
    except (OSError, BrokenFileError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise _refused(
            f"The adapter {shown} cannot be opened: {reason}",
            f"Give {_KNOWN_KINDS}, with its weights as .safetensors.",
        ) from error


def _read_folder(name: str, path: Path) -> Adapter:
    config = read_json(path / "config.json", MAX_CONFIGURATION_BYTES)
    check_configuration(config, "config.json")
    known = _CLASSES.get(str(config.get("_class_name")))
    if known is None:
        raise BrokenFileError(f"it is a {str(config.get('_class_name'))[:40]}")
    kind, family = known
    for setting, meaning in _BESIDES.items():
        if config.get(setting):
            raise BrokenFileError(f"it {meaning}")
    if not (path / _WEIGHTS).exists():
        raise BrokenFileError(f"{_WEIGHTS} is missing")
    check_weights(path / _WEIGHTS)
    if set(_FOREIGN_FILES) & {inside.name for inside in path.iterdir()}:
        raise BrokenFileError("it holds files that would have a library look elsewhere")
    width = config.get("cross_attention_dim")
    if not isinstance(width, int):
        return Adapter(name, kind, path, family)
    return Adapter(name, kind, path, _BY_TEXT_WIDTH.get(width, ""), (width,))


def _read_file(name: str, path: Path) -> Adapter:
    if path.suffix != ".safetensors":
        raise BrokenFileError("it is no .safetensors file")
    header = read_header(path)
    other = next(
        (what for key, what in _OTHER_KINDS.items() if any(key in part for part in header.shapes)),
        None,
    )
    if other:
        raise BrokenFileError(f"it is {other}, which Tapestry does not know")
    if any(part.startswith(("ip_adapter.", "image_proj.")) for part in header.shapes):
        return _read_reference(header, name, path)
    if control := read_control_marks(header):
        (width,) = control.text_widths or (0,)
        family = _BY_TEXT_WIDTH.get(width, "")
        return Adapter(name, "controlnet", path, family, control.text_widths)
    if all(read_name(part) for part in header.shapes):
        family, widths = _family_of_lora(header)
        return Adapter(name, "lora", path, family, widths)
    embedding = _read_embedding(header, name)
    if embedding is None:
        first = next(part for part in header.shapes if read_name(part) is None)
        raise BrokenFileError(f"nobody knows what its tensor {first[:60]!r} is")
    token, widths = embedding
    family = "sdxl" if len(widths) > 1 else _BY_TEXT_WIDTH.get(widths[0], "")
    return Adapter(name, "embedding", path, family, widths, token)


def _family_of_lora(header: Header) -> tuple[Family, tuple[int, ...]]:
    """By the width of the texts that its attention reads, or by names that one family alone has."""
    reading: dict[str, dict[str, tuple[int, ...]]] = {}
    for name, shape in header.shapes.items():
        part = read_name(name)
        if part and part.network == "unet" and _reads_text(part.target):
            reading.setdefault(part.target, {})[part.role] = shape
    widths = [width for shapes in reading.values() if (width := _input_width(shapes))]
    if widths:
        return _BY_TEXT_WIDTH.get(widths[0], ""), (widths[0],)
    names = " ".join(header.shapes)
    if "single_transformer_blocks" in names:
        return "flux", ()
    if "add_k_proj" in names:
        return "sd3", ()
    return "", ()


def _input_width(shapes: Mapping[str, tuple[int, ...]]) -> int:
    """Of a linear layer, by the shapes of its factors; 0 where they do not say."""

    def columns(*roles: str) -> int:
        return next((shapes[role][1] for role in roles if len(shapes.get(role, ())) > 1), 0)

    small, large = columns("lokr_w1", "lokr_w1_b"), columns("lokr_w2", "lokr_w2_b")
    return columns("down", "hada_w1_b") or small * large


def _reads_text(target: str) -> bool:
    """Whether a module of a U-Net is given the text."""
    return target.endswith(("attn2_to_k", "attn2_to_v"))


def _read_reference(header: Header, name: str, path: Path) -> Adapter:
    """An IP-Adapter of the plain build or Plus, and the folder with its image encoder."""
    keys = header.shapes.get("ip_adapter.1.to_k_ip.weight")
    found = [mark for mark in _REFERENCES if f"image_proj.{mark}" in header.shapes]
    if keys is None or not found:
        raise BrokenFileError("it is an IP-Adapter of another build than the plain one and Plus")
    seen = header.shapes[f"image_proj.{found[0]}"][-1]
    encoder = _encoder_near(path, *_REFERENCES[found[0]], seen)
    width = keys[-1]
    return Adapter(name, "ip_adapter", path, _BY_TEXT_WIDTH.get(width, ""), (width,), "", encoder)


def _encoder_near(path: Path, setting: str, usual: int, wanted: int) -> Path:
    """The image encoder whose features are so wide: beside the file, or where the authors put it.

    setting: what its configuration calls that width; usual: where it says none.
    """
    others = []
    for place in _ENCODER_PLACES:
        encoder = path.parent / place
        if not (encoder / "config.json").exists():
            continue
        config = read_json(encoder / "config.json", MAX_CONFIGURATION_BYTES)
        width = config.get(setting, usual)
        if width == wanted:
            check_configuration(config, IMAGE_ENCODER)
            check_weights(encoder / "model.safetensors")
            return encoder
        others.append(width)
    if others:
        raise BrokenFileError(
            f"it is an IP-Adapter for an image encoder whose features have {wanted} numbers, and "
            f"those of the one beside it have {others[0]}"
        )
    raise BrokenFileError(
        f"it is an IP-Adapter, and there is no folder {IMAGE_ENCODER!r} beside it"
    )


def _read_embedding(header: Header, name: str) -> tuple[str, tuple[int, ...]] | None:
    """The word and the vectors' widths of a textual inversion; None when the file holds none."""
    shapes = dict(header.shapes)
    if shapes.keys() == {"clip_l", "clip_g"}:
        return f"<{name}>", (shapes["clip_l"][-1], shapes["clip_g"][-1])
    if len(shapes) != 1:
        return None
    ((key, shape),) = shapes.items()
    if len(shape) not in {1, 2}:
        return None
    return (key if re.fullmatch(r"<[^<>]{1,80}>", key) else f"<{name}>"), (shape[-1],)


def _refused(problem: str, advice: str) -> TapestryError:
    return TapestryError(ErrorCode.MODEL_BROKEN, f"{problem}.", advice)
