"""Writes what made a picture into its files, as the options say."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePath

from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.messages import Request

from ..checkpoints.catalogue import Catalogue
from ..checkpoints.content_hash import ContentHashes, hashes_file
from ..openraster.document import Document, as_array, trimmed
from ..openraster.png import with_chunks
from ..provenance.record import Model, Record, SourceType, source_type_of
from ..provenance.signing import Signer
from ..tasks.events import Finished


@dataclass(frozen=True)
class Provenance:
    """Writes what made a picture into files."""

    hashes: ContentHashes
    signer: Signer | None

    def record(self, request: Request, finished: Finished) -> Record:
        """What made a finished picture."""
        area = finished.bounds.moved(-finished.bounds.top, -finished.bounds.left)
        found = trimmed(as_array(finished.pixels)[..., 3], area)
        return Record(
            request,
            self.model(request),
            source_type_of(request),
            area if found is None else found[0],
            (-finished.bounds.top, -finished.bounds.left),
        )

    @property
    def key(self) -> str:
        """What it writes, as far as options decide that: the certificate's SHA-256, or nothing."""
        return "" if self.signer is None else self.signer.certificate_sha256

    def model(self, request: Request) -> Model:
        """What a request was painted with."""
        name = (
            PurePath(request.model).name if PurePath(request.model).is_absolute() else request.model
        )
        sha256 = self.hashes.of_model(request.model)
        return Model(name, sha256, self.hashes.of_adapters(request))

    def written(
        self, files: Iterable[tuple[Path, bytes]], record: Record, document: Document | None
    ) -> Iterator[tuple[Path, bytes]]:
        """Files of a picture with their record; document: the scene that .ora files were made of.

        The artist's own layers in them stay as they are.
        """
        of_layer = replace(record, source_type=_type_of_layer(record))
        for path, data in files:
            if path.suffix.lower() == ".png":
                yield path, self._of_whole(data, record)
            elif document is not None:
                yield (
                    path,
                    document.with_notes(
                        data,
                        lambda png: self._of_whole(png, record),
                        lambda png: with_chunks(png, of_layer.chunks()),
                    ),
                )

    def _of_whole(self, png: bytes, record: Record) -> bytes:
        noted = with_chunks(png, record.chunks())
        return noted if self.signer is None else self.signer.signed(noted, record)


def _type_of_layer(record: Record) -> SourceType:
    """Of the result by itself: where a picture grows or is filled, all of it is new."""
    if record.request.task in {"extend", "fill"}:
        return source_type_of(replace(record.request, task="generate"))
    return record.source_type


def provenance_of(options: argparse.Namespace, catalogue: Catalogue) -> Provenance | None:
    """What the options ask for, if anything; raises TapestryError when nothing can be signed."""
    chain, key = options.certificate, options.private_key
    if not options.provenance and (chain or key):
        raise TapestryError(
            ErrorCode.BAD_REQUEST,
            "--certificate and --private-key sign what --provenance writes.",
            "Add --provenance.",
        )
    if not options.provenance:
        return None
    if (chain is None) != (key is None):
        raise TapestryError(
            ErrorCode.BAD_REQUEST,
            "To sign, a certificate and its private key are needed, and only one is given.",
            "Give --certificate and --private-key, or neither.",
        )
    signer = None if chain is None else Signer(chain, key)
    return Provenance(ContentHashes(catalogue, hashes_file()), signer)
