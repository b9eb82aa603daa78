"""Which models there are and where, read from configuration files only."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from importlib.resources import files
from pathlib import Path
from typing import Any, cast

from tapestry_protocol import bundled
from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.limits import MAX_ID_CHARACTERS, MAX_MODELS, MAX_SIDE_PX
from tapestry_protocol.messages import ModelInfo, Request
from tapestry_protocol.request_checks import check_follows, check_references
from tapestry_protocol.sentences import Sentence, quoted

from .adapter_catalogue import AdapterCatalogue
from .adapter_recognition import Adapter
from .checkpoint_file import (
    FOREIGN_FORMATS,
    RUNS,
    FileModel,
    broken_file,
    foreign_file,
    missing_parts,
    no_checkpoint,
    read_checkpoint,
)
from .difference_file import check_difference
from .distilled import few_steps_of
from .embedding_dims import read_embedding_dims
from .families import FAMILIES, Family, backbone_of, family_of
from .folder_checks import MAX_CONFIGURATION_BYTES
from .folders import exists, expanded, is_file, is_folder
from .left_out import LeftOut, fitting, unreadable, why_no_id, without_repeats
from .quick_lora import QUICK_LORAS
from .safetensors_header import BrokenFileError, read_header, read_json
from .shapes import vae_cell_px, vae_channels
from .taught import check_teachable, check_word
from .tokenizer_folders import check_tokenizers
from .upscaler_file import Upscaler, find_upscaler, upscalers_in

_VOCABULARY = ("materials", "scenes", "objects")
"""The lists of names in a model's `vocabulary.json`."""

SAMPLE = bundled.SAMPLE
"""The id of the bundled model."""

BUNDLED = (SAMPLE, bundled.SAMPLE_EDIT)

