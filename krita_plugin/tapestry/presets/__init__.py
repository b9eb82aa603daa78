"""Presets, and the prompts that were used lately."""
