"""What a file is, told from its header, and a sentence for each that cannot be used."""

from __future__ import annotations

import json
import os
import shutil
import struct
import unicodedata
from contextlib import suppress
from pathlib import Path

import diffusers
import pytest
import torch
from safetensors.torch import load_file, save_file

from tapestry_backend.checkpoints import adapter_catalogue as catalogue_module
from tapestry_backend.checkpoints import adapter_recognition as recognition_module
from tapestry_backend.checkpoints.adapter_catalogue import AdapterCatalogue
from tapestry_backend.checkpoints.adapter_recognition import read_adapter
from tapestry_backend.checkpoints.catalogue import SAMPLE, Catalogue
from tapestry_backend.checkpoints.discovery import adapter_folders
from tapestry_backend.checkpoints.model_paths import MODELS_VARIABLE
from tapestry_protocol.adapters import Control, Lora
from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.messages import Request
from tests.checkpoints.plain_loras import ATTENTION, lora_of_width
from tests.models.adapters.conftest import LatentsOf
from tests.models.adapters.tiny_adapters import save_ip_adapter

KOHYA = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k"

BUNDLED = 3
"""As many adapters come with the bundled model, and are listed first."""


def test_other_programs_folders_are_looked_through(
    adapters: Path, tmp_path: Path, monkeypatch
) -> None:
    """Also further inside; what is none is left out with a sentence."""
    inside = tmp_path / "models" / "Lora" / "styles"
    inside.mkdir(parents=True)
    (tmp_path / "models" / "Stable-diffusion").mkdir()
    lora_of_width(inside / "pen.safetensors", 768)
    lora_of_width(inside / "sample-ink.safetensors", 768)
    (inside / "torn.safetensors").write_bytes(b"torn")
    (inside / "old.pt").write_bytes(b"pickle")
    shutil.copytree(adapters / "edges", tmp_path / "models" / "ControlNet" / "edges")
    monkeypatch.setenv(MODELS_VARIABLE, str(tmp_path / "nowhere"))
    folders = adapter_folders([tmp_path])
    known = AdapterCatalogue(folders=folders)

    wanted = {tmp_path / "models" / name for name in ("Lora", "ControlNet", "Stable-diffusion")}
    assert set(folders) == wanted
    ids = {info.id for info in known.infos}
    assert ids == {
        "sample-ink",
        "sample-quick",
        "sample-scribble",
        "styles/pen",
        "styles/sample-ink",
        "edges",
    }
    assert known.find("sample-ink", "lora").path.parent.name == "sample_adapters"
    assert known.find("pen", "lora").id == "styles/pen"  # there is only one in any folder
    left_out = {each.path.name: str(each) for each in known.left_out_beside([])}
    assert set(left_out) == {"torn.safetensors", "old.pt"}
    assert "cannot be opened" in left_out["torn.safetensors"]
    assert "is a pickle" in left_out["old.pt"]


def test_each_kind_is_known(adapters: Path, tmp_path: Path) -> None:
    """By its tensors' names or its configuration, not by its own name."""
    save_file({"emb_params": torch.zeros(2, 768)}, tmp_path / "gloom.safetensors")
    save_file({"<cat>": torch.zeros(1024)}, tmp_path / "pet.safetensors")
    both = {"clip_l": torch.zeros(1, 768), "clip_g": torch.zeros(1, 1280)}
    save_file(both, tmp_path / "mood.safetensors")
    known = AdapterCatalogue([str(adapters), str(tmp_path)])
    kinds = {info.id: (info.kind, info.family) for info in known.infos}

    assert kinds["peft"] == kinds["kohya-all"] == ("lora", "")
    assert kinds["edges"] == ("controlnet", "")
    assert kinds["look"] == ("ip_adapter", "")
    assert kinds["sketch"] == ("t2i_adapter", "")
    assert kinds["gloom"] == ("embedding", "sd1")
    assert kinds["pet"] == ("embedding", "sd2")
    assert kinds["mood"] == ("embedding", "sdxl")
    assert {(a.id, a.token, a.widths) for a in known.embeddings} == {
        ("gloom", "<gloom>", (768,)),
        ("pet", "<cat>", (1024,)),
        ("mood", "<mood>", (768, 1280)),
    }


