"""The earlier place of `checkpoints.adapter_recognition`: scripts beside this repository use it."""

from __future__ import annotations

from ...checkpoints.adapter_recognition import read_adapter

__all__ = ["read_adapter"]
