"""What a file or folder of adapters holds, told from headers and configurations."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tapestry_protocol.adapters import AdapterInfo, ControlType, FamilyName
from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.sentences import Sentence, quoted

from .checkpoint_file import PICKLES, has_some_backbone, no_checkpoint
from .control_types import types_of_flux, types_of_xl
from .controlnet_keys import TYPES, read_control_marks
from .families import family_of_file
from .folder_checks import MAX_CONFIGURATION_BYTES, check_configuration, weights_variant
from .folders import entries_of, exists, is_file, is_folder, is_link, is_weights
from .left_out import unforeseen, unreadable, why_no_id
from .lora_keys import BUNDLED, read_name, unused_in
from .safetensors_header import BrokenFileError, Header, read_header, read_json
from .taught import read_card, token_of

AdapterKind = Literal["lora", "controlnet", "t2i_adapter", "ip_adapter", "embedding"]

_QWEN_WIDTH = 3072
"""Of Qwen's and FLUX's transformers, whose layers are called as those of Stable Diffusion 3."""

_OF_TRANSFORMERS: tuple[tuple[re.Pattern[str], FamilyName], ...] = (
    (re.compile(r"to_qkv_mlp_proj|ff(?:_context)?[._]linear_in|_stream_modulation"), "flux2"),
    (re.compile(r"transformer_blocks[._]\d+[._](?:img|txt)_(?:mlp|mod)[._]"), "qwen_image"),
    (re.compile("distilled_guidance_layer"), "chroma"),
    (re.compile("single_transformer_blocks|double_blocks|single_blocks"), "flux"),
    (re.compile(r"(?:layers|_refiner)[._]\d+[._](?:attention|feed_forward)[._]"), "z_image"),
    (re.compile("joint_blocks"), "sd3"),
)
"""What is in names of layers that one family's transformer alone has, or the first of them."""

_BY_TEXT_WIDTH: Mapping[int, FamilyName] = {768: "sd1", 1024: "sd2", 2048: "sdxl"}
_STEM = "diffusion_pytorch_model"
"""How diffusers calls the file with a network's weights."""

_ONE_FILE = "Get diffusion_pytorch_model.safetensors into this folder from where it came from."
_WHOLE_AGAIN = (
    "Get it again from where it came from, as .safetensors: this one is damaged, or was not "
    "fetched to its end."
)
_CONFIGURATION_AGAIN = "Get its config.json again from where it came from."
_CLASSES: Mapping[str, tuple[AdapterKind, FamilyName]] = {
    "ControlNetModel": ("controlnet", ""),
    "ControlNetUnionModel": ("controlnet", ""),
    "ControlNetModel_Union": ("controlnet", ""),
    "SD3ControlNetModel": ("controlnet", "sd3"),
    "FluxControlNetModel": ("controlnet", "flux"),
    "ZImageControlNetModel": ("controlnet", "z_image"),
    "QwenImageControlNetModel": ("controlnet", "qwen_image"),
    "T2IAdapter": ("t2i_adapter", ""),
}
_NETWORK_SETTINGS = {"_class_name", "architectures", "model_type"}
"""Of these, diffusers or transformers write one beside the weights of a network."""

_BESIDES = {
    **dict.fromkeys(
        ("extra_conditioning_channels", "extra_condition_channels"),
        Sentence("it wants to see a mask beside the picture (for inpainting)"),
    ),
}
"""Settings of ControlNets that want more than a picture."""
_FOREIGN_FILES = ("adapter_config.json", f"{_STEM}.safetensors.index.json")
_OTHER_KINDS = {
    ".processor.qkv_lora": Sentence("a LoRA for FLUX by XLabs' names"),
    ".processor.proj_lora": Sentence("a LoRA for FLUX by XLabs' names"),
    "lllite_unet_": Sentence("a ControlNet-LLLite"),
}

