"""The pictures that were made for a document, and how the document keeps them.

Thumbnails and settings are a note of the document; the pictures themselves lie in the store, by
their SHA-256. Documents may come from anyone: what is odd in a note is left out.
"""

from __future__ import annotations

import base64
import json
import re
import uuid
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from tapestry_protocol.codec import decode, encode
from tapestry_protocol.errors import ProtocolError
from tapestry_protocol.layered import Layered
from tapestry_protocol.limits import MAX_SEED
from tapestry_protocol.messages import Request, Result, Submit
from tapestry_protocol.pixels import Bounds, Margins, Pixels

from ..common.stored_json import is_shallow, read_kept

HISTORY_NOTE = "tapestry_history"
"""Under this key a document keeps its history."""

MAX_NOTE_BYTES = 5_000_000
"""What a history may add to a document's file; the oldest thumbnails give way first."""

MAX_ENTRIES = 500
"""More pictures than an artist looks through."""

THUMBNAIL_PX = 96
"""The longer side of a thumbnail."""

_FARTHEST = 2**24
"""Pixels from the corner of any document: farther away nothing is painted."""

_LAST_MOMENT = 32_503_680_000
"""The year 3000 in seconds since 1970; later ones are no dates on every system."""

_SHA256 = re.compile(r"[0-9a-f]{64}")
_ID = re.compile(r"[0-9A-Za-z_-]{1,64}")


@dataclass(frozen=True)
class HistoryEntry:
    """A picture that was made.

    name        of the layer it becomes
    sha256      of its pixels, RGBA; with height and width the way to find them in the store
    bounds      where it lies, in pixels of the document as it was before an extension
    document    height and width of that document
    offset      what is added to places in the request to get those in the document: down, right
    asked       the request as JSON; `request` reads it
    sources     ids of the layers that it was made from
    applied     ids of the layers that it became
    grown       how far applying it made the canvas larger: top, left, bottom, right
    thumbnail   RGBA, small; `small` reads it
    origin      id of the history that it belongs to, where that document has been closed
    origin_name what that document was called
    layered     its layers as JSON, where it came with any; `layers` reads them
    adapters    what was laid on the picture and its regions, as `DocumentAdapters.to_text` wrote it
    new_document    whether it becomes a document of its own
    """

    id: str
    name: str
    sha256: str
    height: int
    width: int
    bounds: tuple[int, int, int, int]
    document: tuple[int, int]
    asked: Mapping[str, Any] = field(repr=False)
    offset: tuple[int, int] = (0, 0)
    made_at: int = 0
    seconds: float = 0.0
    sources: tuple[str, ...] = ()
    applied: tuple[str, ...] = ()
    grown: tuple[int, int, int, int] = (0, 0, 0, 0)
    favourite: bool = False
    thumbnail: str = field(default="", repr=False)
    origin: str = ""
    origin_name: str = ""
    adapters: str = field(default="", repr=False)
    new_document: bool = False
    layered: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def layers(self) -> Layered | None:
        """The layers that it came with; None where there are none."""
        result = {
            "kind": "result",
            "job_id": "x",
            "pixels": {"height": 1, "width": 1, "channels": 4, "sha256": self.sha256},
            "bounds": dict.fromkeys(("top", "left", "bottom", "right"), 0),
            "seed": 0,
            "report": "",
            "layered": self.layered or None,
        }
        try:
            found = decode(json.dumps(result))
        except (ProtocolError, ValueError, RecursionError):
            return None
        return found.layered if isinstance(found, Result) else None

    @property
    def pictures(self) -> frozenset[str]:
        """SHA-256 of its own pixels, and of those of its layers."""
        layers = self.layers
        beside = [ref.sha256 for ref in layers.blobs] if layers else []
        return frozenset((self.sha256, *beside))

    @property
    def request(self) -> Request | None:
        """The request; None where another version of Tapestry made it."""
        try:
            submit = decode(json.dumps({"kind": "submit", "job_id": "x", "request": self.asked}))
        except (ProtocolError, ValueError, RecursionError):
            return None
        return submit.request if isinstance(submit, Submit) else None

    @property
    def place(self) -> Bounds:
        """Where it lies, in the document as it was before an extension."""
        return Bounds(*self.bounds)

    @property
    def margins(self) -> Margins:
        """How far the document grows for it."""
        known = self.asked.get("margins")
        sides = known if isinstance(known, dict) else {}
        return Margins(*(_whole(sides.get(side)) for side in ("top", "left", "bottom", "right")))

    @property
    def enlarged_from(self) -> Bounds | None:
        """The part of the document that became this larger picture; None for any other picture."""
        if self.asked.get("task") != "upscale":
            return None
        size = _whole(self.asked.get("height")), _whole(self.asked.get("width"))
        return Bounds(0, 0, *size).moved(*self.offset)

    @property
    def seed(self) -> int:
        """What made it this picture and no other."""
        seed = _whole(self.asked.get("seed"))
        return seed if seed <= MAX_SEED else 0

    @property
    def prompts(self) -> tuple[str, ...]:
        """All prompts, those of regions first."""
        regions = self.asked.get("regions")
        listed = regions if isinstance(regions, list) else []
        found = [region.get("prompt") for region in listed if isinstance(region, dict)]
        found += [self.asked.get("prompt"), self.asked.get("style")]
        return tuple(prompt for prompt in found if isinstance(prompt, str) and prompt)

    @property
    def small(self) -> Pixels | None:
        """The thumbnail; None where it had to give way, or is damaged."""
        return unpack(self.thumbnail)

    def has_words(self, words: str) -> bool:
        """Whether each of these words is in its prompts or its name."""
        text = " ".join((*self.prompts, self.name)).casefold()
        return all(word in text for word in words.casefold().split())