@pytest.mark.parametrize("name", [ATTENTION, KOHYA])
@pytest.mark.parametrize(("width", "family"), [(768, "sd1"), (1024, "sd2"), (2048, "sdxl")])
def test_a_lora_is_for_a_family(tmp_path: Path, name: str, width: int, family: str) -> None:
    """By the width of the texts that its attention reads."""
    assert read_adapter(lora_of_width(tmp_path / "a.safetensors", width, name)).family == family


@pytest.mark.parametrize(("width", "family"), [(768, "sd1"), (2048, "sdxl")])
def test_other_kinds_are_for_a_family_too(tmp_path: Path, width: int, family: str) -> None:
    """A LoHa, and a LoKr: by the columns of what its factors make."""
    loha = {"w1_a": (8, 4), "w1_b": (4, width), "w2_a": (8, 4), "w2_b": (4, width)}
    lokr = {"w1": (2, 4), "w2_a": (4, 3), "w2_b": (3, width // 4)}
    for name, shapes in {"hada": loha, "lokr": lokr}.items():
        path = tmp_path / f"{name}.safetensors"
        save_file({f"{KOHYA}.{name}_{r}": torch.zeros(s) for r, s in shapes.items()}, path)
        assert read_adapter(path).kind == "lora"
        assert read_adapter(path).family == family


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("lycoris_single_transformer_blocks_0_attn_to_q", "flux"),
        ("transformer.single_transformer_blocks.0.attn.to_q", "flux"),
        ("transformer.transformer_blocks.0.attn.add_k_proj", "sd3"),
        ("lora_unet_double_blocks_0_img_attn_qkv", "flux"),
        ("diffusion_model.single_blocks.0.linear1", "flux"),
        ("lora_unet_joint_blocks_0_x_block_attn_qkv", "sd3"),
        ("transformer.single_transformer_blocks.0.attn.to_qkv_mlp_proj", "flux2"),
        ("diffusion_model.double_stream_modulation_img.lin", "flux2"),
        ("lora_unet_distilled_guidance_layer_layers_0_in_layer", "chroma"),
        ("transformer.transformer_blocks.0.img_mlp.net.2", "qwen_image"),
        ("lora_unet_transformer_blocks_0_txt_mod_1", "qwen_image"),
        ("transformer.layers.0.attention.to_q", "z_image"),
        ("diffusion_model.layers.0.attention.qkv", "z_image"),
        ("lora_unet_context_refiner_0_feed_forward_w1", "z_image"),
    ],
)
def test_a_transformers_lora_is_for_a_family(tmp_path: Path, name: str, family: str) -> None:
    """By the layers that one of them alone has."""
    assert read_adapter(lora_of_width(tmp_path / "a.safetensors", 64, name)).family == family


@pytest.mark.parametrize(("rows", "family"), [(7, "flux"), (9, "flux2")])
def test_both_kinds_of_flux_are_told_by_their_width(tmp_path: Path, rows: int, family: str) -> None:
    """Their authors call their layers alike."""
    layer = "diffusion_model.single_blocks.0.linear1"
    factors = {"lora_A": torch.zeros(4, 64), "lora_B": torch.zeros(rows * 64, 4)}
    path = tmp_path / "a.safetensors"
    save_file({f"{layer}.{role}.weight": tensor for role, tensor in factors.items()}, path)
    assert read_adapter(path).family == family


def test_a_lora_for_qwen_is_none_for_stable_diffusion_3(tmp_path: Path) -> None:
    """Its layers are called alike, and are of another width."""
    name = "transformer.transformer_blocks.0.attn.add_k_proj"
    assert not read_adapter(lora_of_width(tmp_path / "a.safetensors", 3072, name)).family


def test_a_lora_for_another_family_is_refused_before_anything_is_loaded(tmp_path: Path) -> None:
    """With both families named."""
    lora_of_width(tmp_path / "old.safetensors", 2048)
    catalogue = Catalogue(adapters=[str(tmp_path)])
    request = Request("generate", 64, 64, "snow", loras=(Lora("old"),))
    with pytest.raises(TapestryError) as raised:
        catalogue.check(request)

    assert raised.value.code is ErrorCode.BAD_REQUEST
    assert raised.value.message == (
        "The LoRA “old” was made for Stable Diffusion XL, not for the model “sample”, which is "
        "Stable Diffusion 1.x."
    )
    assert "or another LoRA." in raised.value.advice


