"""One pass from noise to latents over a canvas of some size: the draft, or the picture itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from tapestry_protocol.adapters import Lora

from ..engine.jumps import Jump
from ..engine.layers import MARGIN, Layers, make_layers
from ..engine.multidiffusion import Bootstrapping, MultiDiffusion, RegionPrompt
from ..engine.noise import canvas_noise, coarse, job_generator
from ..engine.regions import owners
from ..engine.sampling import Denoise, Preserved, Steer, Step, sample
from ..engine.step_cache import StepCache
from ..engine.views import ViewPlan, WindowLayout
from ..engine.windows import Size
from ..models.denoiser import Denoiser
from .canvas_source import CanvasSource
from .conditioning import Conditioning
from .failure_messages import not_read
from .plan import Plan

TextKey = tuple[str, float, tuple[Lora, ...]]
"""A text, a distilled model's guidance scale that goes with it, the LoRAs it is read with."""


class Encoded(NamedTuple):
    """A text as the model takes it, and what of it the model does not read; empty: it reads all."""

    condition: Tensor
    unread: str


@dataclass(frozen=True)
class Texts:
    """All prompts of a plan, encoded once: conditions [K, T, D], and what each region takes.

    notices    sentences about prompts that are longer than the model reads
    encoded    each text, for another picture that asks for some of the same
    """

    conditions: Tensor
    region_prompts: tuple[RegionPrompt, ...]
    notices: tuple[str, ...] = ()
    encoded: Mapping[TextKey, Encoded] = field(default_factory=dict)

    @classmethod
    def encode(
        cls,
        plan: Plan,
        model: Denoiser,
        conditioning: Conditioning,
        earlier: Mapping[TextKey, Encoded] | None = None,
    ) -> Texts:
        """Equal texts that are read alike are encoded once, and their evaluations shared.

        A distilled model takes the guidance scale with the text, and has no other guidance.
        earlier: what the same model has encoded for another picture.
        """
        index: dict[TextKey, int] = {}
        encoded: dict[TextKey, Encoded] = {}
        region_prompts = []
        for region in plan.regions:
            scale = region.guidance_scale
            model_scale, guided = (scale, 1.0) if model.distilled else (1.0, scale)
            with conditioning.activated_for(region):
                for text in (region.prompt, region.negative_prompt):
                    key = (text, model_scale, region.loras)
                    if key not in encoded:
                        index[key] = len(index)
                        encoded[key] = (earlier or {}).get(key) or Encoded(
                            model.encode_prompts([text], [model_scale]), model.unread(text)
                        )
                if conditioning.melting is not None and region is plan.regions[-1]:
                    whole = conditioning.melting.encode(region.prompt, model_scale)
                    encoded[region.prompt, model_scale, region.loras] = Encoded(whole, "")
            own, negative = (
                index[text, model_scale, region.loras]
                for text in (region.prompt, region.negative_prompt)
            )
            region_prompts.append(
                RegionPrompt(own, negative, guided, conditioning.adapter_set_of(region))
            )
        unread = {text: found.unread for (text, *_), found in encoded.items() if found.unread}
        notices = (not_read(text, rest) for text, rest in unread.items())
        conditions = model.stacked([found.condition for found in encoded.values()])
        return cls(conditions, tuple(region_prompts), tuple(notices), encoded)


ChangePreserved = Callable[[Preserved | None, Layers], Preserved]
"""What rows of latents preserve, given what the canvas preserves in all of them."""


