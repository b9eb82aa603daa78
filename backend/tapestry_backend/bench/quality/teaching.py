"""Teaching: does a model paint a pattern that it never saw, and keep what it knew."""

from __future__ import annotations

import itertools
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from tapestry_protocol.adapters import Lora
from tapestry_protocol.fields import TeachMethod
from tapestry_protocol.messages import PixelsRef, Request, Teach
from tapestry_protocol.pixels import Pixels
from tapestry_protocol.request_checks import check_request

from ...tasks.events import Finished
from ...tasks.run import run
from ...tasks.teaching import run_teaching
from ..common.layouts import RegionLayout
from ..peers.dreambooth import DreamBooth
from .captioned import CaptionedPicture
from .judge import PATCH_PX, STRIDE_PX, Judge
from .taught_patterns import PATTERNS
from .workbench import Measured, Workbench

_EXAMPLES, _EXAMPLE_PX = 4, 192
_LIKE: Mapping[str, str] = {
    "knit wool": "roof tiles",
    "terrazzo": "pebbles",
    "wicker": "checkered floor",
}
_SHORT = {"lora": "lo", "word": "wo", "attention": "at", "key-locked": "kl"}
_UNSEEN_SEED, _DECODED_SEED = 1000, 2000


@dataclass(frozen=True)
class _Amount:
    """How much is painted and judged."""

    patterns: int
    materials: int
    taught_with: int
    pictures: int
    of_each_other: int


_FULL = _Amount(patterns=3, materials=25, taught_with=6, pictures=10, of_each_other=2)
_QUICK = _Amount(patterns=2, materials=8, taught_with=3, pictures=4, of_each_other=1)


@dataclass(frozen=True)
class _Taught:
    """A pattern that was taught: its word, the LoRA of its file, and how it went.

    seconds    of learning itself, by the clock of the run; cpu_s of all that belongs to it
    """

    pattern: str
    word: str
    lora: str
    bytes: int
    steps: int
    seconds: float
    cpu_s: float


def measure_teaching(bench: Workbench) -> Measured:
    """The share of pictures that a judge names right; it was taught by drawings of the patterns.

    And by the model's own pictures of what it knew before. Each method of the scope is given its
    minutes for each pattern; DreamBooth's own recipe, which changes the whole U-Net, as many for
    the last one. On a processor they are minutes of its time, whatever else runs.
    """
    amount = _QUICK if bench.scope.quick else _FULL
    patterns = list(bench.scope.patterns or list(PATTERNS)[-amount.patterns :])
    known = [prompt for prompt in bench.prompts if prompt not in PATTERNS][: amount.materials]
    judge, before = _judge(bench, known, amount)
    decoded = {name: _named_decoded(bench, judge, name, amount.pictures) for name in PATTERNS}
    figures: dict[str, float] = {
        "judge": before["patterns"],
        "judge_decoded": float(np.mean([decoded[name] for name in patterns])),
        "judge_known": before["known"],
    }
    rows: list[list[CaptionedPicture]] = []
    details: dict[str, object] = {"decoded": decoded}
    bench.say(f"drawings that the judge names through the autoencoder: {decoded}")
    with tempfile.TemporaryDirectory(prefix="tapestry-bench-") as folder:
        for method in bench.scope.methods:
            taught = [_teach(bench, pattern, method, Path(folder)) for pattern in patterns]
            details[method] = [vars(each) for each in taught]
            found, made = _examine(bench, judge, taught, known, amount)
            figures |= _told(bench, _name(method), found, before["known"])
            rows += made
    if not bench.scope.alone:
        found, made = _examine_dreambooth(bench, judge, patterns[-1], known, amount)
        details["dreambooth"] = {"pattern": patterns[-1], "steps": found.pop("steps")}
        figures |= _told(bench, "dreambooth", found, before["known"])
        rows += made
    return Measured(figures, rows, details=details)


def _name(method: str) -> str:
    return method.replace("-", "_")


def _told(bench: Workbench, name: str, found: dict[str, float], known: float) -> dict[str, float]:
    """A method's figures, said as soon as they are there; known: named rightly before it."""
    found["lost"] = known - found["kept"]
    bench.say(", ".join(f"{name}_{figure} {value:.3g}" for figure, value in found.items()))
    return {f"{name}_{figure}": value for figure, value in found.items()}


