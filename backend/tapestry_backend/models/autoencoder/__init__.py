"""Decoding and encoding pictures of any size."""