_KNOWN_KINDS = Sentence(
    "a LoRA, a textual inversion, an IP-Adapter, a ControlNet, or a folder with a ControlNet or a "
    "T2I-Adapter"
)
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
    unused    what else its file holds, which is not used, in words
    inside    how the names of an embedding's tensors begin, where it stands in a LoRA's file
    words     that were taught here, as prompts say them; of an embedding the one that it means
    gated     whether a LoRA changes nothing but what looks like its word
    types     of a ControlNet that is several in one: those that it knows, by their numbers
    """

    id: str
    kind: AdapterKind
    path: Path
    family: FamilyName = ""
    widths: tuple[int, ...] = ()
    token: str = ""
    encoder: Path | None = None
    unused: Sentence | None = None
    inside: str = ""
    words: tuple[str, ...] = ()
    gated: bool = False
    types: tuple[ControlType, ...] = ()

    @property
    def info(self) -> AdapterInfo:
        return AdapterInfo(self.id, self.kind, self.family, self.types)


def read_adapter(path: Path) -> Adapter:
    """What a file or folder holds; raises TapestryError when it is nothing that we can use."""
    shown = quoted(path)
    if is_link(path) and not exists(path):
        raise TapestryError(
            ErrorCode.MODEL_NOT_FOUND,
            Sentence("{path} leads to something that is not there.", path=shown),
            "Put it back, or fetch it again.",
        )
    if not exists(path):
        raise TapestryError(
            ErrorCode.MODEL_NOT_FOUND,
            Sentence("There is no adapter {name}.", name=shown),
            Sentence("Give the path of {kinds}.", kinds=_KNOWN_KINDS),
        )
    if path.suffix.lower() in PICKLES:
        raise refused(
            Sentence(
                "{name} is a pickle, which can run any program when it is opened.", name=shown
            ),
            "Get it as .safetensors from where it came from.",
        )
    name = path.name if is_folder(path) else path.stem
    problem = why_no_id(name)
    if problem:
        raise refused(
            Sentence("{path} is left out: its name {problem}.", path=shown, problem=problem),
            "Give it a short, plain name of its own.",
        )
    try:
        return _read_folder(name, path) if is_folder(path) else _read_file(name, path)
    except TapestryError:
        raise
    except OSError as error:
        raise unreadable(path, error) from error
    except BrokenFileError as error:
        raise refused(
            Sentence("The adapter {name} cannot be opened: {why}.", name=shown, why=error.problem),
            error.advice
            or Sentence("Give {kinds}, with its weights as .safetensors.", kinds=_KNOWN_KINDS),
        ) from error
    except Exception as error:  # one strange file of a thousand stops no other
        raise unforeseen(path, error) from error


def misplaced_adapter(path: Path) -> TapestryError:
    """What an artist reads about an adapter that lies beside the folders of a program."""
    return TapestryError(
        ErrorCode.MODEL_BROKEN,
        Sentence(
            "{path} is an adapter, which belongs into a folder such as loras.", path=quoted(path)
        ),
        "Move it there, or name it with --adapter.",
    )


def is_network_folder(path: Path) -> bool:
    """Whether a folder is a network as diffusers saves it, whole or not.

    Trainers and people leave other files called config.json beside their LoRAs.
    """
    if not is_file(path / "config.json"):
        return False
    content = entries_of(path, [])
    if any(is_network_file(inside.name) for inside in content):
        return True
    if any(is_weights(inside.name) or is_folder(inside) for inside in content):
        return False
    with suppress(OSError, BrokenFileError):
        config = read_json(path / "config.json", MAX_CONFIGURATION_BYTES)
        return not config.keys().isdisjoint(_NETWORK_SETTINGS)
    return False


def is_network_file(name: str) -> bool:
    """Whether a file is called as diffusers calls a network's weights."""
    return name.startswith((f"{_STEM}.", f"{_STEM}-"))


def _read_folder(name: str, path: Path) -> Adapter:
    try:
        config = read_json(path / "config.json", MAX_CONFIGURATION_BYTES)
    except BrokenFileError as error:
        raise BrokenFileError(error.problem, _CONFIGURATION_AGAIN) from error
    check_configuration(config, "config.json")
    known = _CLASSES.get(str(config.get("_class_name")))
    if known is None:
        named = str(config.get("_class_name") or "")[:40]
        if named:
            raise BrokenFileError(Sentence("it is the network of a model, {name}", name=named))
        raise BrokenFileError("its config.json does not say what it is", _CONFIGURATION_AGAIN)
    kind, family = known
    for setting, problem in _BESIDES.items():
        if config.get(setting):
            raise BrokenFileError(problem)
    shapes = _check_network(path).shapes
    types = types_of_flux(_count(config, "num_mode"))
    width = config.get("cross_attention_dim")
    if not isinstance(width, int):
        return Adapter(name, kind, path, family, types=types)
    if told_apart := shapes.get(TYPES):
        types = types_of_xl(told_apart[0])
    return Adapter(name, kind, path, _BY_TEXT_WIDTH.get(width, ""), (width,), types=types)


def _count(config: Mapping[str, Any], name: str) -> int:
    """A configuration's number of types; none where it names no number of them."""
    count = config.get(name)
    return count if isinstance(count, int) else 0


