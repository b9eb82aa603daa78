"""The quality benchmark, side by side on the same weights."""