_INDEX = "model_index.json"
"""The file by which a folder is a model in diffusers' layout."""


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that can be loaded.

    path       its folder, in diffusers' layout, or its file
    family     a name out of `FAMILIES`
    variant    "base"; "inpaint" for one that sees what is known of a picture; "instruct" for one
               that sees a picture and follows an instruction; "edit" for one that is shown a
               picture beside what it paints, "edit_plus" for several; or what kind of few-step
               checkpoint it is: "lcm", "turbo", "lightning", "hyper", "tcd", "schnell",
               "distilled"
    dtype      what most of its weights are stored as
    component_files    files with the networks that its own lacks
    base       the folder of the model that it was made from, where its own file only holds what
               differs from that
    """

    id: str
    path: Path
    window_px: int
    family: str = "sd1"
    variant: str = "base"
    dtype: str = ""
    component_files: Mapping[str, Path] = field(default_factory=dict)
    base: Path | None = None

    @property
    def whole(self) -> Path:
        """The folder or file with all of its networks, or those that it was made from."""
        return self.base or self.path

    @property
    def size_bytes(self) -> int:
        """Size of all its weights; 0 when they are gone."""
        if is_folder(self.whole):
            weights = [*self.whole.rglob("*.safetensors"), *([self.path] if self.base else [])]
        else:
            weights = [self.path, *set(self.component_files.values())]
        return sum(file.stat().st_size for file in weights if is_file(file))

    @property
    def info(self) -> ModelInfo:
        family = cast("Any", self.family)
        return ModelInfo(
            self.id,
            self.id,
            self.window_px,
            family,
            self.follows_instructions,
            self.only_instructions,
            self.references,
            FAMILIES[self.family].backbone == "transformer",
            self.id in QUICK_LORAS,
        )

    @property
    def materials(self) -> tuple[str, ...]:
        """Those that its folder lists as what it was taught; none where it lists nothing."""
        return self._listed("materials")

    @property
    def known_words(self) -> tuple[str, ...]:
        """All names that its folder lists as what it was taught; none where it lists nothing."""
        return tuple(name for kind in _VOCABULARY for name in self._listed(kind))

    def _listed(self, kind: str) -> tuple[str, ...]:
        try:
            listed = (self.whole / "vocabulary.json").read_text(encoding="utf-8")
            return tuple(str(name) for name in json.loads(listed)[kind])
        except (OSError, ValueError, KeyError, TypeError):
            return ()

    @property
    def references(self) -> int:
        """Pictures that it can be shown at once beside what it paints."""
        family = FAMILIES[self.family]
        editor = family.edits.get(self.variant)
        return family.references if editor is None else editor.references

    @property
    def follows_instructions(self) -> bool:
        return self.variant == "instruct" or self.references > 0

    @property
    def only_instructions(self) -> bool:
        """Whether it paints nothing else."""
        family = FAMILIES[self.family]
        return self.variant == "instruct" or (family.edits_only and self.variant in family.edits)


class Catalogue:
    """The bundled model, those found on this computer, and those named at the start.

    A name is the path of a folder or file, or the id of something found or of a cached model of the
    hub. Raises TapestryError when a named model is none.

    adapters, adapter_folders    LoRAs and the like that may be laid on them, by their paths, and
                  folders where some may lie
    upscaler_folders    where networks lie that enlarge pictures
    problems      what the search for models has found and cannot use; with what cannot be used of
                  the rest it is `left_out`
    components    files that it found in their right place, though nothing may use them
    """

    def __init__(
        self,
        names: Sequence[str] = (),
        *,
        found: Sequence[Checkpoint] = (),
        adapters: Sequence[str] = (),
        adapter_folders: Sequence[Path] = (),
        upscaler_folders: Sequence[Path] = (),
        problems: Sequence[LeftOut] = (),
        components: Sequence[Path] = (),
    ) -> None:
        self.adapters = AdapterCatalogue(adapters, adapter_folders)
        sample = Path(str(files("tapestry_backend") / "sample_model"))
        self._entries = {SAMPLE: read_checkpoint_at(SAMPLE, sample)}
        unusable = self._add_editor(sample)
        own = len(self._entries)
        room = MAX_MODELS - own - len({*names} - {*BUNDLED} - {entry.id for entry in found})
        taken, left = fitting(found, room, lambda e: e.id, lambda e: e.path, Sentence("models"))
        for entry in taken:
            self._entries.setdefault(entry.id, entry)
        offered = [
            path for entry in found for path in (entry.path, *entry.component_files.values())
        ]
        self._upscalers, unlike = upscalers_in(upscaler_folders)
        self.left_out = without_repeats(
            [*unusable, *left, *problems, *self.adapters.left_out_beside(offered), *unlike],
            # One that came with its configuration has a folder of its own.
            [*self.adapters.paths, *(each for file in components for each in (file, file.parent))],
        )
        for name in names:
            if name not in self._entries:
                _check_name(name)
                self._entries[name] = read_checkpoint_at(name, locate(name))
        if len(self._entries) > MAX_MODELS:
            raise TapestryError(
                ErrorCode.TOO_LARGE,
                Sentence(
                    "These are {count} models; Tapestry offers up to {most}.",
                    count=len(self._entries),
                    most=MAX_MODELS,
                ),
                "Leave some out.",
            )

    def _add_editor(self, sample: Path) -> list[LeftOut]:
        """The bundled model that follows instructions; why not, where its file is damaged."""
        name = bundled.SAMPLE_EDIT
        file = sample.with_name("sample_edit") / f"{name}.safetensors"
        entry = self._entries[SAMPLE]
        try:
            self._entries[name] = read_difference_at(name, file, entry)
        except TapestryError as error:
            return [LeftOut(file, error)]
        return []

    def check(self, request: Request) -> None:
        """Raises TapestryError for what can be known about a request before anything is loaded.

        Its model is not there, or lacks a tokenizer; or an adapter does not fit it.
        """
        entry = self.find(request.model)
        is_instructed = request.edit is not None and request.edit.method == "instruct"
        _check_instructed(entry, is_instructed=is_instructed)
        if request.edit is not None and is_instructed:
            check_references(entry.id, entry.references, request.edit)
        if request.edit is not None and request.edit.source_model:
            _check_instructed(self.find(request.edit.source_model), is_instructed=False)
        self.upscaler_of(request)
        if is_file(entry.whole):
            model = read_file(entry.path, entry.component_files)
            check_tokenizers((source.kind for source in model.parts.values()), entry.path)
        if request.teach is not None:
            check_teachable(entry.id, entry.variant, entry.dtype)
            check_word(request.teach, self.adapters.words, entry.known_words)
        widths = read_embedding_dims(entry.whole, entry.component_files)
        self.adapters.check(request, entry.id, entry.family, widths)

    def names_needed(self, request: Request) -> frozenset[str]:
        """Ids of the models, adapters and upscalers that a request needs, as they are called here.

        Those that are not here count by the names that the request has for them.
        """
        named = {request.model, request.upscaler}
        if request.edit is not None:
            named.add(request.edit.source_model)
        named.update(self.adapters.names_needed(request))
        return frozenset(named - {""})

    @property
    def upscalers(self) -> tuple[str, ...]:
        """Networks that enlarge pictures, by name."""
        return tuple(self._upscalers)

    def upscaler_of(self, request: Request) -> Upscaler | None:
        """The one that a request names; raises TapestryError when there is none, or no more."""
        if not request.upscaler:
            return None
        path = self._upscalers.get(request.upscaler)
        if path is None:
            raise TapestryError(
                ErrorCode.MODEL_NOT_FOUND,
                Sentence("There is no upscaler {name}.", name=quoted(request.upscaler)),
                "Choose another one, or leave it out.",
            )
        return find_upscaler(str(path))

    def all_upscalers(self) -> Iterator[tuple[str, Upscaler]]:
        """Those that can be read, by name."""
        for name, path in self._upscalers.items():
            with suppress(TapestryError):
                yield name, find_upscaler(str(path))

    def call(self, entry: Checkpoint | Adapter | Upscaler, name: str) -> bool:
        """Offer something under this id too, in place of another; tells whether that can be."""
        if isinstance(entry, Checkpoint):
            self._entries[name] = replace(entry, id=name)
        elif isinstance(entry, Upscaler):
            self._upscalers[name] = entry.path
        else:
            return self.adapters.call(entry, name)
        return True

    @property
    def entries(self) -> tuple[Checkpoint, ...]:
        """All models, the bundled one first."""
        return tuple(self._entries.values())

    @property
    def models(self) -> tuple[ModelInfo, ...]:
        return tuple(entry.info for entry in self._entries.values())

    def find(self, model_id: str) -> Checkpoint:
        """The model with this id; raises TapestryError when there is none, or none any more."""
        entry = self._entries.get(model_id)
        if entry is None:
            known = ", ".join(self._entries)
            raise TapestryError(
                ErrorCode.MODEL_NOT_FOUND,
                Sentence("There is no model {name}.", name=quoted(model_id)),
                Sentence(
                    "Choose one of: {known}. Start the backend with --model PATH to add another.",
                    known=known,
                ),
            )
        if not exists(entry.path):
            raise TapestryError(
                ErrorCode.MODEL_BROKEN,
                Sentence(
                    "The model {name} is no longer at {path}.",
                    name=quoted(model_id),
                    path=quoted(entry.path),
                ),
                "Put it back, or choose another one.",
            )
        return entry


def _check_name(name: str) -> None:
    """The name travels as the model's id."""
    if not name.strip():
        raise TapestryError(
            ErrorCode.MODEL_NOT_FOUND,
            "A model is named without a word.",
            "Give its id or its path with --model; `tapestry models` lists those that were found.",
        )
    problem = why_no_id(name)
    if not problem:
        return
    raise TapestryError(
        ErrorCode.MODEL_NOT_FOUND,
        Sentence("The model's name {name} {problem}.", name=ascii(name[:40]), problem=problem),
        Sentence("Give it a path of {count} characters or fewer.", count=MAX_ID_CHARACTERS),
    )


