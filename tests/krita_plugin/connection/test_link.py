"""The way to a server."""

import pytest

from tapestry.connection.link import DELAYS_S, LOOK_EVERY_S, START_WITHIN_S, Link, LinkState
from tapestry_protocol import PROTOCOL_VERSION, VERSION
from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.messages import (
    Accepted,
    Backend,
    Cancel,
    Cancelled,
    Failed,
    Message,
    Progress,
    Request,
    Resume,
    Submit,
    Welcome,
)
from tapestry_protocol.pixels import Pixels
from tests.krita_plugin.fake_backend import FakeBackend
from tests.krita_plugin.fake_loop import FakeLoop

SUBMIT = Submit("a", Request("generate", 64, 64, prompt="sky"))


class RecordingObserver:
    """Records all calls."""

    def __init__(self) -> None:
        self.failures: list[TapestryError] = []
        self.heard: list[Message] = []

    def link_changed(self) -> None:
        """It is not asked."""

    def link_failed(self, error: TapestryError) -> None:
        self.failures.append(error)

    def hear(self, message: Message, pixels: Pixels | None, beside=None) -> None:
        self.heard.append(message)


class LinkSetup:
    """A link and everything around it."""

    def __init__(self) -> None:
        self.backend, self.loop, self.observer = FakeBackend(), FakeLoop(), RecordingObserver()
        self.link = Link(self.backend, self.backend.connect, self.loop)
        self.link.observer = self.observer

    def become_ready(self) -> None:
        self.backend.appear()
        self.link.ensure()
        self.backend.answer()
        assert self.link.is_ready


@pytest.fixture
def way() -> LinkSetup:
    """A link that has not begun."""
    return LinkSetup()


def test_a_running_server_is_used(way: LinkSetup) -> None:
    """None is started."""
    way.become_ready()
    assert way.backend.starts == 0
    assert way.observer.heard == [Welcome(PROTOCOL_VERSION, VERSION, ()), Backend("ready", "CPU")]


def test_a_server_is_started_when_there_is_none(way: LinkSetup) -> None:
    """It is ready when its runtime file appears."""
    way.link.ensure()
    assert way.link.state is LinkState.STARTING
    way.loop.run(2)
    assert way.link.state is LinkState.STARTING
    way.backend.appear()
    way.loop.run(LOOK_EVERY_S)
    assert way.link.state is LinkState.CONNECTING
    way.backend.answer()
    assert way.link.is_ready
    assert way.backend.starts == 1


def test_to_ensure_twice_starts_one(way: LinkSetup) -> None:
    """Generate is pressed while the backend starts."""
    way.link.ensure()
    way.link.ensure()
    assert way.backend.starts == 1


def test_a_file_that_a_dead_server_left_is_not_believed(way: LinkSetup) -> None:
    """There is no answer, so another one is started, and the old file is not taken for its."""
    way.backend.appear()
    way.backend.is_alive = False
    way.link.ensure()
    way.backend.answer()
    way.loop.run(DELAYS_S[0])
    way.backend.answer()
    way.loop.run(DELAYS_S[1] + 1)
    assert way.backend.starts == 1
    assert way.link.state is LinkState.STARTING
    way.backend.appear()
    way.loop.run(LOOK_EVERY_S)
    way.backend.answer()
    assert way.link.is_ready


def test_a_first_connection_that_is_lost_is_made_again(way: LinkSetup) -> None:
    """To the same server, which was busy; a second one could not start beside it."""
    way.backend.appear()
    way.link.ensure()
    way.backend.lose_connection()
    assert way.link.state is LinkState.LOST
    way.loop.run(DELAYS_S[0])
    way.backend.answer()
    assert way.link.is_ready
    assert way.backend.starts == 0


def test_a_server_that_another_cannot_replace_is_asked_again(way: LinkSetup) -> None:
    """It was busy for long; the one that was started in its place has found it alive and ended."""
    way.backend.appear()
    way.link.ensure()
    for delay_s in DELAYS_S[:2]:
        way.backend.lose_connection()
        way.loop.run(delay_s)
    assert way.backend.starts == 1
    assert way.link.state is LinkState.STARTING
    way.backend.dies_at_once = True
    way.loop.run(LOOK_EVERY_S + DELAYS_S[2])
    assert way.link.state is LinkState.CONNECTING
    way.backend.answer()
    assert way.link.is_ready
    assert way.backend.starts == 1


def test_a_lost_connection_is_made_again(way: LinkSetup) -> None:
    """To the same server, which still runs."""
    way.become_ready()
    way.backend.lose_connection()
    assert way.link.state is LinkState.LOST
    way.loop.run(DELAYS_S[0])
    way.backend.answer()
    assert way.link.is_ready
    assert way.backend.starts == 0


