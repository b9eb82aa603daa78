"""What an edit asks for: its words, and the layers that say where they hold."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.layer_names import plain_name
from tapestry_protocol.messages import Edit, Region, Request
from tapestry_protocol.request_checks import is_same
from tapestry_protocol.sentences import Sentence, quoted

from ..common.stored_json import read_kept
from ..settings.settings import Settings
from .canvas import Canvas
from .layers import DocumentScene, RegionLayer
from .order import all_layers
from .settling import drawn

PLACES_NOTE = "tapestry_places"
"""Under this key a document keeps the ids of the layers that were made of a found place."""

LEARNED_NOTE = "tapestry_learned"
"""Under this key a document keeps which layers show a learned picture, and with which words."""


def place_layers(canvas: Canvas) -> frozenset[str]:
    """Ids of the layers that were made of a found place: where it is, in any colour."""
    ids = read_kept(canvas.note(PLACES_NOTE))
    return frozenset(map(str, ids)) if isinstance(ids, list) else frozenset()


def keep_place_layer(canvas: Canvas, layer_id: str) -> None:
    """Remember that this layer was made of a found place."""
    canvas.keep_note(PLACES_NOTE, json.dumps(sorted(place_layers(canvas) | {layer_id})))


def learned_layers(canvas: Canvas, words: str) -> frozenset[str]:
    """Ids of the layers that show what these words made of a learned picture."""
    kept = read_kept(canvas.note(LEARNED_NOTE))
    known = kept if isinstance(kept, dict) else {}
    return frozenset(layer_id for layer_id, said in known.items() if said == plain_name(words))


def keep_learned_layers(canvas: Canvas, layer_ids: Sequence[str], request: Request) -> None:
    """Remember which layers a learned picture became; of other requests nothing is kept."""
    if request.edit is None or request.edit.method != "imagic":
        return
    kept = read_kept(canvas.note(LEARNED_NOTE))
    known = kept if isinstance(kept, dict) else {}
    there = {layer.id for layer in all_layers(canvas.layers())}
    now = {layer_id: words for layer_id, words in known.items() if layer_id in there}
    now |= dict.fromkeys(layer_ids, plain_name(request.prompt))
    canvas.keep_note(LEARNED_NOTE, json.dumps(now))


def rows_called(scene: DocumentScene, words: str) -> list[RegionLayer]:
    """The layers that say where these words hold.

    A layer that was made of a found place says so when it is hidden, too: it lies on the picture.
    """
    rows = [row for row in scene.rows if _names(words, row.prompt)]
    return [row for row in rows if row.settings.on and _says_where(scene, row)]


def _names(words: str, name: str) -> bool:
    """Whether a layer of this name is meant: spaces and capitals do not count."""
    return bool(words.strip()) and is_same(words, name)


def _says_where(scene: DocumentScene, row: RegionLayer) -> bool:
    return row.state == "painted" or (row.state == "hidden" and row.id in scene.places)


def instructions_of(settings: Settings) -> list[str]:
    """What is to be done with the picture: one thing, or several with semicolons between."""
    return [words.strip() for words in settings.edit_instruction.split(";") if words.strip()]


def words_of_place(settings: Settings) -> list[str]:
    """What layers are called that say where."""
    if settings.edit_method == "instruct":
        return instructions_of(settings)
    return [] if settings.edit_method == "imagic" else [settings.edit_from]


def words_that_change(settings: Settings) -> list[str]:
    """What the picture becomes, or what is done with it."""
    is_instructed = settings.edit_method == "instruct"
    return instructions_of(settings) if is_instructed else [settings.edit_to]


def places_in(scene: DocumentScene, settings: Settings) -> dict[str, list[RegionLayer]]:
    """For each of the words that layers can be called by, those that are, if there are any.

    The lowest layer, which covers all, may be called so as well: it is no row, and where no region
    is.
    """
    found = {words: rows_called(scene, words) for words in words_of_place(settings)}
    return {words: rows for words, rows in found.items() if rows or _is_ground(scene, settings)}


def _is_ground(scene: DocumentScene, settings: Settings) -> bool:
    """Whether what changes is the lowest layer's, which covers all under the others."""
    is_found = settings.edit_method not in {"instruct", "imagic"}
    return is_found and _names(settings.edit_from, scene.background_prompt)