def layers_in(result: Result) -> Mapping[str, Any]:
    """The layers of a result as JSON that `HistoryEntry.layers` reads."""
    return json.loads(encode(replace(result, report=""))).get("layered", {})


def pack(pixels: Pixels) -> str:
    """A thumbnail as text: its size, then its compressed bytes."""
    data = base64.b64encode(zlib.compress(pixels.data)).decode("ascii")
    return f"{pixels.height}x{pixels.width}:{data}"


def unpack(text: str) -> Pixels | None:
    """What `pack` wrote; None for anything else."""
    found = re.match(r"(\d{1,3})x(\d{1,3}):", text)
    if not found:
        return None
    height, width = int(found[1]), int(found[2])
    size = height * width * 4
    try:
        data = zlib.decompressobj().decompress(base64.b64decode(text[found.end() :]), size + 1)
        return Pixels(height, width, 4, data)
    except (ValueError, zlib.error):
        return None


class History:
    """A document's pictures, newest first.

    id   tells it from other documents' histories, also after the document was closed
    """

    def __init__(self, history_id: str = "", entries: Iterable[HistoryEntry] = ()) -> None:
        self.id = history_id or uuid.uuid4().hex
        self.entries = list(entries)

    def find(self, entry_id: str) -> HistoryEntry | None:
        """The entry with this id, if it is here."""
        return next((entry for entry in self.entries if entry.id == entry_id), None)

    def add(self, entry: HistoryEntry) -> None:
        """Put a picture in front; one that is here already stays where it is."""
        if self.find(entry.id) is None:
            self.entries.insert(0, entry)
            del self.entries[MAX_ENTRIES:]

    def change(self, entry_id: str, **values: Any) -> None:
        """Set fields of an entry."""
        self.entries = [
            replace(entry, **values) if entry.id == entry_id else entry for entry in self.entries
        ]

    def remove(self, entry_id: str) -> None:
        """Take a picture out."""
        self.entries = [entry for entry in self.entries if entry.id != entry_id]

    def to_text(self, most_bytes: int = MAX_NOTE_BYTES) -> str:
        """As JSON, not longer than this; thumbnails give way first, then the oldest entries."""
        kept = [asdict(entry) for entry in self.entries]
        texts = [json.dumps(entry) for entry in kept]
        excess = sum(map(len, texts)) + 2 * len(texts) + 200 - most_bytes
        order = sorted(range(len(kept)), key=lambda n: (kept[n]["favourite"], -n))
        for n in order:
            if excess <= 0:
                break
            before, kept[n]["thumbnail"] = len(texts[n]), ""
            texts[n] = json.dumps(kept[n])
            excess -= before - len(texts[n])
        for n in order:
            if excess <= 0:
                break
            excess -= len(texts[n]) + 2
            texts[n] = ""
        entries = ", ".join(text for text in texts if text)
        return f'{{"id": "{self.id}", "entries": [{entries}]}}'

    @classmethod
    def from_text(cls, text: str) -> History:
        """What `to_text` wrote; a new history where there is none, without what is damaged."""
        kept = read_kept(text)
        if not isinstance(kept, dict):
            return cls()
        known_id = kept.get("id")
        history_id = known_id if isinstance(known_id, str) and _ID.fullmatch(known_id) else ""
        entries = kept.get("entries")
        read = [_entry(fields) for fields in entries] if isinstance(entries, list) else []
        return cls(history_id, [entry for entry in read if entry is not None][:MAX_ENTRIES])