def narrow_unet() -> diffusers.UNet2DConditionModel:
    """Of another build than the checkpoint's, for texts of the same width."""
    return diffusers.UNet2DConditionModel(
        block_out_channels=(32, 32),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=32,
        layers_per_block=1,
        norm_num_groups=8,
    )


@pytest.mark.parametrize(
    "kind", ["lora", "controlnet", "t2i_adapter", "t2i_adapter of SDXL's levels", "ip_adapter"]
)
def test_an_adapter_of_another_build_is_refused_when_its_sizes_are_known(
    latents_of: LatentsOf, adapted_cache, tmp_path: Path, kind: str
) -> None:
    """Where neither its header nor its configuration says what it was made for."""
    if kind == "lora":
        lora_of_width(tmp_path / "it.safetensors", 48, "unet.conv_in")
    elif kind == "controlnet":
        diffusers.ControlNetModel.from_unet(narrow_unet()).save_pretrained(tmp_path / "it")
    elif kind == "ip_adapter":
        save_ip_adapter(tmp_path / "it.safetensors", narrow_unet())
    else:
        wide = {"channels": [32, 64, 64, 64], "adapter_type": "full_adapter_xl"}
        plain = {"channels": [32, 32], "adapter_type": "full_adapter"}
        made = diffusers.T2IAdapter(**(plain if kind == "t2i_adapter" else wide))
        made.save_pretrained(tmp_path / "it")
    known = AdapterCatalogue([str(tmp_path)])
    kept, adapted_cache.catalogue.adapters = adapted_cache.catalogue.adapters, known
    asked = (
        {"loras": (Lora("it"),)} if kind == "lora" else {"controls": (Control("it", "regions"),)}
    )
    try:
        with pytest.raises(TapestryError, match="was made for models of another build"):
            latents_of(**asked)
    finally:
        adapted_cache.catalogue.adapters = kept


def tensors(**named: torch.Tensor):
    """Writes a file with these, whose names have dots for double underscores."""
    return lambda path: save_file({n.replace("__", "."): t for n, t in named.items()}, path)


def truncated(path: Path) -> None:
    """An embedding without its last numbers."""
    save_file({"emb_params": torch.zeros(9, 9)}, path)
    path.write_bytes(path.read_bytes()[:-8])


DOWN, UP = torch.zeros(4, 8), torch.zeros(8, 4)
REFUSED = {
    "empty": (lambda path: path.write_bytes(b""), "is too short"),
    "a lying header": (
        lambda path: path.write_bytes(struct.pack("<Q", 2**40) + b"{}" * 50),
        "says that its header has",
    ),
    "truncated": (
        lambda path: (
            save_file({"emb_params": torch.zeros(9, 9)}, path),
            path.write_bytes(path.read_bytes()[:-8]),
        ),
        "leave the file",
    ),
    "a pickle by another name": (
        lambda path: path.write_bytes(b"\x80\x04\x95" + bytes(200)),
        "says that its header has",
    ),
    "an IA3": (
        tensors(lora_unet_a__on_input=DOWN, lora_unet_a__weight=UP),
        "neither a checkpoint nor an adapter that Tapestry knows: it holds “lora_unet_a",
    ),
    "an IP-Adapter of another build": (
        tensors(ip_adapter__1__to_k_ip__weight=DOWN, image_proj__proj__0__weight=UP),
        "it is an IP-Adapter of another build",
    ),
    "an IP-Adapter without eyes": (
        tensors(ip_adapter__1__to_k_ip__weight=DOWN, image_proj__proj__weight=UP),
        "there is no folder “image_encoder” beside it",
    ),
    "FLUX by XLabs' names": (
        tensors(double_blocks__0__processor__qkv_lora1__down__weight=DOWN),
        "it is a LoRA for FLUX by XLabs' names",
    ),
    "alphas alone": (tensors(lora_unet_a__alpha=torch.tensor(4.0)), "and none of them"),
    "lengths alone": (tensors(lora_unet_a__dora_scale=DOWN), "and none of them"),
    "a single number as eyes": (
        tensors(ip_adapter__1__to_k_ip__weight=DOWN, image_proj__proj__weight=torch.tensor(1.0)),
        "it is an IP-Adapter of another build",
    ),
    "a single number as keys": (
        tensors(ip_adapter__1__to_k_ip__weight=torch.tensor(1.0), image_proj__proj__weight=UP),
        "it is an IP-Adapter of another build",
    ),
    "too many sides": (tensors(emb_params=torch.zeros(1, 1, 8)), "it holds “emb_params”"),
}


