"""Hostile model folders: each damages a sound one; tests nothing itself."""

from __future__ import annotations

import json
import os
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

WEIGHTS = "unet/diffusion_pytorch_model.safetensors"
ONE = {"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}
DATA = bytes(8)

Damage = Callable[[Path], object]


def replaced(folder: Path, name: str, data: bytes) -> None:
    """Put other bytes in a file's place; the sound folder shares the old ones."""
    (folder / name).unlink(missing_ok=True)
    (folder / name).write_bytes(data)


def file(data: bytes, name: str = WEIGHTS) -> Damage:
    """Other bytes instead of a file."""
    return lambda folder: replaced(folder, name, data)


def header(text: str | bytes, data: bytes = DATA) -> Damage:
    """Weights with this header."""
    encoded = text.encode() if isinstance(text, str) else text
    return file(struct.pack("<Q", len(encoded)) + encoded + data)


def tensor(data: bytes = DATA, **changes: Any) -> Damage:
    """Weights with one tensor that is described otherwise."""
    return header(json.dumps({"a": {**ONE["a"], **changes}}), data)


def config(name: str, **changes: Any) -> Damage:
    """A configuration with other values."""

    def damage(folder: Path) -> None:
        values = json.loads((folder / name).read_text(encoding="utf-8"))
        replaced(folder, name, json.dumps({**values, **changes}).encode())

    return damage


def link(target: str, name: str = WEIGHTS) -> Damage:
    """A link in a file's place."""

    def damage(folder: Path) -> None:
        (folder / name).unlink()
        (folder / name).symlink_to(target)

    return damage


def pipe(name: str) -> Damage:
    """A pipe in a file's place: who opens it waits for ever."""

    def damage(folder: Path) -> None:
        (folder / name).unlink()
        os.mkfifo(folder / name)

    return damage


def sparse(name: str, size: int, start: bytes = b"") -> Damage:
    """A file of a size that takes no room on the disk."""

    def damage(folder: Path) -> None:
        replaced(folder, name, start)
        os.truncate(folder / name, size)

    return damage


def index(weight_map: Any) -> Damage:
    """An index that says in which files the weights lie."""
    return file(json.dumps({"weight_map": weight_map}).encode(), f"{WEIGHTS}.index.json")


def pickled(folder: Path) -> None:
    """Weights that are a pickle, as their name says."""
    (folder / WEIGHTS).rename((folder / WEIGHTS).with_suffix(".bin"))


TWO = {**ONE, "b": {"dtype": "F32", "shape": [2], "data_offsets": [4, 12]}}
GAP = {**ONE, "b": {"dtype": "F32", "shape": [1], "data_offsets": [12, 16]}}
MANY = {
    f"t{i}": {"dtype": "U8", "shape": [1], "data_offsets": [i, i + 1]} for i in range(10_001)
}  # a file that would be right, but for their number
UNET, VAE, TEXT = "unet/config.json", "vae/config.json", "text_encoder/config.json"
SCHEDULER = "scheduler/scheduler_config.json"

HOSTILE: dict[str, Damage] = {
    "empty": file(b""),
    "seven bytes": file(bytes(7)),
    "header without end": file(struct.pack("<Q", 2**63) + bytes(100)),
    "header longer than the file": file(struct.pack("<Q", 101) + bytes(100)),
    "no header": file(struct.pack("<Q", 0) + bytes(100)),
    "header of 3 MiB": header(json.dumps(ONE) + " " * (3 * 2**20)),
    "header that is no JSON": header("{"),
    "header that is no text": header(b"\xff\xfe" * 20),
    "header that is a list": header("[1]"),
    "header 100,000 deep": header("[" * 100_000),
    "header with a number of a million digits": header("9" * 1_000_000),
    "one name twice": header('{"a": 1, "a": 2}'),
    "no tensors": header("{}", b""),
    "too many tensors": header(json.dumps(MANY), bytes(len(MANY))),
    "unknown type": tensor(dtype="F1"),
    "type that is a list": tensor(dtype=["F32"]),
    "negative shape": tensor(shape=[-2]),
    "two negative sides": tensor(shape=[-1, -2]),
    "shape in fractions": tensor(shape=[2.0]),
    "shape that is true": tensor(shape=[True, 2]),
    "shape that overflows": tensor(shape=[2**33, 2**31]),
    "shape of too many sides": tensor(shape=[1] * 9 + [2]),
    "place reversed": tensor(data_offsets=[8, 0]),
    "negative place": tensor(data_offsets=[-8, 0]),
    "place of three": tensor(data_offsets=[0, 8, 8]),
    "place beyond the end": tensor(data_offsets=[8, 16]),
    "shape larger than its place": tensor(shape=[3]),
    "tensors that overlap": header(json.dumps(TWO), bytes(12)),
    "tensors with a gap": header(json.dumps(GAP), bytes(16)),
    "bytes that belong to none": tensor(bytes(9)),
    "unknown field": tensor(code="import os"),
    "tensor that is null": header('{"a": null}'),
    "notes that are no texts": header(json.dumps({**ONE, "__metadata__": {"a": [1]}})),
    "endless name": header(json.dumps({"a" * 10_000: ONE["a"]})),
    "a pickle by another name": file(b"\x80\x04\x95" + bytes(200)),
    "a ZIP by another name": file(b"PK\x03\x04" + bytes(200)),
    "a pickle": pickled,
    "a pipe": pipe(WEIGHTS),
    "an endless device": link("/dev/zero"),
    "a link to another file": link("/etc/passwd"),
    "a link in a circle": link(WEIGHTS.rpartition("/")[2]),
    "a terabyte": sparse(WEIGHTS, 2**40, struct.pack("<Q", 2**20)),
    "index that climbs out": index({"a": "../../../secret.safetensors"}),
    "index to a pickle": index({"a": "model.bin"}),
    "index of nothing": index({}),
    "index that is a list": index([1]),
    "model that points elsewhere": file(b"{}", "text_encoder/adapter_config.json"),
    "configuration of 2 MiB": file(b" " * 2**21, UNET),
    "configuration that is a pipe": pipe("model_index.json"),
    "a billion layers": config(UNET, layers_per_block=10**9),
    "a billion text layers": config(TEXT, num_hidden_layers=10**9),
    "a billion channels": config(TEXT, hidden_size=10**9),
    "a number that is none": config(TEXT, layer_norm_eps=float("nan")),
    "endless lists": config(UNET, down_block_types=["DownBlock2D"] * 10_000),
    "a trillion noise levels": config(SCHEDULER, num_train_timesteps=10**12),
    "window of a billion": config(UNET, sample_size=10**9),
    "window that is a text": config(UNET, sample_size="16"),
    "64 halvings": config(VAE, encoder_block_out_channels=[1] * 64),
    "channels that are a text": config(VAE, latent_channels="4"),
    "code of its own": config(UNET, auto_map={"AutoModel": "evil.Model"}),
    "loader of its own": config(TEXT, quantization_config={"quant_method": "evil"}),
    "scheduler that is a pipeline": config(
        "model_index.json", scheduler=["diffusers", "DiffusionPipeline"]
    ),
    "vocabulary of a gigabyte": sparse("tokenizer/tokenizer.json", 2**30),
    "no tokenizer": lambda folder: shutil.rmtree(folder / "tokenizer"),
}

NAMES = {
    "path": "/etc",
    "path of a model": "",
    "the folder above": "..",
    "relative path": "../sample_model",
    "home": "~",
    "somebody's home": "~root/model",
    "other case": "SAMPLE",
    "with a blank": "sample ",
    "with a null": "sample\0",
    "address": "https://example.com/model",
    "id in the hub": "runwayml/stable-diffusion-v1-5",
    "file": "file:///etc/passwd",
    "share": "\\\\evil\\share",
    "program": "$(touch evil)",
    "longest": "x" * 200,
    "dunder": "__class__",
}
"""What a client might write instead of a model's id."""


def sound_folder(sample: Path, place: Path) -> Path:
    """A copy of a sound model."""
    return Path(shutil.copytree(sample, place))


def hostile_folder(sound: Path, place: Path, damage: Damage) -> Path:
    """A copy that shares its files, but for what was damaged."""
    shutil.copytree(sound, place, copy_function=os.link)
    damage(place)
    return place
