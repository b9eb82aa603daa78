"""A picture changed by an instruction, with a model that was made for it.

InstructPix2Pix takes the picture's latents behind the noised ones; FLUX.1 Kontext, FLUX.2 and
Qwen-Image-Edit are shown the picture beside what they paint, and guided as ever.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from tapestry_protocol.messages import Edit, Request
from tapestry_protocol.pixels import Bounds, Pixels, PixelsRef
from tapestry_protocol.sentences import Sentence

from ..engine.instructed import InstructedDiffusion
from ..engine.multidiffusion import MultiDiffusion, WindowContext
from ..engine.noise_schedule import SamplingStep
from ..models.denoiser import Denoiser
from ..models.model_cache import ModelCache
from .canvas import pixel_array, preview_rgba
from .canvas_source import read_canvas_source
from .conditioning import Conditioning
from .denoising_pass import DenoisingPass, Texts
from .editing import changed_share, changing_pixels, decode_change, places_of, regions_as_words
from .events import Finished, Progressed
from .failure_messages import settings_notices
from .finite import check_finite
from .model_loading import load_model
from .plan import Plan, make_plan
from .report import Stopwatch, make_report
from .shown_pictures import ShownPictures


def run_instruction(
    request: Request, blobs: Mapping[str, bytes], model_cache: ModelCache, notices: Sequence[str]
) -> Iterator[Progressed | Finished]:
    """An instructed edit from beginning to end; as `run`, with a request that was checked.

    The prompts are the instructions: a region's for its place, the picture's for all others; where
    there is none, and outside the selection, the picture stays.
    """
    edit = request.edit or Edit("instruct")
    watch = Stopwatch()
    model = yield from load_model(request, model_cache, watch)
    with watch.stage("encode"):
        plan = make_plan(regions_as_words(request), model)
        canvas = read_canvas_source(plan.request, blobs, plan)
        if canvas.source.pixels is None:
            raise TypeError("the request was checked for its picture")
        prompts = [region.prompt for region in request.regions] + [request.prompt]
        changes = [bool(prompt.strip()) for prompt in prompts]
        places = places_of(plan.request, blobs, plan)
        changing = changing_pixels(changes, places, canvas, plan)
        conditioning = Conditioning(
            plan.request, blobs, plan, model, model_cache.catalogue.adapters
        )
        pixels = canvas.source.pixels * 2 - 1
        references = [_on_white(reference, blobs) for reference in edit.references]
        seen = ([pixels] if edit.picture_shown != "none" else []) + references
        with model.looking_at(seen):
            texts = Texts.encode(plan, model, conditioning)
        check_finite(texts.conditions, "reading the prompts")
        until = torch.where(changing > 0, 1 - plan.strength, 1.0)
        source = replace(canvas.source, preserve_until=until)
        preserved = source.preserved_latents(model)
        args = plan, model, texts, conditioning, source, plan.layout, preserved
        passing = DenoisingPass(*args)
        denoise = _shown(passing.denoise, pixels, references, edit, model)
        planned = denoise.batch_size
    yield Progressed("denoising")
    with watch.stage("denoise"):
        for step in passing.steps(denoise=denoise):
            check_finite(
                step.latents,
                Sentence("{stage} (step {step})", stage=Sentence("denoising"), step=step.number),
            )
            latents = step.latents
            look = partial(_preview, model, plan, step.denoised)
            yield Progressed("denoising", step.number, step.num_steps, look)
    yield Progressed("decoding")
    with watch.stage("decode"):
        rgba = decode_change(latents, changing, canvas, model, plan)
    told = [*notices, *texts.notices, *conditioning.notices, *canvas.notices]
    told += settings_notices(
        request,
        model_cache.variant_of(request.model),
        denoise.batch_size,
        planned,
        knows_clip_skip=model.knows_clip_skip,
    )
    report: dict[str, Any] = make_report(
        plan, denoise.evaluations, told, watch, passing.denoise.left_out
    )
    report["edit"] = {
        "method": edit.method,
        "changed": changed_share(rgba),
        "references": len(references),
    }
    yield Finished(rgba, Bounds(0, 0, request.height, request.width), report)


def _shown(
    plain: MultiDiffusion,
    pixels: Tensor,
    references: Sequence[Tensor],
    edit: Edit,
    model: Denoiser,
) -> InstructedDiffusion | MultiDiffusion:
    """The same windows, regions and texts, with the picture [1, 3, H, W] shown, and others."""
    if model.references:
        shown = ShownPictures.of_canvas(pixels, edit.picture_shown, model, references)
        return shown.beside(plain)
    return _instructed(plain, model.shown_picture(pixels).float(), edit, model)


def _instructed(
    plain: MultiDiffusion, picture: Tensor, edit: Edit, model: Denoiser
) -> InstructedDiffusion:
    """Guided by the picture and by the text (InstructPix2Pix)."""

    def predict(
        inputs: Tensor,
        step: SamplingStep,
        conditions: Tensor,
        contexts: Sequence[WindowContext],
        adapter_set: int | None,
    ) -> Tensor:
        if adapter_set is None:
            return model.predict(inputs, step.timestep, conditions, contexts)
        return plain.adapter_sets[adapter_set](inputs, step, conditions, contexts)

    return InstructedDiffusion(
        predict,
        plain.views,
        plain.region_prompts,
        plain.conditions,
        picture,
        edit.picture_scale,
        plain.batch_size,
        plain.framed,
    )


def _on_white(reference: PixelsRef, blobs: Mapping[str, bytes]) -> Tensor:
    """Another picture, white where nothing is painted: [1, 3, h, w] in -1..1."""
    rgba = torch.from_numpy(pixel_array(reference, blobs)).permute(2, 0, 1)[None].float() / 255
    rgb, alpha = rgba[:, :3], rgba[:, 3:]
    return (rgb * alpha + 1 - alpha) * 2 - 1


def _preview(model: Denoiser, plan: Plan, denoised: Tensor) -> Pixels:
    return preview_rgba(model.preview(denoised), plan)
