"""Words of other programs in prompts: taken where they mean something here, else reported."""

from __future__ import annotations

import pytest

from tapestry_backend.checkpoints.adapter_catalogue import AdapterCatalogue
from tapestry_backend.prompts.syntax import NamedAdapters, read_syntax
from tapestry_protocol.adapters import Lora
from tapestry_protocol.messages import PixelsRef, Region, Request
from tapestry_protocol.pixels import Bounds

MASK = PixelsRef(1, 1, 1, "ab" * 32)
KNOWN = NamedAdapters(AdapterCatalogue().find, ("<gloom>",))


def read(prompt: str, **fields: object) -> tuple[Request, tuple[str, ...]]:
    """A background's prompt."""
    return read_syntax(Request("generate", 64, 64, prompt, **fields), KNOWN)


@pytest.mark.parametrize(
    ("prompt", "text", "weight"),
    [
        ("<lora:sample-ink:0.8> red bricks", "red bricks", 0.8),
        ("red <lora:sample-ink> bricks", "red bricks", 1.0),
        ("red bricks, <lora:sample-ink:-.5>", "red bricks", -0.5),
        ("red bricks <LORA:sample-ink:0.7:0.2>", "red bricks", 0.7),
        ("red bricks <lyco:sample-ink:unet=0.7>", "red bricks", 0.7),
        ("red bricks <lora:sample-ink:te=0:unet=0.7>", "red bricks", 0.7),
        ("red bricks <lora:sample-ink:0,8>", "red bricks", 0.8),
        ("red bricks <lora:sample-ink:0.8@0-0.5>", "red bricks", 0.8),
        ("red bricks < lora:sample-ink:0.8 >", "red bricks", 0.8),
        ("red bricks &lt;lora:sample-ink:0.8&gt;", "red bricks", 0.8),
        ("red bricks <lora:sample-ink:99>", "red bricks", 4.0),
        ("red bricks <lora:sample-ink:x>", "red bricks", 1.0),
        ("red bricks <lora:sample-ink.safetensors:.7>", "red bricks", 0.7),
    ],
)
def test_a_lora_in_a_prompt_is_laid_on(prompt: str, text: str, weight: float) -> None:
    """With its weight, and a notice."""
    request, notices = read(prompt)
    assert request.prompt == text
    assert request.loras == (Lora("sample-ink", weight),)
    assert any("lays on the LoRA “sample-ink”" in notice for notice in notices)


def test_a_lora_that_is_named_twice_is_told_once() -> None:
    """With the weight that counts."""
    request, notices = read("<lora:sample-ink:0.3> sea <lora:sample-ink:0.8>")
    assert (request.prompt, request.loras) == ("sea", (Lora("sample-ink", 0.8),))
    laid, twice = notices
    assert "“sample-ink”, with a weight of 0.8." in laid
    assert "the last weight counts" in twice


def test_a_lora_in_a_regions_prompt_is_that_regions() -> None:
    """One in the style is the picture's, and the last weight counts."""
    own = Region("<lora:sample-ink:0.3> sea", Bounds(0, 0, 1, 1), MASK)
    style = "<lora:sample-ink:0.5> oil"
    request, _ = read("sky", style=style, regions=(own,), loras=(Lora("sample-ink", 2.0),))
    assert request.loras == (Lora("sample-ink", 0.5),)
    assert request.regions[0].loras == (Lora("sample-ink", 0.3),)
    assert (request.style, request.regions[0].prompt) == ("oil", "sea")


