"""ControlNets of Stable Diffusion 3 and FLUX.1: diffusers' own numbers; each window its crop."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import diffusers
import pytest
import torch
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution
from torch import Tensor

from tapestry_backend.checkpoints.adapter_recognition import read_adapter
from tapestry_backend.checkpoints.catalogue import Catalogue
from tapestry_backend.engine.noise import canvas_noise
from tapestry_backend.engine.windows import Size
from tapestry_backend.models.adapters.control_input import ControlInput
from tapestry_backend.models.model_cache import ModelCache
from tapestry_protocol.adapters import Control
from tapestry_protocol.errors import TapestryError
from tapestry_protocol.messages import Request
from tapestry_protocol.pixels import Pixels
from tests.models.adapters.conftest import near
from tests.models.adapters.family_inputs import SIDE, latents_of, of_window
from tests.models.adapters.parts import a_layer, as_image, control, region
from tests.models.adapters.tiny_adapters import (
    save_controlnet,
    save_flux_controlnet,
    save_sd3_controlnet,
)
from tests.models.tiny_checkpoints import FACTOR, WINDOW, save_3, save_checkpoint, save_flux


class Lab(NamedTuple):
    """A tiny checkpoint of a family, with its ControlNets."""

    family: str
    folder: Path
    adapters: Path
    model_cache: ModelCache

    def pipeline(self, *names: str) -> Any:
        """Diffusers' own, with these ControlNets."""
        three = self.family == "sd3"
        kind = diffusers.SD3ControlNetModel if three else diffusers.FluxControlNetModel
        networks = [kind.from_pretrained(self.adapters / name) for name in names]
        of = (
            diffusers.StableDiffusion3ControlNetPipeline
            if three
            else (diffusers.FluxControlNetPipeline)
        )
        own = networks if len(networks) > 1 else networks[0]
        pipeline = of.from_pretrained(self.folder, controlnet=own)
        pipeline.set_progress_bar_config(disable=True)
        return pipeline

    def latents(self, *controls: Control, layers: tuple[Pixels, ...] = (), **fields: Any) -> Tensor:
        """What a request ends with that shows these."""
        blobs = {layer.sha256: layer.data for layer in layers} | fields.pop("blobs", {})
        return latents_of(self.model_cache, self.folder, blobs=blobs, controls=controls, **fields)


@pytest.fixture(autouse=True)
def _not_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Diffusers' pipelines draw the latents of a control picture; here they take the middle."""
    monkeypatch.setattr(DiagonalGaussianDistribution, "sample", lambda told, *_, **__: told.mode())


def a_lab(family: str, folder: Path, **options: Any) -> Lab:
    """Two ControlNets of the usual kind, and one of the other kind that the family has."""
    save = save_3 if family == "sd3" else save_flux
    model = save(folder / family, **options)
    adapters = folder / "adapters"
    adapters.mkdir()
    transformer = {
        "sd3": diffusers.SD3Transformer2DModel,
        "flux": diffusers.FluxTransformer2DModel,
    }[family].from_pretrained(model / "transformer")
    save_network = save_sd3_controlnet if family == "sd3" else save_flux_controlnet
    save_network(adapters / "edges", transformer)
    save_network(adapters / "depth", transformer, seed=8)
    save_network(adapters / "other", transformer, seed=9, other=True)
    names = [str(adapters)]
    return Lab(family, model, adapters, ModelCache(Catalogue([str(model)], adapters=names)))


