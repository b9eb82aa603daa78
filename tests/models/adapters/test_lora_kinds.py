"""LoHa, LoKr, cores and DoRA: the numbers of peft, and of weights with the change in them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from tapestry_backend.checkpoints.adapter_catalogue import AdapterCatalogue
from tapestry_backend.checkpoints.catalogue import Catalogue
from tapestry_backend.models.adapters.factors import Hadamard, Kept, factors_of
from tapestry_backend.models.adapters.lora import load_lora
from tapestry_backend.models.device.offloading import stream_layers
from tapestry_backend.models.model_cache import ModelCache
from tapestry_protocol.adapters import Lora
from tapestry_protocol.errors import TapestryError
from tapestry_protocol.messages import Request
from tapestry_protocol.sentences import quoted
from tests.models.adapters.conftest import LatentsOf, near, open_pipeline, painted
from tests.models.adapters.parts import region
from tests.models.adapters.tiny_adapters import LAYERS, save_peft_lora
from tests.models.latents_of_run import latents_of_run
from tests.models.tiny_checkpoints import FACTOR, WINDOW

ALPHA, RANK = 6.0, 4
Changes = dict[str, Callable[[Tensor], Tensor]]
"""A layer's name -> what becomes of its weights."""


@pytest.fixture
def with_adapters(adapted_cache: ModelCache, tmp_path: Path):
    """The cache knows the adapters of this test's folder instead of its own."""
    kept = adapted_cache.catalogue.adapters
    adapter_manager: Any = (
        next(iter(adapted_cache._loaded.values())).adapter_manager
        if adapted_cache._loaded
        else None
    )
    if adapter_manager:
        adapter_manager._loras.clear()
        adapter_manager._changes.clear()

    def learn() -> None:
        adapted_cache.catalogue.adapters = AdapterCatalogue([str(tmp_path)])

    yield learn
    adapted_cache.catalogue.adapters = kept


def merged(checkpoint: Path, changes: Changes) -> Tensor:
    """What diffusers ends with when the U-Net's own weights are others."""
    pipeline = open_pipeline(checkpoint)
    with torch.no_grad():
        for name, change in changes.items():
            weight = pipeline.unet.get_submodule(name).weight
            weight.copy_(change(weight.clone()))
    return painted(pipeline)


def by_lycoris_names(network: nn.Module, path: Path) -> None:
    """What peft injected, as LyCORIS writes it."""
    saved = {}
    for name, parameter in network.named_parameters():
        if name.endswith(".default") and ("hada_" in name or "lokr_" in name):
            layer, role, _ = name.rsplit(".", 2)
            flat = f"lora_unet_{layer.replace('.', '_')}"
            saved[f"{flat}.{role}"] = parameter.detach().clone().contiguous()
            saved[f"{flat}.alpha"] = torch.tensor(ALPHA)
    assert saved
    for name in [name for name in saved if name.endswith(".lokr_w1")]:
        if name.replace("_w1", "_w2") in saved:  # peft counts its alpha there too
            saved[name] *= ALPHA / RANK
    save_file(saved, path)


