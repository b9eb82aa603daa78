"""ComfyUI's extra_model_paths.yaml: further folders of models, as people write them by hand."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml

from tapestry_protocol.sentences import Sentence, quoted

from .folders import exists, expanded, is_file, is_folder
from .left_out import LeftOut, unreadable

_MAX_YAML_BYTES = 2**18
_MAX_SECTIONS = 1000
_MAX_LINES = 1000
_BASE = "base_path"
_QUOTED = re.compile(r'"[^"\n]*"')
"""In double quotes each backslash of a Windows path begins an escape, of which many are none."""

_TEXT_TAG, _LIST_TAG = "tag:yaml.org,2002:str", "tag:yaml.org,2002:seq"
_ALIKE = 0.84
"""Similarity, 0 to 1, from which on a key is taken for a misspelt one of ours."""

_OTHER_NAMES = {
    **dict.fromkeys(("stable-diffusion", "stable_diffusion", "ckpt", "ckpts"), "checkpoints"),
    **dict.fromkeys(("textual_inversion", "textual-inversion"), "embeddings"),
    **dict.fromkeys(("base", "base_dir", "base_folder", "basedir"), _BASE),
}
"""What other programs call a key of ours, and people the folder that all are in."""

_NAMES = (
    *("extra_model_paths.yaml", "extra_model_paths.yml"),
    "extra_models_config.yaml",  # that of ComfyUI's desktop edition
)


def extra_paths(
    root: Path, keys: Collection[str], left_out: list[LeftOut]
) -> dict[str, list[Path]]:
    """Key -> the folders that the first such file of a program names for it, and that are there.

    What cannot be read, and what is not there, goes to `left_out`.
    """
    found: dict[str, list[Path]] = {}
    for name in _NAMES:
        file = root / name
        content = _read(file, left_out)
        if content is None:
            continue
        for section in _sections(content, keys, file, left_out):
            for key, folder in _folders(root, section, keys, file, left_out):
                found.setdefault(key, []).append(folder)
        return found
    hidden = root / f"{_NAMES[0]}.txt"  # as editors of Windows save it, whose Explorer hides ".txt"
    if is_file(hidden):
        left_out.append(_misnamed(hidden))
    return found


def _misnamed(file: Path) -> LeftOut:
    return LeftOut.missing(
        file,
        Sentence("{file} is not followed: its name ends with .txt.", file=quoted(file)),
        Sentence("Rename it to {name}.", name=_NAMES[0]),
    )


def _read(file: Path, left_out: list[LeftOut]) -> Any:
    """What a file says; None where there is none, or it cannot be understood."""
    if exists(file) and not is_file(file):
        left_out.append(
            _misread(file, Sentence("is no ordinary file"))
        )  # a pipe would be waited for
        return None
    try:
        with file.open("rb") as opened:
            data = opened.read(_MAX_YAML_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        # A folder that may not be entered is reported where it is searched.
        if is_folder(file.parent):
            left_out.append(unreadable(file, error))
        return None
    if len(data) > _MAX_YAML_BYTES:
        left_out.append(
            _misread(file, Sentence("has more than {most} bytes", most=_MAX_YAML_BYTES))
        )
        return None
    text = _decoded(data)
    spaced = _without_tabs(text)
    literal = _QUOTED.sub(lambda quoted: quoted[0].replace("\\", "\\\\"), spaced)
    for attempt in (text, spaced, literal):
        try:
            loader = _Loader(attempt)
            content = loader.get_single_data()
        except (ValueError, RecursionError, yaml.YAMLError) as error:
            problem = " ".join(str(error).split())[:200]
        else:
            left_out.extend(_repeated(file, key) for key in dict.fromkeys(loader.repeated))
            return {} if content is None else content
    left_out.append(_misread(file, Sentence("is no YAML ({problem})", problem=problem)))
    return None


class _Loader(yaml.SafeLoader):
    """Keeps what comes twice under one name, of which YAML would keep the last alone.

    repeated: names of which only the last can count
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.repeated: list[str] = []

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002  theirs
        kept: dict[str, tuple[yaml.Node, yaml.Node]] = {}
        for key, value in node.value:
            name = key.value.strip().lower() if isinstance(key, yaml.ScalarNode) else str(id(key))
            if name in kept and name != "<<":
                before = kept[name][1]
                if isinstance(value, yaml.ScalarNode) and not value.value:
                    continue
                if isinstance(before, yaml.MappingNode) and isinstance(value, yaml.MappingNode):
                    name = f"{name} {len(kept)}"  # two sections, each with its own base
                    kept[name] = (yaml.ScalarNode(_TEXT_TAG, name), value)
                    continue
                if (
                    name != _BASE
                    and before.value
                    and yaml.MappingNode not in {type(before), type(value)}
                ):
                    both = [part for each in (before, value) for part in _parts(each)]
                    kept[name] = (kept[name][0], yaml.SequenceNode(_LIST_TAG, both))
                    continue
                if before.value:
                    self.repeated.append(key.value)
            kept[name] = (key, value)
        node.value = list(kept.values())
        return super().construct_mapping(node, deep)


