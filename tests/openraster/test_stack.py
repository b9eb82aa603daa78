"""stack.xml: the tree as read, and edits that touch nothing else."""

from __future__ import annotations

from xml.parsers import expat

import pytest

from tapestry_backend.openraster.limits import MAX_STACK_ELEMENTS
from tapestry_backend.openraster.stack import parse_stack
from tapestry_protocol.errors import TapestryError
from tapestry_protocol.pixels import Margins
from tapestry_protocol.sentences import quoted

FILE = b"""<?xml version='1.0' encoding='UTF-8'?>
<image h="64" w = '96' version="0.0.3" xmlns:other="urn:other">
 <!-- kept --><?kept too?>
 <stack name="root">
  <layer name="a &quot;x='7'&quot; &gt;" x='5' src="data/0.png" y="-3" opacity="0.5"/>
  <stack visibility="hidden" name="group">
   <layer src="data/1.png" name="no place"/>
   <text>words</text>
  </stack>
  <filter other:kept="as it is"><layer name="not ours" src="x"/></filter>
 </stack>
</image>
"""


def test_reads_layers_groups_and_their_attributes() -> None:
    """Names are unescaped, missing attributes have the format's defaults."""
    stack = parse_stack(FILE)
    layer, group = stack.root.children
    assert (stack.height, stack.width) == (64, 96)
    assert (layer.name, layer.left, layer.top, layer.opacity) == ("a \"x='7'\" >", 5, -3, 0.5)
    assert (group.kind, group.visible) == ("stack", False)
    assert [child.name for child in group.children] == ["no place"]
    assert (group.children[0].top, group.children[0].left) == (0, 0)


@pytest.mark.parametrize(
    ("written", "visible"),
    [
        *[(word, False) for word in ("hidden", "HIDDEN ", "none", "false", "False", "0", "no")],
        *[(word, True) for word in ("visible", "", "true", "1", "shown")],
    ],
)
def test_a_hidden_layer_is_hidden_in_whatever_word(written: str, visible: bool) -> None:
    """OpenRaster knows "hidden" alone; programs write others."""
    file = FILE.replace(b'visibility="hidden"', f'visibility="{written}"'.encode())
    assert parse_stack(file).root.children[1].visible is visible


def test_a_picture_may_be_named_from_where_it_is() -> None:
    """By "./data/0.png", or with a backslash, as some programs do; not from outside."""
    names = [b"./data/0.png", b"/data/0.png", b"data\\0.png"]
    for written, source in [*((name, "data/0.png") for name in names), (b"../0.png", "../0.png")]:
        stack = parse_stack(FILE.replace(b"data/0.png", written))
        assert stack.root.children[0].source == source
        assert written in stack.with_layer("a", "data/t.png", Margins())


def test_tells_of_elements_that_it_leaves_alone() -> None:
    """Whatever is neither layer nor group is named, and nothing inside of it is looked at."""
    assert parse_stack(FILE).unknown == ("text", "filter", "layer")


def elements(data: bytes, without: str = "") -> list[tuple[object, dict[str, str], str]]:
    """Everything in a file but the layer of this name: tag, attributes and text, in order."""
    return [
        (each.tag, each.attrib, (each.text or "").strip())
        for each in parse_stack(data).image.iter()
        if each.get("name") != without
    ]


def test_a_new_layer_leaves_all_else_as_it_is() -> None:
    """Other elements, attributes with and without prefix, text and comments; one line more."""
    edited = parse_stack(FILE).with_layer("sky", "data/t.png", Margins())
    assert elements(edited, without="sky") == elements(FILE)
    assert len(edited.splitlines()) == len(FILE.splitlines()) + 1
    top = parse_stack(edited).root.children[0]
    assert (top.name, top.source) == ("sky", "data/t.png")
    expat.ParserCreate(namespace_separator=" ").Parse(edited, 1)  # one that knows of namespaces


def test_a_stack_is_not_changed_by_what_is_written_of_it() -> None:
    """Two results of one document do not know of each other."""
    stack = parse_stack(FILE)
    first = stack.with_layer("t", "data/t.png", Margins(left=7))
    assert stack.with_layer("t", "data/t.png", Margins(left=7)) == first
    assert elements(stack.with_layer("t", "data/t.png", Margins()), without="t") == elements(FILE)