@pytest.mark.parametrize(
    ("prompt", "text", "notice"),
    [
        ("<lora:none:1> bricks", "bricks", "“<lora:none:1>” was left out: there is no such LoRA"),
        ("<hypernet:x:1> bricks", "bricks", "knows no hypernetworks"),
        ("bricks BREAK moss", "bricks, moss", "“BREAK” means nothing here"),
        ("bricks ADDROW moss", "bricks, moss", "“ADDROW” means nothing here"),
        ("bricks ADDCOMM moss ADDCOL sea", "bricks, moss, sea", "“ADDCOL” means nothing here"),
        ("bricks AND moss", "bricks AND moss", "“AND” was read as a word"),
        ("RED BRICKS BREAK MOSS", "RED BRICKS BREAK MOSS", "“BREAK” was read as a word"),
        ("<no-such-word> bricks", "<no-such-word> bricks", "no embedding “<no-such-word>”"),
        ("<glooom> bricks", "<glooom> bricks", "There is an embedding “<gloom>”"),
        ("embedding:gloom bricks", "embedding:gloom bricks", "no embedding “embedding:gloom”"),
        ("[bricks:moss:0.5]", "[bricks:moss:0.5]", "“[bricks:moss:0.5]” was read as words"),
        ("[bricks|moss]", "[bricks|moss]", "was read as words"),
        ("{bricks|moss}", "{bricks|moss}", "was read as words"),
        ("{{{bricks}}}, moss", "{{{bricks}}}, moss", "“{{{bricks}}}” was read as words"),
        ("(bricks)++", "(bricks)++", "“)++” was read as words"),
        ("red bricks--, sea", "red bricks--, sea", "“bricks--” was read as words"),
        ("(bricks:1,2), moss", "(bricks:1,2), moss", "“(bricks:1,2)” was read as words"),
        ("(bricks\uff1a1.2)", "(bricks\uff1a1.2)", "1.2)” was read as words"),
        ("\uff08bricks:1.2\uff09", "\uff08bricks:1.2\uff09", "was read as words: a weight"),
        ("(bricks)1.3 moss", "(bricks)1.3 moss", "“)1.3” was read as words"),
        ("bricks::3 moss:: 1", "bricks::3 moss:: 1", "“bricks::3” was read as words"),
        ("bricks:1.3, moss", "bricks:1.3, moss", "“bricks:1.3” was read as words"),
        ("<gloom>:1.2, moss", "<gloom>:1.2, moss", "“<gloom>:1.2” was read as words"),
        ("gloom, moss", "gloom, moss", "“gloom” was read as words: its embedding is written “<gl"),
        ("(Gloom:1.2)", "(Gloom:1.2)", "“Gloom” was read as words: its embedding is written “<gl"),
        ("<lora:none:0.8 moss", "<lora:none:0.8 moss", "no “>” at its end"),
        ("bricks --ar 16:9 --v 6.1", "bricks", "“--ar 16:9” was left out"),
        ("bricks --no moss and sea", "bricks", "write it into the negative prompt"),
        ("(bricks:9)", "(bricks:9)", "counts 4 times"),
        ("(bricks", "(bricks", "never closed"),
        ("bricks \u2014ar 16:9", "bricks", "ar 16:9” was left out"),
        ('("bricks", "moss").and()', '("bricks", "moss").and()', "“.and()” was read as a word"),
        ('("a", "b").blend(1, 2)', '("a", "b").blend(1, 2)', "“.blend(1, 2)” was read as a"),
        ("bricks.swap(moss)", "bricks.swap(moss)", "“.swap(moss)” was read as a word"),
        ("bricks AND_PERP moss", "bricks AND_PERP moss", "“AND_PERP” was read as a word"),
        ("(bricks)^1.3", "(bricks)^1.3", "“)^1.3” was read as words: a weight is"),
        ("(bricks)+ moss", "(bricks)+ moss", "“)+” was read as words: a weight is"),
        ("bricks ::2", "bricks ::2", "“bricks ::2” was read as words: a weight is"),
        ("bricks, Negative: moss", "bricks", "“Negative: moss” was taken as the negative prompt"),
        ("Positive prompt: bricks", "bricks", "“Positive prompt:” was left out: it is no prompt"),
        ("/imagine prompt: bricks", "bricks", "“/imagine prompt:” was left out: it is no prompt"),
        ("__stone__ bricks", "__stone__ bricks", "“__stone__” was read as words"),
    ],
)
def test_what_means_nothing_here_is_told(prompt: str, text: str, notice: str) -> None:
    """With the words; what is left is painted."""
    request, notices = read(prompt)
    assert request.prompt == text
    assert not request.loras
    assert any(notice in each for each in notices), notices