def _parts(node: yaml.Node) -> list[yaml.Node]:
    return node.value if isinstance(node, yaml.SequenceNode) else [node]


def _repeated(file: Path, key: str) -> LeftOut:
    return LeftOut.broken(
        file / key,
        Sentence(
            "{file} names {key} twice in one place: only the last counts.",
            file=quoted(file),
            key=quoted(key[:40]),
        ),
        "Take out one of them.",
    )


def _decoded(data: bytes) -> str:
    """UTF-8, with a mark at its start or none; else what older editors write."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", errors="replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _without_tabs(text: str) -> str:
    """Lines that begin with tabs, which YAML does not allow, begin with spaces."""
    lines = []
    for line in text.splitlines():
        rest = line.lstrip(" \t")
        lines.append(line[: len(line) - len(rest)].expandtabs(4) + rest)
    return "\n".join(lines)


@dataclass(frozen=True)
class _ProgramSection:
    """A program's part of a file: its values by their keys, in small letters, and their base."""

    values: Mapping[str, Any]
    base: Any


def _sections(
    content: Any, keys: Collection[str], file: Path, left_out: list[LeftOut]
) -> list[_ProgramSection]:
    """Each program's part of a file: also one without a name, and one inside of another."""
    if not isinstance(content, dict):
        left_out.append(_misread(file, Sentence("names no folders")))
        return []
    seen: set[int] = set()  # a mapping may hold itself
    found: list[_ProgramSection] = []
    waiting: list[tuple[dict[Any, Any], Any]] = [(content, None)]
    while waiting:
        section, outer = waiting.pop(0)
        if id(section) in seen:
            continue
        seen.add(id(section))
        values = {str(_scalar(key)).strip().lower(): value for key, value in section.items()}
        base = values.get(_BASE) or outer
        inner = [
            value
            for key, value in values.items()
            if isinstance(value, dict) and not (key in keys and _names_folders(value, keys))
        ]
        waiting += ((each, base) for each in inner)
        if values.keys() & set(keys) or (section is not content and not inner):
            found.append(_ProgramSection(values, base))
        left_out.extend(_misspelt(values, keys, file))
        if len(seen) > _MAX_SECTIONS:
            left_out.append(_cut(file))
            break
    if content and not found:
        left_out.append(_misread(file, Sentence("names no folders")))
    return found


def _names_folders(value: Mapping[Any, Any], keys: Collection[str]) -> bool:
    """Whether a mapping below one of our keys is a list of folders, each with a name."""
    return {str(_scalar(key)).strip().lower() for key in value}.isdisjoint((_BASE, *keys))


