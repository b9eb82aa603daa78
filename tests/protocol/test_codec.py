"""Message <-> frame: round trips, strictness, and limits at their edges."""

import dataclasses
import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapestry_protocol import limits
from tapestry_protocol.codec import decode, encode
from tapestry_protocol.errors import ErrorCode, ProtocolError
from tapestry_protocol.messages import (
    MESSAGES,
    Cancel,
    Expert,
    Failed,
    Hello,
    Message,
    PixelsRef,
    Progress,
    Region,
    Request,
    Result,
    Resume,
    Submit,
    Welcome,
)
from tapestry_protocol.pixels import Bounds
from tests.protocol.strategies import messages

SHA256 = "ab" * 32
MASK = PixelsRef(1, 1, 1, SHA256)
REGION = Region("sky", Bounds(0, 0, 1, 1), MASK)
SUBMIT = Submit("a", Request("generate", 64, 64, "meadow", regions=(REGION,)))


def fields_of(message: Message) -> dict[str, Any]:
    """The JSON of a message, to be spoilt."""
    return json.loads(encode(message))


@given(messages())
def test_every_message_comes_out_as_it_went_in(message: Message) -> None:
    """Any message of any kind, as text and as its bytes."""
    text = encode(message)
    assert decode(text) == message
    assert decode(text.encode("utf-8")) == message


def test_what_has_its_default_is_left_out() -> None:
    """So that the refusal of another version can be read by an older one."""
    text = encode(Failed("", ErrorCode.VERSION, "Too old.", "Update."))
    assert set(json.loads(text)) == {"kind", "job_id", "code", "message", "advice"}
    assert "sequence" in encode(Failed("a", ErrorCode.INTERNAL, "x", sequence=1))


def test_what_plugins_of_protocol_5_have_kept_is_read() -> None:
    """Pending jobs and histories of documents: whatever the docker could ask for then."""
    kept = (
        '{"kind": "submit", "job_id": "1", "request": {"task": "generate", "height": 64, '
        '"width": 96, "prompt": "sea", "feather_px": 4, "composition": 0.2, "coherence": 0.1, '
        '"speed": "fast", "seed": 3, "layered": true}}'
    )
    submit = decode(kept)
    assert isinstance(submit, Submit)
    assert (submit.request.speed, submit.request.seed, submit.request.layered) == ("fast", 3, True)
    assert submit.request.expert == Expert()


def test_every_kind_has_its_own_name() -> None:
    """The table of kinds is complete and unambiguous."""
    assert all(MESSAGES[kind].kind == kind for kind in MESSAGES)
    assert len(set(MESSAGES.values())) == len(MESSAGES)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(st.text() | st.binary())
def test_any_text_is_a_message_or_a_protocol_error(frame: str | bytes) -> None:
    """Whatever comes in, it parses or raises ProtocolError and nothing else."""
    assert_parses_or_refuses(frame)


@given(JSON)
def test_any_json_is_a_message_or_a_protocol_error(value: Any) -> None:
    """Well-formed JSON of any shape, with and without a known kind."""
    assert_parses_or_refuses(json.dumps(value))
    if isinstance(value, dict):
        for kind in MESSAGES:
            assert_parses_or_refuses(json.dumps({**value, "kind": kind}))


@given(messages(), st.data())
def test_a_spoilt_message_is_a_message_or_a_protocol_error(
    message: Message, data: st.DataObject
) -> None:
    """One value somewhere inside, replaced by anything."""
    fields = fields_of(message)
    holder, key = data.draw(st.sampled_from(list(_places(fields))))
    holder[key] = data.draw(JSON)
    assert_parses_or_refuses(json.dumps(fields))


@given(messages(), st.data())
def test_damaged_bytes_are_a_message_or_a_protocol_error(
    message: Message, data: st.DataObject
) -> None:
    """A few bytes of a good frame, changed, cut or doubled."""
    frame = bytearray(encode(message).encode("utf-8"))
    for _ in range(data.draw(st.integers(1, 5))):
        at = data.draw(st.integers(0, len(frame) - 1))
        frame[at : at + 1] = data.draw(st.binary(max_size=3))
        if not frame:
            break
    assert_parses_or_refuses(bytes(frame))


