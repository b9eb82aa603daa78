"""What each figure should be, as a person reads it and as a program checks it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Goal:
    """A figure's name for people and the limit it should keep, if there is one."""

    text: str
    at_least: float | None = None
    at_most: float | None = None

    def __str__(self) -> str:
        if self.at_least is not None:
            return f">= {self.at_least:.3g}"
        return f"<= {self.at_most:.3g}" if self.at_most is not None else ""

    def is_met(self, value: float) -> bool | None:
        """None where there is nothing to keep."""
        if self.at_least is not None:
            return value >= self.at_least
        return value <= self.at_most if self.at_most is not None else None


KEYS: Mapping[str, tuple[str, ...]] = {
    "adherence": ("tapestry", "paper", "thin"),
    "seams": ("panorama", "wrap", "extension", "extension_wide", "frame", "fill", "tiled_decode"),
    "coherence": ("off", "on"),
    "sharpness": ("few_step",),
    "composition": ("one_horizon", "plain_windows"),
    "exactness": ("exactness",),
    "outlines": ("tapestry", "worst"),
    "opacity": ("rank", "step"),
    "strokes": tuple(f"worst_{width}" for width in (4, 8, 12, 16, 24)),
    "foreign": ("hard", "feather", "soft"),
    "small_canvas": ("parts",),
    "extension": ("continues", "upwards"),
    "detail": ("balanced", "fast"),
    "upscaling": ("psnr", "detail", "seams", "evaluations", "one_horizon", "objects", "specks"),
    "live": ("evaluations", "flicker", "first", "adherence"),
    "editing": ("iou", "round_trip", "p2p_structure", "p2p_adherence"),
    "harmonising": ("border_3", "adherence_3", "evaluations_3"),
    "melting": ("melted_adherence", "melted_structure", "melted_outline"),
    "teaching": ("lora_right", "lora_inside", "lora_kept", "lora_both"),
}
"""The figures that stand for each measure; all others explain them."""

_RECALLS = {4: 0.6, 8: 0.85, 12: 0.9, 16: 0.9, 24: 0.9}
"""The least recall of strokes by their width in pixels."""

_SIDES = ("left", "right", "top", "bottom")

_LOOPS = {
    "paper": "the paper's loop",
    "paper_as_long": "the paper's loop, regions alone for as long as ours",
}

_LARGER = {
    "enlarged": "plainly enlarged",
    "overlapping": "in windows that overlap",
    "tiles": "overlapping tiles as in Tiled Diffusion",
    "demofusion": "DemoFusion",
}
"""What larger pictures are compared with."""

_OF_LARGER = {
    "psnr": "how near when shrunk",
    "detail": "detail of textures",
    "seams": "across the borders of windows",
    "evaluations": "over those of windows that overlap",
    "one_horizon": "scenes that are there once",
    "objects": "pictures with as many red things as before",
    "specks": "spots in the sky of a scene",
}


def _stroke_goals() -> dict[str, Goal]:
    goals: dict[str, Goal] = {}
    for width, least in _RECALLS.items():
        goals |= {
            f"recall_{width}": Goal(f"of a stroke of {width} pixels, what shows", at_least=least),
            f"worst_{width}": Goal("the same, of the worst pair of prompts", at_least=least),
            f"width_{width}": Goal("how far its width is off, of the width", at_most=0.25),
            **{f"{name}_{width}": Goal(f"what shows, {text}") for name, text in _LOOPS.items()},
        }
    return goals


def _upscaling_goals() -> dict[str, Goal]:
    return {
        f"{way}_{figure}": Goal(f"{text}, {name}")
        for way, name in _LARGER.items()
        for figure, text in _OF_LARGER.items()
        if (way, figure) not in {("enlarged", "evaluations"), ("overlapping", "evaluations")}
    }


_TAUGHT_BY = {
    "lora": ("a LoRA", 2000),
    "word": ("a word alone", 10),
    "attention": ("keys and values", 2000),
    "key_locked": ("a key-locked edit", 100),
}
"""Each method, and the most kilobytes of its file."""


def _teaching_goals() -> dict[str, Goal]:
    goals = {
        "judge": Goal("unseen drawings of the patterns that the judge names rightly"),
        "judge_decoded": Goal("the same through the model's autoencoder: the most to be reached"),
        "judge_known": Goal("unseen pictures of what the model knew that it names rightly"),
        "dreambooth_right": Goal("pictures named rightly, DreamBooth's own recipe"),
        "dreambooth_kept": Goal("what the model knew, named rightly after it"),
        "dreambooth_lost": Goal("what it names less of that than before"),
    }
    for name, (text, most) in _TAUGHT_BY.items():
        goals |= {
            f"{name}_right": Goal(f"pictures of the word named rightly, {text}", at_least=0.8),
            f"{name}_inside": Goal("the same inside a region", at_least=0.9),
            f"{name}_kept": Goal("what the model knew, named rightly with it laid on"),
            f"{name}_lost": Goal("what it names less of that than before", at_most=0.03),
            f"{name}_both": Goal("two taught things right in two regions", at_least=0.8),
            f"{name}_kilobytes": Goal("size of the file, KB", at_most=most),
        }
    return goals