def _clock(bench: Workbench) -> Callable[[], float]:
    """Of the processor's time for this process; a card's work is told by the wall alone."""
    is_cpu = bench.painter.model_cache.device.type == "cpu"
    return time.process_time if is_cpu else time.monotonic


def drawings(pattern: str, count: int, seed: int, side: int) -> np.ndarray:
    """Uint8 [N, H, W, 3]."""
    draw = PATTERNS[pattern]
    return np.stack([draw(np.random.default_rng(seed + i), side, side) for i in range(count)])


def _judge(
    bench: Workbench, known: Sequence[str], amount: _Amount
) -> tuple[Judge, dict[str, float]]:
    """A judge of patches, which knows all patterns, and what it names right of unseen pictures."""
    side, count = bench.painter.window_px, amount.taught_with + amount.of_each_other
    bench.say(f"painting {count} pictures of each of {len(known)} things that the model knows")
    own = np.stack(
        [
            [bench.painter.plain(prompt, 100 * k + i) for i in range(count)]
            for k, prompt in enumerate(known)
        ]
    )
    drawn = np.stack([drawings(name, count, _UNSEEN_SEED, side) for name in PATTERNS])
    pictures = np.concatenate([drawn, own])
    judge = Judge.taught(
        pictures[:, : amount.taught_with], [*PATTERNS, *known], bench.painter.settings.seed
    )
    unseen = pictures[:, amount.taught_with :]
    right = np.array(
        [[_is(judge, picture, k) for picture in each] for k, each in enumerate(unseen)]
    )
    of_patterns, of_known = right[: len(PATTERNS)], right[len(PATTERNS) :]
    return judge, {"patterns": float(of_patterns.mean()), "known": float(of_known.mean())}


def _named_decoded(bench: Workbench, judge: Judge, pattern: str, count: int) -> float:
    """What the judge names right of drawings as the model's autoencoder shows them.

    More than that no teaching can reach.
    """
    model, number = bench.painter.model, judge.prompts.index(pattern)
    right = []
    for drawing in drawings(pattern, count, _DECODED_SEED, bench.painter.window_px):
        pixels = torch.from_numpy(drawing).permute(2, 0, 1)[None].float() / 127.5 - 1
        decoded = (model.decode(model.encode(pixels.to(model.device)))[0].float() + 1) / 2
        array = (decoded.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).cpu().numpy()
        right.append(_is(judge, array, number))
    return float(np.mean(right))


