"""A picture of the history in words: what one reads beside its thumbnail."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from ...document.adapter_settings import PICTURE, AdapterSettings, DocumentAdapters
from ...i18n.translation import tr
from ...results.history import HistoryEntry

_LONGEST = 300


def description(entry: HistoryEntry) -> str:
    """Prompt and settings, a line each."""
    asked: Mapping[str, Any] = vars(entry.request) if entry.request else entry.asked
    prompts = "\n".join(f"\u2022 {_cut(prompt)}" for prompt in entry.prompts)
    made = _moment(entry.made_at)
    lines = [
        prompts or entry.name,
        tr("Seed {seed}, {steps} steps, guidance {guidance}").format(
            seed=entry.seed,
            steps=asked.get("num_inference_steps", "?"),
            guidance=asked.get("guidance_scale", "?"),
        ),
        tr("Model {model}").format(model=_cut(str(asked.get("model", "?")))),
        tr("{width} x {height} pixels, {made}").format(
            width=entry.width, height=entry.height, made=made
        ),
    ]
    if asked.get("negative_prompt"):
        lines.insert(1, tr("Avoid: {prompt}").format(prompt=_cut(str(asked["negative_prompt"]))))
    lines += _laid_on(DocumentAdapters.from_text(entry.adapters))
    if entry.seconds:
        lines.append(tr("Painted in {seconds} s").format(seconds=entry.seconds))
    if entry.origin:
        name = entry.origin_name or "?"
        lines.append(tr("Made for {name}, which is not open").format(name=_cut(name)))
    return "\n".join(lines)


def _moment(seconds: int) -> str:
    """A date and a time; a question mark where this system has none."""
    try:
        return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))
    except (OSError, OverflowError, ValueError):
        return "?"


def _laid_on(stored: DocumentAdapters) -> list[str]:
    """A line for the picture, and one for each region, that adapters lay on."""
    lines = []
    for layer_id, entry in stored.entries.items():
        said = _cut(", ".join(map(_adapter, entry.laid)))
        if entry.laid and layer_id == PICTURE:
            lines.append(tr("Adapters: {adapters}").format(adapters=said))
        elif entry.laid:
            line = tr("Adapters on {region}: {adapters}")
            lines.append(line.format(region=_cut(entry.name), adapters=said))
    return lines


def _adapter(one: AdapterSettings) -> str:
    said = f"{one.adapter} {one.weight:g}"
    return f"{said} (\u201c{one.layer_name}\u201d)" if one.needs_layer and one.layer_name else said


def badge(entry: HistoryEntry, *, is_applied: bool) -> str:
    """Signs that are drawn onto the thumbnail."""
    signs = [
        "\u2605" if entry.favourite else "",
        "\u2713" if is_applied else "",
        "\u21aa" if entry.origin else "",
    ]
    return "".join(signs)


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "\u2026"
