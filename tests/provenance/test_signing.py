"""Pictures are signed with the artist's own certificate, and what does not fit is said first."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import c2pa
import numpy as np
import pytest
from cryptography.hazmat.primitives import serialization

from tapestry_backend.openraster.png import decode_png, encode_png, with_chunks
from tapestry_backend.provenance.record import Model, Record, source_type_of
from tapestry_backend.provenance.signing import Signer
from tapestry_protocol.errors import TapestryError
from tapestry_protocol.messages import Request
from tapestry_protocol.pixels import Bounds
from tests.provenance.certificates import KINDS, Chain, write_chain

REQUEST = Request("generate", 20, 30, "snow")
RECORD = Record(
    REQUEST, Model("sample", "a" * 64, {}), source_type_of(REQUEST), Bounds(0, 0, 20, 30)
)
PIXELS = np.random.default_rng(0).integers(0, 256, (20, 30, 4), dtype=np.uint8)


@pytest.fixture
def chain(tmp_path: Path) -> Chain:
    """A certificate that holds, and its key."""
    return write_chain(tmp_path)


def state_of(png: bytes, root: Path) -> tuple[str | None, dict]:
    """What another program says that trusts this root, and the manifest."""
    anchors = root.read_text(encoding="ascii")
    settings = {"trust": {"user_anchors": anchors}, "verify": {"remote_manifest_fetch": False}}
    with (
        c2pa.Context.from_dict(settings) as context,
        c2pa.Reader("image/png", io.BytesIO(png), context=context) as reader,
    ):
        return reader.get_validation_state(), json.loads(reader.json())


@pytest.mark.parametrize("kind", KINDS)
def test_a_signed_picture_is_trusted_by_who_trusts_the_root(tmp_path: Path, kind: str) -> None:
    """With every kind of key; the pixels are the same."""
    chain = write_chain(tmp_path, kind)
    png = with_chunks(encode_png(PIXELS), RECORD.chunks())
    signed = Signer(chain.certificate, chain.private_key).signed(png, RECORD)

    assert (decode_png(signed, "it") == PIXELS).all()
    state, told = state_of(signed, chain.root)
    assert state == "Trusted"
    manifest = told["manifests"][told["active_manifest"]]
    assert manifest["signature_info"]["common_name"] == "An Artist"
    (action,) = manifest["assertions"][0]["data"]["actions"]
    assert action["action"] == "c2pa.created"
    assert action["digitalSourceType"].endswith("/trainedAlgorithmicMedia")


def test_a_changed_picture_is_told_from_the_signed_one(chain: Chain) -> None:
    """In its pixels as in its record."""
    png = with_chunks(encode_png(PIXELS), RECORD.chunks())
    signed = Signer(chain.certificate, chain.private_key).signed(png, RECORD)
    for part in (b"IDAT", b"trainedAlgorithmicMedia"):
        changed = bytearray(signed)
        changed[changed.rindex(part) + 20] ^= 1
        assert state_of(bytes(changed), chain.root)[0] == "Invalid"


def test_who_does_not_trust_the_root_sees_a_sound_signature(chain: Chain, tmp_path: Path) -> None:
    """Whose it is remains open."""
    signed = Signer(chain.certificate, chain.private_key).signed(encode_png(PIXELS), RECORD)
    other = tmp_path / "other"
    other.mkdir()
    assert state_of(signed, write_chain(other).root)[0] == "Valid"


def test_what_cannot_sign_is_said_at_once(chain: Chain, tmp_path: Path) -> None:
    """Before anything is painted: a small picture is tried."""
    other = tmp_path / "other"
    other.mkdir()
    foreign, old = write_chain(other), tmp_path / "old"
    old.mkdir()
    expired = write_chain(old, days=-1)
    key = serialization.load_pem_private_key(chain.private_key.read_bytes(), None)
    pem, locked = serialization.Encoding.PEM, serialization.BestAvailableEncryption(b"word")
    encrypted, plain = tmp_path / "encrypted.pem", tmp_path / "plain.pem"
    formats = serialization.PrivateFormat
    encrypted.write_bytes(key.private_bytes(pem, formats.PKCS8, locked))
    old_format = key.private_bytes(pem, formats.TraditionalOpenSSL, serialization.NoEncryption())
    plain.write_bytes(old_format)
    binary = tmp_path / "binary.pem"
    binary.write_bytes(b"\xff\x00")
    certificate, private_key = chain.certificate, chain.private_key
    for files, sentence in (
        ((certificate, foreign.private_key), "No picture can be signed"),
        ((expired.certificate, expired.private_key), "No picture can be signed"),
        ((chain.root, private_key), "No picture can be signed"),
        ((private_key, private_key), "No picture can be signed"),
        ((certificate, encrypted), "protected by a password"),
        ((certificate, plain), "no private key in PKCS #8"),
        ((certificate, certificate), "no private key in PKCS #8"),
        ((certificate, binary), "is no PEM file"),
        ((tmp_path / "gone.pem", private_key), "cannot be read"),
    ):
        with pytest.raises(TapestryError, match=sentence):
            Signer(*files)


def test_without_the_extra_it_is_said_what_to_install() -> None:
    """And nothing of it is imported as long as nothing is signed."""
    code = (
        "import sys\nsys.modules['c2pa'] = None\n"
        "from pathlib import Path\n"
        "from tapestry_backend.cli import provenance, provenance_options\n"
        "from tapestry_backend.provenance.signing import Signer\n"
        "from tapestry_protocol.errors import TapestryError\n"
        "try: Signer(Path('a'), Path('b'))\n"
        "except TapestryError as error: print(error)\n"
    )
    finished = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert "pip install 'tapestry[provenance]'" in finished.stdout