def test_a_killed_server_is_started_again(way: LinkSetup) -> None:
    """First the old one is tried."""
    way.become_ready()
    way.backend.die()
    way.loop.run(DELAYS_S[0])
    way.backend.answer()
    way.loop.run(DELAYS_S[1])
    assert way.backend.starts == 1
    way.backend.appear()
    way.loop.run(LOOK_EVERY_S)
    way.backend.answer()
    assert way.link.is_ready


def test_a_server_that_always_dies_is_given_up(way: LinkSetup) -> None:
    """After a few attempts, with a sentence; the next press tries again."""
    way.backend.dies_at_once = True
    way.link.ensure()
    way.loop.run(60)
    assert way.link.state is LinkState.FAILED
    assert way.backend.starts == len(DELAYS_S) + 1
    assert [error.message for error in way.observer.failures] == ["The backend did not start."]
    way.backend.dies_at_once = False
    way.link.ensure()
    assert way.link.state is LinkState.STARTING


def test_a_server_that_dies_after_its_welcome_is_given_up_too(way: LinkSetup) -> None:
    """Otherwise we would start it for ever."""
    way.become_ready()
    for _ in range(30):
        way.backend.die()
        way.loop.run(10)
        way.backend.appear()
        way.loop.run(1)
        if way.link.state is LinkState.CONNECTING:
            way.backend.answer()
    assert way.link.state is LinkState.FAILED


def test_a_server_that_does_its_work_has_all_attempts_again(way: LinkSetup) -> None:
    """A message about a job is work."""
    way.become_ready()
    for _ in range(3 * len(DELAYS_S)):
        way.backend.lose_connection()
        way.loop.run(DELAYS_S[0])
        way.backend.answer()
        way.backend.tell(Cancelled("job"))
    assert way.link.is_ready


def test_a_server_that_never_gets_ready_is_given_up(way: LinkSetup) -> None:
    """A minute each."""
    way.link.ensure()
    way.loop.run((START_WITHIN_S + 10) * (len(DELAYS_S) + 1))
    assert way.link.state is LinkState.FAILED


def test_a_link_asks_for_what_it_has_missed(way: LinkSetup) -> None:
    """Before any other message; the observer need not know."""
    way.become_ready()
    way.link.send(SUBMIT)
    way.backend.tell(Accepted("a", 0, 5))
    way.backend.lose_connection()
    way.loop.run(DELAYS_S[0])
    way.backend.answer()
    assert way.backend.sent == [Resume(("a",), (5,))]
    way.backend.tell(Accepted("a", 0, 5))
    way.backend.tell(Progress("a", "denoising", 1, 20, 6))
    heard = [message for message in way.observer.heard if hasattr(message, "job_id")]
    assert heard == [Accepted("a", 0, 5), Progress("a", "denoising", 1, 20, 6)]


def test_a_job_that_was_given_up_is_cancelled_by_the_next_backend(way: LinkSetup) -> None:
    """A message said that there is none, so it is not waited for."""
    way.become_ready()
    way.link.send(SUBMIT)
    way.backend.info, way.backend.dies_at_once = None, True
    way.backend.die()
    way.loop.run(60)
    assert way.link.state is LinkState.FAILED
    way.become_ready()
    assert way.backend.sent == [Cancel("a")]


def test_no_command_is_told_at_once(way: LinkSetup) -> None:
    """There is nothing to try again."""
    way.backend.can_start = False
    way.link.ensure()
    assert way.link.state is LinkState.FAILED
    assert [error.message for error in way.observer.failures] == ["The backend is not installed."]


@pytest.mark.promise("R15")
def test_another_version_of_the_backend_is_reported(way: LinkSetup) -> None:
    """With what to do about it."""
    way.backend.appear()
    way.link.ensure()
    way.backend.tell(Welcome(PROTOCOL_VERSION + 1, "9.9", ()))
    assert way.link.state is LinkState.FAILED
    assert "9.9" in way.observer.failures[0].message
    assert not way.backend.is_connected


@pytest.mark.promise("R15")
def test_a_server_that_does_not_want_us_says_why(way: LinkSetup) -> None:
    """Its sentence is the last word: trying again would only bury it."""
    way.backend.appear()
    way.link.ensure()
    way.backend.tell(Failed("", ErrorCode.VERSION, "Too old.", "Update the plugin."))
    way.loop.run(100)
    assert way.link.state is LinkState.FAILED
    assert [error.message for error in way.observer.failures] == ["Too old."]


def test_nothing_is_sent_into_the_void(way: LinkSetup) -> None:
    """A sentence instead."""
    with pytest.raises(TapestryError, match="cannot be reached"):
        way.link.send(Cancelled("job"))
    with pytest.raises(TapestryError, match="cannot be reached"):
        way.link.send_blob("", b"")


def test_a_closed_link_is_silent(way: LinkSetup) -> None:
    """Krita ends; whatever was under way is not heard of again."""
    way.become_ready()
    way.link.close()
    assert not way.backend.is_connected
    way.link.ensure()
    way.link.close()
    way.loop.run(100)
    assert way.link.state is LinkState.OFF
