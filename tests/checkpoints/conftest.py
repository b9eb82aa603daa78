"""The tiny checkpoint and its adapters, which catalogues list."""

from __future__ import annotations

from tests.models.adapters.conftest import adapted_store, adapters, checkpoint, latents_of

__all__ = ["adapted_store", "adapters", "checkpoint", "latents_of"]
