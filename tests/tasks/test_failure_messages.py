"""Notices about a picture that was painted all the same."""

import pytest

from tapestry_backend.tasks.failure_messages import not_read, unlike_few_steps


@pytest.mark.parametrize("variant", ["lcm", "turbo", "lightning", "hyper", "tcd", "schnell"])
def test_a_few_step_checkpoint_warns_at_many_steps(variant: str) -> None:
    """And at a guidance it was not made for; not at what it was made for, and no other one does."""
    told = unlike_few_steps(variant, 20, 5.0)
    assert "was made for few steps: 20 make it worse" in told[0]
    assert (len(told) == 1) == (variant == "schnell")
    assert unlike_few_steps(variant, 4, 1.0) == ()
    assert unlike_few_steps("base", 20, 5.0) == unlike_few_steps("inpaint", 20, 5.0) == ()


def test_what_is_not_read_is_shown_with_its_words() -> None:
    """Long ones are cut, and say so."""
    assert not_read("red bricks and moss", "and moss").endswith("not read: “and moss”.")
    assert len(not_read("x " * 900, "y " * 900)) < 800
