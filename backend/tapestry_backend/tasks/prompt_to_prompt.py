"""Words change and shapes stay: Prompt-to-Prompt (Hertz et al. 2023) on a canvas of any size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from tapestry_protocol.messages import Edit

from ..engine.multidiffusion import MultiDiffusion, RegionPrompt, WindowContext
from ..engine.noise_schedule import SamplingStep
from ..engine.paired import PairedDiffusion, RowPair
from ..models.attention_pairs import AttentionPair, Taken, TokenMap
from ..models.denoiser import Denoiser
from .denoising_pass import Texts


class ShapeKeeper:
    """A denoiser that takes over the shapes of the picture as it is, at the same noise level.

    source, target    what the model has read of the words for both, a region prompt for each region
    maps       for each region what attention to the words of one means for those of the other
    denoise    of the target, as it would be without this
    levels     the inverted picture, by the index of the step that begins there
    first      the index of the first step
    """

    def __init__(
        self,
        edit: Edit,
        model: Denoiser,
        source: Texts,
        target: Texts,
        maps: Sequence[TokenMap],
        denoise: MultiDiffusion,
        levels: Mapping[int, Tensor],
        first: int,
    ) -> None:
        self._edit = edit
        self._model = model
        self._maps = maps
        self._adapter_sets = denoise.adapter_sets
        self._levels = levels
        self._first = first
        behind = len(source.conditions)
        self._paired = PairedDiffusion(
            self._predict,
            denoise.views,
            source.region_prompts,
            [_moved(prompt, behind) for prompt in target.region_prompts],
            model.stacked([*source.conditions.split(1), *target.conditions.split(1)]),
            denoise.batch_size,
            denoise.framed,
            model.guidance_rescale,
        )

    @property
    def evaluations(self) -> int:
        """Rows that have gone through the model so far."""
        return self._paired.evaluations

    @property
    def batch_size(self) -> int:
        """Rows of one evaluation; fewer since memory ran out."""
        return self._paired.batch_size

    def __call__(self, latents: Tensor, step: SamplingStep) -> Tensor:
        """Latents [1, C, h, w] -> the fused prediction [1, C, h, w]."""
        return self._paired(self._levels[step.step_index], latents, step)

    def _predict(
        self,
        inputs: Tensor,
        step: SamplingStep,
        conditions: Tensor,
        contexts: Sequence[WindowContext],
        pairs: Sequence[RowPair],
        adapter_set: int | None,
    ) -> Tensor:
        """As `PairedPredict`."""
        edit = self._edit
        done = (step.step_index - self._first) / (step.num_steps - self._first)
        taken = Taken(done < edit.cross_attention, done < edit.self_attention, done < edit.features)
        attention_pairs = [AttentionPair(p.source, p.target, self._maps[p.region]) for p in pairs]
        with self._model.shapes_taken_over(attention_pairs, len(inputs), taken):
            if adapter_set is None:
                return self._model.predict(inputs, step.timestep, conditions, contexts)
            return self._adapter_sets[adapter_set](inputs, step, conditions, contexts)


def _moved(prompt: RegionPrompt, by: int) -> RegionPrompt:
    own, negative = prompt.condition + by, prompt.negative_condition + by
    return prompt._replace(condition=own, negative_condition=negative)
