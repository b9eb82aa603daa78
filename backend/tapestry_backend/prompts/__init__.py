"""How prompts are read: weights in brackets, and words of other programs."""
