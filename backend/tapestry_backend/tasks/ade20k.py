"""Which of ADE20K's 150 classes a prompt names, and the class's colour; no picture.

Names and colours are those of the MIT Scene Parsing Benchmark (Zhou et al. 2017, objectInfo150 and
color150), which segmentation networks are trained with. Names that mostly mean something else in a
prompt are left out ("light", "can", "machine"), and everyday words stand beside the class that is
nearest ("forest" with tree, "castle" with building).
"""

from __future__ import annotations

import colorsys
import re
from collections.abc import Sequence

Colour = tuple[int, int, int]

_TABLE = """
120 120 120 wall, brick, masonry
180 120 120 building, edifice, church, cathedral, temple, castle, palace, city, town, village
6 230 230 sky, cloud, sunset, sunrise, moon, star
80 50 50 floor, flooring
4 200 3 tree, forest, wood, pine, fir, oak, birch, jungle
120 120 80 ceiling
140 140 140 road, route, street, highway, lane, asphalt
204 5 255 bed
230 230 230 windowpane, window
4 250 7 grass, lawn, meadow, pasture
224 5 255 cabinet
235 255 7 sidewalk, pavement
150 5 61 person, people, man, men, woman, women, girl, boy, child, children, figure, knight, crowd
120 120 70 earth, ground, snow, mud, lava, desert
8 255 51 door
255 6 82 table
143 255 140 mountain, peak, volcano, alps
204 255 4 plant, bush, shrub, hedge, fern, garden, leaf, vine, cactus
255 51 7 curtain, drape, drapery
204 70 3 chair
0 102 200 car, auto, automobile, motorcar
61 230 250 water, pond, puddle
255 6 51 painting, picture
11 102 255 sofa, couch, lounge
255 7 71 shelf
255 9 224 house, cottage, cabin, farmhouse, barn, mill
9 7 230 sea, ocean, wave, surf, bay, lagoon
220 220 220 mirror
255 9 92 rug, carpet, carpeting
112 9 255 field, farmland, wheat, crop
8 255 214 armchair
7 255 224 seat
255 184 6 fence, fencing
10 255 71 desk
255 41 10 rock, stone, cliff, boulder, pebble
7 255 255 wardrobe
224 255 8 lamp, lantern
102 8 255 bathtub, bathing tub
255 61 6 railing
255 194 7 cushion
255 122 8 pedestal, plinth
0 255 20 box
255 8 41 column, pillar
255 5 153 signboard, sign
6 51 255 chest of drawers, bureau, dresser
235 12 255 counter
160 150 20 sand, beach, dune
0 163 255 sink
140 140 140 skyscraper, high-rise
250 10 15 fireplace, hearth, open fireplace
20 255 0 refrigerator, icebox
31 255 0 grandstand
255 31 0 path, trail, footpath
255 224 0 stairs, steps
153 255 0 runway
0 0 255 display case, showcase, vitrine
255 71 0 pool table, billiard table, snooker table
0 235 255 pillow
0 173 255 screen door
31 0 255 stairway, staircase
11 200 200 river, stream, creek, brook, canal
255 82 0 bridge
0 255 245 bookcase
0 61 255 blind
0 255 112 coffee table, cocktail table
0 255 133 toilet
255 0 0 flower, rose, tulip, blossom, poppy
255 163 0 book
255 102 0 hill, slope
194 255 0 bench
0 143 255 countertop
51 255 0 stove, kitchen stove, kitchen range, cooking stove
0 82 255 palm, palm tree
0 255 41 kitchen island
0 255 173 computer
10 0 255 swivel chair
173 255 0 boat, canoe, rowboat, gondola
0 255 153 bar
255 92 0 arcade machine
255 0 255 hovel, hut, hutch, shack, shanty
255 0 245 bus, double-decker, motorbus, motorcoach, omnibus
255 0 102 towel
255 173 0 light source, light fixture
255 0 20 truck, motortruck
255 184 184 tower, lighthouse, spire
0 31 255 chandelier
0 255 61 awning, sunshade, sunblind
0 71 255 streetlight, street lamp
255 0 204 booth, cubicle, kiosk
0 255 194 television, television receiver, television set, tv, tv set, telly
0 255 82 airplane, aeroplane, plane
0 10 255 dirt track
0 112 255 apparel, wearing apparel, dress, clothes, clothing, coat, robe
51 0 255 pole
0 194 255 land, soil
0 122 255 bannister, banister, balustrade, balusters, handrail
0 255 163 escalator, moving staircase, moving stairway
255 153 0 ottoman
0 255 10 bottle
255 112 0 buffet, sideboard
143 255 0 poster, placard
82 0 255 stage
163 255 0 van
255 235 0 ship, sailboat, ferry
8 184 170 fountain
133 0 255 conveyer belt, conveyor belt
0 255 92 canopy
184 0 255 washer, automatic washer, washing machine
255 0 31 plaything, toy
0 184 255 swimming pool, swimming bath, natatorium
0 214 255 stool
255 0 112 barrel, cask
92 255 0 basket, handbasket
0 224 255 waterfall
112 224 255 tent, collapsible shelter
70 184 160 bag
163 0 255 minibike, motorbike
153 0 255 cradle
71 255 0 oven
255 0 163 ball
255 204 0 food, fruit, bread, cake
255 0 143 doorstep
0 255 235 tank, storage tank
133 255 0 trade name, brand name
255 0 235 microwave, microwave oven
245 0 255 pot, flowerpot
255 0 122 animal, dog, cat, bird, horse, cow, sheep, deer, fish, dragon, lion, wolf, fox, bear
255 245 0 bicycle, bike
10 190 212 lake
214 255 0 dishwasher, dish washer, dishwashing machine
0 204 255 projection screen, silver screen
20 0 255 blanket
255 255 0 sculpture, statue
0 153 255 exhaust hood
0 41 255 sconce
0 255 204 vase
41 0 255 traffic light, traffic signal, stoplight
41 255 0 tray
173 0 255 ashcan, trash can, garbage can, wastebin, ash bin, ash-bin, ashbin, dustbin, trash barrel
0 245 255 fan
71 0 255 pier, wharf, wharfage, dock
122 0 255 crt screen
0 255 184 plate
0 92 255 monitor
184 255 0 bulletin board, notice board
0 133 255 shower
255 214 0 radiator
25 194 194 drinking glass, wineglass
102 255 0 clock
92 0 255 flag
"""
"""Each class: its colour, red, green and blue, and its names."""

