"""Whether a model's folder can be opened: looked at from outside, before anything is loaded.

A folder may come from anywhere. What is opened of it are ordinary files inside it, weights as
safetensors alone, and configurations whose numbers could be those of a model.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.sentences import Sentence, quoted

from .families import FAMILIES, backbone_of, family_of
from .folders import is_file, is_folder
from .left_out import LeftOut, unreadable
from .model_paths import hub_cache, models_folder
from .safetensors_header import ANOTHER, BrokenFileError, check_regular, check_weights, read_json

MAX_CONFIGURATION_BYTES = 2**20
"""Configurations have a few thousand."""

MAX_VOCABULARY_BYTES = 32 * 2**20
"""The files of a tokenizer have up to 17 MiB."""

_WEIGHTS = ("diffusion_pytorch_model", "model")
"""What diffusers and transformers call a part's file."""

_VARIANTS = (None, "fp16", "bf16")
"""What may stand before its suffix; the first one that is there is taken."""

_VOCABULARIES = {"tokenizer.json", "vocab.json", "spiece.model"}
"""Files of which a tokenizer has one at least."""

PARTS = frozenset(
    part for family in FAMILIES.values() for part in (*family.modules, *family.tokenizers)
) | {"feature_extractor", "image_encoder", "safety_checker", "scheduler"}
"""The folders of a model in diffusers' layout."""

_WHOLE_FOLDER = (
    "Get it again from where it came from: a folder in diffusers layout, complete, with its "
    "weights as .safetensors."
)
PROCESSOR = "processor"
"""The folder that says how a language model looks at a picture."""
_LINK = "Put the file itself there."
_SCHEDULER_CONFIGURATION = "scheduler/scheduler_config.json"
_MAX_NUMBER = 2**20
_LARGER = {"rope_theta": 2**40, "max_pixels": 2**27, "longest_edge": 2**27}
"""What may be more: a language model's longest wave, which takes no memory, and to what size a
picture is made smaller before one looks at it."""
_MAX_REPEATS = 100
_MAX_ITEMS, _MAX_BETAS = 128, 10_000
"""Entries of a list; language models name the kind of each of their layers."""
_MAX_DEPTH = 8
_PACKING = "quantization_config"
_FOREIGN = {"auto_map", _PACKING, "custom_pipeline", "trust_remote_code"}
"""Settings that would have other code than ours read the model."""
_FOREIGN_FILES = ("adapter_config.json", "adapter_model.safetensors")
"""Files that would have a library look elsewhere for the model."""
_SCHEDULER = re.compile(r"[A-Za-z0-9]{1,60}Scheduler")


def check_folder(folder: Path) -> None:
    """Raises TapestryError when a model's folder is not whole, or not to be trusted."""
    try:
        _check(folder)
    except OSError as error:
        raise unreadable(Path(error.filename or folder), error) from error
    except BrokenFileError as error:
        raise TapestryError(
            ErrorCode.MODEL_BROKEN,
            Sentence(
                "The model in {folder} cannot be opened: {reason}.",
                folder=quoted(folder),
                reason=error.problem,
            ),
            error.advice or _WHOLE_FOLDER,
        ) from error


def _check(folder: Path) -> None:
    homes = _homes(folder)
    index = _configuration(folder, "model_index.json", homes)
    if not _SCHEDULER.fullmatch(_class_name(index, "scheduler")):
        raise BrokenFileError("model_index.json names no scheduler", ANOTHER)
    _configuration(folder, _SCHEDULER_CONFIGURATION, homes)
    backbone = backbone_of(index)
    family = family_of(index, _configuration(folder, f"{backbone}/config.json", homes))
    if family is None:
        raise BrokenFileError("its pipeline is unknown", ANOTHER)
    for part in family.modules:
        if not (part in family.optional and not _class_name(index, part)):
            _check_module(folder, part, homes)
    for part in family.tokenizers:
        if not (part in family.optional and not _class_name(index, part)):
            _check_words(folder / part, homes)
    if family.looks and family.editor(str(index["_class_name"])):
        _configuration(folder, f"{PROCESSOR}/preprocessor_config.json", homes)