UNREADABLE = {"empty", "a lying header", "truncated", "a pickle by another name"}


@pytest.mark.parametrize("case", REFUSED)
def test_a_file_that_is_no_adapter_gets_a_sentence(tmp_path: Path, case: str) -> None:
    """It says what is wrong, and which kinds there are."""
    write, problem = REFUSED[case]
    path = tmp_path / "it.safetensors"
    write(path)
    with pytest.raises(TapestryError, match=r"cannot be opened|neither a checkpoint") as raised:
        AdapterCatalogue([str(path)])

    assert problem in raised.value.message
    assert raised.value.code is ErrorCode.MODEL_BROKEN
    kinds = "a LoRA, a textual inversion, an IP-Adapter, a ControlNet, or"
    advice = "Get it again" if case in UNREADABLE else kinds
    assert advice in raised.value.advice


def test_a_checkpoint_in_parts_is_no_adapter(tmp_path: Path) -> None:
    """It is reported as what it is."""
    tensors(model__diffusion_model__a=DOWN, first_stage_model__b=UP)(tmp_path / "it.safetensors")
    with pytest.raises(TapestryError, match="no checkpoint that Tapestry can run"):
        AdapterCatalogue([str(tmp_path / "it.safetensors")])


def test_a_link_to_nothing_is_told_as_one(tmp_path: Path) -> None:
    """Also among others in a folder."""
    (tmp_path / "ink.safetensors").symlink_to(tmp_path / "gone")
    (left,) = AdapterCatalogue(folders=[tmp_path]).left_out_beside([])
    assert left.message.endswith("ink.safetensors” leads to something that is not there.")


@pytest.mark.parametrize("name", ["a.ckpt", "a.pt", "a.bin"])
def test_a_pickle_is_refused_by_its_name(tmp_path: Path, name: str) -> None:
    """It is never opened."""
    (tmp_path / name).write_bytes(b"\x80\x04\x95")
    with pytest.raises(TapestryError, match="is a pickle, which can run any program") as raised:
        AdapterCatalogue([str(tmp_path / name)])

    assert ".safetensors" in raised.value.advice


def damaged(folder: Path, **changes: object) -> None:
    """Change a configuration."""
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **changes}))


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (lambda folder: damaged(folder, _class_name="UNet2DConditionModel"), "of a model, UNet2D"),
        (lambda folder: damaged(folder, channels=[10**9]), "“channels” in config.json is"),
        (lambda folder: damaged(folder, auto_map={}), "asks for auto_map"),
        (lambda folder: next(folder.glob("*.safetensors")).unlink(), "is missing"),
        (lambda folder: (folder / "adapter_config.json").write_text("{}"), "look elsewhere"),
        (lambda folder: (folder / "config.json").write_text("{"), "is no JSON"),
    ],
    ids=["another class", "a billion", "code of its own", "no weights", "elsewhere", "no JSON"],
)
def test_a_damaged_folder_gets_a_sentence(
    adapters: Path, tmp_path: Path, damage, problem: str
) -> None:
    """Before any library reads it."""
    shutil.copytree(adapters / "sketch", tmp_path / "sketch")
    damage(tmp_path / "sketch")
    with pytest.raises(TapestryError, match=r"cannot be opened|neither a checkpoint") as raised:
        AdapterCatalogue([str(tmp_path / "sketch")])

    assert problem in raised.value.message