def test_the_lowest_layer_lies_below_all_others() -> None:
    """Inside of the root group, on a line of its own; all else is as it was."""
    edited = parse_stack(FILE).with_layer("sky", "data/t.png", Margins(), lowest=True)
    assert [node.name for node in parse_stack(edited).root.children][-1] == "sky"
    assert elements(edited, without="sky") == elements(FILE)
    assert len(edited.splitlines()) == len(FILE.splitlines()) + 1
    empty = parse_stack(b'<image w="8" h="8"><stack></stack></image>')
    below = empty.with_layer("t", "t.png", Margins(), lowest=True)
    assert [node.name for node in parse_stack(below).root.children] == ["t"]


def test_settings_are_an_attribute_of_their_layer() -> None:
    """Written once, replaced the next time, and moved along with the layer."""
    stack = parse_stack(FILE)
    layer, group = stack.root.children
    assert (layer.settings, group.settings) == ("", "")
    about = [(layer, 'negative="&\u00e9"'), (group, "seed=2")]
    once = stack.with_layer("t", "data/t.png", Margins(left=7), settings=about)
    read = parse_stack(once)
    _, layer, group = read.root.children
    assert (layer.settings, group.settings) == ('negative="&\u00e9"', "seed=2")
    assert (layer.left, layer.name) == (12, "a \"x='7'\" >")
    twice = read.with_layer("u", "data/u.png", Margins(), settings=[(layer, "seed=3")])
    assert parse_stack(twice).root.children[2].settings == "seed=3"
    assert once.count(b"xmlns:tapestry") == twice.count(b"xmlns:tapestry") == 2


@pytest.mark.parametrize("name", ["a\tb\nc", "x\"y'<z>&", "\u96ea \U0001f30a"])
def test_any_name_is_read_as_it_was_written(name: str) -> None:
    """Whatever stands in a prompt."""
    edited = parse_stack(FILE).with_layer(name, "data/t.png", Margins())
    assert parse_stack(edited).root.children[0].name == name


def test_what_no_xml_file_may_hold_is_replaced() -> None:
    """The file stays readable."""
    edited = parse_stack(FILE).with_layer("a\x01\ud800\uffffb", "data/t.png", Margins())
    assert parse_stack(edited).root.children[0].name == "a\ufffd\ufffd\ufffdb"


def test_growing_moves_every_layer_and_nothing_else() -> None:
    """Layers in groups move as well; attributes keep their place."""
    grown = parse_stack(FILE).with_layer("t", "data/t.png", Margins(top=8, left=100, right=2))
    stack = parse_stack(grown)
    assert (stack.height, stack.width) == (72, 198)
    _, layer, group = stack.root.children
    assert (layer.left, layer.top) == (105, 5)
    assert (group.children[0].left, group.children[0].top) == (100, 8)
    assert b'<layer name="a &quot;x=\'7\'&quot; &gt;" x="105" src=' in grown
    assert b"<!-- kept --><?kept too?>" in grown


def test_growing_to_the_right_leaves_every_layer_where_it_is() -> None:
    """Only the size of the canvas changes."""
    grown = parse_stack(FILE).with_layer("t", "data/t.png", Margins(right=4, bottom=1))
    assert b'x="5"' in grown
    assert (parse_stack(grown).height, parse_stack(grown).width) == (65, 100)


def test_an_empty_document_gets_its_first_layer() -> None:
    """A root group that was closed at once is opened for the new layer."""
    edited = parse_stack(b'<image w="8" h="8"><stack/></image>').with_layer("t", "t.png", Margins())
    assert [node.name for node in parse_stack(edited).root.children] == ["t"]