def _misspelt(values: Mapping[str, Any], keys: Collection[str], file: Path) -> Iterator[LeftOut]:
    """Keys that are nearly one of ours; keys of other programs are ignored."""
    for key, value in values.items():
        known = (_BASE, *keys)
        near = (
            [_OTHER_NAMES[key]] if key in _OTHER_NAMES else get_close_matches(key, known, 1, _ALIKE)
        )
        if key not in known and near and not isinstance(value, dict):
            yield LeftOut.broken(
                file / key,
                Sentence(
                    "{file} names {key}, which means nothing: {near} does.",
                    file=quoted(file),
                    key=quoted(key[:40]),
                    near=quoted(near[0]),
                ),
                Sentence("Correct {file}.", file=quoted(file)),
            )


def _cut(file: Path) -> LeftOut:
    return LeftOut.too_many(
        file,
        Sentence(
            "{file} has more than {most} sections: what comes after them is left out.",
            file=quoted(file),
            most=_MAX_SECTIONS,
        ),
        "Remove those that you do not need.",
    )


def _folders(
    root: Path,
    section: _ProgramSection,
    keys: Collection[str],
    file: Path,
    left_out: list[LeftOut],
) -> Iterator[tuple[str, Path]]:
    """The folders of a section; a key may name several, one a line or as a list."""
    named_by = section.values
    left_out.extend(_empty(file, key) for key in keys if named_by.get(key, key) is None)
    wanted = [(key, line) for key in keys for line in _lines(named_by.get(key), file, left_out)]
    named = _path_of(section.base or ".", file, left_out)
    if named is None:
        return
    base = root / expanded(named)
    if wanted and not is_folder(base):
        left_out.append(_missing(file, base))
        wanted = [(key, line) for key, line in wanted if expanded(line).is_absolute()]
    for key, line in wanted:
        folder = base / expanded(line)
        if is_folder(folder):
            yield key, folder
        else:
            left_out.append(_missing(file, folder))


def _lines(value: Any, file: Path, left_out: list[LeftOut]) -> list[str]:
    if isinstance(value, dict):  # folders with names of their own
        value = list(value.values())
    parts = value if isinstance(value, list) else [_scalar(value)]
    lines = [
        line
        for part in parts[:_MAX_LINES]
        for line in (part.splitlines() if isinstance(part, str) else [part])
    ]
    paths = (_path_of(line, file, left_out) for line in lines[:_MAX_LINES])
    return [path for path in paths if path]


def _scalar(value: Any) -> Any:
    """A value that is no list and no mapping: those can hold themselves a billion times."""
    return "" if value is None or isinstance(value, dict | list | set) else value


def _path_of(value: Any, file: Path, left_out: list[LeftOut]) -> str | None:
    """The path that a value is; None, with a note, where it cannot be one."""
    if isinstance(value, dict | list | set):
        left_out.append(_misread(file, Sentence("names lists where it should name folders")))
        return None
    path = str(_scalar(value)).strip()
    if "\0" in path:
        shown = path.replace("\0", "\\0")
        left_out.append(
            _misread(
                file,
                Sentence("names {path}: write Windows paths without quotes", path=quoted(shown)),
            )
        )
        return None
    return path


def _empty(file: Path, key: str) -> LeftOut:
    return LeftOut.broken(
        file / key,
        Sentence("{file} names no folder for {key}.", file=quoted(file), key=quoted(key)),
        "Name one, or take the line out; what begins with # stands in quotes.",
    )


def _missing(file: Path, folder: Path) -> LeftOut:
    return LeftOut.missing(
        folder,
        Sentence(
            "The folder {folder}, which {file} names, is not there.",
            folder=quoted(folder),
            file=file.name,
        ),
        Sentence("Correct {file}, or look whether its disk is there.", file=quoted(file)),
    )


def _misread(file: Path, problem: Sentence) -> LeftOut:
    return LeftOut.broken(
        file,
        Sentence(
            "{file} {problem}; the folders in it are left out.",
            file=quoted(file),
            problem=problem,
        ),
        "Correct it: sections with base_path and checkpoints, loras and so on, indented by spaces.",
    )