def locate(name: str) -> Path:
    """The folder of a model named by path, or by its id in the hub's local cache; no network."""
    path = expanded(name)
    if exists(path):
        return path
    from huggingface_hub import snapshot_download  # noqa: PLC0415  slow to import, rarely needed
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError  # noqa: PLC0415

    try:
        return Path(snapshot_download(name, local_files_only=True))
    except (HFValidationError, LocalEntryNotFoundError, OSError):
        raise TapestryError(
            ErrorCode.MODEL_NOT_FOUND,
            Sentence(
                "{name} is neither a file, nor a folder, nor a model in the Hugging Face cache.",
                name=quoted(name),
            ),
            "Give the path of a checkpoint (.safetensors, .gguf, or a folder with "
            "model_index.json); `tapestry models` lists those that were found.",
        ) from None


def is_here(name: str) -> bool:
    """Whether a model that is named by path or id is on this computer."""
    try:
        locate(name)
    except TapestryError:
        return False
    return True


def read_checkpoint_at(
    model_id: str, path: Path, component_files: Mapping[str, Path] | None = None
) -> Checkpoint:
    """What a folder's configuration or a file's header says; nothing is loaded.

    Raises TapestryError when it is not a model that we can run.
    """
    if not exists(path):
        raise TapestryError(
            ErrorCode.MODEL_NOT_FOUND,
            Sentence(
                "{path} is not there, or leads to something that is not there.",
                path=quoted(path),
            ),
            "Put it back, or fetch it again.",
        )
    if is_folder(path):
        return _read_folder(model_id, path)
    if not is_file(path):
        raise TapestryError(
            ErrorCode.MODEL_BROKEN,
            Sentence("{path} is neither a file nor a folder.", path=quoted(path)),
            "Give the path of a checkpoint (.safetensors, .gguf, or a folder with "
            "model_index.json).",
        )
    if path.name == _INDEX:
        raise TapestryError(
            ErrorCode.MODEL_BROKEN,
            Sentence("{path} is one file of a model in a folder.", path=quoted(path)),
            Sentence("Give the folder: {folder}.", folder=quoted(path.parent)),
        )
    model = read_file(path, component_files)
    used = {part: source.path for part, source in model.parts.items() if source.path != path}
    return Checkpoint(
        model_id, path, model.window_px, model.family, model.variant, model.dtype, used
    )


