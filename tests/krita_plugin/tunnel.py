"""A plain TCP forwarder, standing for `ssh -L`; tests nothing itself."""

from __future__ import annotations

import selectors
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def tunnel(here: socket.socket, there: tuple[str, int]) -> Iterator[None]:
    """Every connection to the listening socket `here` goes on to the address `there`."""
    end_here, end_there = socket.socketpair()
    thread = threading.Thread(target=_forward, args=(here, there, end_there))
    thread.start()
    try:
        yield
    finally:
        end_here.close()
        thread.join()
        end_there.close()


def _forward(here: socket.socket, there: tuple[str, int], end: socket.socket) -> None:
    with selectors.DefaultSelector() as selector:
        selector.register(here, selectors.EVENT_READ)
        selector.register(end, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is end:
                    for open_key in list(selector.get_map().values()):
                        if open_key.data is not None:
                            open_key.fileobj.close()
                    return
                if key.fileobj is here:
                    near, far = here.accept()[0], socket.create_connection(there)
                    selector.register(near, selectors.EVENT_READ, far)
                    selector.register(far, selectors.EVENT_READ, near)
                elif key.fileobj.fileno() >= 0:  # the other side may just have closed it
                    _pass_on(selector, key.fileobj, key.data)


def _pass_on(
    selector: selectors.BaseSelector, source: socket.socket, target: socket.socket
) -> None:
    with suppress(OSError):  # one side has gone without a goodbye: so does the other
        data = source.recv(65536)
        target.sendall(data)
        if data:
            return
    for side in (source, target):
        selector.unregister(side)
        side.close()
