"""Fetches a file with Qt: no thread, the user's proxies, and on from where it ended last time."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

from .compat import (
    QNetworkAccessManager,
    QNetworkProxy,
    QNetworkReply,
    QNetworkRequest,
    QSslCertificate,
    QSslConfiguration,
    QUrl,
)

_STATUS = QNetworkRequest.Attribute.HttpStatusCodeAttribute
_PARTIAL_CONTENT = 206
_NOTHING_MORE = 416
"""The server's answer where the whole file is here already."""


_PROXIES = {"http": "HttpProxy", "https": "HttpProxy", "socks5": "Socks5Proxy"}
"""How an address of a proxy begins, and Qt's name of its kind."""


class QtDownload:
    """A file on its way; it has another name until it is whole.

    environment  with proxies and certificates, as other programs that fetch take them from it
    """

    def __init__(
        self,
        manager: QNetworkAccessManager,
        url: str,
        target: Path,
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        self.received_bytes = 0
        self.total_bytes = 0
        self.is_done = False
        self.error = ""
        self._target = target
        self._part = target.with_name(f"{target.name}.part")
        self._file = self._part.open("ab")
        request = QNetworkRequest(QUrl(url))
        policy = QNetworkRequest.RedirectPolicy.NoLessSafeRedirectPolicy
        request.setAttribute(QNetworkRequest.Attribute.RedirectPolicyAttribute, policy)
        self.received_bytes = self._file.tell()
        if self.received_bytes:
            request.setRawHeader(b"Range", b"bytes=%d-" % self.received_bytes)
        trust(request, environment)
        proxy = _proxy(url, environment)
        if proxy is not None:
            manager.setProxy(proxy)
        self._begun = False
        self._reply = manager.get(request)
        self._reply.readyRead.connect(self._read)
        self._reply.finished.connect(self._finish)

    def cancel(self) -> None:
        """Leave it; what is here stays for the next time."""
        if not self.is_done:
            self.is_done = True
            self._reply.abort()
            self._file.close()

    def _read(self) -> None:
        try:
            self._begin()
            data = bytes(self._reply.readAll())
            if self._is_file:
                self._file.write(data)
                self.received_bytes += len(data)
        except OSError as error:
            self.error = str(error)
            self._reply.abort()

    @property
    def _is_file(self) -> bool:
        status = self._reply.attribute(_STATUS)
        return status is None or int(status) < 300

    def _begin(self) -> None:
        """A server that does not go on begins anew."""
        if self._begun:
            return
        self._begun = True
        status = self._reply.attribute(_STATUS)
        if self._is_file and (status is None or int(status) != _PARTIAL_CONTENT):
            self._file.truncate(0)
            self.received_bytes = 0
        length = self._reply.header(QNetworkRequest.KnownHeaders.ContentLengthHeader)
        self.total_bytes = self.received_bytes + int(length) if length else 0

    def _finish(self) -> None:
        if self.is_done:
            return
        self._read()
        self.is_done = True
        self._file.close()
        status = self._reply.attribute(_STATUS)
        is_whole = self._reply.error() == QNetworkReply.NetworkError.NoError
        if is_whole or (status is not None and int(status) == _NOTHING_MORE):
            self._part.replace(self._target)
        elif not self.error:
            self.error = self._reply.errorString()


def _proxy(url: str, environment: Mapping[str, str]) -> QNetworkProxy | None:
    """The one that the environment names for this address; None leaves it to the system."""
    kind, host = urlsplit(url).scheme, urlsplit(url).hostname or ""
    names = (f"{kind}_proxy", f"{kind.upper()}_PROXY", "all_proxy", "ALL_PROXY", "PIP_PROXY")
    named = next((environment[name] for name in names if environment.get(name)), "")
    without = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
    if _is_among(host, without):
        return QNetworkProxy(QNetworkProxy.ProxyType.NoProxy)
    if not named:
        return None
    try:
        address = urlsplit(named if "://" in named else f"http://{named}")
        port = address.port or (1080 if address.scheme.startswith("socks") else 8080)
    except ValueError:  # not an address: uv will say so
        return None
    scheme = "socks5" if address.scheme.startswith("socks") else address.scheme
    chosen = getattr(QNetworkProxy.ProxyType, _PROXIES.get(scheme, "HttpProxy"))
    user, password = unquote(address.username or ""), unquote(address.password or "")
    return QNetworkProxy(chosen, address.hostname or "", port, user, password)


def _is_among(host: str, names: str) -> bool:
    """Whether a list such as "localhost,.example.org" has this host, or a domain that it is in."""
    hosts = [name.strip().lstrip("*").lstrip(".").lower() for name in names.split(",")]
    if "*" in names.split(","):
        return True
    return any(name and (host == name or host.endswith(f".{name}")) for name in hosts)


def trust(request: QNetworkRequest, environment: Mapping[str, str]) -> None:
    """Certificates of the user's own network, beside the system's."""
    file = environment.get("SSL_CERT_FILE") or environment.get("PIP_CERT")
    if not file:
        return
    try:
        own = QSslCertificate.fromData(Path(file).read_bytes())
    except OSError:
        return
    configuration = QSslConfiguration.defaultConfiguration()
    configuration.setCaCertificates([*configuration.caCertificates(), *own])
    request.setSslConfiguration(configuration)
