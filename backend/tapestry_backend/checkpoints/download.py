"""Fetches one model from the Hugging Face hub, by explicit wish.

It goes into our own models folder. What was fetched when it was stopped is kept, and the next
try goes on from there (the hub's own cache begins each file anew); each file of weights is compared
with the checksum that the hub names.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlparse

from huggingface_hub import HfApi, get_hf_file_metadata, hf_hub_url
from huggingface_hub.file_download import http_get
from huggingface_hub.utils import build_hf_headers

from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.sentences import quoted

from .catalogue import read_checkpoint_at
from .model_paths import MODELS_VARIABLE, models_folder

_GIB = 2**30
_CHUNK_BYTES = 2**22
_INDEX = "model_index.json"
_ID = re.compile(r"([\w.-]+/[\w.-]+)(?:/([\w./ -]+\.(?:safetensors|gguf)))?", re.ASCII)
_WANTED = re.compile(
    r"[\w-]+/(?:[\w.-]+\.json|merges\.txt|[\w.-]+\.model|[\w.-]+\.safetensors)", re.ASCII
)
_UNUSED = ("safety_checker/", "feature_extractor/", "image_encoder/")
_HALF = ".fp16."


@dataclass(frozen=True)
class RemoteFile:
    """A file in the hub; sha256 is known for large ones."""

    name: str
    size_bytes: int
    sha256: str | None


def fetch(model_id: str, *, sure: bool = False) -> int:
    """Show how large a model is, ask, fetch and check it; the command's exit status.

    model_id: "owner/name", or "owner/name/file.safetensors" for one file of it. Raises
    TapestryError when there is no such model, too little room, or what came is not what was named.
    """
    repository, file = _read_id(model_id)
    revision, files = _files_of(repository)
    wanted = select(files, file)
    total = sum(each.size_bytes for each in wanted)
    folder = models_folder() / repository
    _check_room(folder, total)
    print(f"{model_id}: {len(wanted)} files, {total / _GIB:.2f} GiB, into {folder}")
    if not sure and not _agreed():
        print("Nothing was fetched.")
        return 0
    for each in wanted:
        _fetch_file(repository, revision, each, folder / each.name)
    entry = read_checkpoint_at(model_id, folder / file if file else folder)
    print(f"{entry.id}: {entry.family}, {entry.variant}, windows of {entry.window_px} pixels")
    return 0


def select(files: Iterable[RemoteFile], file: str | None) -> list[RemoteFile]:
    """The files that are needed: this one, or a folder in diffusers' layout.

    Weights as safetensors alone, in half precision where there is a choice.
    """
    by_name = {each.name: each for each in files}
    if file is not None:
        if file not in by_name:
            raise _refusal(f"The model has no file {quoted(file)}.", "Look at its page in the hub.")
        return [by_name[file]]
    if _INDEX not in by_name:
        single = sorted(name for name in by_name if name.endswith(".safetensors"))
        raise _refusal(
            "The model is no folder in diffusers' layout.",
            f"Name one of its files, for instance {quoted(single[0])}."
            if single
            else "It has no weights as .safetensors; choose another.",
        )
    names = {name for name in by_name if _WANTED.fullmatch(name) and not name.startswith(_UNUSED)}
    return [by_name[name] for name in (_INDEX, *sorted(_one_precision(names)))]


def _one_precision(names: set[str]) -> set[str]:
    """The names, with the weights of each part in one precision."""
    kept = set()
    for name in names:
        part, _, base = name.partition("/")
        if ".safetensors" not in base:
            kept.add(name)
            continue
        has_half = any(n.startswith(f"{part}/") and _HALF in n for n in names)
        if (_HALF in base) == has_half and ".non_ema." not in base:
            kept.add(name)
    return kept


def _read_id(model_id: str) -> tuple[str, str | None]:
    found = _ID.fullmatch(model_id)
    if found is None or ".." in model_id:
        raise _refusal(
            f"{quoted(model_id[:80])} is no model's id.",
            "It is OWNER/NAME as in the hub, or OWNER/NAME/FILE.safetensors.",
        )
    return found[1], found[2]


def _endpoint() -> str | None:
    return os.environ.get("HF_ENDPOINT") or None


def _files_of(repository: str) -> tuple[str, list[RemoteFile]]:
    """The newest revision, and its files."""
    try:
        info = HfApi(endpoint=_endpoint()).model_info(repository, files_metadata=True)
    except Exception as error:  # the client lets through whatever its own client raises
        raise _unreachable(repository, error) from error
    files = [
        RemoteFile(each.rfilename, each.size or 0, each.lfs["sha256"] if each.lfs else None)
        for each in info.siblings or []
    ]
    return info.sha or "main", files


def _fetch_file(repository: str, revision: str, file: RemoteFile, path: Path) -> None:
    """Fetch what is not there yet; raises TapestryError when it does not come, or comes damaged."""
    if path.is_file() and _is_right(path, file):
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    try:
        url = hf_hub_url(repository, file.name, revision=revision, endpoint=_endpoint())
        headers = build_hf_headers()
        source = get_hf_file_metadata(url, headers=headers, endpoint=_endpoint()).location
        if urlparse(source).netloc != urlparse(url).netloc:
            headers.pop("authorization", None)  # which is for the hub alone
        with part.open("ab") as stream:
            have = stream.tell()
            http_get(
                source,
                stream,
                resume_size=have,
                headers=headers,
                expected_size=file.size_bytes,
                displayed_filename=file.name,
            )
    except Exception as error:  # as above
        raise _unreachable(repository, error) from error
    if not _is_right(part, file):
        size = part.stat().st_size
        part.unlink()
        raise _refusal(
            f"{quoted(file.name)} came damaged ({size} of {file.size_bytes} bytes).",
            "It was thrown away; run the command again.",
        )
    part.replace(path)


def _is_right(path: Path, file: RemoteFile) -> bool:
    if path.stat().st_size != file.size_bytes:
        return False
    if file.sha256 is None:
        return True
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest() == file.sha256


def _check_room(folder: Path, total: int) -> None:
    place = folder
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    if free < total:
        raise _refusal(
            f"The model has {total / _GIB:.2f} GiB, and {free / _GIB:.2f} GiB are free.",
            f"Make room, or set {MODELS_VARIABLE} to a folder on another disk.",
        )


def _agreed() -> bool:
    try:
        if sys.stdin is not None and sys.stdin.isatty():  # none at all where it was closed
            return input("Fetch it? [y/N] ").strip().lower() in {"y", "yes"}
    except (EOFError, OSError, ValueError):  # closed while it waits
        pass
    raise _refusal(
        "Cannot ask for confirmation: there is no terminal.",
        "Add --yes to fetch it without a question.",
    )


def _unreachable(repository: str, error: Exception) -> TapestryError:
    return _refusal(
        f"{quoted(repository)} cannot be fetched ({type(error).__name__}: {str(error)[:200]}).",
        "Check its name and your connection; for a model behind a licence, accept it in the hub "
        "and log in with `hf auth login`. What came already is kept: the next try goes on there.",
    )


def _refusal(message: str, advice: str) -> TapestryError:
    return TapestryError(ErrorCode.MODEL_NOT_FOUND, message, advice)
