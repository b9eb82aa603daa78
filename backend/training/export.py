"""Writes the model folder from training states."""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

import torch
from diffusers import AutoencoderTiny, StableDiffusionPipeline
from torch import nn

from .captions import vocabulary
from .common import WORK
from .models import build_scheduler, build_text_encoder, build_unet
from .tokenizer import kept_tokenizer
from .train_autoencoder import build_autoencoder

MODEL_FOLDER = Path(__file__).resolve().parents[1] / "tapestry_backend" / "sample_model"


def load_averaged(module: nn.Module, path: Path, prefix: str = "") -> bool:
    """Puts the averaged weights saved at `path` into the module; False where there are none."""
    if not path.exists():
        return False
    values = torch.load(path, map_location="cpu", weights_only=True)["averaged"]
    values = {n.removeprefix(prefix): v for n, v in values.items() if n.startswith(prefix)}
    missing = {name for name, _ in module.named_parameters()} - set(values)
    if missing:
        raise ValueError(f"{path} lacks {sorted(missing)[:3]}")
    module.load_state_dict(values, strict=False)
    return True


def trained_autoencoder(work: Path) -> AutoencoderTiny:
    """The autoencoder as trained so far, with the latent scale measured when encoding."""
    autoencoder = build_autoencoder()
    load_averaged(autoencoder, work / "autoencoder.pt")
    load_averaged(autoencoder.decoder, work / "decoder.pt")
    scale = work / "latent_scale.json"
    if scale.exists():
        factor = float(json.loads(scale.read_text(encoding="utf-8"))["scaling_factor"])
        autoencoder.register_to_config(scaling_factor=factor)
    return autoencoder.eval()


def assemble(work: Path) -> StableDiffusionPipeline:
    """The whole pipeline in float32, from whatever has been trained in `work`."""
    tokenizer = kept_tokenizer(work)
    torch.manual_seed(1)
    text_encoder, unet = build_text_encoder(tokenizer), build_unet()
    load_averaged(text_encoder, work / "diffusion.pt", "text_encoder.")
    load_averaged(unet, work / "diffusion.pt", "unet.")
    return StableDiffusionPipeline(
        vae=trained_autoencoder(work),
        text_encoder=text_encoder.eval(),
        tokenizer=tokenizer,
        unet=unet.eval(),
        scheduler=build_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        image_encoder=None,
        requires_safety_checker=False,
    )


def write_model(pipeline: StableDiffusionPipeline, folder: Path) -> int:
    """Writes the half-precision model into `folder`, file by file, and returns its size in bytes.

    Each file is written aside and renamed, so that whoever loads meanwhile reads whole files.
    """
    aside = folder / ".aside"
    shutil.rmtree(aside, ignore_errors=True)
    pipeline.to(dtype=torch.float16).save_pretrained(aside, safe_serialization=True)
    _mend_configs(aside)
    (aside / "vocabulary.json").write_text(
        json.dumps(vocabulary(), indent=2) + "\n", encoding="utf-8"
    )
    for source in sorted(path for path in aside.rglob("*") if path.is_file()):
        target = folder / source.relative_to(aside)
        target.parent.mkdir(parents=True, exist_ok=True)
        source.chmod(0o644)
        source.replace(target)
    shutil.rmtree(aside)
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def write_autoencoder(work: Path, folder: Path) -> int:
    """Writes the autoencoder alone, in half precision, for others to begin from; its bytes."""
    trained_autoencoder(work).half().save_pretrained(folder)
    _mend_configs(folder)
    for path in folder.iterdir():
        path.chmod(0o644)
    return sum(path.stat().st_size for path in folder.iterdir())


def _mend_configs(folder: Path) -> None:
    """Removes paths of this machine, and has the text encoder load in full precision by default."""
    for path in folder.rglob("*.json"):
        if path.name not in ("config.json", "model_index.json", "tokenizer_config.json"):
            continue
        content = json.loads(path.read_text(encoding="utf-8"))
        content.pop("_name_or_path", None)
        content.pop("name_or_path", None)
        if "dtype" in content:
            content["dtype"] = "float32"
        if content.get("_class_name") == "AutoencoderTiny":
            # Derived from the others when loading; as an argument it would be warned about.
            content.pop("block_out_channels", None)
        path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=WORK)
    parser.add_argument("--out", type=Path, default=MODEL_FOLDER)
    parser.add_argument(
        "--autoencoder", action="store_true", help="write the autoencoder alone, without a model"
    )
    given = parser.parse_args()
    if given.autoencoder:
        size = write_autoencoder(given.work, given.out)
    else:
        size = write_model(assemble(given.work), given.out)
    print(f"{given.out.name}: {size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