@pytest.fixture(scope="module", params=["sd3", "flux"])
def lab(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """Of both families in turn."""
    return a_lab(request.param, tmp_path_factory.mktemp(request.param))


@pytest.mark.parametrize("name", ["edges", "other"])
def test_one_window_is_what_diffusers_paints_with_a_controlnet(lab: Lab, name: str) -> None:
    """Also with one of the other kind: 3.5's, without texts and places, or one that sees pixels."""
    layer = a_layer(SIDE, SIDE)
    pipeline = lab.pipeline(name)
    theirs = of_window(
        pipeline,
        lab.family,
        control_image=as_image(layer),
        controlnet_conditioning_scale=0.7,
        control_guidance_end=0.7,
    )
    shown = control(name, layer, weight=0.7, end=0.7)
    ours = lab.latents(shown, layers=(layer,))

    near(ours, theirs)
    assert float((ours - lab.latents()).abs().max()) > 0.01


def test_one_window_is_what_diffusers_paints_with_two(lab: Lab) -> None:
    """Each with its own picture, weight, start and end."""
    layers = a_layer(SIDE, SIDE, 1), a_layer(SIDE, SIDE, 2)
    theirs = of_window(
        lab.pipeline("edges", "depth"),
        lab.family,
        control_image=[as_image(layer) for layer in layers],
        controlnet_conditioning_scale=[0.8, 1.5],
        control_guidance_start=[0.0, 0.3],
        control_guidance_end=[0.7, 1.0],
    )
    controls = (
        control("edges", layers[0], weight=0.8, end=0.7),
        control("depth", layers[1], weight=1.5, start=0.3),
    )

    near(lab.latents(*controls, layers=layers), theirs)


def test_two_of_different_kinds_add_up(lab: Lab) -> None:
    """Whatever the number of their blocks: what both say of a row is the sum of what each says."""
    model: Any = lab.model_cache.load(str(lab.folder))
    picture = torch.randint(0, 256, (1, 3, SIDE, SIDE), dtype=torch.uint8)
    latents = canvas_noise(0, 4, Size(WINDOW, WINDOW))
    conditions = model.encode_prompts(["snow"], [3.0])
    heard: list[list[Tensor]] = []
    block = model._transformer.transformer_blocks[0]

    def ask(*names: str) -> Tensor:
        shown = []
        for name in names:
            adapter = lab.model_cache.catalogue.adapters.find(name, "controlnet")
            network = model.adapter_manager.control(adapter)
            shown.append(ControlInput(network, model.prepare_control(network, picture), [0], 0.01))
        return model.predict(latents, torch.tensor(500.0), conditions, (), shown)

    handle = block.register_forward_hook(lambda _m, _i, output: heard.append(list(output)))
    try:
        none, one, other, both = (
            ask(*names) for names in ((), ("edges",), ("other",), ("edges", "other"))
        )
    finally:
        handle.remove()

    moved = (one - none) + (other - none)
    assert float(moved.abs().max()) > 1e-4
    torch.testing.assert_close(both - none, moved, atol=2e-2 * float(moved.abs().max()), rtol=0)


def test_a_weight_of_nothing_is_none(lab: Lab) -> None:
    """To the last bit."""
    layer = a_layer(SIDE, SIDE)

    for name in ("edges", "other"):
        shown = control(name, layer, weight=0.0)
        assert torch.equal(lab.latents(shown, layers=(layer,)), lab.latents())


@pytest.mark.parametrize("name", ["edges", "other"])
def test_each_window_sees_what_diffusers_would_show_it(lab: Lab, name: str) -> None:
    """Its crop of the picture as a picture of its own, not a crop of the latents of the whole."""
    model: Any = lab.model_cache.load(str(lab.folder))
    network = model.adapter_manager.control(
        lab.model_cache.catalogue.adapters.find(name, "controlnet")
    )
    seen: list[Tensor] = []
    watch: Callable[..., None] = lambda _m, args, *_: seen.append(args[1].clone())  # noqa: E731
    layer = a_layer(SIDE, 2 * SIDE)
    handle = network.register_forward_pre_hook(watch)
    try:
        lab.latents(control(name, layer), layers=(layer,), width=2 * SIDE, num_inference_steps=1)
    finally:
        handle.remove()
    picture = torch.frombuffer(bytearray(layer.data), dtype=torch.uint8)
    picture = picture.view(1, SIDE, 2 * SIDE, 4)[..., :3].permute(0, 3, 1, 2)
    shown, pixels = torch.cat(seen), name == "other" and lab.family == "flux"

    for left in (0, SIDE):
        crop = model.prepare_control(network, picture[..., left : left + SIDE])
        expected = crop if pixels else _as_shown(lab, crop)
        assert min(float((one - expected[0]).abs().max()) for one in shown) < 1e-5, left
    if not pixels:
        apart = model.prepare_control(network, picture)[..., :WINDOW] - model.prepare_control(
            network, picture[..., :SIDE]
        )
        assert float(apart.abs().max()) > 0.1, "the whole's latents are others"


def _as_shown(lab: Lab, latents: Tensor) -> Tensor:
    if lab.family == "sd3":
        return latents
    return diffusers.FluxPipeline._pack_latents(latents, 1, 4, WINDOW, WINDOW)


def test_a_window_of_odd_size_is_shown_whole_patches(lab: Lab) -> None:
    """As its own latents are continued."""
    model: Any = lab.model_cache.load(str(lab.folder))
    network = model.adapter_manager.control(
        lab.model_cache.catalogue.adapters.find("other", "controlnet")
    )
    picture = torch.randint(0, 256, (1, 3, 13 * FACTOR, 11 * FACTOR), dtype=torch.uint8)
    shown = ControlInput(network, model.prepare_control(network, picture), [0], 1.0)
    latents = canvas_noise(0, 4, Size(13, 11))
    conditions = model.encode_prompts(["snow"], [3.0])
    told = latents, torch.tensor(500.0), conditions

    made = model.predict(*told, (), [shown])
    assert made.shape == latents.shape
    assert not torch.equal(made, model.predict(*told))


def test_a_regions_control_steers_that_region_alone(lab: Lab) -> None:
    """After one step nothing but its own cells has changed."""
    layer = a_layer(64, 256)
    results = []
    for weight in (0.5, 1.0):
        own, blobs = region(0, 64, fit="loose", controls=(control("edges", layer, weight=weight),))
        fields = {"width": 256, "regions": (own,), "num_inference_steps": 1, "composition": 0.0}
        results.append(lab.latents(layers=(layer,), blobs=blobs, **fields))
    differ = (results[0] != results[1]).any(dim=0).any(dim=0).any(dim=0)

    assert bool(differ[: 64 // FACTOR].all())
    assert not bool(differ[64 // FACTOR + WINDOW // 2 :].any())


def test_an_inpainting_model_is_steered_too(tmp_path: Path) -> None:
    """Its networks see neither the mask nor the masked picture."""
    fill = a_lab("flux", tmp_path, fills=True)
    layer = a_layer(SIDE, SIDE)
    made = fill.latents(control("edges", layer), layers=(layer,))

    assert bool(made.isfinite().all())
    assert not torch.equal(made, fill.latents())


def test_schnell_takes_one_that_knows_no_guidance(tmp_path: Path) -> None:
    """Nor does it itself."""
    quick = a_lab("flux", tmp_path, dev=False)
    layer = a_layer(SIDE, SIDE)
    theirs = of_window(
        quick.pipeline("edges"),
        "flux",
        control_image=as_image(layer),
        controlnet_conditioning_scale=0.6,
        max_sequence_length=256,  # as long as schnell was taught
    )

    near(quick.latents(control("edges", layer, weight=0.6), layers=(layer,)), theirs)


def test_a_controlnet_of_another_family_is_refused_before_anything_is_loaded(
    lab: Lab, tmp_path: Path
) -> None:
    """By its configuration's class; one for U-Nets when it is loaded."""
    other = {"sd3": "flux", "flux": "sd3"}[lab.family]
    old = save_checkpoint(tmp_path / "old")
    for model_cache, model in [
        (ModelCache(Catalogue([str(old)], adapters=[str(lab.adapters)])), old),
        (a_lab(other, tmp_path).model_cache, tmp_path / other),
    ]:
        model_cache.catalogue.adapters = Catalogue(adapters=[str(lab.adapters)]).adapters
        request = Request("generate", 64, 64, controls=(Control("edges", "regions"),))
        with pytest.raises(TapestryError, match="The ControlNet “edges” was made for"):
            model_cache.catalogue.check(Request(**{**vars(request), "model": str(model)}))


def test_a_controlnet_of_another_build_is_refused(lab: Lab, tmp_path: Path) -> None:
    """When its sizes are known, and with a sentence."""
    shutil.copytree(lab.adapters / "edges", tmp_path / "wide")
    model: Any = lab.model_cache.load(str(lab.folder))
    transformer = model._transformer
    wide = type(transformer).from_config({**transformer.config, "num_attention_heads": 8})
    save = save_sd3_controlnet if lab.family == "sd3" else save_flux_controlnet
    save(tmp_path / "wide", wide)
    own = ModelCache(Catalogue([str(lab.folder)], adapters=[str(tmp_path / "wide")]))
    with pytest.raises(TapestryError, match="The ControlNet “wide” was made for"):
        latents_of(own, lab.folder, controls=(Control("wide", "regions"),))


@pytest.mark.parametrize(
    ("family", "setting", "problem"),
    [
        ("sd3", {"extra_conditioning_channels": 1}, "wants to see a mask"),
    ],
)
def test_what_wants_more_than_a_picture_gets_a_sentence(
    tmp_path: Path, family: str, setting: dict[str, int], problem: str
) -> None:
    """One for inpainting."""
    folder = a_lab(family, tmp_path).adapters / "edges"
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps({**config, **setting}), encoding="utf-8")
    with pytest.raises(TapestryError, match="cannot be opened") as raised:
        read_adapter(folder)

    assert problem in raised.value.message


def test_a_controlnet_for_u_nets_is_refused(lab: Lab, tmp_path: Path) -> None:
    """Its configuration says no family where its texts are of no usual width."""
    unet = diffusers.UNet2DConditionModel.from_pretrained(save_checkpoint(tmp_path / "a") / "unet")
    save_controlnet(tmp_path / "plain", unet)
    own = ModelCache(Catalogue([str(lab.folder)], adapters=[str(tmp_path / "plain")]))
    with pytest.raises(TapestryError, match="The ControlNet “plain” was made for"):
        latents_of(own, lab.folder, controls=(Control("plain", "regions"),))
