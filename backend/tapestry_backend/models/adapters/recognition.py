"""Kept for importers of the old path of `checkpoints.adapter_recognition`."""

from __future__ import annotations

from ...checkpoints.adapter_recognition import read_adapter

__all__ = ["read_adapter"]
