"""A chain of certificates made for a test: an own root, and an artist's certificate for signing."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID


class Chain(NamedTuple):
    """Files in PEM; root: what a reader has to trust."""

    certificate: Path
    private_key: Path
    root: Path


KINDS: dict[str, Callable[[], Any]] = {
    "es256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "es384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "ed25519": ed25519.Ed25519PrivateKey.generate,
    "ps256": lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048),
}
"""Keys, by how C2PA signs with them."""


def write_chain(folder: Path, kind: str = "es256", *, days: int = 30) -> Chain:
    """Write one; days: how long the artist's certificate holds, below 0: since when it does not."""
    root_key, key = KINDS["es256"](), KINDS[kind]()
    root_name, name = _name("Own Root"), _name("An Artist")
    root = _certificate(root_name, root_key, root_name, root_key, days=3650, signs="certificates")
    own = _certificate(name, key, root_name, root_key, days=days, signs="pictures")
    chain = Chain(*(folder / each for each in ("chain.pem", "key.pem", "root.pem")))
    pem = serialization.Encoding.PEM
    chain.certificate.write_bytes(own.public_bytes(pem) + root.public_bytes(pem))
    chain.root.write_bytes(root.public_bytes(pem))
    chain.private_key.write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return chain


def _name(text: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, text),
            x509.NameAttribute(NameOID.COMMON_NAME, text),
        ]
    )


def _certificate(subject, key, issuer, issuer_key, *, days: int, signs: str) -> x509.Certificate:
    now = dt.datetime.now(dt.UTC)
    of_pictures = signs == "pictures"
    usage = dict.fromkeys(
        (
            *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment"),
            *("key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
        ),
        False,
    )
    usage["digital_signature" if of_pictures else "key_cert_sign"] = True
    builder = (
        x509.CertificateBuilder(subject_name=subject, issuer_name=issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=40))
        .not_valid_after(now + dt.timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=not of_pictures, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(**usage), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()),
            critical=False,
        )
    )
    if of_pictures:
        mail = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])
        builder = builder.add_extension(mail, critical=True)
    return builder.sign(issuer_key, hashes.SHA256())