def _check_network(path: Path) -> Header:
    """A network's tensors; raises BrokenFileError when they are not there, or not to be trusted."""
    names = [inside.name for inside in path.iterdir()]
    if set(_FOREIGN_FILES) & set(names):
        raise BrokenFileError("it holds files that would have a library look elsewhere")
    variant = weights_variant(path)
    weights = path / (f"{_STEM}.{variant}.safetensors" if variant else f"{_STEM}.safetensors")
    if exists(weights):
        return _header_of(weights)
    if any(name.startswith(f"{_STEM}-") or name.endswith(".index.json") for name in names):
        raise BrokenFileError("its weights are divided into several files", _ONE_FILE)
    if any(is_network_file(name) and Path(name).suffix in PICKLES for name in names):
        raise BrokenFileError(
            "its weights are a pickle, which can run any program when it is opened",
            _ONE_FILE,
        )
    raise BrokenFileError(Sentence("{file} is missing", file=weights.name), _ONE_FILE)


def _header_of(path: Path) -> Header:
    """A file's header; what is wrong with one is mostly that it was not fetched to its end."""
    try:
        return read_header(path)
    except BrokenFileError as error:
        raise BrokenFileError(error.problem, error.advice or _WHOLE_AGAIN) from error


def _read_file(name: str, path: Path) -> Adapter:
    if not is_weights(path.name):
        raise BrokenFileError("it is no .safetensors file")
    header = _header_of(path)
    other = next(
        (what for key, what in _OTHER_KINDS.items() if any(key in part for part in header.shapes)),
        None,
    )
    if other:
        raise BrokenFileError(Sentence("it is {kind}, which Tapestry does not know", kind=other))
    if any(part.startswith(("ip_adapter.", "image_proj.")) for part in header.shapes):
        return _read_reference(header, name, path)
    if control := read_control_marks(header):
        (width,) = control.text_widths or (0,)
        family = _BY_TEXT_WIDTH.get(width, "")
        types = types_of_xl(control.type_count)
        return Adapter(name, "controlnet", path, family, control.text_widths, types=types)
    if any(_is_factor(part) for part in header.shapes):
        check_rank(header)
        family, widths = _family_of_lora(header)
        unused = unused_in(header.shapes)
        card = read_card(header.notes)
        words, gated = (card.words, card.gated) if card else ((), False)
        return Adapter(name, "lora", path, family, widths, unused=unused, words=words, gated=gated)
    unknown = [part for part in header.shapes if read_name(part) is None]
    if not unknown:
        raise BrokenFileError("it holds what stands beside a LoRA's changes, and none of them")
    embedding = _read_embedding(header.shapes, name)
    if embedding is None:
        raise _no_adapter(path, header, unknown[0])
    token, widths = embedding
    card = read_card(header.notes)
    words = card.words if card else ()
    return Adapter(name, "embedding", path, _family_of_words(widths), widths, token, words=words)


def _no_adapter(path: Path, header: Header, tensor: str) -> TapestryError:
    if family_of_file(header.shapes) is not None:
        return TapestryError(
            ErrorCode.MODEL_BROKEN,
            Sentence(
                "{path} is a checkpoint, which belongs into the folder checkpoints.",
                path=quoted(path),
            ),
            "Move it there, or name it with --model.",
        )
    if has_some_backbone(header):
        return no_checkpoint(path)
    return TapestryError(
        ErrorCode.MODEL_BROKEN,
        Sentence(
            "{path} is neither a checkpoint nor an adapter that Tapestry knows: it holds {tensor}.",
            path=quoted(path),
            tensor=quoted(tensor[:60]),
        ),
        Sentence(
            "Look at docs/models.md for what there is; adapters are {kinds}.", kinds=_KNOWN_KINDS
        ),
    )


def _is_factor(tensor: str) -> bool:
    """Whether a tensor is one of those that make up a LoRA's changes."""
    part = read_name(tensor)
    return part is not None and part.role not in {"alpha", "magnitude", "dora_scale"}


def check_rank(header: Header) -> None:
    """Raises BrokenFileError for a LoRA without numbers."""
    if all(0 in shape for name, shape in header.shapes.items() if _is_factor(name)):
        raise BrokenFileError(
            "it is a LoRA of rank 0, which changes nothing", "Choose another file."
        )


def _family_of_lora(header: Header) -> tuple[FamilyName, tuple[int, ...]]:
    """By the width of the texts that its attention reads, or by names that one family alone has."""
    reading: dict[str, dict[str, tuple[int, ...]]] = {}
    for name, shape in header.shapes.items():
        part = read_name(name)
        if part and part.network == "unet" and _reads_text(part.target):
            reading.setdefault(part.target, {})[part.role] = shape
    widths = [width for shapes in reading.values() if (width := _input_width(shapes))]
    if widths:
        return _BY_TEXT_WIDTH.get(widths[0], ""), (widths[0],)
    return _family_of_transformer(header.shapes), ()


