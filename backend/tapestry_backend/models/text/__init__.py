"""Prompts as tokens, weights and conditioning."""
