"""Networks that enlarge pictures, ESRGAN's RRDBNet, told from the header of a file alone.

Three programs have named its tensors: the first ESRGAN's numbers, its later words, and BasicSR's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.limits import MAX_UPSCALERS
from tapestry_protocol.sentences import Sentence, quoted

from .folders import entries_of, exists, is_file
from .left_out import LeftOut, choose_id, fitting, unforeseen
from .program_folders import upscaler_folders
from .safetensors_header import BrokenFileError, read_header

_WRAPPED = re.compile(r"^(params_ema|params|module|netG)\.")
_IN_BLOCKS = re.compile(
    r"(?:body|RRDB_trunk|model\.1\.sub)\.(\d+)\.(?:rdb|RDB)([1-3])\.conv([1-5])(?:\.0)?\.(weight|bias)"
)
_WORDS = {
    "trunk_conv": "conv_body",
    "HRconv": "conv_hr",
    **{f"upconv{n}": f"conv_up{n}" for n in (1, 2, 3)},
}
_NUMBERED = re.compile(r"model\.(\d+)\.(weight|bias)")
_BODY_END = re.compile(r"model\.1\.sub\.\d+\.(weight|bias)")
_END = ".safetensors"
_ENDS = frozenset({_END, ".pth", ".pt"})
"""Pickles among them, so that it is told why they are left out."""
_SHRUNK = {3: 1, 12: 2, 48: 4}
"""How many pixels a side become channels of one, by the channels that the first layer reads."""


@dataclass(frozen=True)
class Upscaler:
    """A file, and the network in it.

    tensors    BasicSR's name of each -> its name in the file
    features, growth, blocks    of the network
    shrunk     so many pixels a side are channels of one before they go in
    doublings  how often it doubles what is left
    """

    path: Path
    tensors: Mapping[str, str]
    features: int
    growth: int
    blocks: int
    shrunk: int
    doublings: int


def upscalers_in(folders: Sequence[Path]) -> tuple[dict[str, Path], list[LeftOut]]:
    """The networks in these folders by their names, and why others are none."""
    left_out: list[LeftOut] = []
    found: dict[str, Path] = {}
    for path in [each for folder in folders for each in entries_of(folder, left_out)]:
        if path.suffix.lower() not in _ENDS or not is_file(path):
            continue
        name = choose_id(path, (path.stem, f"{path.parent.name}/{path.stem}"), found.__contains__)
        try:
            find_upscaler(str(path))
        except TapestryError as error:
            left_out.append(LeftOut(path, error))
        except Exception as error:  # noqa: BLE001  it stops no other
            left_out.append(unforeseen(path, error))
        else:
            if isinstance(name, LeftOut):
                left_out.append(name)
            else:
                found[name] = path
    taken, more = fitting(
        [*found.items()], MAX_UPSCALERS, lambda e: e[0], lambda e: e[1], Sentence("upscalers")
    )
    return dict(taken), left_out + more


def find_upscaler(name: str, roots: Sequence[Path] = ()) -> Upscaler:
    """The network of a file, by its path or its name in the folders of these programs.

    Raises TapestryError when there is none, or it is of another kind.
    """
    path = Path(name)
    if not exists(path):
        inside = [folder / name for root in roots for folder in upscaler_folders(root)]
        named = [place.with_name(place.name + end) for place in inside for end in ("", _END)]
        path = next((place for place in named if is_file(place)), path)
    if not is_file(path):
        raise TapestryError(
            ErrorCode.MODEL_NOT_FOUND,
            Sentence("There is no upscaler {name}.", name=quoted(name)),
            "Give the path of an ESRGAN network (.safetensors).",
        )
    try:
        return _read(path)
    except BrokenFileError as error:
        raise TapestryError(
            ErrorCode.MODEL_BROKEN,
            Sentence("{name} enlarges no pictures: {why}.", name=quoted(path), why=error.problem),
            error.advice or "Choose an ESRGAN network (.safetensors).",
        ) from error


def _read(path: Path) -> Upscaler:
    shapes = read_header(path).shapes
    plain = {_WRAPPED.sub("", name): name for name in shapes}
    tensors = {_told(name, plain): name for name in plain}
    found = {ours: shapes[plain[name]] for ours, name in tensors.items()}
    first = found.get("conv_first.weight", ())
    grown = found.get("body.0.rdb1.conv1.weight", ())
    blocks = len({name.split(".")[1] for name in found if name.startswith("body.")})
    doublings = sum(f"conv_up{n}.weight" in found for n in (1, 2, 3))
    if len(first) != 4 or len(grown) != 4 or first[1] not in _SHRUNK or not doublings:
        raise _other_kind()
    made = Upscaler(
        path,
        {ours: plain[name] for ours, name in tensors.items()},
        first[0],
        grown[0],
        blocks,
        _SHRUNK[first[1]],
        doublings,
    )
    if found != expected_shapes(made):
        raise _other_kind()
    return made


def expected_shapes(network: Upscaler) -> dict[str, tuple[int, ...]]:
    """What the tensors of such a network must be, by BasicSR's names."""
    wide, growth = network.features, network.growth
    layers = {"conv_first": (wide, 3 * network.shrunk**2), "conv_last": (3, wide)}
    plain = ("conv_body", "conv_hr", *(f"conv_up{n + 1}" for n in range(network.doublings)))
    layers |= dict.fromkeys(plain, (wide, wide))
    for block in range(network.blocks):
        for dense in (1, 2, 3):
            for layer in range(5):
                out = growth if layer < 4 else wide
                name = f"body.{block}.rdb{dense}.conv{layer + 1}"
                layers[name] = (out, wide + layer * growth)
    shapes: dict[str, tuple[int, ...]] = {}
    for name, (out, taken) in layers.items():
        shapes[f"{name}.weight"] = (out, taken, 3, 3)
        shapes[f"{name}.bias"] = (out,)
    return shapes


def _told(name: str, all_names: Mapping[str, str]) -> str:
    """BasicSR's name of a tensor; one that is not known stays, and is found out by its shape."""
    inside = _IN_BLOCKS.fullmatch(name)
    if inside:
        block, dense, layer, kind = inside.groups()
        return f"body.{block}.rdb{dense}.conv{layer}.{kind}"
    end = _BODY_END.fullmatch(name)
    if end:
        return f"conv_body.{end[1]}"
    numbered = _NUMBERED.fullmatch(name)
    if numbered:
        numbers = sorted({int(m[1]) for each in all_names if (m := _NUMBERED.fullmatch(each))})
        ups = [f"conv_up{n + 1}" for n in range(len(numbers) - 3)]
        words = dict(zip(numbers, ["conv_first", *ups, "conv_hr", "conv_last"], strict=False))
        return f"{words[int(numbered[1])]}.{numbered[2]}"
    layer, _, kind = name.rpartition(".")
    return f"{_WORDS.get(layer, layer)}.{kind}"


def _other_kind() -> BrokenFileError:
    return BrokenFileError(
        Sentence("it holds no network of ESRGAN's kind"),
        "Choose an ESRGAN network (.safetensors); others are not known here.",
    )
