"""What is remembered of jobs that are over."""

from tapestry_backend.server.ends import Ends
from tapestry_protocol.limits import MAX_IDS_REMEMBERED


def test_only_so_many_ids_are_remembered() -> None:
    """The one that was delivered first is forgotten first."""
    ends = Ends(lambda: 0.0)
    for number in range(MAX_IDS_REMEMBERED):
        ends.remember(str(number), "digest")
    assert ends.digest("0") == "digest"
    ends.remember("one more", "digest")
    assert ends.digest("0") is None
    assert ends.digest("1") == "digest"