def test_half_a_pair_and_strange_notes_are_found_when_it_is_loaded(
    adapters: Path, adapted_cache, checkpoint: Path, tmp_path: Path
) -> None:
    """With the LoRA's name."""
    content = load_file(adapters / "peft.safetensors")
    first = next(name for name in content if name.endswith("lora_A.weight"))
    save_file({first: content[first]}, tmp_path / "half.safetensors")
    notes = {"lora_adapter_metadata": json.dumps({"unet.lora_bias": True})}
    save_file(content, tmp_path / "bias.safetensors", metadata=notes)
    save_file(content, tmp_path / "odd.safetensors", metadata={"lora_adapter_metadata": "[1"})
    known = AdapterCatalogue([str(tmp_path)])
    adapter_manager = adapted_cache.load(str(checkpoint)).adapter_manager
    for name, problem in [
        ("half", "some of the tensors that belong together are missing"),
        ("bias", "it uses a bias"),
        ("odd", "its notes are no JSON"),
    ]:
        with (
            pytest.raises(TapestryError, match=f"The LoRA “{name}” cannot be used: {problem}"),
            adapter_manager.activated([(known.find(name, "lora"), 1.0)]),
        ):
            pass
    assert not adapter_manager.active


def test_two_of_one_name_have_their_folders_in_their_ids(tmp_path: Path) -> None:
    """The same file twice is one; two of the same name can both be used."""
    for folder in ("a/x", "b/x", "c"):
        (tmp_path / folder).mkdir(parents=True)
        lora_of_width(tmp_path / folder / "ink.safetensors", 768)
    once = AdapterCatalogue([str(tmp_path / "c"), str(tmp_path / "c" / "ink.safetensors")])
    both = AdapterCatalogue([str(tmp_path / name) for name in "abc"])

    assert [info.id for info in once.infos][BUNDLED:] == ["ink"]
    assert [info.id for info in both.infos][BUNDLED:] == ["x/ink", "b/x/ink", "ink"]
    assert both.find("ink", "lora").path.parent.name == "c"
    with pytest.raises(TapestryError, match="There is no LoRA “pen”"):
        both.find("pen", "lora")
    two = AdapterCatalogue([str(tmp_path / name) for name in "ab"])
    with pytest.raises(TapestryError, match=r"2 are called “ink”.*“x/ink”, “b/x/ink”"):
        two.find("ink", "lora")


def test_one_damaged_file_keeps_no_other_away(tmp_path: Path) -> None:
    """Nor do notes, a pickle, and a file whose name is no text; each of these is reported."""
    folder = tmp_path / "loras"
    (folder / "inner").mkdir(parents=True)
    lora_of_width(folder / "good.safetensors", 768)
    lora_of_width(folder / "inner" / "LOUD.SAFETENSORS", 768)
    lora_of_width(folder / "soft.sft", 768)
    (folder / "half.safetensors").write_bytes(b"<html>log in first</html>" * 9)
    (folder / "notes.txt").write_text("x")
    (folder / "old.pt").write_bytes(b"x")
    (folder / "rest.safetensors.part").write_bytes(b"x")
    lora_of_width(folder / f"{'long' * 51}.safetensors", 768)
    with suppress(OSError):  # where a file system takes no such name, there is none to be found
        shutil.copy(folder / "good.safetensors", folder / os.fsdecode(b"caf\xe9.safetensors"))
    known = AdapterCatalogue([str(folder)])

    assert {info.id for info in known.infos} >= {"good", "inner/LOUD", "soft"}
    reasons = {each.path.name[:6]: str(each) for each in known.left_out_beside([])}
    assert "cannot be opened" in reasons["half.s"]
    assert "is a pickle" in reasons["old.pt"]
    assert "not been fetched to its end" in reasons["rest.s"]
    assert "has 204 characters" in reasons["longlo"]
    assert all(reason.isprintable() for reason in reasons.values())
    for name, reason in reasons.items():
        if name.startswith("caf"):
            assert "not written in UTF-8" in reason


