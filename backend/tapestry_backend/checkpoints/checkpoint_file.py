"""What a single file holds, read from its header: family, sizes, configurations."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.limits import MAX_SIDE_PX
from tapestry_protocol.sentences import Sentence, quoted

from .distilled import few_steps_of, few_steps_scheduler, is_distilled
from .families import FAMILIES, Family, family_of_file
from .folder_checks import check_configuration
from .folders import is_file
from .fp8_scales import check_scales
from .left_out import listed
from .safetensors_header import BrokenFileError, Header
from .shapes import KINDS, vae_cell_px, vae_channels, within
from .weights_header import read_header

PICKLES = {".ckpt", ".pt", ".pth", ".bin"}
"""How the names of pickled weights end; they are never opened."""

FOREIGN_FORMATS = PICKLES | {".pkl"}
"""How the names of checkpoints end that are never opened."""

_RESOLUTION = re.compile(r"(\d{1,5})x(\d{1,5})")

_PART_NAMES = {
    "vae": Sentence("the autoencoder"),
    "text_encoder": Sentence("the text encoder CLIP-L"),
    "text_encoder_2": Sentence("the second text encoder"),
    "text_encoder_3": Sentence("the text encoder T5"),
    "transformer": Sentence("the transformer"),
    "unet": Sentence("the U-Net"),
}
"""What an artist reads about a part that is missing."""

_KIND_NAMES = {
    "t5": Sentence("the text encoder T5"),
    "qwen3": Sentence("the text encoder Qwen3"),
    "qwen25": Sentence("the text encoder Qwen2.5-VL"),
}
"""The same for kinds of networks that are no family's usual ones."""

RUNS = Sentence(
    "a checkpoint of Stable Diffusion 1.x, 2.x, XL, 3 or 3.5, of FLUX.1, FLUX.2 Klein, "
    "Chroma, Z-Image or Qwen-Image"
)
"""What may be chosen, as part of a sentence."""

_BACKBONE_PREFIX = "model.diffusion_model."
"""Prefix of the denoising network's tensors; only checkpoints have it."""

_ANOTHER_VARIANT = (
    "If the file is whole, it is of a variant that Tapestry does not run: choose a checkpoint that "
    "paints from a prompt, or one for inpainting."
)
"""Getting such a file again would not change it."""


@dataclass(frozen=True)
class NetworkSource:
    """Where a network's weights lie: a file, its kind, and what its tensors' names begin with."""

    path: Path
    kind: str
    prefix: str
    config: Mapping[str, Any]


@dataclass(frozen=True)
class FileModel:
    """A checkpoint of one file, or of several that belong together.

    parts      of each network, where it is
    missing    the networks that the file lacks
    scheduler  class and configuration
    """

    family: str
    variant: str
    window_px: int
    dtype: str
    parts: Mapping[str, NetworkSource]
    missing: tuple[str, ...]
    scheduler: tuple[str, Mapping[str, Any]]
    options: Mapping[str, Any] = field(default_factory=dict)


def read_checkpoint(
    path: Path, component_files: Mapping[str, Path] | None = None
) -> FileModel | None:
    """What a file holds; None when it is no checkpoint of a family that we run.

    component_files: files with one network each, for those that this one may lack. An autoencoder
    in a file named like this one, but ending with .vae.safetensors, replaces its own.
    Raises BrokenFileError when a header is not right, or says something that no checkpoint has.
    """
    header = read_header(path)
    family = family_of_file(header.shapes)
    if family is None:
        return None
    helpers = dict(component_files or {})
    own_vae = path.with_name(f"{path.stem}.vae.safetensors")
    replaced = is_file(own_vae)
    if replaced:
        helpers["vae"] = own_vae
    parts = {}
    for part in family.in_file:
        found = None if part == "vae" and replaced else _find(family, part, path, header)
        if found is None and part in helpers:
            found = _find(family, part, helpers[part], read_header(helpers[part]))
        if found is not None:
            parts[part] = found
    return _describe(path, family, header, parts)


class Lacking(NamedTuple):
    """What a file lacks: networks as `Family.in_file` has them, for so many channels of latents.

    text_width: of its language model's states; 0 where it reads none.
    """

    family: str
    wanted: dict[str, tuple[str, tuple[str, ...]]]
    latent_channels: int
    text_width: int


