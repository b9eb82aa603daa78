"""Words that were taught: what stands for them in a prompt, and what they bring along."""

from tapestry_backend.prompts.taught_words import TaughtWord, with_taught_words
from tapestry_protocol.adapters import Lora
from tapestry_protocol.messages import Edit, Region, Request
from tapestry_protocol.pixels import Bounds, PixelsRef

MASK = PixelsRef(2, 2, 1, "0" * 64)
WOOL = TaughtWord("my wool", "<my-wool>", "my-wool")
FELT = TaughtWord("my felt", lora="my-felt")
MOOD = TaughtWord("my mood", "<my-mood>")


def region(prompt: str, *loras: Lora) -> Region:
    """Of two pixels."""
    return Region(prompt, Bounds(0, 0, 2, 2), MASK, loras=loras)


def read(request: Request) -> Request:
    """With three words."""
    return with_taught_words(request, [WOOL, FELT, MOOD])


def test_a_regions_word_brings_its_lora_to_that_region() -> None:
    """And to no other; its embedding stands for it, in any spelling."""
    regions = (region("a cat of My  Wool"), region("my felt"), region("snow"))
    made = read(Request("generate", 4, 4, regions=regions))
    assert [each.prompt for each in made.regions] == ["a cat of <my-wool>", "my felt", "snow"]
    assert [each.loras for each in made.regions] == [(Lora("my-wool"),), (Lora("my-felt"),), ()]
    assert made.loras == ()


def test_the_backgrounds_word_brings_it_to_the_background() -> None:
    """A region has what the picture has, unless its own weight is 0; words alone bring nothing."""
    regions = (region("snow"), region("my felt"), region("a hat of my wool"))
    made = read(Request("generate", 4, 4, prompt="my wool", style="my mood", regions=regions))
    assert (made.prompt, made.style, made.loras) == ("<my-wool>", "<my-mood>", (Lora("my-wool"),))
    without = Lora("my-wool", 0.0)
    assert [each.loras for each in made.regions] == [
        (without,),
        (Lora("my-felt"), without),
        (Lora("my-wool"),),
    ]


def test_the_styles_word_brings_it_to_the_whole_picture() -> None:
    """Since it is said in every prompt; so does a LoRA that the picture has by name."""
    styled = read(Request("generate", 4, 4, style="my felt", regions=(region("snow"),)))
    assert (styled.loras, styled.regions[0].loras) == ((Lora("my-felt"),), ())
    named = (Lora("my-wool", 0.5),)
    made = read(Request("generate", 4, 4, prompt="my wool", loras=named, regions=(region("snow"),)))
    assert (made.loras, made.regions[0].loras) == (named, ())


def test_a_weight_that_was_named_stays() -> None:
    """Of the picture, or of the region."""
    request = Request("generate", 4, 4, prompt="my wool", loras=(Lora("my-wool", 0.5),))
    assert read(request).loras == (Lora("my-wool", 0.5),)
    own = Request("generate", 4, 4, regions=(region("my wool", Lora("my-wool", 0.3)),))
    assert read(own).regions[0].loras == (Lora("my-wool", 0.3),)


def test_the_token_itself_brings_it_too() -> None:
    """As other programs write it."""
    made = read(Request("generate", 4, 4, prompt="a <my-wool> hat"))
    assert made.loras == (Lora("my-wool"),)


def test_what_only_contains_the_word_is_another_one() -> None:
    """And nothing changes at all where none is said."""
    for prompt in ("my woollen hat", "<my-woolly>", "snow"):
        request = Request("generate", 4, 4, prompt=prompt)
        assert read(request) is request


def test_what_is_there_now_is_read_as_well() -> None:
    """An edit may turn it into something else."""
    edit = Edit(source_prompt="my wool")
    assert read(Request("edit", 4, 4, prompt="snow", edit=edit)).edit.source_prompt == "<my-wool>"
