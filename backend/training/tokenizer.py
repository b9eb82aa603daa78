"""Learns the byte-level tokenizer from captions and common words."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer, normalizers, pre_tokenizers, trainers
from tokenizers.models import BPE
from transformers import CLIPTokenizer

from .captions import caption, vocabulary
from .labels import KINDS, sample_label

MAX_TOKENS = 40
VOCABULARY_SIZE = 2048
START, END = "<|startoftext|>", "<|endoftext|>"
WORD_END = "</w>"

# Words a stranger may type: they get short spellings although no picture ever had them.
COMMON_WORDS = (
    "the a an and or of in on at to with without from by for over under above below behind "
    "before between near next beside around through across into onto up down left right top "
    "bottom middle centre center side edge front back inside outside left-hand right-hand is "
    "are be has have very more less some many few all every no not one two three four five six "
    "seven eight nine ten big small large tiny huge little tall short long wide narrow high low "
    "old new young round square flat soft hard smooth rough bright dark light pale deep warm "
    "cold hot cool dry wet clean dirty beautiful pretty lovely cute charming magical dreamy "
    "quiet calm peaceful stormy foggy misty cloudy sunny rainy snowy frozen golden silver red "
    "orange yellow green blue purple pink white black grey gray brown violet turquoise teal "
    "colourful colorful photo photograph painting watercolor watercolour drawing sketch "
    "illustration picture image art style texture pattern background seamless detailed "
    "realistic cartoon storybook book page house home cottage castle tower church bridge road "
    "path street door window wall roof garden fence farm barn village town city building tree "
    "trees forest wood woods leaf leaves branch flower flowers rose grass meadow field hill "
    "hills mountain mountains valley river lake pond sea ocean beach island coast wave waves "
    "water rain snow ice fire smoke cloud clouds sky sun moon star stars rainbow night day "
    "morning evening sunset sunrise dawn dusk spring summer autumn winter bird cat dog horse "
    "fish sheep cow fox bear rabbit man woman child boy girl people person king queen knight "
    "dragon boat ship sail balloon kite car train bicycle lamp lantern candle table chair bed "
    "bread apple cheese sand stone stones rock rocks brick bricks tile tiles plank planks lava "
    "desert cactus palm skyline landscape scene view horizon floor carpet quilt bamboo pine "
    "wheat lavender blossom mushroom lighthouse windmill bridge harbour harbor port clearing pier "
    "church quay winter"
)


def training_text(seed: int, count: int) -> list[str]:
    """Captions of random labels, every canonical prompt, and the common words."""
    rng = np.random.default_rng(seed)
    text = [caption(rng, sample_label(rng, KINDS[i % len(KINDS)])) for i in range(count)]
    for prompts in vocabulary().values():
        text.extend(prompts)
    return text + [COMMON_WORDS] * 20


def learn_merges(text: list[str]) -> list[tuple[str, str]]:
    """Byte-pair merges in order of use, over the same splitting as `CLIPTokenizer`."""
    tokenizer = Tokenizer(BPE(end_of_word_suffix=WORD_END))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY_SIZE, end_of_word_suffix=WORD_END, show_progress=False
    )
    tokenizer.train_from_iterator([line.replace(",", " ") for line in text], trainer)
    return [tuple(pair) for pair in json.loads(tokenizer.to_str())["model"]["merges"]]


def build_tokenizer(seed: int = 1, count: int = 8000) -> CLIPTokenizer:
    """A CLIP tokenizer that can spell any text: all 256 bytes, inside and at the end of words."""
    merges = learn_merges(training_text(seed, count))
    base = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens = base + [token + WORD_END for token in base]
    tokens += ["".join(pair) for pair in merges]
    tokens = list(dict.fromkeys(tokens))[: VOCABULARY_SIZE - 2]
    known = set(tokens)
    merges = [pair for pair in merges if "".join(pair) in known]
    vocab = {token: number for number, token in enumerate([*tokens, START, END])}
    return CLIPTokenizer(vocab=vocab, merges=merges, model_max_length=MAX_TOKENS)


def kept_tokenizer(work: Path) -> CLIPTokenizer:
    """The tokenizer of a training run: built once, then read from `work`, as numbers must stay."""
    folder = work / "tokenizer"
    if not folder.exists():
        build_tokenizer().save_pretrained(folder)
    return CLIPTokenizer.from_pretrained(folder)
