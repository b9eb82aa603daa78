"""Where the tokenizers lie that single files lack and Tapestry does not bring: T5's and Qwen's."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.sentences import Sentence, quoted

from .folder_checks import MAX_VOCABULARY_BYTES
from .model_paths import hub_cache, models_folder
from .safetensors_header import check_regular

_MOST_ABOVE = 4
"""Folders above a checkpoint in which its program may be."""


class Tokenizer(NamedTuple):
    """A tokenizer that is looked for.

    places    folders of it: ours, and other programs'
    parts     its folders in diffusers' layout
    fits      whether a folder holds it
    missing   what an artist reads about a file that needs it, and where it is to be had
    """

    places: tuple[str, ...]
    parts: tuple[str, ...]
    fits: Callable[[Path], bool]
    missing: Callable[[Path], TapestryError]


def check_tokenizers(kinds: Iterable[str], near: Path) -> None:
    """Raises TapestryError when text encoders of these kinds lack their tokenizer."""
    for kind in kinds:
        if kind in _TOKENIZERS:
            tokenizer_folder(kind, near)


def tokenizer_folder(kind: str, near: Path) -> Path:
    """The folder with the tokenizer of a kind of text encoder; raises TapestryError without one."""
    tokenizer = _TOKENIZERS[kind]
    for place in _places(tokenizer, near):
        if tokenizer.fits(place):
            return place
    raise tokenizer.missing(near)


def _places(tokenizer: Tokenizer, near: Path) -> Iterator[Path]:
    roots = (models_folder(), *(p for n in (near.absolute(), near.resolve()) for p in _above(n)))
    yield from (root / place for root in dict.fromkeys(roots) for place in tokenizer.places)
    fetched = models_folder().glob("*/*/model_index.json")
    snapshots = hub_cache().glob("models--*/snapshots/*/model_index.json")
    for index in (*sorted(fetched), *sorted(snapshots)):
        yield from (index.parent / name for name in tokenizer.parts)


def _above(path: Path) -> tuple[Path, ...]:
    return tuple(path.parents)[:_MOST_ABOVE]


def _is_t5(folder: Path) -> bool:
    return (folder / "tokenizer.json").is_file()


def _no_t5(near: Path) -> TapestryError:
    return TapestryError(
        ErrorCode.MODEL_BROKEN,
        Sentence(
            "{name} needs the tokenizer of T5, which is nowhere here.", name=quoted(near.name)
        ),
        Sentence(
            "Get the file tokenizer.json out of the folder tokenizer_2 of FLUX.1, or "
            "tokenizer_3 of Stable Diffusion 3, on huggingface.co, or "
            "comfy/text_encoders/t5_tokenizer of ComfyUI, and put it into {folder}.",
            folder=quoted(models_folder() / "tokenizers" / "t5"),
        ),
    )


def _is_qwen3(folder: Path) -> bool:
    """Whether it has Qwen3's words for thinking, too."""
    return _is_qwen(folder, *_QWEN_WORDS, "<think>")


def _is_qwen(folder: Path, *words: str) -> bool:
    """Whether a folder holds Qwen's words, and these among them."""
    names = ("tokenizer.json",), ("vocab.json", "merges.txt", "tokenizer_config.json")
    if not any(all((folder / name).is_file() for name in each) for each in names):
        return False
    said = [_text(folder / name) for name in ("tokenizer.json", "tokenizer_config.json")]
    return all(any(f'"{word}"' in text for text in said) for word in words or _QWEN_WORDS)


_QWEN_WORDS = ("<|im_start|>", "<|im_end|>")


def _text(file: Path) -> str:
    with suppress(OSError, ValueError):
        check_regular(file, MAX_VOCABULARY_BYTES)
        return file.read_text(encoding="utf-8")
    return ""


def _no_qwen(near: Path) -> TapestryError:
    return TapestryError(
        ErrorCode.MODEL_BROKEN,
        Sentence(
            "{name} needs the tokenizer of Qwen, which is nowhere here.", name=quoted(near.name)
        ),
        Sentence(
            "Get the file tokenizer.json out of the folder tokenizer of Z-Image or FLUX.2 Klein "
            "on huggingface.co, and put it into {folder}.",
            folder=quoted(models_folder() / "tokenizers" / "qwen"),
        ),
    )


_QWEN_PLACES = ("tokenizers/qwen", "comfy/text_encoders/qwen25_tokenizer")
_TOKENIZERS = {
    "t5": Tokenizer(
        (
            "tokenizers/t5",
            "comfy/text_encoders/t5_tokenizer",
            "backend/huggingface/black-forest-labs/FLUX.1-dev/tokenizer_2",
        ),
        ("tokenizer_2", "tokenizer_3"),
        _is_t5,
        _no_t5,
    ),
    "qwen3": Tokenizer(_QWEN_PLACES, ("tokenizer",), _is_qwen3, _no_qwen),
    "qwen25": Tokenizer(_QWEN_PLACES, ("tokenizer",), _is_qwen, _no_qwen),
}
"""By kinds of text encoders; see `shapes.KINDS`."""