def _family_of_transformer(shapes: Mapping[str, tuple[int, ...]]) -> FamilyName:
    names = " ".join(shapes)
    if _is_wide(shapes):
        return "flux2"
    found = next((family for mark, family in _OF_TRANSFORMERS if mark.search(names)), None)
    if found is not None:
        return found
    added = [shape for name, shape in shapes.items() if "add_k_proj" in name]
    return "sd3" if added and not any(_QWEN_WIDTH in shape for shape in added) else ""


def _is_wide(shapes: Mapping[str, tuple[int, ...]]) -> bool:
    """Whether a layer is as wide as in FLUX.2 alone, whose layers are called as FLUX.1's.

    Gates take part in what is made of a block's input: 9 times as much, not 7, and 6, not 4.
    """
    factors: dict[str, dict[str, tuple[int, ...]]] = {}
    for name, shape in shapes.items():
        part = read_name(name)
        if part and re.search(r"single_blocks_\d+_linear1$|_blocks_\d+_\w+_mlp_0$", part.target):
            factors.setdefault(part.target, {})[part.role] = shape
    return any(
        each["up"][0] == (9 if target.endswith("linear1") else 6) * each["down"][-1]
        for target, each in factors.items()
        if each.get("up") and each.get("down")
    )


def _input_width(shapes: Mapping[str, tuple[int, ...]]) -> int:
    """Input width of a linear layer, by the shapes of its factors; 0: unknown."""

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
    if not (keys and found and header.shapes[f"image_proj.{found[0]}"]):
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
            if not exists(encoder / "model.safetensors"):
                raise BrokenFileError(
                    "it is an IP-Adapter, and image_encoder beside it lacks model.safetensors",
                    "Get model.safetensors into the folder image_encoder.",
                )
            _header_of(encoder / "model.safetensors")
            return encoder
        others.append(width)
    if others:
        raise BrokenFileError(
            Sentence(
                "it is an IP-Adapter for an image encoder whose features have {wanted} numbers, "
                "and those of the one beside it have {found}",
                wanted=wanted,
                found=others[0],
            )
        )
    raise BrokenFileError(
        Sentence(
            "it is an IP-Adapter, and there is no folder {name} beside it",
            name=quoted(IMAGE_ENCODER),
        )
    )


def bundled_in(lora: Adapter) -> list[Adapter]:
    """The textual inversions that stand in a LoRA's file."""
    shapes: dict[str, dict[str, tuple[int, ...]]] = {}
    for tensor, shape in read_header(lora.path).shapes.items():
        if tensor.startswith(BUNDLED) and tensor.count(".") > 1:
            _, name, key = tensor.split(".", 2)
            shapes.setdefault(name, {})[key] = shape
    found = []
    for name, own in shapes.items():
        read = None if why_no_id(name) else _read_embedding(own, name)
        if read is not None:
            family = _family_of_words(read[1])
            inside = f"{BUNDLED}{name}."
            words = tuple(word for word in lora.words if token_of(word) == read[0])
            found.append(
                Adapter(
                    name, "embedding", lora.path, family, *read[::-1], inside=inside, words=words
                )
            )
    return found


def _family_of_words(widths: tuple[int, ...]) -> FamilyName:
    return "sdxl" if len(widths) > 1 else _BY_TEXT_WIDTH.get(widths[0], "")


def _read_embedding(
    shapes: Mapping[str, tuple[int, ...]], name: str
) -> tuple[str, tuple[int, ...]] | None:
    """The word and the vectors' widths of a textual inversion; None when these hold none."""
    if any(len(shape) not in {1, 2} or 0 in shape for shape in shapes.values()):
        return None
    if shapes.keys() == {"clip_l", "clip_g"}:
        return f"<{name}>", (shapes["clip_l"][-1], shapes["clip_g"][-1])
    if len(shapes) != 1:
        return None
    ((key, shape),) = shapes.items()
    if len(shape) not in {1, 2}:
        return None
    return (key if re.fullmatch(r"<[^<>]{1,80}>", key) else f"<{name}>"), (shape[-1],)


def chosen_embeddings(embeddings: Sequence[Adapter], widths: tuple[int, ...]) -> Sequence[Adapter]:
    """One for each word: of several that are called alike, the one that was made for the model."""
    chosen: dict[str, Adapter] = {}
    for adapter in embeddings:
        known = chosen.get(adapter.token)
        if known is None or (known.widths != widths and adapter.widths == widths):
            chosen[adapter.token] = adapter
    return tuple(chosen.values())


def refused(message: str, advice: str) -> TapestryError:
    """The error for what we cannot use."""
    return TapestryError(ErrorCode.MODEL_BROKEN, message, advice)