def _check_words(part: Path, homes: list[Path]) -> None:
    """Raises BrokenFileError when no tokenizer can be made of a folder's files."""
    words = {path.name: _inside(path, homes) for path in _inside(part, homes).iterdir()}
    for path in words.values():
        check_regular(path, MAX_VOCABULARY_BYTES)
    if not words.keys() & _VOCABULARIES:
        raise BrokenFileError(Sentence("{file} holds no vocabulary", file=part.name))
    for name, path in words.items():
        if path.suffix == ".json" and not read_json(path, MAX_VOCABULARY_BYTES):
            raise BrokenFileError(Sentence("{file} is empty", file=f"{part.name}/{name}"))
        if name in {"spiece.model", "merges.txt"} and not path.stat().st_size:
            raise BrokenFileError(Sentence("{file} is empty", file=f"{part.name}/{name}"))
    if "vocab.json" in words and not {"merges.txt", "tokenizer.json"} & words.keys():
        raise BrokenFileError(Sentence("{file} is missing", file=f"{part.name}/merges.txt"))
    if "tokenizer.json" in words:
        vocabulary = read_json(words["tokenizer.json"], MAX_VOCABULARY_BYTES).get("model")
        if not isinstance(vocabulary, dict) or not vocabulary.get("vocab"):
            raise BrokenFileError(
                Sentence("{file} holds no vocabulary", file=f"{part.name}/tokenizer.json")
            )


def lacks_index(folder: Path) -> bool:
    """Whether a folder looks like a model in diffusers' layout, without its model_index.json.

    A program's folder of models may hold unet and vae as well, with files called config.json.
    """
    parts = (folder / part / "config.json" for part in ("unet", "transformer"))
    if not any(map(is_file, parts)) or is_file(folder / "model_index.json"):
        return False
    return any(is_folder(folder / part) for part in ("scheduler", "tokenizer", "text_encoder"))


def without_index(folder: Path) -> LeftOut:
    """What an artist reads about such a folder."""
    return LeftOut.broken(
        folder,
        Sentence(
            "{folder} looks like a model, but its model_index.json is missing.",
            folder=quoted(folder),
        ),
        _WHOLE_FOLDER,
    )


def weights_variant(part: Path) -> str | None:
    """What stands before the suffix of a part's weights, as in model.fp16.safetensors."""
    return _stem_and_variant(part)[1]


def _stem_and_variant(part: Path) -> tuple[str, str | None]:
    for variant in _VARIANTS:
        for stem in _WEIGHTS:
            if any(path.exists() for path in _possible(part, stem, variant)):
                return stem, variant
    return _WEIGHTS[0], None


def _possible(part: Path, stem: str, variant: str | None) -> tuple[Path, Path]:
    """The file with all weights, and the index of several."""
    whole = f"{stem}.{variant}.safetensors" if variant else f"{stem}.safetensors"
    index = f"{stem}.safetensors.index"
    return part / whole, part / (f"{index}.{variant}.json" if variant else f"{index}.json")


def _check_module(folder: Path, part: str, homes: list[Path]) -> None:
    _configuration(folder, f"{part}/config.json", homes)
    for name in _FOREIGN_FILES:
        if (folder / part / name).exists():
            raise BrokenFileError(
                Sentence("{part} holds {name}, which Tapestry does not open", part=part, name=name),
                ANOTHER,
            )
    for path in _weights(folder / part):
        if not path.exists() and any((folder / part).glob("*.bin")):
            raise BrokenFileError(
                Sentence(
                    "its folder {part} holds pickles alone, which can run any program when they "
                    "are opened",
                    part=part,
                ),
                "Look for the same model with its weights as .safetensors.",
            )
        check_weights(_inside(path, homes))


def _configuration(folder: Path, name: str, homes: list[Path]) -> dict[str, Any]:
    value = read_json(_inside(folder / name, homes), MAX_CONFIGURATION_BYTES)
    check_configuration(value, name)
    return value


def _homes(folder: Path) -> list[Path]:
    """Where a model's files may lie: its folder, and where links of such a folder honestly lead.

    That is the store of the hub's cache, and our own models folder.
    """
    homes = [folder.resolve(), hub_cache().resolve(), models_folder().resolve()]
    if folder.resolve().parent.name == "snapshots":
        homes.append(folder.resolve().parent.parent / "blobs")
    return homes


