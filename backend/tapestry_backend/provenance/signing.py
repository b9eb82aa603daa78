"""Signing PNG files with an artist's own certificate: Content Credentials (C2PA)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
import json
from pathlib import Path

import numpy as np

from tapestry_protocol import VERSION
from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.files import open_file
from tapestry_protocol.sentences import Sentence, quoted

from ..openraster.png import encode_png
from .record import SOURCE_TYPES, Record

_MAX_PEM_BYTES = 2**20
"""A chain of certificates has some thousand."""

_ALGORITHMS = {
    b"\x2a\x86\x48\xce\x3d\x03\x01\x07": "es256",
    b"\x2b\x81\x04\x00\x22": "es384",
    b"\x2b\x81\x04\x00\x23": "es512",
    b"\x2b\x65\x70": "ed25519",
    b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01": "ps256",
}
"""The identifier of a key's kind or curve, in DER, and how C2PA signs with such a key."""

_SETTINGS = {
    # Whom to trust is the reader's business: here, the signature must only be right.
    "verify": {
        "verify_after_sign": True,
        "verify_trust": False,
        "remote_manifest_fetch": False,
        "ocsp_fetch": False,
    },
    "builder": {"thumbnail": {"enabled": False}},
}
"""Nothing goes to the network: neither for time stamps, nor to ask about certificates."""

_BEGIN_KEY, _END_KEY = "-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----"
_PNG = "image/png"


class Signer:
    """Signs with this chain of certificates, the artist's own first, and its private key.

    Both are PEM; the key is PKCS #8 without a password. Raises TapestryError when c2pa-python is
    not installed, a file cannot be read, or they cannot sign together: a small picture is tried.
    """

    def __init__(self, certificate: Path, private_key: Path) -> None:
        try:
            import c2pa  # noqa: PLC0415  an extra
        except ImportError as error:
            raise TapestryError(
                ErrorCode.BAD_REQUEST,
                "Signing needs the package c2pa-python, which is not installed.",
                "Install it: pip install 'tapestry[provenance]'.",
            ) from error
        self._c2pa = c2pa
        key = _read(private_key)
        chain = _read(certificate).encode()
        self.certificate_sha256 = hashlib.sha256(chain).hexdigest()
        self._info = c2pa.C2paSignerInfo(_algorithm_of(key, private_key), chain, key.encode(), None)
        self._certificate = certificate
        self._sign(encode_png(np.zeros((1, 1, 4), np.uint8)), SOURCE_TYPES + "digitalCreation")

    def signed(self, png: bytes, record: Record) -> bytes:
        """The same picture with a signed manifest: how it was made, and that it was not changed.

        The signature holds for every byte of the file, so for chunks with the record as well.
        """
        return self._sign(png, record.source_uri)

    def _sign(self, png: bytes, source_uri: str) -> bytes:
        made = {
            "action": "c2pa.created",
            "digitalSourceType": source_uri,
            "softwareAgent": {"name": "Tapestry", "version": VERSION},
        }
        manifest = {
            "claim_generator_info": [{"name": "Tapestry", "version": VERSION}],
            "format": _PNG,
            "assertions": [{"label": "c2pa.actions.v2", "data": {"actions": [made]}}],
        }
        output = io.BytesIO()
        try:
            with (
                self._c2pa.Context.from_dict(_SETTINGS) as context,
                self._c2pa.Signer.from_info(self._info) as signer,
                self._c2pa.Builder(json.dumps(manifest), context) as builder,
            ):
                builder.sign(signer, _PNG, io.BytesIO(png), output)
                output.seek(0)
                with self._c2pa.Reader(_PNG, output, context=context) as reader:
                    state = reader.get_validation_state()
        except self._c2pa.C2paError as error:
            raise self._refused(str(error)[:300]) from error
        if state not in {"Valid", "Trusted"}:
            raise self._refused(Sentence("the signature does not hold"))
        return output.getvalue()

    def _refused(self, reason: str | Sentence) -> TapestryError:
        return TapestryError(
            ErrorCode.BAD_REQUEST,
            Sentence(
                "No picture can be signed with the certificate {path} ({reason}).",
                path=quoted(self._certificate),
                reason=reason,
            ),
            "Give a chain of certificates for signing (PEM, your own first), and the private key "
            "that belongs to it; docs/provenance.md says what they must hold.",
        )


def _read(path: Path) -> str:
    try:
        with open_file(path) as file:
            return file.read(_MAX_PEM_BYTES).decode("ascii")
    except OSError as error:
        reason = error.strerror or str(error)
        raise _no_pem(
            Sentence("{path} cannot be read ({reason}).", path=quoted(path), reason=reason)
        ) from error
    except UnicodeDecodeError as error:
        raise _no_pem(Sentence("{path} is no PEM file.", path=quoted(path))) from error


def _algorithm_of(key: str, path: Path) -> bytes:
    """How to sign with a private key."""
    if "ENCRYPTED" in key:
        raise _no_pem(
            Sentence(
                "{path} is protected by a password, which is not asked for.", path=quoted(path)
            )
        )
    inside = key.partition(_BEGIN_KEY)[2].partition(_END_KEY)[0]
    try:
        start = base64.b64decode("".join(inside.split()), validate=True)[:40]
    except binascii.Error:
        start = b""
    for identifier, algorithm in _ALGORITHMS.items():
        if identifier in start:
            return algorithm.encode()
    raise _no_pem(
        Sentence(
            "{path} is no private key in PKCS #8 (PEM) of a kind that signs pictures.",
            path=quoted(path),
        )
    )


def _no_pem(sentence: Sentence) -> TapestryError:
    return TapestryError(
        ErrorCode.BAD_REQUEST,
        sentence,
        "Give PEM files; a key becomes one with: openssl pkcs8 -topk8 -nocrypt -in KEY -out "
        "KEY.pem.",
    )