def _places(value: Any):
    """Every (container, key) inside a JSON value."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in list(items):
        yield value, key
        if isinstance(inner, dict | list):
            yield from _places(inner)


def assert_parses_or_refuses(frame: str | bytes) -> None:
    """The invariant of the codec; a message that parses can be sent again, an error be told."""
    try:
        message = decode(frame)
    except ProtocolError as error:
        encode(Failed("", error.code, error.message, error.advice))
    else:
        assert decode(encode(message)) == message


@pytest.mark.parametrize(
    "frame",
    [
        "",
        "null",
        "[]",
        '"hello"',
        "{}",
        '{"kind": "nonsense"}',
        '{"kind": null}',
        '{"kind": ["hello"]}',
        '{"kind": "hello"}',
        '{"kind": "cancel", "job_id": "a", "extra": 1}',
        '{"kind": "cancel", "job_id": "a", "job_id": "b"}',
        '{"kind": "cancel", "job_id": "a"} {}',
        '{"kind": "cancel", "job_id": 1}',
        '{"kind": "cancel", "job_id": null}',
        '{"kind": "cancel", "job_id": ""}',
        '{"kind": "cancel", "job_id": "a\\n"}',
        '{"kind": "cancel", "job_id": "../a"}',
        '{"kind": "hello", "protocol": 1.0, "version": "1"}',
        '{"kind": "hello", "protocol": true, "version": "1"}',
        '{"kind": "hello", "protocol": "1", "version": "1"}',
        '{"kind": "hello", "protocol": -1, "version": "1"}',
        '{"kind": "hello", "protocol": NaN, "version": "1"}',
        '{"kind": "hello", "protocol": 1e400, "version": "1"}',
        '{"kind": "hello", "protocol": 1, "version": "\\ud800"}',
        '{"kind": "resume", "job_ids": "abc"}',
        '{"kind": "resume", "job_ids": {"a": 1}}',
        '{"kind": "hello", "protocol": ' + "9" * 5000 + ', "version": "1"}',
        '{"kind": "cancel", "job_id": ' + "[" * 100_000 + "]" * 100_000 + "}",
        b'{"kind": "cancel", "job_id": "\xff"}',
        b"\xef\xbb\xbf" + b'{"kind": "cancel", "job_id": "a"}',
    ],
    ids=range(30),
)
def test_what_is_not_exactly_a_message_is_refused(frame: str | bytes) -> None:
    """No unknown fields, no doubled keys, no conversions, no second value, no odd Unicode."""
    with pytest.raises(ProtocolError):
        decode(frame)


def test_an_error_names_the_place() -> None:
    """The path leads to the field that is wrong."""
    fields = fields_of(SUBMIT)
    fields["request"]["regions"][0]["mask"]["channels"] = 2
    with pytest.raises(ProtocolError, match=r"submit\.request\.regions\[0\]\.mask\.channels"):
        decode(json.dumps(fields))


def test_an_error_about_an_odd_name_can_be_told() -> None:
    """The name of an unknown field comes from outside: it must not spoil our answer."""
    with pytest.raises(ProtocolError) as raised:
        decode('{"kind": "cancel", "job_id": "a", "\\ud800' + "x" * 10_000 + '": 1}')
    encode(Failed("", ErrorCode.PROTOCOL, raised.value.message))


def request(**changes: Any) -> Submit:
    """A submit whose request differs in this."""
    return Submit("a", dataclasses.replace(SUBMIT.request, **changes))


def at(limit: int, make: Any) -> list[Message]:
    """The message one under and exactly at a limit, and one over it."""
    return [make(limit - 1), make(limit), make(limit + 1)]


EDGES = {
    "prompt": at(limits.MAX_PROMPT_CHARACTERS, lambda n: request(prompt="x" * n)),
    "negative prompt": at(
        limits.MAX_PROMPT_CHARACTERS, lambda n: request(negative_prompt="\U0001f308" * n)
    ),
    "regions": at(limits.MAX_REGIONS, lambda n: request(regions=(REGION,) * n)),
    "side": at(2 * limits.MAX_SIDE_PX, lambda n: request(width=n)),
    "steps": at(limits.MAX_STEPS, lambda n: request(num_inference_steps=n)),
    "seed": at(limits.MAX_SEED, lambda n: request(seed=n)),
    "guidance scale": at(limits.MAX_GUIDANCE_SCALE, lambda n: request(guidance_scale=float(n))),
    "model id": at(limits.MAX_ID_CHARACTERS, lambda n: request(model="x" * n)),
    "job id": at(64, lambda n: Cancel("x" * n)),
    "job ids": at(64, lambda n: Resume(("a",) * n)),
    "sentence": at(
        limits.MAX_SENTENCE_CHARACTERS, lambda n: Failed("", ErrorCode.INTERNAL, "x" * n)
    ),
    "progress": at(limits.MAX_LEARNING_STEPS, lambda n: Progress("a", "learning", n, n)),
    "report": at(
        limits.MAX_REPORT_CHARACTERS,
        lambda n: Result("a", MASK, Bounds(0, 0, 1, 1), 0, "x" * n),
    ),
    "version": at(40, lambda n: Hello(1, "x" * n)),
}


@pytest.mark.parametrize("edge", EDGES.values(), ids=EDGES)
def test_limits_at_their_edges(edge: list[Message]) -> None:
    """One under and at the limit pass, one over is refused by the sender and by the receiver."""
    under, exact, over = edge
    for message in (under, exact):
        assert decode(encode(message)) == message
    with pytest.raises(ProtocolError):
        encode(over)
    with pytest.raises(ProtocolError):
        decode(json.dumps({"kind": over.kind, **dataclasses.asdict(over)}))


@pytest.mark.parametrize(
    "message",
    [
        request(width=0),
        request(num_inference_steps=0),
        request(seed=-1),
        request(guidance_scale=-0.5),
        request(guidance_scale=math.nan),
        request(guidance_scale=math.inf),
        request(prompt="\ud800"),
        Submit("a", dataclasses.replace(SUBMIT.request, task="paint")),
        Cancel(""),
        Cancel("a b"),
        Failed("", "no such code", ""),
        Welcome(1, "1", ("model",)),
    ],
    ids=range(12),
)
def test_a_sender_refuses_what_a_receiver_would(message: Message) -> None:
    """A wrong value is found where it is made."""
    with pytest.raises(ProtocolError):
        encode(message)


def test_a_frame_at_its_largest() -> None:
    """Exactly the limit is read; a byte more is refused, also when characters are few."""
    padding = limits.MAX_TEXT_FRAME_BYTES - len(encode(Cancel("a")))
    assert decode(encode(Cancel("a")) + " " * padding) == Cancel("a")
    with pytest.raises(ProtocolError):
        decode(encode(Cancel("a")) + " " * (padding + 1))


def test_numbers_may_be_written_without_a_point() -> None:
    """JSON knows one kind of number: 5 is a guidance scale as good as 5.0."""
    fields = fields_of(SUBMIT)
    fields["request"]["guidance_scale"] = 5
    message = decode(json.dumps(fields))
    assert isinstance(message, Submit)
    assert type(message.request.guidance_scale) is float


def test_a_largest_honest_submit_fits_into_a_frame() -> None:
    """32 regions with full prompts in a script of many bytes."""
    prompt = "界" * limits.MAX_PROMPT_CHARACTERS
    region = dataclasses.replace(REGION, prompt=prompt)
    largest = request(prompt=prompt, negative_prompt=prompt, regions=(region,) * limits.MAX_REGIONS)
    assert decode(encode(largest)) == largest
