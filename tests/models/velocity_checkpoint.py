"""The bundled model as a checkpoint that predicts velocity, with a scheduler of any settings."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

VELOCITY = {"prediction_type": "v_prediction"}
ZERO_SNR = {**VELOCITY, "rescale_betas_zero_snr": True}
"""Trained up to pure noise: such a checkpoint asks for guidance rescale."""


def save_velocity_checkpoint(sample: Path, folder: Path, scheduler: Mapping[str, object]) -> None:
    """Write it to a folder, from the bundled model's."""
    shutil.copytree(sample, folder)
    path = folder / "scheduler" / "scheduler_config.json"
    config = {**json.loads(path.read_text()), "_class_name": "DDIMScheduler", **scheduler}
    path.write_text(json.dumps({**config, "timestep_spacing": "trailing", "clip_sample": False}))
    index = json.loads((folder / "model_index.json").read_text())
    index["scheduler"] = ["diffusers", "DDIMScheduler"]
    (folder / "model_index.json").write_text(json.dumps(index))
