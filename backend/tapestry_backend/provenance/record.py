"""A record of how a picture was made: as XMP, which every program reads, and whole as JSON.

The words for people and machines are IPTC's: its vocabulary of digital source types, and the
properties about AI of its Photo Metadata Standard 2025.1.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, astuple, dataclass
from typing import Any, Literal
from xml.sax.saxutils import escape

from tapestry_protocol import VERSION
from tapestry_protocol.codec import encode
from tapestry_protocol.messages import Request, Submit
from tapestry_protocol.pixels import Bounds

from ..openraster.png import text_chunk

SourceType = Literal["trainedAlgorithmicMedia", "compositeWithTrainedAlgorithmicMedia"]
"""All of it was generated; or generated parts lie among an artist's, or go on from them."""

SOURCE_TYPES = "http://cv.iptc.org/newscodes/digitalsourcetype/"
_XMP_KEYWORD = "XML:com.adobe.xmp"
_KEYWORD = "Tapestry"
_XMP = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/"
 xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/">
<xmp:CreatorTool>{tool}</xmp:CreatorTool>
<Iptc4xmpExt:DigitalSourceType>{source}</Iptc4xmpExt:DigitalSourceType>
<Iptc4xmpExt:AISystemUsed>{system}</Iptc4xmpExt:AISystemUsed>
<Iptc4xmpExt:AISystemVersionUsed>{version}</Iptc4xmpExt:AISystemVersionUsed>
<Iptc4xmpExt:AIPromptInformation>{prompts}</Iptc4xmpExt:AIPromptInformation>
</rdf:Description>
</rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>"""


@dataclass(frozen=True)
class Model:
    """A model's name without folders, its SHA-256, and those of the adapters that lay on it."""

    id: str
    sha256: str
    adapters: Mapping[str, str]


@dataclass(frozen=True)
class Record:
    """What made a picture.

    source_type    of the picture as a whole
    bounds         the smallest rectangle of the picture that holds all that was generated
    corner         (down, right): where the document's corner lies in the picture, pixels
    factor         how many times as large as the document the picture is
    """

    request: Request
    model: Model
    source_type: SourceType
    bounds: Bounds
    corner: tuple[int, int] = (0, 0)
    factor: float = 1.0

    @property
    def source_uri(self) -> str:
        """The source type as IPTC names it."""
        return SOURCE_TYPES + self.source_type

    def to_json(self) -> dict[str, Any]:
        """Plain values: the request as it is sent, and what of the picture was generated."""
        return {
            "software": f"Tapestry {VERSION}",
            "digital_source_type": self.source_uri,
            "model": asdict(self.model),
            "request": {
                **json.loads(encode(Submit("record", self.request)))["request"],
                "model": self.model.id,
            },
            "generated": {
                "bounds": asdict(self.bounds),
                "regions": [
                    {"prompt": prompt, "bounds": asdict(bounds)}
                    for prompt, bounds in self._regions()
                ],
            },
        }

    def _regions(self) -> Iterator[tuple[str, Bounds]]:
        """What of each region was generated; of one that is nothing but its paint nothing was."""
        for region in self.request.regions:
            place = self._placed(region.bounds).intersection(self.bounds)
            if region.strength > 0 and not place.is_empty:
                yield region.prompt, place

    def _placed(self, bounds: Bounds) -> Bounds:
        """A rectangle of the document, in the picture."""
        return Bounds(*(round(edge * self.factor) for edge in astuple(bounds.moved(*self.corner))))

    def chunks(self) -> bytes:
        """All of it as chunks of a PNG."""
        record = json.dumps(self.to_json(), ensure_ascii=False)
        return text_chunk(_XMP_KEYWORD, self._xmp()) + text_chunk(_KEYWORD, record, packed=True)

    def _xmp(self) -> str:
        return _XMP.format(
            tool=f"Tapestry {VERSION}",
            source=self.source_uri,
            system=_plain(f"Tapestry with the model {self.model.id}"),
            version=f"Tapestry {VERSION}, model SHA-256 {self.model.sha256}",
            prompts=_plain("; ".join(self._prompts())),
        )

    def _prompts(self) -> list[str]:
        request = self.request
        wanted = [request.prompt, *(region.prompt for region in request.regions), request.style]
        avoided = f"not: {request.negative_prompt}" if request.negative_prompt.strip() else ""
        return [*dict.fromkeys(text.strip() for text in (*wanted, avoided) if text.strip())]


def _plain(text: str) -> str:
    """A text inside XML, without signs that XML cannot hold."""
    kept = (sign for sign in text if sign.isprintable() or sign in "\t\n")
    return escape("".join(kept).encode("utf-8", "ignore").decode())


def source_type_of(request: Request, *, has_own: bool = False) -> SourceType:
    """What IPTC calls the picture of a request.

    What is extended, mended or edited was there before, and a region may start from an artist's own
    colours. has_own: whether the picture was there before in any case.
    """
    starts_from_paint = any(region.strength < 1 for region in request.regions)
    if has_own or starts_from_paint or request.task != "generate":
        return "compositeWithTrainedAlgorithmicMedia"
    return "trainedAlgorithmicMedia"
