"""The tiny checkpoint and its adapters, which catalogues list."""

from __future__ import annotations

from tests.models.adapters.conftest import adapted_cache, adapters, checkpoint, latents_of

__all__ = ["adapted_cache", "adapters", "checkpoint", "latents_of"]