def read_difference_at(model_id: str, path: Path, base: Checkpoint) -> Checkpoint:
    """A model that differs from another one, in a folder, by what a file holds; nothing is loaded.

    Raises TapestryError when that is no such file.
    """
    vae = read_json(base.path / "vae" / "config.json", MAX_CONFIGURATION_BYTES)
    check_difference(path, 2 * vae_channels({"latent_channels": 4, **vae}))
    return replace(base, id=model_id, path=path, variant="instruct", base=base.path)


def _check_instructed(entry: Checkpoint, *, is_instructed: bool) -> None:
    check_follows(
        entry.id,
        is_instructed=is_instructed,
        follows=entry.follows_instructions,
        nothing_else=entry.only_instructions,
    )


def read_file(path: Path, component_files: Mapping[str, Path] | None = None) -> FileModel:
    """What a single file holds; raises TapestryError when it is no checkpoint that we can run."""
    if path.suffix.lower() in FOREIGN_FORMATS:
        raise foreign_file(path)
    try:
        model = read_checkpoint(path, component_files)
    except OSError as error:
        raise unreadable(path, error) from error
    except BrokenFileError as error:
        raise broken_file(path, error) from error
    if model is None:
        raise no_checkpoint(path)
    if model.missing:
        raise missing_parts(path, model)
    return model