def layers_of_an_edit(scene: DocumentScene, settings: Settings) -> list[RegionLayer]:
    """The regions where one of them says where; none where the words are to be found.

    What other layers are called is no instruction.
    """
    places = places_in(scene, settings)
    named = {row.id for rows in places.values() for row in rows}
    counting = {row.id for row in scene.regions if row.settings.on} if places else set()
    if settings.edit_method == "instruct":
        counting = set()
    return [row for row in scene.rows if row.id in named | counting]


def with_words(
    regions: Sequence[Region], settings: Settings, background: str, scene: DocumentScene
) -> tuple[tuple[Region, ...], str, str]:
    """The regions, what the rest of the picture shows now, and what it shall become.

    Regions are left where one of them says where, and have other words for what is to change.
    """
    if settings.edit_method == "instruct":
        return tuple(regions), "", _unplaced(regions, settings)
    if settings.edit_method == "imagic":
        return (), "", settings.edit_to.strip()
    now, wanted = settings.edit_from.strip(), settings.edit_to.strip()
    is_ground = _is_ground(scene, settings)
    if not is_ground and not any(_names(now, region.prompt) for region in regions):
        return (), now, wanted
    changed = tuple(
        replace(region, prompt=wanted, source_prompt=region.prompt)
        if is_same(region.prompt, now)
        else region
        for region in regions
    )
    return (changed, now, wanted) if is_ground else (changed, background, background)


def _unplaced(regions: Sequence[Region], settings: Settings) -> str:
    """The instruction for all that no layer is about."""
    left = [
        words
        for words in instructions_of(settings)
        if not any(is_same(words, region.prompt) for region in regions)
    ]
    if len(left) > 1:
        raise TapestryError(
            ErrorCode.BAD_REQUEST,
            Sentence(
                "No layer says where these instructions hold: {names}.",
                names=", ".join(map(quoted, left)),
            ),
            "Paint on a layer for each and call it so; one of them may be for all the rest.",
        )
    return left[0] if left else ""


def edit_of(settings: Settings, source_prompt: str, *, finds: bool, is_bounded: bool) -> Edit:
    """How the picture is edited.

    finds       a map of the place is all that is wanted
    is_bounded  a layer or a selection says where, and all of that changes
    """
    if finds and not source_prompt:
        raise TapestryError(
            ErrorCode.BAD_REQUEST,
            "It was not said what shall be found.",
            "Write what the picture shows there now.",
        )
    return Edit(
        method="diffedit" if finds else settings.edit_method,
        source_prompt=source_prompt,
        threshold=0.0 if is_bounded else settings.edit_threshold,
        map_only=finds,
        cross_attention=settings.edit_cross_attention,
        self_attention=settings.edit_self_attention,
        features=settings.edit_features,
        picture_scale=settings.edit_picture_scale,
        **_own_fields(settings, finds=finds),
    )


def _own_fields(settings: Settings, *, finds: bool) -> dict[str, Any]:
    """The fields that other methods than the chosen one have no use for, or refuse."""
    if settings.edit_method == "ddib" and not finds:
        model = settings.edit_source_model
        chosen = "" if model == settings.model else model
        return {"source_model": chosen, "cycle": settings.edit_cycle}
    if settings.edit_method == "instruct" and not finds:
        return {"picture_shown": settings.edit_picture_shown}
    if settings.edit_method == "imagic" and not finds:
        return {
            "interpolation": settings.edit_interpolation,
            "learning_steps": settings.edit_learning_steps,
        }
    return {}


def instruction_layers(
    canvas: Canvas, settings: Settings, chosen: Sequence[RegionLayer]
) -> frozenset[str]:
    """Those of the layers that say where an instruction holds, from now on kept as places.

    They are no part of the picture: no layer is painted to be seen and called as an instruction.
    """
    if settings.edit_method != "instruct":
        return frozenset()
    for layer in chosen:
        keep_place_layer(canvas, layer.id)
    return frozenset(layer.id for layer in chosen)


def earlier_results(canvas: Canvas, settings: Settings, *, finds: bool) -> frozenset[str]:
    """What the same words made of the picture before, where it is to be learned.

    The picture that was learned is the one below them: another place on the way begins there, too.
    """
    if finds or settings.edit_method != "imagic":
        return frozenset()
    return learned_layers(canvas, settings.edit_to)


async def hide_layers(canvas: Canvas, layer_ids: frozenset[str]) -> None:
    """Take the eye off layers that are no part of the picture that is edited."""
    shown = [layer for layer in all_layers(canvas.layers()) if layer.visible]
    seen = [layer.id for layer in shown if layer.id in layer_ids]
    for layer_id in seen:
        canvas.set_visible(layer_id, on=False)
    if seen:
        await drawn(canvas)
