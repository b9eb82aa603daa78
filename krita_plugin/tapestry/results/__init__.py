"""Finished pictures: history, files, layers, previews on the canvas."""