GOALS: Mapping[str, Mapping[str, Goal]] = {
    "adherence": {
        "tapestry": Goal("mean IoU over all layouts", at_least=0.9),
        "paper": Goal("the paper's loop on the same layouts"),
        "thin": Goal("strokes of 24 pixels", at_least=0.7),
        "large": Goal("areas of a quarter window and more", at_least=0.95),
        "paper_thin": Goal("the paper's loop, strokes of 24 pixels"),
        "paper_large": Goal("the paper's loop, large areas"),
        "above_paper": Goal("Tapestry less the paper's loop", at_least=0.05),
        "upper_wins": Goal("overlaps that show the upper region"),
        "judge": Goal("unseen plain patches the judge names rightly"),
    },
    "seams": {
        "panorama": Goal("across the borders of windows", at_most=1.02),
        "wrap": Goal("across the old edge of 360 degrees", at_most=1.05),
        "extension": Goal("across the border of the old picture", at_most=1.05),
        "extension_wide": Goal("colours over 24 pixels across that border", at_most=1.3),
        "extension_detail": Goal("fine detail beside it over that further away"),
        "frame": Goal("across the border of an old picture of one window", at_most=1.2),
        "fill": Goal("across the outline of a filled selection", at_most=1.2),
        "tiled_decode": Goal("worst place of a decode in bands", at_most=1.02),
        "paper": Goal("the paper's loop, across its windows' borders"),
        "diffusers": Goal("diffusers' panorama pipeline, likewise"),
        "control": Goal("windows side by side without fusion: a seam"),
    },
    "coherence": {
        "off": Goal("spread of style without coherence"),
        "on": Goal("spread of style with it"),
        "lower_by": Goal("how much lower that is", at_least=1 / 3),
        "adherence_off": Goal("mean IoU of layouts without coherence"),
        "adherence_on": Goal("mean IoU of layouts with it"),
    },
    "sharpness": {
        "few_step": Goal("detail of fused windows over that of one, LCM", at_least=0.95),
        "averaged_steps": Goal("the same with a noisy step for each window"),
    },
    "composition": {
        "one_horizon": Goal("scenes with exactly one horizon", at_least=0.95),
        "plain_windows": Goal("scenes with exactly one horizon, windows alone"),
        "sharpness": Goal("detail of textures over that of plain windows", at_least=0.95),
        "judge": Goal("single windows that the judge finds right", at_least=0.95),
        "judge_stacked": Goal("two stacked windows that it finds wrong", at_least=0.95),
    },
    "exactness": {
        "exactness": Goal("original pixels unchanged by an extension", at_least=1.0),
    },
    "outlines": {
        "tapestry": Goal("within 4 pixels of outlines, what is right", at_least=0.95),
        "worst": Goal("the same, of the worst picture", at_least=0.9),
        **{name: Goal(text) for name, text in _LOOPS.items()},
        "halo": Goal("beside outlines, what has neither's colours", at_most=0.02),
        **{f"{name}_halo": Goal(f"likewise, {text}") for name, text in _LOOPS.items()},
        "judge": Goal("the same, of plain pictures cut to the pixel", at_least=0.99),
    },
    "opacity": {
        "rank": Goal("rank correlation of opacity and what shows", at_least=0.95),
        "step": Goal("largest change over a tenth of opacity", at_most=0.25),
        "error": Goal("how far what shows is from the opacity"),
        "worst_rank": Goal("rank correlation, of the worst picture"),
        "worst_step": Goal("largest change, of the worst picture"),
        **{f"{name}_rank": Goal(f"rank correlation, {text}") for name, text in _LOOPS.items()},
        **{f"{name}_step": Goal(f"largest change, {text}") for name, text in _LOOPS.items()},
        **{f"{name}_error": Goal(f"how far off, {text}") for name, text in _LOOPS.items()},
        "judge": Goal("how far plain pictures are from all and nothing", at_most=0.05),
    },
    "strokes": {
        **_stroke_goals(),
        "judge": Goal("of strokes cut from plain pictures, what shows", at_least=0.99),
        "judge_width": Goal("how far their width is off", at_most=0.05),
    },
    "foreign": {
        "hard": Goal("other regions' material in cores, hard masks", at_most=0.01),
        "feather": Goal("the same, masks with a feather of 32 pixels", at_most=0.01),
        "soft": Goal("the same, outer thirds of gradients", at_most=0.01),
        "worst": Goal("the same, of the worst picture"),
        **{name: Goal(f"hard masks, {text}") for name, text in _LOOPS.items()},
        "judge": Goal("the same, of plain pictures cut to the pixel", at_most=0.002),
    },
    "small_canvas": {
        "parts": Goal("small canvases whose scene has its top and bottom", at_least=0.95),
        "low": Goal("the same, canvases lower than a window"),
        "narrow": Goal("the same, canvases narrower than a window alone"),
        "judge": Goal("single windows that the judge finds whole", at_least=0.95),
        "judge_cut": Goal("their upper halves, which it finds not", at_least=0.95),
    },
    "extension": {
        "continues": Goal("of the new part beside regions, what goes on", at_least=0.95),
        "background": Goal("of the new part beside the background, likewise", at_least=0.95),
        **{side: Goal(f"beside regions, at the {side}") for side in _SIDES},
        "upwards": Goal("of scenes that grow upwards, new top like the old", at_least=0.95),
    },
    "detail": {
        "quality": Goal("fine detail of windows over that of single ones", at_least=0.95),
        "balanced": Goal("fine detail at this speed over that of quality", at_least=0.9),
        "fast": Goal("the same", at_least=0.8),
        "worst_balanced": Goal("the same, of the worst prompt", at_least=0.75),
        "worst_fast": Goal("the same, of the worst prompt", at_least=0.6),
    },
    "upscaling": {
        "psnr": Goal("how near it is to the first stage when shrunk", at_least=28),
        "worst_psnr": Goal("the same, of the worst picture", at_least=25),
        "detail": Goal("detail of textures over that of native windows", at_least=0.9),
        "seams": Goal("across the borders of windows", at_most=1.02),
        "evaluations": Goal("over those of windows that overlap", at_most=0.55),
        "one_horizon": Goal("scenes that are there once", at_least=0.95),
        "objects": Goal("pictures with as many red things as before", at_least=0.95),
        "specks": Goal("spots in the sky of a scene that were not there", at_most=1),
        **_upscaling_goals(),
    },
    "live": {
        "evaluations": Goal("of a stroke, over those of the whole", at_most=0.35),
        "worst_evaluations": Goal("the same, of the worst stroke"),
        "flicker": Goal("pixels far from a stroke that change with it", at_most=0.001),
        "first": Goal("until new pixels are seen, over the stroke's evaluations", at_most=1.2),
        "latency": Goal("until the picture is there, over the stroke's evaluations"),
        "adherence": Goal("mean IoU after all strokes", at_least=0.9),
        "anew": Goal("the same of a picture that is painted anew"),
    },
    "editing": {
        "iou": Goal("the place that is found, against the true region (IoU)", at_least=0.85),
        "worst_iou": Goal("the same, of the worst picture"),
        "diffedit_iou": Goal("the same, by DiffEdit's own map"),
        "round_trip": Goal("decibels lost to noise and back, beside the autoencoder", at_most=0.5),
        "wide_round_trip": Goal("the same, over four windows", at_most=0.5),
        "worst_round_trip": Goal("the same, of the worst picture"),
        **{
            f"{name}_structure": Goal(f"edges that stay, {text}", at_least=least)
            for name, text, least in (
                ("p2p", "Prompt-to-Prompt", 0.7),
                ("plain", "without it", None),
                ("ddib", "DDIB", None),
                ("fresh", "a picture of the same seed", None),
            )
        },
        **{
            f"{name}_adherence": Goal(f"patches of the new material, {text}")
            for name, text in (
                ("p2p", "Prompt-to-Prompt"),
                ("plain", "without it"),
                ("ddib", "DDIB"),
                ("fresh", "a fresh picture"),
            )
        },
        **{
            f"imagic_{percent}_{figure}": Goal(f"{text}, learned, {percent} % of the words")
            for percent in (0, 50, 100)
            for figure, text in (
                ("structure", "edges that stay"),
                ("adherence", "patches of the new material"),
            )
        },
    },
    "harmonising": {
        f"{name}_{times}": Goal(f"{text}, {how}")
        for times, how in ((0, "not harmonised"), (3, "3 times"), (10, "10 times"))
        for name, text in (
            ("border", "across the outline of a filled box"),
            ("extension", "across the borders of an old picture"),
            ("adherence", "patches of a box that show its new material"),
            ("evaluations", "evaluations over those of none"),
        )
    },
    "melting": {
        f"{way}_{name}": Goal(f"{text}, {how}", **(limits if way == "melted" else {}))
        for way, how in (
            ("apart", "each layer by itself"),
            ("together", "one path, words without places"),
            ("melted", "melted together"),
        )
        for name, text, limits in (
            ("adherence", "what shows its own colours", {"at_least": 0.9}),
            ("structure", "edges of a pasted thing that stay", {}),
            ("outline", "across the outline of its box", {"at_most": 1.2}),
        )
    },
    "teaching": _teaching_goals(),
}
