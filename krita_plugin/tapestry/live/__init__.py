"""Painting live: every change of the document is painted at once."""
