"""Exactness: documents grow as `render` lets them grow, and what harms an original is found."""

import numpy as np
import pytest

from tapestry_backend.bench.common.painter import Painter
from tapestry_backend.bench.quality.exactness import encode_layer, unchanged_pixels
from tapestry_backend.bench.quality.workbench import Scope, Workbench
from tapestry_protocol.pixels import Margins


def random_document(bits: int) -> np.ndarray:
    """uint16 [H, W, 4], opaque."""
    rng = np.random.default_rng(bits)
    values = rng.integers(0, 2**bits, (40, 50, 4), dtype=np.uint16)
    values[..., 3] = 2**bits - 1
    return values


@pytest.mark.parametrize("bits", [8, 16])
def test_originals_are_unchanged(bench, bits: int) -> None:
    """In both depths, on every side."""
    unchanged = unchanged_pixels(bench, random_document(bits), bits, Margins(9, 8, 7, 6))

    assert unchanged.shape == (40, 50)
    assert unchanged.all()


@pytest.mark.parametrize("bits", [8, 16])
def test_a_new_part_that_covers_an_original_is_found(bench, settings, bits: int) -> None:
    """A single pixel of nearly transparent paint is a change."""

    class Careless(Painter):
        def paint(self, request, blobs=None):
            picture = super().paint(request, blobs).copy()
            picture[12, 10] = (200, 10, 10, 1)
            return picture

    careless = Careless(bench.painter.model_cache, settings, bench.painter.progress)
    unchanged = unchanged_pixels(
        Workbench(careless, Scope(quick=True)), random_document(bits), bits, Margins(left=8)
    )

    assert np.argwhere(~unchanged).tolist() == [[12, 2]]


@pytest.mark.parametrize("bits", [8, 16])
def test_layers_are_pngs_of_their_depth(tmp_path, bits: int) -> None:
    """As any other program reads them: width, height, depth, and the first channel's values."""
    import struct

    from PIL import Image

    values = random_document(bits)
    data = encode_layer(values, bits)
    path = tmp_path / "layer.png"
    path.write_bytes(data)

    assert struct.unpack(">2IB", data[16:25]) == (50, 40, bits)
    with Image.open(path) as image:
        read = np.array(image.convert("RGBA"))
    assert np.array_equal(read, (values >> (bits - 8)).astype(np.uint8))
