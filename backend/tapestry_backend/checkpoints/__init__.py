"""Checkpoints and adapters on disk, told from headers and configurations."""
