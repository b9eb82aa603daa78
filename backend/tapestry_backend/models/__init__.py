"""Loaded networks of every family, behind the protocol of `denoiser.py`."""
