"""What IP-Adapters make of a picture's features: a few tokens."""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from diffusers.models.embeddings import ImageProjection, IPAdapterPlusImageProjection
from torch import Tensor, nn

_PLAIN_TOKENS = 4
_HEAD = 64

_PLUS_NAMES = (
    (r"layers\.(\d+)\.0\.norm1\.", r"layers.\1.ln0."),
    (r"layers\.(\d+)\.0\.norm2\.", r"layers.\1.ln1."),
    (r"layers\.(\d+)\.0\.to_out\.", r"layers.\1.attn.to_out.0."),
    (r"layers\.(\d+)\.0\.to_", r"layers.\1.attn.to_"),
    (r"layers\.(\d+)\.1\.0\.", r"layers.\1.ff.0."),
    (r"layers\.(\d+)\.1\.1\.", r"layers.\1.ff.1.net.0.proj."),
    (r"layers\.(\d+)\.1\.3\.", r"layers.\1.ff.1.net.2."),
)


class PlainTokens(nn.Module):
    """Four tokens of the picture's vector; nothing at all is a vector of zeros."""

    def __init__(self, content: Mapping[str, Tensor]) -> None:
        super().__init__()
        rows, width = content["proj.weight"].shape
        self.projection = ImageProjection(width, rows // _PLAIN_TOKENS, _PLAIN_TOKENS)
        self.projection.load_state_dict(
            {name.replace("proj", "image_embeds"): tensor for name, tensor in content.items()}
        )
        self.width = self.projection.norm.normalized_shape[0]

    def forward(self, encoder: nn.Module, pixels: Tensor) -> Tensor:
        vector = encoder(pixels).image_embeds
        return self.projection(torch.cat([torch.zeros_like(vector), vector]))


class PlusTokens(nn.Module):
    """As many tokens as it asks questions, of what the encoder says of each patch (Resampler).

    It reads the states before the encoder's last layer; nothing at all is a picture of zeros.
    """

    def __init__(self, content: Mapping[str, Tensor]) -> None:
        super().__init__()
        inner, width = content["proj_in.weight"].shape
        wide = content["layers.0.0.to_q.weight"].shape[0]
        self.width = content["proj_out.weight"].shape[0]
        self.projection = IPAdapterPlusImageProjection(
            embed_dims=width,
            output_dims=self.width,
            hidden_dims=inner,
            depth=len({name.split(".")[1] for name in content if name.startswith("layers.")}),
            dim_head=_HEAD,
            heads=wide // _HEAD,
            num_queries=content["latents"].shape[1],
            ffn_ratio=content["layers.0.1.1.weight"].shape[0] // inner,
        )
        self.projection.load_state_dict(_renamed(content))

    def forward(self, encoder: nn.Module, pixels: Tensor) -> Tensor:
        both = torch.cat([torch.zeros_like(pixels), pixels])
        return self.projection(encoder(both, output_hidden_states=True).hidden_states[-2])


def tokens_of(content: Mapping[str, Tensor]) -> PlainTokens | PlusTokens:
    """The projection of a file, by the names of its tensors after "image_proj.".

    Raises whatever torch does when they are not all there, or do not belong together.
    """
    return PlusTokens(content) if "latents" in content else PlainTokens(content)


def _renamed(content: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The names of the authors' own code -> those of diffusers."""
    renamed = {}
    for name, tensor in content.items():
        new = name
        for pattern, replacement in _PLUS_NAMES:
            new = re.sub(pattern, replacement, new)
        if "to_kv" in new:
            for which, part in zip("kv", tensor.chunk(2), strict=True):
                renamed[new.replace("to_kv", f"to_{which}")] = part
        else:
            renamed[new] = tensor
    return renamed