def _entry(kept: Any) -> HistoryEntry | None:
    """An entry out of what JSON gave; None when that is none."""
    if not isinstance(kept, dict) or not is_shallow(kept):
        return None
    values = {f.name: kept[f.name] for f in fields(HistoryEntry) if f.name in kept}
    for name in ("bounds", "document", "offset", "sources", "applied", "grown"):
        if isinstance(values.get(name), list):
            values[name] = tuple(values[name])
    # The picture is worth more than what is odd beside it.
    sound = {name: value for name, value in values.items() if _is_usable(name, value)}
    try:
        entry = HistoryEntry(**{"name": "", **sound})
        return entry if _is_sound(entry) else None
    except (TypeError, ValueError, OverflowError):
        return None


def _is_usable(name: str, value: Any) -> bool:
    """Whether a field is what it should be; always for those without which there is no picture."""
    if name in {"name", "thumbnail", "origin", "origin_name", "adapters"}:
        return isinstance(value, str)
    if name in {"sources", "applied"}:
        return isinstance(value, tuple) and all(isinstance(layer, str) for layer in value)
    if name == "made_at":
        return type(value) is int and 0 <= value <= _LAST_MOMENT
    if name == "seconds":
        return type(value) in {int, float} and 0 <= value <= _LAST_MOMENT
    if name == "layered":
        return isinstance(value, dict)
    return name != "favourite" or type(value) is bool


def _is_sound(entry: HistoryEntry) -> bool:
    numbers = (entry.height, entry.width, *entry.bounds, *entry.document)
    places = (*entry.grown, *entry.offset)
    return (
        all(type(number) is int for number in (*numbers, *places))
        and all(abs(number) <= _FARTHEST for number in (*numbers, *places))
        and isinstance(entry.asked, dict)
        and type(entry.new_document) is bool
        and (entry.enlarged_from is None or _lies_near(entry.enlarged_from))
        and (len(entry.bounds), len(entry.grown)) == (4, 4)
        and (len(entry.document), len(entry.offset)) == (2, 2)
        and min(entry.grown) >= 0
        and max(vars(entry.margins).values()) <= _FARTHEST
        and bool(_ID.fullmatch(entry.id) and _SHA256.fullmatch(entry.sha256))
        and (entry.place.height, entry.place.width) == (entry.height, entry.width)
        and not entry.place.is_empty
    )


def _lies_near(part: Bounds) -> bool:
    return not part.is_empty and max(part.height, part.width) <= _FARTHEST


def _whole(value: Any) -> int:
    return value if type(value) is int and value >= 0 else 0
