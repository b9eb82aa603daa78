"""Whatever a client sends, we parse it or answer with a protocol error, and do nothing else."""

import hashlib
import random
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import psutil
import pytest
from websockets.exceptions import ConnectionClosed

from tapestry_protocol.codec import Chunk, decode, decode_chunk, encode
from tapestry_protocol.errors import ProtocolError
from tapestry_protocol.messages import Message, Request, Result
from tests.chaos.hostile import (
    HELLO,
    MASK,
    MASK_SHA256,
    connect_hostile,
    honest_frames,
    mutated,
)
from tests.server.client import Client, Server, running_server

MOST_GROWTH_MIB = 50
BAD_NEWS = ("Traceback", "never retrieved", "handler failed", "Exception", "Error:")

Tries = Callable[[int, int], int]


@pytest.fixture
def attacked(tmp_path: Path) -> Iterator[Server]:
    """A server for one test, which must be as good as new after it."""
    with running_server(tmp_path, "--scripted") as server:
        assert_paints(server, "first")
        yield server


def assert_paints(server: Server, job_id: str) -> None:
    """A good job succeeds."""
    with closing(Client(server)) as client:
        client.submit(job_id, Request("generate", 4, 4, "{}"))
        assert isinstance(client.until_end(), Result)


def memory_mib(server: Server) -> float:
    """The server's resident memory."""
    return psutil.Process(server.process.pid).memory_info().rss / 2**20


def assert_unharmed(server: Server, before_mib: float) -> float:
    """A good job, a quiet log, and hardly more memory; gives how much more."""
    assert_paints(server, "last")
    assert server.process.poll() is None
    assert not [news for news in BAD_NEWS if news in server.log]
    growth = memory_mib(server) - before_mib
    assert growth < MOST_GROWTH_MIB
    return growth


def test_the_mask_has_its_name() -> None:
    """Otherwise no chunk would ever belong to a job."""
    assert hashlib.sha256(MASK).hexdigest() == MASK_SHA256


@pytest.mark.promise("S8")
def test_hostile_connections_do_nothing(
    attacked: Server, tries: Tries, luck: random.Random, measured
) -> None:
    """Noise, spoilt handshakes, wrong tokens, spoilt frames; with and without a goodbye."""
    count, before = tries(200, 10_000), memory_mib(attacked)
    let_in = sum(b" 101 " in connect_hostile(attacked.info, luck) for _ in range(count))
    growth = assert_unharmed(attacked, before)
    assert let_in  # some spoil what comes after a right handshake
    measured(f"{count} hostile connections, {growth:.0f} MiB more, then a good job")


@pytest.mark.promise("S8")
def test_mutated_messages_do_nothing(
    attacked: Server, tries: Tries, luck: random.Random, measured
) -> None:
    """Spoilt messages and chunks of a client that has said hello; each ends the connection."""
    count, before, frames = tries(300, 10_000), memory_mib(attacked), honest_frames()
    sent = 0
    while sent < count:
        with closing(Client(attacked, greet=False)) as client, suppress(ConnectionClosed):
            client.socket.send(HELLO, text=True)
            for _ in range(10):
                sent += 1
                client.socket.send(mutated(luck.choice(frames), luck), text=luck.random() < 0.8)
    growth = assert_unharmed(attacked, before)
    measured(f"{sent} mutated messages, {growth:.0f} MiB more, then a good job")


@pytest.mark.promise("S8")
def test_the_codec_parses_or_refuses(tries: Tries, luck: random.Random, measured) -> None:
    """Bytes that were messages: each is one, and the same again, or raises ProtocolError."""
    count, parsed = tries(2_000, 200_000), 0
    frames = honest_frames()
    for _ in range(count):
        spoilt = mutated(luck.choice(frames), luck, most=6)
        for read in (decode, decode_chunk):
            with suppress(ProtocolError):
                found: Message | Chunk = read(spoilt)
                parsed += 1
                if isinstance(found, Message):
                    assert decode(encode(found)) == found
    assert 0 < parsed < 2 * count
    measured(f"{count} mutated frames: {parsed} parsed, the others refused")
