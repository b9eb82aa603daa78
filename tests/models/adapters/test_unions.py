"""ControlNets that are several in one: of Stable Diffusion XL and FLUX.1, by type."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from shutil import copyfile, copytree
from typing import Any, NamedTuple

import diffusers
import pytest
import torch
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution
from torch import Tensor

from tapestry_backend.checkpoints.adapter_recognition import read_adapter
from tapestry_backend.checkpoints.catalogue import Catalogue
from tapestry_backend.checkpoints.control_types import mode_of
from tapestry_backend.models.model_cache import ModelCache
from tapestry_protocol.adapters import AdapterInfo, Control
from tapestry_protocol.errors import TapestryError
from tapestry_protocol.messages import Request
from tapestry_protocol.pixels import Pixels
from tests.models.adapters.conftest import near
from tests.models.adapters.family_inputs import SIDE, latents_of, of_window
from tests.models.adapters.parts import a_layer, as_image, control, region
from tests.models.adapters.tiny_adapters import (
    save_controlnet,
    save_flux_controlnet,
    save_union,
)
from tests.models.tiny_checkpoints import FACTOR, WINDOW, save_flux, save_xl

FLUX = ("canny", "tile", "depth", "blur", "pose", "grey", "low_quality")
XL = ("pose", "depth", "soft_edges", "canny", "normals", "segments", "tile")


class Lab(NamedTuple):
    """A tiny checkpoint with `union` and a ControlNet of one type, and diffusers' own numbers."""

    folder: Path
    model_cache: ModelCache
    theirs: Callable[[Pixels, int, float], Tensor]

    def latents(self, *controls: Control, layers: tuple[Pixels, ...] = (), **fields: Any) -> Tensor:
        """What a request ends with that shows these."""
        blobs = {layer.sha256: layer.data for layer in layers} | fields.pop("blobs", {})
        return latents_of(self.model_cache, self.folder, blobs=blobs, controls=controls, **fields)


def xl_lab(folder: Path) -> Lab:
    """Of Stable Diffusion XL."""
    model, adapters = save_xl(folder / "model"), folder / "adapters"
    unet = diffusers.UNet2DConditionModel.from_pretrained(model / "unet")
    save_union(adapters / "union", unet)
    save_controlnet(adapters / "plain", unet)
    weights = adapters / "union" / "diffusion_pytorch_model.safetensors"
    copyfile(weights, adapters / "alone.safetensors")

    def theirs(layer: Pixels, mode: int, weight: float) -> Tensor:
        pipeline = diffusers.StableDiffusionXLControlNetUnionPipeline.from_pretrained(
            model,
            controlnet=diffusers.ControlNetUnionModel.from_pretrained(adapters / "union"),
            add_watermarker=False,
        )
        pipeline.set_progress_bar_config(disable=True)
        return of_window(
            pipeline,
            "sdxl",
            control_image=[as_image(layer)],
            control_mode=[mode],
            controlnet_conditioning_scale=weight,
        )

    return Lab(model, ModelCache(Catalogue([str(model)], adapters=[str(adapters)])), theirs)


def flux_lab(folder: Path) -> Lab:
    """Of FLUX.1."""
    model, adapters = save_flux(folder / "model"), folder / "adapters"
    transformer = diffusers.FluxTransformer2DModel.from_pretrained(model / "transformer")
    save_flux_controlnet(adapters / "union", transformer, modes=10)
    save_flux_controlnet(adapters / "plain", transformer)

    def theirs(layer: Pixels, mode: int, weight: float) -> Tensor:
        pipeline = diffusers.FluxControlNetPipeline.from_pretrained(
            model, controlnet=diffusers.FluxControlNetModel.from_pretrained(adapters / "union")
        )
        pipeline.set_progress_bar_config(disable=True)
        return of_window(
            pipeline,
            "flux",
            control_image=as_image(layer),
            control_mode=mode,
            controlnet_conditioning_scale=weight,
        )

    return Lab(model, ModelCache(Catalogue([str(model)], adapters=[str(adapters)])), theirs)


@pytest.fixture(autouse=True)
def _not_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Diffusers' pipelines draw the latents of a control picture; here they take the middle."""
    monkeypatch.setattr(DiagonalGaussianDistribution, "sample", lambda told, *_, **__: told.mode())


