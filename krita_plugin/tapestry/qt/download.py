"""Fetches a file with Qt: no thread, the system's proxies, and on from where it ended last time."""

from __future__ import annotations

from pathlib import Path

from .compat import QNetworkAccessManager, QNetworkReply, QNetworkRequest, QUrl

_STATUS = QNetworkRequest.Attribute.HttpStatusCodeAttribute
_PARTIAL_CONTENT = 206
_NOTHING_MORE = 416
"""The server's answer where the whole file is here already."""


class QtDownload:
    """A file on its way; it has another name until it is whole."""

    def __init__(self, manager: QNetworkAccessManager, url: str, target: Path) -> None:
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