def lacking(path: Path) -> Lacking | None:
    """What a file lacks; None for what is no checkpoint. Raises as `read_checkpoint` does."""
    model = read_checkpoint(path)
    if model is None:
        return None
    family = FAMILIES[model.family]
    wanted = {part: where for part, where in family.in_file.items() if part not in model.parts}
    backbone = model.parts[family.backbone].config
    setting, layers = family.text_width
    width = backbone[setting] // layers if setting else 0
    return Lacking(family.name, wanted, _made_by(family, backbone), width)


def _made_by(family: Family, backbone: Mapping[str, Any]) -> int:
    """Channels of a cell that a backbone makes: as many as it takes, where it says no more."""
    made = backbone.get("out_channels")
    if made and family.makes_cells:
        return int(made)
    return int(made or backbone["in_channels"]) // family.patch**2


def _find(family: Family, part: str, path: Path, header: Header) -> NetworkSource | None:
    kind, prefixes = family.in_file[part]
    for prefix in prefixes:
        if prefix + KINDS[kind].mark not in header.shapes:
            continue
        shapes = within(header.shapes, prefix)
        check_scales(shapes, {name: header.types[prefix + name] for name in shapes})
        projection = prefix.removesuffix("text_model.") + "text_projection.weight"
        if projection in header.shapes:
            shapes["../text_projection.weight"] = header.shapes[projection]
        named = _part_name(family, part)
        try:
            config = KINDS[kind].config(shapes)
        except (KeyError, IndexError, ValueError, StopIteration, ZeroDivisionError) as error:
            lacks = isinstance(error, KeyError)
            problem = (
                Sentence("{part} lacks {name}", part=named, name=quoted(error.args[0]))
                if lacks
                else Sentence("{part} is of another build", part=named)
            )
            raise BrokenFileError(problem, _ANOTHER_VARIANT) from None
        check_configuration(config, named)
        if part == "vae":
            config |= family.scales
        return NetworkSource(path, kind, prefix, config)
    return None


def _part_name(family: Family, part: str) -> Sentence:
    """What an artist calls a part of a family's checkpoints."""
    return _KIND_NAMES.get(family.in_file[part][0], _PART_NAMES[part])


def _describe(
    path: Path, family: Family, header: Header, parts: dict[str, NetworkSource]
) -> FileModel:
    family = _as_named(family, path.stem)
    window_px = _window_px(header.notes, family)
    backbone = dict(parts[family.backbone].config)
    taken, vae = backbone["in_channels"], parts.get("vae")
    made = vae_channels(vae.config) if vae else _made_by(family, backbone)
    cell_px = vae_cell_px(vae.config) if vae else 8
    variant = family.variant(taken, made, cell_px)
    if variant is None:
        raise BrokenFileError(
            Sentence(
                "its backbone takes {taken} channels, its autoencoder makes {made}",
                taken=taken,
                made=made,
            ),
            _ANOTHER_VARIANT,
        )
    if family.sized:
        backbone["sample_size"] = window_px // cell_px
        source = parts[family.backbone]
        parts[family.backbone] = NetworkSource(source.path, source.kind, source.prefix, backbone)
    guided, options = backbone.get("guidance_embeds", True), dict(family.options)
    quick = few_steps_of(path.stem, unguided="" if guided else family.unguided)
    if "is_distilled" in options and is_distilled(path.stem):
        quick, options["is_distilled"] = "distilled", True
    editor = family.editor_named(path.stem)
    if editor and family.looks:
        raise BrokenFileError(
            "its language model looks at pictures, for which a file has no description",
            "Fetch it as a folder in diffusers' layout, for instance with `tapestry models add "
            "Qwen/Qwen-Image-Edit-2509`.",
        )
    special = editor or quick
    missing = [part for part in family.in_file if part not in parts]
    return FileModel(
        family=family.name,
        variant=special if special and variant == "base" else variant,
        window_px=window_px,
        dtype=header.dtype,
        parts=parts,
        missing=tuple(part for part in missing if part not in family.optional),
        scheduler=few_steps_scheduler(quick, *_scheduler(family, header)),
        options=options,
    )


