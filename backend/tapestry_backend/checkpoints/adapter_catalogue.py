"""Which adapters there are, told from headers and configurations alone."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from unicodedata import normalize

from tapestry_protocol.adapters import AdapterInfo, may_fit
from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.limits import MAX_ADAPTERS
from tapestry_protocol.messages import Request
from tapestry_protocol.sentences import Sentence, quoted

from ..prompts.syntax import NamedAdapters, read_syntax
from ..prompts.taught_words import TaughtWord, with_taught_words
from .adapter_recognition import (
    IMAGE_ENCODER,
    Adapter,
    AdapterKind,
    bundled_in,
    chosen_embeddings,
    is_network_file,
    is_network_folder,
    read_adapter,
)
from .checkpoint_file import PICKLES, holds_a_network, misplaced_network
from .control_types import mode_of
from .embedding_dims import EmbeddingDims
from .families import family_of_file
from .folder_checks import PARTS, lacks_index, without_index
from .folders import check_folder_named, expanded, is_folder, is_weights, walk
from .left_out import LeftOut, choose_id, fitting, unforeseen
from .quick_lora import with_quick_lora
from .safetensors_header import read_header
from .taught import taught_folders

PICTURED: tuple[AdapterKind, ...] = ("controlnet", "t2i_adapter", "ip_adapter")
"""Those that are shown a picture."""
FAMILY_NAMES: Mapping[str, str] = {
    "sd1": "Stable Diffusion 1.x",
    "sd2": "Stable Diffusion 2.x",
    "sdxl": "Stable Diffusion XL",
    "sd3": "Stable Diffusion 3",
    "flux": "FLUX",
    "z_image": "Z-Image",
    "flux2": "FLUX.2",
    "chroma": "Chroma",
    "qwen_image": "Qwen-Image",
}
_KIND_NAMES: Mapping[AdapterKind, str] = {
    "lora": "LoRA",
    "controlnet": "ControlNet",
    "t2i_adapter": "T2I-Adapter",
    "ip_adapter": "IP-Adapter",
    "embedding": Sentence("embedding"),
}
_TILE = re.compile(r"(?<![a-z])tile(?![a-z])", re.IGNORECASE)

_NAMED_IN_ADVICE = 20
"""Adapters that a sentence names: some people have a thousand."""


class AdapterCatalogue:
    """The bundled adapters, those named at the start, and those in the folders that were found.

    Raises TapestryError when a file or a ControlNet that was named cannot be used. Unusable ones in
    a folder are listed with the reason (`left_out_beside`).
    """

    def __init__(self, names: Sequence[str] = (), folders: Sequence[Path] = ()) -> None:
        self._adapters: dict[str, Adapter] = {}
        self._paths: set[str] = set()
        self._left_out: list[LeftOut] = []
        bundled = Path(str(files("tapestry_backend") / "sample_adapters"))
        self._look_through(bundled)
        for path in (expanded(name) for name in names):
            if not is_folder(path) or is_network_folder(path):
                self._add(read_adapter(path), (path.stem, str(path)))
            if is_folder(path):
                check_folder_named(path, self._left_out)
                self._look_through(path)
        for folder in folders:
            self._look_through(folder)
        found = list(self._adapters.values())
        kept, left = fitting(
            found, MAX_ADAPTERS, lambda a: a.id, lambda a: a.path, Sentence("adapters")
        )
        self._adapters = {adapter.id: adapter for adapter in kept}
        self._left_out += left

    def _look_through(self, root: Path) -> None:
        """All adapters in a folder, also further inside, under their names in it."""
        for path in _found_in(root, self._left_out):
            inside = path.relative_to(root)
            plain = inside if is_folder(path) else inside.with_suffix("")
            inner = [plain.as_posix(), f"{root.name}/{plain.as_posix()}"]
            names = [*([root.name] if path == root else inner), str(path)]
            try:
                self._add(read_adapter(path), names)
            except TapestryError as error:
                self._left_out.append(LeftOut(path, error))
            except Exception as error:  # noqa: BLE001  it stops no other
                self._left_out.append(unforeseen(path, error))

    def _add(self, adapter: Adapter, names: Sequence[str]) -> None:
        """Under the first of these names that is free."""
        place = _place_of(adapter.path)
        if place in self._paths:
            return
        chosen = choose_id(adapter.path, names, self._adapters.__contains__)
        if isinstance(chosen, LeftOut):
            self._left_out.append(chosen)
            return
        self._paths.add(place)
        self._adapters[chosen] = replace(adapter, id=chosen)
        for word in bundled_in(adapter) if adapter.kind == "lora" else ():
            own = choose_id(
                adapter.path, (word.id, f"{chosen}/{word.id}"), self._adapters.__contains__
            )
            if not isinstance(own, LeftOut):
                self._adapters[own] = replace(word, id=own)

    @property
    def paths(self) -> tuple[Path, ...]:
        """Where those lie that can be used."""
        return tuple(adapter.path for adapter in self._adapters.values())

    def left_out_beside(self, checkpoints: Sequence[Path]) -> list[LeftOut]:
        """What was found and cannot be used; no checkpoint that lies in the same folder, though.

        And what can be used in part, with what is missing.
        """
        known = {os.path.realpath(path) for path in checkpoints}
        parts = [
            LeftOut(adapter.path, in_part(adapter, adapter.unused))
            for adapter in self._adapters.values()
            if adapter.unused is not None
        ]
        others = [each for each in self._left_out if os.path.realpath(each.path) not in known]
        return parts + others

    @property
    def all(self) -> tuple[Adapter, ...]:
        """Every adapter that can be used."""
        return tuple(self._adapters.values())

    def call(self, adapter: Adapter, name: str) -> bool:
        """Offer an adapter under this id too; an embedding is called by its own word alone."""
        if adapter.kind != "embedding":
            self._adapters[name] = replace(adapter, id=name)
        return adapter.kind != "embedding"

    @property
    def infos(self) -> tuple[AdapterInfo, ...]:
        return tuple(adapter.info for adapter in self._adapters.values())

    @property
    def embeddings(self) -> tuple[Adapter, ...]:
        """The textual inversions."""
        return tuple(a for a in self._adapters.values() if a.kind == "embedding")

    @property
    def tile_networks(self) -> tuple[Adapter, ...]:
        """ControlNets that keep a picture what it is: their names alone tell."""
        networks = (each for each in self._adapters.values() if each.kind == "controlnet")
        return tuple(each for each in networks if _TILE.search(each.id))

    def find(self, adapter_id: str, *kinds: AdapterKind) -> Adapter:
        """The adapter with this id, or the only one that is called so in any folder.

        Raises TapestryError when there is none of these kinds.
        """
        fitting_ones = [a for a in self._adapters.values() if a.kind in kinds]
        # Files from a Mac write an accent as a sign of its own, layers' names do not.
        wanted = normalize("NFC", adapter_id)
        composed = [(normalize("NFC", a.id), a) for a in fitting_ones]
        found = (
            [a for a in fitting_ones if a.id == adapter_id]
            or [a for a in fitting_ones if str(a.path) == adapter_id]
            or [a for name, a in composed if name == wanted]
            or [a for name, a in composed if name.rpartition("/")[2] == wanted]
        )
        if len(found) == 1:
            return found[0]
        is_lora = "lora" in kinds
        what = "LoRA" if is_lora else Sentence("ControlNet, T2I-Adapter or IP-Adapter")
        problem = Sentence("There is no {kind} {name}.", kind=what, name=quoted(adapter_id))
        if found:
            problem = Sentence(
                "{count} are called {name}.", count=len(found), name=quoted(adapter_id)
            )
        names = [quoted(a.id) for a in found or fitting_ones]
        known = ", ".join(names[:_NAMED_IN_ADVICE])
        if len(names) > _NAMED_IN_ADVICE:
            known = Sentence(
                "{names} and {count} others", names=known, count=len(names) - _NAMED_IN_ADVICE
            )
        raise TapestryError(
            ErrorCode.MODEL_NOT_FOUND,
            problem,
            Sentence(
                "Choose one of: {known}. Start the backend with --adapter PATH to add another.",
                known=known,
            )
            if known
            else "Start the backend with --adapter PATH to add another.",
        )

    def read(self, request: Request) -> tuple[Request, tuple[str, ...]]:
        """The request with the LoRAs that its prompts name, and notices about its prompts.

        A word that was taught here stands for its embedding, and brings its LoRA along; a quick one
        has its model's LoRA for few steps.
        """
        words = tuple(adapter.token for adapter in self.embeddings)
        request = with_taught_words(with_quick_lora(request), self.taught_words)
        return read_syntax(request, NamedAdapters(self.find, words))

    def names_needed(self, request: Request) -> Iterator[str]:
        """Ids of the adapters that a request names in its fields, or in its prompts."""
        with suppress(TapestryError):  # one that names what is not there is refused elsewhere
            request, _ = self.read(request)
        wanted: list[tuple[str, tuple[AdapterKind, ...]]]
        wanted = [(lora.adapter, ("lora",)) for lora in request.all_loras]
        wanted += [(control.adapter, PICTURED) for control in request.all_controls]
        for name, kinds in wanted:
            try:
                yield self.find(name, *kinds).id
            except TapestryError:
                yield name
        for adapter in self.embeddings:
            if any(adapter.token in prompt for prompt in request.all_prompts):
                yield adapter.id

    @property
    def taught_words(self) -> tuple[TaughtWord, ...]:
        """What was taught here, by the words that prompts say."""
        found: dict[str, TaughtWord] = {}
        for adapter in self._adapters.values():
            for word in adapter.words:
                known = found.setdefault(word.casefold(), TaughtWord(word))
                if adapter.kind == "lora":
                    known = known._replace(lora=adapter.id)
                else:
                    known = known._replace(token=adapter.token)
                found[word.casefold()] = known
        return tuple(found.values())

    @property
    def words(self) -> tuple[str, ...]:
        """Those that mean something already: taught here, or an embedding's."""
        taught = (word.word for word in self.taught_words)
        return (*taught, *(adapter.token for adapter in self.embeddings))

    def look_for_taught(self) -> tuple[AdapterInfo, ...]:
        """Take on what has come to our own models folder since; gives it."""
        found = (
            path for folder in taught_folders() for path in sorted(folder.glob("*.safetensors"))
        )
        new = [path for path in found if _place_of(path) not in self._paths]
        return tuple(info for path in new for info in self.add_taught(path))

    def add_taught(self, path: Path) -> tuple[AdapterInfo, ...]:
        """Take on a file that was taught just now; gives those that it holds.

        One that is known by its path already is not read again.
        """
        before = set(self._adapters)
        try:
            self._add(read_adapter(path), (path.stem, str(path)))
        except TapestryError as error:
            self._left_out.append(LeftOut(path, error))
        return tuple(a.info for name, a in self._adapters.items() if name not in before)

    def check(self, request: Request, model_id: str, family: str, widths: EmbeddingDims) -> None:
        """Raises TapestryError when a request names an adapter that is not there or does not fit.

        widths: of what the model reads.
        """
        request, _ = self.read(request)
        wanted = [self.find(lora.adapter, "lora") for lora in request.all_loras]
        for control in request.all_controls:
            wanted.append(self.find(control.adapter, *PICTURED))
            mode_of(control, wanted[-1].id, wanted[-1].types)
            if wanted[-1].kind == "ip_adapter" and control.preprocessor != "none":
                raise TapestryError(
                    ErrorCode.BAD_REQUEST,
                    Sentence(
                        "The IP-Adapter {name} looks at a layer as it is.",
                        name=quoted(control.adapter),
                    ),
                    "Show it the layer itself, no lines or edges of it.",
                )
        for adapter in chosen_embeddings(self.embeddings, widths.words):
            said = any(adapter.token in prompt for prompt in request.all_prompts)
            if said and widths.words not in {(), adapter.widths}:
                raise misfit(adapter, model_id, family)
        for adapter in wanted:
            other_width = adapter.widths and widths.text not in {None, *adapter.widths}
            if other_width or not may_fit(adapter.kind, adapter.family, family):
                raise misfit(adapter, model_id, family)


