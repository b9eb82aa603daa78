"""IP-Adapters: a picture beside the prompt, for every attention to a text.

Of a picture CLIP makes features, the adapter a few tokens, and each layer that attends to the text
attends to these as well, with keys and values of their own (Ye et al. 2023). That is added beside
the layer, as LoRAs are, and leaves nothing behind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import safetensors.torch
import torch
import transformers
from torch import Tensor, nn
from torch.nn import functional

from tapestry_protocol.errors import ErrorCode, TapestryError
from tapestry_protocol.sentences import Sentence, quoted

from ...checkpoints.adapter_catalogue import misfit
from ...checkpoints.adapter_recognition import Adapter
from ..loading.networks import check_finite_weights, load_network, sentence_for
from .image_tokens import tokens_of
from .residuals import broken_adapter

_PROJECTION = "image_proj."


class Reference(NamedTuple):
    """A picture as tokens: [2, T, D], for nothing and for itself; and how firmly it counts."""

    adapter: ReferenceAdapter
    tokens: Tensor
    weight: float


class ReferenceAdapter:
    """An IP-Adapter for one U-Net, with its image encoder.

    visit: brings the encoder to the device for as long as it looks at a picture. Raises
    TapestryError when the adapter does not fit, or is damaged.
    """

    def __init__(
        self,
        adapter: Adapter,
        unet: Any,
        model_id: str,
        device: torch.device,
        dtype: torch.dtype,
        visit: Callable[[nn.Module, Callable[[nn.Module], Tensor]], Tensor],
    ) -> None:
        self._visit = visit
        self._place = device, dtype
        content = {
            name: tensor.to(device, dtype)
            for name, tensor in safetensors.torch.load_file(adapter.path).items()
        }
        with sentence_for(partial(broken_adapter, adapter.path)):
            check_finite_weights(content)
        attending = [module for name, module in unet.named_modules() if name.endswith("attn2")]
        # The numbers count every attention, of which each second one reads the text.
        numbers = [1 + 2 * place for place in range(len(attending))]
        self.layers: list[tuple[Any, Tensor, Tensor]] = []
        for number, module in zip(numbers, attending, strict=True):
            keys, values = (
                content.get(f"ip_adapter.{number}.to_{kind}_ip.weight") for kind in "kv"
            )
            if keys is None or keys.shape != module.to_k.weight.shape or values is None:
                raise misfit(adapter, model_id)
            self.layers.append((module, keys, values))
        projection = {
            name.removeprefix(_PROJECTION): tensor
            for name, tensor in content.items()
            if name.startswith(_PROJECTION)
        }
        with sentence_for(partial(broken_adapter, adapter.path)):
            self._tokens = tokens_of(projection).to(device, dtype)
        if adapter.encoder is None or self._tokens.width != self.layers[0][1].shape[1]:
            raise misfit(adapter, model_id)
        self._encoder = _load_encoder(adapter.encoder, dtype)

    @torch.no_grad()
    def read(self, picture: np.ndarray) -> Tensor:
        """Tokens [2, T, D] of a picture [H, W, 3] uint8: for nothing, and for the picture."""
        side = self._encoder.config.image_size
        prepare = transformers.CLIPImageProcessor(
            size={"shortest_edge": side}, crop_size={"height": side, "width": side}
        )
        pixels = prepare(
            picture, input_data_format="channels_last", return_tensors="pt"
        ).pixel_values
        seen = pixels.to(*self._place)
        return self._visit(self._encoder, lambda encoder: self._tokens(encoder, seen))


@contextmanager
def referring(references: Sequence[Reference], negative: Sequence[bool]) -> Iterator[None]:
    """Inside, each row of a batch sees the references too; `negative` ones do not."""
    rows = [int(not nothing) for nothing in negative]
    with ExitStack() as stack:
        for reference in references:
            tokens = reference.tokens[rows]
            for module, keys, values in reference.adapter.layers:
                layer_query = _LayerQuery()
                add = _adding(
                    module, layer_query, tokens @ keys.T, tokens @ values.T, reference.weight
                )
                stack.callback(module.to_q.register_forward_hook(layer_query.hook).remove)
                stack.callback(module.to_out[0].register_forward_pre_hook(add).remove)
        yield


class _LayerQuery:
    """The query of a layer, from its projection to its output."""

    query: Tensor

    def hook(self, _module: nn.Module, _inputs: Any, output: Tensor) -> None:
        self.query = output


def _adding(
    module: Any, layer_query: _LayerQuery, keys: Tensor, values: Tensor, weight: float
) -> Callable[..., tuple[Tensor]]:
    """Attention of a layer's query over a reference is added before its output projection."""

    def heads(tensor: Tensor) -> Tensor:
        return tensor.unflatten(-1, (module.heads, -1)).transpose(1, 2)

    def add(_module: nn.Module, inputs: tuple[Tensor]) -> tuple[Tensor]:
        answer = functional.scaled_dot_product_attention(
            heads(layer_query.query), heads(keys), heads(values)
        )
        return (inputs[0] + weight * answer.transpose(1, 2).flatten(2),)

    return add


def _load_encoder(folder: Path, dtype: torch.dtype) -> Any:
    with sentence_for(partial(_broken, folder)):
        return load_network("CLIPVisionModelWithProjection", folder, dtype).eval()


def _broken(folder: Path, problem: str) -> TapestryError:
    return TapestryError(
        ErrorCode.MODEL_BROKEN,
        Sentence(
            "The image encoder in {name} cannot be loaded ({why}).",
            name=quoted(folder),
            why=problem,
        ),
        "Get it again if it is smaller than where it came from; otherwise choose another one.",
    )
