"""Python runs this first in every process of a test: it writes down who is called over a network.

Its first line says that it is watched, each further one is a call: audit event and address.
TAPESTRY_GUARD_LOG names the file.
"""

import os
import sys

WATCHED = {"socket.connect", "socket.sendto", "socket.sendmsg"}
LOOKED_UP = {"socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"}


def watch(event: str, arguments: tuple) -> None:
    """Append what is called to the log."""
    if event in WATCHED:
        address = arguments[1]
    elif event in LOOKED_UP:
        address = (arguments[0], 0)
    else:
        return
    write(f"{event} {address!r}")


def write(what: str) -> None:
    """Append a line, with the process that it is about."""
    handle = os.open(os.environ["TAPESTRY_GUARD_LOG"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(handle, f"{os.getpid()} {what}\n".encode())
    os.close(handle)


if "TAPESTRY_GUARD_LOG" in os.environ:
    write("watched")
    sys.addaudithook(watch)
