"""What people have reported of such programs in public, by kind, and the tests that try it here."""

from __future__ import annotations

from collections.abc import Sequence

REPORTS: dict[str, Sequence[str]] = {
    "An eraser, a clipped layer or a blending mode changes what a layer covers: the masks are "
    "what Krita shows": (
        "tests/openraster/test_coverage.py",
        "tests/krita_plugin/document/test_coverage.py",
        "tests/krita/test_regions.py",
    ),
    "A layer has the name that a program gave it, in any language, or its letters are composed "
    "in another way": (
        "tests/protocol/test_layer_names.py",
        "tests/openraster/test_scene.py",
    ),
    'A scene writes its numbers as "0,5", "50%" or "12px", or as nothing that makes sense; a '
    "saved setting of a region makes none": (
        "tests/openraster/test_stack.py",
        "tests/openraster/test_scene.py",
    ),
    "A picture carries a colour profile, or two that differ, or notes of megabytes before it": (
        "tests/openraster/test_png.py",
    ),
    "An `.ora` file of another program: hidden layers in other words, pictures named from `./`,"
    " a damaged picture": (
        "tests/openraster/test_stack.py",
        "tests/openraster/test_hostile_files.py",
    ),
    "A result is written over a link, a private file, a file with two names or a protected one,"
    " a pipe, or to a disk that is full": (
        "tests/protocol/test_files.py",
        "tests/cli/test_outputs.py",
        "tests/installer/test_plugin.py",
        "tests/server/persistence/test_journal.py",
    ),
    "A command is ended by a signal, a closed terminal or Ctrl-C, or its disk fails, after "
    "something is finished: it is kept, over nothing that is there": (
        "tests/cli/test_upscale.py",
        "tests/cli/test_outputs.py",
    ),
    "A file to be read is a named pipe into which nobody writes, or one to be written is another "
    "file by a link": (
        "tests/protocol/test_files.py",
        "tests/cli/test_bad_input.py",
        "tests/cli/test_outputs.py",
    ),
    "A picture is cut off or empty, turned by its camera, animated, deep, or has a profile for "
    "grey": (
        "tests/openraster/test_png.py",
        "tests/cli/test_upscale.py",
    ),
    "A scene has no regions, an earlier result in a group, or a layer beside the canvas": (
        "tests/openraster/test_scene.py",
        "tests/cli/test_upscale.py",
    ),
    "A command's output goes to a narrow code page, a closed pipe or a full disk": (
        "tests/cli/test_streams.py",
    ),
    "Two Kritas run at once, or one of them has crashed": (
        "tests/krita_plugin/common/test_ownership.py",
    ),
    "A document holds notes that are damaged, nested without end, or hold odd numbers": (
        "tests/krita_plugin/common/test_stored_json.py",
    ),
    "A file in a store is damaged, whatever its size says, was half written, or has the bytes "
    "of a picture of another size": (
        "tests/server/persistence/test_journal_writer.py",
        "tests/server/connections/test_sessions.py",
        "tests/krita_plugin/results/test_picture_store.py",
    ),
    "A document was copied, and a picture is discarded in one of the two": (
        "tests/krita_plugin/results/test_controller.py",
    ),
    "A model, an adapter or a folder cannot be used (its name is no text, it may not be "
    "entered, its download stopped, it is a pickle): it is named, and keeps nothing else away": (
        "tests/checkpoints/test_discovery.py",
        "tests/checkpoints/test_adapter_catalogue.py",
        "tests/krita_plugin/backend/test_controller.py",
    ),
    "A LoRA, a text encoder, an autoencoder or a checkpoint lies in another kind's folder, or "
    "beside all of them": ("tests/checkpoints/test_discovery.py",),
    "A trainer's config.json, a stray model_index.json or unet/config.json, or a folder called venv"
    " or image_encoder lies among models: it hides none of them": (
        "tests/checkpoints/test_adapter_catalogue.py",
        "tests/checkpoints/test_discovery.py",
    ),
    "A ControlNet's folder has its weights as .fp16.safetensors alone, as a pickle, in several "
    "files, or in part": (
        "tests/models/adapters/test_controls.py",
        "tests/checkpoints/test_adapter_catalogue.py",
    ),
    "A file is called .safetensors and is a web page, a pickle, a GGUF file or git's note": (
        "tests/checkpoints/test_safetensors_header.py",
    ),
    "A model's folder is made of links, lacks its index, or has a damaged tokenizer": (
        "tests/checkpoints/test_hostile_models.py",
        "tests/checkpoints/test_discovery.py",
    ),
    "Folders are written down by hand in extra_model_paths.yaml": (
        "tests/checkpoints/test_extra_paths.py",
    ),
    "There are more adapters than a list holds, or two of one name": (
        "tests/checkpoints/test_adapter_catalogue.py",
        "tests/models/adapters/test_vocabulary.py",
    ),
    "Trainers write megabytes of notes into a file's header, or null": (
        "tests/checkpoints/test_safetensors_header.py",
    ),
    "A LoRA's tensors are called as another program calls them, or it holds more than a LoRA": (
        "tests/checkpoints/test_lora_keys.py",
        "tests/models/adapters/test_lora_names.py",
        "tests/models/adapters/test_lora_kinds.py",
    ),
    "An adapter holds numbers that are not finite: it is named": (
        "tests/models/adapters/test_lora_kinds.py",
        "tests/models/adapters/test_vocabulary.py",
    ),
    "An embedding has more vectors for one text encoder than for the other": (
        "tests/models/adapters/test_vocabulary.py",
    ),
    "A prompt is longer than a text encoder reads": ("tests/models/text/test_text_chunks.py",),
    "A prompt is written for another program: weights, LoRAs, embeddings, BREAK, AND, ADDROW, "
    "options, pasted parameters, bare names of embeddings, decimal commas, full-width brackets": (
        "tests/models/text/test_prompt_weights.py",
        "tests/prompts/test_syntax.py",
    ),
    "A name holds the signs that divide settings on the command line": ("tests/test_values.py",),
    "A graphics card is lost to its process: an illegal access, a laptop that slept": (
        "tests/workers/test_device_loss.py",
        "tests/workers/test_supervisor.py",
    ),
    "An Apple GPU knows no float64, and no areas that do not divide": (
        "tests/engine/test_noise_schedule.py",
        "tests/engine/test_composition.py",
        "tests/models/test_model_cache.py",
    ),
    "A card's driver swaps instead of refusing, as that of Windows does": (
        "tests/models/device/test_offloading.py",
    ),
    "A checkpoint was trained up to pure noise, or distilled for few steps": (
        "tests/models/test_schedulers.py",
        "tests/engine/test_guidance.py",
        "tests/tasks/test_failure_messages.py",
    ),
    "A control network or an image encoder does not fit on the card beside the model": (
        "tests/models/device/test_offloading.py",
    ),
    "The autoencoder's attention compares every pair of cells of a large canvas": (
        "tests/models/autoencoder/test_banded_attention.py",
    ),
    "Weights of 8 bits and what they mean take memory at once": (
        "tests/checkpoints/test_fp8_scales.py",
    ),
    "Checkpoints are meant for an earlier layer of CLIP (clip skip)": (
        "tests/models/text/test_clip_skip.py",
    ),
    "Nobody knows whether everything works on their card": ("tests/bench/card/test_card.py",),
    "LoHas and LoKrs are slow because they are multiplied out at every call, LoRAs because they"
    " change a thousand layers": (
        "tests/models/adapters/test_lora_kinds.py",
        "tests/models/adapters/test_lora_names.py",
    ),
    "A server starts again with more finished pictures than it keeps": (
        "tests/server/queue/test_completed_jobs.py",
    ),
}
"""A kind -> the files of its tests."""


_ABOUT = (
    "What goes wrong for people who do this work with other programs, or did here; each kind is a "
    "test with the right outcome."
)


def section() -> str:
    """The part of the page that lists them."""
    lines = [
        "## Tried from public reports",
        "",
        _ABOUT,
        "",
        "| kind | tests |",
        "|---|---|",
    ]
    for kind, files in REPORTS.items():
        lines.append(f"| {kind} | {', '.join(f'`{file}`' for file in files)} |")
    return "\n".join(lines) + "\n"
