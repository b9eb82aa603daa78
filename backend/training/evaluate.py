"""Measures the finished model folder and paints the card's grid; trains judges, not the model."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from diffusers import StableDiffusionPipeline
from diffusers.utils import logging as diffusers_logging
from PIL import Image
from torch.nn import functional

from .captions import scene_prompt
from .classifier import PictureNet, Sampler, draw_pool, texture_crops, train_network
from .common import WORK
from .draw import to_bytes
from .export import MODEL_FOLDER
from .fused import fused_picture
from .labels import Label, draw_label, sample_label
from .materials import MATERIAL_NAMES
from .objects import OBJECT_COLOURS
from .scenes import SCENES, TIMES
from .train_autoencoder import psnr

STEPS, GUIDANCE, SIDE = 20, 5.0, 128
SCENE_NAMES = tuple(scene_prompt(scene, time) for scene in SCENES for time in TIMES)
# Scenes are judged beside their own blurred copies, so that a smear of the right colours is wrong.
BLURRED, BLUR_PX = "blurred", 9
OBJECT_NAMES = tuple(f"{c} {thing}" for thing, colours in OBJECT_COLOURS.items() for c in colours)


def load_model(folder: Path) -> StableDiffusionPipeline:
    """The model folder as a quiet pipeline in float32."""
    diffusers_logging.set_verbosity_error()
    diffusers_logging.disable_progress_bar()
    pipeline = StableDiffusionPipeline.from_pretrained(folder, safety_checker=None)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def generate(
    pipeline: StableDiffusionPipeline,
    prompts: list[str],
    seed: int,
    height: int = SIDE,
    width: int = SIDE,
) -> np.ndarray:
    """One picture per prompt, uint8 [N, height, width, 3]; picture i has seed `seed + i`."""
    made = []
    for start in range(0, len(prompts), 8):
        part = prompts[start : start + 8]
        generators = [torch.Generator().manual_seed(seed + start + i) for i in range(len(part))]
        made.append(
            pipeline(
                part,
                height=height,
                width=width,
                num_inference_steps=STEPS,
                guidance_scale=GUIDANCE,
                generator=generators,
                output_type="np",
            ).images
        )
    return to_bytes(np.concatenate(made))


def label_pictures(kind: str, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """`count` drawings of scenes or objects, uint8 [N, 128, 128, 3], and their class numbers."""
    rng, names = np.random.default_rng(seed), SCENE_NAMES if kind == "scene" else OBJECT_NAMES
    pictures, classes = [], []
    for _ in range(count):
        label = sample_label(rng, kind)
        pictures.append(to_bytes(draw_label(rng, label, SIDE, SIDE)))
        classes.append(names.index(_class_name(label)))
    return np.stack(pictures), np.array(classes, np.int64)


def blurred(pictures: np.ndarray) -> np.ndarray:
    """Pictures uint8 [N, H, W, 3] whose colours are in place and whose shapes are lost."""
    given = torch.from_numpy(pictures).permute(0, 3, 1, 2).float()
    soft = functional.avg_pool2d(given, BLUR_PX, 1, BLUR_PX // 2, count_include_pad=False)
    return soft.round().to(torch.uint8).permute(0, 2, 3, 1).numpy()


def _whole_pictures(kind: str, count: int, seed: int) -> Sampler:
    stack, numbers = label_pictures(kind, count, seed)

    def sample(rng: np.random.Generator, batch: int) -> tuple[np.ndarray, np.ndarray]:
        chosen = rng.integers(0, count, batch)
        pictures, classes = stack[chosen], numbers[chosen]
        if kind == "scene":
            soft = rng.uniform(size=batch) < 0.3
            pictures[soft] = blurred(pictures[soft]) if soft.any() else pictures[soft]
            classes[soft] = len(SCENE_NAMES)
        return pictures, classes

    return sample


def _class_name(label: Label) -> str:
    if label.thing:
        return f"{label.colour} {label.thing}"
    return scene_prompt(label.scene, label.time)


def judge(work: Path, kind: str) -> tuple[PictureNet, float]:
    """A judge of materials, scenes or objects, and its share right on unseen drawings.

    Trained at the first call and kept in `work`.
    """
    names = {"material": MATERIAL_NAMES, "scene": (*SCENE_NAMES, BLURRED), "object": OBJECT_NAMES}[
        kind
    ]
    torch.manual_seed(11)
    net = PictureNet(names, depth=3 if kind == "material" else 5)
    path = work / f"judge-{kind}.pt"
    if path.exists():
        net.load_state_dict(torch.load(path, weights_only=True))
        net.eval()
    else:
        sampler, steps = {
            "material": lambda: (texture_crops(draw_pool(11, 16, 160), (48, 64, 96)), 500),
            "scene": lambda: (_whole_pictures(kind, 1200, 11), 500),
            "object": lambda: (_whole_pictures(kind, 4000, 11), 1400),
        }[kind]()
        train_network(net, sampler, steps, 48, 11)
        torch.save(net.state_dict(), path)
    if kind == "material":
        unseen, truth = texture_crops(draw_pool(12, 4, 128), (96,))(np.random.default_rng(1), 300)
    else:
        unseen, truth = label_pictures(kind, 300, 12)
    right = [net.names[t] == name for t, name in zip(truth, net.name(unseen), strict=True)]
    return net, float(np.mean(right))


def measure_named(
    pipeline: StableDiffusionPipeline, net: PictureNet, each: int, article: str, seed: int
) -> tuple[dict[str, float], np.ndarray]:
    """Share right per name from plain prompts, and the pictures [names, each, H, W, 3]."""
    names = [name for name in net.names if name != BLURRED]
    prompts = [article + name for name in names for _ in range(each)]
    pictures = generate(pipeline, prompts, seed)
    found = np.array(net.name(pictures)).reshape(-1, each)
    right = {name: float(np.mean(found[i] == name)) for i, name in enumerate(names)}
    return right, pictures.reshape(len(names), each, *pictures.shape[1:])


def measure_objects(pictures: np.ndarray, net: PictureNet) -> dict[str, float]:
    """Shares of the pictures [names, each, H, W, 3] with the right thing, colour, and both."""
    each = pictures.shape[1]
    found = net.name(pictures.reshape(-1, *pictures.shape[2:]))
    wanted = [name for name in net.names for _ in range(each)]
    pairs = [(w.split(), f.split()) for w, f in zip(wanted, found, strict=True)]
    return {
        "thing": float(np.mean([w[1] == f[1] for w, f in pairs])),
        "colour": float(np.mean([w[0] == f[0] for w, f in pairs])),
        "both": float(np.mean([w == f for w, f in pairs])),
    }


def measure_relations(
    pipeline: StableDiffusionPipeline, net: PictureNet, count: int, seed: int
) -> tuple[dict[str, float], np.ndarray]:
    """Shares of pictures with both halves right and with each half right, per relation."""
    rng, result, shown = np.random.default_rng(seed), {}, []
    forms = {"above": "{} above {}", "left": "{} on the left and {} on the right"}
    for relation, form in forms.items():
        pairs = [rng.choice(len(MATERIAL_NAMES), 2, replace=False) for _ in range(count)]
        names = [(MATERIAL_NAMES[a], MATERIAL_NAMES[b]) for a, b in pairs]
        pictures = generate(pipeline, [form.format(*pair) for pair in names], seed)
        part = SIDE * 3 // 8
        if relation == "above":
            first, second = pictures[:, :part], pictures[:, -part:]
        else:
            first, second = pictures[:, :, :part], pictures[:, :, -part:]
        halves = [np.array(net.name(half)) for half in (first, second)]
        good = [halves[i] == np.array([pair[i] for pair in names]) for i in (0, 1)]
        result[relation] = float(np.mean(good[0] & good[1]))
        result[f"{relation}, single halves"] = float(np.mean(np.stack(good)))
        shown.append(pictures[:5])
    return result, np.concatenate(shown)


def measure_regions(
    pipeline: StableDiffusionPipeline, net: PictureNet, count: int, seed: int
) -> dict[str, float]:
    """Shares of canvases of 256 x 128 pixels whose two painted halves show their materials."""
    rng, good = np.random.default_rng(seed), []
    mask = torch.zeros(SIDE // 8, SIDE // 4)
    mask[:, : SIDE // 8] = 1
    for number in range(count):
        a, b = rng.choice(len(MATERIAL_NAMES), 2, replace=False)
        regions = [(MATERIAL_NAMES[a], mask), (MATERIAL_NAMES[b], 1 - mask)]
        made = fused_picture(pipeline, regions, seed + number, STEPS, GUIDANCE)
        picture, part = to_bytes(made.numpy()), SIDE * 3 // 4
        found = net.name(np.stack([picture[:, :part], picture[:, -part:]]))
        good.append([found[0] == MATERIAL_NAMES[a], found[1] == MATERIAL_NAMES[b]])
    return {"both": float(np.mean(np.all(good, axis=1))), "single halves": float(np.mean(good))}


def detail_energy(pictures: np.ndarray) -> float:
    """Mean energy of what is finer than about four pixels, over uint8 pictures [N, H, W, 3]."""
    grey = torch.from_numpy(pictures).float().mean(-1)[:, None] / 255
    soft = functional.avg_pool2d(grey, 5, 1, 2, count_include_pad=False)
    return float((grey - soft).square().mean())


def frame(pictures: np.ndarray) -> float:
    """How much more neighbouring pixels differ across the outermost four than further inside."""
    grey = torch.from_numpy(pictures).float().mean(-1)
    across = grey.diff(dim=1).abs().mean((0, 2)), grey.diff(dim=2).abs().mean((0, 1))
    outer = torch.cat([part[ends] for part in across for ends in (slice(0, 4), slice(-4, None))])
    inner = torch.cat([part[16:-16] for part in across])
    return float(outer.mean() / inner.mean())


def save_grid(tiles: list[np.ndarray], columns: int, path: Path, side: int) -> None:
    """Tiles [H, W, 3] in rows of `columns`, reduced to `side` pixels and 256 colours."""
    rows = -(-len(tiles) // columns)
    sheet = Image.new("RGB", (columns * (side + 4) - 4, rows * (side + 4) - 4), (250, 248, 242))
    for index, tile in enumerate(tiles):
        small = Image.fromarray(tile).resize((side, side), Image.Resampling.LANCZOS)
        sheet.paste(small, (index % columns * (side + 4), index // columns * (side + 4)))
    sheet.quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)


def _rounded(values: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 4) for name, value in values.items()}


def evaluate(work: Path, folder: Path, each: int) -> dict[str, object]:
    """All figures, as written to `figures.json`; also paints `grid.png`."""
    pipeline = load_model(folder)
    unseen = np.load(work / "unseen.npy")
    figures: dict[str, object] = {
        "autoencoder_psnr_db": round(psnr(pipeline.vae, unseen), 2),
        "autoencoder_pictures": len(unseen),
        "sampling": f"{STEPS} DDIM steps, guidance {GUIDANCE}, {SIDE} x {SIDE} pixels",
    }
    tiles: list[np.ndarray] = []
    for kind, article, number in (("material", "", each), ("scene", "", 4), ("object", "a ", 3)):
        net, sure = judge(work, kind)
        right, pictures = measure_named(pipeline, net, number, article, seed=1000)
        figures[f"{kind}s"] = round(float(np.mean(list(right.values()))), 4)
        figures[f"{kind}s_measured"] = pictures.shape[0] * pictures.shape[1]
        figures[f"{kind}s_judge_on_drawings"] = round(sure, 4)
        figures[f"{kind}s_each"] = _rounded(right)
        if kind == "object":
            figures["objects_parts"] = _rounded(measure_objects(pictures, net))
            first = [OBJECT_NAMES.index(f"{c[0]} {t}") for t, c in OBJECT_COLOURS.items()]
            tiles += list(pictures[first, 0])
            continue
        tiles += list(pictures[:, 0])
        if kind == "scene":
            drawn, _ = label_pictures("scene", 96, 13)
            made = pictures.reshape(-1, *pictures.shape[2:])
            figures["scenes_detail"] = round(detail_energy(made) / detail_energy(drawn), 4)
            figures["scenes_frame"] = round(frame(made), 4)
            figures["scenes_frame_of_drawings"] = round(frame(drawn), 4)
        if kind == "material":
            relations, shown = measure_relations(pipeline, net, 24, seed=2000)
            figures["relations"] = _rounded(relations)
            figures["regions"] = _rounded(measure_regions(pipeline, net, 24, seed=3000))
            related = list(shown)
        print(json.dumps(figures[f"{kind}s"]), flush=True)
    save_grid(tiles + related, 10, folder / "grid.png", 96)
    return figures


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=WORK)
    parser.add_argument("--model", type=Path, default=MODEL_FOLDER)
    parser.add_argument("--each", type=int, default=8, help="pictures per material")
    given = parser.parse_args()
    figures = evaluate(given.work, given.model, given.each)
    text = json.dumps(figures, indent=2) + "\n"
    (given.model / "figures.json").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