def test_a_collection_is_offered_as_far_as_a_list_goes(tmp_path: Path, monkeypatch) -> None:
    """And a sentence says how many are left out, from which to which."""
    lora_of_width(tmp_path / "style 00.safetensors", 768)
    for number in range(1, 12):
        (tmp_path / f"style {number:02}.safetensors").symlink_to(tmp_path / "style 00.safetensors")
    assert len(AdapterCatalogue([str(tmp_path)]).infos) == BUNDLED + 12
    monkeypatch.setattr(catalogue_module, "MAX_ADAPTERS", BUNDLED + 8)
    known = AdapterCatalogue([str(tmp_path)])
    (left_out,) = known.left_out_beside([])

    assert len(known.infos) == BUNDLED + 8
    assert "4 adapters" in str(left_out)
    assert "“style 08” to “style 11”" in str(left_out)


def test_the_bundled_ones_are_there() -> None:
    """For the bundled model."""
    kinds = {info.id: info.kind for info in Catalogue().adapters.infos}

    assert kinds == {"sample-ink": "lora", "sample-quick": "lora", "sample-scribble": "t2i_adapter"}
    assert SAMPLE in {model.id for model in Catalogue().models}


def test_names_of_older_diffusers_are_those_of_a_lora(tmp_path: Path) -> None:
    """FLUX by XLabs' names has processors too."""
    layer = "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn2.processor.to_k_lora"
    save_file(
        {f"{layer}.down.weight": torch.ones(4, 768), f"{layer}.up.weight": torch.ones(320, 4)},
        tmp_path / "old.safetensors",
    )
    adapter = read_adapter(tmp_path / "old.safetensors")

    assert (adapter.kind, adapter.family, adapter.unused) == ("lora", "sd1", None)


def test_accents_are_compared_as_they_are_read(tmp_path: Path) -> None:
    """Whether they are signs of their own, as on a Mac, or not."""
    apart, composed = (unicodedata.normalize(form, "caf\u00e9") for form in ("NFD", "NFC"))
    lora_of_width(tmp_path / f"{apart}.safetensors", 768)
    (tmp_path / "inside").mkdir()
    lora_of_width(tmp_path / "inside" / f"{apart}-2.safetensors", 768)
    known = AdapterCatalogue([str(tmp_path)])

    assert known.find(composed, "lora") == known.find(apart, "lora")
    assert known.find(f"{composed}-2", "lora").path.parent.name == "inside"


@pytest.mark.parametrize(
    "content",
    [
        '{"learning_rate": 1e-4}',
        '{"model_type": "STABLE_DIFFUSION_15"}',
        '{"architectures": ["CLIPTextModel"]}',
        '{"_class_name": "ControlNetModel"}',
        '{"steps": 100,}',
        "",
        "[1]",
        '{"a": "' + "x" * 2**20 + '"}',
    ],
    ids=["plain", "type", "architectures", "class", "comma", "empty", "array", "large"],
)
def test_another_programs_configuration_hides_no_lora(tmp_path: Path, content: str) -> None:
    """Neither in a named folder, nor in one that is found, nor further inside."""
    for place in (tmp_path, tmp_path / "inside"):
        place.mkdir(exist_ok=True)
        lora_of_width(place / "ink.safetensors", 768)
        (place / "config.json").write_text(content)
    for known in (AdapterCatalogue([str(tmp_path)]), AdapterCatalogue(folders=[tmp_path])):
        assert {info.id for info in known.infos} >= {"ink", "inside/ink"}
        assert not known.left_out_beside([])


def test_a_network_hides_no_lora_beside_it(adapters: Path, tmp_path: Path) -> None:
    """Named, found, or damaged; it is found in the folder that is looked through, too."""
    folder = tmp_path / "controlnet"
    shutil.copytree(adapters / "edges", folder)
    lora_of_width(folder / "ink.safetensors", 768)
    for known in (AdapterCatalogue([str(folder)]), AdapterCatalogue(folders=[folder])):
        assert [(a.id, a.kind) for a in known.infos][BUNDLED:] == [
            ("controlnet", "controlnet"),
            ("ink", "lora"),
        ]
    (folder / "config.json").write_text("{")
    known = AdapterCatalogue(folders=[tmp_path])
    assert [info.id for info in known.infos][BUNDLED:] == ["controlnet/ink"]
    (left,) = known.left_out_beside([])
    assert "config.json is no JSON" in left.message
    assert left.advice == "Get its config.json again from where it came from."


