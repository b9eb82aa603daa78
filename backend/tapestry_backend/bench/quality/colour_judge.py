"""Names what each pixel shows, by its colour alone; taught by the model's plain pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ..metrics.colours import Mixture, colour_table, log_likelihoods, named

_RARE = 0.01

_CLEAR = 1.5
"""A colour that is about five times as likely for one of two prompts is its own."""

_TAUGHT = 3
"""Plain pictures of each prompt that teach; one more examines."""

Plain = Callable[[str, int], np.ndarray]
"""(prompt, seed) -> the model's own picture of it, uint8 [H, W, 3]."""


class ColourJudge:
    """Tells prompts apart whose materials have different colours, to the pixel.

    Unlike the judge of patches it has no idea of texture, and none of what lies beside a pixel:
    so an outline is where it is seen, not where a patch ends. A prompt's plain pictures are painted
    when it is first asked for.
    """

    def __init__(self, paint_plain: Plain) -> None:
        self._paint = paint_plain
        self._plain: dict[str, np.ndarray] = {}
        self._tables: dict[str, np.ndarray] = {}

    def name(
        self, picture: np.ndarray, prompts: Sequence[str], sides: np.ndarray | None = None
    ) -> np.ndarray:
        """The index of the likeliest prompt at each pixel of uint8 [H, W, 3]: [H, W].

        sides [H, W]: a pixel is judged together with neighbours of its own number; None: by itself.
        """
        return named(picture, [self._table(prompt) for prompt in prompts], sides)

    def strange(self, picture: np.ndarray, prompts: Sequence[str]) -> np.ndarray:
        """Pixels of uint8 [H, W, 3] whose colour is in none of the prompts' pictures: [H, W] bool.

        One in a hundred pixels of an unseen plain picture is strange to its own prompt.
        """
        strange = np.ones(picture.shape[:2], dtype=bool)
        for prompt in prompts:
            table = [self._table(prompt)]
            own = log_likelihoods(self.unseen(prompt), table)
            strange &= log_likelihoods(picture, table)[0] < np.quantile(own, _RARE)
        return strange

    def nearer(self, picture: np.ndarray, first: str, second: str) -> float:
        """How much of uint8 [H, W, 3] has colours of the first: 0..1 of what is of one of them.

        Pixels that both may well have say nothing: what is around two houses of different colours.
        """
        tables = [self._table(prompt) for prompt in (first, second)]
        one, other = log_likelihoods(picture, tables)
        clear = np.abs(one - other) > _CLEAR
        return float((one > other)[clear].mean()) if clear.any() else 0.5

    def mixture(self, first: str, second: str) -> Mixture:
        """Tells how much of the first is mixed with the second."""
        return Mixture(self._pictures(first)[:_TAUGHT], self._pictures(second)[:_TAUGHT])

    def unseen(self, prompt: str) -> np.ndarray:
        """A plain picture that taught nothing, uint8 [H, W, 3]."""
        return self._pictures(prompt)[_TAUGHT]

    def cut(self, prompts: Sequence[str], labels: np.ndarray) -> np.ndarray:
        """Unseen plain pictures cut to the pixel along labels [H, W]: what perfect would be."""
        height, width = labels.shape
        picture = np.zeros((height, width, 3), np.uint8)
        for number, prompt in enumerate(prompts):
            plain = self.unseen(prompt)
            times = (-(-height // plain.shape[0]), -(-width // plain.shape[1]), 1)
            inside = labels == number
            picture[inside] = np.tile(plain, times)[:height, :width][inside]
        return picture

    def _table(self, prompt: str) -> np.ndarray:
        if prompt not in self._tables:
            self._tables[prompt] = colour_table(self._pictures(prompt)[:_TAUGHT])
        return self._tables[prompt]

    def _pictures(self, prompt: str) -> np.ndarray:
        if prompt not in self._plain:
            # Seeds by how many prompts came before: no other measure's pictures have them.
            first = 40_000 + 10 * len(self._plain)
            made = [self._paint(prompt, first + i) for i in range(_TAUGHT + 1)]
            self._plain[prompt] = np.stack(made)
        return self._plain[prompt]