def _place_of(path: Path) -> str:
    """Two links to one file are two adapters, as in other programs: they have two names."""
    return os.path.join(os.path.realpath(path.parent), path.name)  # noqa: PTH118


def misfit(adapter: Adapter, model_id: str, family: str = "") -> TapestryError:
    """The error for an adapter that was made for other models than this one."""
    what = _KIND_NAMES[adapter.kind]
    made_for = FAMILY_NAMES.get(adapter.family, Sentence("models of another build"))
    own = FAMILY_NAMES.get(family)
    if own and family != adapter.family:
        problem = Sentence(
            "The {kind} {name} was made for {family}, not for the model {model}, which is {own}.",
            kind=what,
            family=made_for,
            own=own,
            name=quoted(adapter.id),
            model=quoted(model_id),
        )
    else:
        problem = Sentence(
            "The {kind} {name} was made for {family}, not for the model {model}.",
            kind=what,
            family=made_for,
            name=quoted(adapter.id),
            model=quoted(model_id),
        )
    return TapestryError(
        ErrorCode.BAD_REQUEST,
        problem,
        Sentence("Choose a model that it was made for, or another {kind}.", kind=what),
    )


def ungrounded(model_id: str) -> TapestryError:
    """The error for boxes that a model does not read."""
    return TapestryError(
        ErrorCode.BAD_REQUEST,
        Sentence("The model {name} takes no grounded boxes.", name=quoted(model_id)),
        "Choose a GLIGEN checkpoint, or set the grounding to 0.",
    )