def _inside(path: Path, homes: list[Path]) -> Path:
    try:
        real = path.resolve(strict=True)
    except OSError:
        raise BrokenFileError(
            Sentence("{file} is missing", file=f"{path.parent.name}/{path.name}")
        ) from None
    except RuntimeError:  # Python before 3.13, for links in a circle
        raise BrokenFileError(
            Sentence("{file} is a link in a circle", file=path.name), _LINK
        ) from None
    if not any(real.is_relative_to(home) for home in homes):
        raise BrokenFileError(
            Sentence(
                "{file} is a link that leads out of the model's folder, to {target}",
                file=f"{path.parent.name}/{path.name}",
                target=quoted(str(real)[:200]),
            ),
            "Put the file itself there, or what it leads to into the models folder; links into "
            "that one and into the cache of the Hugging Face hub are followed.",
        )
    return path


def _weights(part: Path) -> Iterator[Path]:
    """The files with a part's weights: one, or as many as its index names."""
    whole, index = _possible(part, *_stem_and_variant(part))
    if not index.exists():
        yield whole
        return
    files = read_json(index, MAX_CONFIGURATION_BYTES).get("weight_map")
    if not isinstance(files, dict) or not files:
        raise BrokenFileError(Sentence("{file} names no files", file=index.name))
    for file in sorted({str(file) for file in files.values()}):
        if not re.fullmatch(r"[\w-][\w.-]{0,200}\.safetensors", file):
            raise BrokenFileError(
                Sentence("{file} names {name}", file=index.name, name=quoted(file[:40])), ANOTHER
            )
        yield part / file


def _class_name(index: dict[str, Any], part: str) -> str:
    named = index.get(part)
    return str(named[1] or "") if isinstance(named, list) and len(named) == 2 else ""


def _check_readable(settings: dict[str, Any], where: str) -> None:
    """Raises BrokenFileError where other code would have to read what these are about.

    As that is of weights that bitsandbytes or torchao has packed.
    """
    foreign = _FOREIGN & settings.keys()
    if not foreign:
        return
    if foreign != {_PACKING}:
        raise BrokenFileError(
            Sentence("{where} asks for {name}", where=where, name=min(foreign)), ANOTHER
        )
    packing = settings[_PACKING]
    method = packing.get("quant_method") if isinstance(packing, dict) else None
    raise BrokenFileError(
        Sentence(
            "{where} says that its weights were packed by {name}, which Tapestry does not read",
            where=where,
            name=quoted(str(method or _PACKING)[:40]),
        ),
        "Get the same model with weights in 16 bits, or in 8 bits as fp8, or its transformer as "
        "GGUF.",
    )


def check_configuration(value: Any, where: str, key: str = "", depth: int = 0) -> None:
    """Raises BrokenFileError for numbers that no model has, and for code of its own.

    The first would take memory or time without end.
    """
    if depth > _MAX_DEPTH:
        raise BrokenFileError(Sentence("{where} is nested too deeply", where=where), ANOTHER)
    if isinstance(value, dict):
        _check_readable(value, where)
        for name, inner in value.items():
            check_configuration(inner, where, name, depth + 1)
    elif isinstance(value, list):
        if len(value) > (_MAX_BETAS if key == "trained_betas" else _MAX_ITEMS):
            raise BrokenFileError(
                Sentence(
                    "{key} in {where} has {count} entries",
                    key=quoted(key[:40]),
                    where=where,
                    count=len(value),
                ),
                ANOTHER,
            )
        for inner in value:
            check_configuration(inner, where, key, depth + 1)
    elif isinstance(value, int | float):
        repeats = "layers" in key or key.endswith("_blocks")
        most = _MAX_REPEATS if repeats else _LARGER.get(key, _MAX_NUMBER)
        if not abs(value) <= most:
            raise BrokenFileError(
                Sentence(
                    "{key} in {where} is {value}",
                    key=quoted(key[:40]),
                    where=where,
                    value=f"{value!s:.20}",
                ),
                ANOTHER,
            )