def _as_named(family: Family, name: str) -> Family:
    """The family in the size that a file's name tells of."""
    for word, (window_px, settings) in family.named.items():
        if word in name:
            kind, usual = family.scheduler
            return replace(family, window_px=window_px, scheduler=(kind, {**usual, **settings}))
    return family


def _window_px(notes: Mapping[str, str], family: Family) -> int:
    """The size that the file's notes name (by the ModelSpec standard), or its family's."""
    found = _RESOLUTION.fullmatch(notes.get("modelspec.resolution", ""))
    if found is None:
        return family.window_px
    side = min(int(found[1]), int(found[2]))
    return side - side % 64 if 64 <= side <= MAX_SIDE_PX else family.window_px


def _scheduler(family: Family, header: Header) -> tuple[str, dict[str, Any]]:
    """The family's, as the file says it was trained: by a note, or by a tensor put there to say."""
    name, settings = family.scheduler
    config = dict(settings)
    if "beta_start" in config:
        note = header.notes.get("modelspec.prediction_type", "")
        if note == "v" or "v_pred" in header.shapes:
            config["prediction_type"] = "v_prediction"
        elif note == "epsilon":
            config["prediction_type"] = "epsilon"
        if "ztsnr" in header.shapes:
            if name == "PNDMScheduler":  # which cannot begin at pure noise
                name, config = "DDIMScheduler", {**config, "clip_sample": False}
                config.pop("skip_prk_steps", None)
            config |= {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing"}
    return name, config


def holds_a_network(header: Header) -> bool:
    """Whether a file has a network that checkpoints may lack, and is no checkpoint itself."""
    if family_of_file(header.shapes) is not None:
        return False
    if has_some_backbone(header):
        return False
    wanted = (where for family in FAMILIES.values() for where in family.in_file.values())
    return any(
        prefix + KINDS[kind].mark in header.shapes
        for kind, prefixes in wanted
        for prefix in prefixes
    )


def has_some_backbone(header: Header) -> bool:
    """Whether a file is a checkpoint, or one that lacks some of its tensors."""
    return any(name.startswith(_BACKBONE_PREFIX) for name in header.shapes)


def no_checkpoint(path: Path) -> TapestryError:
    """What an artist reads about a file that is none, or is one of a family that we do not run."""
    return TapestryError(
        ErrorCode.MODEL_BROKEN,
        Sentence("{name} is no checkpoint that Tapestry can run.", name=quoted(path.name)),
        Sentence("Choose {families}.", families=RUNS),
    )


def misplaced_network(path: Path) -> TapestryError:
    """What an artist reads about a network that lies where none is looked for."""
    return TapestryError(
        ErrorCode.MODEL_BROKEN,
        Sentence(
            "{path} is a text encoder or an autoencoder, which belongs into the folder "
            "text_encoders or vae.",
            path=quoted(path),
        ),
        "Move it there: checkpoints that lack theirs use it.",
    )


def foreign_file(path: Path) -> TapestryError:
    """What an artist reads about a checkpoint that is never opened."""
    return TapestryError(
        ErrorCode.MODEL_BROKEN,
        Sentence(
            "{name} is a pickle, which can run any program when it is opened.",
            name=quoted(path.name),
        ),
        "Look for the same one as .safetensors, or convert it in a program you trust.",
    )


def broken_file(path: Path, error: BrokenFileError) -> TapestryError:
    """What an artist reads about a file of weights that is not what it should be."""
    return TapestryError(
        ErrorCode.MODEL_BROKEN,
        Sentence("The model {name} cannot be opened: {why}.", name=quoted(path), why=error.problem),
        error.advice or _whole_again(path),
    )


def _whole_again(path: Path) -> str:
    if path.suffix.lower() == ".gguf":
        return "Get it again from where it came from."
    return "Get it again from where it came from, as .safetensors."


def missing_parts(path: Path, model: FileModel) -> TapestryError:
    """What an artist reads about a file that lacks a network."""
    names = listed([_part_name(FAMILIES[model.family], part) for part in model.missing])
    return TapestryError(
        ErrorCode.MODEL_BROKEN,
        Sentence("{name} lacks {parts}.", name=quoted(path.name), parts=names),
        "Put what is missing beside it, as ComfyUI does: text encoders into text_encoders or clip, "
        "the autoencoder into vae; or choose a checkpoint that holds everything.",
    )
