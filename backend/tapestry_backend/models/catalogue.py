"""Which models there are and where, read from configuration files only; never loads weights."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.messages import ModelInfo

SAMPLE = "sample"
"""The id of the bundled model."""


@dataclass(frozen=True)
class Entry:
    """A model folder in Stable-Diffusion format (diffusers layout) and its id."""

    id: str
    path: Path
    window_px: int

    @property
    def info(self) -> ModelInfo:
        return ModelInfo(id=self.id, name=self.id, window_px=self.window_px)


class Catalogue:
    """The bundled model, and the model folders or cached hub ids that somebody named at the start.

    Raises TapestryError when a named model is none.
    """

    def __init__(self, names: Sequence[str] = ()) -> None:
        sample = Path(str(files("tapestry_backend") / "sample_model"))
        self._entries = {SAMPLE: read_entry(SAMPLE, sample)}
        for name in names:
            if name != SAMPLE:
                self._entries[name] = read_entry(name, locate(name))

    @property
    def models(self) -> tuple[ModelInfo, ...]:
        return tuple(entry.info for entry in self._entries.values())

    def find(self, model_id: str) -> Entry:
        """The model with this id; raises TapestryError when there is none."""
        try:
            return self._entries[model_id]
        except KeyError:
            known = ", ".join(self._entries)
            raise TapestryError(
                ErrorCode.MODEL_NOT_FOUND,
                f"There is no model {model_id!r}.",
                f"Choose one of: {known}. Start the backend with --model PATH to add another.",
            ) from None


def locate(name: str) -> Path:
    """The folder of a model named by path, or by its id in the hub's local cache; no network."""
    path = Path(name).expanduser()
    if path.exists():
        return path
    from huggingface_hub import snapshot_download  # noqa: PLC0415  slow to import, rarely needed
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError  # noqa: PLC0415

    try:
        return Path(snapshot_download(name, local_files_only=True))
    except (HFValidationError, LocalEntryNotFoundError):
        raise TapestryError(
            ErrorCode.MODEL_NOT_FOUND,
            f"{name!r} is neither a folder nor a model in the Hugging Face cache.",
            "Give the path of a model folder in diffusers layout (it holds model_index.json).",
        ) from None


def read_entry(model_id: str, path: Path) -> Entry:
    """Read a folder's configuration; raises TapestryError when it is not a model we can run."""
    try:
        index = json.loads((path / "model_index.json").read_text(encoding="utf-8"))
        unet = json.loads((path / "unet" / "config.json").read_text(encoding="utf-8"))
        vae = json.loads((path / "vae" / "config.json").read_text(encoding="utf-8"))
        blocks = vae.get("block_out_channels") or vae["encoder_block_out_channels"]
        factor = 2 ** (len(blocks) - 1)
        sample_size = unet["sample_size"]
        window = sample_size if isinstance(sample_size, int) else min(sample_size)
        pipeline = index["_class_name"]
        taken, made = unet.get("in_channels", 4), vae.get("latent_channels", 4)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TapestryError(
            ErrorCode.MODEL_BROKEN,
            f"{str(path)!r} is not a model folder in diffusers layout ({type(error).__name__}).",
            "Choose a folder that holds model_index.json, unet, vae, text_encoder, tokenizer and "
            "scheduler.",
        ) from error
    if not pipeline.startswith("StableDiffusion") or "XL" in pipeline or "3" in pipeline:
        raise TapestryError(
            ErrorCode.MODEL_BROKEN,
            f"{str(path)!r} is a {pipeline}, which Tapestry cannot run yet.",
            "Choose a Stable Diffusion 1.x or 2.x checkpoint.",
        )
    if taken not in {made, inpainting_channels(made)}:
        raise TapestryError(
            ErrorCode.MODEL_BROKEN,
            f"The U-Net of {str(path)!r} takes {taken} channels, its autoencoder makes {made}.",
            "Choose a checkpoint that paints from a prompt, or one for inpainting.",
        )
    return Entry(model_id, path, window * factor)


def inpainting_channels(channels: int) -> int:
    """What an inpainting model takes: noisy latents, a mask, and the latents of what is known."""
    return 2 * channels + 1
