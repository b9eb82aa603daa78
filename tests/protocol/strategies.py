"""Every message of the protocol as a Hypothesis strategy, read from its annotations."""

import builtins
import dataclasses
import types
import typing
from enum import Enum
from typing import Any

from hypothesis import strategies as st

from tapestry_protocol.constraints import Between, Matches, MaxLength
from tapestry_protocol.messages import MESSAGES, Message
from tapestry_protocol.sentences import Sentence, as_sentence

TEXT = st.characters(codec="utf-8")


def messages() -> st.SearchStrategy[Message]:
    """Any valid message of any kind."""
    return st.one_of([values(kind) for kind in MESSAGES.values()])


def values(hint: Any) -> st.SearchStrategy[Any]:
    """Any value that the annotation allows, now and then at its edges."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    match origin:
        case typing.Annotated:
            strategy = _constrained(arguments[0], arguments[1:])
        case typing.Literal:
            strategy = st.sampled_from(arguments)
        case types.UnionType | typing.Union:
            strategy = st.one_of([values(argument) for argument in arguments])
        case builtins.tuple:
            strategy = st.lists(values(arguments[0]), max_size=3).map(tuple)
        case _:
            strategy = _plain(hint)
    return strategy


def _plain(hint: Any) -> st.SearchStrategy[Any]:
    if dataclasses.is_dataclass(hint):
        hints = typing.get_type_hints(hint, include_extras=True)
        fields = {field.name: values(hints[field.name]) for field in dataclasses.fields(hint)}
        return st.builds(hint, **fields)
    if issubclass(hint, Enum):
        return st.sampled_from(list(hint))
    text = st.text(TEXT, max_size=20)
    plain = text.map(as_sentence)
    filled = st.builds(
        lambda name, part: Sentence("{name} {part}", name=name, part=part), text, plain
    )
    scalars = {bool: st.booleans(), str: text, Sentence: plain | filled, type(None): st.none()}
    return scalars[hint]


def _constrained(base: Any, constraints: tuple[Any, ...]) -> st.SearchStrategy[Any]:
    for constraint in constraints:
        if isinstance(constraint, Matches):
            return st.from_regex(constraint.pattern, fullmatch=True)
        if isinstance(constraint, Between):
            low, high = constraint.low, constraint.high
            kinds = {int: st.integers(int(low), int(high)), float: st.floats(low, high)}
            return kinds[base] | st.sampled_from([base(low), base(high)])
        if isinstance(constraint, MaxLength) and base is str:
            return st.text(TEXT, max_size=min(constraint.most, 50))
    return values(base)