SETTINGS = {"r": RANK, "alpha": ALPHA, "target_modules": list(LAYERS), "init_weights": False}
KINDS = {
    "loha": lambda: peft.LoHaConfig(**SETTINGS),
    "loha with cores": lambda: peft.LoHaConfig(**SETTINGS, use_effective_conv2d=True),
    "lokr": lambda: peft.LoKrConfig(**SETTINGS),
    "lokr with cores": lambda: peft.LoKrConfig(**SETTINGS, use_effective_conv2d=True),
    "lokr of two products": lambda: peft.LoKrConfig(
        **{**SETTINGS, "r": 2}, decompose_both=True, decompose_factor=8
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_one_window_is_what_peft_makes_of_it(
    checkpoint: Path, tmp_path: Path, latents_of: LatentsOf, with_adapters, kind: str
) -> None:
    """In linear layers and convolutions."""
    pipeline = open_pipeline(checkpoint)
    torch.manual_seed(5)
    peft.inject_adapter_in_model(KINDS[kind](), pipeline.unet)
    with torch.no_grad():
        for name, parameter in pipeline.unet.named_parameters():
            if "hada_" in name or "lokr_" in name:
                parameter.mul_(0.5)
    by_lycoris_names(pipeline.unet, tmp_path / "it.safetensors")
    with_adapters()
    plain, ours = latents_of(), latents_of(loras=(Lora("it"),))

    near(ours, painted(pipeline))
    assert float((ours - plain).abs().max()) > 0.01
    assert torch.equal(latents_of(loras=(Lora("it", 0.0),)), plain)


def test_one_window_is_what_diffusers_paints_with_a_dora(
    checkpoint: Path, tmp_path: Path, latents_of: LatentsOf, with_adapters
) -> None:
    """As peft writes it: rows' lengths for linear layers and convolutions.

    The U-Net's alone: this version of diffusers loses those of text encoders.
    """
    save_peft_lora(tmp_path / "it.safetensors", open_pipeline(checkpoint), dora=True)
    content = load_file(tmp_path / "it.safetensors")
    own = {name: tensor for name, tensor in content.items() if name.startswith("unet.")}
    save_file(own, tmp_path / "it.safetensors")
    pipeline = open_pipeline(checkpoint)
    pipeline.load_lora_weights(tmp_path / "it.safetensors", adapter_name="it")
    with_adapters()
    plain, ours = latents_of(), latents_of(loras=(Lora("it"),))

    near(ours, painted(pipeline))
    assert float((ours - plain).abs().max()) > 0.01
    assert torch.equal(latents_of(loras=(Lora("it", 0.0),)), plain)


LINEAR = "down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k"
SHAPED = "down_blocks.0.resnets.0.conv1"
BIASED = "down_blocks.0.attentions.0.transformer_blocks.0.ff.net.2"
NARROW = "down_blocks.0.attentions.0.proj_in"


def a_dora(path: Path, checkpoint: Path, *, rows: bool, kind: str) -> Changes:
    """As LyCORIS writes it, and what it makes of each layer's weights at a weight of 0.6."""
    torch.manual_seed(7)
    unet = open_pipeline(checkpoint).unet
    saved, changes = {}, {}
    for name in (LINEAR, BIASED, SHAPED, NARROW):
        weight = unet.get_submodule(name).weight.detach()
        out, wide, *kernel = weight.shape
        if kind == "lora":
            tensors = {
                "lora_down.weight": torch.randn(RANK, wide, *kernel) * 0.2,
                "lora_up.weight": torch.randn(out, RANK, *[1] * len(kernel)) * 0.2,
            }
            up, down = tensors["lora_up.weight"].flatten(1), tensors["lora_down.weight"].flatten(1)
            dense = (up @ down).reshape(weight.shape)
        else:
            tensors = {
                f"hada_w{n}_{side}": torch.randn(shape) * 0.4
                for n in (1, 2)
                for side, shape in (("a", (out, RANK)), ("b", (RANK, weight[0].numel())))
            }
            products = [tensors[f"hada_w{n}_a"] @ tensors[f"hada_w{n}_b"] for n in (1, 2)]
            dense = (products[0] * products[1]).reshape(weight.shape)
        whole = weight + ALPHA / RANK * dense
        others = [axis for axis in range(weight.ndim) if axis != int(not rows)]
        lengths = whole.pow(2).sum(dim=others, keepdim=True).sqrt()
        wanted = lengths * (0.5 + torch.rand_like(lengths))
        new = whole * wanted / lengths
        changes[name] = lambda own, new=new: own + 0.6 * (new - own)
        flat = f"lora_unet_{name.replace('.', '_')}"
        tensors |= {"dora_scale": wanted, "alpha": torch.tensor(ALPHA)}
        saved |= {f"{flat}.{role}": tensor.contiguous() for role, tensor in tensors.items()}
    save_file(saved, path)
    return changes


@pytest.mark.parametrize("kind", ["lora", "loha"])
@pytest.mark.parametrize("rows", [True, False])
def test_one_window_is_what_weights_with_a_dora_in_them_paint(
    checkpoint: Path,
    tmp_path: Path,
    latents_of: LatentsOf,
    with_adapters,
    rows: bool,
    kind: str,
) -> None:
    """The lengths of rows or of columns; at a weight between, a point between the two weights."""
    changes = a_dora(tmp_path / "it.safetensors", checkpoint, rows=rows, kind=kind)
    with_adapters()
    plain, ours = latents_of(), latents_of(loras=(Lora("it", 0.6),))

    near(ours, merged(checkpoint, changes))
    assert float((ours - plain).abs().max()) > 0.01
    assert torch.equal(latents_of(loras=(Lora("it", 0.0),)), plain)


def test_beside_others_each_counts_from_the_layers_own_weights(
    checkpoint: Path, adapters: Path, tmp_path: Path, latents_of: LatentsOf, with_adapters
) -> None:
    """Whatever their order."""
    changes = a_dora(tmp_path / "it.safetensors", checkpoint, rows=True, kind="lora")
    content = load_file(adapters / "peft.safetensors")
    plain = {name: tensor for name, tensor in content.items() if name.startswith("unet.")}
    save_file(plain, tmp_path / "plain.safetensors")
    for name in {name.rsplit(".", 2)[0] for name in plain}:
        up, down = (plain[f"{name}.lora_{side}.weight"] for side in "BA")
        before = changes.get(name.removeprefix("unet."), lambda own: own)

        def both(own: Tensor, up: Tensor = up, down: Tensor = down, before: Any = before) -> Tensor:
            return before(own) + (up.flatten(1) @ down.flatten(1)).reshape(own.shape)

        changes[name.removeprefix("unet.")] = both
    with_adapters()
    expected = merged(checkpoint, changes)

    near(latents_of(loras=(Lora("it", 0.6), Lora("plain"))), expected)
    near(latents_of(loras=(Lora("plain"), Lora("it", 0.6))), expected)


def test_a_regions_dora_changes_nothing_beyond_its_reach(
    checkpoint: Path, tmp_path: Path, latents_of: LatentsOf, with_adapters
) -> None:
    """One step changes the region's own cells."""
    a_dora(tmp_path / "it.safetensors", checkpoint, rows=False, kind="loha")
    with_adapters()
    results = []
    for weight in (0.3, 1.0):
        own, blobs = region(0, 64, fit="loose", loras=(Lora("it", weight),))
        fields = {"width": 320, "regions": (own,), "num_inference_steps": 1, "coherence": 0.0}
        results.append(latents_of(blobs, **fields))
    differ = (results[0] != results[1]).any(dim=0).any(dim=0).any(dim=0)

    assert bool(differ[: 64 // FACTOR].all())
    assert not bool(differ[64 // FACTOR + WINDOW // 2 :].any())


def test_layers_that_come_one_by_one_may_wear_a_dora(
    checkpoint: Path, tmp_path: Path, latents_of: LatentsOf, with_adapters
) -> None:
    """It asks a layer again for its columns, when its weights may be at home already."""
    a_dora(tmp_path / "it.safetensors", checkpoint, rows=False, kind="lora")
    model_cache = ModelCache(Catalogue([str(checkpoint)], adapters=[str(tmp_path)]))
    with_adapters()
    expected = latents_of(loras=(Lora("it"),))
    model: Any = model_cache.load(str(checkpoint))
    stream_layers(model._parts.use("unet"), torch.device("cpu"))
    request = Request("generate", 64, 64, "snow", num_inference_steps=3, model=str(checkpoint))
    latents = latents_of_run(replace(request, loras=(Lora("it"),)), {}, model_cache)

    assert torch.equal(latents, expected)


def test_a_lora_with_a_core_between(
    checkpoint: Path, tmp_path: Path, latents_of: LatentsOf, with_adapters
) -> None:
    """Down to a few channels, a small convolution there, and up."""
    torch.manual_seed(3)
    out, wide, *_ = open_pipeline(checkpoint).unet.get_submodule(SHAPED).weight.shape
    down, mid, up = torch.randn(3, wide, 1, 1), torch.randn(3, 3, 3, 3), torch.randn(out, 3, 1, 1)
    flat = f"lora_unet_{SHAPED.replace('.', '_')}"
    parts = {"lora_down": down, "lora_mid": mid, "lora_up": up}
    saved = {f"{flat}.{role}.weight": tensor * 0.3 for role, tensor in parts.items()}
    save_file({**saved, f"{flat}.alpha": torch.tensor(1.5)}, tmp_path / "it.safetensors")
    dense = torch.zeros(out, wide, 3, 3)
    for row in range(3):
        for column in range(3):
            dense[:, :, row, column] = up[:, :, 0, 0] @ mid[:, :, row, column] @ down[:, :, 0, 0]
    with_adapters()
    ours = latents_of(loras=(Lora("it"),))

    near(ours, merged(checkpoint, {SHAPED: lambda own: own + 0.5 * 0.3**3 * dense}))
    assert float((ours - latents_of()).abs().max()) > 0.01


NORM = "down_blocks.0.resnets.0.norm1"
LAYER_NORM = "down_blocks.0.attentions.0.transformer_blocks.0.norm2"


def test_changes_of_norms_are_laid_on(
    checkpoint: Path, tmp_path: Path, latents_of: LatentsOf, with_adapters
) -> None:
    """As LyCORIS means them: added to a norm's weight and bias; one of both may be missing."""
    torch.manual_seed(4)
    pipeline = open_pipeline(checkpoint)
    saved = {}
    with torch.no_grad():
        for name, roles in ((NORM, ("w_norm", "b_norm")), (LAYER_NORM, ("b_norm",))):
            module = pipeline.unet.get_submodule(name)
            for role in roles:
                own = module.weight if role == "w_norm" else module.bias
                saved[f"lora_unet_{name.replace('.', '_')}.{role}"] = change = torch.randn(
                    own.shape
                )
                own.add_(0.6 * change)
    save_file(saved, tmp_path / "it.safetensors")
    with_adapters()
    plain, ours = latents_of(), latents_of(loras=(Lora("it", 0.6),))

    near(ours, painted(pipeline))
    assert float((ours - plain).abs().max()) > 0.01
    assert torch.equal(latents_of(loras=(Lora("it", 0.0),)), plain)


def test_the_first_and_the_last_layer_are_known_by_both_names(
    checkpoint: Path, tmp_path: Path, latents_of: LatentsOf, with_adapters
) -> None:
    """Without a prefix, and as kohya's trainers write Stability's."""
    torch.manual_seed(4)
    unet = open_pipeline(checkpoint).unet
    plain, kohya = {}, {}
    for name, other in (("conv_in", "input_blocks_0_0"), ("conv_out", "out_2")):
        out, wide, *_ = unet.get_submodule(name).weight.shape
        for side, shape in (("down", (RANK, wide, 3, 3)), ("up", (out, RANK, 1, 1))):
            tensor = torch.randn(shape) * 0.3
            plain[f"{name}.lora_{side}.weight"] = tensor
            kohya[f"lora_unet_{other}.lora_{side}.weight"] = tensor
    save_file(plain, tmp_path / "plain.safetensors")
    save_file(kohya, tmp_path / "kohya.safetensors")
    with_adapters()
    first, second = (latents_of(loras=(Lora(name),)) for name in ("plain", "kohya"))

    assert torch.equal(first, second)
    assert float((first - latents_of()).abs().max()) > 0.01


def test_a_lora_with_numbers_that_are_none_is_named(
    checkpoint: Path, adapters: Path, tmp_path: Path, latents_of: LatentsOf, with_adapters
) -> None:
    """Before a step is painted, not as the model's fault."""
    content = load_file(adapters / "peft.safetensors")
    first = next(name for name in content if "lora_B" in name)
    content[first].view(-1)[0] = float("nan")
    save_file(content, tmp_path / "it.safetensors")
    with_adapters()
    with pytest.raises(TapestryError, match="The LoRA “it” cannot be used: 1 of its tensors") as no:
        latents_of(loras=(Lora("it"),))
    assert quoted(first[:60]) in no.value.message


def test_a_kronecker_product_of_two_whole_matrices_knows_no_alpha() -> None:
    """Its trainers write one all the same."""
    parts = {"lokr_w1": torch.randn(2, 3), "lokr_w2": torch.randn(4, 5)}
    whole = factors_of(parts)
    assert whole is not None
    assert whole.rank is None
    assert torch.equal(whole.change(), torch.kron(parts["lokr_w1"], parts["lokr_w2"]))
    halved = factors_of({**parts, "lokr_w2_a": torch.ones(4, 2), "lokr_w2_b": torch.ones(2, 5)})
    assert halved is not None
    assert halved.rank == 2
    single = factors_of({"lokr_w1": torch.ones(()), "lokr_w2": torch.ones(4, 5)})
    assert single is not None
    assert not single.fits(nn.Linear(5, 4)), "a number alone is no matrix"


WRONG = {
    "of another width": ({"hada_w1_b": (RANK, 9)}, "was made for"),
    "a vector": ({"hada_w1_b": (RANK,)}, "was made for"),
    "for more rows": ({"dora_scale": (31, 1)}, "was made for"),
    "with two alphas": ({"alpha": (2,)}, "its alpha is no number"),
    "half": ({"hada_w2_a": None}, "some of the tensors that belong together are missing"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_does_not_belong_together_gets_a_sentence(
    checkpoint: Path, tmp_path: Path, adapted_cache: ModelCache, case: str
) -> None:
    """Before any number is computed."""
    changes, problem = WRONG[case]
    flat = f"lora_unet_{LINEAR.replace('.', '_')}"
    shapes = {f"hada_w{n}_a": (32, RANK) for n in (1, 2)}
    shapes |= {f"hada_w{n}_b": (RANK, 32) for n in (1, 2)} | changes
    tensors = {role: torch.ones(shape) for role, shape in shapes.items() if shape is not None}
    save_file({f"{flat}.{role}": t for role, t in tensors.items()}, tmp_path / "it.safetensors")
    known = AdapterCatalogue([str(tmp_path)])
    adapter_manager: Any = adapted_cache.load(str(checkpoint)).adapter_manager
    adapter_manager._loras.clear()
    with (
        pytest.raises(TapestryError, match=problem),
        adapter_manager.activated([(known.find("it", "lora"), 1.0)]),
    ):
        pass


def test_costly_changes_are_multiplied_once(
    checkpoint: Path, tmp_path: Path, adapted_cache: ModelCache, monkeypatch
) -> None:
    """The small ones of a LoHa are kept; beyond the bound they are computed each time, alike."""
    flat = f"lora_unet_{LINEAR.replace('.', '_')}"
    shapes = {f"hada_w{n}_a": (32, RANK) for n in (1, 2)} | {
        f"hada_w{n}_b": (RANK, 32) for n in (1, 2)
    }
    save_file({f"{flat}.{r}": torch.ones(s) for r, s in shapes.items()}, tmp_path / "h.safetensors")
    adapter = AdapterCatalogue([str(tmp_path)]).find("h", "lora")
    adapter_manager: Any = adapted_cache.load(str(checkpoint)).adapter_manager
    networks = adapter_manager.networks
    place = "m", torch.device("cpu"), torch.float32
    (kept,) = load_lora(adapter, networks, *place)
    monkeypatch.setattr("tapestry_backend.models.adapters.lora._MOST_KEPT_BYTES", 0)
    (fresh,) = load_lora(adapter, networks, *place)

    assert isinstance(kept.factors, Kept)
    assert isinstance(fresh.factors, Hadamard)
    assert torch.equal(kept.factors.change(), fresh.factors.change())
    assert kept.scale == fresh.scale