@pytest.mark.parametrize("inner", ["", "venv", "tokenizers", "image_encoder", "model/loras"])
def test_a_folders_name_hides_no_lora(tmp_path: Path, inner: str) -> None:
    """Nor does a model in diffusers' layout, in whose folder, or in one inside, it lies."""
    folder = tmp_path / inner
    folder.mkdir(parents=True, exist_ok=True)
    lora_of_width(folder / "ink.safetensors", 768)
    (tmp_path / "model").mkdir(exist_ok=True)
    for place in {tmp_path / "model", folder}:
        (place / "model_index.json").write_text("{}")
    assert AdapterCatalogue(folders=[tmp_path]).find("ink", "lora")


@pytest.mark.parametrize("length", [0, 5, 60, -8])
def test_a_file_that_was_fetched_in_part_is_to_be_fetched_again(
    adapters: Path, tmp_path: Path, length: int
) -> None:
    """Wherever it ends; likewise that of a network's folder."""
    shutil.copytree(adapters / "edges", tmp_path / "edges")
    lora_of_width(tmp_path / "ink.safetensors", 768)
    for path in (tmp_path / "ink.safetensors", *(tmp_path / "edges").glob("*.safetensors")):
        path.write_bytes(path.read_bytes()[:length])
    left_out = AdapterCatalogue(folders=[tmp_path]).left_out_beside([])
    assert {each.path.name for each in left_out} == {"ink.safetensors", "edges"}
    assert all(each.advice.startswith("Get it again from where it") for each in left_out)


def test_a_python_environment_is_not_looked_through(tmp_path: Path) -> None:
    """It holds thousands of files, and none of them is an adapter."""
    (tmp_path / "venv").mkdir()
    (tmp_path / "venv" / "pyvenv.cfg").write_text("")
    (tmp_path / "venv" / "test_data.bin").write_bytes(b"pickle")
    assert not AdapterCatalogue(folders=[tmp_path]).left_out_beside([])


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("diffusion_pytorch_model.bin", "its weights are a pickle"),
        ("diffusion_pytorch_model-00001-of-00002.safetensors", "several files"),
        ("readme.txt", "diffusion_pytorch_model.safetensors is missing"),
    ],
)
def test_a_network_without_its_weights_says_what_to_get(
    adapters: Path, tmp_path: Path, name: str, problem: str
) -> None:
    """By what lies there in their place."""
    shutil.copytree(adapters / "edges", tmp_path / "edges")
    (tmp_path / "edges" / "diffusion_pytorch_model.safetensors").rename(tmp_path / "edges" / name)
    (left,) = AdapterCatalogue(folders=[tmp_path]).left_out_beside([])
    assert problem in left.message
    assert left.advice.startswith("Get diffusion_pytorch_model.safetensors into this folder")


def test_an_unforeseen_error_in_one_adapter_stops_no_other(
    tmp_path: Path, monkeypatch, caplog
) -> None:
    """It is left out and named, and the log says what happened."""

    def fails(*_: object) -> None:
        raise IndexError("list index out of range")

    monkeypatch.setattr(recognition_module, "_encoder_near", fails)
    keys = {"ip_adapter.1.to_k_ip.weight": UP, "image_proj.proj.weight": DOWN}
    save_file(keys, tmp_path / "a.safetensors")
    lora_of_width(tmp_path / "b.safetensors", 768)
    known = AdapterCatalogue([str(tmp_path)])
    (left_out,) = known.left_out_beside([])

    assert known.find("b", "lora")
    assert "a.safetensors” could not be read: " in left_out.message
    assert "index" not in left_out.message + left_out.advice
    assert "list index out of range" in caplog.text


def test_what_a_found_adapter_holds_besides_stops_no_other(tmp_path: Path, monkeypatch) -> None:
    """Whatever goes wrong where its words are looked at."""

    def fails(_: object) -> None:
        raise KeyError("odd")

    monkeypatch.setattr(catalogue_module, "bundled_in", fails)
    lora_of_width(tmp_path / "a.safetensors", 768)
    known = AdapterCatalogue([str(tmp_path)])

    assert any("could not be read: " in each.message for each in known.left_out_beside([]))