def _is(judge: Judge, picture: np.ndarray, number: int, where: np.ndarray | None = None) -> bool:
    """Whether most patches of a picture [H, W, 3], or of a part of it, are of this kind."""
    names = judge.name(picture)
    if where is not None:
        middle = where[PATCH_PX // 2 :: STRIDE_PX, PATCH_PX // 2 :: STRIDE_PX]
        names = names[middle[: names.shape[0], : names.shape[1]]]
    return int(np.bincount(names.ravel(), minlength=len(judge.prompts)).argmax()) == number


def _teach(bench: Workbench, pattern: str, method: TeachMethod, folder: Path) -> _Taught:
    bench.say(f"teaching {pattern} by {method}")
    word = f"my {pattern.rsplit(maxsplit=1)[-1]} {_SHORT[method]}"
    blobs: dict[str, bytes] = {}
    refs = []
    for picture in drawings(pattern, _EXAMPLES, 0, _EXAMPLE_PX):
        rgba = np.dstack([picture, np.full(picture.shape[:2], 255, np.uint8)])
        pixels = Pixels(_EXAMPLE_PX, _EXAMPLE_PX, 4, rgba.tobytes())
        blobs[pixels.sha256] = pixels.data
        refs.append(PixelsRef.of(pixels))
    side = bench.painter.window_px
    teach = Teach(
        word, tuple(refs), like=_LIKE[pattern], method=method, minutes=bench.scope.minutes
    )
    request = Request("teach", side, side, model=bench.painter.settings.model, teach=teach)
    output = folder / f"{word.replace(' ', '-')}.safetensors"
    cache, began = bench.painter.model_cache, time.process_time()
    check_request(request)
    *_, finished = run_teaching(
        request,
        blobs,
        cache,
        lambda wanted: run(wanted, {}, cache),
        output=output,
        clock=_clock(bench),
    )
    cpu_s = time.process_time() - began
    if not isinstance(finished, Finished):
        raise TypeError("a task must end with its picture")
    about = finished.report["teach"]
    lora = "" if method == "word" else output.stem
    how = about["steps"], about["seconds"], round(cpu_s, 1)
    return _Taught(pattern, word, lora, about["bytes"], *how)


def _examine(
    bench: Workbench,
    judge: Judge,
    taught: Sequence[_Taught],
    known: Sequence[str],
    amount: _Amount,
) -> tuple[dict[str, float], list[list[CaptionedPicture]]]:
    """What is right of pictures, of regions, of two in two regions; and what else is forgotten."""
    numbers = {name: number for number, name in enumerate(judge.prompts)}
    right, inside, both, kept = [], [], [], []
    rows = []
    for each in taught:
        made = [bench.painter.plain(each.word, 7000 + i) for i in range(amount.pictures)]
        right += [_is(judge, picture, numbers[each.pattern]) for picture in made]
        rows.append([CaptionedPicture(each.word, picture) for picture in made[:4]])
        layouts = _halves([each.word], known, amount.pictures, bench.painter.window_px)
        for i, layout in enumerate(layouts):
            picture = bench.painter.layout(layout, 7100 + i)
            inside.append(_is(judge, picture, numbers[each.pattern], layout.masks[0]))
        rows[-1].append(CaptionedPicture(f"{each.word} beside", picture))
        loras = (Lora(each.lora),) if each.lora else ()
        for k, prompt in enumerate(known):
            for i in range(amount.of_each_other):
                seed = 100 * k + amount.taught_with + i
                picture = bench.painter.plain(prompt, seed, loras=loras)
                kept.append(_is(judge, picture, numbers[prompt]))
    for first, second in itertools.pairwise(taught):
        for i in range(amount.pictures):
            (layout,) = _halves([first.word, second.word], known, 1, bench.painter.window_px)
            picture = bench.painter.layout(layout, 7200 + i)
            found = [
                _is(judge, picture, numbers[each.pattern], mask)
                for each, mask in zip((first, second), layout.masks, strict=True)
            ]
            both.append(all(found))
        rows[-1].append(CaptionedPicture("two in two regions", picture))
    figures = {
        "right": float(np.mean(right)),
        "inside": float(np.mean(inside)),
        "kept": float(np.mean(kept)),
        "kilobytes": max(each.bytes for each in taught) / 1000,
    }
    return figures | ({"both": float(np.mean(both))} if both else {}), rows


def _halves(
    words: Sequence[str], known: Sequence[str], count: int, side: int
) -> Iterator[RegionLayout]:
    """Two windows beside each other: a word in each, or one and something that the model knows."""
    left = np.zeros((side, 2 * side), bool)
    left[:, :side] = True
    for number in range(count):
        beside = known[number % len(known)]
        masks = (left, ~left) if len(words) == 2 else (left,)
        yield RegionLayout("two" if len(words) == 2 else "one", masks, tuple(words), beside)


def _examine_dreambooth(
    bench: Workbench, judge: Judge, pattern: str, known: Sequence[str], amount: _Amount
) -> tuple[dict[str, float], list[list[CaptionedPicture]]]:
    """The recipe of its authors, at equal time, on one pattern."""
    bench.say(f"teaching {pattern} by DreamBooth's own recipe")
    peer = DreamBooth(bench.painter.model_cache, bench.painter.settings)
    word = f"sks {_LIKE[pattern]}"
    examples = drawings(pattern, _EXAMPLES, 0, bench.painter.window_px)
    seconds = 60 * bench.scope.minutes
    painter = peer.taught(examples, word, _LIKE[pattern], seconds, _clock(bench))
    numbers = {name: number for number, name in enumerate(judge.prompts)}
    made = [painter.plain(word, 7000 + i) for i in range(amount.pictures)]
    right = [_is(judge, picture, numbers[pattern]) for picture in made]
    kept = [
        _is(judge, painter.plain(prompt, 100 * k + amount.taught_with + i), numbers[prompt])
        for k, prompt in enumerate(known)
        for i in range(amount.of_each_other)
    ]
    figures = {
        "right": float(np.mean(right)),
        "kept": float(np.mean(kept)),
        "steps": float(peer.steps),
    }
    return figures, [[CaptionedPicture("DreamBooth", picture) for picture in made[:4]]]
