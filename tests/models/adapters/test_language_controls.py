"""ControlNets of Z-Image and Qwen-Image, which read texts with a language model."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
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
from tapestry_backend.models.model_cache import ModelCache
from tapestry_protocol.adapters import Control
from tapestry_protocol.errors import TapestryError
from tapestry_protocol.messages import Request
from tapestry_protocol.pixels import Pixels
from tests.models.adapters.conftest import near
from tests.models.adapters.family_inputs import SIDE, STEPS, latents_of
from tests.models.adapters.parts import a_layer, as_image, control, region
from tests.models.adapters.tiny_adapters import save_qwen_controlnet, save_z_controlnet
from tests.models.tiny_checkpoints import FACTOR, WINDOW, save_flux, save_qwen_image, save_z_image

SCALE = 5.0
"""What a request asks for; see `latents_of`."""


def _save_z(folder: Path, transformer: Any) -> None:
    save_z_controlnet(folder / "edges", transformer)
    save_z_controlnet(folder / "depth", transformer, seed=8)
    save_z_controlnet(folder / "other", transformer, seed=9, other="control_layers")
    save_z_controlnet(folder / "third", transformer, seed=9, other="control_noise_refiner")


def _save_qwen(folder: Path, transformer: Any) -> None:
    save_qwen_controlnet(folder / "edges", transformer)
    save_qwen_controlnet(folder / "depth", transformer, seed=8)


def _save_qwen_image(folder: Path) -> Path:
    """One whose noise levels end at 0, so that a single step can be taken."""
    path = save_qwen_image(folder) / "scheduler" / "scheduler_config.json"
    settings = json.loads(path.read_text("utf-8")) | {"shift_terminal": None}
    path.write_text(json.dumps(settings), "utf-8")
    return folder


class Kind(NamedTuple):
    """A family: how its checkpoint and networks are saved, and what diffusers calls them."""

    save: Callable[[Path], Path]
    save_networks: Callable[[Path, Any], None]
    transformer: str
    network: str
    pipeline: str
    asked: Mapping[str, Any]


KINDS = {
    "z_image": Kind(
        save_z_image,
        _save_z,
        "ZImageTransformer2DModel",
        "ZImageControlNetModel",
        "ZImageControlNetPipeline",
        {"guidance_scale": SCALE - 1},
    ),
    "qwen_image": Kind(
        _save_qwen_image,
        _save_qwen,
        "QwenImageTransformer2DModel",
        "QwenImageControlNetModel",
        "QwenImageControlNetPipeline",
        {"negative_prompt": "", "true_cfg_scale": SCALE},
    ),
}


class Lab(NamedTuple):
    """A tiny checkpoint of a family, with its ControlNets."""

    family: str
    folder: Path
    adapters: Path
    model_cache: ModelCache

    def painted(self, name: str, layer: Pixels, weight: float, **asked: Any) -> Tensor:
        """What diffusers' own pipeline ends with."""
        kind = KINDS[self.family]
        network = getattr(diffusers, kind.network).from_pretrained(self.adapters / name)
        pipeline = getattr(diffusers, kind.pipeline).from_pretrained(
            self.folder, controlnet=network
        )
        pipeline.set_progress_bar_config(disable=True)
        if self.family == "qwen_image":
            _ask_about_both_texts(pipeline)
        model: Any = self.model_cache.load(str(self.folder))
        noise = canvas_noise(0, model.channels, Size(WINDOW, WINDOW))
        in_a_row = self.family == "qwen_image"
        made = pipeline(
            "snow",
            control_image=as_image(layer),
            controlnet_conditioning_scale=weight,
            latents=noise.flatten(2).transpose(1, 2) if in_a_row else noise,
            num_inference_steps=STEPS,
            height=SIDE,
            width=SIDE,
            output_type="latent",
            **{**kind.asked, **asked},
        ).images
        return made.transpose(1, 2).unflatten(2, (WINDOW, WINDOW)) if in_a_row else made

    def latents(self, *controls: Control, layers: tuple[Pixels, ...] = (), **fields: Any) -> Tensor:
        """What a request ends with that shows these."""
        blobs = {layer.sha256: layer.data for layer in layers} | fields.pop("blobs", {})
        fields = {"guidance_scale": SCALE, **fields}
        return latents_of(self.model_cache, self.folder, blobs=blobs, controls=controls, **fields)