def in_part(adapter: Adapter, unused: Sentence) -> TapestryError:
    """What an artist reads about an adapter of which only a part can be used."""
    return TapestryError(
        ErrorCode.MODEL_BROKEN,
        Sentence(
            "The {kind} {name} is used without {unused}.",
            kind=_KIND_NAMES[adapter.kind],
            name=quoted(adapter.id),
            unused=unused,
        ),
    )


def _found_in(folder: Path, left_out: list[LeftOut]) -> Iterator[Path]:
    """What may be an adapter in a folder, also further inside; links are followed.

    The parts of a model in diffusers' layout are none, nor is the same model as a file beside them.
    """
    for here, inner, names in walk(folder, left_out):
        if lacks_index(here):
            left_out.append(without_index(here))
        is_model = lacks_index(here) or "model_index.json" in names
        if is_model:
            inner[:] = [name for name in inner if name not in PARTS]
        is_network = is_network_folder(here)
        if is_network:
            yield here
        for path in map(here.joinpath, names):
            if (is_network and is_network_file(path.name)) or _is_image_encoder(path):
                continue
            if is_model and (not is_weights(path.name) or _is_model_file(path)):
                continue
            if _is_network(path):
                left_out.append(LeftOut(path, misplaced_network(path)))
            elif path.suffix.lower() in PICKLES or is_weights(path.name):
                yield path


def _is_image_encoder(path: Path) -> bool:
    """Whether a file is the network that an IP-Adapter's file needs beside it."""
    return path.parent.name == IMAGE_ENCODER and path.name.startswith(("model.", "pytorch_model."))


def _is_model_file(path: Path) -> bool:
    """Whether a file holds a checkpoint, or a network that one may lack."""
    with suppress(Exception):  # which `read_adapter` puts into a sentence
        header = read_header(path)
        return family_of_file(header.shapes) is not None or holds_a_network(header)
    return False


def _is_network(path: Path) -> bool:
    """Whether a file is a text encoder or an autoencoder, which is no adapter."""
    if not is_weights(path.name):
        return False
    with suppress(Exception):  # which `read_adapter` puts into a sentence
        return holds_a_network(read_header(path))
    return False
