"""Layered pictures as OpenRaster files: scenes in, layered results out."""
