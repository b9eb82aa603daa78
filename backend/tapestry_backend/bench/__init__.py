"""The benchmarks: quality and speed, side by side on the same weights, and what works on a card."""