@pytest.mark.parametrize(
    ("opacity", "x", "expected"),
    [("0,5", "12.0", (0.5, 12)), (" 0.5 ", " 12 ", (0.5, 12)), ("5e-1", "11.7", (0.5, 12))],
)
def test_numbers_are_read_as_programs_write_them(opacity: str, x: str, expected: object) -> None:
    """With a comma, as a fraction of a pixel, with spaces around."""
    stack = f'<image w="8.0" h="9"><stack><layer opacity="{opacity}" x="{x}" src="a.png"/>'
    read = parse_stack(f"{stack}</stack></image>".encode())
    (layer,) = read.root.children
    assert (layer.opacity, layer.left) == expected
    assert (read.height, read.width) == (9, 8)
    grown = parse_stack(read.with_layer("t", "t.png", Margins(left=4)))
    assert (grown.root.children[1].left, grown.width) == (16, 12)


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ('opacity="1.0000001"', (1.0, 0)),
        ('opacity="-1e-7"', (0.0, 0)),
        ('opacity="50%" x="12px"', (0.5, 12)),
        ('opacity="" x=""', (1.0, 0)),
        ('x="-99999999"', (1.0, -99_999_999)),
    ],
)
def test_what_a_number_means_is_taken_where_it_is_plain(attributes: str, expected: object) -> None:
    """A rounding error, a unit, an empty attribute, a layer far outside: no note."""
    stack = f'<image w="8px" h="9"><stack><layer {attributes} src="a.png"/></stack></image>'
    read = parse_stack(stack.encode())
    (layer,) = read.root.children
    assert ((layer.opacity, layer.left), read.width, read.notes) == (expected, 8, ())


@pytest.mark.parametrize("odd", ['opacity="7"', 'opacity="nan"', 'x="left"', 'y="1e400"'])
def test_a_number_without_sense_costs_that_number_alone(odd: str) -> None:
    """The layer has the default, with a note; the others are as they are."""
    layers = f'<layer name="sky" {odd}/><layer name="sea" x="3" opacity="0.25"/>'
    read = parse_stack(f'<image w="8" h="9"><stack>{layers}</stack></image>'.encode())
    sky, sea = read.root.children
    assert (sky.opacity, sky.top, sky.left) == (1, 0, 0)
    assert (sea.opacity, sea.left) == (0.25, 3)
    (note,) = read.notes
    assert "“sky”" in note
    assert quoted(odd.partition("=")[2].strip('"')) in note


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "latin-1"])
def test_any_encoding_that_is_declared_is_read(encoding: str) -> None:
    """And written as UTF-8."""
    head = f"<?xml version='1.0' encoding='{encoding}'?>"
    text = f'{head}<image w="8" h="9"><stack><layer name="\u00e9"/></stack></image>'
    stack = parse_stack(text.encode(encoding))
    edited = parse_stack(stack.with_layer("t", "t.png", Margins()))
    assert [node.name for node in edited.root.children] == ["t", "\u00e9"]


def test_more_elements_than_any_picture_has_are_refused() -> None:
    """A file of 4 MiB could hold a million."""
    many = b"<a/>" * (MAX_STACK_ELEMENTS - 1)
    with pytest.raises(TapestryError, match="elements"):
        parse_stack(b'<image w="8" h="8"><stack/>' + many + b"</image>")


@pytest.mark.parametrize(
    "declared", ["", ' SYSTEM "http://x/y.dtd"', ' PUBLIC "-//x//y//EN" "http://x/y.dtd"']
)
def test_a_document_type_without_entities_is_read(declared: str) -> None:
    """What it names elsewhere is never fetched."""
    text = f'<!DOCTYPE image{declared}><image w="8" h="9"><stack><layer name="a"/></stack></image>'
    assert [node.name for node in parse_stack(text.encode()).root.children] == ["a"]


@pytest.mark.parametrize(
    "text",
    [
        '<!DOCTYPE image [<!ENTITY a "ha">]><image w="1" h="1"><stack/></image>',
        '<!DOCTYPE image [<!ATTLIST layer name CDATA "ha">]><image w="1" h="1"><stack/></image>',
        '<!DOCTYPE image SYSTEM "http://x/y.dtd"><image w="1" h="1"><stack/>&a;</image>',
    ],
)
def test_entities_are_refused(text: str) -> None:
    """They are how XML files grow and reach out; no picture needs them."""
    with pytest.raises(TapestryError, match="entit"):
        parse_stack(text.encode())