class DenoisingPass:
    """Paints a canvas, or its draft: iterate over `steps` once; the last has the latents.

    change_preserved    changes what the rows of latents preserve
    jumps               which steps are taken back and again; see `sample`
    fine_noise          how much more there is of what is fine in the noise that a known picture is
                        shown with; the model takes it for detail
    """

    def __init__(
        self,
        plan: Plan,
        model: Denoiser,
        texts: Texts,
        conditioning: Conditioning,
        source: CanvasSource,
        layout: WindowLayout,
        preserved: Preserved | None = None,
        change_preserved: ChangePreserved | None = None,
        fine_noise: float = 0.0,
        jumps: Sequence[Jump] = (),
    ) -> None:
        self._plan = plan
        self._model = model
        self._jumps = jumps
        tight = [region.fit == "tight" for region in plan.regions]
        layers, views = _layers_and_views(plan, source, layout, tight, model.device)
        origin = plan.origin if layout.canvas == plan.canvas else Size(0, 0)
        self._layers = layers.to(model.device)
        self._preserved = source.preserved_in_rows(preserved, self._layers, model)
        if change_preserved is not None:
            self._preserved = change_preserved(self._preserved, self._layers)
        noise = _noise(plan, model.channels, layers, source.weights, origin).to(model.device)
        self._noise = noise + fine_noise * (noise - coarse(noise)) if fine_noise else noise
        # Loose regions are not bootstrapped: they see everything from the start.
        visible = layers.inside[list(layers.rows)] | ~torch.tensor(tight)[:, None, None]
        remembered = plan.request.step_cache
        self.denoise = MultiDiffusion(
            model.predict,
            views,
            texts.region_prompts,
            texts.conditions,
            plan.batch_size,
            latent_rows=layers.rows,
            bootstrapping=Bootstrapping(
                visible.to(model.device), self._noise, plan.request.expert.bootstrapping
            ),
            extra=_extra(model, source),
            guidance_every=plan.guidance_every,
            guidance_rescale=model.guidance_rescale,
            framed=plan.request.expert.framing == "canvas",
            adapter_sets=conditioning.with_adapters(layout.canvas),
            step_cache=StepCache(remembered) if remembered else None,
        )

    @property
    def layers(self) -> Layers:
        """Which regions have latents of their own, and where."""
        return self._layers

    def steps(self, steer: Sequence[Steer] = (), denoise: Denoise | None = None) -> Iterator[Step]:
        """Every step of the sampler; steer: see `sample`. denoise: another one than its own."""
        scheduler = self._model.make_scheduler(self._plan.request.scheduler, self._plan.window)
        yield from sample(
            denoise or self.denoise,
            scheduler,
            self._noise,
            self._plan.request.num_inference_steps,
            job_generator(self._plan.request.seed),
            self._preserved,
            steer,
            self._layers,
            self._jumps,
        )


def _layers_and_views(
    plan: Plan,
    source: CanvasSource,
    layout: WindowLayout,
    tight: Sequence[bool],
    device: torch.device,
) -> tuple[Layers, ViewPlan]:
    """Which regions get latents of their own, and in which windows each region is evaluated."""
    # A draft is smaller than the picture, and so are the margins around its regions.
    margin = round(MARGIN * layout.canvas.height / plan.canvas.height) or 1
    layers = make_layers(source.weights, tight, margin=margin, wrap=layout.wrap)
    # Predictions are not read where the picture is preserved: views without weight are dropped.
    new = source.new
    views = ViewPlan(
        layout,
        layers.within * new,
        needed=source.weights * new,
        margin=margin,
        seed=plan.request.seed,
        device=device,
    )
    if layout.mode == "overlap":
        layers = layers.reached(views.reach | (new == 0))
    return layers, views


def _noise(plan: Plan, channels: int, layers: Layers, weights: Tensor, origin: Size) -> Tensor:
    """The canvas' noise [L, C, h, w]; a region with a seed of its own keeps its own noise.

    So it keeps its look when its neighbours change.
    """
    size = Size(*weights.shape[-2:])
    noise = canvas_noise(plan.request.seed, channels, size, origin).repeat(layers.count, 1, 1, 1)
    owned = owners(layers.within[[row == 0 for row in layers.rows]])
    cells = iter(owned)
    for region, row in zip(plan.regions, layers.rows, strict=True):
        where = next(cells) if row == 0 else torch.ones(size, dtype=torch.bool)
        if region.seed != plan.request.seed:
            own = canvas_noise(region.seed, channels, size, origin)[0]
            noise[row] = torch.where(where, own, noise[row])
    return noise


def _extra(model: Denoiser, source: CanvasSource) -> Tensor | None:
    """The further input of an inpainting model: [1, 1 + C, h, w], mask and masked picture."""
    if not model.inpaints:
        return None
    pixels, known = source.known_pixels
    new = functional.max_pool2d((~known).float()[None, None], source.cell_px)
    masked = torch.where(known, pixels * 2 - 1, 0.0)
    return torch.cat([new.to(model.device), model.encode(masked).float()], dim=1)