@pytest.mark.parametrize(
    "prompt",
    [
        *("red bricks", "<gloom> bricks", "BLACK AND WHITE", "a (b:1.2) [c]", "5 > 3 < 4", ""),
        *("c++ and -- dashes --- here", "a well-known --castle", "no negative prompts", "Steps: 3"),
        *("(a (b):1.2), ((c)(d):1.3)", "at 12:30, (16:9), (a clock (12:30):1.2)", "b :) 2 (c) 1.3"),
        *(
            "(bricks::1.3)",
            "a cat \u2014 no dogs",
            "Negative space: a lone tree",
            "a photo negative: b",
        ),
        *("gloomy, gloom-ridden, <gloom>", "(<gloom>:1.2), (b, c:1.2)", "COFFEE BREAKS", "a: 3 b"),
    ],
)
def test_plain_prompts_stay_as_they_are(prompt: str) -> None:
    """The very request, and not a word."""
    request = Request("generate", 64, 64, prompt)
    read_as, notices = read_syntax(request, KNOWN)
    assert read_as is request
    assert not notices


PASTED = (
    "bricks,\nNegative prompt: dark, <lora:x:1>\nSteps: 20, Sampler: Euler a, Seed: 7, Size: 8x8"
)


def test_what_is_pasted_below_a_prompt_is_what_it_says() -> None:
    """Its negative prompt is one, beside that which is there; its settings are reported."""
    own = Region(PASTED, Bounds(0, 0, 1, 1), MASK)
    request, notices = read(PASTED, negative_prompt="wet", regions=(own,))
    assert (request.prompt, request.negative_prompt) == ("bricks", "wet, dark")
    assert [(r.prompt, r.negative_prompt) for r in request.regions] == [("bricks", "dark")]
    assert any("taken as the negative prompt" in notice for notice in notices)
    assert any("“Steps: 20, Sampler: Euler a" in notice for notice in notices)
    request, _ = read("sea", negative_prompt="Negative prompt: dark")
    assert request.negative_prompt == "dark"


@pytest.mark.parametrize("prompt", ["(bricks:1.2", "[bricks:0.5]", "[bricks::0.5]"])
def test_each_slip_is_told_once(prompt: str) -> None:
    """By what it is: a bracket that is open, a prompt that would change."""
    assert len(read(prompt)[1]) == 1


def test_a_negative_prompt_lays_nothing_on() -> None:
    """With a notice."""
    request, notices = read("sea", negative_prompt="<lora:sample-ink:1> dark")
    assert (request.negative_prompt, request.loras) == ("dark", ())
    assert "a negative prompt lays no LoRA on" in notices[0]


@pytest.mark.parametrize(
    "odd",
    [
        "[" + ":" * 1999,
        "[:" * 1000,
        ("[" + ":" * 150) * 13,
        "{" + "|" * 1999,
        "{|" * 1000,
        " " * 1990 + "break",
        "BREAK" + " ," * 900 + " a",
        "BREAK " * 333,
        "<" * 2000,
        "<lora:" * 333,
        "<lora:" + ":" * 1990,
        "embedding:" * 200,
        "_" * 2000,
        "__a" * 660,
        "{" * 2000,
        "a" * 1990 + "++",
        "(" + "a" * 1990,
        "(a:" * 660,
        "(:" * 1000,
        "\uff08" * 2000,
        "\uff08\uff1a1" * 660,
        "a::" * 660,
        "<lora:a" * 280,
        "<a>:1" * 400,
        "ADDROW " * 280,
        "--no " * 400,
        "--ar " * 400,
        "negative prompt:" * 120,
        "Steps: 1, A" * 180,
    ],
    ids=lambda odd: odd[:8],
)
def test_odd_prompts_are_read_at_once(odd: str) -> None:
    """A server looks at them before anything waits; no search goes over a text many times."""
    request, _ = read(odd)
    assert isinstance(request.prompt, str)