def _read_folder(model_id: str, path: Path) -> Checkpoint:
    try:
        index = read_json(path / _INDEX, MAX_CONFIGURATION_BYTES)
        backbone, vae = (
            read_json(path / part / "config.json", MAX_CONFIGURATION_BYTES)
            for part in (backbone_of(index), "vae")
        )
        family = family_of(index, backbone)
        window_px = _window_px(backbone, vae, family)
        taken, made = backbone.get("in_channels", 4), vae_channels({"latent_channels": 4, **vae})
        variant = family.variant(taken, made, vae_cell_px(vae)) if family else None
    except OSError as error:
        file = Path(error.filename or path)
        if not isinstance(error, FileNotFoundError | NotADirectoryError):
            raise unreadable(file, error) from error
        name = f"{file.parent.name}/{file.name}"
        raise _no_folder(path, Sentence("{file} is missing", file=name)) from error
    except BrokenFileError as error:
        raise _no_folder(path, error.problem) from error
    except KeyError as error:
        raise _no_folder(path, Sentence("its configurations lack {name}", name=error)) from error
    except (ValueError, TypeError, IndexError) as error:
        raise _no_folder(path, Sentence("its configurations make no sense")) from error
    if family is None:
        raise TapestryError(
            ErrorCode.MODEL_BROKEN,
            Sentence(
                "{name} is a {family}, which Tapestry cannot run.",
                name=quoted(path),
                family=f"{index['_class_name']!s:.60}",
            ),
            Sentence("Choose {families}.", families=RUNS),
        )
    if variant is None:
        raise TapestryError(
            ErrorCode.MODEL_BROKEN,
            Sentence(
                "The backbone of {name} takes {channels} channels, its autoencoder makes {made}.",
                name=quoted(path),
                channels=taken,
                made=made,
            ),
            "Choose a checkpoint that paints from a prompt, or one for inpainting.",
        )
    if variant == "base":
        editor = family.editor(str(index["_class_name"]))
        variant = editor or _few_steps(path, family, index, backbone) or variant
        if editor and backbone.get("sample_size") is None:
            window_px = family.edits[editor].window_px or window_px
    return Checkpoint(
        model_id, path, window_px, family.name, variant, _dtype(path / family.backbone)
    )


def _no_folder(path: Path, reason: Sentence) -> TapestryError:
    return TapestryError(
        ErrorCode.MODEL_BROKEN,
        Sentence(
            "{folder} is not a model folder in diffusers layout ({problem}).",
            folder=quoted(path),
            problem=reason,
        ),
        "Choose a folder that holds model_index.json, unet or transformer, vae, text_encoder, "
        "tokenizer and scheduler.",
    )


def _few_steps(path: Path, family: Family, index: dict[str, Any], backbone: dict[str, Any]) -> str:
    if index.get("is_distilled"):
        return "distilled"
    scheduler = index.get("scheduler")
    return few_steps_of(
        path.name,
        unguided="" if backbone.get("guidance_embeds", True) else family.unguided,
        scheduler=str(scheduler[-1]) if isinstance(scheduler, list) and scheduler else "",
    )


def _dtype(part: Path) -> str:
    """Type of the first file of weights; "" when none can be read."""
    for file in sorted(part.glob("*.safetensors")):
        with suppress(OSError, BrokenFileError):
            return read_header(file).dtype
    return ""


def _window_px(backbone: dict[str, Any], vae: dict[str, Any], family: Family | None) -> int:
    """The side of a window; raises ValueError or TypeError when it is none that a model has.

    A network without that setting was made for its autoencoder's size, or its family's.
    """
    size = backbone.get("sample_size")
    if size is not None:
        cells = size if isinstance(size, int) else min(size)
        window_px = cells * vae_cell_px(vae)
    else:
        window_px = vae.get("sample_size") or (family.window_px if family else MAX_SIDE_PX)
    if type(window_px) is not int or not 0 < window_px <= MAX_SIDE_PX:
        raise ValueError("window")
    return window_px


def inpainting_channels(channels: int) -> int:
    """What an inpainting model takes: noisy latents, a mask, and the latents of what is known."""
    return 2 * channels + 1