@pytest.fixture(scope="module", params=[xl_lab, flux_lab])
def lab(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """Of both families in turn."""
    return request.param(tmp_path_factory.mktemp("union"))


def types_of(lab: Lab, name: str = "union") -> tuple[str, ...]:
    """Those that an adapter is said to know."""
    return lab.model_cache.catalogue.adapters.find(name, "controlnet").types


def test_its_types_are_told(lab: Lab) -> None:
    """From its configuration, and on the wire; one of one type has none."""
    types = XL if types_of(lab)[0] == "pose" else FLUX
    infos = {info.id: info for info in lab.model_cache.catalogue.adapters.infos}

    assert types_of(lab) == types
    assert infos["union"] == AdapterInfo("union", "controlnet", infos["union"].family, types)
    assert infos["plain"].types == ()


@pytest.mark.parametrize("kind", ["depth", "pose", "tile"])
def test_one_window_is_what_diffusers_paints_with_that_type(lab: Lab, kind: str) -> None:
    """And another one with each type."""
    layer = a_layer(SIDE, SIDE)
    shown = control("union", layer, weight=0.7, control_type=kind)
    ours = lab.latents(shown, layers=(layer,))
    other = control("union", layer, weight=0.7, control_type="canny")

    near(ours, lab.theirs(layer, types_of(lab).index(kind), 0.7))
    assert not torch.equal(ours, lab.latents(other, layers=(layer,)))


def test_what_is_made_of_a_layer_tells_its_type(lab: Lab) -> None:
    """Edges are edges, without another word."""
    layer = a_layer(SIDE, SIDE)
    silent = control("union", layer, preprocessor="canny")
    told = control("union", layer, preprocessor="canny", control_type="canny")

    assert torch.equal(lab.latents(silent, layers=(layer,)), lab.latents(told, layers=(layer,)))


def test_one_of_a_single_file_is_the_same(tmp_path: Path) -> None:
    """As ComfyUI keeps it, by diffusers' names; told from the header."""
    own, layer = xl_lab(tmp_path), a_layer(SIDE, SIDE)
    folder, file = (
        own.latents(control(name, layer, control_type="depth"), layers=(layer,))
        for name in ("union", "alone")
    )

    assert types_of(own, "alone") == XL
    assert torch.equal(folder, file)


def test_one_by_its_authors_class_is_the_same(tmp_path: Path) -> None:
    """Its weights say that it is one, and how many types it knows."""
    own, layer = xl_lab(tmp_path), a_layer(SIDE, SIDE)
    folder = copytree(tmp_path / "adapters" / "union", tmp_path / "adapters" / "theirs")
    config = json.loads((folder / "config.json").read_text("utf-8"))
    config["_class_name"] = "ControlNetModel_Union"
    (folder / "config.json").write_text(json.dumps(config), "utf-8")
    adapters = [str(tmp_path / "adapters")]
    again = own._replace(model_cache=ModelCache(Catalogue([str(own.folder)], adapters=adapters)))
    shown = (control(name, layer, control_type="depth") for name in ("union", "theirs"))

    first, second = (again.latents(each, layers=(layer,)) for each in shown)
    assert types_of(again, "theirs") == XL
    assert torch.equal(first, second)


def test_two_types_in_two_regions(lab: Lab) -> None:
    """Each its own: nothing but a region's own cells knows of its type after one step."""
    layer, results = a_layer(64, 256), []
    for kind in ("depth", "pose"):
        own, blobs = region(
            0, 64, fit="loose", controls=(control("union", layer, control_type=kind),)
        )
        fields = {"width": 256, "regions": (own,), "num_inference_steps": 1, "composition": 0.0}
        results.append(lab.latents(layers=(layer,), blobs=blobs, **fields))
    differ = (results[0] != results[1]).any(dim=0).any(dim=0).any(dim=0)

    assert bool(differ[: 64 // FACTOR].any())
    assert not bool(differ[64 // FACTOR + WINDOW // 2 :].any())


@pytest.mark.parametrize(
    ("told", "problem"),
    [
        (Control("union", "regions"), "“union” is several in one"),
        (Control("union", "regions", control_type="blur"), "“union” has no type “blur”"),
        (Control("plain", "regions", control_type="depth"), "“plain” takes pictures of one type"),
    ],
)
def test_a_type_that_is_missing_or_unknown_gets_a_sentence(
    tmp_path: Path, told: Control, problem: str
) -> None:
    """Before the job waits."""
    own = xl_lab(tmp_path)
    request = Request("generate", 64, 64, controls=(told,), model=str(own.folder))
    with pytest.raises(TapestryError, match=problem):
        own.model_cache.catalogue.check(request)


@pytest.mark.parametrize(
    ("shown", "types", "mode"),
    [("lines", FLUX, 0), ("lines", XL, 2), ("soft_edges", XL, 2), ("ade20k", XL, 5)],
)
def test_lines_and_maps_have_a_type(shown: Any, types: Any, mode: int) -> None:
    """The nearest one that a network knows."""
    assert mode_of(Control("union", shown), "union", types) == mode


def test_more_modes_than_have_names_are_left_out(tmp_path: Path) -> None:
    """And a number that is none counts as none."""
    transformer = diffusers.FluxTransformer2DModel.from_pretrained(
        save_flux(tmp_path / "model") / "transformer"
    )
    folder = save_flux_controlnet(tmp_path / "union", transformer, modes=3)
    assert read_adapter(folder).types == FLUX[:3]
    config = folder / "config.json"
    written = json.loads(config.read_text("utf-8")) | {"num_mode": "many"}
    config.write_text(json.dumps(written), "utf-8")

    assert read_adapter(folder).types == ()