_MOST_WORDS = 3
_WORD = re.compile(r"[a-z]+(?:-[a-z]+)*|[,.;:()]")
_GOLDEN = 0.618034
_SINGULARS = (
    *(("ies", "y"), ("ves", "f"), ("ches", "ch"), ("shes", "sh"), ("sses", "ss")),
    *(("oxes", "ox"), ("uses", "us"), ("s", "")),
)
"""How words end that mean several, and the one."""


def _read_table() -> dict[str, Colour]:
    classes: dict[str, Colour] = {}
    for line in _TABLE.strip().splitlines():
        red, green, blue, names = line.split(" ", 3)
        classes |= dict.fromkeys(names.split(", "), (int(red), int(green), int(blue)))
    return classes


CLASSES = _read_table()
"""A class's colour by each of its names."""


def class_colour(prompt: str) -> Colour | None:
    """The colour of the class that a prompt names; None when it names none.

    What comes first is meant, but of words side by side the last ("a stone bridge"), and what
    follows "of" before what it belongs to ("a painting of the sea"). A longer name wins over the
    words in it ("swimming pool").
    """
    words = _WORD.findall(prompt.lower())
    found: list[tuple[int, int, Colour]] = []
    place = 0
    while place < len(words):
        length, colour = _named(words[place : place + _MOST_WORDS])
        if colour is not None:
            if found and found[-1][1] == place:
                found.pop()
            found.append((place, place + length, colour))
        place += length
    for _, end, colour in found:
        if words[end : end + 1] != ["of"]:
            return colour
    return found[-1][2] if found else None


def class_colours(prompts: Sequence[str]) -> list[Colour]:
    """For each prompt its class's colour, or, for one that names none, one that no class has.

    Those are dark and dull: the palette is neither, and no class is claimed that nobody named.
    """
    return [class_colour(prompt) or _no_class(number) for number, prompt in enumerate(prompts)]


def _named(words: Sequence[str]) -> tuple[int, Colour | None]:
    """How many of the next words are the longest name among them, and its colour; or one word."""
    for length in range(len(words), 0, -1):
        name = " ".join(words[:length])
        for possible in (name, *_singular(name)):
            if possible in CLASSES:
                return length, CLASSES[possible]
    return 1, None


def _singular(name: str) -> list[str]:
    return [name.removesuffix(end) + one for end, one in _SINGULARS if name.endswith(end)]


def _no_class(number: int) -> Colour:
    red, green, blue = colorsys.hsv_to_rgb(number * _GOLDEN % 1, 0.5, 0.25)
    return round(255 * red), round(255 * green), round(255 * blue)