def _ask_about_both_texts(pipeline: Any) -> None:
    """Qwen-Image's pipeline adds to the negative text what its network said of the other one.

    Here each text is asked about, as in the pipelines of all other families.
    """
    transformer, network = pipeline.transformer.forward, pipeline.controlnet.forward
    heard: dict[str, Any] = {}

    def steer(**given: Any) -> Any:
        heard.update(given)
        return network(**given)

    def ask(**given: Any) -> Any:
        texts = ("encoder_hidden_states", "encoder_hidden_states_mask")
        own = {**heard, **{name: given[name] for name in texts}}
        return transformer(**{**given, "controlnet_block_samples": network(**own)})

    pipeline.controlnet.forward, pipeline.transformer.forward = steer, ask


@pytest.fixture(autouse=True)
def _not_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Diffusers' pipelines draw the latents of a control picture; here they take the middle."""
    monkeypatch.setattr(DiagonalGaussianDistribution, "sample", lambda told, *_, **__: told.mode())


@pytest.fixture(scope="module", params=KINDS)
def lab(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """Of both families in turn."""
    family, folder = request.param, tmp_path_factory.mktemp(request.param)
    kind = KINDS[family]
    model, adapters = kind.save(folder / family), folder / "adapters"
    transformer = getattr(diffusers, kind.transformer).from_pretrained(model / "transformer")
    kind.save_networks(adapters, transformer)
    cache = ModelCache(Catalogue([str(model)], adapters=[str(adapters)]))
    return Lab(family, model, adapters, cache)


def test_one_window_is_what_diffusers_paints_with_a_controlnet(lab: Lab) -> None:
    """With each of the builds that there are, one of which would see a mask as well."""
    layer = a_layer(SIDE, SIDE)
    plain = lab.latents()
    for folder in sorted(lab.adapters.iterdir()):
        shown = control(folder.name, layer, weight=0.7)
        ours = lab.latents(shown, layers=(layer,))

        near(ours, lab.painted(folder.name, layer, 0.7))
        assert float((ours - plain).abs().max()) > 0.01, folder.name


def test_without_guidance_qwen_images_pipeline_is_met_as_it_is(lab: Lab) -> None:
    """Where there is one text alone, nothing is asked about another one."""
    layer = a_layer(SIDE, SIDE)
    none = {
        "z_image": {"guidance_scale": 0.0},
        "qwen_image": {"true_cfg_scale": 1.0, "negative_prompt": None},
    }
    shown = control("edges", layer, weight=0.7)

    near(
        lab.latents(shown, layers=(layer,), guidance_scale=1.0),
        lab.painted("edges", layer, 0.7, **none[lab.family]),
    )


def test_two_add_up(lab: Lab) -> None:
    """What two networks say of the first block is the sum of what each says."""
    model: Any = lab.model_cache.load(str(lab.folder))
    layers = a_layer(SIDE, SIDE, 1), a_layer(SIDE, SIDE, 2)
    transformer, given = model._transformer, []

    def watch(_module: Any, _args: Any, kwargs: dict[str, Any]) -> None:
        made = kwargs["controlnet_block_samples"]
        given.append(made[0].clone())

    handle = transformer.register_forward_pre_hook(watch, with_kwargs=True)
    shown = (
        control("edges", layers[0], weight=0.8),
        control("depth", layers[1], weight=1.5),
    )
    try:
        for controls in (shown[:1], shown[1:], shown):
            lab.latents(*controls, layers=layers, num_inference_steps=1, guidance_scale=1.0)
    finally:
        handle.remove()
    one, other, both = given

    torch.testing.assert_close(both, one + other)


def test_a_weight_of_nothing_is_none(lab: Lab) -> None:
    """To the last bit."""
    layer = a_layer(SIDE, SIDE)
    shown = control("edges", layer, weight=0.0)

    assert torch.equal(lab.latents(shown, layers=(layer,)), lab.latents())


def test_the_transformers_layers_stay_its_own(lab: Lab) -> None:
    """Z-Image's networks have them only while they are asked."""
    layer = a_layer(SIDE, SIDE)
    lab.latents(control("edges", layer), layers=(layer,), num_inference_steps=1)
    model: Any = lab.model_cache.load(str(lab.folder))
    adapter = lab.model_cache.catalogue.adapters.find("edges", "controlnet")
    own = {id(part) for part in model.adapter_manager.control(adapter).parameters()}

    assert own.isdisjoint(id(part) for part in model._transformer.parameters())


def test_a_regions_control_steers_that_region_alone(lab: Lab) -> None:
    """After one step nothing but its own cells has changed; texts are of different length."""
    layer = a_layer(64, 256)
    results = []
    for weight in (0.5, 1.0):
        own, blobs = region(
            *(0, 64),
            prompt="lava that glows in the dark",
            fit="loose",
            controls=(control("edges", layer, weight=weight),),
        )
        fields = {"width": 256, "regions": (own,), "num_inference_steps": 1, "composition": 0.0}
        results.append(lab.latents(layers=(layer,), blobs=blobs, **fields))
    differ = (results[0] != results[1]).any(dim=0).any(dim=0).any(dim=0)

    assert bool(differ[: 64 // FACTOR].all())
    assert not bool(differ[64 // FACTOR + WINDOW // 2 :].any())


def test_a_controlnet_of_another_family_is_refused_before_anything_is_loaded(
    lab: Lab, tmp_path: Path
) -> None:
    """By its configuration's class."""
    folder = save_flux(tmp_path / "flux")
    cache = ModelCache(Catalogue([str(folder)], adapters=[str(lab.adapters)]))
    request = Request(
        "generate", 64, 64, controls=(Control("edges", "regions"),), model=str(folder)
    )
    with pytest.raises(TapestryError, match="The ControlNet “edges” was made for"):
        cache.catalogue.check(request)


def test_a_controlnet_of_another_build_is_refused(lab: Lab, tmp_path: Path) -> None:
    """When its sizes are known, and with a sentence."""
    transformer = lab.model_cache.load(str(lab.folder))._transformer  # type: ignore[attr-defined]
    wider = {
        "z_image": {"dim": 64, "n_heads": 4, "n_kv_heads": 4},
        "qwen_image": {"num_attention_heads": 4},
    }
    wide = type(transformer).from_config({**transformer.config, **wider[lab.family]})
    save = {"z_image": save_z_controlnet, "qwen_image": save_qwen_controlnet}[lab.family]
    save(tmp_path / "wide", wide)
    cache = ModelCache(Catalogue([str(lab.folder)], adapters=[str(tmp_path / "wide")]))
    with pytest.raises(TapestryError, match="The ControlNet “wide” was made for"):
        latents_of(cache, lab.folder, controls=(Control("wide", "regions"),))


def test_one_that_wants_to_see_a_mask_gets_a_sentence(tmp_path: Path) -> None:
    """Qwen-Image's for inpainting."""
    folder = save_qwen_image(tmp_path / "qwen")
    transformer = diffusers.QwenImageTransformer2DModel.from_pretrained(folder / "transformer")
    network = diffusers.QwenImageControlNetModel.from_config(
        {**transformer.config, "extra_condition_channels": 4}
    )
    network.save_pretrained(tmp_path / "holes")
    with pytest.raises(TapestryError, match="cannot be opened") as raised:
        read_adapter(tmp_path / "holes")

    assert "wants to see a mask" in raised.value.message
