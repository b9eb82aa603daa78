"""Other ways to paint the same picture, to compare with."""
