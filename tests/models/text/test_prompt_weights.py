"""Weights inside prompts."""

import pytest
import torch

from tapestry_backend.prompts.weights import MOST, WeightedPrompt, read_weights


@pytest.mark.parametrize(
    ("prompt", "text", "spans"),
    [
        ("red sun", "red sun", ()),
        ("a (red:1.5) sun", "a red sun", ((2, 5, 1.5),)),
        ("(red sun:.5), (sea: 2)", "red sun, sea", ((0, 7, 0.5), (9, 12, 2.0))),
        ("(red) sun", "red sun", ((0, 3, 1.1),)),
        ("ratio (16:9 (4:3", "ratio (16:9 (4:3", ()),
        ("(red:)", "red:", ((0, 4, 1.1),)),
        ("(red:x)", "red:x", ((0, 5, 1.1),)),
        ("(red:-1)", "red", ((0, 3, -1.0),)),
        ("(red:99)", "red", ((0, 3, MOST),)),
        ("((red:1.2))", "red", ((0, 3, 1.32),)),
        ("(\U0001f305 \u6d77:1.2)", "\U0001f305 \u6d77", ((0, 3, 1.2),)),
        ("(:1.2)", "", ()),
        ("((word))", "word", ((0, 4, 1.21),)),
        ("[word]", "word", ((0, 4, 0.909091),)),
        ("([word])", "word", ()),
        ("([red:1.5]) sun", "red:1.5 sun", ()),
        ("a (b (c:1.5) d) e", "a b c d e", ((2, 4, 1.1), (4, 5, 1.65), (5, 7, 1.1))),
        ("(a (b):2)", "a b", ((0, 2, 2.0), (2, 3, 2.2))),
        ("(16:9)", "(16:9)", ()),
        ("a clock (12:30)", "a clock (12:30)", ()),
        ("(a clock at 12:30)", "a clock at 12:30", ((0, 16, 1.1),)),
        ("(a clock at 12:30:1.2)", "a clock at 12:30", ((0, 16, 1.2),)),
        ("(style of 1980:2)", "style of 1980", ((0, 13, 2.0),)),
        ("(top 10:1.2)", "top 10", ((0, 6, 1.2),)),
        ("(red sun, sea", "red sun, sea", ((0, 12, 1.1),)),
        ("a (red sun:1.3", "a red sun", ((2, 9, 1.3),)),
        ("a [red sun", "a red sun", ((2, 9, 0.909091),)),
        ("(sd15:2)", "sd15", ((0, 4, 2.0),)),
        (r"a cat \(animal\), \[x\] \\", "a cat (animal), [x] \\", ()),
        (r"(a cat \(animal\):1.3)", "a cat (animal)", ((0, 14, 1.3),)),
        (r"C:\now", r"C:\now", ()),
        ("a house :( and a sun :)", "a house : and a sun :", ((9, 21, 1.1),)),
        ("a house :( here", "a house :( here", ()),
        ("red) sun [", "red) sun [", ()),
    ],
)
def test_marks_are_taken_out(prompt: str, text: str, spans: tuple) -> None:
    """As A1111's web UI reads them; what is no group stays as it is."""
    assert read_weights(prompt) == WeightedPrompt(text, spans)


@pytest.mark.parametrize(
    ("prompt", "notice"),
    [
        ("(red:9)", "“(red:9)” counts 4 times"),
        ("(top 10:2)", "write 2.0 if it shall be a weight"),
        ("(red sun, sea", "“(red sun, sea” is never closed"),
        ("a [red sun", "“[red sun” is never closed"),
        ("red) sun", "A “)” without its partner"),
        ("ratio (16:9", "A “(” without its partner"),
        ("a house :( and a sun :) ;-)", ""),
        ("a clock (12:30), (16:9), (red:4) [x]", ""),
    ],
)
def test_what_is_read_otherwise_than_it_looks_is_told(prompt: str, notice: str) -> None:
    """And nothing is said of what is plain."""
    notices = read_weights(prompt).notices
    assert bool(notices) == bool(notice)
    assert notice in " ".join(notices)


def test_long_prompts_are_read_at_once() -> None:
    """However odd they are."""
    for odd in (
        "(" * 2000,
        "(a:" * 660,
        "(" + "a" * 1990 + ":1.",
        "((:" * 600 + ")" * 200,
        "(" * 1000 + ")" * 1000,
    ):
        assert isinstance(read_weights(odd).text, str)


def test_a_weight_of_one_changes_nothing(model) -> None:
    """Bit for bit, also beside other weights."""
    plain = model.encode_prompts(["a red sun, sunset", "sea"])
    assert torch.equal(model.encode_prompts(["a (red:1) sun, (sunset:1.0)", "sea"]), plain)
    assert torch.equal(model.encode_prompts(["(snow:2)", "sea"])[1], plain[1])


def test_weights_move_the_words_they_are_on(model) -> None:
    """Towards nothing and beyond themselves; the other words stay."""
    nothing, plain, more, none = model.encode_prompts(
        ["", "a red sun", "a (red:2) sun", "a (red:0) sun"]
    )
    changed = [
        position
        for position in range(len(plain))
        if not torch.equal(plain[position], more[position])
    ]
    assert changed == [2]
    torch.testing.assert_close(more[2] - nothing[2], 2 * (plain[2] - nothing[2]))
    torch.testing.assert_close(none[2], nothing[2])


def test_a_weight_reaches_the_picture(paint_prompt) -> None:
    """The picture is another one; a weight of 1 gives the same one."""
    assert paint_prompt("(snow:1.0)") == paint_prompt("snow")
    assert paint_prompt("(snow:2.5)") != paint_prompt("snow")


@pytest.fixture
def paint_prompt(model_cache):
    """Prompt -> the bytes of a small picture."""
    from tapestry_backend.tasks.run import run
    from tapestry_protocol.messages import Request

    def paint(prompt: str) -> bytes:
        request = Request("generate", 64, 64, prompt, num_inference_steps=2)
        *_, finished = run(request, {}, model_cache)
        return finished.pixels.data

    return paint
