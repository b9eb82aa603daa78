"""The adapters of a document -> LoRAs and control pictures of a request."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from tapestry_protocol.adapters import Control, Lora
from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.pixels import Bounds

from ..i18n.translation import tr
from .adapter_settings import ADAPTERS_NOTE, AdapterSettings, DocumentAdapters
from .bands import read_in_bands
from .canvas import Canvas, Layer


def document_adapters(canvas: Canvas) -> DocumentAdapters:
    """What the artist has laid on this document."""
    return DocumentAdapters.from_text(canvas.note(ADAPTERS_NOTE))


def keep_adapters_name(canvas: Canvas, layer_id: str, name: str) -> None:
    """A layer was renamed: copies of it will be known by the new name."""
    stored = document_adapters(canvas)
    renamed = stored.renamed(layer_id, name)
    if renamed != stored:
        canvas.keep_note(ADAPTERS_NOTE, renamed.to_text())


def loras_of(laid: Sequence[AdapterSettings]) -> tuple[Lora, ...]:
    """The LoRAs among these."""
    return tuple(Lora(one.adapter, one.weight) for one in laid if one.kind == "lora")


async def controls_of(
    canvas: Canvas, laid: Sequence[AdapterSettings], reach: Bounds, blobs: dict[str, bytes]
) -> tuple[Control, ...]:
    """The others, in coordinates of the document, with their pictures in `blobs`.

    reach  what is painted; a control picture that lies wholly beyond says nothing about it
    Raises TapestryError where a layer is missing or empty.
    """
    layers, controls = canvas.layers(), []
    for one in laid:
        if one.kind == "lora" or one.weight == 0:
            continue
        control = Control(
            one.adapter,
            one.show,
            weight=one.weight,
            start=one.start,
            end=one.end,
            control_type=one.control_type,
        )
        if one.needs_layer:
            bounds = _place(one, layers, reach)
            if bounds.is_empty:
                continue
            layer = _found(one, layers)
            read = partial(canvas.colors, layer.id)
            image = await read_in_bands(bounds, 4, read, blobs)
            control = replace(control, bounds=bounds, image=image)
        controls.append(control)
    return tuple(controls)


def moved(control: Control, part: Bounds) -> Control:
    """A control picture in coordinates of this part."""
    if control.bounds is None:
        return control
    return replace(control, bounds=control.bounds.moved(-part.top, -part.left))


def _place(one: AdapterSettings, layers: Sequence[Layer], reach: Bounds) -> Bounds:
    """What is read of the layer: all of a reference, which may lie anywhere."""
    layer = _found(one, layers)
    if layer.bounds.is_empty:
        raise TapestryError(
            ErrorCode.BAD_REQUEST,
            tr("The layer \u201c{layer}\u201d for {adapter} is empty.").format(
                layer=layer.name, adapter=one.adapter
            ),
            tr("Paint on it, or choose another layer."),
        )
    return layer.bounds if one.kind == "ip_adapter" else layer.bounds.intersection(reach)


def _found(one: AdapterSettings, layers: Sequence[Layer]) -> Layer:
    layer = one.find(layers)
    if layer is not None:
        return layer
    if not one.layer:
        sentence = tr("No layer is chosen for {adapter}.").format(adapter=one.adapter)
    else:
        sentence = tr("The layer \u201c{layer}\u201d for {adapter} is not here any more.").format(
            layer=one.layer_name, adapter=one.adapter
        )
    raise TapestryError(
        ErrorCode.BAD_REQUEST,
        sentence,
        tr("Choose a layer in its row, or remove the row."),
    )
